//! A contract made ready for checking: names sorted, phrases written, categories ordered, once for
//! all the bodies it will be held against. It does not read payloads.

use std::sync::Arc;

use crate::contract::{Contract, Datatype, Field, FieldType, Mode, Sensitive, TextFormat};
use crate::dates;
use crate::interval::Interval;
use crate::json::{Form, Number, Plain, Scalar, Text};
use crate::lone::Lone;
use crate::protocol::Side;
use crate::rows::{self, Raw, Shape};
use crate::violation::Kind;
use crate::words::{Lookup, same};

/// A contract, resolved. Build it once, share it in an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    requests: Arc<Fields>,
    responses: Arc<Fields>,
}

/// What is asked of one side of an exchange.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fields {
    pub(crate) fields: Vec<Rule>,
    /// Places in `fields`, in the order of names.
    by_name: Vec<usize>,
    /// Places of required fields, a bit each.
    pub(crate) required: Vec<u64>,
    pub(crate) allow_unknown: bool,
    /// The tensor that a body without a name can be.
    pub(crate) lone: Option<Lone>,
    /// Names of objects and lists that fields stand in, in order: `a` and `a[]` of `a[].b`.
    parents: Vec<Box<str>>,
}

/// What is asked of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    /// The name as a key of JSON with its colon, where nothing in it must be escaped.
    pub(crate) key: Option<Box<[u8]>>,
    /// Whether a record has one value of it, and no list.
    pub(crate) simple: bool,
    pub(crate) required: bool,
    pub(crate) datatype: Option<Datatype>,
    /// What is asked of a value, in words.
    pub(crate) expected: Box<str>,
    kind: FieldType,
    shape: Option<Box<[i64]>>,
    nullable: bool,
    min: Option<f64>,
    max: Option<f64>,
    /// Empty where any text will do, or a single unseen one is no breach.
    categories: Lookup,
    format: Option<TextFormat>,
    /// What becomes of its values in the copy that leaves the proxy; these may not be told either.
    pub(crate) sensitive: Option<Sensitive>,
    /// What is done about a breach, where the field says so itself.
    pub(crate) mode: Option<Mode>,
}

impl Rules {
    /// Resolves a contract. Total: [`Contract::mistakes`] says what is wrong with one.
    pub fn of(contract: &Contract) -> Self {
        Self {
            requests: Arc::new(Fields::of(&contract.inputs, contract.allow_unknown)),
            responses: Arc::new(Fields::of(&contract.outputs, contract.allow_unknown)),
        }
    }

    /// The name of the field at this place of a side.
    pub fn field_name(&self, side: Side, place: usize) -> &str {
        self.of_side(side).fields.get(place).map_or("", |field| &field.name)
    }

    /// What may be done about breaches of a request, where this is what the model's mode says.
    pub fn modes(&self, model: Mode) -> impl Iterator<Item = Mode> {
        let fields = self.requests.fields.iter();
        fields.filter_map(|field| field.mode).chain([model])
    }

    /// Whether any field of either side is sensitive.
    pub fn has_sensitive(&self) -> bool {
        let fields = self.requests.fields.iter().chain(&self.responses.fields);
        fields.into_iter().any(|field| field.sensitive.is_some())
    }

    pub(crate) fn of_side(&self, side: Side) -> &Arc<Fields> {
        match side {
            Side::Request => &self.requests,
            Side::Response => &self.responses,
        }
    }
}

impl Fields {
    fn of(fields: &[Field], allow_unknown: bool) -> Self {
        let lone = Lone::of(fields);
        let fields: Vec<Rule> = fields.iter().map(Rule::of).collect();
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.sort_by(|a, b| fields[*a].name.cmp(&fields[*b].name));
        let mut required = vec![0; fields.len().div_ceil(64)];
        for (place, _) in fields.iter().enumerate().filter(|(_, field)| field.required) {
            required[place / 64] |= 1 << (place % 64);
        }
        let mut parents: Vec<Box<str>> =
            fields.iter().flat_map(|field| parents(&field.name)).map(Into::into).collect();
        parents.sort_unstable();
        parents.dedup();
        Self { fields, by_name, required, allow_unknown, lone, parents }
    }

    /// Whether fields stand in the object, or in the objects of the list, of this name.
    pub(crate) fn is_parent(&self, name: &str) -> bool {
        self.parents.binary_search_by(|parent| (**parent).cmp(name)).is_ok()
    }

    /// The place of a field. `hint` is tried first: senders mostly keep the contract's order.
    pub(crate) fn find(&self, name: Text<'_>, hint: usize) -> Option<usize> {
        if name.cut {
            return None;
        }
        if self
            .fields
            .get(hint)
            .is_some_and(|field| same(field.name.as_bytes(), name.text.as_bytes()))
        {
            return Some(hint);
        }
        let place =
            self.by_name.binary_search_by(|index| (*self.fields[*index].name).cmp(name.text));
        place.ok().map(|place| self.by_name[place])
    }
}

