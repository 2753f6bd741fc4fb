//! The protocols a model is asked in. It does not know how their bodies are read.

use serde::{Deserialize, Serialize};

/// How the bodies of a model's route are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Open Inference Protocol (V2) over REST: `POST /v2/models/{m}[/versions/{v}]/infer`.
    Oip,
    /// Plain JSON: one object of named fields, or an array of such objects.
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

/// Reads `POST /v2/models/{m}[/versions/{v}]/{verb}`; `None` for every other request. A query
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
    let (addressed, verb) = path.strip_prefix("/v2/models/")?.rsplit_once('/')?;
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
