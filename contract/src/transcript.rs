//! A transcript: what a reader told of a body, written down, so that it can be told again elsewhere.
//! It is the copy that leaves the proxy where a contract has sensitive fields: these are left out or
//! hashed, and so is all that the contract does not name, in whatever format the body came. It does
//! not know that format.
//!
//! A sequence of marks of one byte each, followed by what belongs to it. Lengths and counts are
//! LEB128; a name is written out once and then named by its number.

use std::sync::Arc;

use crate::contract::{Datatype, Sensitive};
use crate::json::{Form, Number, Scalar, Text};
use crate::protocol::Side;
use crate::rows::{Broken, Content, MAX_RANK, Raw, Rows, Shape, Tensor, Values};
use crate::rules::Rules;
use crate::sensitive::Key;

/// Names that a transcript may hold.
const MAX_NAMES: usize = 4096;
/// Bytes of one text, name or run of raw values that a reader takes.
const MAX_PIECE_BYTES: usize = 16 << 20;

mod mark {
    pub(super) const RECORD: u8 = 1;
    pub(super) const RECORD_END: u8 = 2;
    pub(super) const FIELD: u8 = 3;
    pub(super) const TENSOR: u8 = 4;
    pub(super) const TENSOR_END: u8 = 5;
    pub(super) const ELSEWHERE: u8 = 6;
    pub(super) const NULL: u8 = 7;
    pub(super) const FALSE: u8 = 8;
    pub(super) const TRUE: u8 = 9;
    pub(super) const NUMBER: u8 = 10;
    pub(super) const TEXT: u8 = 11;
    pub(super) const CUT_TEXT: u8 = 12;
    pub(super) const BYTES: u8 = 13;
    pub(super) const CUT_BYTES: u8 = 14;
    pub(super) const LIST: u8 = 15;
    pub(super) const LIST_END: u8 = 16;
    pub(super) const OBJECT: u8 = 17;
    pub(super) const RAW: u8 = 18;
    pub(super) const RECORDS: u8 = 19;
    pub(super) const TENSORS: u8 = 20;
}

/// Writes down what a reader tells, within a bound.
#[derive(Debug)]
pub(crate) struct Writer {
    rules: Arc<Rules>,
    side: Side,
    key: Key,
    most: usize,
    bytes: Vec<u8>,
    names: Vec<Box<str>>,
    /// What becomes of the values that come.
    fate: Fate,
    /// In a row without names: the place of the next value.
    place: Option<usize>,
    /// How deep in lists.
    depth: usize,
    full: bool,
    whole: bool,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Hashed,
    Dropped,
}

impl From<Option<Sensitive>> for Fate {
    fn from(sensitive: Option<Sensitive>) -> Self {
        match sensitive {
            None => Self::Kept,
            Some(Sensitive::Hash) => Self::Hashed,
            Some(Sensitive::Drop) => Self::Dropped,
        }
    }
}

impl Writer {
    /// A transcript of at most so many bytes.
    pub(crate) fn new(rules: Arc<Rules>, side: Side, key: Key, most: usize) -> Self {
        Self {
            rules,
            side,
            key,
            most,
            bytes: Vec::new(),
            names: Vec::new(),
            fate: Fate::Dropped,
            place: None,
            depth: 0,
            full: false,
            whole: false,
        }
    }

    /// What was written, if all of it is there.
    pub(crate) fn into_whole(self) -> Option<Vec<u8>> {
        (self.whole && !self.full).then_some(self.bytes)
    }

    /// Whether it still writes; past its bound it does not.
    pub(crate) fn is_writing(&self) -> bool {
        !self.full
    }

    /// Takes back the record that began last, in which nothing was told.
    pub(crate) fn no_record(&mut self) {
        if self.bytes.last() == Some(&mark::RECORD) {
            self.bytes.pop();
        }
    }