/// What a name stands in, the outermost first: `a` and `a[]` for `a[].b`.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    let ends = name
        .char_indices()
        .filter(|(at, letter)| *letter == '.' || *letter == '[' && name[*at..].starts_with("[]"));
    ends.map(|(at, _)| &name[..at])
}

/// A name as a key of JSON with its colon, where nothing in it must be escaped.
pub(crate) fn key(name: &str) -> Option<Box<[u8]>> {
    let escaped = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\');
    (!name.bytes().any(escaped)).then(|| format!("\"{name}\":").into_bytes().into())
}

/// Numbers of which none is wrong.
pub(crate) const ANY_NUMBER: Plain =
    Plain { whole: false, max_digits: u32::MAX, negative: true, range: None };

impl Rule {
    fn of(field: &Field) -> Self {
        let listed = if field.max_unseen_rate > 0.0 { &[] } else { field.categories.as_slice() };
        let rule = Self {
            name: field.name.as_str().into(),
            key: key(&field.name),
            simple: false,
            required: field.required,
            datatype: field.datatype,
            expected: phrase(field).into(),
            kind: field.kind,
            shape: field.shape.as_deref().map(Into::into),
            nullable: field.nullable,
            min: field.min,
            max: field.max,
            categories: Lookup::new(listed.iter().map(String::as_str)),
            format: field.format,
            sensitive: field.sensitive,
            mode: field.mode,
        };
        Self { simple: rule.rank() == Some(0), ..rule }
    }

    /// Which numbers cannot break the rule, in a tensor of this datatype or in a record.
    pub(crate) fn plain(&self, datatype: Option<Datatype>) -> Option<Plain> {
        let whole = match self.kind {
            FieldType::Any => return Some(ANY_NUMBER),
            FieldType::Integer => true,
            FieldType::Number => false,
            FieldType::Text | FieldType::Boolean | FieldType::Bytes => return None,
        };
        let bounded = self.min.is_some() || self.max.is_some();
        let bounds = (self.min.unwrap_or(f64::MIN), self.max.unwrap_or(f64::MAX));
        let range = bounded.then_some(bounds);
        let Some((least, greatest)) = datatype.and_then(Datatype::range) else {
            return Some(Plain { whole, range, ..ANY_NUMBER });
        };
        // So many digits always fit: one less than the greatest has.
        let max_digits = greatest.checked_ilog10().unwrap_or(0);
        Some(Plain { whole: true, max_digits, negative: least < 0, range })
    }

    /// The rank that the value of a record's field must have; `None` where any will do.
    pub(crate) fn rank(&self) -> Option<usize> {
        (self.kind != FieldType::Any).then(|| self.row_shape().len())
    }

    /// The shape of one row: without the leading `-1` for the rows.
    pub(crate) fn row_shape(&self) -> &[i64] {
        match self.shape.as_deref() {
            Some([-1, row @ ..]) if !row.is_empty() => row,
            Some(shape) => shape,
            None => &[],
        }
    }

    /// The shape of one row of a tensor; `None` where any will do.
    pub(crate) fn tensor_row_shape(&self) -> Option<&[i64]> {
        self.shape.as_deref().map(|shape| shape.get(1..).unwrap_or_default())
    }

    /// How a value of a raw tensor breaks the rule, if it does. The datatype is one the rule takes.
    pub(crate) fn breach_raw(&self, number: rows::Number) -> Option<Kind> {
        let value = match number {
            rows::Number::Bool(_) => return None,
            rows::Number::Whole(value) => value as f64,
            rows::Number::Float(value) => value,
        };
        if self.kind == FieldType::Any {
            return None;
        }
        if value.is_nan() {
            return (!self.nullable).then_some(Kind::FloatTypeHasNan);
        }
        if value.is_infinite() {
            return Some(Kind::FloatTypeHasInf);
        }
        self.in_range(value)
    }

    /// Whether no value of a raw tensor can break the rule; quicker than asking for each.
    pub(crate) fn takes_all(&self, raw: Raw<'_>) -> bool {
        if self.kind == FieldType::Any || raw.datatype() == Datatype::Bool {
            return true;
        }
        let whole = raw.datatype().range().is_some();
        let bounded = self.min.is_some() || self.max.is_some();
        if whole && !bounded {
            return true;
        }
        if self.kind == FieldType::Integer && !whole {
            return false;
        }
        let (least, greatest) = (self.min.unwrap_or(f64::MIN), self.max.unwrap_or(f64::MAX));
        Interval { least, greatest }.holds(raw)
    }

