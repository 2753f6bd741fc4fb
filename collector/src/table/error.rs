//! What can be wrong with a file of training data, each with the place and the cure. It does not
//! know how the files are read.

use std::path::PathBuf;

/// Why a file could not be read as a table. Rows count from 1 and leave out the header.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each field is
pub enum TableError {
    #[error("cannot read {}: {source}", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{} is a folder without a CSV or Parquet file in it", path.display())]
    Folder { path: PathBuf },
    #[error("{} changed while it was read: try again", path.display())]
    Changed { path: PathBuf },
    #[error("{} holds more than {most} files: name fewer", path.display())]
    ManyFiles { path: PathBuf, most: usize },
    #[error("{} has other columns than {}: {what}", path.display(), first.display())]
    Unlike { path: PathBuf, first: PathBuf, what: String },
    #[error("{} is empty: it needs a header line and rows", path.display())]
    Empty { path: PathBuf },
    #[error("{} has columns but no rows: nothing can be learned from it", path.display())]
    NoRows { path: PathBuf },
    #[error("{} is {what}: {cure}", path.display())]
    Foreign { path: PathBuf, what: &'static str, cure: &'static str },
    #[error(
        "{}: the first line looks like data, not like names: column {column} is `{text}`; \
         add a header line, or give the names with --names NAME,NAME,...",
        path.display()
    )]
    NoHeader { path: PathBuf, column: usize, text: String },
    #[error(
        "{}: column {column} has no name in the header; name it there, or see whether the \
         delimiter is right (--delimiter)",
        path.display()
    )]
    Unnamed { path: PathBuf, column: usize },
    #[error("{}: columns {first} and {second} are both called `{name}`; rename one", path.display())]
    RepeatedName { path: PathBuf, name: String, first: usize, second: usize },
    #[error(
        "{} has {found} columns, but --names gives {given}; give one name for each column",
        path.display()
    )]
    NameCount { path: PathBuf, found: usize, given: usize },
    #[error(
        "{}, row {row} (line {line}): {got} cells where the first line has {expected}; quote cells \
         that hold the delimiter, or name another one with --delimiter",
        path.display()
    )]
    Ragged { path: PathBuf, row: u64, line: u64, got: u64, expected: u64 },
    #[error(
        "{}, row {row}{}, column `{column}`: not UTF-8; save the file as UTF-8 \
         (iconv -f latin1 -t utf8), or leave the column out with --exclude",
        path.display(),
        Line(*line)
    )]
    NotUtf8 { path: PathBuf, row: u64, line: Option<u64>, column: String },
    #[error(
        "{}, row {row} (line {line}): longer than {} MiB; is a quote left open?",
        path.display(),
        limit >> 20
    )]
    RowTooLong { path: PathBuf, row: u64, line: u64, limit: usize },
    #[error("{} cannot be read as Parquet: {why}; write it again, or export it as CSV", path.display())]
    Parquet { path: PathBuf, why: String },
    #[error(
        "{}, column `{column}`: {what} cannot be profiled; leave it out with --exclude `{column}`, \
         or write it as text or numbers",
        path.display()
    )]
    Unsupported { path: PathBuf, column: String, what: String },
}

/// A line number, where there are lines.
struct Line(Option<u64>);

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}
