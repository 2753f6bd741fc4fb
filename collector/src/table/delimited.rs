//! The door to CSV: records, delimiters, header lines, and what the cells of a column can be read
//! as. It does not know Parquet, nor what the cells are read for.

use std::cell::Cell as Shared;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use crate::table::error::TableError;
use crate::table::spelling::{self, Spelling};
use crate::table::{Cell, Column, Kind, Progress, Reading};

/// Bytes of one record, so that a quote left open does not read the whole file into memory.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// What the reader fetches at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 4096;

/// Records by which the delimiter is guessed.
const GUESS_RECORDS: usize = 50;

/// A CSV file whose delimiter and names are known.
#[derive(Debug)]
pub(super) struct Delimited {
    path: PathBuf,
    bytes: u64,
    delimiter: u8,
    nulls: HashSet<String>,
    names: Vec<String>,
    has_header: bool,
    trim: bool,
}

impl Delimited {
    /// `head` is the file's beginning, `cut` whether more follows.
    pub(super) fn open(
        path: &Path,
        head: &[u8],
        cut: bool,
        reading: &Reading,
    ) -> Result<Self, TableError> {
        refuse_foreign(path, head)?;
        let delimiter = reading.delimiter.unwrap_or_else(|| guess_delimiter(head, cut));
        let first = records(head, delimiter).next().unwrap_or_default();
        let has_header = reading.names.is_empty();
        let names = if has_header {
            header(path, &first)?
        } else if reading.names.len() == first.len() {
            reading.names.clone()
        } else {
            let (found, given) = (first.len(), reading.names.len());
            return Err(TableError::NameCount { path: path.to_owned(), found, given });
        };
        refuse_repeated(path, &names)?;
        let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
        let nulls = reading.nulls.iter().cloned().collect();
        Ok(Self {
            path: path.to_owned(),
            bytes,
            delimiter,
            nulls,
            names,
            has_header,
            trim: reading.trim,
        })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn columns(
        &self,
        positions: &[usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Column>, TableError> {
        let mut guesses = vec![Guess::default(); positions.len()];
        self.each_record(progress, &mut |record| {
            for (guess, &position) in guesses.iter_mut().zip(positions) {
                if guess.open()
                    && let Some(text) = self.text(record, position)?
                {
                    guess.take(spelling::of(text.trim_ascii()));
                }
            }
            Ok(())
        })?;
        let column = |(guess, &position): (Guess, &usize)| {
            let name = self.names[position].clone();
            Column { position, name, kind: guess.kind() }
        };
        Ok(guesses.into_iter().zip(positions).map(column).collect())
    }

    pub(super) fn scan(
        &self,
        columns: &[Column],
        each: &mut dyn FnMut(usize, Cell<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, TableError> {
        self.each_record(progress, &mut |record| {
            for (index, column) in columns.iter().enumerate() {
                let cell = match self.text(record, column.position)? {
                    None => Cell::Null,
                    Some(text) => read(text, column.kind),
                };
                each(index, cell);
            }
            Ok(())
        })
    }

    /// The cell, as a model that reads the same file sees it; `None` where it means null, whatever
    /// blanks are around that.
    fn text<'a>(
        &self,
        record: &Record<'a>,
        position: usize,
    ) -> Result<Option<&'a str>, TableError> {
        let bytes = record.cells.get(position).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotUtf8 {
            path: self.path.clone(),
            row: record.row,
            line: Some(record.line),
            column: self.names[position].clone(),
        })?;
        let word = text.trim_ascii();
        let text = if self.trim { word } else { text };
        Ok((!word.is_empty() && !self.nulls.contains(word)).then_some(text))
    }

    /// Walks over all records; returns how many there were.
    fn each_record(
        &self,
        progress: &mut dyn FnMut(Progress),
        each: &mut dyn FnMut(&Record<'_>) -> Result<(), TableError>,
    ) -> Result<u64, TableError> {
        let cannot = |source| TableError::Open { path: self.path.clone(), source };
        let left = Rc::new(Shared::new(MAX_RECORD_BYTES));
        let file = File::open(&self.path).map_err(cannot)?;
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(self.has_header)
            .flexible(true)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Rationed { inner: file, left: Rc::clone(&left) });
        // Read by itself, so that the first row's line is known before it is read.
        reader.byte_headers().map_err(|error| cannot(error.into()))?;
        let mut cells = ByteRecord::new();
        let mut row = 0;
        loop {
            let line = reader.position().line();
            left.set(MAX_RECORD_BYTES);
            let more = reader.read_byte_record(&mut cells).map_err(|error| {
                if left.get() == 0 {
                    let (path, limit) = (self.path.clone(), MAX_RECORD_BYTES);
                    return TableError::RowTooLong { path, row: row + 1, line, limit };
                }
                cannot(error.into())
            })?;
            if !more {
                break;
            }
            row += 1;
            let line = cells.position().map_or(line, csv::Position::line);
            if cells.len() != self.names.len() {
                let (got, expected) = (cells.len() as u64, self.names.len() as u64);
                return Err(TableError::Ragged {
                    path: self.path.clone(),
                    row,
                    line,
                    got,
                    expected,
                });
            }
            each(&Record { row, line, cells: &cells })?;
            if row % REPORT_ROWS == 0 {
                let share = reader.position().byte() as f64 / self.bytes.max(1) as f64;
                progress(Progress { rows: row, share: share.min(1.0) });
            }
        }
        if row == 0 {
            return Err(TableError::NoRows { path: self.path.clone() });
        }
        Ok(row)
    }
}

/// A record and where it stands; rows count from 1 and leave out the header.
struct Record<'a> {
    row: u64,
    line: u64,
    cells: &'a ByteRecord,
}

fn read(text: &str, kind: Kind) -> Cell<'_> {
    let cell = match kind {
        Kind::Text => Some(Cell::Text(text)),
        Kind::Boolean => spelling::boolean(text.trim_ascii()).map(Cell::Boolean),
        Kind::Integer | Kind::Number => text.trim_ascii().parse().ok().map(Cell::Number),
    };
    // Only a file that changed between the two passes gets here without a cell.
    cell.unwrap_or(Cell::Null)
}

