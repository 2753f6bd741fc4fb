//! The protocols a model is asked in: which requests ask it something, and how the bodies of the
//! two sides are written then. It does not read bodies.

use serde::{Deserialize, Serialize};

use crate::format::{Format, Layout};

/// How a model's route is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Any of the others, by path and content type; [`Protocol::Json`] where none of them fits.
    #[default]
    Auto,
    /// Open Inference Protocol (V2): `POST /v2/models/{m}[/versions/{v}]/infer` as JSON or with
    /// binary tensors, and gRPC's `ModelInfer` and `ModelStreamInfer`.
    Oip,
    /// KServe and TensorFlow Serving V1: `POST /v1/models/{m}[/versions/{v}]:predict`.
    V1,
    /// MLflow: `POST /invocations`.
    Mlflow,
    /// Chat completions, completions, responses and embeddings of OpenAI's form.
    Openai,
    /// Any other JSON: one object of named fields, or an array of such objects.
    Json,
}

/// Which half of an exchange a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What the client sent.
    Request,
    /// What the model answered.
    Response,
}

/// What the head of a request says of what is asked and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:path`, with its query.
    pub path: &'a str,
    /// `content-type`; empty where there is none.
    pub content_type: &'a str,
    /// `Inference-Header-Content-Length`, where it is a number.
    pub json_bytes: Option<u64>,
}

/// A request that asks a model something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// How its body is written.
    pub request: Format,
    /// How the answer is written, where its head does not say otherwise.
    response: Layout,
}

impl Protocol {
    /// All protocols, as they are written.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("oip", Self::Oip),
        ("v1", Self::V1),
        ("mlflow", Self::Mlflow),
        ("openai", Self::Openai),
        ("json", Self::Json),
    ];

    /// What a request asks; `None` where it asks the model nothing, as metadata and health do.
    pub fn call(self, head: &Head<'_>) -> Option<Call> {
        match self {
            Self::Oip => oip(head),
            Self::V1 => v1(head),
            Self::Mlflow => mlflow(head),
            Self::Openai => openai(head),
            Self::Json => json(head),
            Self::Auto => oip(head)
                .or_else(|| v1(head))
                .or_else(|| mlflow(head))
                .or_else(|| openai(head))
                .or_else(|| json(head)),
        }
    }
}

impl Call {
    fn new(request: Layout, response: Layout, head: &Head<'_>) -> Self {
        let cloud_event = is_media_type(head.content_type, "application/cloudevents+json");
        Self { request: Format { layout: request, cloud_event }, response }
    }

    /// How the answer is written, given its own head.
    pub fn response(&self, content_type: &str, json_bytes: Option<u64>) -> Format {
        let layout = match (self.response, json_bytes) {
            (Layout::Oip, Some(json_bytes)) => Layout::OipBinary { json_bytes },
            (Layout::Openai | Layout::Record, _)
                if is_media_type(content_type, "text/event-stream") =>
            {
                Layout::OpenaiStream
            }
            (layout, _) => layout,
        };
        let cloud_event = is_media_type(content_type, "application/cloudevents+json");
        Format { layout, cloud_event }
    }

    /// Whether it is asked over gRPC, and so answered.
    pub fn is_grpc(&self) -> bool {
        matches!(self.request.layout, Layout::OipGrpc)
    }

    /// Whether it is asked in OpenAI's form, and so answered.
    pub fn is_openai(&self) -> bool {
        self.request.layout == Layout::Openai
    }
}

fn oip(head: &Head<'_>) -> Option<Call> {
    if is_media_type(head.content_type, "application/grpc") {
        // Other methods (health, metadata) ask the model nothing.
        let layout = match without_query(head.path).rsplit('/').next()? {
            "ModelInfer" => Layout::OipGrpc,
            "ModelStreamInfer" => Layout::OipGrpcStream,
            _ => return None,
        };
        return Some(Call::new(Layout::OipGrpc, layout, head));
    }
    infer_target(head.method, head.path)?;
    let request = match head.json_bytes {
        Some(json_bytes) => Layout::OipBinary { json_bytes },
        None => Layout::Oip,
    };
    Some(Call::new(request, Layout::Oip, head))
}

/// The verbs of V1 that ask a model something.
const V1_VERBS: [&str; 4] = ["predict", "classify", "regress", "explain"];

fn v1(head: &Head<'_>) -> Option<Call> {
    let asks = |path: &str| {
        let path = path.strip_suffix('\n').unwrap_or(path);
        let (_, addressed) = path.split_once("/v1/models/")?;
        let (model, verb) = addressed.rsplit_once(':')?;
        (!model.is_empty() && V1_VERBS.contains(&verb)).then_some(())
    };
    by_either_reading(head, asks)?;
    Some(Call::new(Layout::V1, Layout::V1, head))
}

