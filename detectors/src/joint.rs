//! What the features of a row say together, which none of them shows alone: whether numbers still
//! move together as they did, and whether rows lie further out than they did.
//!
//! It does not know when a change matters; [`crate::judge`] does. Outputs are no part of it.
//!
//! Two things are learned from some rows of the training data, and nothing of these rows is kept:
//! the correlation of scores of each pair of numbers ([`crate::association`]), and the score that one
//! row of a hundred reaches. That score adds up how far out each value lies in its own feature, as
//! [`crate::ecod`] does: −ln of a tail. The tail of a number is the rarer of both; the tail of a level
//! is the share of rows whose level is at most as frequent, and that of a level that was never seen is
//! less than one row's. What is missing adds nothing.
//!
//! A row of training lies in its own tails, and a row of traffic does not. So the threshold is set by
//! the scores that rows of training have where they are left out, which for shares is arithmetic: c of
//! N rows becomes c − 1 of N − 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::association::{self, Association, Change, Correlation};
use crate::ecod::Tails;
use crate::outlier::Calibration;
use crate::proportion::Rate;
use crate::reference::{Observation, Reference, Values};
use crate::resampling::KeptColumn;
use crate::series::Series;
use crate::summary::{CategorySummary, LEVEL_BYTES};

/// Columns of numbers whose pairs are learned at most: those that move most with another one.
pub const MAX_COLUMNS: usize = 24;
/// Columns of numbers that are looked at for that.
const MAX_LOOKED_AT: usize = 128;
/// Rows below which nothing is learned.
const LEAST_ROWS: usize = 200;
/// The share of rows of training that stand out.
const STANDING_OUT: f64 = 0.01;
/// Tails whose product is smaller are added up as logarithms, long before it underflows.
const SMALL: f64 = 1e-150;

/// What features did together in the training data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Numbers, by their index in the reference, those that move most with another one first.
    pub columns: Vec<usize>,
    /// How each pair of them moves together, in the order of [`association::pairs`].
    pub correlations: Vec<Option<Correlation>>,
    /// From where on a row stands out; `None` where it could not be told.
    pub threshold: Option<Threshold>,
}

/// From where on a row stands out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The least score that stands out.
    pub score: f64,
    /// Rows of training that reach it.
    pub reached: u64,
    /// Rows of training that were looked at.
    pub rows: u64,
}

impl Joint {
    /// Learns from some rows of the training data: the values of each feature, in the order of the
    /// reference. `None` with fewer than 200 rows.
    #[must_use]
    pub fn learn(reference: &Reference, kept: &[KeptColumn]) -> Option<Self> {
        let numbers = |at: &usize| match &reference.features[*at].values {
            Values::Number(numbers) => numbers.min() < numbers.max(),
            Values::Category(_) => false,
        };
        let looked_at: Vec<usize> =
            (0..reference.features.len()).filter(numbers).take(MAX_LOOKED_AT).collect();
        let all = Joint { columns: looked_at, ..Joint::default() };
        let lens = Lens::through(reference, &all);
        let rows = lens.rows_of(kept);
        if rows.count < LEAST_ROWS {
            return None;
        }
        let mut tally = Tally::new(&all);
        tally.rows(&lens, &rows);
        let correlations = tally.association.correlations().into_iter();
        let correlations = correlations.map(|pair| pair.map(Correlation::rounded)).collect();
        let all = Joint { correlations, ..all };
        Some(Joint { threshold: lens.threshold(&rows), ..all.strongest(MAX_COLUMNS) })
    }

    /// With these of the columns at most that move most with another one.
    fn strongest(&self, columns: usize) -> Self {
        let mut most = vec![0.0f64; self.columns.len()];
        for ((one, other), pair) in association::pairs(self.columns.len()).zip(&self.correlations) {
            let r = pair.map_or(0.0, |pair| pair.r.abs());
            most[one] = most[one].max(r);
            most[other] = most[other].max(r);
        }
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by(|&a, &b| most[b].total_cmp(&most[a]));
        order.truncate(columns);
        self.of(&order)
    }

