//! The contract: what requests and responses of a model must look like. It does not read payloads.

use serde::{Deserialize, Serialize};

use crate::mistake::Mistake;

/// What a model's requests and responses must look like. Short enough to be written by hand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Fields (or tensors) of a request.
    pub inputs: Vec<Field>,
    /// Fields (or tensors) of a response; empty means that nothing is asked of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Field>,
    /// Whether inputs that are not listed are fine.
    #[serde(default)]
    pub allow_unknown: bool,
}

/// One named field of a record, or one named tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The name on the wire.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Open Inference Protocol: the exact datatype. Without it, any that can carry `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype: Option<Datatype>,
    /// Open Inference Protocol: the shape, `-1` where any extent will do. Without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<i64>>,
    /// Whether every row (or request) must carry it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
    /// Whether null is a value.
    #[serde(default, skip_serializing_if = "is_no")]
    pub nullable: bool,
    /// The least number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The texts allowed; empty allows any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// How a text must be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

impl Contract {
    /// Reads a contract from JSON.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(_json: &str) -> Result<Self, Vec<Mistake>> {
        todo!()
    }

    /// What is wrong with the contract; empty for a good one.
    pub fn mistakes(&self) -> Vec<Mistake> {
        todo!()
    }
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Whole numbers (`3` and `3.0`).
    Integer,
    /// Any number.
    Number,
    /// Text; a category where `categories` lists them.
    Text,
    /// `true` or `false`.
    Boolean,
}

/// How a text must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `2026-11-23` (ISO 8601).
    Date,
    /// `2026-11-23T08:30:00Z` (RFC 3339).
    DateTime,
}

/// Tensor datatypes of the Open Inference Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
    Bf16,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_yes(value: &bool) -> bool {
    *value
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_no(value: &bool) -> bool {
    !*value
}
