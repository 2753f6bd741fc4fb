//! Training data as named, typed columns of cells, streamed from a CSV or a Parquet file with memory
//! bounded whatever the file's size. It does not know what the cells are read for.
//!
//! Two ways lead through a file. [`Table::scan`] hands over its cells one after the other.
//! [`Table::blocks`] cuts it into stretches that threads read apart from each other, each with
//! [`Table::read`]; where it is cut depends on the file alone.

pub(crate) mod calendar;
mod columnar;
mod delimited;
pub mod error;
pub mod folder;
#[cfg(test)]
pub(crate) mod specimen;
pub(crate) mod spelling;
#[cfg(test)]
mod tests;
pub mod written;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tidegate_detectors::reference::{Feature, Values};

use crate::profile::survey::code;
use crate::table::columnar::Columnar;
pub use crate::table::delimited::Guess;
use crate::table::delimited::{Delimited, Records};
use crate::table::error::TableError;

/// What pandas reads as missing; an empty cell always is.
pub const USUAL_NULLS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// How a file without types of its own is read. Parquet says all of this itself and ignores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What separates cells; without it, guessed among comma, semicolon and tab.
    pub delimiter: Option<u8>,
    /// Texts that mean null, beside the empty one.
    pub nulls: Vec<String>,
    /// The columns' names of a file whose first line is data already.
    pub names: Vec<String>,
    /// Whether texts lose the blanks at their ends. Names and numbers always do.
    pub trim: bool,
}

impl Default for Reading {
    fn default() -> Self {
        let nulls = USUAL_NULLS.map(str::to_owned).to_vec();
        Self { delimiter: None, nulls, names: Vec::new(), trim: false }
    }
}

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers written without a fraction.
    Integer,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Boolean,
    /// Anything else; dates and times as ISO 8601.
    Text,
}

/// A column to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its place in the file, from 0.
    pub position: usize,
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
}

/// One value, as its column's kind says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value. A NaN is one of these.
    Null,
    /// Of an integer or number column; may be infinite.
    Number(f64),
    /// Of a boolean column.
    Boolean(bool),
    /// Of a text column.
    Text(&'a str),
}

/// How far a pass over the file has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Rows read in this pass.
    pub rows: u64,
    /// Bytes of the file that are done.
    pub bytes: u64,
    /// The share of the pass that is done, from 0 to 1.
    pub share: f64,
}

/// Rows from which on a block is whole. Fewer would have threads spend their time on merging.
const BLOCK_ROWS: u64 = 1 << 16;

/// A stretch of a table that can be read apart from the others.
#[derive(Debug)]
pub struct Block {
    stretch: Stretch,
    /// Rows of the file before it.
    before: u64,
    /// Its part of the file.
    bytes: u64,
}

impl Block {
    /// The number of its first row in the file, from 0.
    pub fn first_row(&self) -> u64 {
        self.before
    }
}

#[derive(Debug)]
enum Stretch {
    Records(Records),
    /// Row groups, and which of the columns is read.
    Groups(std::ops::Range<usize>, usize),
}

/// What a block held beside its cells.
#[derive(Debug, Default)]
pub struct Told {
    /// Rows; 0 for a block of a later column, whose rows were counted with the first.
    pub rows: u64,
    /// Its part of the file in bytes.
    pub bytes: u64,
    /// What the cells of each column turned out to be, where the file does not say it before.
    pub guesses: Option<Vec<Guess>>,
}

/// A file of training data whose columns' names are known.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    bytes: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Delimited(Delimited),
    Columnar(Columnar),
}

impl Table {
    /// Opens a file and reads its columns' names. The content decides between CSV and Parquet, not
    /// the file's name.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is neither CSV nor Parquet, or does not name its columns.
    pub fn open(path: &Path, reading: &Reading) -> Result<Self, TableError> {
        let cannot = |source| TableError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(cannot)?;
        let about = file.metadata().map_err(cannot)?;
        if about.is_dir() {
            return Err(TableError::Folder { path: path.to_owned() });
        }
        let mut head = Vec::new();
        file.take(HEAD_BYTES).read_to_end(&mut head).map_err(cannot)?;
        if head.is_empty() {
            return Err(TableError::Empty { path: path.to_owned() });
        }
        let named_parquet = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"));
        let source = if head.starts_with(b"PAR1") || named_parquet {
            Source::Columnar(Columnar::open(path)?)
        } else {
            Source::Delimited(Delimited::open(path, &head, about.len() > HEAD_BYTES, reading)?)
        };
        Ok(Self { path: path.to_owned(), bytes: about.len(), source })
    }

    /// The columns' names in the file's order. An empty one marks the row index that pandas writes
    /// beside the data; there are no other empty ones.
    pub fn names(&self) -> &[String] {
        match &self.source {
            Source::Delimited(file) => file.names(),
            Source::Columnar(file) => file.names(),
        }
    }

