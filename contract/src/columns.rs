//! Columns: a body read into named columns of cells, those that are wanted. The collector's way to
//! read samples. It does not know the contract, nor what the columns are wanted for.

use std::collections::HashMap;

use crate::body::Body;
use crate::json::{Scalar, Text};
use crate::protocol::{Protocol, Side};
use crate::rows::{Rows, Shape, Tensor, Values};

/// Cells that a body may cost for each of its bytes. A value takes at least two bytes; what is
/// beyond are cells of rows that do not have the column, which cost their sender nothing.
const CELLS_PER_BYTE: usize = 4;
/// What a column costs beside its cells, in cells: its name, its lengths, its allocations.
const COLUMN_CELLS: usize = 4;

/// A body as a table. Every column has `rows` cells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Columns {
    /// Rows in the body.
    pub rows: usize,
    /// The columns, in order of appearance.
    pub columns: Vec<Column>,
}

impl Columns {
    /// What the table costs, in cells: one for each row, and each column its cells and a few more.
    /// Texts come on top, and are never longer than the body.
    pub fn cost(&self) -> usize {
        let column = self.rows.saturating_add(COLUMN_CELLS);
        self.columns.len().saturating_mul(column).saturating_add(self.rows)
    }
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

/// The columns that somebody wants, made once for many bodies.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    names: Vec<String>,
    /// Index of a name.
    whole: HashMap<String, usize>,
    /// Of names such as `x[3]`: by `x`, the places and the indices of their names, in order.
    places: HashMap<String, Vec<(u64, usize)>>,
}

impl Wanted {
    /// Wants the columns of these names; one like `x[3]` is also place 3 of a wide tensor `x`.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Self::default();
        for name in names {
            let at = wanted.names.len();
            if wanted.whole.insert(name.to_owned(), at).is_some() {
                continue;
            }
            wanted.names.push(name.to_owned());
            if let Some((tensor, place)) = place(name) {
                wanted.places.entry(tensor.to_owned()).or_default().push((place, at));
            }
        }
        wanted.places.values_mut().for_each(|places| places.sort_unstable());
        wanted
    }
}

/// The tensor and the place that `name[place]` names, where it is spelled as columns are.
fn place(name: &str) -> Option<(&str, u64)> {
    let (tensor, place) = name.strip_suffix(']')?.rsplit_once('[')?;
    let number = place.parse::<u64>().ok()?;
    (number.to_string() == place).then_some((tensor, number))
}

/// Reads a whole body into those of its columns that are wanted; of all others nothing is kept,
/// but they count as rows. Rows that lack a column have [`Cell::Null`] there, and so does a number
/// of more than [`crate::json::MAX_TOKEN_BYTES`] characters; a longer text is cut. A tensor
/// without values makes no column. In a record, the last of repeated fields stands.
///
/// Bounded: the table's [`Columns::cost`] is at most `max_cells`, and at most four cells for
/// each byte of the body.
///
/// # Errors
/// When the body is not what the protocol says, a wanted column comes twice, a tensor has another
/// number of values than its shape says, or the table would cost more than the bound.
pub fn read(
    body: &[u8],
    protocol: Protocol,
    side: Side,
    wanted: &Wanted,
    max_cells: usize,
) -> Result<Columns, Unreadable> {
    let mut table = Table {
        protocol,
        wanted,
        max_cells: max_cells.min(body.len().saturating_mul(CELLS_PER_BYTE)),
        columns: Columns::default(),
        have: vec![None; wanted.names.len()],
        column: None,
        tensor: Open::default(),
        lost: None,
    };
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
    #[error("column `{0}` came twice")]
    Twice(Box<str>),
    #[error("tensor `{name}` has {count} values, its shape asks for {size}")]
    Count { name: Box<str>, count: u64, size: u64 },
    #[error("tensor `{0}` has a shape whose values cannot be counted")]
    Shape(Box<str>),
}

/// A table while it is read.
#[derive(Debug)]
struct Table<'a> {
    protocol: Protocol,
    wanted: &'a Wanted,
    max_cells: usize,
    columns: Columns,
    /// By index of the wanted name, the column.
    have: Vec<Option<usize>>,
    /// The column that takes the next value of a record; none where nobody wants it.
    column: Option<usize>,
    tensor: Open<'a>,
    lost: Option<Lost>,
}

/// The tensor that is being read.
#[derive(Debug, Default)]
struct Open<'a> {
    name: Box<str>,
    width: u64,
    size: Option<u64>,
    /// Values so far.
    count: u64,
    /// Where in the row the next value stands.
    place: u64,
    /// Index of the tensor's own name, if it is one column and wanted.
    whole: Option<usize>,
    /// The places that are wanted and the indices of their names, in order.
    places: &'a [(u64, usize)],
    /// How many of `places` the row has passed.
    passed: usize,
}

