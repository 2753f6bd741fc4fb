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
    /// Whether fields that are not listed are fine.
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

impl FieldType {
    /// The type as it is written in a contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Boolean => "boolean",
        }
    }
}

impl Datatype {
    /// All datatypes, as the protocol writes them.
    pub const NAMES: [(&'static str, Self); 14] = [
        ("BOOL", Self::Bool),
        ("UINT8", Self::Uint8),
        ("UINT16", Self::Uint16),
        ("UINT32", Self::Uint32),
        ("UINT64", Self::Uint64),
        ("INT8", Self::Int8),
        ("INT16", Self::Int16),
        ("INT32", Self::Int32),
        ("INT64", Self::Int64),
        ("FP16", Self::Fp16),
        ("FP32", Self::Fp32),
        ("FP64", Self::Fp64),
        ("BYTES", Self::Bytes),
        ("BF16", Self::Bf16),
    ];

    /// Reads the protocol's name; `None` for a name it does not have.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, datatype)| *datatype)
    }

    /// The protocol's name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// The least and the greatest whole number it can hold; `None` if it is not for whole numbers.
    pub fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Uint8 => Some((0, u8::MAX.into())),
            Self::Uint16 => Some((0, u16::MAX.into())),
            Self::Uint32 => Some((0, u32::MAX.into())),
            Self::Uint64 => Some((0, u64::MAX.into())),
            Self::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Int64 => Some((i64::MIN.into(), i64::MAX.into())),
            Self::Bool | Self::Fp16 | Self::Fp32 | Self::Fp64 | Self::Bytes | Self::Bf16 => None,
        }
    }

    /// Whether values of a type can be sent in it. Whole numbers fit floating point too.
    pub fn carries(self, kind: FieldType) -> bool {
        match kind {
            FieldType::Integer | FieldType::Number => !matches!(self, Self::Bool | Self::Bytes),
            FieldType::Text => self == Self::Bytes,
            FieldType::Boolean => self == Self::Bool,
        }
    }
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
