//! Values that came before the tensor they belong to was described: kept in order, within a bound.
//! It does not know the tensor.

use crate::json::{Form, Number, Scalar, Text};
use crate::rows::{Rows, UNNAMED};

/// How many bytes of values are held for one body, where nobody asks for less.
pub const MAX_HELD_BYTES: usize = 1 << 20;

/// Values in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    most: usize,
    characters: String,
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    kind: Kind,
    /// How many of the characters are its.
    length: u16,
    cut: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Null,
    Bool(bool),
    Number(Form),
    NotANumber,
    Infinite { below_zero: bool },
    Text,
    Nested,
    RowEnd,
}

impl Default for Held {
    fn default() -> Self {
        Self { most: MAX_HELD_BYTES, characters: String::new(), values: Vec::new() }
    }
}

impl Held {
    /// Keeps at most so many bytes from now on.
    pub(crate) fn bound(&mut self, most: usize) {
        self.most = most;
    }

    /// Keeps a value; `None` stands for one with others inside. False when there is no room.
    #[must_use]
    pub(crate) fn keep(&mut self, scalar: Option<Scalar<'_>>) -> bool {
        let (kind, characters, cut) = match scalar {
            None => (Kind::Nested, "", false),
            Some(Scalar::Null) => (Kind::Null, "", false),
            Some(Scalar::NotFinite(value)) if value.is_nan() => (Kind::NotANumber, "", false),
            Some(Scalar::NotFinite(value)) => {
                (Kind::Infinite { below_zero: value < 0.0 }, "", false)
            }
            Some(Scalar::Bool(value)) => (Kind::Bool(value), "", false),
            Some(Scalar::Number(number)) => (Kind::Number(number.form), number.text, number.cut),
            Some(Scalar::Text(text)) => (Kind::Text, text.text, text.cut),
        };
        let held = self.bytes();
        let Ok(length) = u16::try_from(characters.len()) else { return false };
        if held + characters.len() + size_of::<Value>() > self.most {
            return false;
        }
        self.characters.push_str(characters);
        self.values.push(Value { kind, length, cut });
        true
    }

    /// How many values are kept.
    pub(crate) fn count(&self) -> u64 {
        self.values.len() as u64
    }

    /// Keeps the end of a row. False when there is no room.
    #[must_use]
    pub(crate) fn row_end(&mut self) -> bool {
        let fits = self.bytes() + size_of::<Value>() <= self.most;
        if fits {
            self.values.push(Value { kind: Kind::RowEnd, length: 0, cut: false });
        }
        fits
    }

    fn bytes(&self) -> usize {
        self.characters.len() + self.values.len() * size_of::<Value>()
    }

    /// Tells all rows, each value by the name of its column, or without any, and forgets them. False
    /// when a row has more values than there are columns.
    pub(crate) fn tell_rows(&mut self, columns: Option<&[Box<str>]>, rows: &mut impl Rows) -> bool {
        let (mut rest, mut place) = (self.characters.as_str(), None);
        for value in self.values.drain(..) {
            let at = place.unwrap_or_else(|| {
                rows.record();
                if columns.is_none() {
                    rows.field(UNNAMED);
                    rows.list();
                }
                0
            });
            if matches!(value.kind, Kind::RowEnd) {
                if columns.is_none() {
                    rows.list_end();
                }
                rows.record_end();
                place = None;
                continue;
            }
            if let Some(columns) = columns {
                let Some(name) = columns.get(at) else { return false };
                rows.field(Text { text: name, cut: false });
            }
            rest = value.tell(rest, rows);
            place = Some(at + 1);
        }
        self.characters.clear();
        true
    }

    /// Tells all values and forgets them.
    pub(crate) fn tell(&mut self, rows: &mut impl Rows) {
        let mut rest = self.characters.as_str();
        for value in self.values.drain(..) {
            rest = value.tell(rest, rows);
        }
        self.characters.clear();
    }
}

impl Value {
    /// Tells the value, whose characters are the first of these, and gives the rest.
    fn tell<'a>(self, characters: &'a str, rows: &mut impl Rows) -> &'a str {
        let (text, rest) = characters.split_at(usize::from(self.length));
        let cut = self.cut;
        match self.kind {
            Kind::Nested => {
                rows.object();
            }
            Kind::Null => rows.scalar(&Scalar::Null),
            Kind::NotANumber => rows.scalar(&Scalar::NotFinite(f64::NAN)),
            Kind::Infinite { below_zero: false } => rows.scalar(&Scalar::NotFinite(f64::INFINITY)),
            Kind::Infinite { below_zero: true } => {
                rows.scalar(&Scalar::NotFinite(f64::NEG_INFINITY));
            }
            Kind::Bool(value) => rows.scalar(&Scalar::Bool(value)),
            Kind::Number(form) => rows.scalar(&Scalar::Number(Number { text, form, cut })),
            Kind::Text => rows.scalar(&Scalar::Text(Text { text, cut })),
            Kind::RowEnd => {}
        }
        rest
    }
}
