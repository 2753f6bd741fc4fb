//! Columns: a whole body read into named columns of cells. The collector's way to read samples. It does not
//! know the contract.

use std::collections::HashMap;

use crate::body::Body;
use crate::json::{Scalar, Text};
use crate::protocol::{Protocol, Side};
use crate::rows::{Rows, Shape, Tensor, Values};

/// A body as a table. Every column has `rows` cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Columns {
    /// Rows in the body.
    pub rows: usize,
    /// The columns, in order of appearance.
    pub columns: Vec<Column>,
}

/// One named column. A tensor of width `w > 1` makes `w` columns named `name[0]` to `name[w-1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name on the wire.
    pub name: String,
    /// One for each row.
    pub cells: Vec<Cell>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Null, or absent from this row.
    Null,
    /// A number; infinite when it was written past the range of a double.
    Number(f64),
    /// A text.
    Text(Box<str>),
    /// A boolean.
    Bool(bool),
    /// An object or array where a value was expected.
    Nested,
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not readable as {protocol:?}: {why}")]
pub struct Unreadable {
    /// The protocol it was read as.
    pub protocol: Protocol,
    /// What was wrong, with the byte where.
    pub why: String,
}

/// Reads a whole body into columns. Bounded: at most `max_cells` cells, and of each text
/// [`crate::json::MAX_TOKEN_BYTES`]. Rows that lack a column have [`Cell::Null`] there, and so does
/// a number of more characters than that. In a record, the last of repeated fields stands.
///
/// # Errors
/// When the body is not what the protocol says, a tensor is named twice or has another number of
/// values than its shape says, or there are more cells than the bound.
pub fn read(
    body: &[u8],
    protocol: Protocol,
    side: Side,
    max_cells: usize,
) -> Result<Columns, Unreadable> {
    let mut table = Table { protocol, max_cells, ..Table::default() };
    let mut reading = Body::new(protocol, side);
    let unreadable = |why: String| Unreadable { protocol, why };
    reading.feed(body, &mut table).map_err(|broken| unreadable(broken.to_string()))?;
    reading.finish(&mut table).map_err(|broken| unreadable(broken.to_string()))?;
    table.finish().map_err(|lost| unreadable(lost.to_string()))
}

/// Why well-formed values do not make a table.
#[derive(Debug, Clone, thiserror::Error)]
enum Lost {
    #[error("more than {0} cells")]
    TooMany(usize),
    #[error("tensor `{0}` came twice")]
    Twice(Box<str>),
    #[error("tensor `{name}` has {count} values, its shape asks for {size}")]
    Count { name: Box<str>, count: u64, size: u64 },
    #[error("tensor `{0}` has a shape whose values cannot be counted")]
    Shape(Box<str>),
}

/// A table while it is read.
#[derive(Debug)]
struct Table {
    protocol: Protocol,
    max_cells: usize,
    columns: Columns,
    by_name: HashMap<Box<str>, usize>,
    /// Cells so far, absent ones before a late column included.
    cells: usize,
    /// The column that takes the next value of a record.
    column: usize,
    tensor: Open,
    lost: Option<Lost>,
}

/// The tensor that is being read.
#[derive(Debug, Default)]
struct Open {
    name: Box<str>,
    width: u64,
    size: Option<u64>,
    values: Vec<Cell>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            protocol: Protocol::Json,
            max_cells: 0,
            columns: Columns::default(),
            by_name: HashMap::new(),
            cells: 0,
            column: 0,
            tensor: Open::default(),
            lost: None,
        }
    }
}

impl Table {
    fn lose(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
    }

    /// Makes room for this many more cells; false when the bound is passed.
    fn room(&mut self, cells: usize) -> bool {
        self.cells = self.cells.saturating_add(cells);
        if self.cells > self.max_cells {
            self.lose(Lost::TooMany(self.max_cells));
        }
        self.lost.is_none()
    }

    fn put(&mut self, cell: Cell) {
        if self.protocol == Protocol::Oip {
            if self.room(1) {
                self.tensor.values.push(cell);
            }
            return;
        }
        let row = self.columns.rows - 1;
        let column = self.column;
        let Some(have) = self.columns.columns.get(column).map(|column| column.cells.len()) else {
            return;
        };
        if !self.room((row + 1).saturating_sub(have)) {
            return;
        }
        let cells = &mut self.columns.columns[column].cells;
        cells.resize(row + 1, Cell::Null);
        cells[row] = cell;
    }

    fn finish(mut self) -> Result<Columns, Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let Columns { rows, columns } = &mut self.columns;
        if rows.saturating_mul(columns.len()) > self.max_cells {
            return Err(Lost::TooMany(self.max_cells));
        }
        for column in columns {
            column.cells.resize(*rows, Cell::Null);
        }
        Ok(self.columns)
    }
}

impl Rows for Table {
    fn record(&mut self) {
        self.columns.rows += 1;
        self.column = usize::MAX;
    }

    fn field(&mut self, name: Text<'_>) {
        // The first field of a record is the first column.
        self.column = self.column.wrapping_add(1);
        let columns = &mut self.columns.columns;
        // Records mostly repeat the order of the one before.
        if columns.get(self.column).is_some_and(|column| column.name == name.text) {
            return;
        }
        if let Some(place) = self.by_name.get(name.text) {
            self.column = *place;
        } else if self.lost.is_none() {
            self.column = columns.len();
            self.by_name.insert(name.text.into(), columns.len());
            columns.push(Column { name: name.text.to_owned(), cells: Vec::new() });
        } else {
            self.column = usize::MAX;
        }
    }

    fn record_end(&mut self) {}

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.tensor = Open {
            name: tensor.name.text.into(),
            width: tensor.shape.width().unwrap_or(1),
            size: tensor.shape.size(),
            values: Vec::new(),
        };
        if self.by_name.insert(tensor.name.text.into(), 0).is_some() {
            self.lose(Lost::Twice(tensor.name.text.into()));
        }
        if matches!(tensor.shape, Shape::Known(_)) && self.tensor.size.is_none() {
            self.lose(Lost::Shape(tensor.name.text.into()));
        }
    }

    fn tensor_end(&mut self, values: Values) {
        let Open { name, width, size, values: cells } = std::mem::take(&mut self.tensor);
        if values == Values::Elsewhere || self.lost.is_some() {
            return;
        }
        if cells.is_empty() && !self.room(1) {
            return;
        }
        let count = cells.len() as u64;
        if let Some(size) = size.filter(|size| *size != count) {
            return self.lose(Lost::Count { name, count, size });
        }
        // Without values a width is only a claim, and not worth the columns.
        let width = if cells.is_empty() { 1 } else { usize::try_from(width).unwrap_or(1) };
        self.columns.rows = self.columns.rows.max(cells.len() / width);
        if width == 1 {
            self.columns.columns.push(Column { name: name.into(), cells });
            return;
        }
        let first = self.columns.columns.len();
        let rows = cells.len() / width;
        self.columns.columns.extend((0..width).map(|place| Column {
            name: format!("{name}[{place}]"),
            cells: Vec::with_capacity(rows),
        }));
        for (place, cell) in cells.into_iter().enumerate() {
            self.columns.columns[first + place % width].cells.push(cell);
        }
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        self.put(match value {
            Scalar::Null => Cell::Null,
            Scalar::Bool(value) => Cell::Bool(value),
            Scalar::Number(number) => number.value().map_or(Cell::Null, Cell::Number),
            Scalar::Text(text) => Cell::Text(text.text.into()),
        });
    }

    fn nested(&mut self) {
        self.put(Cell::Nested);
    }

    fn whole(&mut self) {}
}
