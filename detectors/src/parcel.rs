//! A parcel: what one of several watchers saw of a stretch of time, small enough to be sent to the
//! others. Parcels add up to what a single watcher would have seen.
//!
//! It does not know how it is sent. It is a [`Pane`], whose sketches, counts and moments merge, and the
//! first rows of it, for whoever must see rows one by one: a choice that does not look at them, so that
//! bets on them stay fair.

use serde::{Deserialize, Serialize};

use crate::reference::{Observation, Reference};
use crate::summary::LEVEL_BYTES;
use crate::window::Pane;

/// Rows of a pane that are kept one by one.
pub const FIRST_ROWS: usize = 256;

/// Bytes that a column's sketch may take before base64: enough for a thousand knots, so that of most
/// panes nothing is lost.
const SKETCH_BYTES: usize = 8_000;

/// One value of a row, as it is sent: the JSON of a number, of a text, or null where the row has no
/// value that the column could have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Said {
    Number(f64),
    Level(String),
    Nothing(()),
}

/// The first rows of a pane, column by column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FirstRows(Vec<Vec<Said>>);

impl FirstRows {
    /// None yet, for the features of `reference`.
    #[must_use]
    pub fn new(reference: &Reference) -> Self {
        Self(vec![Vec::new(); reference.features.len()])
    }

