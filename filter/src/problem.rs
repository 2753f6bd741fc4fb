//! Problems: the answers that the filter gives in the model's place, in the shape that the client's
//! protocol has for errors: RFC 9457 problem details, a gRPC status with details, or OpenAI's error
//! object. It does not decide when they are given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use prost::Message as _;
use serde::Serialize;
use tidegate_contract::check::Verdict;
use tidegate_contract::order::Block;
use tidegate_contract::protocol::Call;
use tidegate_contract::violation::Violation;

/// Letters of a message that goes into a header.
const MAX_MESSAGE_CHARS: usize = 512;
/// Seconds a client is asked to wait at most; a block may be lifted long before it expires.
const MAX_RETRY_AFTER_SECONDS: u64 = 60;

/// An answer in the model's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The gRPC status, where the client asked over gRPC.
    pub grpc: Option<Grpc>,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Statuses of gRPC that the filter answers with (<https://grpc.io/docs/guides/status-codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grpc {
    /// The request broke the contract.
    InvalidArgument = 3,
    /// A block is in force.
    Unavailable = 14,
}

/// In which shape a client expects errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `application/problem+json`.
    Problem,
    /// A gRPC status; its details are `google.rpc` messages.
    Grpc,
    /// OpenAI's error object.
    Openai,
}

impl Shape {
    /// The shape for a call.
    pub fn of(call: &Call) -> Self {
        match (call.is_grpc(), call.is_openai()) {
            (true, _) => Self::Grpc,
            (_, true) => Self::Openai,
            _ => Self::Problem,
        }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    /// Which requests are blocked, where not all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<&'a [Violation]>,
}

/// OpenAI's error object, as its clients read it.
#[derive(Serialize)]
struct OpenaiError<'a> {
    error: OpenaiProblem<'a>,
}

#[derive(Serialize)]
struct OpenaiProblem<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'a str,
}

/// `google.rpc.Status`, with the details that the violations or the wait are.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
    /// The published name of the kind.
    #[prost(string, tag = "3")]
    reason: String,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Duration {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// What a violation says, in a sentence.
fn sentence(violation: &Violation) -> String {
    let subject = if violation.field.is_empty() {
        "the body".to_owned()
    } else {
        format!("field `{}`", violation.field)
    };
    let row = violation.row.map(|row| format!(" in row {row}")).unwrap_or_default();
    format!("{subject}{row}: expected {}, got {}", violation.expected, violation.got)
}

/// `400`: the request broke the contract.
pub fn refused(model: &str, verdict: &Verdict, shape: Shape) -> Answer {
    let first = verdict.violations.first();
    let detail = first.map_or_else(
        || "the body cannot be read as the model's protocol says".to_owned(),
        sentence,
    );
    match shape {
        Shape::Problem => problem(
            &Problem {
                r#type: "urn:tidegate:problem:contract-violation",
                title: "the request breaks the model's contract",
                status: 400,
                detail,
                model,
                decision: None,
                segment: None,
                violation_count: Some(verdict.count),
                violations: Some(&verdict.violations),
            },
            None,
        ),
        Shape::Openai => {
            let code = first.map_or("BODY_UNREADABLE", |violation| violation.kind.name());
            let param = first.map(|it| it.field.as_str()).filter(|field| !field.is_empty());
            openai(400, "invalid_request_error", &detail, param, code, None)
        }
        Shape::Grpc => {
            let violations = verdict.violations.iter().map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: sentence(violation),
                reason: violation.kind.name().to_owned(),
            });
            let details = BadRequest { field_violations: violations.collect() }.encode_to_vec();
            grpc(Grpc::InvalidArgument, &detail, "google.rpc.BadRequest", details)
        }
    }
}