    /// How a value breaks the rule, if it does.
    pub(crate) fn breach(&self, value: &Scalar<'_>) -> Option<Kind> {
        match (value, self.kind) {
            (_, FieldType::Any) => None,
            (Scalar::NotFinite(value), FieldType::Integer | FieldType::Number) => {
                self.breach_raw(rows::Number::Float(*value))
            }
            (Scalar::Null, _) if self.nullable => None,
            (Scalar::Null, _) => Some(Kind::FeatureTypeNotPresent),
            (Scalar::Number(number), FieldType::Integer | FieldType::Number) => self.number(number),
            (Scalar::Text(text), FieldType::Text) => self.text(text),
            (Scalar::Text(_), FieldType::Bytes) => None,
            (Scalar::Bool(_), FieldType::Boolean) => None,
            (Scalar::Text(text), FieldType::Integer | FieldType::Number) if is_number(text) => {
                Some(Kind::NumberAsText)
            }
            (Scalar::Text(_), FieldType::Integer) => Some(Kind::IntTypeNotIntString),
            (Scalar::Text(_), FieldType::Number) => Some(Kind::FloatTypeStringNotFloat),
            (Scalar::Number(number), FieldType::Text) if number.form == Form::Whole => {
                Some(Kind::EnumTypeIntNotString)
            }
            (Scalar::Number(_), FieldType::Text) => Some(Kind::EnumTypeFloatNotString),
            (Scalar::Bool(_) | Scalar::Number(_) | Scalar::NotFinite(_) | Scalar::Text(_), _) => {
                Some(self.other())
            }
        }
    }

    /// The breach of a value of some other type, such as an object.
    pub(crate) fn other(&self) -> Kind {
        match self.kind {
            FieldType::Integer => Kind::IntTypeIntExpected,
            FieldType::Number => Kind::FloatTypeNotFloat,
            FieldType::Text => Kind::EnumTypeBytesNotString,
            FieldType::Boolean => Kind::BoolTypeUnexpectedString,
            FieldType::Bytes | FieldType::Any => Kind::EnumTypeBytesNotString,
        }
    }

    /// How bytes that are no text break the rule, if they do.
    pub(crate) fn breach_bytes(&self) -> Option<Kind> {
        match self.kind {
            FieldType::Bytes | FieldType::Any => None,
            FieldType::Text => Some(Kind::EnumTypeInvalidUtf8),
            _ => Some(self.other()),
        }
    }

    /// Whether texts are its values.
    pub(crate) fn is_text(&self) -> bool {
        self.kind.is_text()
    }

    /// Whether objects and lists are values of the field.
    pub(crate) fn is_any(&self) -> bool {
        self.kind == FieldType::Any
    }

    fn number(&self, number: &Number<'_>) -> Option<Kind> {
        let integer = self.kind == FieldType::Integer;
        if number.cut {
            return Some(self.other());
        }
        let bounded = self.min.is_some() || self.max.is_some();
        // Converting is the dear part. Of unbounded numbers only these can be wrong: a fraction
        // where an integer is asked for, and an exponent past the range of a double.
        if !bounded && (number.form == Form::Whole || !integer && number.form == Form::Fraction) {
            return None;
        }
        self.in_range(number.value()?)
    }

    fn in_range(&self, value: f64) -> Option<Kind> {
        let integer = self.kind == FieldType::Integer;
        if value > self.max.unwrap_or(f64::MAX) {
            return Some(if integer { Kind::IntTypeBigInt } else { Kind::FloatTypeBigFloat });
        }
        if value < self.min.unwrap_or(f64::MIN) {
            return Some(if integer { Kind::IntTypeSmallInt } else { Kind::FloatTypeSmallFloat });
        }
        (integer && value.fract() != 0.0).then_some(Kind::IntTypeIntExpected)
    }

    fn text(&self, text: &Text<'_>) -> Option<Kind> {
        if !self.categories.is_empty() && (text.cut || !self.categories.contains(text.text)) {
            return Some(Kind::EnumTypeUnexpectedStringValues);
        }
        let formed = match self.format {
            None => true,
            Some(TextFormat::Date) => !text.cut && dates::is_date(text.text),
            Some(TextFormat::DateTime) => !text.cut && dates::is_date_time(text.text),
            Some(TextFormat::Number) => is_number(text),
            Some(TextFormat::Uuid) => !text.cut && is_uuid(text.text),
        };
        (!formed).then_some(Kind::FormatMismatch)
    }

    /// Whether the field's values may be sent in this datatype.
    pub(crate) fn takes(&self, datatype: Datatype) -> bool {
        match self.datatype {
            Some(asked) => asked == datatype,
            None => datatype.carries(self.kind),
        }
    }

