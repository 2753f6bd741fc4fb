//! `ModelInferRequest` and `ModelInferResponse` of the Open Inference Protocol over gRPC, as they stream
//! past. It does not know which tensors there should be.
//!
//! Tensors have typed `contents`, or all of them together `raw_input_contents` (in answers
//! `raw_output_contents`) in their order. Every library writes what describes a tensor before its
//! values, and then these stream past; values that come before are held, within a bound.

use std::collections::VecDeque;

use crate::contract::{Datatype, FieldType};
use crate::described::{Described, Extent, Later, MAX_TENSORS};
use crate::grpc::{Frames, Packing};
use crate::held::MAX_HELD_BYTES;
use crate::json::{Form, MAX_TOKEN_BYTES, Number, Scalar, Text};
use crate::protobuf::{self, Parser, Varint, Visitor, Want};
use crate::protocol::Side;
use crate::raw;
use crate::rows::{Broken, Content, Raw, Rows, Values};

/// Values that are told at once.
const BATCH_BYTES: usize = 512;

/// Reads the frames of one body.
#[derive(Debug)]
pub(crate) struct Reader {
    frames: Frames,
    parser: Parser,
    message: Message,
}

impl Reader {
    /// A reader of one side; in a stream of answers each is wrapped once more.
    pub(crate) fn new(side: Side, wrapped: bool) -> Self {
        let message = Message::new(side, wrapped);
        Self { frames: Frames::default(), parser: Parser::default(), message }
    }

    pub(crate) fn packed_by(&mut self, packing: Packing) {
        self.frames.packed_by(packing);
    }

    /// Holds at most so many bytes of values.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.message.most_held = bytes;
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.frames.is_between()
    }

    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let Self { frames, parser, message } = self;
        frames.feed(chunk, &mut |piece, last| {
            parser.feed(piece, &mut Telling { message, rows })?;
            if last {
                parser.finish()?;
                *parser = Parser::default();
                message.finish(rows)?;
            }
            Ok(())
        })
    }

    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        self.frames.finish()
    }
}

/// One message on its way.
#[derive(Debug)]
struct Message {
    /// The field of raw contents, which differs between the sides.
    raw_field: u32,
    wrapped: bool,
    /// Where we are, the outermost first.
    at: Vec<At>,
    tensor: Described,
    /// The tensor's datatype, where it is one.
    datatype: Option<Datatype>,
    /// Whether a tensor came.
    came: bool,
    /// Whether the tensor's values lie in shared memory.
    elsewhere: bool,
    /// Which parts of its description came.
    described: Came,
    /// Whether the tensor's typed contents came.
    told: bool,
    /// In which field of the contents they stand.
    contents: Option<u32>,
    /// The contents that came before the description, as they came.
    held: Vec<u8>,
    /// Raw contents that came before their tensors.
    early: VecDeque<Vec<u8>>,
    /// How many bytes may be held.
    most_held: usize,
    later: Later,
    /// What the bytes that come are.
    taking: Taking,
    text: Vec<u8>,
    varint: Varint,
    batch: Vec<u8>,
    values: raw::Values,
}

/// Parts of a tensor's description.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    name: bool,
    datatype: bool,
    shape: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the answer within an answer of a stream.
    Wrapped,
    Tensor,
    Parameter,
    Contents,
}

/// Raw contents that no tensor has.
const OTHER_COUNT: Broken = Broken::Envelope {
    place: "the number of raw contents",
    expected: "that of the tensors without contents of their own",
};

/// What the bytes of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taking {
    Name,
    Datatype,
    Shape,
    ParameterName,
    /// Packed numbers of this field of the contents.
    Packed(u32),
    Element,
    Raw,
    /// Contents, or raw contents, that came before what describes them.
    Held,
    HeldRaw,
}

