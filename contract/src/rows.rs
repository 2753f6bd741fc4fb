//! What the readers of the formats tell about a body, whoever listens. It does not know any format,
//! nor what is done with the values.
//!
//! A body comes as records (rows of named fields) or as tensors (fields of many rows), never as
//! both. The value of a field is told by one of `scalar`, `bytes`, `list` (its elements, then
//! `list_end`) or `object`. A tensor's values are told the same way, or as `raw` bytes, or, where
//! the listener said that these need no look, only as their `numbers`.

use crate::contract::Datatype;
use crate::json::{self, Plain, Scalar, Text};
use crate::lone::Lone;

/// Listens to a reader.
pub trait Rows {
    /// The key of the field that likely comes next, as JSON has it with its colon. `None` where the
    /// listener wants to be told each by [`Rows::field`].
    fn expected(&self) -> Option<&[u8]> {
        None
    }
    /// The field that was expected came, with this value.
    fn came(&mut self, _value: &Scalar<'_>) {}
    /// A record begins: the next row.
    fn record(&mut self);
    /// The name of the field whose value comes next. Fields within objects are named from the
    /// outermost on: `a.b`, and `a[].b` where they stand in the objects of a list. An empty name
    /// stands for a row that is a value without a name, such as `[5.1, 3.5]`.
    fn field(&mut self, name: Text<'_>);
    /// The name of the field that came last, where fields stand in its objects.
    fn name(&self) -> &str;
    /// A list comes as the value of the field, right below the root. Where the answer is true, the
    /// list holds the rows and there was no record: its elements are told as records of their own.
    fn wraps(&mut self) -> bool {
        false
    }
    /// Whether a value alone can be a row, because there is but one field.
    fn takes_lone_values(&self) -> bool {
        true
    }
    /// The one tensor that there can be, where the body does not say it.
    fn lone(&self) -> Option<Lone> {
        None
    }
    /// Whether the field that came last holds texts: a cell of a table of lines, which says nothing of
    /// types, then is one, whatever it looks like.
    fn takes_text(&self) -> bool {
        false
    }
    /// The record is whole.
    fn record_end(&mut self);
    /// A tensor begins; its values follow, row by row.
    fn tensor(&mut self, tensor: Tensor<'_>);
    /// The tensor is whole.
    fn tensor_end(&mut self, values: Values);
    /// A value, or the next one.
    fn scalar(&mut self, value: &Scalar<'_>);
    /// A value that is bytes, or a text that is not UTF-8; `cut` says that it was longer.
    fn bytes(&mut self, bytes: &[u8], cut: bool);
    /// The elements of a list follow, up to its [`Rows::list_end`]. Told of the value of a field, and
    /// of tensors of [`Shape::Nested`].
    fn list(&mut self);
    /// The innermost list is whole.
    fn list_end(&mut self);
    /// An object where a value was expected. Where the answer is true its fields are told, by
    /// their names from the outermost on; otherwise it is passed over.
    fn object(&mut self) -> bool;
    /// The next values of a tensor, as they lie in memory (little endian), whole ones only.
    fn raw(&mut self, raw: Raw<'_>);
    /// Which of the numbers that come next need no look, however many they are. Where all do,
    /// `None`.
    fn plain(&self) -> Option<Plain> {
        None
    }
    /// So many numbers that needed no look.
    fn numbers(&mut self, count: u64);
    /// How many numbers the list had that ended last, where others that have as many, of numbers that
    /// need no look, need none themselves.
    fn alike(&self) -> Option<u64> {
        None
    }
    /// So many lists like it, in the same list.
    fn lists(&mut self, _count: u64) {}
    /// The same of the rows without a name that are such a list.
    fn records(&mut self, _count: u64) {}
    /// The body is whole. Nothing follows, but in a stream of messages the next of these.
    fn whole(&mut self, content: Content);
}

/// The name of a row that is a value without a name.
pub(crate) const UNNAMED: Text<'static> = Text { text: "", cut: false };

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Records, or none.
    Records,
    /// Tensors, or none.
    Tensors,
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
    /// As many rows as the values make; the extents of one row. Written as `[-1, ...]`, which
    /// numpy takes, and so do servers that hand it the shape.
    Open(&'a [u64]),
    /// One row, as long as the values make it.
    Row,
    /// The lists around the values say it; each value or list at the outside is a row.
    Nested,
}

/// How many dimensions a shape may have.
pub const MAX_RANK: usize = 16;

impl Shape<'_> {
    /// How many values one row has: the product of all extents but the first. `None` when it is
    /// not known or past all counting.
    pub fn width(&self) -> Option<u64> {
        match self {
            Shape::Known(extents) => product(extents.get(1..).unwrap_or_default()),
            Shape::Open(row) => product(row),
            Shape::Row => Some(u64::MAX),
            Shape::Missing | Shape::Malformed | Shape::Nested => None,
        }
    }

    /// How many values the tensor has; a scalar's empty shape asks for one.
    pub fn size(&self) -> Option<u64> {
        match self {
            Shape::Known(extents) => product(extents),
            Shape::Missing | Shape::Malformed | Shape::Nested | Shape::Open(_) | Shape::Row => None,
        }
    }

    /// Whether its extents can be multiplied with one another.
    pub(crate) fn is_countable(&self) -> bool {
        match self {
            Shape::Open(_) | Shape::Row => self.width().is_some(),
            shape => shape.size().is_some(),
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
    /// In shared memory, where nobody looks.
    Elsewhere,
}

/// Values of a datatype of fixed width, as they lie in memory: little endian, whole values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    datatype: Datatype,
    bytes: &'a [u8],
}

/// A value of a raw tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Of a datatype for whole numbers.
    Whole(i128),
    /// Of a floating-point datatype; may be no number, or infinite.
    Float(f64),
    /// Of BOOL, where every byte but 0 is true.
    Bool(bool),
}

impl<'a> Raw<'a> {
    /// Values of this datatype; `None` for BYTES, and where the bytes do not end with a value.
    pub fn new(datatype: Datatype, bytes: &'a [u8]) -> Option<Self> {
        let width = datatype.width()?;
        bytes.len().is_multiple_of(width).then_some(Self { datatype, bytes })
    }

    /// Their datatype.
    pub fn datatype(self) -> Datatype {
        self.datatype
    }

    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many values there are.
    pub fn len(self) -> usize {
        self.bytes.len() / self.datatype.width().unwrap_or(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The values, so many at once.
    pub fn blocks(self, count: usize) -> impl Iterator<Item = Self> {
        let width = self.datatype.width().unwrap_or(1);
        let blocks = self.bytes.chunks(count.max(1) * width);
        blocks.map(move |bytes| Self { datatype: self.datatype, bytes })
    }

    /// The values, one by one.
    pub fn numbers(self) -> impl Iterator<Item = Number> {
        let width = self.datatype.width().unwrap_or(1);
        self.bytes.chunks_exact(width).map(move |bytes| number(self.datatype, bytes))
    }
}

/// A value from its bytes, which are as many as its datatype is wide.
fn number(datatype: Datatype, bytes: &[u8]) -> Number {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    let bits = u64::from_le_bytes(word);
    // The casts cut the word to the datatype's own width, which is all that was filled.
    match datatype {
        Datatype::Bool => Number::Bool(bits != 0),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 | Datatype::Uint64 => {
            Number::Whole(bits.into())
        }
        Datatype::Int8 => Number::Whole((bits as i8).into()),
        Datatype::Int16 => Number::Whole((bits as i16).into()),
        Datatype::Int32 => Number::Whole((bits as i32).into()),
        Datatype::Int64 => Number::Whole((bits as i64).into()),
        Datatype::Fp16 => Number::Float(half(bits as u16)),
        Datatype::Bf16 => Number::Float(f32::from_bits((bits as u32) << 16).into()),
        Datatype::Fp32 => Number::Float(f32::from_bits(bits as u32).into()),
        Datatype::Fp64 | Datatype::Bytes => Number::Float(f64::from_bits(bits)),
    }
}

/// IEEE 754 binary16 as a double, exactly.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction / 16_777_216.0,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * f64::from(i32::from(exponent) - 15).exp2(),
    }
}

/// Why a body is not what its format says.
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
        /// What the format asks for.
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
        "more of `{0}` came before what describes it than is held; send what describes it first"
    )]
    TooEarly(&'static str),
    /// Bytes that cannot stand where they do.
    #[error("byte {at}: {what}")]
    Bytes {
        /// Where, from 0.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// More of something than is read.
    #[error("more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(datatype: Datatype, bytes: &[u8]) -> Vec<Number> {
        Raw::new(datatype, bytes).expect("whole values").numbers().collect()
    }

    #[test]
    fn raw_values_are_read_by_their_datatype() {
        use Number::{Bool, Float, Whole};
        assert_eq!(values(Datatype::Int8, &[0xff, 1]), [Whole(-1), Whole(1)]);
        assert_eq!(values(Datatype::Uint16, &[0xff, 0xff]), [Whole(65_535)]);
        assert_eq!(values(Datatype::Int64, &[0xff; 8]), [Whole(-1)]);
        assert_eq!(values(Datatype::Uint64, &[0xff; 8]), [Whole(u64::MAX.into())]);
        assert_eq!(values(Datatype::Bool, &[0, 1, 2]), [Bool(false), Bool(true), Bool(true)]);
        assert_eq!(values(Datatype::Fp32, &1.5_f32.to_le_bytes()), [Float(1.5)]);
        assert_eq!(values(Datatype::Bf16, &[0xc0, 0x3f]), [Float(1.5)]);
    }

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x3c00_u16, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0400, 6.103_515_625e-5),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(values(Datatype::Fp16, &bits.to_le_bytes()), [Number::Float(value)]);
        }
        let nan = values(Datatype::Fp16, &0x7e00_u16.to_le_bytes());
        assert!(matches!(nan[..], [Number::Float(value)] if value.is_nan()));
    }

    #[test]
    fn values_that_are_not_whole_and_texts_are_no_raw_values() {
        assert_eq!(Raw::new(Datatype::Fp32, &[0; 5]), None);
        assert_eq!(Raw::new(Datatype::Bytes, &[]), None);
    }
}
