//! A contract made ready for checking: names sorted, phrases written, categories ordered, once for
//! all the bodies it will be held against. It does not read payloads.

use crate::contract::{Contract, Datatype, Field, FieldType, Format};
use crate::dates;
use crate::json::{Form, Number, Scalar, Text};
use crate::protocol::Side;
use crate::rows::Shape;
use crate::violation::Kind;

/// A contract, resolved. Build it once, share it in an `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    requests: Fields,
    responses: Fields,
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
}

/// What is asked of one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) required: bool,
    pub(crate) datatype: Option<Datatype>,
    /// What is asked of a value, in words.
    pub(crate) expected: Box<str>,
    kind: FieldType,
    shape: Option<Box<[i64]>>,
    nullable: bool,
    min: Option<f64>,
    max: Option<f64>,
    /// In order.
    categories: Box<[Box<str>]>,
    format: Option<Format>,
}

impl Rules {
    /// Resolves a contract. Total: [`Contract::mistakes`] says what is wrong with one.
    pub fn of(contract: &Contract) -> Self {
        Self {
            requests: Fields::of(&contract.inputs, contract.allow_unknown),
            responses: Fields::of(&contract.outputs, contract.allow_unknown),
        }
    }

    pub(crate) fn of_side(&self, side: Side) -> &Fields {
        match side {
            Side::Request => &self.requests,
            Side::Response => &self.responses,
        }
    }
}

impl Fields {
    fn of(fields: &[Field], allow_unknown: bool) -> Self {
        let fields: Vec<Rule> = fields.iter().map(Rule::of).collect();
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.sort_by(|a, b| fields[*a].name.cmp(&fields[*b].name));
        let mut required = vec![0; fields.len().div_ceil(64)];
        for (place, _) in fields.iter().enumerate().filter(|(_, field)| field.required) {
            required[place / 64] |= 1 << (place % 64);
        }
        Self { fields, by_name, required, allow_unknown }
    }

    /// The place of a field. `hint` is tried first: senders mostly keep the contract's order.
    pub(crate) fn find(&self, name: Text<'_>, hint: usize) -> Option<usize> {
        if name.cut {
            return None;
        }
        if self.fields.get(hint).is_some_and(|field| *field.name == *name.text) {
            return Some(hint);
        }
        let place =
            self.by_name.binary_search_by(|index| (*self.fields[*index].name).cmp(name.text));
        place.ok().map(|place| self.by_name[place])
    }
}

impl Rule {
    fn of(field: &Field) -> Self {
        let mut categories: Vec<Box<str>> =
            field.categories.iter().map(|category| category.as_str().into()).collect();
        categories.sort_unstable();
        Self {
            name: field.name.as_str().into(),
            required: field.required,
            datatype: field.datatype,
            expected: phrase(field).into(),
            kind: field.kind,
            shape: field.shape.as_deref().map(Into::into),
            nullable: field.nullable,
            min: field.min,
            max: field.max,
            categories: categories.into(),
            format: field.format,
        }
    }

    /// How a value breaks the rule, if it does.
    pub(crate) fn breach(&self, value: Scalar<'_>) -> Option<Kind> {
        match (value, self.kind) {
            (Scalar::Null, _) if self.nullable => None,
            (Scalar::Null, _) => Some(Kind::FeatureTypeNotPresent),
            (Scalar::Number(number), FieldType::Integer | FieldType::Number) => self.number(number),
            (Scalar::Text(text), FieldType::Text) => self.text(text),
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
            (Scalar::Bool(_) | Scalar::Number(_) | Scalar::Text(_), _) => Some(self.other()),
        }
    }

    /// The breach of a value of some other type, such as an object.
    pub(crate) fn other(&self) -> Kind {
        match self.kind {
            FieldType::Integer => Kind::IntTypeIntExpected,
            FieldType::Number => Kind::FloatTypeNotFloat,
            FieldType::Text => Kind::EnumTypeBytesNotString,
            FieldType::Boolean => Kind::BoolTypeUnexpectedString,
        }
    }

    fn number(&self, number: Number<'_>) -> Option<Kind> {
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
        let value = number.value()?;
        if value > self.max.unwrap_or(f64::MAX) {
            return Some(if integer { Kind::IntTypeBigInt } else { Kind::FloatTypeBigFloat });
        }
        if value < self.min.unwrap_or(f64::MIN) {
            return Some(if integer { Kind::IntTypeSmallInt } else { Kind::FloatTypeSmallFloat });
        }
        (integer && value.fract() != 0.0).then_some(Kind::IntTypeIntExpected)
    }

    fn text(&self, text: Text<'_>) -> Option<Kind> {
        let listed = || self.categories.binary_search_by(|known| (**known).cmp(text.text)).is_ok();
        if !self.categories.is_empty() && (text.cut || !listed()) {
            return Some(Kind::EnumTypeUnexpectedStringValues);
        }
        let formed = match self.format {
            None => true,
            Some(Format::Date) => !text.cut && dates::is_date(text.text),
            Some(Format::DateTime) => !text.cut && dates::is_date_time(text.text),
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
            (None, FieldType::Text) => Datatype::Bytes.name().to_owned(),
            (None, FieldType::Boolean) => Datatype::Bool.name().to_owned(),
        }
    }

    /// Whether a declared shape is one the field takes. One whose values cannot be counted never is.
    pub(crate) fn fits(&self, shape: Shape<'_>) -> bool {
        let (Shape::Known(extents), Some(_)) = (shape, shape.size()) else { return false };
        let Some(asked) = &self.shape else { return true };
        let fits = |(asked, extent): (&i64, &u64)| {
            *asked < 0 || u64::try_from(*asked).is_ok_and(|asked| asked == *extent)
        };
        asked.len() == extents.len() && asked.iter().zip(extents).all(fits)
    }

    /// The shapes the field takes, in words.
    pub(crate) fn shapes(&self) -> String {
        match &self.shape {
            Some(asked) => format!("shape {asked:?}"),
            None => "a shape: a list of counts".to_owned(),
        }
    }
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

fn is_number(text: Text<'_>) -> bool {
    // Rust also reads "inf" and "nan", which are not finite.
    !text.cut && text.text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// How many categories a phrase lists.
const LISTED: usize = 8;

fn phrase(field: &Field) -> String {
    let mut phrase = match (field.kind, field.format) {
        (FieldType::Text, Some(Format::Date)) => "date such as 2026-11-23".to_owned(),
        (FieldType::Text, Some(Format::DateTime)) => {
            "date and time such as 2026-11-23T08:30:00Z".to_owned()
        }
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
