//! A violation: one way in which a payload broke its contract. It does not know what is done about it.

use serde::{Deserialize, Serialize};

/// One named breach of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// What kind of breach, by its published name.
    pub kind: Kind,
    /// The field that broke, empty when the whole body did.
    pub field: String,
    /// The row within the request, from 0; `None` when the breach is of the whole field or body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// What the contract asks for, in words.
    pub expected: String,
    /// What came, shortened to a bound.
    pub got: String,
}

/// The kinds of breach. The names are those of TensorFlow Data Validation's anomalies where one
/// exists (`tensorflow_metadata/proto/v0/anomalies.proto`); ours are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// A whole number above the field's maximum.
    IntTypeBigInt,
    /// A whole number below the field's minimum.
    IntTypeSmallInt,
    /// A whole number was expected, another type came.
    IntTypeIntExpected,
    /// A text that is not a whole number, where one was expected.
    IntTypeNotIntString,
    /// A number above the field's maximum.
    FloatTypeBigFloat,
    /// A number below the field's minimum.
    FloatTypeSmallFloat,
    /// A number was expected, another type came.
    FloatTypeNotFloat,
    /// A text came where a number was expected.
    FloatTypeStringNotFloat,
    /// A floating-point value that is no number.
    FloatTypeHasNan,
    /// An infinite floating-point value.
    FloatTypeHasInf,
    /// A whole number came where a category was expected.
    EnumTypeIntNotString,
    /// A fractional number came where a category was expected.
    EnumTypeFloatNotString,
    /// Any other type came where a category was expected.
    EnumTypeBytesNotString,
    /// A category that the contract does not list.
    EnumTypeUnexpectedStringValues,
    /// Text that is not UTF-8.
    EnumTypeInvalidUtf8,
    /// Another type than a boolean came where one was expected.
    BoolTypeUnexpectedString,
    /// A null where the contract allows none.
    FeatureTypeNotPresent,
    /// A field that the contract does not know.
    SchemaNewColumn,
    /// A required field is missing.
    SchemaMissingColumn,
    /// The declared datatype is not the contract's.
    UnexpectedDataType,
    /// The shape, or its rank, is not the contract's.
    InvalidFeatureShape,
    /// More or fewer values than the shape's product.
    FeatureTypeHighNumberValues,
    /// Fewer values than the shape's product.
    FeatureTypeLowNumberValues,
    /// Ours: a number written as text, such as `"42"`, where a number was expected.
    NumberAsText,
    /// Ours: a text that is not in the field's format.
    FormatMismatch,
    /// Ours: the same field twice in one row or request.
    FieldRepeated,
    /// Ours: the body is not what the protocol says (bad JSON, wrong envelope, cut short).
    BodyUnreadable,
    /// Ours: the body nests deeper than the reader's bound.
    BodyTooDeep,
}