    /// `csv` or `parquet`.
    pub fn format(&self) -> &'static str {
        match &self.source {
            Source::Delimited(_) => "csv",
            Source::Columnar(_) => "parquet",
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its rows, where it says how many before they are read.
    pub fn rows(&self) -> Option<u64> {
        match &self.source {
            Source::Delimited(_) => None,
            Source::Columnar(file) => Some(file.rows()),
        }
    }

    /// Finds out what the cells of the columns at `positions` are. One pass over a CSV file; Parquet
    /// says it in its schema.
    ///
    /// # Errors
    /// When the file cannot be read to its end, or has no rows.
    pub fn columns(
        &self,
        positions: &[usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Column>, TableError> {
        match &self.source {
            Source::Delimited(file) => file.columns(positions, progress),
            Source::Columnar(file) => file.columns(positions),
        }
    }

    /// Hands every cell of the columns to `each`, with the column's place in `columns`. The cells of
    /// one column come in the order of the rows; nothing is said of the order between columns.
    /// Returns the number of rows.
    ///
    /// # Errors
    /// When the file cannot be read to its end, or has no rows.
    pub fn scan(
        &self,
        columns: &[Column],
        each: &mut dyn FnMut(usize, Cell<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, TableError> {
        match &self.source {
            Source::Delimited(file) => file.scan(columns, each, progress),
            Source::Columnar(file) => file.scan(columns, each, progress),
        }
    }

    /// What the first records let the columns at `positions` seem to be; what Parquet says.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn seeming(&self, positions: &[usize]) -> Result<Vec<Guess>, TableError> {
        match &self.source {
            Source::Delimited(file) => file.seeming(positions),
            Source::Columnar(file) => {
                let columns = file.columns(positions)?;
                Ok(columns.into_iter().map(|column| Guess::certain(column.kind)).collect())
            }
        }
    }

    /// Cuts the table into blocks and hands them to `each`, in the order of the file, until it
    /// says that it wants no more.
    ///
    /// # Errors
    /// When the file cannot be read to its end, or has no rows.
    pub fn blocks(
        &self,
        columns: usize,
        each: &mut dyn FnMut(Block) -> bool,
    ) -> Result<(), TableError> {
        match &self.source {
            Source::Delimited(file) => file.blocks(BLOCK_ROWS as usize, &mut |records, bytes| {
                let before = records.before();
                each(Block { stretch: Stretch::Records(records), before, bytes })
            }),
            Source::Columnar(file) => {
                let stretches = file.stretches(BLOCK_ROWS);
                let all = (stretches.len() * columns.max(1)) as u64;
                for stretch in stretches {
                    let before = file.rows_of(0..stretch.start);
                    for column in 0..columns {
                        let stretch = Stretch::Groups(stretch.clone(), column);
                        if !each(Block { stretch, before, bytes: self.bytes / all }) {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Hands every cell of a block to `each`, with the column's place in `columns`, the cells of
    /// one column in the order of the rows.
    ///
    /// # Errors
    /// When a cell cannot be read.
    pub fn read(
        &self,
        columns: &[Column],
        block: &Block,
        each: &mut dyn FnMut(usize, Cell<'_>),
    ) -> Result<Told, TableError> {
        let bytes = block.bytes;
        match (&self.source, &block.stretch) {
            (Source::Delimited(file), Stretch::Records(records)) => {
                let guesses = file.read(columns, records, each)?;
                Ok(Told { rows: records.rows(), bytes, guesses: Some(guesses) })
            }
            (Source::Columnar(file), Stretch::Groups(groups, at)) => {
                let rows =
                    file.read_column(groups.clone(), &columns[*at], &mut |c| each(*at, c))?;
                Ok(Told { rows: if *at == 0 { rows } else { 0 }, bytes, guesses: None })
            }
            // A block of another table.
            _ => Ok(Told::default()),
        }
    }

    /// Reads one more column of the rows of a block.
    ///
    /// # Errors
    /// When the file cannot be read, or a cell is not what the column is.
    pub fn read_beside(
        &self,
        column: &Column,
        block: &Block,
        each: &mut dyn FnMut(Cell<'_>),
    ) -> Result<(), TableError> {
        match (&self.source, &block.stretch) {
            (Source::Delimited(file), Stretch::Records(records)) => {
                file.read(std::slice::from_ref(column), records, &mut |_, cell| each(cell))?;
            }
            (Source::Columnar(file), Stretch::Groups(groups, _)) => {
                file.read_column(groups.clone(), column, each)?;
            }
            // A block of another table.
            _ => {}
        }
        Ok(())
    }

    /// The same table for another thread, where threads cannot share one.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn again(&self) -> Result<Self, TableError> {
        let source = match &self.source {
            Source::Delimited(file) => Source::Delimited(file.clone()),
            Source::Columnar(_) => Source::Columnar(Columnar::open(&self.path)?),
        };
        Ok(Self { path: self.path.clone(), bytes: self.bytes, source })
    }
}

/// Whether a feature's levels are texts that now and then look like numbers, such as `007`: a file
/// without types of its own must not be read as if they were.
pub(crate) fn holds_texts(feature: &Feature) -> bool {
    let Values::Category(levels) = &feature.values else { return false };
    let changed = |level: &String| level.parse().is_ok_and(|number: f64| code(number) != *level);
    levels.counts().keys().any(changed)
}

/// What is looked at to tell the format, the delimiter and the names.
const HEAD_BYTES: u64 = 1 << 20;
