//! The JSON of TensorFlow Serving, KServe V1 and MLflow: rows or columns under one of a few keys, all
//! other keys passed over. It does not know which fields there should be.

use crate::json::{Event, Text};
use crate::protocol::Side;
use crate::record::{Row, Step};
use crate::rows::{Broken, Content, Rows, Shape, Tensor, Values};
use crate::skip::Skip;
use crate::split::Split;

/// Which keys hold the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// `instances` or `inputs`, answered with `predictions` or `outputs`.
    V1(Side),
    /// The same, and data frames.
    Mlflow(Side),
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// A list of rows, or an object of columns.
    Rows,
    /// A data frame of pandas, split into its columns and its rows.
    Split,
    /// The body proper, in a CloudEvent that its head does not tell of: KServe looks at the keys.
    Body,
    Nothing,
}

impl Keys {
    fn holds(self, key: &str) -> Holds {
        match (self, key) {
            (Self::V1(Side::Request) | Self::Mlflow(Side::Request), "instances" | "inputs")
            | (
                Self::V1(Side::Response) | Self::Mlflow(Side::Response),
                "predictions" | "outputs",
            )
            | (Self::Mlflow(Side::Request), "dataframe_records") => Holds::Rows,
            (Self::Mlflow(Side::Request), "dataframe_split") => Holds::Split,
            (Self::V1(_), "data") => Holds::Body,
            _ => Holds::Nothing,
        }
    }

    /// The key that people expect, for the one who sent none.
    fn first(self) -> &'static str {
        match self {
            Self::V1(Side::Request) => "instances",
            Self::Mlflow(Side::Request) => "dataframe_split",
            Self::V1(Side::Response) | Self::Mlflow(Side::Response) => "predictions",
        }
    }
}

/// Reads the events of one body.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    keys: Keys,
    at: At,
    /// What came; there can be one answer only.
    came: Option<Content>,
    /// Whether the `data` of an event came.
    event: bool,
    /// Whether we are in it.
    within: bool,
    /// A value that nobody looks into.
    skipped: Skip,
    row: Row,
    split: Split,
    /// How deep in the lists of a column.
    depth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Root,
    Envelope,
    /// After a key that holds this.
    Member(Holds),
    Rows,
    Row,
    /// The one row that is there instead of a list of rows.
    OnlyRow,
    Split,
    Columns,
    /// After the name of a column.
    Column,
    /// In the outermost list of a column.
    Values,
    End,
}

