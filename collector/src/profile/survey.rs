//! What is learned of one column while its cells stream past, part by part: parts that threads
//! read apart, or that profiles of shards hold, add up. It does not decide what the contract asks.

use serde::{Deserialize, Serialize};
use tidegate_contract::contract::TextFormat;
use tidegate_detectors::compact::CompactSketch;
use tidegate_detectors::reference::{Feature, Observation, Values};
use tidegate_detectors::resampling::KeptColumn;
use tidegate_detectors::season::Period;
use tidegate_detectors::summary::{CategorySummary, NumberSummary};

use crate::profile::by_hour::ByHour;
use crate::profile::hours::{self, Hours};
use crate::profile::shape::TextShape;
use crate::profile::texts::{Texts, Told};
use crate::table::{Cell, Column, Kind};

/// Levels that the contract lists at most.
pub const MAX_CATEGORIES: usize = 64;

/// Rows a level needs on average for a column of text to be a category, and a text of a column of
/// free text to be named among the most frequent.
pub const MIN_ROWS_A_LEVEL: u64 = 20;

/// Of a hundred rows of free text, so many must be the same for it to be named.
const MIN_PERCENT_NAMED: u64 = 1;

/// Rows from which on rising whole numbers look like row numbers.
const MIN_ROWS_RISING: u64 = 20;

/// Numbers that are taken in at once.
const BLOCK: usize = 16_384;

/// Bytes of the sketch that a profile stores of a column of numbers, before base64: some 150 knots.
pub const SKETCH_BYTES: usize = 1_150;

/// Quantiles that the document names.
pub(super) const SHARES: [f64; 9] = [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999];

/// One column while it is read.
#[derive(Debug, Clone)]
pub struct Survey {
    name: String,
    kind: Kind,
    code: bool,
    rows: u64,
    nulls: u64,
    values: Held,
    padded: bool,
    order: Order,
    hours: Option<Box<Hours>>,
    /// Its values by the hour of their rows, where that is wanted.
    by_hour: Option<Box<ByHour>>,
    /// Its values in some whole rows.
    kept: KeptColumn,
}

#[derive(Debug, Clone)]
enum Held {
    Numbers(Box<Numbers>),
    Texts(Texts),
}

/// Two sketches of the same values. The one in `summary` certifies how far its ranks can be from
/// the truth, and is stored: a test must take a sketch's error into account, and the curve can
/// vouch for one percent of the rows at best. The curve is far nearer to the truth than it can
/// prove, and the document's quantiles are read from it.
#[derive(Debug, Clone)]
struct Numbers {
    block: Vec<f64>,
    summary: NumberSummary,
    /// Empty where a stored profile is resumed.
    curve: CompactSketch,
}

/// Whether numbers rise with every row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Order {
    rising: bool,
    /// The first and the last number.
    ends: Option<(f64, f64)>,
}

impl Order {
    fn take(&mut self, value: f64) {
        if !value.is_finite() {
            self.rising = false;
            return;
        }
        let (first, last) = self.ends.unwrap_or((value, f64::NEG_INFINITY));
        self.rising &= value > last;
        self.ends = Some((first, value));
    }

    /// Goes on with rows that come after.
    fn merge(&mut self, other: Order) {
        self.ends = match (self.ends, other.ends) {
            (Some((first, last)), Some((next, end))) => {
                self.rising &= next > last;
                Some((first, end))
            }
            (here, there) => here.or(there),
        };
        self.rising &= other.rising;
    }
}

/// One column when all its rows were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The column's name.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
    /// Whether the caller says that its values are categories.
    pub code: bool,
    /// What windows are held against. Of free text only completeness can be judged, so its values
    /// are counted without their names.
    pub feature: Feature,
    /// Whether some text begins or ends with a blank.
    pub padded: bool,
    /// What is known of texts, but not of all levels of a category.
    pub texts: Option<Told>,
    /// The values at [`SHARES`].
    pub(super) quantiles: [Option<f64>; SHARES.len()],
    /// Rows by hour, of the column that says when.
    pub hours: Option<Hours>,
    /// The values by the hour of their rows, where that was wanted.
    pub(super) by_hour: Option<ByHour>,
    /// Its values in some whole rows.
    pub(super) kept: KeptColumn,
    order: Order,
}

