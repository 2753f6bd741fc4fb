//! `tidegate labels`: sends the labels of a CSV or Parquet file to a running collector, in parts. It
//! does not know what they are held against.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::outcomes::Taken;
use crate::client::{Client, ClientError};
use crate::meter::Meter;
use crate::profile::ReadingArgs;
use crate::profile::error::ProfileError;
use crate::profile::survey::code;
use crate::table::error::TableError;
use crate::table::{Cell, Column, Kind, Table};
use crate::wording::grouped;

/// Labels of one part; the collector takes twice as many.
const PART_LABELS: usize = 5_000;
/// Bytes of one part; the collector takes twice as many.
const PART_BYTES: usize = 1 << 20;

/// What `tidegate labels` can be told.
#[derive(Debug, clap::Args)]
pub struct LabelsArgs {
    /// A CSV or Parquet file with the columns `request_id` and `label`, and `row` and `time` where
    /// they matter
    pub data: PathBuf,
    /// The model that they are of
    #[arg(long)]
    pub model: String,
    /// The collector's HTTP address
    #[arg(long, env = "TIDEGATE_API", default_value = "http://127.0.0.1:7071", value_name = "URL")]
    pub api: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How the file is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// Why labels were not sent, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The file cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The arguments say nothing that a file can be read by.
    #[error(transparent)]
    Reading(#[from] ProfileError),
    /// A column is missing.
    #[error("{} has no column `{name}`; it has {known}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        name: &'static str,
        /// What it has.
        known: String,
    },
    /// The collector did not take a part; those before it were taken.
    #[error("rows from {from} on were not taken: {source}")]
    Refused {
        /// The first row of the part, from 1.
        from: u64,
        /// Why.
        source: ClientError,
    },
    /// A row that is no label.
    #[error("{}, row {row}: {what}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Nobody reads what is printed.
    #[error(transparent)]
    Print(#[from] std::io::Error),
}

/// Sends the labels of a file; rows without one are passed over.
///
/// # Errors
/// See [`PostError`].
pub fn run(args: &LabelsArgs, out: &mut dyn Write) -> Result<(), PostError> {
    let client = Client::new(&args.api);
    let table = Table::open(&args.data, &args.reading.reading()?)?;
    let mut sending = Sending::of(args, &client);
    let columns = sending.columns(&table)?;
    let mut failed = None;
    table.blocks(columns.len(), &mut |block| {
        let read = table.read(&columns, &block, &mut |at, cell| sending.take(at, cell));
        let done = read.map_err(PostError::from).and_then(|_| sending.send_whole());
        failed = done.err();
        failed.is_none()
    })?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    sending.send_part()?;
    let Sending { taken, unlabelled, .. } = sending;
    if args.json {
        let mut answer = json!(taken);
        answer["without_label"] = unlabelled.into();
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    let Taken { accepted, joined, repeated, unknown, conflicting } = taken;
    let parts = [
        (joined, "met their answer"),
        (repeated, "were known already"),
        (unknown, "met none (a sample was not taken, or is no longer kept)"),
        (conflicting, "say otherwise than an earlier one, which stands"),
    ];
    writeln!(out, "{} labels of {} sent", grouped(accepted), args.model)?;
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "  {:>12} {what}", grouped(count))?;
    }
    if unlabelled > 0 {
        writeln!(out, "  {:>12} rows have no label and were passed over", grouped(unlabelled))?;
    }
    Ok(())
}

/// Which column of the file is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    RequestId,
    Label,
    Row,
    Time,
}

const MEANINGS: [(&str, Meaning, bool); 4] = [
    ("request_id", Meaning::RequestId, true),
    ("label", Meaning::Label, true),
    ("row", Meaning::Row, false),
    ("time", Meaning::Time, false),
];

