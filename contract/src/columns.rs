//! Columns: a whole body read into named columns of cells. The collector's way to read samples.

use crate::protocol::{Protocol, Side};

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
    /// A number.
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

/// Reads a whole body into columns. Bounded: at most `max_cells` cells.
///
/// # Errors
/// When the body is not what the protocol says, or holds more cells than the bound.
pub fn read(
    _body: &[u8],
    _protocol: Protocol,
    _side: Side,
    _max_cells: usize,
) -> Result<Columns, Unreadable> {
    todo!()
}