impl Open<'_> {
    /// Index of the name that wants the next value.
    fn next(&mut self) -> Option<usize> {
        let index = match self.places.get(self.passed) {
            _ if self.width == 1 => self.whole,
            Some((place, index)) if *place == self.place => {
                self.passed += 1;
                Some(*index)
            }
            _ => None,
        };
        self.count += 1;
        self.place += 1;
        if self.place >= self.width {
            self.place = 0;
            self.passed = 0;
        }
        index
    }
}

impl Table<'_> {
    fn lose(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
    }

    /// Loses a table that has become too large, before its cells are there.
    fn weigh(&mut self) {
        if self.columns.cost() > self.max_cells {
            self.lose(Lost::TooMany(self.max_cells));
        }
    }

    /// The column of a wanted name, made when it comes first.
    fn column(&mut self, index: usize) -> usize {
        if let Some(column) = self.have[index] {
            return column;
        }
        let column = self.columns.columns.len();
        let name = self.wanted.names[index].clone();
        self.columns.columns.push(Column { name, cells: Vec::new() });
        self.have[index] = Some(column);
        self.weigh();
        column
    }

    fn put(&mut self, cell: impl FnOnce() -> Cell) {
        if self.protocol == Protocol::Oip {
            return self.put_next(cell);
        }
        if self.lost.is_some() {
            return;
        }
        if let (Some(column), Some(row)) = (self.column, self.columns.rows.checked_sub(1)) {
            let cells = &mut self.columns.columns[column].cells;
            cells.resize(row + 1, Cell::Null);
            cells[row] = cell();
        }
    }

    /// Puts the tensor's next value.
    fn put_next(&mut self, cell: impl FnOnce() -> Cell) {
        if self.lost.is_some() {
            return;
        }
        let begins_row = self.tensor.place == 0;
        let index = self.tensor.next();
        if begins_row {
            let rows = self.tensor.count.div_ceil(self.tensor.width.max(1));
            let rows = usize::try_from(rows).unwrap_or(usize::MAX);
            self.columns.rows = self.columns.rows.max(rows);
            self.weigh();
        }
        let Some(index) = index else { return };
        let first_row = self.tensor.count <= self.tensor.width;
        if first_row && self.have[index].is_some() {
            return self.lose(Lost::Twice(self.wanted.names[index].as_str().into()));
        }
        let column = self.column(index);
        if self.lost.is_none() {
            self.columns.columns[column].cells.push(cell());
        }
    }

    fn finish(mut self) -> Result<Columns, Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let Columns { rows, columns } = &mut self.columns;
        for column in columns {
            column.cells.resize(*rows, Cell::Null);
            // What waits for the collector must not hold room for cells that never came.
            column.cells.shrink_to_fit();
        }
        Ok(self.columns)
    }
}

impl Rows for Table<'_> {
    fn record(&mut self) {
        self.columns.rows += 1;
        self.column = None;
        self.weigh();
    }

    fn field(&mut self, name: Text<'_>) {
        self.column = match self.wanted.whole.get(name.text) {
            Some(index) if self.lost.is_none() => Some(self.column(*index)),
            _ => None,
        };
    }

    fn record_end(&mut self) {}

    fn tensor(&mut self, tensor: Tensor<'_>) {
        let name = tensor.name.text;
        self.tensor = Open {
            name: name.into(),
            width: tensor.shape.width().unwrap_or(1),
            size: tensor.shape.size(),
            whole: self.wanted.whole.get(name).copied(),
            places: self.wanted.places.get(name).map_or(&[], Vec::as_slice),
            ..Open::default()
        };
        if matches!(tensor.shape, Shape::Known(_)) && self.tensor.size.is_none() {
            self.lose(Lost::Shape(name.into()));
        }
    }

    fn tensor_end(&mut self, values: Values) {
        let Open { name, size, count, .. } = std::mem::take(&mut self.tensor);
        if values == Values::Elsewhere {
            return;
        }
        if let Some(size) = size.filter(|size| *size != count) {
            self.lose(Lost::Count { name, count, size });
        }
    }

    fn scalar(&mut self, value: Scalar<'_>) {
        self.put(|| match value {
            Scalar::Null => Cell::Null,
            Scalar::Bool(value) => Cell::Bool(value),
            Scalar::Number(number) => number.value().map_or(Cell::Null, Cell::Number),
            Scalar::Text(text) => Cell::Text(text.text.into()),
        });
    }

    fn nested(&mut self) {
        self.put(|| Cell::Nested);
    }

    fn whole(&mut self) {}
}