/// Fields of `InferTensorContents`.
mod contents {
    pub(super) const BOOL: u32 = 1;
    pub(super) const INT: u32 = 2;
    pub(super) const INT64: u32 = 3;
    pub(super) const UINT: u32 = 4;
    pub(super) const UINT64: u32 = 5;
    pub(super) const FP32: u32 = 6;
    pub(super) const FP64: u32 = 7;
    pub(super) const BYTES: u32 = 8;
}

/// Whether the values of a field of the contents are of a datatype.
fn carries(field: u32, datatype: Datatype) -> bool {
    match datatype {
        Datatype::Bool => field == contents::BOOL,
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => field == contents::INT,
        Datatype::Int64 => field == contents::INT64,
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => field == contents::UINT,
        Datatype::Uint64 => field == contents::UINT64,
        Datatype::Fp32 => field == contents::FP32,
        Datatype::Fp64 => field == contents::FP64,
        Datatype::Bytes => field == contents::BYTES,
        Datatype::Fp16 | Datatype::Bf16 => false,
    }
}

impl Message {
    fn new(side: Side, wrapped: bool) -> Self {
        Self {
            raw_field: if side == Side::Request { 7 } else { 6 },
            wrapped: wrapped && side == Side::Response,
            at: Vec::new(),
            tensor: Described::default(),
            datatype: None,
            came: false,
            elsewhere: false,
            described: Came::default(),
            told: false,
            contents: None,
            held: Vec::new(),
            early: VecDeque::new(),
            most_held: MAX_HELD_BYTES,
            later: Later::default(),
            taking: Taking::Name,
            text: Vec::new(),
            varint: Varint::default(),
            batch: Vec::new(),
            values: raw::Values::default(),
        }
    }

    /// Whether we are in the request or the answer proper.
    fn is_in_body(&self) -> bool {
        match self.at.as_slice() {
            [] => !self.wrapped,
            [At::Wrapped] => true,
            _ => false,
        }
    }

