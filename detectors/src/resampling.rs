//! Whole rows kept while columns stream past one by one, to learn how the tests of a window depend
//! on each other. Which rows are kept follows from their numbers alone, so that every column keeps
//! the same. It does not know files; nothing of the rows is in a reference.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::correction::{OF_THE_DRAWS, effective};
use crate::forest::random::Random;
use crate::joint::lens::{Lens, Rows};
use crate::judge::{Part, smallest_p};
use crate::reference::{Observation, Reference};
use crate::summary::LEVEL_BYTES;
use crate::window::{Pane, Window};

/// Rows that are kept at most; at least half as many, where there are so many.
pub const KEPT: usize = 8_192;
/// Windows that are drawn.
const WINDOWS: usize = 960;
/// Rows of a window that is drawn.
pub(crate) const WINDOW_ROWS: usize = 500;
/// Rows of a window below which it is no longer like those that are judged.
const LEAST_WINDOW: usize = 100;
/// Rows below which nothing is learned.
const LEAST_ROWS: usize = 200;
/// Standard deviations of the estimate that are added to it: rather a few alarms fewer than more.
const DEVIATIONS: f64 = 3.0;
/// How many times the window the training data must be for its rows to stand for others like them.
const FEW_OF_MANY: u64 = 40;

/// A value of a row that was kept.
#[derive(Debug, Clone, PartialEq)]
enum Kept {
    Missing,
    Number(f64),
    Level(Arc<str>),
}

impl Kept {
    fn observed(&self) -> Observation<'_> {
        match self {
            Kept::Missing => Observation::Missing,
            Kept::Number(number) => Observation::Number(*number),
            Kept::Level(level) => Observation::Category(level),
        }
    }
}

/// The values of one column in the rows that are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptColumn {
    seen: u64,
    /// A row is kept when so many of the last bits of its number's hash are 0.
    bits: u32,
    /// Each with its row's number.
    values: Vec<(u64, Kept)>,
    levels: BTreeSet<Arc<str>>,
}

impl KeptColumn {
    /// A column whose next row has this number, and of which no more need be kept than a column
    /// keeps that is as sparse as `bits` says: that of the rows before, as far as it is known.
    #[must_use]
    pub fn starting(row: u64, bits: u32) -> Self {
        KeptColumn { seen: row, bits, ..KeptColumn::default() }
    }

    /// How sparse it has become: of 2 to the power of this many rows one is kept.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// How many rows are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no row is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of the rows that are kept, in their order.
    pub fn values(&self) -> impl Iterator<Item = Observation<'_>> {
        self.values.iter().map(|(_, kept)| kept.observed())
    }

    /// The number of the row, from 0, of which the value at this place was kept.
    #[must_use]
    pub fn row(&self, place: usize) -> Option<u64> {
        self.values.get(place).map(|(row, _)| *row)
    }

    /// Adds the rows that come after these. Numbers of rows must not be met twice.
    pub fn merge(&mut self, other: KeptColumn) {
        self.seen = other.seen;
        self.bits = self.bits.max(other.bits);
        let bits = self.bits;
        for (row, kept) in other.values {
            if hash(row).trailing_zeros() < bits {
                continue;
            }
            let kept = match kept {
                Kept::Level(level) => Kept::Level(self.level(&level)),
                kept => kept,
            };
            self.values.push((row, kept));
        }
        self.thin_out();
    }

    /// Takes the next row's value.
    #[inline]
    pub fn take(&mut self, observation: Observation<'_>) {
        let row = self.seen;
        self.seen += 1;
        if hash(row).trailing_zeros() >= self.bits {
            self.keep(row, observation);
        }
    }

    #[cold]
    fn keep(&mut self, row: u64, observation: Observation<'_>) {
        let kept = match observation {
            Observation::Missing | Observation::Foreign => Kept::Missing,
            Observation::Number(number) => Kept::Number(number),
            Observation::Category(level) => Kept::Level(self.level(level)),
        };
        self.values.push((row, kept));
        if self.values.len() > KEPT {
            self.bits += 1;
            self.thin_out();
        }
    }

    /// Drops rows until all that are left are as sparse as they should be, and few enough.
    fn thin_out(&mut self) {
        loop {
            let bits = self.bits;
            self.values.retain(|(row, _)| hash(*row).trailing_zeros() >= bits);
            if self.values.len() <= KEPT {
                break;
            }
            self.bits += 1;
        }
        self.levels.retain(|level| Arc::strong_count(level) > 1);
    }

    fn level(&mut self, level: &str) -> Arc<str> {
        let level = &level[..level.floor_char_boundary(LEVEL_BYTES)];
        if let Some(known) = self.levels.get(level) {
            return Arc::clone(known);
        }
        let new: Arc<str> = level.into();
        self.levels.insert(Arc::clone(&new));
        new
    }
}

