//! The contract: what requests and responses of a model must look like. It does not read payloads.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::MAX_TOKEN_BYTES;
use crate::mistake::{Fault, Mistake};
use crate::rows::MAX_RANK;

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
    /// The shape, `-1` where any extent will do. Without it a tensor may have any, and the field
    /// of a record is one value. Of a record's field it is the shape of one row; a leading `-1`
    /// for the rows may stand before it.
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
    pub format: Option<TextFormat>,
    /// What its numbers count, such as `EUR` or `seconds`; said where one of them is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The names of the places of a row, where a row holds several values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The share of values outside `categories` that a window may have. Where it is above 0, a
    /// single one is no breach.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_unseen_rate: f64,
    /// The share of nulls that a window may have, where null is a value at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_null_rate: Option<f64>,
    /// What becomes of its values in the copy that leaves the proxy. Without it they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<Sensitive>,
    /// What is done about a breach of this field. Without it, what the model's mode says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// What becomes of the values of a field in the copy that leaves the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitive {
    /// They are left out.
    Drop,
    /// A keyed hash stands in their place: equal values stay equal, and nobody without the key can
    /// tell which they were.
    Hash,
}

/// What the filter does when a request breaks the contract, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing but counting it.
    Observe,
    /// It goes through with a header that names the breach.
    Tag,
    /// It goes to the fallback version, with that header.
    Divert,
    /// It is answered with 400 and never reaches the model whole.
    Enforce,
}

impl Contract {
    /// Reads a contract from JSON.
    ///
    /// # Errors
    /// All mistakes at once. A field that cannot be read at all tells only its first.
    pub fn parse(json: &str) -> Result<Self, Vec<Mistake>> {
        let value = serde_json::from_str(json)
            .map_err(|error| vec![Mistake::new("", Fault::Unreadable(error.to_string()))])?;
        Self::from_value(value, "")
    }

    /// Reads a contract that stands at `place` in some greater JSON.
    pub(crate) fn from_value(value: Value, place: &str) -> Result<Self, Vec<Mistake>> {
        let Value::Object(keys) = value else {
            let fault = Fault::Unreadable("is not an object".to_owned());
            return Err(vec![Mistake::new(place, fault)]);
        };
        let mut mistakes = Vec::new();
        let mut contract = Self::default();
        if !keys.contains_key("inputs") {
            mistakes.push(Mistake::new(join(place, "inputs"), Fault::Missing));
        }
        for (key, value) in keys {
            let place = join(place, &key);
            match key.as_str() {
                // For editors.
                "$schema" => {}
                "inputs" => contract.inputs = fields(value, &place, &mut mistakes),
                "outputs" => contract.outputs = fields(value, &place, &mut mistakes),
                "allow_unknown" => match value.as_bool() {
                    Some(allow) => contract.allow_unknown = allow,
                    None => {
                        let fault = Fault::Unreadable("is not true or false".to_owned());
                        mistakes.push(Mistake::new(place, fault));
                    }
                },
                _ => mistakes.push(Mistake::new(
                    place,
                    Fault::UnknownKey("`inputs`, `outputs`, `allow_unknown`"),
                )),
            }
        }
        if mistakes.is_empty() { Ok(contract) } else { Err(mistakes) }
    }

    /// What is wrong with the contract; empty for a good one.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (list, fields) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            let mut names = HashSet::new();
            for (index, field) in fields.iter().enumerate() {
                field.mistakes(&format!("{list}[{index}]"), &mut names, &mut mistakes);
            }
        }
        mistakes
    }
}

fn fields(value: Value, place: &str, mistakes: &mut Vec<Mistake>) -> Vec<Field> {
    let Value::Array(values) = value else {
        mistakes.push(Mistake::new(place, Fault::Unreadable("is not a list".to_owned())));
        return Vec::new();
    };
    let mut names = HashSet::new();
    let mut fields = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let place = format!("{place}[{index}]");
        // Serde would read a list as the keys in their order.
        if !value.is_object() {
            let fault = Fault::Unreadable("is not an object".to_owned());
            mistakes.push(Mistake::new(place, fault));
            continue;
        }
        match serde_json::from_value::<Field>(value) {
            Ok(field) => {
                field.mistakes(&place, &mut names, mistakes);
                fields.push(field);
            }
            Err(error) => mistakes.push(Mistake::new(place, Fault::Unreadable(error.to_string()))),
        }
    }
    fields
}

/// The place of a key within a place.
pub(crate) fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

