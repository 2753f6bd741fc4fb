//! What is learned of one column while its cells stream past: the sketch for the detectors, and
//! what the contract needs beside it. It does not decide what the contract asks.

use tidegate_contract::contract::TextFormat;
use tidegate_detectors::reference::{Feature, Observation, Values};
use tidegate_detectors::resampling::KeptColumn;
use tidegate_detectors::summary::{CategorySummary, LEVEL_BYTES};

use crate::table::{Cell, Column, Kind};
use tidegate_contract::dates;

/// Levels that the contract lists at most.
pub const MAX_CATEGORIES: usize = 64;

/// Rows a level needs on average for a column of text to be a category.
pub const MIN_ROWS_A_LEVEL: u64 = 20;

/// Rows from which on rising whole numbers look like row numbers.
const MIN_ROWS_RISING: u64 = 20;

/// One column while it is read, and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The column's name.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
    /// Whether the caller says that its values are categories.
    pub code: bool,
    /// Its sketch.
    pub feature: Feature,
    /// Whether all its texts so far are dates.
    dates: bool,
    /// Whether all its texts so far are instants.
    instants: bool,
    /// Whether some text is longer than the sketch keeps.
    cut: bool,
    /// Whether some text begins or ends with a blank.
    pub padded: bool,
    rising: bool,
    previous: f64,
    /// Its values in some whole rows.
    pub(super) kept: KeptColumn,
}

impl Survey {
    /// Nothing seen yet. With `code`, numbers are names of categories.
    pub fn new(column: &Column, code: bool) -> Self {
        let numeric = matches!(column.kind, Kind::Integer | Kind::Number) && !code;
        let name = column.name.clone();
        Self {
            feature: if numeric { Feature::number(&name) } else { Feature::category(&name) },
            name,
            kind: column.kind,
            code,
            dates: true,
            instants: true,
            cut: false,
            padded: false,
            rising: true,
            previous: f64::NEG_INFINITY,
            kept: KeptColumn::default(),
        }
    }

    /// Takes the next row's cell in.
    pub fn take(&mut self, cell: Cell<'_>) {
        let observation = match cell {
            Cell::Null => Observation::Missing,
            Cell::Boolean(value) => Observation::Category(if value { "true" } else { "false" }),
            Cell::Text(text) => {
                self.dates = self.dates && dates::is_date(text);
                self.instants = self.instants && dates::is_date_time(text);
                self.cut |= text.len() > LEVEL_BYTES;
                self.padded |= text.trim_ascii().len() < text.len();
                Observation::Category(text)
            }
            Cell::Number(value) => {
                self.rising = self.rising && value > self.previous;
                self.previous = value;
                if self.code {
                    return self.observe(Observation::Category(&code(value)));
                }
                Observation::Number(value)
            }
        };
        self.observe(observation);
    }

    fn observe(&mut self, observation: Observation<'_>) {
        self.feature.observe(observation);
        self.kept.take(observation);
    }

    /// Rows with a usable value.
    pub fn filled(&self) -> u64 {
        self.feature.rows - self.feature.missing()
    }

    /// How all texts are written, where there is a format for it.
    pub fn format(&self) -> Option<TextFormat> {
        match (self.kind, self.filled()) {
            (Kind::Text, 1..) if self.dates => Some(TextFormat::Date),
            (Kind::Text, 1..) if self.instants => Some(TextFormat::DateTime),
            _ => None,
        }
    }

    /// All levels of a column of categories, where every one is known by its whole name and is met
    /// often enough to be one. `None` for numbers and for free text.
    pub fn levels(&self) -> Option<&CategorySummary> {
        let Values::Category(levels) = &self.feature.values else { return None };
        let known = levels.counts().len() as u64;
        let whole = known > 0 && levels.other() == 0 && !self.cut;
        let said = self.code || self.kind == Kind::Boolean;
        let often = self.format().is_none() && self.filled() >= known * MIN_ROWS_A_LEVEL;
        (whole && (said || often)).then_some(levels)
    }

    /// Whether this looks like a row number or a key: whole numbers that rise with every row.
    pub fn looks_like_row_number(&self) -> bool {
        self.kind == Kind::Integer && self.rising && self.filled() >= MIN_ROWS_RISING
    }

    /// The sketch that windows are held against. Of free text only completeness can be judged, so
    /// its values are counted without their names.
    pub fn into_feature(self) -> Feature {
        if self.levels().is_some() {
            return self.feature;
        }
        let mut feature = self.feature;
        if let Values::Category(levels) = &mut feature.values {
            let mut nameless = CategorySummary::with_limit(0);
            nameless.merge(levels);
            *levels = nameless;
        }
        feature.settle();
        feature
    }
}

/// The category that a number names: `3` for 3.0, `2.5` for 2.5. Whoever observes traffic against a
/// profile must name the numbers of a category by this.
pub fn code(value: f64) -> String {
    // Negative zero equals zero, but prints apart from it.
    format!("{}", value + 0.0)
}
