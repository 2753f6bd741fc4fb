//! The door to CSV: records, delimiters, header lines, and what the cells of a column can be read
//! as. It does not know Parquet, nor what the cells are read for.

use std::cell::Cell as Shared;
use std::collections::HashMap;
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

/// Records by which the columns' kinds are guessed before all are read.
const SEEMING_RECORDS: u64 = 1_000;

/// Bytes from which on a block of records is whole, however few they are.
const BLOCK_BYTES: usize = 16 << 20;

/// A CSV file whose delimiter and names are known.
#[derive(Debug, Clone)]
pub(super) struct Delimited {
    path: PathBuf,
    bytes: u64,
    delimiter: u8,
    nulls: Nulls,
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
        let nulls = Nulls::of(&reading.nulls);
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
        let guesses = self.guesses(positions, u64::MAX, progress)?;
        let column = |(guess, &position): (Guess, &usize)| {
            let name = self.names[position].clone();
            Column { position, name, kind: guess.kind() }
        };
        Ok(guesses.into_iter().zip(positions).map(column).collect())
    }

    /// Reads on while a column has not had a value yet.
    pub(super) fn seeming(&self, positions: &[usize]) -> Result<Vec<Guess>, TableError> {
        self.guesses(positions, SEEMING_RECORDS, &mut |_| {})
    }

    fn guesses(
        &self,
        positions: &[usize],
        records: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Guess>, TableError> {
        let mut guesses = vec![Guess::default(); positions.len()];
        self.each_record(progress, &mut |record| {
            for (guess, &position) in guesses.iter_mut().zip(positions) {
                if guess.open()
                    && let Some(text) = self.text(record, position)?
                {
                    guess.take(spelling::of(text.trim_ascii()));
                }
            }
            Ok(record.row < records || !guesses.iter().all(|guess| guess.seen))
        })?;
        Ok(guesses)
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
            Ok(true)
        })
    }

    /// Splits the file into records, `rows` at a time, and hands them to `each` with their bytes in
    /// the file, until it wants no more.
    pub(super) fn blocks(
        &self,
        rows: usize,
        each: &mut dyn FnMut(Records, u64) -> bool,
    ) -> Result<(), TableError> {
        let mut block = Records::default();
        let mut wanted = true;
        self.each_record(&mut |_| {}, &mut |record| {
            block.push(record);
            if block.lines.len() >= rows || block.bytes.len() >= BLOCK_BYTES {
                let bytes = block.size();
                wanted = each(std::mem::replace(&mut block, Records::after(record.row)), bytes);
            }
            Ok(wanted)
        })?;
        if wanted && !block.lines.is_empty() {
            let bytes = block.size();
            each(block, bytes);
        }
        Ok(())
    }

    /// Reads records that were split before. Returns what the cells of each column are; where that
    /// is not what `columns` say, some cells came as null.
    pub(super) fn read(
        &self,
        columns: &[Column],
        records: &Records,
        each: &mut dyn FnMut(usize, Cell<'_>),
    ) -> Result<Vec<Guess>, TableError> {
        let open = |column: &Column| {
            let guess = Guess::certain(column.kind);
            // What is known of the numbers before need not hold for these.
            Guess { seen: false, whole: guess.number, ..guess }
        };
        let mut guesses: Vec<_> = columns.iter().map(open).collect();
        let width = self.names.len();
        for (index, ends) in records.ends.chunks_exact(width).enumerate() {
            let begin = index.checked_mul(width).and_then(|at| at.checked_sub(1));
            let begin = begin.map_or(0, |at| records.ends[at] as usize);
            let all = &records.bytes[begin..ends[width - 1] as usize];
            let whole = std::str::from_utf8(all).ok();
            for (at, column) in columns.iter().enumerate() {
                let position = column.position;
                let from =
                    position.checked_sub(1).map_or(begin, |left| ends[left] as usize) - begin;
                let upto = ends[position] as usize - begin;
                let text = match whole.and_then(|text| text.get(from..upto)) {
                    Some(text) => text,
                    // A column that is not read may hold anything.
                    None => std::str::from_utf8(&all[from..upto]).map_err(|_| {
                        let (row, line) = (records.before + index as u64 + 1, records.lines[index]);
                        let (path, column) = (self.path.clone(), column.name.clone());
                        TableError::NotUtf8 { path, row, line: Some(line), column }
                    })?,
                };
                let cell = match self.valued(text) {
                    None => Cell::Null,
                    Some(text) => guesses[at].read(text, column.kind),
                };
                each(at, cell);
            }
        }
        Ok(guesses)
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
        Ok(self.valued(text))
    }

    fn valued<'a>(&self, text: &'a str) -> Option<&'a str> {
        let word = text.trim_ascii();
        let text = if self.trim { word } else { text };
        (!word.is_empty() && !self.nulls.hold(word)).then_some(text)
    }

    /// Walks over the records until `each` wants no more; returns how many there were.
    fn each_record(
        &self,
        progress: &mut dyn FnMut(Progress),
        each: &mut dyn FnMut(&Record<'_>) -> Result<bool, TableError>,
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
            if !each(&Record { row, line, cells: &cells })? {
                break;
            }
            if row % REPORT_ROWS == 0 {
                let bytes = reader.position().byte();
                let share = (bytes as f64 / self.bytes.max(1) as f64).min(1.0);
                progress(Progress { rows: row, bytes, share });
            }
        }
        if row == 0 {
            return Err(TableError::NoRows { path: self.path.clone() });
        }
        Ok(row)
    }
}

