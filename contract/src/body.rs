//! One body being read: its lexer and the reader of its protocol, in step. It does not know who
//! listens.

use crate::json::{Event, Lexer};
use crate::protocol::{Protocol, Side};
use crate::rows::{Broken, Rows};
use crate::{oip, record};

/// A body on its way.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    lexer: Lexer,
    reader: Reader,
}

#[derive(Debug, Clone)]
enum Reader {
    Oip(oip::Reader),
    Record(record::Reader),
}

impl Reader {
    fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        match self {
            Self::Oip(reader) => reader.event(event, rows),
            Self::Record(reader) => reader.event(event, rows),
        }
    }
}

impl Body {
    pub(crate) fn new(protocol: Protocol, side: Side) -> Self {
        let reader = match protocol {
            Protocol::Oip => Reader::Oip(oip::Reader::new(side)),
            Protocol::Json => Reader::Record(record::Reader::default()),
        };
        Self { lexer: Lexer::default(), reader }
    }

    /// Holds at most so many bytes of values that came before their description.
    pub(crate) fn hold(&mut self, bytes: usize) {
        if let Reader::Oip(reader) = &mut self.reader {
            reader.hold(bytes);
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.lexer.is_whole()
    }

    /// Takes the next bytes. After an error the body is lost; feed it no more.
    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let mut told = Ok(());
        let read = self.lexer.feed(chunk, &mut |event| {
            if told.is_ok() {
                told = self.reader.event(event, rows);
            }
        });
        told.and(read.map_err(Broken::Json))
    }

    /// Says that no more comes.
    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let mut told = Ok(());
        let read = self.lexer.finish(&mut |event| {
            if told.is_ok() {
                told = self.reader.event(event, rows);
            }
        });
        told.and(read.map_err(Broken::Json))
    }
}