    /// Of so many columns at most, the first ones.
    #[must_use]
    pub fn first(&self, columns: usize) -> Self {
        let order: Vec<usize> = (0..self.columns.len().min(columns)).collect();
        self.of(&order)
    }

    /// Of the columns at these places.
    fn of(&self, places: &[usize]) -> Self {
        let known: BTreeMap<(usize, usize), Option<Correlation>> =
            association::pairs(self.columns.len()).zip(self.correlations.iter().copied()).collect();
        let pair = |(one, other): (usize, usize)| {
            let (one, other) = (places[one], places[other]);
            known.get(&(one.min(other), one.max(other))).copied().flatten()
        };
        Joint {
            columns: places.iter().map(|&place| self.columns[place]).collect(),
            correlations: association::pairs(places.len()).map(pair).collect(),
            threshold: self.threshold,
        }
    }

    /// Whether it can be of this reference.
    #[must_use]
    pub fn fits(&self, reference: &Reference) -> bool {
        let number = |at: &usize| {
            let feature = reference.features.get(*at);
            feature.is_some_and(|feature| matches!(feature.values, Values::Number(_)))
        };
        let pairs = self.columns.len() * self.columns.len().saturating_sub(1) / 2;
        self.columns.len() <= MAX_COLUMNS
            && self.columns.iter().all(number)
            && self.correlations.len() == pairs
    }

    /// Every pair that has at least so many rows in the window, with what it was.
    #[must_use]
    pub fn changes(&self, window: &Tally, least_rows: u64, times: &[f64]) -> Vec<Change> {
        // Of two series that depend on themselves, the products do so no more than either.
        let time = |one: usize, other: usize| {
            let time = |place: usize| times.get(self.columns[place]).copied().unwrap_or(1.0);
            time(one).min(time(other))
        };
        let now = window.association.correlations();
        let mut changes = association::changes(self.columns.len(), &self.correlations, &now, time);
        changes.retain(|change| change.rows >= least_rows);
        for change in &mut changes {
            change.one = self.columns[change.one];
            change.other = self.columns[change.other];
        }
        changes
    }
}

/// How far out a value of one feature lies.
#[derive(Debug, Clone)]
enum Reach {
    Number(Tails),
    /// The tail of each level, and of one that is not among them.
    Levels(BTreeMap<String, f64>, f64),
    /// Nothing is known of the values.
    Unknown,
}

impl Reach {
    fn levels(known: &CategorySummary) -> Self {
        let rows = known.count() as f64;
        if known.counts().is_empty() {
            return Reach::Unknown;
        }
        let mut counts: Vec<u64> = known.counts().values().copied().collect();
        // What was counted without a name is as far out as what was never seen.
        counts.sort_unstable();
        let at_most = |count: u64| {
            let upto = counts.partition_point(|&other| other <= count);
            known.other() + counts[..upto].iter().sum::<u64>()
        };
        let tail = |count: u64| (at_most(count) as f64 + 1.0) / (rows + 1.0);
        let levels = known.counts().iter().map(|(name, &count)| (name.clone(), tail(count)));
        Reach::Levels(levels.collect(), (known.other() as f64 + 1.0) / (rows + 1.0))
    }

    /// The tail of a value; `None` of what is none of this feature.
    fn tail(&self, value: Observation<'_>) -> Option<f64> {
        match (self, value) {
            (Reach::Number(tails), Observation::Number(value)) if value.is_finite() => {
                let (left, right) = tails.at(value);
                Some(left.min(right))
            }
            (Reach::Levels(levels, unseen), Observation::Category(level)) => {
                let name = &level[..level.floor_char_boundary(LEVEL_BYTES)];
                Some(levels.get(name).copied().unwrap_or(*unseen))
            }
            _ => None,
        }
    }
}

