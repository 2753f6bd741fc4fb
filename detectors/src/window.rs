//! The rows that are judged together: panes that traffic fills, and the window that panes make.
//!
//! It does not know time: when a pane begins and how many make a window is the caller's.

use std::collections::BTreeMap;

use crate::custom_metric::{Value, Values};
use crate::joint::lens::{Lens, Rows};
use crate::joint::tally::Tally;
use crate::proportion::Rate;
use crate::reference::{Feature, Observation, Reference};
use crate::series::Series;
use crate::volume::Usual;
use serde::{Deserialize, Serialize};

/// Levels beyond the reference's that a pane names before it counts them together.
const UNKNOWN_LEVELS: usize = 100;

/// What the filter counted while a pane was open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchanges {
    /// Exchanges that passed the filter.
    pub seen: u64,
    /// Exchanges that were held against the contract.
    #[serde(default)]
    pub checked: u64,
    /// Of these, the ones that broke it.
    pub violating: u64,
    /// Samples lost on the way.
    pub dropped: u64,
    /// Samples received.
    pub sampled: u64,
}

impl Exchanges {
    /// The share of exchanges whose sample was received, 0 to 1; `None` when none was seen.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        (self.seen > 0).then(|| (self.sampled as f64 / self.seen as f64).min(1.0))
    }

    fn add(&mut self, other: Exchanges) {
        // Counters come over the wire: a wild one must not overflow the sum.
        self.seen = self.seen.saturating_add(other.seen);
        self.checked = self.checked.saturating_add(other.checked);
        self.violating = self.violating.saturating_add(other.violating);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.sampled = self.sampled.saturating_add(other.sampled);
    }
}

/// Rows of one stretch of time, in bounded memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pane {
    rows: u64,
    features: Vec<Feature>,
    exchanges: Exchanges,
    series: Vec<Series>,
    /// One for each of the reference's joints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    together: Vec<Tally>,
    /// Of metrics that are their owner's, by definition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metrics: BTreeMap<String, Values>,
}

impl Pane {
    /// An empty pane for the features of `reference`.
    #[must_use]
    pub fn new(reference: &Reference) -> Self {
        Pane {
            rows: 0,
            features: reference.features.iter().map(|f| f.blank(UNKNOWN_LEVELS)).collect(),
            exchanges: Exchanges::default(),
            series: vec![Series::default(); reference.features.len()],
            together: reference.joints.iter().map(Tally::new).collect(),
            metrics: BTreeMap::new(),
        }
    }