impl Field {
    /// A required field of which only the type is known.
    pub fn of(name: &str, kind: FieldType) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            datatype: None,
            shape: None,
            required: true,
            nullable: false,
            min: None,
            max: None,
            categories: Vec::new(),
            format: None,
            unit: None,
            columns: Vec::new(),
            max_unseen_rate: 0.0,
            max_null_rate: None,
            sensitive: None,
            mode: None,
        }
    }

    /// Adds what is wrong with the field at `place`, next to the fields of these names.
    fn mistakes(&self, place: &str, names: &mut HashSet<String>, mistakes: &mut Vec<Mistake>) {
        let mut add = |key: &str, fault| mistakes.push(Mistake::new(join(place, key), fault));
        let kind = self.kind.name();
        if self.name.is_empty() {
            add("name", Fault::Empty);
        } else if !names.insert(self.name.clone()) {
            add("name", Fault::Twice(self.name.clone()));
        }
        if let Some(fault) = too_long(&self.name) {
            add("name", fault);
        }
        let ranged = matches!(self.kind, FieldType::Integer | FieldType::Number);
        for (key, bound) in [("min", self.min), ("max", self.max)] {
            if bound.is_some() && !ranged {
                let cure = "only integer and number have a range";
                add(key, Fault::NotForType { kind, cure });
            }
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && (min > max || min.is_nan() || max.is_nan())
        {
            add("min", Fault::Crossed { min, max });
        }
        let rates = [
            ("max_unseen_rate", Some(self.max_unseen_rate)),
            ("max_null_rate", self.max_null_rate),
        ];
        for (key, rate) in rates {
            if let Some(value) = rate.filter(|rate| !(0.0..=1.0).contains(rate)) {
                add(key, Fault::OutOfRange { value, least: 0.0, most: 1.0 });
            }
        }
        if self.max_unseen_rate > 0.0 && self.categories.is_empty() {
            add("max_unseen_rate", Fault::Without("categories"));
        }
        if self.max_null_rate.is_some_and(|rate| rate > 0.0) && !self.nullable {
            add("max_null_rate", Fault::Without("nullable"));
        }
        let mut columns = HashSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            let key = format!("columns[{index}]");
            if column.is_empty() {
                add(&key, Fault::Empty);
            } else if !columns.insert(column) {
                add(&key, Fault::Twice(column.clone()));
            }
        }
        if let (Some(last), count @ 1..) =
            (self.shape.as_ref().and_then(|shape| shape.last()), self.columns.len())
            && *last >= 0
            && u64::try_from(*last).is_ok_and(|last| last != count as u64)
        {
            add("columns", Fault::OtherCount { count, shape: *last });
        }
        if self.kind != FieldType::Text {
            if !self.categories.is_empty() {
                add("categories", Fault::NotForType { kind, cure: "only text has categories" });
            }
            if self.format.is_some() {
                add("format", Fault::NotForType { kind, cure: "only text has a format" });
            }
        }
        let mut known = HashSet::new();
        for (index, category) in self.categories.iter().enumerate() {
            let key = format!("categories[{index}]");
            if !known.insert(category) {
                add(&key, Fault::Twice(category.clone()));
            }
            if let Some(fault) = too_long(category) {
                add(&key, fault);
            }
        }
        if self.datatype.is_some_and(|datatype| !datatype.carries(self.kind)) {
            add("datatype", Fault::CannotCarry(kind));
        }
        let shape = self.shape.as_deref().unwrap_or_default();
        if shape.len() > MAX_RANK {
            add("shape", Fault::TooMany { count: shape.len(), most: MAX_RANK });
        }
        for (index, extent) in shape.iter().enumerate().filter(|(_, extent)| **extent < -1) {
            add(&format!("shape[{index}]"), Fault::BadExtent(*extent));
        }
    }
}

/// The fault of a text that the reader would cut, and so never match.
fn too_long(text: &str) -> Option<Fault> {
    let (length, most) = (text.len(), MAX_TOKEN_BYTES);
    (length > most).then_some(Fault::TooLong { length, most })
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
    /// Bytes that need not be text, such as an image.
    Bytes,
    /// Anything, objects and lists too.
    Any,
}