/// What rows are seen through: a reference made ready for it.
#[derive(Debug, Clone)]
pub struct Lens {
    features: Vec<Reach>,
    /// Values of each feature in the training data.
    counts: Vec<u64>,
    columns: Vec<usize>,
    /// Where each feature stands among the columns.
    places: Vec<Option<usize>>,
    threshold: Option<Threshold>,
}

impl Lens {
    /// The lens of a reference; `None` where nothing was learned of its features together.
    #[must_use]
    pub fn of(reference: &Reference) -> Option<Self> {
        reference.joint.as_ref().map(|joint| Lens::through(reference, joint))
    }

    fn through(reference: &Reference, joint: &Joint) -> Self {
        let reach = |values: &Values| match values {
            Values::Number(numbers) => Reach::Number(Tails::of_sketch(numbers.sketch())),
            Values::Category(known) => Reach::levels(known),
        };
        Lens {
            features: reference.features.iter().map(|feature| reach(&feature.values)).collect(),
            counts: reference.features.iter().map(|f| f.rows - f.missing().min(f.rows)).collect(),
            places: (0..reference.features.len())
                .map(|at| joint.columns.iter().position(|&column| column == at))
                .collect(),
            columns: joint.columns.clone(),
            threshold: joint.threshold,
        }
    }

    /// A place for so many rows.
    #[must_use]
    pub fn rows(&self, count: usize) -> Rows {
        Rows {
            count,
            features: self.features.len(),
            tails: vec![1.0; count * self.features.len()],
            columns: self.columns.len(),
            scores: vec![f64::NAN; count * self.columns.len()],
        }
    }

    /// Sees a value of a row. What is none of the feature is as if it were missing.
    pub fn see(&self, rows: &mut Rows, row: usize, feature: usize, value: Observation<'_>) {
        let Some(reach) = self.features.get(feature).filter(|_| row < rows.count) else { return };
        if let Some(tail) = reach.tail(value) {
            rows.tails[row * rows.features + feature] = tail;
        }
        if let (Some(column), Reach::Number(tails), Observation::Number(value)) =
            (self.places[feature], reach, value)
            && let Some(rank) = tails.rank(value).filter(|_| value.is_finite())
        {
            rows.scores[row * rows.columns + column] = association::score(rank);
        }
    }

    /// Rows that were kept of some data, with a column for each feature.
    #[must_use]
    pub fn rows_of(&self, kept: &[KeptColumn]) -> Rows {
        let count = kept.iter().map(KeptColumn::len).min().unwrap_or(0);
        let mut rows = self.rows(count);
        for (feature, column) in kept.iter().enumerate() {
            for (row, value) in column.values().take(count).enumerate() {
                self.see(&mut rows, row, feature, value);
            }
        }
        rows
    }

    /// From where on a row stands out, by the scores that rows of training have where each is left
    /// out.
    fn threshold(&self, rows: &Rows) -> Option<Threshold> {
        let left_out = |row: usize| -> f64 {
            let tails = rows.tails(row).iter().zip(&self.counts);
            let tails = tails.map(|(&tail, &count)| {
                let count = (count as f64).max(1.0);
                // 1 stays 1, so that what is missing adds nothing here either.
                ((tail * (count + 1.0) - 1.0) / count).max(1.0 / (count + 1.0))
            });
            tails.map(|tail| -tail.ln()).sum()
        };
        let scores: Vec<f64> = (0..rows.count).map(left_out).collect();
        let score = Calibration::of(scores.iter().copied()).threshold(STANDING_OUT)?;
        let reached = scores.iter().filter(|&&reached| reached >= score).count() as u64;
        // A threshold that every row reaches tells nothing.
        let tells = score.is_finite() && reached < scores.len() as u64;
        tells.then_some(Threshold { score, reached, rows: scores.len() as u64 })
    }
}

