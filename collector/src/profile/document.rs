//! `profile.json`: what people and programs read of a profile. Its keys keep their order, so that
//! two profiles can be compared line by line. It does not hold the sketches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_contract::contract::TextFormat;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::cardinality::Cardinality;
use tidegate_detectors::reference::Values;
use tidegate_detectors::season::Period;
use tidegate_detectors::summary::NumberSummary;

use crate::profile::shape::{Shape, TextShape};
use crate::profile::survey::{Learned, SHARES};
use crate::profile::texts::Told;
use crate::profile::together::{Clusters, Correlations};
use crate::table::Kind;

/// The value of [`Document::format`].
pub const FORMAT: &str = "tidegate-profile";

/// The value of [`Document::format_version`] that this code writes and reads.
pub const FORMAT_VERSION: u64 = 3;

/// Levels of a category that are named; the sketch has all.
const TOP_LEVELS: usize = 10;

/// A profile, without its sketches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version of the folder's layout.
    pub format_version: u64,
    /// The model, where it was named.
    pub model: Option<String>,
    /// When it was made, in RFC 3339: the only value that differs between two runs on the same data.
    pub created: String,
    /// How the model is asked.
    pub protocol: Protocol,
    /// The data.
    pub source: Source,
    /// Rows of the data.
    pub rows: u64,
    /// The column that says when a row was, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// After how long traffic is as it was before, where each hour has a reference of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Period>,
    /// The inputs, in the order of the data.
    pub features: Vec<Summary>,
    /// The model's outputs.
    pub outputs: Vec<Summary>,
    /// How many independent tests those of a window are worth: features that say the same count
    /// less. Absent where there were too few rows to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_tests: Option<f64>,
    /// How numbers among the inputs move together. Absent where fewer than two vary, or there were too
    /// few rows, and in profiles merged of parts without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlations: Option<Correlations>,
    /// Clusters of rows by some of these numbers. Absent where there are none, and as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Clusters>,
    /// How numbers among the outputs move together: told, and no part of what windows are held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_correlations: Option<Correlations>,
    /// Clusters of rows by numbers among the outputs: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_clusters: Option<Clusters>,
}

/// Where a profile's rows came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The file's or folder's name, without the folder it is in.
    pub file: String,
    /// How many files were read.
    pub files: u64,
    /// `csv` or `parquet`; `mixed` of merged profiles of both.
    pub format: String,
    /// The files' size.
    pub bytes: u64,
    /// Columns that were left out on request.
    pub excluded: Vec<String>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: SummaryKind,
    /// Rows.
    pub rows: u64,
    /// Rows without a usable value.
    pub nulls: u64,
    /// Of a column of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Of a column of categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Categories>,
    /// Of a column of texts that are no categories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a column's values are, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SummaryKind {
    /// Numbers without fractions.
    Integer,
    /// Numbers.
    Number,
    /// One of a few values, numbers among them.
    Category,
    /// `true` and `false`.
    Boolean,
    /// ISO 8601 days.
    Date,
    /// RFC 3339 instants.
    DateTime,
    /// Any text.
    Text,
}

/// A distribution of numbers. All are absent when there was no finite value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The sample's standard deviation.
    pub sd: Option<f64>,
    /// The skewness g₁: 0 where both tails are alike.
    pub skewness: Option<f64>,
    /// The excess kurtosis g₂: 0 for a normal distribution.
    pub kurtosis: Option<f64>,
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
    /// Quantiles, each off by at most `rank_error`.
    pub quantiles: Quantiles,
    /// How far a rank read from the sketch can be from the truth, as a share of the rows.
    pub rank_error: f64,
    /// Infinities: counted among the nulls.
    pub infinite: u64,
    /// How many distinct values there are, where all are known.
    pub distinct: Option<u64>,
    /// Values with a share far beyond their neighbours', such as zeros and defaults.
    pub atoms: Vec<Atom>,
}

/// A value that is there far more often than others near it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Atom {
    /// It.
    pub value: f64,
    /// Rows, at least.
    pub count: u64,
}

/// Readable quantiles: `p05` is the value that 5 % of the rows do not exceed, `p99_9`
/// the one that 99.9 % do not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // the name says it
pub struct Quantiles {
    pub p0_1: Option<f64>,
    pub p01: Option<f64>,
    pub p05: Option<f64>,
    pub p25: Option<f64>,
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub p99_9: Option<f64>,
}

/// A distribution of categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Categories {
    /// How many there are.
    pub levels: u64,
    /// The most frequent, most frequent first; equals in the order of their names.
    pub top: Vec<Level>,
    /// Rows of all others.
    pub other: u64,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Its text.
    pub value: String,
    /// Rows.
    pub count: u64,
}

/// How texts look that are no categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// How many distinct texts there are.
    pub distinct: u64,
    /// The standard error of that, as a share of it; 0 where they were counted.
    pub distinct_error: f64,
    /// Their lengths in bytes.
    pub lengths: Lengths,
    /// How many texts have a character of each kind.
    pub characters: BTreeMap<String, u64>,
    /// The narrowest format that 99 of 100 have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TextShape>,
    /// Texts that at least one row in a hundred has, and twenty rows, each as often as is certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frequent: Vec<Level>,
}

/// Lengths of texts in bytes: exact up to 255, beyond that to the next power of two.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // the name says it
pub struct Lengths {
    pub min: Option<u64>,
    pub p50: Option<u64>,
    pub p95: Option<u64>,
    pub max: Option<u64>,
}

