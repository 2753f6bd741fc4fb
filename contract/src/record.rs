//! Plain JSON: one object of named fields, or an array of such objects. It does not know which
//! fields there should be.

use crate::json::Event;
use crate::rows::{Broken, Rows};

const RECORD: &str = "one object of named fields, or an array of such objects";

/// Reads the events of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    at: At,
    /// Whether the root is an array of records.
    many: bool,
    /// How deep in a value that nobody looks into.
    skipped: u32,
}

#[derive(Debug, Clone, Copy, Default)]
enum At {
    #[default]
    Root,
    Records,
    Record,
}

impl Reader {
    pub(crate) fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if self.skipped > 0 {
            match event {
                Event::ObjectStart | Event::ArrayStart => self.skipped += 1,
                Event::ObjectEnd | Event::ArrayEnd => self.skipped -= 1,
                Event::Key(_) | Event::Scalar(_) => {}
            }
            return Ok(());
        }
        match (self.at, event) {
            (At::Root | At::Records, Event::ObjectStart) => {
                self.at = At::Record;
                rows.record();
            }
            (At::Root, Event::ArrayStart) => {
                self.at = At::Records;
                self.many = true;
            }
            (At::Records, Event::ArrayEnd) => rows.whole(),
            (At::Record, Event::Key(name)) => rows.field(name),
            (At::Record, Event::Scalar(value)) => rows.scalar(value),
            (At::Record, Event::ObjectStart | Event::ArrayStart) => {
                self.skipped = 1;
                rows.nested();
            }
            (At::Record, Event::ObjectEnd) => {
                rows.record_end();
                if self.many {
                    self.at = At::Records;
                } else {
                    rows.whole();
                }
            }
            (At::Records, Event::ArrayStart | Event::Scalar(_)) => {
                return Err(Broken::Envelope { place: "a row", expected: "an object" });
            }
            (At::Root, Event::Scalar(_)) => {
                return Err(Broken::Envelope { place: "the body", expected: RECORD });
            }
            // The lexer pairs brackets and names, so nothing else can come.
            (At::Root | At::Records, Event::Key(_) | Event::ObjectEnd)
            | (At::Root | At::Record, Event::ArrayEnd) => {}
        }
        Ok(())
    }
}