/// What a profile stores of a column so that it can be merged, beside the document and the
/// reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The column's name.
    pub name: String,
    kind: Kind,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    code: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    padded: bool,
    /// Of numbers that rose with every row, the first and the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    rose: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    texts: Option<Told>,
}

impl Survey {
    /// Nothing seen yet. With `code`, numbers are names of categories; with `time`, the column says
    /// when a row was. Of `kept` whole rows are drawn.
    pub fn new(column: &Column, code: bool, time: bool, kept: KeptColumn) -> Self {
        let numeric = matches!(column.kind, Kind::Integer | Kind::Number) && !code;
        let values = if numeric {
            Held::Numbers(Box::new(Numbers {
                block: Vec::new(),
                summary: NumberSummary::fine(),
                curve: CompactSketch::default(),
            }))
        } else {
            Held::Texts(Texts::default())
        };
        Self {
            name: column.name.clone(),
            kind: column.kind,
            code,
            rows: 0,
            nulls: 0,
            values,
            padded: false,
            order: Order { rising: true, ends: None },
            hours: time.then(Box::default),
            by_hour: None,
            kept,
        }
    }

    /// The same, which learns its values by the hour of a period, too.
    #[must_use]
    pub fn by_hour(mut self, period: Option<Period>) -> Self {
        let numeric = matches!(self.values, Held::Numbers(_));
        self.by_hour = period.map(|period| Box::new(ByHour::new(period, &self.name, numeric)));
        self
    }

    /// Takes the next row's cell in, of a row at this hour of the period; `None` where it cannot be told.
    #[inline]
    pub fn take_at(&mut self, hour: Option<usize>, cell: Cell<'_>) {
        if let (Some(by_hour), Some(hour)) = (&mut self.by_hour, hour) {
            by_hour.take(hour, cell);
        }
        self.take(cell);
    }

    /// Takes the next row's cell in.
    #[inline]
    pub fn take(&mut self, cell: Cell<'_>) {
        self.rows += 1;
        if let Some(hours) = &mut self.hours {
            hours.take(hours::of_cell(cell));
        }
        self.kept.take(match cell {
            Cell::Null => Observation::Missing,
            Cell::Boolean(value) => Observation::Category(if value { "true" } else { "false" }),
            Cell::Text(text) => Observation::Category(text),
            Cell::Number(value) if self.code => {
                self.take_code(value);
                return;
            }
            Cell::Number(value) => Observation::Number(value),
        });
        match (cell, &mut self.values) {
            (Cell::Null, _) => self.nulls += 1,
            (Cell::Number(value), values) => {
                self.order.take(value);
                if let Held::Numbers(numbers) = values {
                    numbers.take(value);
                }
            }
            (Cell::Text(text), Held::Texts(texts)) => {
                let bytes = text.as_bytes();
                let ends = [bytes.first(), bytes.last()];
                self.padded |= ends.into_iter().flatten().any(u8::is_ascii_whitespace);
                texts.insert(text);
            }
            (Cell::Boolean(value), Held::Texts(texts)) => {
                texts.insert(if value { "true" } else { "false" });
            }
            // A cell that is not of the column's kind, which the table does not give.
            (Cell::Text(_) | Cell::Boolean(_), Held::Numbers(_)) => self.nulls += 1,
        }
    }

    /// A number that is the name of a category.
    fn take_code(&mut self, value: f64) {
        let name = code(value);
        self.order.take(value);
        self.kept.take(Observation::Category(&name));
        if let Held::Texts(texts) = &mut self.values {
            texts.insert(&name);
        }
    }