impl Lengths {
    fn of(shape: &Shape) -> Self {
        let [min, p50, p95, max] = [0.0, 0.5, 0.95, 1.0].map(|share| shape.length(share));
        Self { min, p50, p95, max }
    }
}

impl Texts {
    fn of(told: &Told) -> Self {
        let shape = &told.shape;
        let named = told.frequent.named().into_iter();
        let frequent = named.map(|(value, count)| Level { value: value.to_owned(), count });
        let characters = shape.characters().into_iter();
        Self {
            distinct: told.levels.unwrap_or_else(|| told.distinct.estimate().round() as u64),
            distinct_error: told.levels.map_or(Cardinality::STANDARD_ERROR, |_| 0.0),
            lengths: Lengths::of(shape),
            characters: characters.map(|(kind, count)| (kind.to_owned(), count)).collect(),
            format: shape.format(),
            frequent: frequent.take(TOP_LEVELS).collect(),
        }
    }
}

impl Summary {
    /// What people are shown of a column.
    pub(super) fn of(learned: &Learned) -> Self {
        let feature = &learned.feature;
        let categories = learned.levels().map(|levels| {
            let counts = levels.counts().iter().map(|(value, &count)| (value.clone(), count));
            let mut all: Vec<_> = counts.map(|(value, count)| Level { value, count }).collect();
            all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            let levels = all.len() as u64;
            let other = all.iter().skip(TOP_LEVELS).map(|level| level.count).sum();
            all.truncate(TOP_LEVELS);
            Categories { levels, top: all, other }
        });
        let numbers = match &feature.values {
            Values::Number(numbers) => Some(Numbers::of(numbers, &learned.quantiles)),
            Values::Category(_) => None,
        };
        Self {
            name: learned.name.clone(),
            kind: kind(learned),
            rows: feature.rows,
            nulls: feature.missing(),
            numbers,
            texts: match (&categories, &learned.texts) {
                (None, Some(told)) if told.count > 0 => Some(Texts::of(told)),
                _ => None,
            },
            categories,
            notes: notes(learned),
        }
    }
}

impl Numbers {
    fn of(numbers: &NumberSummary, quantiles: &[Option<f64>; SHARES.len()]) -> Self {
        let sketch = numbers.sketch();
        let [p0_1, p01, p05, p25, p50, p75, p95, p99, p99_9] =
            quantiles.map(|quantile| quantile.map(|value| digits(value, 9)));
        let atoms = sketch.atoms().into_iter();
        Self {
            mean: numbers.mean(),
            sd: numbers.variance().map(f64::sqrt),
            skewness: numbers.moments().skewness(),
            kurtosis: numbers.moments().kurtosis(),
            min: numbers.min(),
            max: numbers.max(),
            quantiles: Quantiles { p0_1, p01, p05, p25, p50, p75, p95, p99, p99_9 },
            rank_error: sketch.rank_error(),
            infinite: numbers.non_finite,
            distinct: sketch.distinct(),
            atoms: atoms.map(|(value, count)| Atom { value, count }).collect(),
        }
    }
}

/// To so many significant digits, where it is no whole number: what comes from a sketch or from some
/// rows has no more.
pub(super) fn digits(value: f64, count: usize) -> f64 {
    if value == value.trunc() {
        return value;
    }
    format!("{value:.0$e}", count.saturating_sub(1)).parse().unwrap_or(value)
}

fn kind(learned: &Learned) -> SummaryKind {
    match (learned.kind, learned.format()) {
        (Kind::Boolean, _) => SummaryKind::Boolean,
        (_, _) if learned.levels().is_some() || learned.code => SummaryKind::Category,
        (Kind::Integer, _) => SummaryKind::Integer,
        (Kind::Number, _) => SummaryKind::Number,
        (Kind::Text, Some(TextFormat::Date)) => SummaryKind::Date,
        (Kind::Text, Some(TextFormat::DateTime)) => SummaryKind::DateTime,
        (Kind::Text, Some(TextFormat::Number | TextFormat::Uuid) | None) => SummaryKind::Text,
    }
}

fn notes(learned: &Learned) -> Vec<String> {
    let mut notes = Vec::new();
    if learned.looks_like_row_number() {
        notes.push(
            "rises with every row, like a row number: if the model does not read it, leave it \
             out with --exclude, or every window will seem to drift"
                .to_owned(),
        );
    }
    if learned.filled() == 0 {
        notes.push(
            "has no value at all: taken for text; leave it out with --exclude, or mend its type \
             in contract.json"
                .to_owned(),
        );
    }
    let single = match &learned.feature.values {
        Values::Number(numbers) => numbers.min().is_some() && numbers.min() == numbers.max(),
        Values::Category(levels) => levels.counts().len() == 1 && levels.other() == 0,
    };
    if single {
        notes.push("has one value only: any other will be a drift".to_owned());
    }
    if learned.padded {
        notes.push(
            "has texts that begin or end with a blank, and requests must carry it, too: if the \
             model's own reader takes blanks off, use --trim"
                .to_owned(),
        );
    }
    if learned.code && learned.levels().is_none() && learned.filled() > 0 {
        notes.push("has too many values for a category: only its nulls will be judged".to_owned());
    }
    if let Values::Number(numbers) = &learned.feature.values
        && numbers.non_finite > 0
    {
        notes.push(format!("holds {} infinite values: counted as nulls", numbers.non_finite));
    }
    notes
}