/// Texts that mean null, by their first byte: most cells are told from all of them by that.
#[derive(Debug, Clone)]
struct Nulls(Vec<Vec<String>>);

impl Nulls {
    fn of(texts: &[String]) -> Self {
        let mut by_first = vec![Vec::new(); 256];
        for text in texts {
            if let Some(&first) = text.as_bytes().first() {
                by_first[usize::from(first)].push(text.clone());
            }
        }
        Self(by_first)
    }

    fn hold(&self, word: &str) -> bool {
        let first = word.as_bytes().first().map_or(0, |&first| usize::from(first));
        self.0[first].iter().any(|null| null == word)
    }
}

/// Records side by side, split into cells and not yet read.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The cells' texts, one after the other.
    bytes: Vec<u8>,
    /// Where each cell ends in `bytes`.
    ends: Vec<u32>,
    /// The line on which each record begins.
    lines: Vec<u64>,
    /// Records of the file before these.
    before: u64,
}

impl Records {
    fn after(before: u64) -> Self {
        Self { before, ..Self::default() }
    }

    fn push(&mut self, record: &Record<'_>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(record.cells.as_slice());
        let ends = (0..record.cells.len()).filter_map(|cell| record.cells.range(cell));
        // A block ends long before 4 GiB: a record is not longer than 16 MiB.
        self.ends.extend(ends.map(|range| (begin + range.end) as u32));
        self.lines.push(record.line);
    }

    /// Their part of the file, but for quotes.
    fn size(&self) -> u64 {
        (self.bytes.len() + self.ends.len()) as u64
    }

    pub(super) fn before(&self) -> u64 {
        self.before
    }

    pub(super) fn rows(&self) -> u64 {
        self.lines.len() as u64
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
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

    /// A column of which all is known.
    pub(super) fn certain(kind: Kind) -> Self {
        let whole = kind == Kind::Integer;
        let number = whole || kind == Kind::Number;
        Self { seen: true, whole, number, boolean: kind == Kind::Boolean }
    }

    /// What both columns together are.
    pub fn merge(&mut self, other: Guess) {
        self.seen |= other.seen;
        self.whole &= other.whole;
        self.number &= other.number;
        self.boolean &= other.boolean;
    }

    /// Reads a cell as `kind` says and takes in what it is; null where it is not of that kind.
    fn read<'a>(&mut self, text: &'a str, kind: Kind) -> Cell<'a> {
        let cell = match kind {
            Kind::Text => Some(Cell::Text(text)),
            Kind::Boolean => spelling::boolean(text.trim_ascii()).map(Cell::Boolean),
            Kind::Integer | Kind::Number => {
                spelling::number(text.trim_ascii()).map(|(value, whole)| {
                    self.whole &= whole;
                    Cell::Number(value)
                })
            }
        };
        self.seen = true;
        cell.unwrap_or_else(|| {
            self.take(spelling::of(text.trim_ascii()));
            Cell::Null
        })
    }

    /// The narrowest kind that holds all cells.
    pub fn kind(self) -> Kind {
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
