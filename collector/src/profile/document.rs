//! `profile.json`: what people and programs read of a profile. Its keys keep their order, so that
//! two profiles can be compared line by line. It does not hold the sketches.

use serde::{Deserialize, Serialize};
use tidegate_contract::contract::TextFormat;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::reference::Values;
use tidegate_detectors::summary::NumberSummary;

use crate::profile::survey::Survey;
use crate::table::Kind;

/// The value of [`Document::format`].
pub const FORMAT: &str = "tidegate-profile";

/// The value of [`Document::format_version`] that this code writes and reads.
pub const FORMAT_VERSION: u64 = 1;

/// Levels of a category that are named; the sketch has all.
const TOP_LEVELS: usize = 20;

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
    /// The inputs, in the order of the data.
    pub features: Vec<Summary>,
    /// The model's outputs.
    pub outputs: Vec<Summary>,
    /// How many independent tests those of a window are worth: features that say the same count
    /// less. Absent where there were too few rows to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_tests: Option<f64>,
}

/// Where a profile's rows came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The file's name, without its folder.
    pub file: String,
    /// `csv` or `parquet`.
    pub format: String,
    /// The file's size.
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
}

/// Readable quantiles: `p05` is the value that 5 % of the rows do not exceed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // the name says it
pub struct Quantiles {
    pub p01: Option<f64>,
    pub p05: Option<f64>,
    pub p25: Option<f64>,
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
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

impl Summary {
    /// What people are shown of a column.
    pub(super) fn of(survey: &Survey) -> Self {
        let feature = &survey.feature;
        let categories = survey.levels().map(|levels| {
            let counts = levels.counts().iter().map(|(value, &count)| (value.clone(), count));
            let mut all: Vec<_> = counts.map(|(value, count)| Level { value, count }).collect();
            all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            let levels = all.len() as u64;
            let other = all.iter().skip(TOP_LEVELS).map(|level| level.count).sum();
            all.truncate(TOP_LEVELS);
            Categories { levels, top: all, other }
        });
        let numbers = match &feature.values {
            Values::Number(numbers) => Some(Numbers::of(numbers)),
            Values::Category(_) => None,
        };
        Self {
            name: survey.name.clone(),
            kind: kind(survey),
            rows: feature.rows,
            nulls: feature.missing(),
            numbers,
            categories,
            notes: notes(survey),
        }
    }
}

impl Numbers {
    fn of(numbers: &NumberSummary) -> Self {
        let sketch = numbers.sketch();
        let at = |q| sketch.quantile(q);
        Self {
            mean: numbers.mean(),
            sd: numbers.variance().map(f64::sqrt),
            min: numbers.min(),
            max: numbers.max(),
            quantiles: Quantiles {
                p01: at(0.01),
                p05: at(0.05),
                p25: at(0.25),
                p50: at(0.5),
                p75: at(0.75),
                p95: at(0.95),
                p99: at(0.99),
            },
            rank_error: sketch.rank_error(),
            infinite: numbers.non_finite,
        }
    }
}

fn kind(survey: &Survey) -> SummaryKind {
    match (survey.kind, survey.format()) {
        (Kind::Boolean, _) => SummaryKind::Boolean,
        (_, _) if survey.levels().is_some() || survey.code => SummaryKind::Category,
        (Kind::Integer, _) => SummaryKind::Integer,
        (Kind::Number, _) => SummaryKind::Number,
        (Kind::Text, Some(TextFormat::Date)) => SummaryKind::Date,
        (Kind::Text, Some(TextFormat::DateTime)) => SummaryKind::DateTime,
        (Kind::Text, Some(TextFormat::Number | TextFormat::Uuid) | None) => SummaryKind::Text,
    }
}

fn notes(survey: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    if survey.looks_like_row_number() {
        notes.push(
            "rises with every row, like a row number: if the model does not read it, leave it \
             out with --exclude, or every window will seem to drift"
                .to_owned(),
        );
    }
    if survey.filled() == 0 {
        notes.push(
            "has no value at all: taken for text; leave it out with --exclude, or mend its type \
             in contract.json"
                .to_owned(),
        );
    }
    let single = match &survey.feature.values {
        Values::Number(numbers) => numbers.min().is_some() && numbers.min() == numbers.max(),
        Values::Category(levels) => levels.counts().len() == 1 && levels.other() == 0,
    };
    if single {
        notes.push("has one value only: any other will be a drift".to_owned());
    }
    if survey.padded {
        notes.push(
            "has texts that begin or end with a blank, and requests must carry it, too: if the \
             model's own reader takes blanks off, use --trim"
                .to_owned(),
        );
    }
    if survey.code && survey.levels().is_none() && survey.filled() > 0 {
        notes.push("has too many values for a category: only its nulls will be judged".to_owned());
    }
    if let Values::Number(numbers) = &survey.feature.values
        && numbers.non_finite > 0
    {
        notes.push(format!("holds {} infinite values: counted as nulls", numbers.non_finite));
    }
    notes
}
