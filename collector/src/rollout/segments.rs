//! Segments: which parts of the population a row belongs to, so that a candidate that differs for
//! some people only is seen to. A part is a level of a category, or a quarter of a number's range in
//! training. It does not know what is compared within them.

use std::collections::HashMap;
use std::iter;

use tidegate_contract::columns::{Cell, Columns};
use tidegate_contract::protocol::Side;
use tidegate_contract::segment::{Bound, Condition, Range, Segment};
use tidegate_detectors::reference::Values;

use crate::profile::survey::code;
use crate::sides::Sides;

/// Features that are told apart; the first of the profile.
const MAX_FEATURES: usize = 64;
/// Levels of a category that are told apart: the most frequent in training.
const MAX_LEVELS: usize = 8;
/// Where numbers are parted.
const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// How one feature is parted, and the place of its first part among all.
#[derive(Debug, Clone, PartialEq)]
enum Parts {
    Levels(HashMap<String, usize>),
    Numbers { edges: Vec<f64>, first: usize },
}

/// The segments of one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segments {
    features: HashMap<String, Parts>,
    labels: Vec<String>,
}

impl Segments {
    /// Of what a profile knows of the inputs.
    #[must_use]
    pub fn of(sides: &Sides) -> Self {
        let mut segments = Self::default();
        let inputs = &sides.reference().features[sides.range(Side::Request)];
        for feature in inputs.iter().take(MAX_FEATURES) {
            let name = &feature.name;
            let parts = match &feature.values {
                Values::Category(levels) => {
                    let mut levels: Vec<(&String, u64)> =
                        levels.counts().iter().map(|(level, count)| (level, *count)).collect();
                    levels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
                    let levels = levels.into_iter().take(MAX_LEVELS).filter_map(|(level, _)| {
                        let (input, levels) = (name.clone(), vec![level.clone()]);
                        segments.labels.push(spelled(Condition::Levels { input, levels })?);
                        Some((level.clone(), segments.labels.len() - 1))
                    });
                    Parts::Levels(levels.collect())
                }
                Values::Number(numbers) => {
                    let at = |share: &f64| numbers.sketch().quantile(*share);
                    let mut edges: Vec<f64> = QUARTILES.iter().filter_map(at).collect();
                    edges.dedup();
                    let first = segments.labels.len();
                    let Some(ranges) = ranges(name, &edges) else { continue };
                    segments.labels.extend(ranges);
                    Parts::Numbers { edges, first }
                }
            };
            segments.features.insert(name.clone(), parts);
        }
        segments
    }

    /// What each segment is, spelled as commands and rules take it.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// For each row of a request, the segments that it belongs to.
    #[must_use]
    pub fn rows(&self, asked: &Columns) -> Vec<Vec<u16>> {
        let mut rows = vec![Vec::new(); asked.rows];
        for column in &asked.columns {
            let Some(parts) = self.features.get(&column.name) else { continue };
            for (row, cell) in rows.iter_mut().zip(&column.cells) {
                row.extend(parts.of(cell).and_then(|segment| u16::try_from(segment).ok()));
            }
        }
        rows
    }
}

impl Parts {
    fn of(&self, cell: &Cell) -> Option<usize> {
        match (self, cell) {
            (Self::Levels(levels), Cell::Text(text)) => levels.get(&**text).copied(),
            (Self::Levels(levels), Cell::Number(number)) => levels.get(&*code(*number)).copied(),
            (Self::Levels(levels), Cell::Bool(value)) => levels.get(&value.to_string()).copied(),
            (Self::Numbers { edges, first }, Cell::Number(number)) if !number.is_nan() => {
                Some(first + edges.partition_point(|edge| edge < number))
            }
            _ => None,
        }
    }
}

/// The ranges that the edges part the numbers into, each up to its edge and with it. Without an edge
/// nothing is parted.
fn ranges(name: &str, edges: &[f64]) -> Option<Vec<String>> {
    let bound = |value: &f64, included| Some(Bound { value: *value, included });
    let below = iter::once(None).chain(edges.iter().map(|edge| bound(edge, false)));
    let upto = edges.iter().map(|edge| bound(edge, true)).chain([None]);
    let ranges = below.zip(upto).map(|(least, greatest)| {
        spelled(Condition::Range { input: name.to_owned(), range: Range { least, greatest } })
    });
    ranges.collect()
}

