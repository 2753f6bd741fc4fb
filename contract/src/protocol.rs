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

/// Reads `POST /v2/models/{m}[/versions/{v}]/infer`; `None` for every other request. A query
/// string is ignored.
pub fn infer_target(method: &str, path: &str) -> Option<Target> {
    if method != "POST" {
        return None;
    }
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let addressed = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
    let mut segments = addressed.split('/');
    let model = decoded(segments.next()?)?;
    let version = match (segments.next(), segments.next()) {
        (None, None) => None,
        (Some("versions"), Some(version)) => Some(decoded(version)?),
        _ => return None,
    };
    segments.next().is_none().then_some(Target { model, version })
}

/// A path segment without its percent-encoding; `None` when it is empty, or not UTF-8 afterwards.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
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
            "/v2/models/bad%2/infer",
            "/v2/models/bad%zz/infer",
            "/v2/models/bad%ff/infer",
            "/v1/models/census/infer",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        assert_eq!(infer_target("GET", "/v2/models/census/infer"), None);
    }
}