    /// Takes in the values of a feature, by its index in the reference, of some rows in their order; beyond
    /// the first [`FIRST_ROWS`] nothing.
    pub fn observe(&mut self, feature: usize, column: &[Observation<'_>]) {
        let Some(kept) = self.0.get_mut(feature) else { return };
        let room = FIRST_ROWS.saturating_sub(kept.len());
        kept.extend(column.iter().take(room).map(|observation| match *observation {
            Observation::Number(value) if value.is_finite() => Said::Number(value),
            Observation::Category(level) => {
                Said::Level(level[..level.floor_char_boundary(LEVEL_BYTES)].to_owned())
            }
            _ => Said::Nothing(()),
        }));
    }

    /// Gives all of them, feature by feature, to `take`: its index and its values.
    pub fn replay(&self, mut take: impl FnMut(usize, &[Observation<'_>])) {
        for (feature, kept) in self.0.iter().enumerate() {
            let said = |said| match said {
                &Said::Number(value) => Observation::Number(value),
                Said::Level(level) => Observation::Category(level),
                Said::Nothing(()) => Observation::Missing,
            };
            let column: Vec<Observation<'_>> = kept.iter().take(FIRST_ROWS).map(said).collect();
            take(feature, &column);
        }
    }
}

/// A closed pane and its first rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// The pane.
    pub pane: Pane,
    /// Its first rows.
    pub rows: FirstRows,
}

impl Parcel {
    /// Closes a pane: what it takes to send it is bounded from here on.
    #[must_use]
    pub fn new(mut pane: Pane, rows: FirstRows) -> Self {
        pane.settle();
        pane.condense(SKETCH_BYTES);
        Self { pane, rows }
    }

    /// Leaves out the rows, where the whole would be too large.
    pub fn forget_rows(&mut self) {
        self.rows = FirstRows::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Verdict;
    use crate::judge::{Rules, judge};
    use crate::reference::Feature;
    use crate::vigil::Vigil;
    use crate::window::{Exchanges, Window};
    use std::sync::Arc;

    fn reference() -> Reference {
        let (mut age, mut work) = (Feature::number("age"), Feature::category("work"));
        for row in 0..5_000_u32 {
            age.observe(Observation::Number(f64::from(row * 37 % 997) / 7.0));
            work.observe(Observation::Category(["a", "b", "c"][row as usize % 3]));
        }
        Reference::of(5_000, vec![age, work])
    }

    /// The row of this number from traffic that moved by `shift`.
    fn row(number: u32, shift: f64) -> [Observation<'static>; 2] {
        // Mixed, so that what lands in a shard is no pattern of its own.
        let mixed = number.wrapping_mul(2_654_435_761) >> 8;
        let age = if mixed.is_multiple_of(50) {
            Observation::Missing
        } else {
            Observation::Number(f64::from(mixed % 997) / 7.0 + shift)
        };
        [age, Observation::Category(["a", "b", "c"][(mixed / 1_000) as usize % 3])]
    }

    /// What so many watchers saw of 3,000 rows that they share, sent as JSON and read back.
    fn parcels(reference: &Reference, watchers: u32, shift: f64) -> Vec<Parcel> {
        let parcel = |watcher: u32| {
            let (mut pane, mut rows) = (Pane::new(reference), FirstRows::new(reference));
            for number in (0..3_000).filter(|number| number % watchers == watcher) {
                pane.count(1);
                for (feature, value) in row(number, shift).into_iter().enumerate() {
                    pane.observe(feature, value);
                    rows.observe(feature, &[value]);
                }
            }
            let seen = 3_000 / u64::from(watchers);
            pane.exchanges(Exchanges {
                seen,
                checked: seen,
                violating: 1,
                dropped: 0,
                sampled: seen,
            });
            let sent = serde_json::to_vec(&Parcel::new(pane, rows)).unwrap();
            serde_json::from_slice(&sent).unwrap()
        };
        (0..watchers).map(parcel).collect()
    }

    fn window(reference: &Reference, parcels: &[Parcel]) -> Window {
        let mut whole = Pane::new(reference);
        parcels.iter().for_each(|parcel| assert!(whole.merge(&parcel.pane)));
        Window::of(reference, [&whole])
    }

    #[test]
    fn any_number_of_watchers_reach_the_verdicts_of_one() {
        let reference = reference();
        for (shift, worst) in [(0.0, Verdict::Healthy), (40.0, Verdict::Alarm)] {
            let mut verdicts = Vec::new();
            for watchers in [1, 2, 3, 6] {
                let window = window(&reference, &parcels(&reference, watchers, shift));
                assert_eq!((window.rows, window.exchanges.seen), (3_000, 3_000));
                let findings = judge(&reference, &window, &Rules::default());
                let told = |f: &crate::finding::Finding| {
                    (f.detector, f.feature.clone(), f.verdict, (f.effect * 200.0).round())
                };
                verdicts.push(findings.iter().map(told).collect::<Vec<_>>());
                let most = findings.iter().map(|f| f.verdict).max();
                assert_eq!(most, Some(worst), "{watchers} watchers: {findings:?}");
            }
            assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{verdicts:?}");
        }
    }

    #[test]
    fn what_is_sent_is_what_was_seen_and_no_more_than_it_may_be() {
        let reference = reference();
        let sent = serde_json::to_vec(&parcels(&reference, 1, 0.0)[0]).unwrap();
        // A number of some 18 letters and a text of 3 for each of the first rows, and the pane.
        assert!(sent.len() < 2 * SKETCH_BYTES + FIRST_ROWS * 30, "{}", sent.len());
        let mut seen = Vec::new();
        parcels(&reference, 2, 0.0)[1].rows.replay(|feature, column| {
            seen.extend(column.iter().filter_map(|value| match value {
                Observation::Number(value) => Some((feature, *value)),
                _ => None,
            }));
        });
        let first = |number: u32| match row(number, 0.0)[0] {
            Observation::Number(value) => Some((0, value)),
            _ => None,
        };
        let numbers = (0..3_000).filter(|number| number % 2 == 1).take(FIRST_ROWS);
        assert_eq!(seen, numbers.filter_map(first).collect::<Vec<_>>());
    }

    #[test]
    fn a_vigil_over_the_first_rows_of_all_sees_what_one_over_all_rows_sees() {
        let reference = Arc::new(reference());
        let rules = Rules { alpha: 0.0, ..Rules::default() };
        let verdict = |shift: f64| {
            let mut vigil = Vigil::new(Arc::clone(&reference), 0.001, 30 * 86_400_000);
            let mut worst = Verdict::Healthy;
            for hop in 0..4 {
                let parcels = parcels(&reference, 3, shift);
                vigil.at(hop * 2_000);
                parcels.iter().for_each(|parcel| parcel.rows.replay(|f, v| vigil.observe(f, v)));
                vigil.close();
                let mut findings = judge(&reference, &window(&reference, &parcels), &rules);
                vigil.weigh(&mut findings, &rules);
                worst = worst.max(findings.iter().map(|f| f.verdict).max().unwrap());
            }
            worst
        };
        assert_eq!(verdict(40.0), Verdict::Alarm);
        assert_ne!(verdict(0.0), Verdict::Alarm);
    }

    #[test]
    fn a_pane_of_other_features_is_left_out() {
        let reference = reference();
        let mut whole = Pane::new(&reference);
        let other = Reference::of(0, vec![Feature::category("age")]);
        assert!(!whole.merge(&Pane::new(&other)));
        assert_eq!(whole, Pane::new(&reference));
    }

    #[test]
    fn numbers_that_json_lacks_do_not_break_a_parcel() {
        let reference = reference();
        let (mut pane, mut rows) = (Pane::new(&reference), FirstRows::new(&reference));
        for value in [f64::NAN, f64::INFINITY, 1.0] {
            pane.count(1);
            pane.observe(0, Observation::Number(value));
            rows.observe(0, &[Observation::Number(value)]);
        }
        let parcel = Parcel::new(pane, rows);
        let sent = serde_json::to_string(&parcel).unwrap();
        assert_eq!(serde_json::from_str::<Parcel>(&sent).unwrap(), parcel);
    }
}
