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
/// string is ignored. Servers that unescape a path before they route it (all that stand on ASGI)
/// take an escaped slash for a slash, so it is one here, where the path is no request otherwise.
pub fn infer_target(method: &str, path: &str) -> Option<Target> {
    if method != "POST" {
        return None;
    }
    target(without_query(path), decoded).or_else(|| target(&unescaped(path)?, plain))
}

/// The path without its query, as a server reads it that unescapes before it routes; `None` when
/// nothing is escaped, or what is escaped is not UTF-8.
pub fn unescaped(path: &str) -> Option<String> {
    let path = without_query(path);
    if path.contains('%') { decoded(path) } else { None }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn target(path: &str, name: fn(&str) -> Option<String>) -> Option<Target> {
    let addressed = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
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
    fn what_is_escaped_means_what_servers_make_of_it() {
        let named = |version: Option<&str>| Some(("census".to_owned(), version.map(str::to_owned)));
        assert_eq!(read("/v2/models/census%2Finfer"), named(None));
        assert_eq!(read("/v2/models/census/versions/3%2finfer?a=%2F"), named(Some("3")));
        assert_eq!(read("/%76%32/models%2Fcensus/%69nfer"), named(None));
        assert_eq!(unescaped("/v2/models/census?a=%2F"), None);
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
