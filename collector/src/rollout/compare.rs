//! How far two answers to the same request are apart, row by row. It does not know who answered.

use serde::{Deserialize, Serialize};
use tidegate_contract::columns::{Cell, Columns};
use tidegate_contract::protocol::Side;
use tidegate_detectors::reference::Values;

use crate::sides::Sides;
use crate::wording::told;

/// Rows of an answer that are compared; of a longer one the first.
pub const MAX_ROWS: usize = 256;
/// Farther than this many ranges is not told apart.
const FARTHEST: f64 = 1e6;

/// The outputs that are compared, each with what its numbers may be apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    tolerance: f64,
    /// Each by its name.
    outputs: Vec<(String, Measure)>,
}

/// What the numbers of an output are held against.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// The width of their range in training.
    Width(f64),
    /// The larger of the two, where the range is not known.
    Larger,
    /// Nothing: they are codes of classes, equal or not.
    Codes,
}

/// What two answers have to do with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// For each row, whether the two disagree.
    pub rows: Vec<bool>,
    /// The mean of new minus old over all numbers, as a share of their range, −1 to 1; `None` where
    /// there are none.
    pub shift: Option<f64>,
    /// Where they are farthest apart.
    pub farthest: Option<Apart>,
}

/// One value that two versions do not agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    /// The row of the request, from 0.
    pub row: usize,
    /// The output.
    pub output: String,
    /// What the primary said.
    pub old: String,
    /// What the candidate said.
    pub new: String,
    /// How far that is: for numbers a share of the output's range, 1 for anything else.
    pub distance: f64,
}

impl Outputs {
    /// The outputs that a profile knows, or else these of the contract. Numbers agree that are
    /// within `tolerance` of their range of each other.
    pub fn of<'a>(sides: &Sides, contract: impl Iterator<Item = &'a str>, tolerance: f64) -> Self {
        let features = &sides.reference().features[sides.range(Side::Response)];
        let known = sides.names(Side::Response).zip(features).map(|(name, feature)| {
            let measure = match &feature.values {
                Values::Number(numbers) => {
                    let range = numbers.min().zip(numbers.max());
                    let width = range.map(|(low, high)| high - low).filter(|width| *width > 0.0);
                    width.map_or(Measure::Larger, Measure::Width)
                }
                Values::Category(_) => Measure::Codes,
            };
            (name.to_owned(), measure)
        });
        let mut outputs: Vec<_> = known.collect();
        if outputs.is_empty() {
            outputs.extend(contract.map(|name| (name.to_owned(), Measure::Larger)));
        }
        Self { tolerance, outputs }
    }

    /// How far `new` is from `old`; `None` where neither has any of the outputs.
    #[must_use]
    pub fn compare(&self, old: &Columns, new: &Columns) -> Option<Distance> {
        let column = |columns: &Columns, name: &str| {
            columns.columns.iter().position(|column| column.name == name)
        };
        let rows = old.rows.max(new.rows).min(MAX_ROWS);
        let mut distance = Distance { rows: vec![false; rows], shift: None, farthest: None };
        let (mut shift, mut numbers, mut any) = (0.0, 0_u32, false);
        for (name, measure) in &self.outputs {
            let (was, is) = (column(old, name), column(new, name));
            if was.is_none() && is.is_none() {
                continue;
            }
            any = true;
            for row in 0..rows {
                let cell = |columns: &Columns, at: Option<usize>| {
                    columns.columns.get(at?)?.cells.get(row).cloned()
                };
                let was = cell(old, was).unwrap_or(Cell::Null);
                let is = cell(new, is).unwrap_or(Cell::Null);
                let (apart, disagree) = self.cells(&was, &is, *measure);
                distance.rows[row] |= disagree;
                if let (Cell::Number(_), Cell::Number(_)) = (&was, &is)
                    && *measure != Measure::Codes
                {
                    shift += apart.clamp(-1.0, 1.0);
                    numbers += 1;
                }
                let farther = distance.farthest.as_ref().is_none_or(|f| apart.abs() > f.distance);
                if disagree && farther {
                    let (output, old, new) = (name.clone(), told(&was), told(&is));
                    let apart = apart.abs();
                    distance.farthest = Some(Apart { row, output, old, new, distance: apart });
                }
            }
        }
        distance.shift = (numbers > 0).then(|| shift / f64::from(numbers));
        any.then_some(distance)
    }

    /// How far a value is from another, new minus old, and whether that is too far.
    fn cells(&self, old: &Cell, new: &Cell, measure: Measure) -> (f64, bool) {
        let (Cell::Number(old), Cell::Number(new)) = (old, new) else {
            return if old == new { (0.0, false) } else { (1.0, true) };
        };
        if old == new || (old.is_nan() && new.is_nan()) {
            return (0.0, false);
        }
        let apart = match measure {
            Measure::Width(width) => (new - old) / width,
            Measure::Larger => (new - old) / old.abs().max(new.abs()),
            Measure::Codes => return (1.0, true),
        };
        // What is not finite is as far as can be.
        let apart = if apart.is_nan() { 1.0 } else { apart.clamp(-FARTHEST, FARTHEST) };
        (apart, apart.abs() > self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_detectors::reference::{Feature, Observation, Reference};

    use super::Outputs;
    use crate::sides::Sides;

    fn answer(cells: Vec<Cell>) -> Columns {
        let rows = cells.len();
        Columns { rows, columns: vec![Column { name: "score".to_owned(), cells }] }
    }

    fn numbers(numbers: &[f64]) -> Columns {
        answer(numbers.iter().map(|number| Cell::Number(*number)).collect())
    }

    /// Scores from 0 to 10 in training.
    fn outputs() -> Outputs {
        let mut score = Feature::number("score");
        (0..=100_u32).for_each(|row| score.observe(Observation::Number(f64::from(row) / 10.0)));
        let none = Reference::of(0, Vec::new());
        let outputs = Reference::of(101, vec![score]);
        Outputs::of(&Sides::of(&none, &outputs), [].into_iter(), 0.05)
    }

    #[test]
    fn numbers_agree_within_a_share_of_their_range() {
        let told = outputs().compare(&numbers(&[1.0, 2.0]), &numbers(&[1.4, 4.0])).unwrap();
        assert_eq!(told.rows, [false, true]);
        assert!((told.shift.unwrap() - 0.12).abs() < 1e-12);
        let farthest = told.farthest.unwrap();
        assert_eq!((farthest.row, farthest.old.as_str(), farthest.new.as_str()), (1, "2", "4"));
    }

    #[test]
    fn what_is_missing_or_of_another_kind_disagrees() {
        let told = outputs().compare(&numbers(&[1.0, 2.0]), &numbers(&[1.0])).unwrap();
        assert_eq!(told.rows, [false, true]);
        let text = answer(vec![Cell::Text("1".into())]);
        let told = outputs().compare(&numbers(&[1.0]), &text).unwrap();
        assert_eq!((told.rows, told.shift), (vec![true], None));
        let nan = numbers(&[f64::NAN]);
        assert_eq!(outputs().compare(&nan, &nan).unwrap().rows, [false]);
        assert_eq!(outputs().compare(&numbers(&[1.0]), &nan).unwrap().rows, [true]);
    }

    #[test]
    fn answers_without_the_outputs_cannot_be_compared() {
        let none = Columns { rows: 1, columns: Vec::new() };
        assert_eq!(outputs().compare(&none, &none), None);
    }
}