/// A block decision answers until its end: with its fixed answer, or with `503`. Times in seconds since
/// the epoch.
///
/// gRPC has no place for a body of HTTP, so there a fixed answer is the status `UNAVAILABLE` as well.
pub fn blocked(model: &str, block: &Block, now_seconds: u64, shape: Shape) -> Answer {
    if let (Some(answer), Shape::Problem | Shape::Openai) = (&block.answer, shape) {
        let mut headers = vec![("content-type", answer.content_type.clone())];
        headers.extend(retry_after(block.retry_after_seconds.map(u64::from)));
        let body = answer.body.clone().into_bytes();
        return Answer { status: answer.status, grpc: None, headers, body };
    }
    let left = block.until_unix_seconds.saturating_sub(now_seconds);
    let wait = block
        .retry_after_seconds
        .map_or(left.clamp(1, MAX_RETRY_AFTER_SECONDS), |seconds| u64::from(seconds).max(1));
    match shape {
        Shape::Problem => {
            let title = match block.segment {
                None => "the model is blocked",
                Some(_) => "requests like this one are blocked",
            };
            let problem_of = Problem {
                r#type: "urn:tidegate:problem:blocked",
                title,
                status: 503,
                detail: block.reason.clone(),
                model,
                decision: Some(&block.decision),
                segment: block.segment.as_ref().map(ToString::to_string),
                violation_count: None,
                violations: None,
            };
            problem(&problem_of, Some(wait))
        }
        Shape::Openai => {
            openai(503, "server_error", &block.reason, None, &block.decision, Some(wait))
        }
        Shape::Grpc => {
            let seconds = i64::try_from(wait).unwrap_or(i64::MAX);
            let delay = RetryInfo { retry_delay: Some(Duration { seconds }) }.encode_to_vec();
            let message = format!("{} ({})", block.reason, block.decision);
            grpc(Grpc::Unavailable, &message, "google.rpc.RetryInfo", delay)
        }
    }
}

fn retry_after(seconds: Option<u64>) -> Option<(&'static str, String)> {
    seconds.map(|seconds| ("retry-after", seconds.to_string()))
}

fn problem(problem: &Problem<'_>, retry_after_seconds: Option<u64>) -> Answer {
    json(problem.status, "application/problem+json", problem, retry_after_seconds)
}