/// Rows on their way: columns fill one after the other, and whole rows leave in parts.
struct Sending<'a> {
    args: &'a LabelsArgs,
    client: &'a Client,
    meanings: Vec<Meaning>,
    waiting: Vec<VecDeque<Value>>,
    part: String,
    in_part: usize,
    /// Rows of the file that are done, and how many of them were when the part began.
    rows: u64,
    part_from: u64,
    taken: Taken,
    unlabelled: u64,
}

impl<'a> Sending<'a> {
    fn of(args: &'a LabelsArgs, client: &'a Client) -> Self {
        Self {
            args,
            client,
            meanings: Vec::new(),
            waiting: Vec::new(),
            part: String::new(),
            in_part: 0,
            rows: 0,
            part_from: 0,
            taken: Taken::default(),
            unlabelled: 0,
        }
    }

    /// The columns of the file that matter. Ids in a file without types are texts, whatever they
    /// look like.
    fn columns(&mut self, table: &Table) -> Result<Vec<Column>, PostError> {
        let mut positions = Vec::new();
        for (name, meaning, needed) in MEANINGS {
            match table.names().iter().position(|known| known == name) {
                Some(at) => {
                    positions.push(at);
                    self.meanings.push(meaning);
                }
                None if needed => {
                    let known = table.names().join(", ");
                    return Err(PostError::NoColumn { path: table.path().to_owned(), name, known });
                }
                None => {}
            }
        }
        self.waiting = vec![VecDeque::new(); positions.len()];
        let mut meter = Meter::start("finding types");
        let mut columns = table.columns(&positions, &mut |progress| meter.show(progress))?;
        for (column, meaning) in columns.iter_mut().zip(&self.meanings) {
            if table.format() == "csv" && *meaning == Meaning::RequestId {
                column.kind = Kind::Text;
            }
        }
        Ok(columns)
    }

    fn take(&mut self, at: usize, cell: Cell<'_>) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Boolean(value) => value.into(),
            Cell::Text(text) => text.into(),
            Cell::Number(number) if self.meanings[at] == Meaning::RequestId => code(number).into(),
            // Whole numbers without a fraction, as far as doubles count them.
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                (number as i64).into()
            }
            Cell::Number(number) => number.into(),
        };
        self.waiting[at].push_back(value);
    }

    /// Sends what is whole: a row whose every column has come.
    fn send_whole(&mut self) -> Result<(), PostError> {
        while self.waiting.iter().all(|column| !column.is_empty()) {
            self.rows += 1;
            let (mut id, mut label) = (Value::Null, Value::Null);
            let mut line = json!({ "model": self.args.model });
            for (meaning, column) in self.meanings.iter().zip(&mut self.waiting) {
                let value = column.pop_front().unwrap_or_default();
                match meaning {
                    Meaning::RequestId => id = value,
                    Meaning::Label => label = value,
                    Meaning::Row if !value.is_null() => line["row"] = value,
                    Meaning::Time if !value.is_null() => line["time"] = value,
                    Meaning::Row | Meaning::Time => {}
                }
            }
            if label.is_null() {
                self.unlabelled += 1;
                continue;
            }
            if id.is_null() {
                let (path, row) = (self.args.data.clone(), self.rows);
                return Err(PostError::Row { path, row, what: "no request id" });
            }
            line["request_id"] = id;
            line["label"] = label;
            let line = line.to_string();
            if self.in_part == PART_LABELS || self.part.len() + line.len() >= PART_BYTES {
                self.send_part()?;
            }
            if self.in_part == 0 {
                self.part_from = self.rows;
            }
            self.part.push_str(&line);
            self.part.push('\n');
            self.in_part += 1;
        }
        Ok(())
    }

    fn send_part(&mut self) -> Result<(), PostError> {
        if self.in_part == 0 {
            return Ok(());
        }
        self.in_part = 0;
        let part = std::mem::take(&mut self.part);
        let from = self.part_from;
        let sent = self.client.labels(&part);
        self.taken.add(sent.map_err(|source| PostError::Refused { from, source })?);
        Ok(())
    }
}