    /// The message is whole. One of a stream without tensors is an error that is told to the client, or
    /// says that no more follow: no answer of the model.
    fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        if !self.early.is_empty() {
            return Err(OTHER_COUNT);
        }
        self.later.tell_rest(rows);
        if std::mem::take(&mut self.came) || !self.wrapped {
            rows.whole(Content::Tensors);
        }
        Ok(())
    }

    /// Keeps bytes for later.
    fn hold(&mut self, piece: &[u8], raw: bool) -> Result<(), Broken> {
        let held = self.held.len() + self.early.iter().map(Vec::len).sum::<usize>();
        if held + piece.len() > self.most_held {
            return Err(Broken::TooEarly(if raw { "raw contents" } else { "contents" }));
        }
        let place = if raw { self.early.back_mut() } else { Some(&mut self.held) };
        if let Some(place) = place {
            place.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Tells the tensor before the first of its typed contents.
    fn tell(&mut self, rows: &mut impl Rows) {
        if !self.told {
            self.told = true;
            rows.tensor(self.tensor.tensor());
        }
    }

    /// The datatype of the contents, if they are what the tensor says; `None` for numbers of another
    /// field than its own, which MLServer takes. Of two fields servers differ in which they take.
    fn expect(&mut self, field: u32) -> Result<Option<Datatype>, Broken> {
        let one = *self.contents.get_or_insert(field) == field;
        match self.datatype.filter(|_| one) {
            Some(datatype) if carries(field, datatype) => Ok(Some(datatype)),
            Some(datatype) if field != contents::BYTES && datatype.carries(FieldType::Number) => {
                Ok(None)
            }
            _ => {
                let (place, expected) = ("`contents`", "of the tensor's datatype");
                Err(Broken::Envelope { place, expected })
            }
        }
    }

    /// A number of the typed contents that are of another datatype than the tensor's.
    fn other_number(&mut self, field: u32, value: u64, rows: &mut impl Rows) {
        self.flush(rows);
        let text = match field {
            contents::BOOL => return rows.scalar(&Scalar::Bool(value != 0)),
            contents::INT => (value as i32).to_string(),
            contents::INT64 => (value as i64).to_string(),
            contents::UINT => (value as u32).to_string(),
            _ => value.to_string(),
        };
        rows.scalar(&Scalar::Number(Number { text: &text, form: Form::Whole, cut: false }));
    }

    /// A float of the typed contents.
    fn float(&mut self, field: u32, bytes: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        if self.expect(field)?.is_some() {
            self.batch.extend_from_slice(bytes);
            return Ok(());
        }
        let (four, eight) = (<[u8; 4]>::try_from(bytes), <[u8; 8]>::try_from(bytes));
        let value = four.map(|it| f64::from(f32::from_le_bytes(it)));
        let Ok(value) = value.or_else(|_| eight.map(f64::from_le_bytes)) else { return Ok(()) };
        if value.is_finite() {
            let text = value.to_string();
            rows.scalar(&Scalar::Number(Number { text: &text, form: Form::Fraction, cut: false }));
        } else {
            rows.scalar(&Scalar::NotFinite(value));
        }
        Ok(())
    }

    /// A whole number of the typed contents.
    fn number(&mut self, field: u32, value: u64, rows: &mut impl Rows) -> Result<(), Broken> {
        let Some(datatype) = self.expect(field)? else {
            self.other_number(field, value, rows);
            return Ok(());
        };
        // Of 32 bits servers take the lower ones, whatever stands above.
        let (int, uint) = (value as i32, value as u32);
        let fits = match datatype {
            Datatype::Bool => self.batch(Some([u8::from(value != 0)])),
            Datatype::Int8 => self.batch(i8::try_from(int).ok().map(i8::to_le_bytes)),
            Datatype::Int16 => self.batch(i16::try_from(int).ok().map(i16::to_le_bytes)),
            Datatype::Int32 => self.batch(Some(int.to_le_bytes())),
            Datatype::Uint8 => self.batch(u8::try_from(uint).ok().map(u8::to_le_bytes)),
            Datatype::Uint16 => self.batch(u16::try_from(uint).ok().map(u16::to_le_bytes)),
            Datatype::Uint32 => self.batch(Some(uint.to_le_bytes())),
            Datatype::Int64 | Datatype::Uint64 => self.batch(Some(value.to_le_bytes())),
            Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 | Datatype::Bf16 | Datatype::Bytes => {
                return Err(Broken::Envelope { place: "a number", expected: "of its own type" });
            }
        };
        if fits {
            if self.batch.len() >= BATCH_BYTES {
                self.flush(rows);
            }
            return Ok(());
        }
        let number = if field == contents::INT { i64::from(int) } else { i64::from(uint) };
        self.flush(rows);
        let text = number.to_string();
        rows.scalar(&Scalar::Number(Number { text: &text, form: Form::Whole, cut: false }));
        Ok(())
    }

    /// Gathers a number, if it is one of the datatype.
    fn batch<const WIDTH: usize>(&mut self, number: Option<[u8; WIDTH]>) -> bool {
        self.batch.extend_from_slice(number.as_ref().map_or(&[], |bytes| bytes));
        number.is_some()
    }

    /// Tells the numbers that were gathered.
    fn flush(&mut self, rows: &mut impl Rows) {
        if let Some(raw) = self.datatype.and_then(|datatype| Raw::new(datatype, &self.batch))
            && !raw.is_empty()
        {
            rows.raw(raw);
        }
        self.batch.clear();
    }
}

/// A message, and who listens.
struct Telling<'a, R> {
    message: &'a mut Message,
    rows: &'a mut R,
}

