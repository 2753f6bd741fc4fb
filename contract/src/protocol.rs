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
pub fn infer_target(_method: &str, _path: &str) -> Option<Target> {
    todo!()
}
