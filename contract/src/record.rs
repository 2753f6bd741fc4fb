//! Plain JSON: one object of named fields, or an array of such objects. Objects and lists within a
//! record are told as the listener wants them. It does not know which fields there should be.

use crate::json::{Event, Text};
use crate::rows::{Broken, Content, Rows};

const RECORD: &str = "one object of named fields, or an array of such objects";
/// How long a name may become that is made of the names around it, in bytes.
const MAX_PATH_BYTES: usize = 4 << 10;

/// Reads the events of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    at: At,
    /// Whether the root is an array of records.
    many: bool,
    fields: Fields,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Root,
    Records,
    Record,
}

impl Reader {
    pub(crate) fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        match (self.at, event) {
            (At::Record, event) => {
                if self.fields.event(event, rows)? == Step::End {
                    if self.many {
                        self.at = At::Records;
                    } else {
                        rows.whole(Content::Records);
                    }
                }
            }
            (At::Root | At::Records, Event::ObjectStart) => {
                self.at = At::Record;
                rows.record();
            }
            (At::Root, Event::ArrayStart) => {
                self.at = At::Records;
                self.many = true;
            }
            (At::Records, Event::ArrayEnd) => rows.whole(Content::Records),
            (At::Records, Event::ArrayStart | Event::Scalar(_)) => {
                return Err(Broken::Envelope { place: "a row", expected: "an object" });
            }
            (At::Root, Event::Scalar(_)) => {
                return Err(Broken::Envelope { place: "the body", expected: RECORD });
            }
            // The lexer pairs brackets and names, so nothing else can come.
            (At::Root | At::Records, Event::Key(_) | Event::ObjectEnd)
            | (At::Root, Event::ArrayEnd) => {}
        }
        Ok(())
    }

    /// Whether the next value is an element of a list that is told.
    pub(crate) fn in_list(&self) -> bool {
        self.at == At::Record && self.fields.in_list()
    }
}

/// Whether a record goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    End,
}

/// The fields of one record, told from after its opening brace up to its closing one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    /// The names around the next key, joined.
    path: String,
    /// The objects and lists that are open within the record, the outermost first.
    open: Vec<Open>,
    /// How deep in a value that nobody looks into.
    skipped: u32,
}

/// An object or list within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// How long the path is around the object, and with its own name.
    Object {
        around: usize,
        own: usize,
    },
    List,
}

impl Fields {
    /// Whether the next value is an element of a list that is told.
    pub(crate) fn in_list(&self) -> bool {
        self.skipped == 0 && self.open.last() == Some(&Open::List)
    }

    pub(crate) fn event(&mut self, event: Event<'_>, rows: &mut impl Rows) -> Result<Step, Broken> {
        if self.skipped > 0 {
            match event {
                Event::ObjectStart | Event::ArrayStart => self.skipped += 1,
                Event::ObjectEnd | Event::ArrayEnd => self.skipped -= 1,
                Event::Key(_) | Event::Scalar(_) => {}
            }
            return Ok(Step::More);
        }
        match event {
            Event::Key(name) if self.open.is_empty() => {
                self.path.clear();
                // Only an object or a list needs the name again.
                self.path.push_str(name.text);
                rows.field(name);
            }
            Event::Key(name) => self.key(name, rows)?,
            Event::Scalar(value) => rows.scalar(value),
            Event::ArrayStart => {
                self.open.push(Open::List);
                rows.list();
            }
            Event::ObjectStart => {
                if rows.object() {
                    self.object();
                } else {
                    self.skipped = 1;
                }
            }
            Event::ArrayEnd => {
                self.open.pop();
                rows.list_end();
            }
            Event::ObjectEnd => match self.open.pop() {
                Some(Open::Object { around, .. }) => self.path.truncate(around),
                Some(Open::List) | None => {
                    rows.record_end();
                    return Ok(Step::End);
                }
            },
        }
        Ok(Step::More)
    }

    /// Opens an object whose fields are told: their names follow on `a.` or, within a list, `a[].`
    fn object(&mut self) {
        let around = self.path.len();
        for _ in self.open.iter().rev().take_while(|open| **open == Open::List) {
            self.path.push_str("[]");
        }
        self.open.push(Open::Object { around, own: self.path.len() });
    }

    fn key(&mut self, name: Text<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if let Some(Open::Object { own, .. }) = self.open.last() {
            self.path.truncate(*own);
        }
        if self.path.len() + 1 + name.text.len() > MAX_PATH_BYTES {
            let what = "bytes in the name of a field";
            return Err(Broken::TooMany { what, most: MAX_PATH_BYTES });
        }
        self.path.push('.');
        self.path.push_str(name.text);
        rows.field(Text { text: &self.path, cut: name.cut });
        Ok(())
    }
}