/// Rows as a lens sees them.
#[derive(Debug, Clone)]
pub struct Rows {
    count: usize,
    features: usize,
    /// Row by row the tail of each feature's value; 1 where there is none.
    tails: Vec<f64>,
    columns: usize,
    /// Row by row the score of each of the columns whose pairs are known.
    scores: Vec<f64>,
}

impl Rows {
    fn tails(&self, row: usize) -> &[f64] {
        &self.tails[row * self.features..(row + 1) * self.features]
    }

    /// How far out a row lies: 0 where nothing of it can be told.
    fn score(&self, row: usize) -> f64 {
        // One logarithm of a product is cheaper than many.
        let (mut product, mut score) = (1.0, 0.0);
        for &tail in self.tails(row) {
            product *= tail;
            if product < SMALL {
                score -= f64::ln(product);
                product = 1.0;
            }
        }
        score - f64::ln(product)
    }
}

/// What the features of the rows of a pane or a window did together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    association: Association,
    rows: u64,
    /// Rows that stand out.
    out: u64,
    /// How much each feature has of their scores.
    blame: Vec<f64>,
    scores: Series,
}

impl Tally {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(joint: &Joint) -> Self {
        Tally {
            association: Association::new(joint.columns.len()),
            rows: 0,
            out: 0,
            blame: Vec::new(),
            scores: Series::default(),
        }
    }

    /// Takes in rows that were seen through a lens of the same reference.
    pub fn rows(&mut self, lens: &Lens, rows: &Rows) {
        for row in 0..rows.count {
            self.association.row(&rows.scores[row * rows.columns..(row + 1) * rows.columns]);
            let Some(threshold) = lens.threshold else { continue };
            let score = rows.score(row);
            self.rows += 1;
            self.scores.number(score);
            if score >= threshold.score {
                self.out += 1;
                self.blame.resize(self.blame.len().max(rows.features), 0.0);
                for (blame, tail) in self.blame.iter_mut().zip(rows.tails(row)) {
                    *blame -= tail.ln() / score;
                }
            }
        }
    }

    /// Adds what another one saw.
    pub fn merge(&mut self, other: &Tally) {
        self.association.merge(&other.association);
        self.rows = self.rows.saturating_add(other.rows);
        self.out = self.out.saturating_add(other.out);
        self.blame.resize(self.blame.len().max(other.blame.len()), 0.0);
        for (here, there) in self.blame.iter_mut().zip(&other.blame) {
            *here += there;
        }
        self.scores.merge(&other.scores);
    }

    /// Says that no more rows come.
    pub fn settle(&mut self) {
        self.scores.settle();
    }

    /// Rows that stand out, of those that were looked at.
    #[must_use]
    pub fn out(&self) -> Rate {
        Rate::new(self.out, self.rows)
    }