fn mlflow(head: &Head<'_>) -> Option<Call> {
    by_either_reading(head, |path| path.ends_with("/invocations").then_some(()))?;
    let csv = is_media_type(head.content_type, "text/csv");
    let request = if csv { Layout::Csv } else { Layout::Mlflow };
    Some(Call::new(request, Layout::Mlflow, head))
}

/// The ends of the paths that ask an OpenAI-compatible server for something of a model.
const OPENAI_PATHS: [&str; 3] = ["/chat/completions", "/completions", "/embeddings"];

fn openai(head: &Head<'_>) -> Option<Call> {
    by_either_reading(head, |path| {
        OPENAI_PATHS.iter().any(|end| path.ends_with(end)).then_some(())
    })?;
    Some(Call::new(Layout::Openai, Layout::Openai, head))
}

fn json(head: &Head<'_>) -> Option<Call> {
    let asks = matches!(head.method, "POST" | "PUT" | "PATCH");
    // gRPC and files come by POST too, and are not JSON. What calls itself a form may well be JSON:
    // it is what curl says of anything.
    let foreign = ["application/grpc", "multipart/"];
    if !asks || foreign.iter().any(|start| is_media_type(head.content_type, start)) {
        return None;
    }
    let csv = is_media_type(head.content_type, "text/csv");
    let request = if csv { Layout::Csv } else { Layout::Record };
    Some(Call::new(request, Layout::Record, head))
}

/// What `asks` says of the path of a POST, as it is written or as a server reads it that unescapes
/// before it routes.
fn by_either_reading<T>(head: &Head<'_>, asks: impl Fn(&str) -> Option<T>) -> Option<T> {
    if head.method != "POST" {
        return None;
    }
    asks(without_query(head.path)).or_else(|| asks(&unescaped(head.path)?))
}

/// Whether a content type is, or begins with, this media type, in whatever case.
fn is_media_type(content_type: &str, start: &str) -> bool {
    content_type.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}

/// What an inference request of the Open Inference Protocol is addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The model's name, percent-decoded.
    pub model: String,
    /// The version, where the path names one.
    pub version: Option<String>,
}

/// What asks a model: the protocol's verb, and those that servers answer by the same code.
const VERBS: [&str; 4] = ["infer", "infer_stream", "generate", "generate_stream"];

/// Reads `POST …/v2/models/{m}[/versions/{v}]/{verb}`; `None` for every other request. A query
/// string is ignored. Servers that unescape a path before they route it (all that stand on ASGI)
/// take an escaped slash for a slash, so it is one here, where the path is no request otherwise.
/// What is escaped badly stands for itself: no server may understand more than we do.
pub fn infer_target(method: &str, path: &str) -> Option<Target> {
    if method != "POST" {
        return None;
    }
    target(without_query(path), decoded).or_else(|| target(&unescaped(path)?, plain))
}