    /// Adds the rows that come after these. Whether both are the same column is the caller's to
    /// know.
    pub fn merge(&mut self, mut other: Survey) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.padded |= other.padded;
        self.order.merge(other.order);
        if other.kind == Kind::Number {
            self.becomes(Kind::Number);
        }
        match (&mut self.values, &mut other.values) {
            (Held::Numbers(here), Held::Numbers(there)) => {
                here.settle();
                there.settle();
                here.summary.merge(&there.summary);
                here.curve.merge(&there.curve);
            }
            (Held::Texts(here), Held::Texts(there)) => here.merge(there),
            _ => self.nulls += other.rows - other.nulls,
        }
        if let (Some(here), Some(there)) = (&mut self.hours, &other.hours) {
            here.merge(there);
        }
        if let (Some(here), Some(there)) = (&mut self.by_hour, other.by_hour) {
            here.merge(*there);
        }
        self.kept.merge(other.kept);
    }

    /// Whether a column of this kind is learned in the same way, and then it is of that kind.
    pub fn becomes(&mut self, kind: Kind) -> bool {
        let number = |kind| matches!(kind, Kind::Integer | Kind::Number);
        let same = self.kind == kind || number(self.kind) && number(kind);
        if same {
            self.kind = kind;
        }
        same
    }

    /// Its values in the rows that were drawn.
    pub fn kept(&self) -> &KeptColumn {
        &self.kept
    }

    /// Of a column that goes on from a stored one, and so has no such values: these are they.
    pub fn keep(&mut self, kept: KeptColumn) {
        self.kept = kept;
    }

    /// The rows by hour, of the column that says when.
    pub fn hours(self) -> Option<Hours> {
        self.hours.map(|hours| hours.settled())
    }

    /// What was learned when there are no more rows.
    pub fn learned(self) -> Learned {
        let Survey { name, kind, code, rows, nulls, values, padded, order, hours, by_hour, kept } =
            self;
        let mut quantiles = [None; SHARES.len()];
        let (values, texts) = match values {
            Held::Numbers(mut numbers) => {
                numbers.settle();
                quantiles = SHARES.map(|share| numbers.quantile(share, kind));
                let mut summary = numbers.summary;
                summary.condense(SKETCH_BYTES);
                (Values::Number(summary), None)
            }
            Held::Texts(texts) => {
                let said = code || kind == Kind::Boolean;
                let mut told = texts.told();
                let often = |known: u64| {
                    told.count >= known * MIN_ROWS_A_LEVEL && format(kind, &told).is_none()
                };
                let named = texts.levels().filter(|levels| {
                    let known = levels.counts().len() as u64;
                    known > 0 && (said || often(known))
                });
                let levels = named.clone().unwrap_or_else(|| CategorySummary::nameless(told.count));
                if named.is_none() {
                    let part = told.count.saturating_mul(MIN_PERCENT_NAMED) / 100;
                    told.forget_below(MIN_ROWS_A_LEVEL.max(part));
                }
                (Values::Category(levels), Some(told))
            }
        };
        let feature = Feature { name: name.clone(), rows, nulls, foreign: 0, values };
        let hours = hours.map(|hours| hours.settled());
        let by_hour = by_hour.map(|by_hour| *by_hour);
        Learned { name, kind, code, feature, padded, texts, quantiles, hours, by_hour, kept, order }
    }
}

impl Numbers {
    #[inline]
    fn take(&mut self, value: f64) {
        self.block.push(value);
        if self.block.len() >= BLOCK {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !self.block.is_empty() {
            self.summary.extend(&mut self.block);
            self.curve.extend_sorted(&self.block);
            self.block.clear();
        }
    }

    /// The value at this share: of the curve, which is nearer, unless the sketch that is certain
    /// contradicts it, or knows every value.
    fn quantile(&self, share: f64, kind: Kind) -> Option<f64> {
        let sketch = self.summary.sketch();
        let certain = sketch.quantile(share);
        if sketch.rank_error() == 0.0 || self.curve.count() < self.summary.count {
            return certain;
        }
        let near = self.curve.quantile(share)?;
        let near = if kind == Kind::Integer { near.round() } else { near };
        let holds = sketch.cdf(near.next_down()).0 <= share && share <= sketch.cdf(near).1;
        if holds { Some(near) } else { certain }
    }
}

/// How all texts are written, where the contract has a format for it.
fn format(kind: Kind, told: &Told) -> Option<TextFormat> {
    let all =
        |shape| kind == Kind::Text && told.count > 0 && told.shape.of_format(shape) == told.count;
    let known = [
        (TextShape::Date, TextFormat::Date),
        (TextShape::DateTime, TextFormat::DateTime),
        (TextShape::Uuid, TextFormat::Uuid),
    ];
    known.into_iter().find(|(shape, _)| all(*shape)).map(|(_, format)| format)
}

impl Learned {
    /// Rows with a usable value.
    pub fn filled(&self) -> u64 {
        self.feature.rows - self.feature.missing()
    }