/// How a text must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextFormat {
    /// `2026-11-23` (ISO 8601).
    Date,
    /// `2026-11-23T08:30:00Z` (RFC 3339).
    DateTime,
    /// A number written as text, such as `42.5`.
    Number,
    /// `01234567-89ab-cdef-0123-456789abcdef` (RFC 9562).
    Uuid,
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
    /// Whether texts are its values.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Bytes)
    }

    /// The type as it is written in a contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Bytes => "bytes",
            Self::Any => "any",
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

    /// Reads the protocol's name, in whatever case: KServe takes all. `None` for a name it does not
    /// have.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, datatype)| *datatype)
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
            FieldType::Text | FieldType::Bytes => self == Self::Bytes,
            FieldType::Boolean => self == Self::Bool,
            FieldType::Any => true,
        }
    }

    /// Its number in [`Datatype::NAMES`].
    pub(crate) fn code(self) -> u8 {
        let place = Self::NAMES.iter().position(|(_, known)| *known == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
    }

    /// The datatype of a number in [`Datatype::NAMES`].
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::NAMES.get(usize::from(code)).map(|(_, datatype)| *datatype)
    }

    /// How many bytes a value takes; `None` for BYTES, whose values say their length.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
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
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape serde asks for
fn is_no(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(json: &str) -> Vec<String> {
        Contract::parse(json)
            .map_or_else(|found| found.iter().map(Mistake::to_string).collect(), |_| Vec::new())
    }

    #[test]
    fn a_contract_is_short_to_write() {
        let contract = Contract::parse(
            r#"{"inputs": [
                {"name": "age", "type": "integer", "min": 0, "max": 120},
                {"name": "sex", "type": "text", "categories": ["F", "M"], "nullable": true},
                {"name": "x", "type": "number", "datatype": "FP32", "shape": [-1, 4]}
            ]}"#,
        )
        .expect("good");
        assert!(contract.inputs[0].required && !contract.inputs[0].nullable);
        let written = serde_json::to_string(&contract).expect("writes");
        assert_eq!(Contract::parse(&written), Ok(contract));
        assert!(Contract::parse(r#"{"$schema": "x", "inputs": []}"#).is_ok());
    }

    #[test]
    fn the_published_schema_knows_what_is_read_and_nothing_else() {
        let schema: Value =
            serde_json::from_str(include_str!("../contract.schema.json")).expect("JSON");
        let known = |place: &str| {
            let keys = schema.pointer(place).and_then(Value::as_object).expect("an object");
            keys.keys().filter(|key| *key != "$schema").cloned().collect::<Vec<_>>()
        };
        let field = Field {
            datatype: Some(Datatype::Int8),
            shape: Some(vec![1]),
            required: false,
            nullable: true,
            min: Some(0.0),
            max: Some(1.0),
            categories: vec!["a".into()],
            format: Some(TextFormat::Uuid),
            unit: Some("EUR".into()),
            columns: vec!["a".into()],
            max_unseen_rate: 0.5,
            max_null_rate: Some(0.5),
            sensitive: Some(Sensitive::Hash),
            mode: Some(Mode::Tag),
            ..Field::of("a", FieldType::Any)
        };
        let contract =
            Contract { inputs: vec![field.clone()], outputs: vec![field], allow_unknown: true };
        let written = serde_json::to_value(&contract).expect("writes");
        let keys = |value: &Value| {
            value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(&written), known("/properties"));
        assert_eq!(keys(&written["inputs"][0]), known("/$defs/field/properties"));
        for (place, words) in [
            ("/$defs/field/properties/type/enum", 6),
            ("/$defs/field/properties/datatype/enum", Datatype::NAMES.len()),
            ("/$defs/field/properties/mode/enum", 4),
        ] {
            assert_eq!(schema.pointer(place).and_then(Value::as_array).map(Vec::len), Some(words));
        }
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_places() {
        let found = mistakes(
            r#"{"inputs": [
                {"name": "a", "type": "integer", "min": 3, "max": 1, "categories": ["x"]},
                {"name": "a", "type": "text", "min": 0, "categories": ["x", "x"]},
                {"name": "", "type": "number", "format": "date", "datatype": "BYTES"},
                {"name": "s", "type": "number", "shape": [-2, 4]},
                {"name": "t", "type": "nunber"},
                {"name": "u", "type": "text", "categroies": []}
            ], "outputs": {}, "allow": true}"#,
        );
        let places: Vec<&str> =
            found.iter().map(|line| line.split(": ").next().unwrap_or("")).collect();
        assert_eq!(
            places,
            [
                "allow",
                "inputs[0].min",
                "inputs[0].categories",
                "inputs[1].name",
                "inputs[1].min",
                "inputs[1].categories[1]",
                "inputs[2].name",
                "inputs[2].format",
                "inputs[2].datatype",
                "inputs[3].shape[0]",
                "inputs[4]",
                "inputs[5]",
                "outputs",
            ],
            "{found:#?}"
        );
    }

    #[test]
    fn names_and_categories_longer_than_the_reader_keeps_are_refused() {
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        let found = mistakes(&format!(
            r#"{{"inputs": [{{"name": "{long}", "type": "text", "categories": ["{long}"]}}]}}"#
        ));
        assert_eq!(found.len(), 2, "{found:#?}");
    }

    #[test]
    fn what_is_no_contract_says_so() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"inputs": 3}"#,
            r#"{"inputs": [["a", "text"]]}"#,
            r#"{"inputs": [], "allow_unknown": 1}"#,
        ] {
            assert_eq!(mistakes(json).len(), 1, "{json}");
        }
    }

    #[test]
    fn a_contract_made_in_code_is_checked_the_same() {
        let mut contract =
            Contract::parse(r#"{"inputs": [{"name": "a", "type": "number"}]}"#).expect("good");
        assert_eq!(contract.mistakes(), []);
        contract.inputs[0].min = Some(f64::NAN);
        contract.inputs[0].max = Some(1.0);
        assert_eq!(contract.mistakes()[0].place, "inputs[0].min");
    }

    #[test]
    fn every_datatype_has_one_name() {
        for (name, datatype) in Datatype::NAMES {
            assert_eq!(Datatype::parse(name), Some(datatype));
            assert_eq!(datatype.name(), name);
            assert_eq!(serde_json::to_value(datatype).expect("writes"), name);
        }
    }
}
