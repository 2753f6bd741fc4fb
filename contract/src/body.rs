//! One body being read: its bytes and the reader of its format, in step. It does not know who
//! listens.

use crate::byte_order::ByteOrder;
use crate::format::{Format, Layout};
use crate::grpc::Packing;
use crate::json::{Event, Lexer, Scalar};
use crate::protocol::Side;
use crate::rows::{Broken, Rows};
use crate::serving::{self, Keys};
use crate::{cloudevent, csv, infer, lone, oip, record, sse, transcript};

/// A body on its way.
#[derive(Debug)]
pub(crate) enum Body {
    Json(Json),
    Binary(Binary),
    Grpc(Box<infer::Reader>),
    Lone(lone::Reader),
    Csv(csv::Reader),
    EventStream(sse::Reader),
    Transcript(transcript::Reader),
}

impl Body {
    pub(crate) fn new(format: Format, side: Side) -> Self {
        let reader = match format.layout {
            Layout::Transcript => return Self::Transcript(transcript::Reader::default()),
            Layout::Csv => return Self::Csv(csv::Reader::default()),
            Layout::OipRaw => return Self::Lone(lone::Reader::default()),
            Layout::OpenaiStream => return Self::EventStream(sse::Reader::default()),
            Layout::OipGrpc => return Self::Grpc(Box::new(infer::Reader::new(side, false))),
            Layout::OipGrpcStream => return Self::Grpc(Box::new(infer::Reader::new(side, true))),
            // A length of 0 says that there is no JSON; a server that does not look reads JSON.
            Layout::OipBinary { json_bytes: 0 } => Reader::Oip(oip::Reader::new(side)),
            Layout::OipBinary { json_bytes } => {
                let reader = oip::Reader::new(side).with_raw_bytes();
                return Self::Binary(Binary {
                    lexer: Lexer::default(),
                    reader,
                    left: json_bytes,
                    whole: false,
                });
            }
            Layout::Oip => Reader::Oip(oip::Reader::new(side)),
            Layout::V1 => Reader::Serving(serving::Reader::new(Keys::V1(side))),
            Layout::Mlflow => Reader::Serving(serving::Reader::new(Keys::Mlflow(side))),
            _ => Reader::Record(record::Reader::default()),
        };
        // A reader of the first protocol knows an event by its keys, as KServe does.
        let around = format.cloud_event && format.layout != Layout::V1;
        let envelope = around.then(cloudevent::Envelope::default);
        let byte_order = ByteOrder::default();
        Self::Json(Json { lexer: Lexer::default(), byte_order, envelope, reader, flat: false })
    }

    /// Holds at most so many bytes of values that came before their description.
    pub(crate) fn hold(&mut self, bytes: usize) {
        match self {
            Self::Json(json) => json.reader.hold(bytes),
            Self::Binary(binary) => binary.reader.hold(bytes),
            Self::Grpc(reader) => reader.hold(bytes),
            Self::Lone(_) | Self::Csv(_) | Self::EventStream(_) | Self::Transcript(_) => {}
        }
    }

    /// Says what the frames of a gRPC message are compressed by.
    pub(crate) fn packed_by(&mut self, packing: Packing) {
        if let Self::Grpc(reader) = self {
            reader.packed_by(packing);
        }
    }

    /// Whether all that the format asks for has come.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Json(json) => json.lexer.is_whole(),
            Self::Binary(binary) => binary.is_whole(),
            Self::Grpc(reader) => reader.is_whole(),
            Self::Lone(_) | Self::Csv(_) => false,
            Self::EventStream(reader) => reader.is_whole(),
            Self::Transcript(reader) => reader.is_whole(),
        }
    }

    /// Takes the next bytes. After an error the body is lost; feed it no more.
    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Json(json) => json.feed(chunk, rows),
            Self::Binary(binary) => binary.feed(chunk, rows),
            Self::Grpc(reader) => reader.feed(chunk, rows),
            Self::Lone(reader) => reader.feed(chunk, rows),
            Self::Csv(reader) => reader.feed(chunk, rows),
            Self::EventStream(reader) => reader.feed(chunk),
            Self::Transcript(reader) => reader.feed(chunk, rows),
        }
    }

    /// Says that no more comes.
    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Json(json) => json.finish(rows),
            Self::Binary(binary) => binary.finish(rows),
            Self::Grpc(reader) => reader.finish(),
            Self::Lone(reader) => reader.finish(rows),
            Self::Csv(reader) => reader.finish(rows),
            Self::EventStream(reader) => reader.finish(rows),
            Self::Transcript(reader) => reader.finish(rows),
        }
    }
}

/// JSON of a length that the head says, and raw tensors behind it.
#[derive(Debug)]
pub(crate) struct Binary {
    lexer: Lexer,
    reader: oip::Reader,
    /// Bytes of JSON that are still to come.
    left: u64,
    /// Whether the last byte came.
    whole: bool,
}

impl Binary {
    fn is_whole(&self) -> bool {
        self.whole
    }

    fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let json = chunk.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (json, raw) = chunk.split_at(json);
        self.left -= json.len() as u64;
        let mut at = 0;
        loop {
            let next = if self.reader.streams() { Next::Values } else { Next::Other };
            next.pass(&mut self.lexer, json, &mut at, rows)?;
            let Some(event) = self.lexer.next(json, &mut at)? else { break };
            self.reader.event(&event, rows)?;
        }
        if self.left > 0 {
            return Ok(());
        }
        if !self.lexer.is_whole() {
            let place = "the JSON before the raw bytes";
            return Err(Broken::Envelope { place, expected: "whole where the head says" });
        }
        let over = self.reader.raw(raw, rows)?;
        if self.reader.is_done() && !self.whole {
            self.whole = true;
            self.reader.raw_end(rows)?;
        }
        if over.is_empty() { Ok(()) } else { Err(oip::OTHER_COUNT) }
    }

    fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        self.lexer.finish()?;
        if self.whole { Ok(()) } else { self.reader.raw_end(rows) }
    }
}

/// A body of JSON.
#[derive(Debug)]
pub(crate) struct Json {
    lexer: Lexer,
    byte_order: ByteOrder,
    /// The CloudEvent around it, where there is one.
    envelope: Option<cloudevent::Envelope>,
    reader: Reader,
    /// Whether keys and scalars go straight to the listener: most of a record is such.
    flat: bool,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Values, whatever lists they stand in: these are not told.
    Values,
    /// Values and lists of them.
    Elements,
    /// Rows without names.
    Records,
    /// Something that the reader must see.
    Other,
}

impl Next {
    /// Passes over the numbers and lists of numbers that come next and need no look, and tells how many; the
    /// numbers that need one it tells.
    fn pass(
        self,
        lexer: &mut Lexer,
        chunk: &[u8],
        at: &mut usize,
        rows: &mut impl Rows,
    ) -> Result<(), Broken> {
        if self == Self::Other {
            return Ok(());
        }
        let Some(plain) = rows.plain() else {
            // The listener looks at each.
            while self != Self::Records
                && let Some(number) = lexer.element(chunk, at)
            {
                rows.scalar(&Scalar::Number(number));
                if rows.plain().is_some() {
                    break;
                }
            }
            return Ok(());
        };
        let width = if self == Self::Values { Some(None) } else { rows.alike().map(Some) };
        if let Some(width) = width {
            let lists = lexer.lists(chunk, at, &plain, width)?;
            match self {
                _ if lists.count == 0 => {}
                Self::Values => rows.numbers(lists.numbers),
                Self::Elements => rows.lists(lists.count),
                Self::Records | Self::Other => rows.records(lists.count),
            }
        }
        let numbers = if self == Self::Records { 0 } else { lexer.numbers(chunk, at, &plain)? };
        if numbers > 0 {
            rows.numbers(numbers);
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Reader {
    Oip(oip::Reader),
    Record(record::Reader),
    Serving(serving::Reader),
}

impl Reader {
    fn event(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Oip(reader) => reader.event(event, rows),
            Self::Record(reader) => reader.event(event, rows),
            Self::Serving(reader) => reader.event(event, rows),
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Oip(reader) if reader.streams() => Next::Values,
            Self::Record(reader) if reader.in_list() => Next::Elements,
            Self::Serving(reader) if reader.takes_numbers() => Next::Elements,
            Self::Record(reader) if reader.in_rows() => Next::Records,
            Self::Serving(reader) if reader.in_rows() => Next::Records,
            _ => Next::Other,
        }
    }

    fn is_flat(&self) -> bool {
        match self {
            Self::Record(reader) => reader.is_flat(),
            Self::Serving(reader) => reader.is_flat(),
            Self::Oip(_) => false,
        }
    }

    fn hold(&mut self, bytes: usize) {
        match self {
            Self::Oip(reader) => reader.hold(bytes),
            Self::Serving(reader) => reader.hold(bytes),
            Self::Record(_) => {}
        }
    }
}

impl Json {
    fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let (kept, chunk) = self.byte_order.after(chunk);
        if !kept.is_empty() {
            self.text(kept, rows)?;
        }
        self.text(chunk, rows)
    }

    fn text(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let mut at = 0;
        loop {
            if self.flat {
                if let Some(key) = rows.expected()
                    && let Some(value) = self.lexer.member(chunk, &mut at, key)
                {
                    rows.came(&value);
                    continue;
                }
                match self.lexer.next(chunk, &mut at)? {
                    Some(Event::Key(name)) => rows.field(name),
                    Some(Event::Scalar(ref value)) => rows.scalar(value),
                    Some(event) => {
                        self.reader.event(&event, rows)?;
                        self.flat = self.reader.is_flat();
                    }
                    None => return Ok(()),
                }
                continue;
            }
            self.reader.next().pass(&mut self.lexer, chunk, &mut at, rows)?;
            let Some(event) = self.lexer.next(chunk, &mut at)? else { return Ok(()) };
            if let Some(envelope) = &mut self.envelope
                && !envelope.event(&event)?
            {
                continue;
            }
            self.reader.event(&event, rows)?;
            // A CloudEvent has keys of its own.
            self.flat = self.envelope.is_none() && self.reader.is_flat();
        }
    }

    fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let Some(event) = self.lexer.finish()? else { return Ok(()) };
        if let Some(envelope) = &mut self.envelope {
            // A number that only the end completes is no event.
            return envelope.event(&event).map(|_| ());
        }
        self.reader.event(&event, rows)
    }
}
