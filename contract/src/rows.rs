//! What the readers of the protocols tell about a body, whoever listens. It does not know any
//! protocol, nor what is done with the values.

use crate::json::{self, Scalar, Text};

/// Listens to a reader. A body comes as records of named fields or as tensors, never as both.
pub trait Rows {
    /// A record begins: the next row.
    fn record(&mut self);
    /// The name of the field whose value comes next.
    fn field(&mut self, name: Text<'_>);
    /// The record is whole.
    fn record_end(&mut self);
    /// A tensor begins; its values follow, row by row.
    fn tensor(&mut self, tensor: Tensor<'_>);
    /// The tensor is whole.
    fn tensor_end(&mut self, values: Values);
    /// The value of the field, or the tensor's next value.
    fn scalar(&mut self, value: Scalar<'_>);
    /// An object or array where a value was expected.
    fn nested(&mut self);
    /// The body is whole. Nothing follows.
    fn whole(&mut self);
}

/// What is known of a tensor before its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// Its declared datatype, as written.
    pub datatype: Option<&'a str>,
    /// Its declared shape.
    pub shape: Shape<'a>,
}

/// A tensor's declared shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// None was declared.
    Missing,
    /// Something that is not a list of at most [`MAX_RANK`] counts.
    Malformed,
    /// The extents, the outermost first.
    Known(&'a [u64]),
}

/// How many dimensions a shape may have.
pub const MAX_RANK: usize = 16;

impl Shape<'_> {
    /// How many values one row has: the product of all extents but the first. `None` when it is
    /// not known or past all counting.
    pub fn width(&self) -> Option<u64> {
        match self {
            Shape::Known(extents) => product(extents.get(1..).unwrap_or_default()),
            Shape::Missing | Shape::Malformed => None,
        }
    }

    /// How many values the tensor has; a scalar's empty shape asks for one.
    pub fn size(&self) -> Option<u64> {
        match self {
            Shape::Known(extents) => product(extents),
            Shape::Missing | Shape::Malformed => None,
        }
    }
}

/// A zero anywhere makes the product zero, however large the others are.
fn product(extents: &[u64]) -> Option<u64> {
    if extents.contains(&0) {
        return Some(0);
    }
    extents.iter().try_fold(1_u64, |product, extent| product.checked_mul(*extent))
}

/// Where a tensor's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// They were given, or should have been.
    Here,
    /// In shared memory or behind the JSON, as the binary data extension has it.
    Elsewhere,
}

/// Why a body is not what its protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// Something else stands where the envelope asks for a certain thing.
    #[error("{place} is not {expected}")]
    Envelope {
        /// Which part of the envelope.
        place: &'static str,
        /// What the protocol asks for.
        expected: &'static str,
    },
    /// A part of the envelope is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A part of the envelope came twice; readers differ in which one they take.
    #[error("`{0}` came twice")]
    Twice(&'static str),
    /// Values that came before what describes them, more than are held.
    #[error(
        "more of `data` came before `name`, `datatype` and `shape` than is held; send these three, and \
         send them first"
    )]
    DataTooEarly,
}