/// A part as people may give it to a command; `None` for what no segment can be, such as a text that
/// is too long.
fn spelled(part: Condition) -> Option<String> {
    Segment::of([part]).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::segment::{Condition, Segment};
    use tidegate_detectors::reference::{Feature, Observation, Reference};

    use super::{Parts, Segments};
    use crate::sides::Sides;

    #[test]
    fn rows_belong_to_quarters_and_levels() {
        let mut age = Feature::number("age");
        let mut class = Feature::category("class");
        for row in 0..1000_u32 {
            age.observe(Observation::Number(f64::from(row % 100)));
            class.observe(Observation::Category(if row % 3 == 0 { "Private" } else { "None" }));
        }
        let inputs = Reference::of(1000, vec![age, class]);
        let none = Reference::of(0, Vec::new());
        let segments = Segments::of(&Sides::of(&inputs, &none));
        let labels = segments.labels();
        assert_eq!(labels.len(), 4 + 2);
        let column = |name: &str, cells| Column { name: name.to_owned(), cells };
        let asked = Columns {
            rows: 3,
            columns: vec![
                column("age", vec![Cell::Number(5.0), Cell::Number(99.0), Cell::Null]),
                column(
                    "class",
                    vec![Cell::Text("Private".into()), Cell::Text("x".into()), Cell::Null],
                ),
                column("more", vec![Cell::Null; 3]),
            ],
        };
        let told: Vec<Vec<&str>> = segments
            .rows(&asked)
            .iter()
            .map(|row| row.iter().map(|at| segments.labels()[usize::from(*at)].as_str()).collect())
            .collect();
        assert_eq!(told[0].len(), 2);
        assert!(told[0][0].starts_with("age <= 2"), "{told:?}");
        assert_eq!(told[0][1], "class = Private");
        assert!(told[1][0].starts_with("age > 7"), "{told:?}");
        assert!(told[2].is_empty());
        assert_eq!(labels.iter().filter(|label| label.contains(" and age <= ")).count(), 2);
    }

    #[test]
    fn each_label_is_a_segment_that_holds_the_rows_it_is_of() {
        let mut wage = Feature::number("wage an hour");
        let mut work = Feature::category("in");
        let mut void = Feature::number("void");
        let levels = ["Private", "Self emp", "and", "3", "", "a \"b\"\n"];
        for row in 0..1000_u32 {
            wage.observe(Observation::Number(f64::from(row) / 7.0 - 30.0));
            work.observe(Observation::Category(levels[row as usize % levels.len()]));
            void.observe(Observation::Missing);
        }
        let inputs = Reference::of(1000, vec![void, wage, work]);
        let none = Reference::of(0, Vec::new());
        let segments = Segments::of(&Sides::of(&inputs, &none));
        assert_eq!(segments.labels().len(), 4 + levels.len(), "{:?}", segments.labels());
        let mut ranges = Vec::new();
        for label in segments.labels() {
            let segment: Segment = label.parse().unwrap_or_else(|why| panic!("{label}: {why}"));
            assert_eq!(segment.to_string(), *label);
            match &segment.conditions()[0] {
                Condition::Range { input, range } if input == "wage an hour" => ranges.push(*range),
                Condition::Levels { input, levels: of } if input == "in" => {
                    assert!(levels.contains(&&*of[0]), "{label}");
                }
                other => panic!("{other:?}"),
            }
        }
        let Parts::Numbers { edges, first } = &segments.features["wage an hour"] else { panic!() };
        for value in edges.iter().flat_map(|edge| [edge.next_down(), *edge, edge.next_up()]) {
            let of = segments.features["wage an hour"].of(&Cell::Number(value)).unwrap() - first;
            let held = ranges.iter().position(|range| range.contains(value));
            assert_eq!(held, Some(of), "{value}");
        }
    }
}
