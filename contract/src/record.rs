//! Plain JSON: one object of named fields, or an array of such objects. Objects and lists within a
//! record are told as the listener wants them. It does not know which fields there should be.

use crate::json::{Event, Text};
use crate::rows::{Broken, Content, Rows, UNNAMED};
use crate::skip::Skip;

/// How long a name may become that is made of the names around it, in bytes.
const MAX_PATH_BYTES: usize = 4 << 10;

/// Reads the events of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    at: At,
    /// Whether the root is an array of rows.
    many: bool,
    /// Whether the rows stand in lists below the root.
    wrapped: bool,
    /// Whether a row came in one of these, and whether something else did.
    came: bool,
    strange: bool,
    /// A value beside those lists.
    skipped: Skip,
    row: Row,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Root,
    Rows,
    Row,
    /// Between the keys of the object around the lists of rows.
    Wrapper,
}

impl Reader {
    pub(crate) fn event(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if self.skipped.takes(event) {
            return Ok(());
        }
        let step = match (self.at, event) {
            (At::Wrapper, Event::ObjectEnd) if self.strange && !self.came => {
                return Err(Broken::Envelope { place: "a list", expected: "one of rows" });
            }
            (At::Wrapper, Event::ObjectEnd) => {
                rows.whole(Content::Records);
                return Ok(());
            }
            // Nobody knows which of several lists a server reads: rows stand in all of them.
            (At::Wrapper, Event::ArrayStart) => {
                self.at = At::Rows;
                return Ok(());
            }
            (At::Wrapper, event) => {
                self.skipped.value(event);
                return Ok(());
            }
            (At::Rows, Event::ArrayEnd) if self.wrapped => {
                self.at = At::Wrapper;
                return Ok(());
            }
            (At::Rows, Event::Scalar(_)) if self.wrapped && !rows.takes_lone_values() => {
                self.strange = true;
                return Ok(());
            }
            (At::Row, Event::ArrayStart) if !self.many && self.is_flat() && rows.wraps() => {
                self.at = At::Rows;
                self.many = true;
                self.wrapped = true;
                return Ok(());
            }
            (At::Root, Event::ArrayStart) => {
                self.at = At::Rows;
                self.many = true;
                return Ok(());
            }
            (At::Rows, Event::ArrayEnd) => {
                rows.whole(Content::Records);
                return Ok(());
            }
            (At::Root | At::Rows, event) => {
                self.at = At::Row;
                self.came = self.wrapped;
                self.row.start(event, rows)?
            }
            (At::Row, event) => self.row.event(event, rows)?,
        };
        if step == Step::End {
            if self.many {
                self.at = At::Rows;
            } else {
                rows.whole(Content::Records);
            }
        }
        Ok(())
    }

    /// Whether the next value is an element of a list that is told.
    pub(crate) fn in_list(&self) -> bool {
        self.at == At::Row && self.row.in_list()
    }

    /// Whether we stand between rows, behind one without a name.
    pub(crate) fn in_rows(&self) -> bool {
        self.at == At::Rows && !self.row.named
    }

    /// Whether we stand between the fields of a record, so that keys and scalars go straight to the
    /// listener.
    pub(crate) fn is_flat(&self) -> bool {
        self.at == At::Row && self.row.is_flat()
    }
}

/// One row: an object of named fields, or a value without a name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) named: bool,
    fields: Fields,
}

impl Row {
    /// A row whose values may be `{"b64": "..."}`, which stands for bytes.
    pub(crate) fn with_bytes() -> Self {
        Self { named: false, fields: Fields { bytes: true, ..Fields::default() } }
    }

    /// Begins with the event that the row begins with.
    pub(crate) fn start(
        &mut self,
        event: &Event<'_>,
        rows: &mut impl Rows,
    ) -> Result<Step, Broken> {
        rows.record();
        self.named = *event == Event::ObjectStart;
        if self.named {
            return Ok(Step::More);
        }
        rows.field(UNNAMED);
        self.event(event, rows)
    }