    /// Counts so many rows, beside [`Pane::observe`] for each of their values.
    pub fn count(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// Takes in the current row's value of one feature, by its index in the reference.
    ///
    /// Observe [`Observation::Missing`] for a field that the row lacks: a feature that is not
    /// observed is not judged for that row. An index the reference lacks is ignored.
    pub fn observe(&mut self, feature: usize, observation: Observation<'_>) {
        if let Some(series) = self.series.get_mut(feature) {
            series.take(&[observation]);
        }
        if let Some(feature) = self.features.get_mut(feature) {
            feature.observe(observation);
        }
    }

    /// Takes in the values of one feature, by its index in the reference, of some rows in their order: as
    /// [`Pane::observe`] does of one.
    pub fn observe_all(&mut self, feature: usize, column: &[Observation<'_>]) {
        if let Some(series) = self.series.get_mut(feature) {
            series.take(column);
        }
        if let Some(feature) = self.features.get_mut(feature) {
            feature.observe_all(column);
        }
    }

    /// Takes in what the values of rows say together. Each of them is given to [`Pane::observe`] too.
    pub fn together(&mut self, lens: &Lens, rows: &Rows) {
        if let Some(together) = self.together.get_mut(lens.group()) {
            together.rows(lens, rows);
        }
    }

    /// Takes in the value of a row for a metric, by its definition.
    pub fn measure(&mut self, definition: &str, value: Value) {
        if let Some(values) = self.metrics.get_mut(definition) {
            values.observe(value);
        } else {
            self.metrics.entry(definition.to_owned()).or_default().observe(value);
        }
    }

    /// Says that no more rows come: what is only needed while they do is let go.
    pub fn settle(&mut self) {
        self.features.iter_mut().for_each(Feature::settle);
        self.series.iter_mut().for_each(Series::settle);
        self.together.iter_mut().for_each(Tally::settle);
        self.metrics.values_mut().for_each(Values::settle);
    }

    /// Makes each sketch fit into so many bytes when stored.
    pub fn condense(&mut self, bytes: usize) {
        self.features.iter_mut().for_each(|feature| feature.condense(bytes));
    }

    /// Adds a pane that another watcher closed; `false`, and nothing changes, where it was made for
    /// other features.
    pub fn merge(&mut self, other: &Pane) -> bool {
        if !fit(&self.features, other) {
            return false;
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.exchanges.add(other.exchanges);
        for (here, there) in self.features.iter_mut().zip(&other.features) {
            here.merge(there);
        }
        for (here, there) in self.series.iter_mut().zip(&other.series) {
            here.merge(there);
            here.settle();
        }
        for (here, there) in self.together.iter_mut().zip(&other.together) {
            here.merge(there);
            here.settle();
        }
        add(&mut self.metrics, &other.metrics);
        true
    }

    /// What the filter counted so far.
    #[must_use]
    pub fn counted(&self) -> Exchanges {
        self.exchanges
    }

    /// Adds counts that a filter reported.
    pub fn exchanges(&mut self, counted: Exchanges) {
        self.exchanges.add(counted);
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// What is judged: the sum of some panes.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Rows of all panes.
    pub rows: u64,
    /// Columns, as the reference orders them.
    pub features: Vec<Feature>,
    /// How many rows in a row are worth one independent row, by column: at least 1.
    pub times: Vec<f64>,
    /// What features did together, for each of the reference's joints.
    pub together: Vec<Tally>,
    /// What metrics of their owner's are made of, by definition.
    pub metrics: BTreeMap<String, Values>,
    /// What the filter counted.
    pub exchanges: Exchanges,
    /// How many exchanges there should have been, where the caller knows.
    pub usual: Option<Usual>,
    /// Rows that came late, of those that say when they were, where the caller counts them.
    pub late: Option<Rate>,
}

impl Window {
    /// The sum of `panes`. A pane that was made for other features is left out, so that after
    /// a new profile the old panes cannot be mistaken for traffic of the new one.
    #[must_use]
    pub fn of<'a>(reference: &Reference, panes: impl IntoIterator<Item = &'a Pane>) -> Self {
        let Pane { mut rows, mut features, mut exchanges, mut series, mut together, mut metrics } =
            Pane::new(reference);
        for pane in panes {
            if !fit(&features, pane) {
                continue;
            }
            rows += pane.rows;
            exchanges.add(pane.exchanges);
            for (here, there) in features.iter_mut().zip(&pane.features) {
                here.merge(there);
            }
            for (here, there) in series.iter_mut().zip(&pane.series) {
                here.merge(there);
            }
            for (here, there) in together.iter_mut().zip(&pane.together) {
                here.merge(there);
            }
            add(&mut metrics, &pane.metrics);
        }
        features.iter_mut().for_each(Feature::settle);
        let times = series.into_iter().map(Series::time).collect();
        Window { rows, features, times, together, metrics, exchanges, usual: None, late: None }
    }
}

/// Adds what another stretch has of each metric.
fn add(metrics: &mut BTreeMap<String, Values>, others: &BTreeMap<String, Values>) {
    for (definition, values) in others {
        metrics.entry(definition.clone()).or_default().merge(values);
    }
}

/// Whether a pane was made for these features.
fn fit(features: &[Feature], pane: &Pane) -> bool {
    pane.features.len() == features.len()
        && pane.series.len() == features.len()
        && features.iter().zip(&pane.features).all(|(here, there)| here.fits(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(names: &[&str]) -> Reference {
        Reference::of(0, names.iter().copied().map(Feature::number).collect())
    }

    #[test]
    fn a_window_is_the_sum_of_its_panes() {
        let reference = reference(&["age", "wage"]);
        let mut panes = [Pane::new(&reference), Pane::new(&reference)];
        for (index, pane) in panes.iter_mut().enumerate() {
            for number in 0..10 {
                pane.count(1);
                pane.observe(0, Observation::Number(f64::from(number)));
                pane.observe(1, Observation::Missing);
            }
            let violating = index as u64;
            pane.exchanges(Exchanges { seen: 40, checked: 20, violating, dropped: 3, sampled: 10 });
        }
        let window = Window::of(&reference, &panes);
        assert_eq!((window.rows, window.features[0].rows, window.features[1].nulls), (20, 20, 20));
        let expected = Exchanges { seen: 80, checked: 40, violating: 1, dropped: 6, sampled: 20 };
        assert_eq!(window.exchanges, expected);
        assert_eq!(window.exchanges.coverage(), Some(0.25));
    }

    #[test]
    fn rows_that_follow_each_other_are_worth_fewer_settled_or_not() {
        let reference = Reference::of(0, vec![Feature::number("x"), Feature::category("c")]);
        let window = |settle: bool| {
            let panes = (0..5).map(|pane| {
                let mut filled = Pane::new(&reference);
                for row in 0..40_u32 {
                    filled.count(1);
                    filled.observe(0, Observation::Number(f64::from((pane * 40 + row) / 20 % 2)));
                    let level = if row * 7 % 13 < 6 { "a" } else { "b" };
                    filled.observe(1, Observation::Category(level));
                }
                if settle {
                    filled.settle();
                }
                filled
            });
            Window::of(&reference, &panes.collect::<Vec<_>>())
        };
        for settle in [false, true] {
            let times = window(settle).times;
            assert!(times[0] > 5.0 && times[1] == 1.0, "{times:?}");
        }
    }

    #[test]
    fn panes_of_another_profile_stay_out() {
        let reference = reference(&["age"]);
        let mut old = Pane::new(&Reference::of(0, vec![Feature::category("age")]));
        old.count(1);
        old.observe(0, Observation::Category("34"));
        let window = Window::of(&reference, [&old, &Pane::new(&reference)]);
        assert_eq!((window.rows, window.features[0].rows), (0, 0));
    }

    #[test]
    fn coverage_is_unknown_without_exchanges_and_never_above_one() {
        assert_eq!(Exchanges::default().coverage(), None);
        let odd = Exchanges { seen: 1, sampled: 9, ..Exchanges::default() };
        assert_eq!(odd.coverage(), Some(1.0));
    }
}