fn openai(
    status: u16,
    r#type: &'static str,
    message: &str,
    param: Option<&str>,
    code: &str,
    retry_after_seconds: Option<u64>,
) -> Answer {
    let error = OpenaiError { error: OpenaiProblem { message, r#type, param, code } };
    json(status, "application/json", &error, retry_after_seconds)
}

fn json(
    status: u16,
    content_type: &'static str,
    body: &impl Serialize,
    retry_after_seconds: Option<u64>,
) -> Answer {
    let mut headers = vec![("content-type", content_type.to_owned())];
    headers.extend(retry_after(retry_after_seconds));
    // Texts and numbers always have a JSON form; an empty body is still a refusal.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Answer { status, grpc: None, headers, body }
}

/// A status whose message the host puts into `grpc-message`, and whose details go beside it.
fn grpc(code: Grpc, message: &str, detail: &str, value: Vec<u8>) -> Answer {
    let message: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    let detail = Any { type_url: format!("type.googleapis.com/{detail}"), value };
    let status = Status { code: code as i32, message: message.clone(), details: vec![detail] };
    let details = BASE64.encode(status.encode_to_vec());
    Answer {
        status: 200,
        grpc: Some(code),
        headers: vec![("grpc-status-details-bin", details)],
        body: message.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidegate_contract::violation::Kind;

    fn body(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn block() -> Block {
        Block {
            decision: "d-1".into(),
            reason: "drift".into(),
            until_unix_seconds: 1030,
            segment: None,
            retry_after_seconds: None,
            answer: None,
        }
    }

    #[test]
    fn a_refusal_names_field_row_expected_and_got() {
        let verdict = Verdict {
            violations: vec![Violation {
                kind: Kind::FloatTypeStringNotFloat,
                field: "wage".into(),
                row: Some(3),
                expected: "a number".into(),
                got: "\"10k\"".into(),
            }],
            count: 40,
            ..Verdict::default()
        };
        let answer = refused("census", &verdict, Shape::Problem);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.headers, [("content-type", "application/problem+json".to_owned())]);
        assert_eq!(
            body(&answer),
            json!({
                "type": "urn:tidegate:problem:contract-violation",
                "title": "the request breaks the model's contract",
                "status": 400,
                "detail": "field `wage` in row 3: expected a number, got \"10k\"",
                "model": "census",
                "violation_count": 40,
                "violations": [{"kind": "FLOAT_TYPE_STRING_NOT_FLOAT", "field": "wage", "row": 3,
                    "expected": "a number", "got": "\"10k\""}],
            })
        );
    }

    #[test]
    fn a_block_says_which_decision_and_when_to_ask_again() {
        let block = block();
        let answer = blocked("census", &block, 1000, Shape::Problem);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers[1], ("retry-after", "30".to_owned()));
        assert_eq!(body(&answer)["decision"], "d-1");
        assert_eq!(blocked("census", &block, 0, Shape::Problem).headers[1].1, "60");
    }

    #[test]
    fn a_block_of_a_segment_names_it_and_the_wait_that_was_asked_for() {
        let segment = Some("age >= 55".parse().unwrap());
        let block = Block { segment, retry_after_seconds: Some(120), ..block() };
        let answer = blocked("census", &block, 1000, Shape::Problem);
        assert_eq!(answer.headers[1], ("retry-after", "120".to_owned()));
        assert_eq!(body(&answer)["segment"], "age >= 55");
        assert_eq!(body(&answer)["title"], "requests like this one are blocked");
        let grpc = blocked("census", &block, 1000, Shape::Grpc);
        let details = BASE64.decode(&grpc.headers[0].1).unwrap();
        let status = Status::decode(&details[..]).unwrap();
        let wait = RetryInfo::decode(&status.details[0].value[..]).unwrap();
        assert_eq!(wait.retry_delay, Some(Duration { seconds: 120 }));
    }

    #[test]
    fn a_fixed_answer_is_given_as_it_is_where_http_can_carry_it() {
        let answer = tidegate_contract::order::FixedAnswer {
            status: 200,
            content_type: "text/plain".into(),
            body: "later".into(),
        };
        let block = Block { answer: Some(answer), ..block() };
        for shape in [Shape::Problem, Shape::Openai] {
            let answer = blocked("census", &block, 1000, shape);
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"later"[..]));
            assert_eq!(answer.headers, [("content-type", "text/plain".to_owned())]);
        }
        let grpc = blocked("census", &block, 1000, Shape::Grpc);
        assert_eq!((grpc.status, grpc.grpc), (200, Some(Grpc::Unavailable)));
    }

    #[test]
    fn every_protocol_is_answered_in_its_own_shape() {
        let verdict = Verdict {
            violations: vec![Violation {
                kind: Kind::IntTypeBigInt,
                field: "age".into(),
                row: None,
                expected: "integer".into(),
                got: "999".into(),
            }],
            count: 1,
            ..Verdict::default()
        };
        let openai = refused("llm", &verdict, Shape::Openai);
        assert_eq!(openai.status, 400);
        assert_eq!(body(&openai)["error"]["param"], "age");
        assert_eq!(body(&openai)["error"]["code"], "INT_TYPE_BIG_INT");
        let grpc = refused("census", &verdict, Shape::Grpc);
        assert_eq!((grpc.status, grpc.grpc), (200, Some(Grpc::InvalidArgument)));
        assert_eq!(grpc.body, b"field `age`: expected integer, got 999");
        let details = BASE64.decode(&grpc.headers[0].1).unwrap();
        let status = Status::decode(&details[..]).unwrap();
        let bad = BadRequest::decode(&status.details[0].value[..]).unwrap();
        assert_eq!(bad.field_violations[0].reason, "INT_TYPE_BIG_INT");
        let block = block();
        let blocked = blocked("census", &block, 1000, Shape::Grpc);
        assert_eq!(blocked.grpc, Some(Grpc::Unavailable));
    }
}