    /// How all texts are written, where there is a format for it.
    pub fn format(&self) -> Option<TextFormat> {
        self.texts.as_ref().and_then(|told| format(self.kind, told))
    }

    /// All levels of a column of categories, where every one is known by its whole name and is met
    /// often enough to be one. `None` for numbers and for free text.
    pub fn levels(&self) -> Option<&CategorySummary> {
        match &self.feature.values {
            Values::Category(levels) if !levels.counts().is_empty() => Some(levels),
            _ => None,
        }
    }

    /// Whether this looks like a row number or a key: whole numbers that rise with every row.
    pub fn looks_like_row_number(&self) -> bool {
        self.kind == Kind::Integer && self.order.rising && self.filled() >= MIN_ROWS_RISING
    }

    /// What windows are held against, and what merging needs beside it.
    pub fn stored(self) -> (Feature, Remembered) {
        let texts = if self.levels().is_some() { None } else { self.texts };
        let Learned { name, kind, code, feature, padded, order, .. } = self;
        let rose = order.ends.filter(|_| order.rising);
        (feature, Remembered { name, kind, code, padded, rose, texts })
    }
}

impl Remembered {
    /// Goes on from a stored column. `None` where this does not belong to the feature.
    pub fn resume(&self, feature: &Feature) -> Option<Survey> {
        let values = match (&feature.values, &self.texts) {
            (Values::Number(summary), None) => Held::Numbers(Box::new(Numbers {
                block: Vec::new(),
                summary: summary.clone(),
                curve: CompactSketch::default(),
            })),
            (Values::Category(_), Some(told)) => Held::Texts(told.resume()),
            (Values::Category(levels), None) => Held::Texts(Texts::of(levels)),
            (Values::Number(_), Some(_)) => return None,
        };
        (self.name == feature.name).then(|| Survey {
            name: self.name.clone(),
            kind: self.kind,
            code: self.code,
            rows: feature.rows,
            nulls: feature.nulls + feature.foreign,
            values,
            padded: self.padded,
            order: Order {
                rising: self.rose.is_some() || feature.rows == feature.missing(),
                ends: self.rose,
            },
            hours: None,
            by_hour: None,
            kept: KeptColumn::default(),
        })
    }

    /// Whether two parts of a column can be added up.
    pub fn fits(&self, other: &Remembered) -> bool {
        let number = |kind| matches!(kind, Kind::Integer | Kind::Number);
        let kinds = self.kind == other.kind || number(self.kind) && number(other.kind);
        self.name == other.name && kinds && self.code == other.code
    }
}

/// Gives what a cell is as a value of this column.
pub(crate) fn observed(values: &Values, cell: Cell<'_>, mut take: impl FnMut(Observation<'_>)) {
    match (values, cell) {
        (_, Cell::Null) => take(Observation::Missing),
        (Values::Number(_), Cell::Number(number)) => take(Observation::Number(number)),
        // One text in a column makes all of its cells texts.
        (Values::Number(_), Cell::Text(text)) => match text.trim_ascii().parse() {
            Ok(number) => take(Observation::Number(number)),
            Err(_) => take(Observation::Foreign),
        },
        (Values::Number(_), Cell::Boolean(_)) => take(Observation::Foreign),
        (Values::Category(_), Cell::Text(text)) => take(Observation::Category(text)),
        (Values::Category(_), Cell::Number(number)) => take(Observation::Category(&code(number))),
        (Values::Category(_), Cell::Boolean(truth)) => {
            take(Observation::Category(if truth { "true" } else { "false" }));
        }
    }
}

/// The category that a number names: `3` for 3.0, `2.5` for 2.5. Whoever observes traffic against a
/// profile must name the numbers of a category by this.
pub fn code(value: f64) -> String {
    // Negative zero equals zero, but prints apart from it.
    format!("{}", value + 0.0)
}