impl<R: Rows> Visitor for Telling<'_, R> {
    fn scalar(&mut self, field: u32, value: protobuf::Scalar) -> Result<(), Broken> {
        let Self { message, rows } = self;
        match (message.at.last(), field, value) {
            (Some(At::Tensor), 3, _) if message.told => return Err(Broken::TooEarly("contents")),
            (Some(At::Tensor), 3, protobuf::Scalar::Varint(extent)) => {
                message.described.shape = true;
                message.tensor.shape.add(Extent::of(extent as i64));
            }
            (Some(At::Contents), _, _) if message.datatype.is_none() => {
                message.tell(*rows);
                message.elsewhere = true;
            }
            (Some(At::Contents), field, protobuf::Scalar::Varint(value)) => {
                message.tell(*rows);
                message.number(field, value, *rows)?;
            }
            (Some(At::Contents), contents::FP32, protobuf::Scalar::Fixed32(bytes)) => {
                message.tell(*rows);
                message.float(field, &bytes, *rows)?;
            }
            (Some(At::Contents), contents::FP64, protobuf::Scalar::Fixed64(bytes)) => {
                message.tell(*rows);
                message.float(field, &bytes, *rows)?;
            }
            _ => {}
        }
        if message.batch.len() >= BATCH_BYTES {
            message.flush(*rows);
        }
        Ok(())
    }

    fn begin(&mut self, field: u32, length: u64) -> Result<Want, Broken> {
        let Self { message, rows } = self;
        let taking = match (message.at.last(), field) {
            (None, 2) if message.wrapped => {
                message.at.push(At::Wrapped);
                return Ok(Want::Fields);
            }
            (_, 5) if message.is_in_body() => {
                message.tensor.clear();
                message.datatype = None;
                message.came = true;
                message.elsewhere = false;
                message.described = Came::default();
                message.told = false;
                message.contents = None;
                message.held.clear();
                message.at.push(At::Tensor);
                return Ok(Want::Fields);
            }
            (_, field) if message.is_in_body() && field == message.raw_field => {
                if message.early.is_empty() && message.later.begin(length) {
                    Taking::Raw
                } else if message.early.len() == MAX_TENSORS {
                    return Err(Broken::TooMany { what: "raw tensors", most: MAX_TENSORS });
                } else {
                    message.early.push_back(Vec::new());
                    Taking::HeldRaw
                }
            }
            // What was told of a tensor can no more be changed.
            (Some(At::Tensor), 1..=3) if message.told => return Err(Broken::TooEarly("contents")),
            (Some(At::Tensor), 1) => Taking::Name,
            (Some(At::Tensor), 2) => Taking::Datatype,
            (Some(At::Tensor), 3) => {
                message.described.shape = true;
                message.tensor.shape.begin();
                Taking::Shape
            }
            (Some(At::Tensor), 4) => {
                message.at.push(At::Parameter);
                return Ok(Want::Fields);
            }
            (Some(At::Tensor), 5) if message.is_described() => {
                message.at.push(At::Contents);
                return Ok(Want::Fields);
            }
            (Some(At::Tensor), 5) => Taking::Held,
            (Some(At::Parameter), 1) => Taking::ParameterName,
            // Values of a datatype that nobody knows say nothing.
            (Some(At::Contents), _) if message.datatype.is_none() => {
                message.tell(*rows);
                message.elsewhere = true;
                return Ok(Want::Nothing);
            }
            (Some(At::Contents), contents::BYTES) => {
                message.tell(*rows);
                message.expect(field)?;
                Taking::Element
            }
            (Some(At::Contents), contents::BOOL..=contents::FP64) => {
                message.tell(*rows);
                let datatype = match (message.expect(field)?, field) {
                    (Some(datatype), _) => datatype.name(),
                    (None, contents::FP32) => Datatype::Fp32.name(),
                    (None, _) => Datatype::Fp64.name(),
                };
                message.flush(*rows);
                message.values = raw::Values::of(datatype);
                Taking::Packed(field)
            }
            _ => return Ok(Want::Nothing),
        };
        message.taking = taking;
        message.text.clear();
        Ok(Want::Bytes)
    }

    fn bytes(&mut self, piece: &[u8], last: bool) -> Result<(), Broken> {
        let Self { message, rows } = self;
        match message.taking {
            Taking::Raw => {
                message.later.feed(piece, *rows)?;
            }
            Taking::Element => message.values.piece(piece, last, *rows),
            Taking::Held => message.hold(piece, false)?,
            Taking::HeldRaw => message.hold(piece, true)?,
            Taking::Packed(contents::FP32 | contents::FP64) => {
                message.values.feed(piece, *rows);
                if last {
                    message.values.finish()?;
                }
            }
            Taking::Packed(_) | Taking::Shape => {
                let overlong = || Broken::Envelope { place: "a number", expected: "of 10 bytes" };
                for byte in piece {
                    let short = *byte < 0x80 && !message.varint.is_open();
                    let number = match short {
                        true => Some(u64::from(*byte)),
                        false => message.varint.byte(*byte).map_err(|()| overlong())?,
                    };
                    match (number, message.taking) {
                        (Some(extent), Taking::Shape) => {
                            message.tensor.shape.add(Extent::of(extent as i64));
                        }
                        (Some(value), Taking::Packed(field)) => {
                            message.number(field, value, *rows)?;
                        }
                        _ => {}
                    }
                }
                if last {
                    if message.varint.is_open() {
                        return Err(overlong());
                    }
                    message.flush(*rows);
                }
            }
            Taking::Name | Taking::Datatype | Taking::ParameterName => {
                let room = (MAX_TOKEN_BYTES + 4).saturating_sub(message.text.len());
                message.text.extend_from_slice(&piece[..room.min(piece.len())]);
                if last {
                    message.text_end();
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Self { message, rows } = self;
        match message.at.pop() {
            Some(At::Contents) => message.flush(*rows),
            Some(At::Tensor) if !message.held.is_empty() => {
                // Now that all is known, they are read as if they came only now.
                let held = std::mem::take(&mut message.held);
                message.at.extend([At::Tensor, At::Contents]);
                let mut parser = Parser::default();
                parser.feed(&held, self)?;
                parser.finish()?;
                self.end()?;
                return self.end();
            }
            Some(At::Tensor) if message.told => {
                let known = !message.elsewhere;
                rows.tensor_end(if known { Values::Here } else { Values::Elsewhere });
            }
            Some(At::Tensor) if message.elsewhere => {
                rows.tensor(message.tensor.tensor());
                rows.tensor_end(Values::Elsewhere);
            }
            Some(At::Tensor) => {
                let tensor = std::mem::take(&mut message.tensor);
                let early = message.early.pop_front();
                message.later.add(tensor, early.as_ref().map_or(0, |it| it.len() as u64))?;
                if let Some(early) = early {
                    message.later.feed(&early, *rows)?;
                }
            }
            Some(At::Wrapped | At::Parameter) | None => {}
        }
        Ok(())
    }
}

impl Message {
    /// Whether all that a tensor is described by came.
    fn is_described(&self) -> bool {
        self.described.name && self.described.datatype && self.described.shape
    }

    fn text_end(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let kept = &text[..text.floor_char_boundary(MAX_TOKEN_BYTES)];
        let text = Text { text: kept, cut: kept.len() < text.len() };
        match self.taking {
            Taking::Name => {
                self.described.name = true;
                text.text.clone_into(&mut self.tensor.name);
                self.tensor.name_cut = text.cut;
            }
            Taking::Datatype => {
                self.described.datatype = true;
                self.datatype = Datatype::parse(text.text);
                self.tensor.datatype = Some(text.text.to_owned());
            }
            Taking::ParameterName => self.elsewhere |= text.text == "shared_memory_region",
            Taking::Shape
            | Taking::Packed(_)
            | Taking::Element
            | Taking::Raw
            | Taking::Held
            | Taking::HeldRaw => {}
        }
    }
}
