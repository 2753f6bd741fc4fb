//! Values that came before the tensor they belong to was described: kept in order, within a bound.
//! It does not know the tensor.

use crate::json::{Form, Number, Scalar, Text};
use crate::rows::Rows;

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
    Text,
    Nested,
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
            Some(Scalar::Bool(value)) => (Kind::Bool(value), "", false),
            Some(Scalar::Number(number)) => (Kind::Number(number.form), number.text, number.cut),
            Some(Scalar::Text(text)) => (Kind::Text, text.text, text.cut),
        };
        let held = self.characters.len() + self.values.len() * size_of::<Value>();
        let Ok(length) = u16::try_from(characters.len()) else { return false };
        if held + characters.len() + size_of::<Value>() > self.most {
            return false;
        }
        self.characters.push_str(characters);
        self.values.push(Value { kind, length, cut });
        true
    }

    /// Tells all values and forgets them.
    pub(crate) fn tell(&mut self, rows: &mut impl Rows) {
        let mut rest = self.characters.as_str();
        for Value { kind, length, cut } in self.values.drain(..) {
            let (text, after) = rest.split_at(usize::from(length));
            rest = after;
            match kind {
                Kind::Nested => {
                    rows.object();
                }
                Kind::Null => rows.scalar(Scalar::Null),
                Kind::Bool(value) => rows.scalar(Scalar::Bool(value)),
                Kind::Number(form) => rows.scalar(Scalar::Number(Number { text, form, cut })),
                Kind::Text => rows.scalar(Scalar::Text(Text { text, cut })),
            }
        }
        self.characters.clear();
    }
}