    fn write(&mut self, mark: u8, rest: &[&[u8]]) {
        let length: usize = rest.iter().map(|piece| piece.len()).sum();
        if self.full || self.bytes.len() + length >= self.most {
            self.full = true;
            // It is of no use any more.
            self.bytes = Vec::new();
            return;
        }
        self.bytes.push(mark);
        for piece in rest {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn piece(&mut self, mark: u8, bytes: &[u8]) {
        let mut length = Vec::with_capacity(5);
        count(bytes.len() as u64, &mut length);
        self.write(mark, &[&length, bytes]);
    }

    /// The bytes that name a name: its number, and where it is new its text.
    fn name(&mut self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.names.iter().position(|known| **known == *name) {
            Some(number) => count(number as u64, &mut bytes),
            None => {
                count(self.names.len() as u64, &mut bytes);
                count(name.len() as u64, &mut bytes);
                bytes.extend_from_slice(name.as_bytes());
                self.names.push(name.into());
            }
        }
        bytes
    }

    /// The fate of a named field; what the contract does not name is left out.
    fn fate_of(&self, name: Text<'_>) -> Fate {
        let fields = self.rules.of_side(self.side);
        match fields.find(name, usize::MAX) {
            Some(place) => fields.fields[place].sensitive.into(),
            None => Fate::Dropped,
        }
    }

    /// The fate of the value that comes now.
    fn next_fate(&mut self) -> Fate {
        let Some(place) = &mut self.place else { return self.fate };
        let fields = &self.rules.of_side(self.side).fields;
        let fate = fields.get(*place).map_or(Fate::Dropped, |field| field.sensitive.into());
        *place += 1;
        fate
    }

    fn hashed(&mut self, value: &[u8]) {
        let hash = self.key.hash(value);
        self.piece(mark::TEXT, &hash);
    }

    /// A value that was left out of a row without names still has its place.
    fn dropped(&mut self) {
        if self.place.is_some() {
            self.write(mark::NULL, &[]);
        }
    }
}

impl Rows for Writer {
    fn record(&mut self) {
        self.write(mark::RECORD, &[]);
    }

    fn field(&mut self, name: Text<'_>) {
        self.depth = 0;
        let unnamed = name.text.is_empty() && !name.cut;
        let fields = &self.rules.of_side(self.side).fields;
        (self.place, self.fate) = match fields.as_slice() {
            [only] if unnamed => (None, only.sensitive.into()),
            _ if unnamed => (Some(0), Fate::Kept),
            _ => (None, self.fate_of(name)),
        };
        if self.fate != Fate::Dropped {
            let name = self.name(name.text);
            self.write(mark::FIELD, &[&name]);
        }
    }

    fn name(&self) -> &str {
        // Objects are told only where another listener wants them.
        ""
    }

    fn record_end(&mut self) {
        self.write(mark::RECORD_END, &[]);
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.depth = 0;
        self.place = None;
        // In a stream another message has begun.
        self.whole = false;
        self.fate = self.fate_of(tensor.name);
        if self.fate == Fate::Dropped {
            return;
        }
        let mut head = self.name(tensor.name.text);
        let datatype = tensor.datatype.and_then(Datatype::parse);
        let datatype = if self.fate == Fate::Hashed { Some(Datatype::Bytes) } else { datatype };
        head.push(datatype.map_or(0, |datatype| datatype.code() + 1));
        match tensor.shape {
            Shape::Missing => head.push(0),
            Shape::Malformed => head.push(1),
            Shape::Nested => head.push(2),
            Shape::Row => head.push(5),
            Shape::Known(extents) | Shape::Open(extents) => {
                head.push(if matches!(tensor.shape, Shape::Open(_)) { 4 } else { 3 });
                count(extents.len() as u64, &mut head);
                extents.iter().for_each(|extent| count(*extent, &mut head));
            }
        }
        self.write(mark::TENSOR, &[&head]);
    }

    fn tensor_end(&mut self, values: Values) {
        if self.fate != Fate::Dropped {
            let mark = match values {
                Values::Here => mark::TENSOR_END,
                Values::Elsewhere => mark::ELSEWHERE,
            };
            self.write(mark, &[]);
        }
    }

    fn scalar(&mut self, value: &Scalar<'_>) {
        match (self.next_fate(), *value) {
            (Fate::Dropped, _) => self.dropped(),
            (_, Scalar::Null) => self.write(mark::NULL, &[]),
            (Fate::Hashed, Scalar::Bool(value)) => self.hashed(&[u8::from(value)]),
            (Fate::Hashed, Scalar::Number(number)) => self.hashed(number.text.as_bytes()),
            (Fate::Hashed, Scalar::NotFinite(value)) => self.hashed(&value.to_le_bytes()),
            (Fate::Hashed, Scalar::Text(text)) => self.hashed(text.text.as_bytes()),
            (Fate::Kept, Scalar::Bool(false)) => self.write(mark::FALSE, &[]),
            (Fate::Kept, Scalar::Bool(true)) => self.write(mark::TRUE, &[]),
            (Fate::Kept, Scalar::Number(number)) => match number.value() {
                Some(value) => self.write(mark::NUMBER, &[&value.to_le_bytes()]),
                None => self.write(mark::NULL, &[]),
            },
            (Fate::Kept, Scalar::NotFinite(value)) => {
                self.write(mark::NUMBER, &[&value.to_le_bytes()]);
            }
            (Fate::Kept, Scalar::Text(text)) => {
                let mark = if text.cut { mark::CUT_TEXT } else { mark::TEXT };
                self.piece(mark, text.text.as_bytes());
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8], cut: bool) {
        match self.next_fate() {
            Fate::Dropped => self.dropped(),
            Fate::Hashed => self.hashed(bytes),
            Fate::Kept => self.piece(if cut { mark::CUT_BYTES } else { mark::BYTES }, bytes),
        }
    }

    fn list(&mut self) {
        self.depth += 1;
        if self.fate != Fate::Dropped {
            self.write(mark::LIST, &[]);
        }
    }

    fn list_end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.place = None;
        }
        if self.fate != Fate::Dropped {
            self.write(mark::LIST_END, &[]);
        }
    }

    fn object(&mut self) -> bool {
        let parent = self.fate == Fate::Dropped && self.place.is_none();
        if !parent && self.next_fate() == Fate::Kept {
            self.write(mark::OBJECT, &[]);
        }
        parent
    }

    fn raw(&mut self, raw: Raw<'_>) {
        match self.fate {
            Fate::Dropped => {}
            Fate::Hashed => {
                let width = raw.datatype().width().unwrap_or(1);
                raw.bytes().chunks_exact(width).for_each(|value| self.hashed(value));
            }
            Fate::Kept => {
                let mut head = vec![raw.datatype().code()];
                count(raw.bytes().len() as u64, &mut head);
                self.write(mark::RAW, &[&head, raw.bytes()]);
            }
        }
    }

    fn numbers(&mut self, _count: u64) {
        // Never told: this listener looks at each.
    }

    fn whole(&mut self, content: Content) {
        self.whole = true;
        let mark = match content {
            Content::Records => mark::RECORDS,
            Content::Tensors => mark::TENSORS,
        };
        self.write(mark, &[]);
    }
}

fn count(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Tells a transcript again. It is read when the whole of it is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    whole: bool,
}

impl Reader {
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(crate) fn feed(&mut self, chunk: &[u8], _rows: &mut impl Rows) -> Result<(), Broken> {
        if self.bytes.len() + chunk.len() > MAX_PIECE_BYTES {
            return Err(Broken::TooMany { what: "bytes of a transcript", most: MAX_PIECE_BYTES });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut telling = Telling { rest: &bytes, length: bytes.len(), names: Vec::new() };
        telling.tell(rows)?;
        self.whole = true;
        Ok(())
    }
}

struct Telling<'a> {
    rest: &'a [u8],
    length: usize,
    names: Vec<&'a str>,
}

impl<'a> Telling<'a> {
    fn broken(&self, what: &'static str) -> Broken {
        Broken::Bytes { at: (self.length - self.rest.len()) as u64, what }
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) =
            self.rest.split_first().ok_or(self.broken("the transcript ends early"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn count(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.broken("a count too large"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(self.broken("the transcript ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn piece(&mut self) -> Result<&'a [u8], Broken> {
        let length = self.count()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, Broken> {
        let bytes = self.piece()?;
        str::from_utf8(bytes).map_err(|_| self.broken("a text that is not UTF-8"))
    }

    fn name(&mut self) -> Result<Text<'a>, Broken> {
        let number = usize::try_from(self.count()?).unwrap_or(usize::MAX);
        if number == self.names.len() && number < MAX_NAMES {
            let name = self.text()?;
            self.names.push(name);
        }
        let name = self.names.get(number).ok_or(self.broken("a name that was never written"))?;
        Ok(Text { text: name, cut: false })
    }

    fn tensor(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let name = self.name()?;
        let datatype = match self.byte()? {
            0 => None,
            code => Some(Datatype::of_code(code - 1).ok_or(self.broken("no datatype"))?.name()),
        };
        let mut extents = [0; MAX_RANK];
        let shape = match self.byte()? {
            0 => Shape::Missing,
            1 => Shape::Malformed,
            2 => Shape::Nested,
            5 => Shape::Row,
            kind @ (3 | 4) => {
                let rank = usize::try_from(self.count()?).unwrap_or(usize::MAX);
                let extents = extents.get_mut(..rank).ok_or(self.broken("too high a rank"))?;
                for extent in extents.iter_mut() {
                    *extent = self.count()?;
                }
                if kind == 4 { Shape::Open(extents) } else { Shape::Known(extents) }
            }
            _ => return Err(self.broken("no shape")),
        };
        rows.tensor(Tensor { name, datatype, shape });
        Ok(())
    }

    fn tell(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        loop {
            match self.byte()? {
                mark::RECORD => rows.record(),
                mark::RECORD_END => rows.record_end(),
                mark::FIELD => rows.field(self.name()?),
                mark::TENSOR => self.tensor(rows)?,
                mark::TENSOR_END => rows.tensor_end(Values::Here),
                mark::ELSEWHERE => rows.tensor_end(Values::Elsewhere),
                mark::NULL => rows.scalar(&Scalar::Null),
                mark::FALSE => rows.scalar(&Scalar::Bool(false)),
                mark::TRUE => rows.scalar(&Scalar::Bool(true)),
                mark::NUMBER => {
                    let bytes = self.take(8)?;
                    let value = f64::from_le_bytes(bytes.try_into().unwrap_or_default());
                    if !value.is_finite() {
                        rows.scalar(&Scalar::NotFinite(value));
                        continue;
                    }
                    let text = value.to_string();
                    let form = if text.contains('.') { Form::Fraction } else { Form::Whole };
                    rows.scalar(&Scalar::Number(Number { text: &text, form, cut: false }));
                }
                mark @ (mark::TEXT | mark::CUT_TEXT) => {
                    let text = self.text()?;
                    rows.scalar(&Scalar::Text(Text { text, cut: mark == mark::CUT_TEXT }));
                }
                mark @ (mark::BYTES | mark::CUT_BYTES) => {
                    rows.bytes(self.piece()?, mark == mark::CUT_BYTES);
                }
                mark::LIST => rows.list(),
                mark::LIST_END => rows.list_end(),
                mark::OBJECT => {
                    rows.object();
                }
                mark::RAW => {
                    let datatype = Datatype::of_code(self.byte()?);
                    let bytes = self.piece()?;
                    let raw = datatype.and_then(|datatype| Raw::new(datatype, bytes));
                    rows.raw(raw.ok_or(self.broken("raw values that are not whole"))?);
                }
                mark @ (mark::RECORDS | mark::TENSORS) => {
                    let records = mark == mark::RECORDS;
                    rows.whole(if records { Content::Records } else { Content::Tensors });
                    match self.rest {
                        [] => return Ok(()),
                        // The next message of a stream.
                        [mark::TENSOR | mark::TENSORS, ..] if !records => {}
                        _ => return Err(self.broken("something after the end")),
                    }
                }
                _ => return Err(self.broken("a mark that does not exist")),
            }
        }
    }
}
