//! Problems: the answers that the filter gives in the model's place, as RFC 9457 problem details.
//! It does not decide when they are given.

use serde::Serialize;
use tidegate_contract::check::Verdict;
use tidegate_contract::plugin::Block;
use tidegate_contract::violation::Violation;

/// Seconds a client is asked to wait at most; a block may be lifted long before it expires.
const MAX_RETRY_AFTER_SECONDS: u64 = 60;

/// An answer in the model's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<&'a [Violation]>,
}

/// `400`: the request broke the contract.
pub fn refused(model: &str, verdict: &Verdict) -> Answer {
    let detail = verdict.violations.first().map_or_else(
        || "the body cannot be read as the model's protocol says".to_owned(),
        |first| {
            let subject = if first.field.is_empty() {
                "the body".to_owned()
            } else {
                format!("field `{}`", first.field)
            };
            let row = first.row.map(|row| format!(" in row {row}")).unwrap_or_default();
            format!("{subject}{row}: expected {}, got {}", first.expected, first.got)
        },
    );
    answer(
        &Problem {
            r#type: "urn:tidegate:problem:contract-violation",
            title: "the request breaks the model's contract",
            status: 400,
            detail,
            model,
            decision: None,
            violation_count: Some(verdict.count),
            violations: Some(&verdict.violations),
        },
        None,
    )
}

/// `503`: a block decision answers until its end. Times in seconds since the epoch.
pub fn blocked(model: &str, block: &Block, now_seconds: u64) -> Answer {
    let left = block.until_unix_seconds.saturating_sub(now_seconds);
    answer(
        &Problem {
            r#type: "urn:tidegate:problem:blocked",
            title: "the model is blocked",
            status: 503,
            detail: block.reason.clone(),
            model,
            decision: Some(&block.decision),
            violation_count: None,
            violations: None,
        },
        Some(left.clamp(1, MAX_RETRY_AFTER_SECONDS)),
    )
}

fn answer(problem: &Problem<'_>, retry_after_seconds: Option<u64>) -> Answer {
    let mut headers = vec![("content-type", "application/problem+json".to_owned())];
    if let Some(seconds) = retry_after_seconds {
        headers.push(("retry-after", seconds.to_string()));
    }
    // Texts and numbers always have a JSON form; an empty body is still a refusal.
    let body = serde_json::to_vec(problem).unwrap_or_default();
    Answer { status: problem.status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidegate_contract::violation::Kind;

    fn body(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.body).unwrap()
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
        let answer = refused("census", &verdict);
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
        let block =
            Block { decision: "d-1".into(), reason: "drift".into(), until_unix_seconds: 1030 };
        let answer = blocked("census", &block, 1000);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers[1], ("retry-after", "30".to_owned()));
        assert_eq!(body(&answer)["decision"], "d-1");
        assert_eq!(blocked("census", &block, 0).headers[1].1, "60");
    }
}