impl Reader {
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            at: At::Root,
            came: None,
            event: false,
            within: false,
            skipped: Skip::default(),
            row: Row::with_bytes(),
            split: Split::default(),
            depth: 0,
        }
    }

    /// Holds at most so many bytes of rows.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.split.hold(bytes);
    }

    /// Whether numbers that come next are values that go straight to the listener.
    pub(crate) fn takes_numbers(&self) -> bool {
        match self.at {
            At::Row | At::OnlyRow => self.row.in_list(),
            At::Values => !self.skipped.is_on(),
            _ => false,
        }
    }

    /// Whether we stand between rows, behind one without a name.
    pub(crate) fn in_rows(&self) -> bool {
        self.at == At::Rows && !self.row.named
    }

    /// Whether we stand between the fields of a row, so that keys and scalars go straight to the listener.
    pub(crate) fn is_flat(&self) -> bool {
        matches!(self.at, At::Row | At::OnlyRow) && self.row.is_flat()
    }

    pub(crate) fn event(&mut self, event: &Event<'_>, rows: &mut impl Rows) -> Result<(), Broken> {
        if self.skipped.takes(event) {
            return Ok(());
        }
        match (self.at, event) {
            (At::Root, Event::ObjectStart) => self.at = At::Envelope,
            (At::Root, _) => {
                return Err(Broken::Envelope { place: "the body", expected: "an object" });
            }
            (At::Envelope, Event::Key(key)) => return self.key(*key),
            (At::Envelope, _) if self.within => self.within = false,
            (At::Envelope, _) => {
                let content = self.came.ok_or(Broken::Missing(self.keys.first()))?;
                self.at = At::End;
                rows.whole(content);
            }
            (At::Member(holds), event) => return self.member(holds, event, rows),
            (At::Rows, Event::ArrayEnd) => self.at = At::Envelope,
            (At::Rows, event) => {
                self.at = At::Row;
                if self.row.start(event, rows)? == Step::End {
                    self.at = At::Rows;
                }
            }
            (At::Row, event) => {
                if self.row.event(event, rows)? == Step::End {
                    self.at = At::Rows;
                }
            }
            (At::OnlyRow, event) => {
                if self.row.event(event, rows)? == Step::End {
                    self.at = At::Envelope;
                }
            }
            (At::Split, event) => {
                if self.split.event(event, rows)? == Step::End {
                    self.at = At::Envelope;
                }
            }
            (At::Columns, Event::Key(name)) => {
                self.at = At::Column;
                rows.tensor(Tensor { name: *name, datatype: None, shape: Shape::Nested });
            }
            (At::Columns, _) => self.at = At::Envelope,
            (At::Column, Event::ArrayStart) => {
                self.at = At::Values;
                self.depth = 0;
            }
            (At::Column, event) => {
                self.at = At::Columns;
                self.value(event, rows);
                rows.tensor_end(Values::Here);
            }
            (At::Values, Event::ArrayEnd) if self.depth == 0 => {
                self.at = At::Columns;
                rows.tensor_end(Values::Here);
            }
            (At::Values, Event::ArrayEnd) => {
                self.depth -= 1;
                rows.list_end();
            }
            (At::Values, Event::ArrayStart) => {
                self.depth += 1;
                rows.list();
            }
            (At::Values, event) => self.value(event, rows),
            (At::End, _) => {}
        }
        Ok(())
    }

    /// A value of a column that is no list.
    fn value(&mut self, event: &Event<'_>, rows: &mut impl Rows) {
        match event {
            Event::Scalar(value) => rows.scalar(value),
            _ => {
                self.skipped.rest();
                rows.object();
            }
        }
    }

    fn key(&mut self, key: Text<'_>) -> Result<(), Broken> {
        let holds = if key.cut { Holds::Nothing } else { self.keys.holds(key.text) };
        let holds = if holds == Holds::Body && self.within { Holds::Nothing } else { holds };
        if holds == Holds::Body && std::mem::replace(&mut self.event, true) {
            return Err(Broken::Twice("data"));
        }
        if !matches!(holds, Holds::Nothing | Holds::Body) && self.came.is_some() {
            return Err(Broken::Twice(self.keys.first()));
        }
        self.at = At::Member(holds);
        Ok(())
    }

    fn member(
        &mut self,
        holds: Holds,
        event: &Event<'_>,
        rows: &mut impl Rows,
    ) -> Result<(), Broken> {
        self.at = At::Envelope;
        match (holds, event) {
            (Holds::Body, Event::ObjectStart) => {
                self.within = true;
                return Ok(());
            }
            (Holds::Nothing | Holds::Body, event) => {
                self.skipped.value(event);
                return Ok(());
            }
            (Holds::Rows, Event::ObjectStart) => {
                self.at = At::Columns;
                self.came = Some(Content::Tensors);
                return Ok(());
            }
            (Holds::Rows, Event::ArrayStart) => self.at = At::Rows,
            (Holds::Rows, event) => {
                if self.row.start(event, rows)? == Step::More {
                    self.at = At::OnlyRow;
                }
            }
            (Holds::Split, Event::ObjectStart) => self.at = At::Split,
            (Holds::Split, _) => {
                let place = "`dataframe_split`";
                return Err(Broken::Envelope { place, expected: "an object" });
            }
        }
        self.came = Some(Content::Records);
        Ok(())
    }
}