/// What the cells of one column can still be read as.
#[derive(Debug, Clone, Copy)]
struct Guess {
    seen: bool,
    whole: bool,
    number: bool,
    boolean: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { seen: false, whole: true, number: true, boolean: true }
    }
}

impl Guess {
    /// Whether more cells can change the answer.
    fn open(self) -> bool {
        self.number || self.boolean
    }

    fn take(&mut self, spelling: Spelling) {
        self.seen = true;
        self.whole &= spelling == Spelling::Whole;
        self.number &= matches!(spelling, Spelling::Whole | Spelling::Number);
        self.boolean &= spelling == Spelling::Boolean;
    }

    fn kind(self) -> Kind {
        match self {
            Self { seen: false, .. } => Kind::Text,
            Self { whole: true, .. } => Kind::Integer,
            Self { number: true, .. } => Kind::Number,
            Self { boolean: true, .. } => Kind::Boolean,
            _ => Kind::Text,
        }
    }
}

/// A reader that stops when its ration is used up; the ration is renewed for each record.
struct Rationed<R> {
    inner: R,
    left: Rc<Shared<usize>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("record too long"));
        }
        let wanted = buffer.len().min(left);
        let got = self.inner.read(&mut buffer[..wanted])?;
        self.left.set(left - got);
        Ok(got)
    }
}

fn refuse_foreign(path: &Path, head: &[u8]) -> Result<(), TableError> {
    let foreign = |what, cure| Err(TableError::Foreign { path: path.to_owned(), what, cure });
    match head {
        [0x1f, 0x8b, ..] => foreign("compressed (gzip)", "unpack it first (gunzip)"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => foreign("compressed (zstd)", "unpack it first (unzstd)"),
        [b'P', b'K', 3, 4, ..] => foreign("a ZIP archive or a workbook", "export it as CSV"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => foreign("UTF-16 text", "save it as UTF-8"),
        _ if head.contains(&0) => foreign("neither text nor Parquet", "export it as CSV"),
        _ => Ok(()),
    }
}

/// The delimiter that splits the first records into the same number of cells, and into most;
/// a comma when none does.
fn guess_delimiter(head: &[u8], cut: bool) -> u8 {
    let cells = |delimiter: u8| {
        let mut lengths: Vec<_> =
            records(head, delimiter).take(GUESS_RECORDS).map(|record| record.len()).collect();
        if cut && lengths.len() > 1 && lengths.len() < GUESS_RECORDS {
            lengths.pop();
        }
        let first = lengths.first().copied().unwrap_or(0);
        (lengths.iter().all(|&length| length == first) && first > 1, first)
    };
    // The last of equals wins.
    b"\t;,".iter().copied().max_by_key(|&delimiter| cells(delimiter)).unwrap_or(b',')
}

fn records(head: &[u8], delimiter: u8) -> impl Iterator<Item = ByteRecord> + '_ {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(head)
        .into_byte_records()
        .map_while(Result::ok)
}

/// The names in the first record, unless it is no header.
fn header(path: &Path, first: &ByteRecord) -> Result<Vec<String>, TableError> {
    let mut names = Vec::with_capacity(first.len());
    for (index, cell) in first.iter().enumerate() {
        let name = std::str::from_utf8(cell.trim_ascii()).map_err(|_| TableError::NotUtf8 {
            path: path.to_owned(),
            row: 0,
            line: Some(1),
            column: format!("number {}", index + 1),
        })?;
        names.push(name.to_owned());
    }
    // A frame without names is written by pandas with the header 0, 1, 2 ... as names.
    let data: Vec<_> = names.iter().skip_while(|name| name.is_empty()).collect();
    let counted = data.iter().enumerate().all(|(index, name)| **name == index.to_string());
    for (index, name) in names.iter().enumerate() {
        let column = index + 1;
        let value = matches!(spelling::of(name), Spelling::Whole | Spelling::Number);
        if value && !counted {
            let (path, text) = (path.to_owned(), name.clone());
            return Err(TableError::NoHeader { path, column, text });
        }
    }
    // Only the first column may lack a name: the row index that pandas writes.
    match names.iter().skip(1).position(String::is_empty) {
        Some(index) => Err(TableError::Unnamed { path: path.to_owned(), column: index + 2 }),
        None if names.len() < 2 && data.is_empty() => {
            Err(TableError::Unnamed { path: path.to_owned(), column: 1 })
        }
        None => Ok(names),
    }
}

pub(super) fn refuse_repeated(path: &Path, names: &[String]) -> Result<(), TableError> {
    let mut seen = HashMap::new();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = seen.insert(name, index + 1) {
            let (path, name, second) = (path.to_owned(), name.clone(), index + 1);
            return Err(TableError::RepeatedName { path, name, first, second });
        }
    }
    Ok(())
}