    /// The datatypes the field takes, in words.
    pub(crate) fn datatypes(&self) -> String {
        match (self.datatype, self.kind) {
            (Some(asked), _) => asked.name().to_owned(),
            (None, FieldType::Integer | FieldType::Number) => "a numeric datatype".to_owned(),
            (None, FieldType::Text | FieldType::Bytes) => Datatype::Bytes.name().to_owned(),
            (None, FieldType::Boolean) => Datatype::Bool.name().to_owned(),
            (None, FieldType::Any) => "a datatype of the V2 protocol".to_owned(),
        }
    }

    /// Whether a declared shape is one the field takes. One whose values cannot be counted never is.
    pub(crate) fn fits(&self, shape: Shape<'_>) -> bool {
        let (extents, asked) = match (shape, self.shape.as_deref()) {
            (Shape::Nested | Shape::Row, _) => return true,
            (Shape::Missing | Shape::Malformed, _) => return false,
            (shape, _) if !shape.is_countable() => return false,
            (_, None) => return true,
            (Shape::Known(extents), Some(asked)) => (extents, asked),
            // How many rows there are is seen at the end.
            (Shape::Open(row), Some([_, asked @ ..])) => (row, asked),
            (Shape::Open(_), Some([])) => return false,
        };
        let fits = |(asked, extent): (&i64, &u64)| is_extent(*asked, *extent);
        asked.len() == extents.len() && asked.iter().zip(extents).all(fits)
    }

    /// Whether a tensor may have so many rows.
    pub(crate) fn takes_rows(&self, rows: u64) -> bool {
        self.shape.as_deref().and_then(<[i64]>::first).is_none_or(|asked| is_extent(*asked, rows))
    }

    /// The shapes the field takes, in words.
    pub(crate) fn shapes(&self) -> String {
        match &self.shape {
            Some(asked) => format!("shape {asked:?}"),
            None => "a shape: a list of counts".to_owned(),
        }
    }
}

/// Whether an extent is the one asked for; any is, where that is below zero.
fn is_extent(asked: i64, extent: u64) -> bool {
    asked < 0 || u64::try_from(asked).is_ok_and(|asked| asked == extent)
}

/// How a number breaks the datatype that its tensor was declared with, if it does.
pub(crate) fn misfit(datatype: Datatype, number: Number<'_>) -> Option<Kind> {
    let (least, greatest) = datatype.range()?;
    let value = if number.form == Form::Whole && !number.cut {
        // 40 digits are past every datatype; an i128 holds fewer.
        number.text.parse::<i128>().unwrap_or(match number.text.starts_with('-') {
            true => i128::MIN,
            false => i128::MAX,
        })
    } else {
        match number.value() {
            Some(value) if value.fract() == 0.0 => value as i128,
            _ => return Some(Kind::IntTypeIntExpected),
        }
    };
    if value > greatest {
        Some(Kind::IntTypeBigInt)
    } else if value < least {
        Some(Kind::IntTypeSmallInt)
    } else {
        None
    }
}

fn is_number(text: &Text<'_>) -> bool {
    // Rust also reads "inf" and "nan", which are not finite.
    !text.cut && text.text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_uuid(text: &str) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match byte {
            b'-' => hyphen(at),
            byte => !hyphen(at) && byte.is_ascii_hexdigit(),
        })
}

/// How many categories a phrase lists.
const LISTED: usize = 8;

fn phrase(field: &Field) -> String {
    let mut phrase = match (field.kind, field.format) {
        (FieldType::Text, Some(TextFormat::Date)) => "date such as 2026-11-23".to_owned(),
        (FieldType::Text, Some(TextFormat::DateTime)) => {
            "date and time such as 2026-11-23T08:30:00Z".to_owned()
        }
        (FieldType::Text, Some(TextFormat::Number)) => "number written as text".to_owned(),
        (FieldType::Text, Some(TextFormat::Uuid)) => "UUID".to_owned(),
        (FieldType::Text, None) if !field.categories.is_empty() => categories(&field.categories),
        (FieldType::Boolean, _) => "true or false".to_owned(),
        (kind, _) => kind.name().to_owned(),
    };
    match (field.min, field.max) {
        (Some(min), Some(max)) => phrase += &format!(" from {} to {}", short(min), short(max)),
        (Some(min), None) => phrase += &format!(" of at least {}", short(min)),
        (None, Some(max)) => phrase += &format!(" of at most {}", short(max)),
        (None, None) => {}
    }
    if let Some(unit) = &field.unit {
        phrase += &format!(" in {}", &unit[..unit.floor_char_boundary(64)]);
    }
    if field.nullable {
        phrase += " or null";
    }
    phrase
}

fn categories(categories: &[String]) -> String {
    let listed: Vec<String> = categories
        .iter()
        .take(LISTED)
        .map(|category| format!("{:?}", &category[..category.floor_char_boundary(64)]))
        .collect();
    let more = categories.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("one of {}{rest}", listed.join(", "))
}

fn short(value: f64) -> String {
    if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") }
}
