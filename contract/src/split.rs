//! A data frame that is split into its columns and its rows, as pandas writes it with `orient="split"`.
//! Rows that come before the columns are held, up to [`crate::held::MAX_HELD_BYTES`]; without columns they
//! are rows without names. It does not know which columns there should be.

use crate::held::Held;
use crate::json::{Event, Scalar, Text};
use crate::record::{Fields, Step};
use crate::rows::{Broken, Rows};
use crate::skip::Skip;

const TOO_LONG: Broken =
    Broken::Envelope { place: "a row of `data`", expected: "no longer than `columns`" };
/// Columns that a data frame may have.
const MAX_COLUMNS: usize = 16 << 10;

/// Reads the events after the opening brace, up to the closing one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Split {
    at: At,
    columns: Option<Vec<Box<str>>>,
    came: bool,
    /// Rows that came before the columns.
    held: Held,
    /// The place of the next value in its row.
    place: usize,
    fields: Fields,
    /// A value that nobody looks into.
    skipped: Skip,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Members,
    /// After a key.
    Member(Key),
    Columns,
    Rows,
    Row,
    /// In a row that is an object.
    Named,
    /// In a value of a row that is no scalar.
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Columns,
    Data,
    Other,
}

impl Split {
    /// Holds at most so many bytes of rows.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held.bound(bytes);
    }

    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        rows: &mut impl Rows,
    ) -> Result<Step, Broken> {
        if self.skipped.takes(event) {
            return Ok(Step::More);
        }
        match (self.at, event) {
            (At::Members, Event::Key(key)) => {
                let key = match key.text {
                    "columns" => Key::Columns,
                    "data" => Key::Data,
                    _ => Key::Other,
                };
                self.at = At::Member(key);
            }
            (At::Members, _) => {
                if !self.came {
                    return Err(Broken::Missing("data"));
                }
                if !self.held.tell_rows(self.columns.as_deref(), rows) {
                    return Err(TOO_LONG);
                }
                return Ok(Step::End);
            }
            (At::Member(key), event) => self.member(key, event)?,
            (At::Columns, Event::Scalar(name)) => self.column(*name)?,
            (At::Columns, Event::ArrayEnd) => self.at = At::Members,
            (At::Columns, _) => {
                return Err(Broken::Envelope { place: "a column", expected: "a name" });
            }
            (At::Rows, Event::ArrayStart) => {
                self.at = At::Row;
                self.place = 0;
                if self.columns.is_some() {
                    rows.record();
                }
            }
            (At::Rows, Event::ArrayEnd) => self.at = At::Members,
            // pandas takes objects too, by their own names.
            (At::Rows, Event::ObjectStart) => {
                self.at = At::Named;
                rows.record();
            }
            (At::Named, event) => {
                if self.fields.event(event, rows)? == Step::End {
                    self.at = At::Rows;
                }
            }
            (At::Rows, _) => {
                return Err(Broken::Envelope { place: "a row of `data`", expected: "a list" });
            }
            (At::Row, Event::ArrayEnd) => {
                self.at = At::Rows;
                if self.columns.is_some() {
                    rows.record_end();
                } else if !self.held.row_end() {
                    return Err(Broken::TooEarly("data"));
                }
            }
            (At::Row, event) if self.columns.is_none() => {
                let kept = match event {
                    Event::Scalar(value) => Some(*value),
                    _ => {
                        self.skipped.rest();
                        None
                    }
                };
                if !self.held.keep(kept) {
                    return Err(Broken::TooEarly("data"));
                }
            }
            (At::Row, event) => {
                let columns = self.columns.as_deref().unwrap_or_default();
                let Some(name) = columns.get(self.place) else { return Err(TOO_LONG) };
                self.place += 1;
                rows.field(Text { text: name, cut: false });
                self.value(event, rows)?;
            }
            (At::Value, event) => self.value(event, rows)?,
        }
        Ok(Step::More)
    }

    fn value(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        self.fields.event(event, rows)?;
        self.at = if self.fields.is_between() { At::Row } else { At::Value };
        Ok(())
    }

    fn member(&mut self, key: Key, event: &Event<'_>) -> Result<(), Broken> {
        self.at = match (key, event) {
            (Key::Columns, Event::ArrayStart) if self.columns.is_none() => {
                self.columns = Some(Vec::new());
                At::Columns
            }
            // Nothing said.
            (Key::Columns, Event::Scalar(Scalar::Null)) if self.columns.is_none() => At::Members,
            (Key::Columns, _) if self.columns.is_some() => return Err(Broken::Twice("columns")),
            (Key::Columns, _) => {
                return Err(Broken::Envelope { place: "`columns`", expected: "a list of names" });
            }
            (Key::Data, _) if self.came => return Err(Broken::Twice("data")),
            (Key::Data, Event::ArrayStart) => {
                self.came = true;
                At::Rows
            }
            (Key::Data, _) => {
                return Err(Broken::Envelope { place: "`data`", expected: "a list of rows" });
            }
            (Key::Other, event) => {
                self.skipped.value(event);
                At::Members
            }
        };
        Ok(())
    }

    fn column(&mut self, name: Scalar<'_>) -> Result<(), Broken> {
        let columns = self.columns.get_or_insert_default();
        if columns.len() == MAX_COLUMNS {
            return Err(Broken::TooMany { what: "columns", most: MAX_COLUMNS });
        }
        columns.push(match name {
            Scalar::Text(name) => name.text.into(),
            // A frame without names numbers its columns.
            Scalar::Number(number) => number.text.into(),
            Scalar::Null | Scalar::Bool(_) | Scalar::NotFinite(_) => {
                return Err(Broken::Envelope { place: "a column", expected: "a name" });
            }
        });
        Ok(())
    }
}
