//! One body being read: its bytes and the reader of its format, in step. It does not know who
//! listens.

use crate::format::{Format, Layout};
use crate::inflate::Coding;
use crate::json::{Event, Lexer};
use crate::protocol::Side;
use crate::rows::{Broken, Rows};
use crate::serving::{self, Keys};
use crate::{cloudevent, csv, oip, record, sse, transcript};

/// A body on its way.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Json),
    Csv(csv::Reader),
    EventStream(sse::Reader),
    Transcript(transcript::Reader),
}

impl Body {
    pub(crate) fn new(format: Format, side: Side) -> Self {
        let reader = match format.layout {
            Layout::Transcript => return Self::Transcript(transcript::Reader::default()),
            Layout::Csv => return Self::Csv(csv::Reader::default()),
            Layout::OpenaiStream => return Self::EventStream(sse::Reader::default()),
            Layout::Oip | Layout::OipBinary { .. } => Reader::Oip(oip::Reader::new(side)),
            Layout::V1 => Reader::Serving(serving::Reader::new(Keys::V1(side))),
            Layout::Mlflow => Reader::Serving(serving::Reader::new(Keys::Mlflow(side))),
            _ => Reader::Record(record::Reader::default()),
        };
        let envelope = format.cloud_event.then(cloudevent::Envelope::default);
        Self::Json(Json { lexer: Lexer::default(), envelope, reader })
    }

    /// Holds at most so many bytes of values that came before their description.
    pub(crate) fn hold(&mut self, bytes: usize) {
        match self {
            Self::Json(json) => json.reader.hold(bytes),
            Self::Csv(_) | Self::EventStream(_) | Self::Transcript(_) => {}
        }
    }

    /// Says what the frames of a gRPC message are compressed by.
    pub(crate) fn packed_by(&mut self, _coding: Option<Coding>) {
        match self {
            Self::Json(_) | Self::Csv(_) | Self::EventStream(_) | Self::Transcript(_) => {}
        }
    }

    /// Whether all that the format asks for has come.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Json(json) => json.lexer.is_whole(),
            Self::Csv(_) => false,
            Self::EventStream(reader) => reader.is_whole(),
            Self::Transcript(reader) => reader.is_whole(),
        }
    }

    /// Takes the next bytes. After an error the body is lost; feed it no more.
    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Json(json) => json.feed(chunk, rows),
            Self::Csv(reader) => reader.feed(chunk, rows),
            Self::EventStream(reader) => reader.feed(chunk),
            Self::Transcript(reader) => reader.feed(chunk, rows),
        }
    }

    /// Says that no more comes.
    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Json(json) => json.finish(rows),
            Self::Csv(reader) => reader.finish(rows),
            Self::EventStream(reader) => reader.finish(rows),
            Self::Transcript(reader) => reader.finish(rows),
        }
    }
}

/// A body of JSON.
#[derive(Debug, Clone)]
pub(crate) struct Json {
    lexer: Lexer,
    /// The CloudEvent around it, where there is one.
    envelope: Option<cloudevent::Envelope>,
    reader: Reader,
}

#[derive(Debug, Clone)]
enum Reader {
    Oip(oip::Reader),
    Record(record::Reader),
    Serving(serving::Reader),
}

impl Reader {
    fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Oip(reader) => reader.event(event, rows),
            Self::Record(reader) => reader.event(event, rows),
            Self::Serving(reader) => reader.event(event, rows),
        }
    }

    /// Whether numbers that come next are values that go straight to the listener.
    fn takes_numbers(&self) -> bool {
        match self {
            Self::Oip(reader) => reader.streams(),
            Self::Record(reader) => reader.in_list(),
            Self::Serving(reader) => reader.takes_numbers(),
        }
    }

    fn hold(&mut self, bytes: usize) {
        match self {
            Self::Oip(reader) => reader.hold(bytes),
            Self::Record(_) | Self::Serving(_) => {}
        }
    }
}

impl Json {
    fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let mut at = 0;
        loop {
            if self.reader.takes_numbers()
                && let Some(plain) = rows.plain()
            {
                let count = self.lexer.numbers(chunk, &mut at, &plain)?;
                if count > 0 {
                    rows.numbers(count);
                }
            }
            let Some(event) = self.lexer.next(chunk, &mut at)? else { return Ok(()) };
            if let Some(envelope) = &mut self.envelope
                && !envelope.event(event)?
            {
                continue;
            }
            self.reader.event(event, rows)?;
        }
    }

    fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let Some(event) = self.lexer.finish()? else { return Ok(()) };
        if let Some(envelope) = &mut self.envelope {
            // A number that only the end completes is no event.
            return envelope.event(event).map(|_| ());
        }
        self.reader.event(event, rows)
    }
}
