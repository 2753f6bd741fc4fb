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

impl Kind {
    /// The published name, such as `INT_TYPE_BIG_INT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntTypeBigInt => "INT_TYPE_BIG_INT",
            Self::IntTypeSmallInt => "INT_TYPE_SMALL_INT",
            Self::IntTypeIntExpected => "INT_TYPE_INT_EXPECTED",
            Self::IntTypeNotIntString => "INT_TYPE_NOT_INT_STRING",
            Self::FloatTypeBigFloat => "FLOAT_TYPE_BIG_FLOAT",
            Self::FloatTypeSmallFloat => "FLOAT_TYPE_SMALL_FLOAT",
            Self::FloatTypeNotFloat => "FLOAT_TYPE_NOT_FLOAT",
            Self::FloatTypeStringNotFloat => "FLOAT_TYPE_STRING_NOT_FLOAT",
            Self::FloatTypeHasNan => "FLOAT_TYPE_HAS_NAN",
            Self::FloatTypeHasInf => "FLOAT_TYPE_HAS_INF",
            Self::EnumTypeIntNotString => "ENUM_TYPE_INT_NOT_STRING",
            Self::EnumTypeFloatNotString => "ENUM_TYPE_FLOAT_NOT_STRING",
            Self::EnumTypeBytesNotString => "ENUM_TYPE_BYTES_NOT_STRING",
            Self::EnumTypeUnexpectedStringValues => "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            Self::EnumTypeInvalidUtf8 => "ENUM_TYPE_INVALID_UTF8",
            Self::BoolTypeUnexpectedString => "BOOL_TYPE_UNEXPECTED_STRING",
            Self::FeatureTypeNotPresent => "FEATURE_TYPE_NOT_PRESENT",
            Self::SchemaNewColumn => "SCHEMA_NEW_COLUMN",
            Self::SchemaMissingColumn => "SCHEMA_MISSING_COLUMN",
            Self::UnexpectedDataType => "UNEXPECTED_DATA_TYPE",
            Self::InvalidFeatureShape => "INVALID_FEATURE_SHAPE",
            Self::FeatureTypeHighNumberValues => "FEATURE_TYPE_HIGH_NUMBER_VALUES",
            Self::FeatureTypeLowNumberValues => "FEATURE_TYPE_LOW_NUMBER_VALUES",
            Self::NumberAsText => "NUMBER_AS_TEXT",
            Self::FormatMismatch => "FORMAT_MISMATCH",
            Self::FieldRepeated => "FIELD_REPEATED",
            Self::BodyUnreadable => "BODY_UNREADABLE",
            Self::BodyTooDeep => "BODY_TOO_DEEP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_the_name_that_it_is_written_by() {
        for kind in [Kind::IntTypeBigInt, Kind::EnumTypeInvalidUtf8, Kind::FloatTypeHasNan] {
            let written = serde_json::to_string(&kind).expect("writes");
            assert_eq!(written, format!("\"{}\"", kind.name()));
        }
    }
}