/// Mixes a row's number (the finaliser of MurmurHash3, Appleby 2011).
#[inline]
fn hash(row: u64) -> u64 {
    let mut mixed = row.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// How many independent tests those of a window are worth, from windows drawn among the rows that
/// were kept; rounded up a little, so that the draws' own error rather errs on the safe side.
/// `None` where there are too few rows to tell.
#[must_use]
pub fn effective_tests(reference: &Reference, columns: &[KeptColumn]) -> Option<f64> {
    let rows = columns.iter().map(|column| column.values.len()).min()?;
    if rows < LEAST_ROWS {
        return None;
    }
    let few = usize::try_from(reference.rows / FEW_OF_MANY).unwrap_or(usize::MAX);
    let many = few >= LEAST_WINDOW;
    let window_rows = WINDOW_ROWS.min(if many { few.min(rows / 4) } else { rows / 4 });
    let seen: Vec<(Lens, Rows)> = Lens::all_of(reference)
        .into_iter()
        .map(|lens| {
            let rows = lens.rows_of(columns);
            (lens, rows)
        })
        .collect();
    // Few rows are compared one by one with those left, but were learned of together.
    let part = Part {
        alone: if many { window_rows as f64 / reference.rows as f64 } else { 0.0 },
        together: window_rows as f64 / rows as f64,
    };
    let tests = effective_in_draws(1, rows, window_rows, |drawn, left| {
        let mut pane = filled(reference, columns, drawn);
        for (lens, rows) in &seen {
            pane.together(lens, &rows.chosen(drawn));
        }
        let window = Window::of(reference, [&pane]);
        if many {
            return smallest_p(reference, &window, part);
        }
        // Rows that make a good part of the reference are like it: those left are compared with.
        let pane = filled(reference, columns, left);
        let Window { features, .. } = Window::of(reference, [&pane]);
        let joints = reference.joints.clone();
        smallest_p(&Reference { rows: left.len() as u64, features, joints }, &window, part)
    })?;
    Some(rounded_up(tests))
}

/// How many independent tests those are worth whose smallest p-value `smallest` gives, of windows of
/// so many rows that are drawn among all and of the rows that are left. `None` as [`effective`].
pub(crate) fn effective_in_draws(
    seed: u64,
    rows: usize,
    window_rows: usize,
    mut smallest: impl FnMut(&[usize], &[usize]) -> f64,
) -> Option<f64> {
    let mut random = Random::seeded(seed);
    let mut order: Vec<usize> = (0..rows).collect();
    let draw = |_| {
        random.choose_first(&mut order, window_rows);
        let (drawn, left) = order.split_at(window_rows);
        smallest(drawn, left)
    };
    let all: Vec<f64> = (0..WINDOWS).map(draw).collect();
    effective(&all)
}

/// So many tests, as measured from [`WINDOWS`] draws, and what the draws may be off by.
pub(crate) fn rounded_up(tests: f64) -> f64 {
    let draws = (WINDOWS / OF_THE_DRAWS) as f64;
    tests * (1.0 + DEVIATIONS / draws.sqrt())
}

fn filled(reference: &Reference, columns: &[KeptColumn], rows: &[usize]) -> Pane {
    let mut pane = Pane::new(reference);
    for (at, column) in columns.iter().enumerate() {
        for row in rows {
            pane.observe(at, column.values[*row].1.observed());
        }
    }
    pane.count(rows.len() as u64);
    pane
}

#[cfg(test)]
mod tests {
    use crate::reference::Feature;

    use super::*;

    /// `rows` rows of two numbers and a category; where `same`, all say the same.
    fn worth(rows: u64, same: bool) -> Option<f64> {
        let features = ["a", "b", "c"].map(Feature::number).into();
        let mut reference = Reference::of(rows, features);
        let mut columns = vec![KeptColumn::default(); 3];
        let mut random = Random::seeded(7);
        for _ in 0..rows {
            let mut number = random.unit();
            for (feature, column) in reference.features.iter_mut().zip(&mut columns) {
                if !same {
                    number = random.unit();
                }
                feature.observe(Observation::Number(number));
                column.take(Observation::Number(number));
            }
        }
        reference.features.iter_mut().for_each(Feature::settle);
        effective_tests(&reference, &columns)
    }

    #[test]
    fn columns_that_say_the_same_are_one_test() {
        for rows in [20_000, 2_000] {
            let (one, three) = (worth(rows, true).unwrap(), worth(rows, false).unwrap());
            assert!((0.9..1.8).contains(&one), "{rows}: {one}");
            assert!((2.5..5.0).contains(&three), "{rows}: {three}");
        }
        assert_eq!(worth(100, false), None);
    }

    #[test]
    fn parts_keep_the_rows_that_the_whole_keeps() {
        let fill = |mut column: KeptColumn, rows: std::ops::Range<u32>| {
            for row in rows {
                column.take(Observation::Category(&(row % 900).to_string()));
            }
            column
        };
        let whole = fill(KeptColumn::default(), 0..70_000);
        let mut merged = fill(KeptColumn::default(), 0..30_000);
        let sparse = merged.bits();
        merged.merge(fill(KeptColumn::starting(30_000, 0), 30_000..40_000));
        merged.merge(fill(KeptColumn::starting(40_000, sparse), 40_000..70_000));
        assert_eq!(merged, whole);
    }

    #[test]
    fn every_column_keeps_the_same_rows_and_not_too_many() {
        let (mut number, mut level) = (KeptColumn::default(), KeptColumn::default());
        for row in 0..50_000_u32 {
            number.take(Observation::Number(f64::from(row)));
            level.take(Observation::Category(&row.to_string()));
        }
        assert!((KEPT / 3..=KEPT).contains(&number.values.len()), "{}", number.values.len());
        assert_eq!(number.values.len(), level.values.len());
        for ((_, number), (_, level)) in number.values.iter().zip(&level.values) {
            let Kept::Number(number) = number else { panic!("a number") };
            assert_eq!(*level, Kept::Level(number.to_string().into()));
        }
        assert!(level.levels.len() <= KEPT);
    }
}