    /// Goes on with the next one.
    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        rows: &mut impl Rows,
    ) -> Result<Step, Broken> {
        let step = self.fields.event(event, rows)?;
        if self.named {
            return Ok(step);
        }
        if self.fields.is_between() {
            rows.record_end();
            return Ok(Step::End);
        }
        Ok(Step::More)
    }

    /// Whether the next value is an element of a list that is told.
    pub(crate) fn in_list(&self) -> bool {
        self.fields.in_list()
    }

    /// Whether we stand between the fields of an object, so that keys and scalars go straight to the
    /// listener.
    pub(crate) fn is_flat(&self) -> bool {
        self.named && self.fields.is_between()
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
    /// A value that nobody looks into.
    skipped: Skip,
    /// Whether `{"b64": "..."}` stands for bytes.
    bytes: bool,
    /// How far such an object was read.
    coded: Coded,
}

/// How far an object was read that may be `{"b64": "..."}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Coded {
    #[default]
    No,
    /// After the brace.
    Open,
    /// After the key.
    Value,
    /// After the value.
    Close,
}

/// An object or list within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// How long the path is with the object's own name.
    Object(usize),
    /// How long the path is with the list's own name, once an object in it was told.
    List(Option<usize>),
}

impl Fields {
    /// Whether the next value is an element of a list that is told.
    pub(crate) fn in_list(&self) -> bool {
        !self.skipped.is_on() && matches!(self.open.last(), Some(Open::List(_)))
    }

    /// Whether no value is open.
    pub(crate) fn is_between(&self) -> bool {
        self.open.is_empty() && !self.skipped.is_on() && self.coded == Coded::No
    }

    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        rows: &mut impl Rows,
    ) -> Result<Step, Broken> {
        if self.coded != Coded::No && self.coded(event, rows) {
            return Ok(Step::More);
        }
        if self.skipped.takes(event) {
            return Ok(Step::More);
        }
        match event {
            Event::Key(name) if self.open.is_empty() => rows.field(*name),
            Event::Key(name) => self.key(*name, rows)?,
            Event::Scalar(value) => rows.scalar(value),
            Event::ArrayStart => {
                let known = match self.open.last() {
                    Some(Open::List(known)) => *known,
                    Some(Open::Object(_)) | None => None,
                };
                self.open.push(Open::List(known));
                rows.list();
            }
            Event::ObjectStart if self.bytes => self.coded = Coded::Open,
            Event::ObjectStart => self.object(rows),
            Event::ArrayEnd => {
                self.open.pop();
                rows.list_end();
            }
            Event::ObjectEnd => match self.open.pop() {
                Some(Open::Object(_)) => {
                    // What comes next in a list is the list's own, not of the last field in the object.
                    if let Some(Open::List(Some(length))) = self.open.last() {
                        self.path.truncate(*length);
                        rows.field(Text { text: &self.path, cut: false });
                    }
                }
                Some(Open::List(_)) | None => {
                    rows.record_end();
                    return Ok(Step::End);
                }
            },
        }
        Ok(Step::More)
    }

    /// Reads an object that may stand for bytes; false when it turns out to be another, and the
    /// event is still to be read.
    fn coded(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> bool {
        match (self.coded, event) {
            (Coded::Open, Event::Key(Text { text: "b64", .. })) => self.coded = Coded::Value,
            (Coded::Value, Event::Scalar(value)) => {
                rows.scalar(value);
                self.coded = Coded::Close;
            }
            (Coded::Close, Event::ObjectEnd) => self.coded = Coded::No,
            (Coded::Open, _) => {
                self.coded = Coded::No;
                self.object(rows);
                return false;
            }
            // Neither one thing nor the other: it is passed over.
            (Coded::Value | Coded::Close | Coded::No, _) => {
                self.coded = Coded::No;
                self.skipped.rest();
                return false;
            }
        }
        true
    }

    /// Opens an object, or passes over it. Where its fields are told, their names follow on `a.` or,
    /// within a list, `a[].`
    fn object(&mut self, rows: &mut impl Rows) {
        if !rows.object() {
            self.skipped.rest();
            return;
        }
        self.path.clear();
        self.path.push_str(rows.name());
        let length = self.path.len();
        for open in self.open.iter_mut().rev() {
            match open {
                Open::List(known) => *known = Some(length),
                Open::Object(_) => break,
            }
            self.path.push_str("[]");
        }
        self.open.push(Open::Object(self.path.len()));
    }

    fn key(&mut self, name: Text<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if let Some(Open::Object(own)) = self.open.last() {
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
