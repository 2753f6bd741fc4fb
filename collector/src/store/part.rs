//! A part: the samples of one version of a model that are written as one file. Bounded in rows and
//! cells. It does not know when it is closed, nor where it goes.

use std::sync::Arc;

use tidegate_contract::columns::Columns;
use tidegate_contract::protocol::Side;

use super::layout::{ABOUT, Column};
use crate::decision::UnixMillis;
use crate::table::calendar;
use crate::table::written::{Values, parquet};

/// Rows from which on a part is whole.
const MAX_ROWS: usize = 1 << 16;
/// Cells from which on it is.
const MAX_CELLS: usize = 1 << 20;

/// What is known of an exchange beside its rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct About {
    /// Envoy's `x-request-id`.
    pub request_id: Box<str>,
    /// When it began, in microseconds since 1970.
    pub start_unix_micros: i64,
    /// Which version answered; empty where none did.
    pub version: Box<str>,
    /// Whether it is a shadow's answer, which nobody waited for; its request has a line of its own.
    pub shadow: bool,
    /// The HTTP status; 0 where there was none.
    pub status: u32,
    /// How long it took.
    pub duration_seconds: f64,
    /// What became of it, such as `served`.
    pub outcome: &'static str,
    /// Why it was kept, such as `rate`.
    pub reason: &'static str,
    /// The probability with which one like it is kept; its weight is the inverse.
    pub sampling_rate: f64,
    /// The trace it belongs to; empty where it belongs to none.
    pub trace_id: Box<str>,
    /// Violations of the contract.
    pub violations: u64,
}

/// An exchange as it is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    /// What is known of it.
    pub about: About,
    /// The rows of its request, where they could be read.
    pub asked: Option<Arc<Columns>>,
    /// The rows of its answer, where they could be read.
    pub answered: Option<Arc<Columns>>,
}

impl Kept {
    /// Its rows; one at least, so that what could not be read is there, too.
    #[must_use]
    pub fn rows(&self) -> usize {
        let rows = |read: &Option<Arc<Columns>>| read.as_ref().map_or(0, |read| read.rows);
        rows(&self.asked).max(rows(&self.answered)).max(1)
    }
}

/// Samples that wait to be written.
#[derive(Debug)]
pub struct Part {
    /// When it was begun.
    pub begun: UnixMillis,
    columns: Vec<Column>,
    about: Vec<(About, usize)>,
    data: Vec<Values>,
    rows: usize,
}

impl Part {
    /// An empty part with these columns.
    #[must_use]
    pub fn begin(columns: &[Column], now: UnixMillis) -> Self {
        let data = columns.iter().map(Column::empty).collect();
        Self { begun: now, columns: columns.to_vec(), about: Vec::new(), data, rows: 0 }
    }

    /// Takes an exchange in.
    pub fn take(&mut self, kept: Kept) {
        let rows = kept.rows();
        for (column, values) in self.columns.iter().zip(&mut self.data) {
            let read = match column.side {
                Side::Request => &kept.asked,
                Side::Response => &kept.answered,
            };
            column.add(values, read.as_deref(), rows);
        }
        self.about.push((kept.about, rows));
        self.rows += rows;
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Exchanges in it.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.about.len()
    }

    /// Whether it takes no more.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rows >= MAX_ROWS || self.rows * (self.columns.len() + ABOUT.len()) >= MAX_CELLS
    }

    /// The day and the hour that its first exchange began in, UTC: `2026-11-27` and `13`.
    #[must_use]
    pub fn hour(&self) -> (String, String) {
        let first = self.about.first().map_or(0, |(about, _)| about.start_unix_micros);
        let text = calendar::instant(first, 1_000_000, true);
        let day = text.get(..10).unwrap_or("1970-01-01").to_owned();
        (day, text.get(11..13).unwrap_or("00").to_owned())
    }

    /// The file.
    ///
    /// # Errors
    /// In words, where the library refuses.
    pub fn encode(self) -> Result<Vec<u8>, String> {
        let Self { columns, about, data, .. } = self;
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        // Each says its column of all exchanges, repeated for their rows.
        fn each<T: Clone>(about: &[(About, usize)], say: impl Fn(&About) -> T) -> Vec<Option<T>> {
            let said = about.iter().map(|(about, rows)| (say(about), *rows));
            said.flat_map(|(value, rows)| std::iter::repeat_n(Some(value), rows)).collect()
        }
        let flat = |texts: Vec<Option<Option<Box<str>>>>| {
            Values::Text(texts.into_iter().map(Option::flatten).collect())
        };
        let texts = |say: &dyn Fn(&About) -> Option<Box<str>>| flat(each(&about, say));
        let whole = |say: &dyn Fn(&About) -> i64| Values::Whole(each(&about, say));
        let number = |say: &dyn Fn(&About) -> f64| Values::Number(each(&about, say));
        let row = about.iter().flat_map(|(_, rows)| (0..*rows).map(|row| i64::try_from(row).ok()));
        let mut all = vec![
            ("request_id".to_owned(), texts(&|about| text(&about.request_id))),
            ("time".to_owned(), Values::Instant(each(&about, |about| about.start_unix_micros))),
            ("shadow".to_owned(), Values::Boolean(each(&about, |about| about.shadow))),
            ("status".to_owned(), whole(&|about| i64::from(about.status))),
            ("duration_seconds".to_owned(), number(&|about| about.duration_seconds)),
            ("outcome".to_owned(), texts(&|about| text(about.outcome))),
            ("reason".to_owned(), texts(&|about| text(about.reason))),
            ("sampling_rate".to_owned(), number(&|about| about.sampling_rate)),
            ("trace_id".to_owned(), texts(&|about| text(&about.trace_id))),
            (
                "violations".to_owned(),
                whole(&|about| i64::try_from(about.violations).unwrap_or(i64::MAX)),
            ),
            ("row".to_owned(), Values::Whole(row.collect())),
        ];
        all.extend(columns.into_iter().map(|column| column.name).zip(data));
        parquet(&all)
    }
}