    /// How many rows in a row are worth one independent one, by their scores: at least 1.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.scores.clone().time()
    }

    /// Which features make rows stand out, by their index: the share that each has of the scores, the
    /// largest first.
    #[must_use]
    pub fn blame(&self) -> Vec<(usize, f64)> {
        let all: f64 = self.blame.iter().sum();
        let shares = self.blame.iter().map(|part| part / all.max(f64::MIN_POSITIVE)).enumerate();
        let mut shares: Vec<(usize, f64)> = shares.filter(|(_, share)| *share > 0.0).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::finding::{Detector, Finding, Kind, Verdict};
    use crate::forest::random::Random;
    use crate::judge::{Rules, judge};
    use crate::reference::Feature;
    use crate::window::{Pane, Window};

    const ROWS: u64 = 6_000;

    /// Two numbers that move together as `r` says, and a level that goes with the first one. One of
    /// `strange` rows, where it is not 0, has values that each are usual and a level that is not.
    fn row(random: &mut Random, r: f64, strange: u64) -> [f64; 3] {
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let x = normal();
        let y = r * x + (1.0 - r * r).sqrt() * normal();
        let out = strange > 0 && random.unit() * (strange as f64) < 1.0;
        let (x, y) = if out { (x.signum() * 3.2, y.signum() * 3.2) } else { (x, y) };
        [x, y, f64::from(u8::from(random.unit() < 0.5))]
    }

    fn level(number: f64) -> Observation<'static> {
        Observation::Category(if number > 0.5 { "a" } else { "b" })
    }

    fn reference(r: f64, seed: u64) -> Reference {
        let features = vec![Feature::number("x"), Feature::number("y"), Feature::category("c")];
        let mut reference = Reference::of(ROWS, features);
        let mut kept = vec![KeptColumn::default(); 3];
        let mut random = Random::seeded(seed);
        for _ in 0..ROWS {
            let [x, y, c] = row(&mut random, r, 0);
            let values = [Observation::Number(x), Observation::Number(y), level(c)];
            for ((feature, kept), value) in reference.features.iter_mut().zip(&mut kept).zip(values)
            {
                feature.observe(value);
                kept.take(value);
            }
        }
        reference.features.iter_mut().for_each(Feature::settle);
        reference.joint = Joint::learn(&reference, &kept);
        reference
    }

    fn pane(reference: &Reference, rows: usize, r: f64, strange: u64, seed: u64) -> Pane {
        let mut pane = Pane::new(reference);
        let lens = Lens::of(reference).unwrap();
        let mut random = Random::seeded(seed);
        let mut seen = lens.rows(rows);
        for at in 0..rows {
            let [x, y, c] = row(&mut random, r, strange);
            let values = [Observation::Number(x), Observation::Number(y), level(c)];
            for (feature, value) in values.into_iter().enumerate() {
                pane.observe(feature, value);
                lens.see(&mut seen, at, feature, value);
            }
            pane.row();
        }
        pane.together(&lens, &seen);
        pane.exchanges(rows as u64, 0, 0, rows as u64);
        pane
    }

    fn found(reference: &Reference, panes: &[Pane], detector: Detector) -> Finding {
        let rules = Rules { min_rows: 100, ..Rules::default() };
        let mut findings = judge(reference, &Window::of(reference, panes), &rules);
        findings.retain(|finding| finding.detector == detector);
        findings.remove(0)
    }

    #[test]
    fn numbers_that_part_company_are_found_though_neither_moved() {
        let reference = reference(0.8, 1);
        let finding = found(&reference, &[pane(&reference, 800, 0.1, 0, 2)], Detector::Correlation);
        assert_eq!((finding.verdict, finding.kind), (Verdict::Alarm, Kind::DataDrift));
        assert_eq!(finding.features, ["x", "y"]);
        assert!((finding.effect - 0.35).abs() < 0.05, "{finding:?}");
        assert!(finding.effect_interval.0 < 0.35 && finding.effect_interval.1 > 0.35);
        let alone =
            found(&reference, &[pane(&reference, 800, 0.1, 0, 2)], Detector::KolmogorovSmirnov);
        assert_eq!(alone.verdict, Verdict::Healthy);
        let same = found(&reference, &[pane(&reference, 800, 0.8, 0, 3)], Detector::Correlation);
        assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
    }

    #[test]
    fn rows_that_stand_out_are_counted_and_blamed() {
        let reference = reference(0.0, 4);
        let threshold = reference.joint.as_ref().unwrap().threshold.unwrap();
        let share = threshold.reached as f64 / threshold.rows as f64;
        assert!((0.005..=0.01).contains(&share), "{threshold:?}");
        let finding =
            found(&reference, &[pane(&reference, 1_000, 0.0, 10, 5)], Detector::OutlierRate);
        assert_eq!((finding.verdict, finding.kind), (Verdict::Alarm, Kind::Outliers));
        assert!(finding.effect > 0.07 && finding.effect < 0.13, "{finding:?}");
        let mut blamed = finding.features[..2].to_vec();
        blamed.sort_unstable();
        assert_eq!(blamed, ["x", "y"]);
        let same = found(&reference, &[pane(&reference, 1_000, 0.0, 0, 6)], Detector::OutlierRate);
        assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
    }

    #[test]
    fn rows_like_those_of_training_stand_out_as_seldom() {
        let (mut out, mut all) = (0, 0);
        for seed in 0..40 {
            let reference = reference(0.5, 100 + seed);
            let window = Window::of(&reference, &[pane(&reference, 1_000, 0.5, 0, 200 + seed)]);
            let rate = window.together.unwrap().out();
            out += rate.hits();
            all += rate.of();
        }
        let share = out as f64 / all as f64;
        // 400 of 40,000, give or take their own error and the references'.
        assert!((0.0085..0.0115).contains(&share), "{share}");
    }

    #[test]
    fn panes_add_up_and_survive_being_sent() {
        let reference = reference(0.6, 7);
        let parts: Vec<Pane> =
            (0..4).map(|part| pane(&reference, 200, 0.1, 0, 300 + part)).collect();
        let sent: Vec<Pane> = parts
            .iter()
            .map(|pane| serde_json::from_str(&serde_json::to_string(pane).unwrap()).unwrap())
            .collect();
        let mut whole = Pane::new(&reference);
        sent.iter().for_each(|pane| assert!(whole.merge(pane)));
        for detector in [Detector::Correlation, Detector::OutlierRate] {
            let apart = found(&reference, &parts, detector);
            let together = found(&reference, std::slice::from_ref(&whole), detector);
            assert_eq!(apart.rows, 800);
            assert!((apart.p_value / together.p_value - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_says_nothing_adds_nothing() {
        let reference = Arc::new(reference(0.5, 8));
        let lens = Lens::of(&reference).unwrap();
        let mut rows = lens.rows(3);
        lens.see(&mut rows, 0, 0, Observation::Missing);
        lens.see(&mut rows, 0, 2, Observation::Foreign);
        lens.see(&mut rows, 1, 0, Observation::Number(f64::NAN));
        lens.see(&mut rows, 1, 9, Observation::Number(1.0));
        lens.see(&mut rows, 9, 0, Observation::Number(1.0));
        lens.see(&mut rows, 2, 2, Observation::Category("never seen"));
        assert_eq!((rows.score(0), rows.score(1)), (0.0, 0.0));
        assert!((rows.score(2) - (ROWS as f64 + 1.0).ln()).abs() < 1e-9);
        let mut tally = Tally::new(reference.joint.as_ref().unwrap());
        tally.rows(&lens, &rows);
        assert_eq!((tally.out().of(), tally.time()), (3, 1.0));
        assert_eq!(Joint::learn(&reference, &[]), None);
    }

    #[test]
    fn of_many_columns_those_that_move_together_are_kept() {
        let columns = 40;
        let names = (0..columns).map(|at| Feature::number(&format!("x{at}")));
        let mut reference = Reference::of(2_000, names.collect());
        let mut kept = vec![KeptColumn::default(); columns];
        let mut random = Random::seeded(9);
        for _ in 0..2_000 {
            let shared = random.unit();
            for at in 0..columns {
                let value = if [7, 31].contains(&at) { shared } else { random.unit() };
                reference.features[at].observe(Observation::Number(value));
                kept[at].take(Observation::Number(value));
            }
        }
        let joint = Joint::learn(&reference, &kept).unwrap();
        assert_eq!((joint.columns.len(), joint.columns[..2].to_vec()), (MAX_COLUMNS, vec![7, 31]));
        assert!(joint.fits(&reference) && joint.correlations[0].unwrap().r > 0.99);
        let two = joint.first(2);
        assert_eq!((two.columns, two.correlations.len()), (vec![7, 31], 1));
    }
}