/// The path without its query, as a server reads it that unescapes before it routes; `None` when
/// nothing is escaped.
pub fn unescaped(path: &str) -> Option<String> {
    let path = without_query(path);
    if path.contains('%') { decoded(path) } else { None }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn target(path: &str, name: fn(&str) -> Option<String>) -> Option<Target> {
    // Routers that match by `$` let a line's end pass.
    let path = path.strip_suffix('\n').unwrap_or(path);
    // A gateway may keep a path of its own before it.
    let (_, addressed) = path.split_once("/v2/models/")?;
    let (addressed, verb) = addressed.rsplit_once('/')?;
    if !VERBS.contains(&verb) {
        return None;
    }
    let mut segments = addressed.split('/');
    let model = name(segments.next()?)?;
    let version = match (segments.next(), segments.next()) {
        (None, None) => None,
        (Some("versions"), Some(version)) => Some(name(version)?),
        _ => return None,
    };
    segments.next().is_none().then_some(Target { model, version })
}

fn plain(segment: &str) -> Option<String> {
    (!segment.is_empty()).then(|| segment.to_owned())
}

/// A text without its percent-encoding; `None` when it is empty.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = match after {
            [high, low, behind @ ..] if byte == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, behind))
            }
            _ => None,
        };
        match escaped {
            Some((byte, behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            None => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<(String, Option<String>)> {
        infer_target("POST", path).map(|target| (target.model, target.version))
    }

    #[test]
    fn infer_paths_name_model_and_version() {
        let named = |model: &str, version: Option<&str>| {
            Some((model.to_owned(), version.map(str::to_owned)))
        };
        assert_eq!(read("/v2/models/census/infer"), named("census", None));
        assert_eq!(read("/v2/models/census/versions/3/infer"), named("census", Some("3")));
        assert_eq!(read("/v2/models/infer/infer?a=/b"), named("infer", None));
        assert_eq!(read("/v2/models/a%20b%2Fc/infer"), named("a b/c", None));
    }

    #[test]
    fn what_is_escaped_means_what_servers_make_of_it() {
        let named = |version: Option<&str>| Some(("census".to_owned(), version.map(str::to_owned)));
        assert_eq!(read("/v2/models/census%2Finfer"), named(None));
        assert_eq!(read("/v2/models/census/versions/3%2finfer?a=%2F"), named(Some("3")));
        assert_eq!(read("/%76%32/models%2Fcensus/%69nfer"), named(None));
        assert_eq!(unescaped("/v2/models/census?a=%2F"), None);
    }

    #[test]
    fn no_spelling_that_a_server_answers_hides_a_request() {
        for path in [
            "/v2/models/census/generate",
            "/v2/models/census/versions/1/infer_stream",
            "/v2/models/census/infer%0A",
            "/v2/models/census/versions/%ff/infer",
            "/v2/models/census/versions/%zz/infer",
            "/v2/models/census/versions/%/infer",
        ] {
            assert!(read(path).is_some(), "{path}");
        }
    }

    fn layouts(protocol: Protocol, path: &str, content_type: &str) -> Option<(Layout, Layout)> {
        let head = Head { method: "POST", path, content_type, json_bytes: None };
        let call = protocol.call(&head)?;
        Some((call.request.layout, call.response("application/json", None).layout))
    }

    #[test]
    fn each_protocol_knows_the_requests_that_ask_a_model() {
        let json = "application/json";
        for (path, content_type, layout) in [
            ("/v2/models/m/infer", json, Layout::Oip),
            ("/serving/team/m/v2/models/m/infer", json, Layout::Oip),
            ("/inference.GRPCInferenceService/ModelInfer", "application/grpc", Layout::OipGrpc),
            ("/v1/models/m:predict", json, Layout::V1),
            ("/v1/models/m/versions/2:predict", json, Layout::V1),
            ("/v1/models/m%3Apredict", json, Layout::V1),
            ("/invocations", json, Layout::Mlflow),
            ("/invocations", "text/csv; charset=utf-8", Layout::Csv),
            ("/v1/chat/completions", json, Layout::Openai),
            ("/v1/embeddings?x", json, Layout::Openai),
            ("/predict", json, Layout::Record),
        ] {
            let (request, _) = layouts(Protocol::Auto, path, content_type).expect(path);
            assert_eq!(request, layout, "{path}");
        }
        for (path, content_type) in [
            ("/inference.GRPCInferenceService/ModelReady", "application/grpc"),
            ("/upload", "multipart/form-data; boundary=x"),
        ] {
            assert_eq!(layouts(Protocol::Auto, path, content_type), None, "{path}");
        }
        assert_eq!(layouts(Protocol::V1, "/v1/models/m", json), None);
        assert_eq!(layouts(Protocol::Mlflow, "/ping", json), None);
    }

    #[test]
    fn the_answer_says_in_its_own_head_how_it_is_written() {
        let head = Head { method: "POST", path: "/v2/models/m/infer", ..Head::default() };
        let call = Protocol::Oip.call(&head).expect("asks");
        let binary = Layout::OipBinary { json_bytes: 9 };
        assert_eq!(call.response("application/octet-stream", Some(9)), Format::plain(binary));
        let head = Head { method: "POST", path: "/v1/completions", ..Head::default() };
        let call = Protocol::Openai.call(&head).expect("asks");
        let stream = Format::plain(Layout::OpenaiStream);
        assert_eq!(call.response("text/event-stream; charset=utf-8", None), stream);
        let head = Head {
            method: "POST",
            path: "/x",
            content_type: "Application/CloudEvents+JSON",
            ..Head::default()
        };
        let call = Protocol::Auto.call(&head).expect("asks");
        assert!(call.request.cloud_event && !call.response("application/json", None).cloud_event);
    }

    #[test]
    fn other_paths_are_nobodys() {
        for path in [
            "",
            "/v2/models/census",
            "/v2/models//infer",
            "/v2/models/census/ready",
            "/v2/models/census/infer/",
            "/v2/models/census/versions/infer",
            "/v2/models/census/versions//infer",
            "/v2/models/census/versions/1/2/infer",
            "/v2/models/census/stages/1/infer",
            "/v1/models/census/infer",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        assert_eq!(infer_target("GET", "/v2/models/census/infer"), None);
    }
}
