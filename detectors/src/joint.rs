//! What the features of a row say together, which none of them shows alone: whether numbers still
//! move together as they did, whether rows fall into clusters as often, and whether they lie further
//! out than they did.
//!
//! It does not know when a change matters; [`crate::judge`] does. Outputs are no part of it.
//!
//! Three things are learned from some rows of the training data, and no row of it is kept: the
//! correlation of scores of each pair of numbers ([`crate::association`]), a map of clusters of numbers
//! ([`crate::cluster::map`]), and how far out one row of a hundred lies. A row's score adds up how far
//! out each value lies in its own feature, as [`crate::ecod`] does: −ln of a tail. The tail of a number
//! is the rarer of both; the tail of a level is the share of rows whose level is at most as frequent,
//! and that of a level that was never seen is less than one row's. What is missing adds nothing.
//!
//! A row of training lies in its own tails, and a row of traffic does not. So the threshold is set by
//! the scores that rows of training have where they are left out, which for shares is arithmetic: c of
//! N rows becomes c − 1 of N − 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::association::{self, Association, Change, Known, Origin, Scores};
use crate::cluster::map::{Cluster, Map};
use crate::cluster::mass::{self, Masses};
use crate::correction::any;
use crate::ecod::{Tails, minus_log};
use crate::outlier::Calibration;
use crate::proportion::Rate;
use crate::reference::{Observation, Reference, Values};
use crate::resampling::{KeptColumn, WINDOW_ROWS, effective_in_draws, rounded_up};
use crate::series::Series;
use crate::summary::{CategorySummary, LEVEL_BYTES, NumberSummary};

/// Columns of numbers whose pairs are learned at most: those that move most with another one.
pub const MAX_COLUMNS: usize = 24;
/// Columns of numbers that are looked at for that, the first ones.
const MAX_LOOKED_AT: usize = 128;
/// Rows below which nothing is learned.
const LEAST_ROWS: usize = 200;
/// Numbers that clusters are sought in at most, and the share of rows in which they may be missing.
const CLUSTERED: usize = 6;
const SELDOM_MISSING: f64 = 0.05;
/// From so far on a cluster's centre is high, or low.
const APART: f64 = 0.5;
/// The share of rows of training that stand out.
const STANDING_OUT: f64 = 0.01;

/// What features did together in the training data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Numbers, by their index in the reference, those that move most with another one first.
    pub columns: Vec<usize>,
    /// How they move together.
    pub known: Known,
    /// How many independent tests of a pair those of all pairs are worth at the usual level, where
    /// rows were enough to tell; see [`crate::correction::effective`].
    pub effective_pairs: Option<f64>,
    /// From where on a row stands out; `None` where it could not be told.
    pub threshold: Option<Threshold>,
    /// The clusters that rows fall into; `None` where there are none.
    pub clusters: Option<Clusters>,
}

/// Clusters of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// The numbers that they are clusters of, by their index in the reference.
    pub columns: Vec<usize>,
    /// The scale of each: its median, and a deviation.
    pub scales: Vec<(f64, f64)>,
    /// Where they are, and how many rows are in each.
    pub map: Map,
}

impl Clusters {
    /// Which numbers make a cluster what it is, and in words, the most telling first.
    #[must_use]
    pub fn told(&self, reference: &Reference, cluster: u32) -> (Vec<String>, String) {
        let Some(cluster) = self.map.clusters.get(cluster as usize) else {
            return (Vec::new(), String::new());
        };
        let mut columns: Vec<(&usize, f64)> =
            self.columns.iter().zip(cluster.centre.iter().copied()).collect();
        columns.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        columns.truncate(2);
        let name = |at: &usize| reference.features.get(*at).map(|feature| feature.name.clone());
        let names: Vec<String> = columns.iter().filter_map(|(at, _)| name(at)).collect();
        let how = |stand: f64| match stand {
            stand if stand.abs() < APART => "near its median",
            stand if stand > 0.0 => "high",
            _ => "low",
        };
        let words: Vec<String> = names
            .iter()
            .zip(&columns)
            .map(|(name, (_, stand))| format!("{name} {}", how(*stand)))
            .collect();
        (names, words.join(", "))
    }

    /// What the numbers are at the centre of each cluster, in the order of [`Clusters::columns`]; none is
    /// beyond what there was in training.
    #[must_use]
    pub fn centres(&self, reference: &Reference) -> Vec<Vec<f64>> {
        let within = |at: usize, value: f64| match &reference.features[at].values {
            Values::Number(numbers) => match (numbers.min(), numbers.max()) {
                (Some(min), Some(max)) => value.clamp(min, max),
                _ => value,
            },
            Values::Category(_) => value,
        };
        let value = |((&at, &(median, deviation)), stand): ((&usize, &(f64, f64)), &f64)| {
            within(at, median + deviation * stand.sinh())
        };
        let columns = || self.columns.iter().zip(&self.scales);
        let centre = |of: &Cluster| columns().zip(&of.centre).map(value).collect();
        self.map.clusters.iter().map(centre).collect()
    }
}

/// Where a number stands on a scale: near the median as it is, far out as its logarithm, so that gaps
/// remain and no tail outweighs all else.
fn place((median, deviation): (f64, f64), value: f64) -> f64 {
    ((value - median) / deviation).asinh()
}

/// The scale of a column of numbers: its median, and the deviation of a normal one with the same 5 % and
/// 95 % quantiles, or where these are one, the standard deviation. `None` where it does not vary.
fn scale(numbers: &NumberSummary) -> Option<(f64, f64)> {
    const NORMAL_RANGE: f64 = 3.29;
    let quantile = |share| numbers.sketch().quantile(share);
    let range = (quantile(0.95)? - quantile(0.05)?) / NORMAL_RANGE;
    let deviation = if range > 0.0 { range } else { numbers.variance()?.sqrt() };
    (deviation > 0.0 && deviation.is_finite()).then_some((quantile(0.5)?, deviation))
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
        let columns: Vec<Vec<f64>> =
            (0..all.columns.len()).map(|place| rows.column(place).collect()).collect();
        let all = Joint { known: Known::learn(&columns), ..all }.strongest(MAX_COLUMNS);
        Some(Joint {
            effective_pairs: all.effective_pairs(&lens, &rows),
            clusters: all.clusters(reference, kept),
            threshold: lens.threshold(&rows),
            ..all
        })
    }

    /// What windows drawn among the rows say of the tests of all pairs: how they depend on each other,
    /// and how far windows of this size are from what the tests take for granted.
    fn effective_pairs(&self, lens: &Lens, rows: &Rows) -> Option<f64> {
        let size = WINDOW_ROWS.min(rows.count / 4);
        let places: Vec<usize> = self.columns.iter().filter_map(|&at| lens.places[at]).collect();
        let mut scores = vec![f64::NAN; places.len()];
        let tests = effective_in_draws(2, rows.count, size, |drawn, _| {
            let mut association = Association::new(places.len());
            for row in drawn {
                for (score, place) in scores.iter_mut().zip(&places) {
                    *score = rows.scores[row * rows.columns + place];
                }
                association.row(&scores);
            }
            let changes = self.known.changes(&association, Origin::Reference, |_, _| 1.0);
            changes.iter().map(|change| change.p_value).fold(1.0, f64::min)
        });
        tests.map(rounded_up)
    }

    /// With these of the columns at most that move most with another one.
    fn strongest(&self, columns: usize) -> Self {
        let mut most = vec![0.0f64; self.columns.len()];
        for ((one, other), pair) in association::pairs(self.columns.len()).zip(&self.known.pairs) {
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
        Joint {
            columns: places.iter().map(|&place| self.columns[place]).collect(),
            known: self.known.of(places),
            ..self.clone()
        }
    }

    /// The clusters of rows, by the numbers that are seldom missing: those that move most with another
    /// one.
    fn clusters(&self, reference: &Reference, kept: &[KeptColumn]) -> Option<Clusters> {
        let scaled = |&at: &usize| {
            let feature = &reference.features[at];
            let seldom = feature.missing() as f64 <= feature.rows as f64 * SELDOM_MISSING;
            match &feature.values {
                Values::Number(numbers) if seldom => Some((at, scale(numbers)?)),
                _ => None,
            }
        };
        let (columns, scales): (Vec<usize>, Vec<(f64, f64)>) =
            self.columns.iter().filter_map(scaled).take(CLUSTERED).unzip();
        let stands = |(&at, &scale): (&usize, &(f64, f64))| -> Vec<f64> {
            let stand = |value| match value {
                Observation::Number(value) if value.is_finite() => place(scale, value),
                _ => f64::NAN,
            };
            kept[at].values().map(stand).collect()
        };
        let stands: Vec<Vec<f64>> = columns.iter().zip(&scales).map(stands).collect();
        let count = stands.first().map_or(0, Vec::len);
        let row = |row: usize| stands.iter().map(|column| column[row]).collect();
        let rows: Vec<Vec<f64>> = (0..count).map(row).collect();
        let whole = |row: &&Vec<f64>| row.iter().all(|value| !value.is_nan());
        let rows: Vec<&[f64]> = rows.iter().filter(whole).map(Vec::as_slice).collect();
        Some(Clusters { map: Map::draw(&rows)?, columns, scales })
    }

    /// Whether it can be of this reference.
    #[must_use]
    pub fn fits(&self, reference: &Reference) -> bool {
        let number = |at: &usize| {
            let feature = reference.features.get(*at);
            feature.is_some_and(|feature| matches!(feature.values, Values::Number(_)))
        };
        let clusters = |clusters: &Clusters| {
            clusters.columns.iter().all(number)
                && clusters.scales.len() == clusters.columns.len()
                && clusters.scales.iter().all(|(_, deviation)| *deviation > 0.0)
                && clusters.map.fits(clusters.columns.len())
        };
        self.columns.len() <= MAX_COLUMNS
            && self.columns.iter().all(number)
            && self.known.fits(self.columns.len())
            && self.clusters.as_ref().is_none_or(clusters)
    }

    /// The p-value of the smallest of so many pairs' p-values.
    #[must_use]
    pub fn any_pair(&self, smallest: f64, pairs: usize) -> f64 {
        any(smallest, self.effective_pairs.unwrap_or(pairs as f64), pairs as f64)
    }

    /// Every pair that has at least so many rows in the window, with what it was.
    #[must_use]
    pub fn changes(&self, window: &Tally, least_rows: u64, times: &[f64]) -> Vec<Change> {
        // Of two series that depend on themselves, the products do so no more than either.
        let time = |one: usize, other: usize| {
            let time = |place: usize| times.get(self.columns[place]).copied().unwrap_or(1.0);
            time(one).min(time(other))
        };
        let mut changes = self.known.changes(&window.association, Origin::Traffic, time);
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

    /// The tail of a value, and of a number its rank; `None` of what is none of this feature.
    fn tail_and_rank(&self, value: Observation<'_>) -> Option<(f64, Option<f64>)> {
        match (self, value) {
            (Reach::Number(tails), Observation::Number(value)) if value.is_finite() => {
                let (tail, rank) = tails.tail_and_rank(value)?;
                Some((tail, Some(rank)))
            }
            (Reach::Levels(levels, unseen), Observation::Category(level)) => {
                let name = &level[..level.floor_char_boundary(LEVEL_BYTES)];
                Some((levels.get(name).copied().unwrap_or(*unseen), None))
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
    /// Where each feature stands among the columns whose pairs are known, and among those of clusters.
    places: Vec<Option<usize>>,
    clustered: Vec<Option<usize>>,
    columns: usize,
    threshold: Option<Threshold>,
    clusters: Option<Clusters>,
    scores: Scores,
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
        let among = |columns: &[usize]| {
            (0..reference.features.len())
                .map(|at| columns.iter().position(|&column| column == at))
                .collect()
        };
        Lens {
            features: reference.features.iter().map(|feature| reach(&feature.values)).collect(),
            counts: reference.features.iter().map(|f| f.rows - f.missing().min(f.rows)).collect(),
            places: among(&joint.columns),
            clustered: among(joint.clusters.as_ref().map_or(&[], |clusters| &clusters.columns)),
            columns: joint.columns.len(),
            threshold: joint.threshold,
            clusters: joint.clusters.clone(),
            scores: Scores::new(),
        }
    }

    /// A place for so many rows.
    #[must_use]
    pub fn rows(&self, count: usize) -> Rows {
        let clustered = self.clusters.as_ref().map_or(0, |clusters| clusters.columns.len());
        Rows {
            count,
            features: self.features.len(),
            tails: vec![1.0; count * self.features.len()],
            columns: self.columns,
            scores: vec![f64::NAN; count * self.columns],
            clustered,
            stands: vec![f64::NAN; count * clustered],
        }
    }

    /// Sees a value of a row. What is none of the feature is as if it were missing.
    pub fn see(&self, rows: &mut Rows, row: usize, feature: usize, value: Observation<'_>) {
        let Some(reach) = self.features.get(feature).filter(|_| row < rows.count) else { return };
        let Some((tail, rank)) = reach.tail_and_rank(value) else { return };
        rows.tails[row * rows.features + feature] = tail;
        let (Some(rank), Observation::Number(value)) = (rank, value) else { return };
        if let Some(column) = self.places[feature] {
            rows.scores[row * rows.columns + column] = self.scores.of(rank);
        }
        if let (Some(column), Some(clusters)) = (self.clustered[feature], &self.clusters) {
            rows.stands[row * rows.clustered + column] = place(clusters.scales[column], value);
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
    clustered: usize,
    /// Row by row where each of the numbers stands that clusters are made of.
    stands: Vec<f64>,
}

impl Rows {
    /// Those at these places.
    #[must_use]
    pub(crate) fn chosen(&self, places: &[usize]) -> Self {
        let take = |of: &[f64], width: usize| -> Vec<f64> {
            places.iter().flat_map(|row| &of[row * width..(row + 1) * width]).copied().collect()
        };
        Rows {
            count: places.len(),
            tails: take(&self.tails, self.features),
            scores: take(&self.scores, self.columns),
            stands: take(&self.stands, self.clustered),
            features: self.features,
            columns: self.columns,
            clustered: self.clustered,
        }
    }

    fn tails(&self, row: usize) -> &[f64] {
        &self.tails[row * self.features..(row + 1) * self.features]
    }

    /// The scores of one of the columns whose pairs are known.
    fn column(&self, place: usize) -> impl Iterator<Item = f64> {
        (0..self.count).map(move |row| self.scores[row * self.columns + place])
    }

    /// How far out a row lies: 0 where nothing of it can be told.
    fn score(&self, row: usize) -> f64 {
        minus_log(self.tails(row).iter().copied())
    }
}

/// What the features of the rows of a pane or a window did together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    association: Association,
    /// Rows by the cluster that they are in.
    masses: Masses,
    /// Their clusters in their order, to see whether these come in runs.
    visited: Series,
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
            masses: Masses::default(),
            visited: Series::default(),
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
            let stands = &rows.stands[row * rows.clustered..(row + 1) * rows.clustered];
            if let Some(clusters) = &lens.clusters
                && !stands.iter().any(|stand| stand.is_nan())
            {
                let cluster = clusters.map.cluster(stands);
                self.masses.clusters.resize(clusters.map.clusters.len(), 0);
                self.masses.count(cluster);
                self.visited.number(cluster.map_or(-1.0, f64::from));
            }
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
        self.masses.merge(&other.masses);
        self.visited.merge(&other.visited);
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
        self.visited.settle();
    }

    /// How rows fell into clusters against how they did; `dependent` says whether rows that came in
    /// runs count for less.
    #[must_use]
    pub fn clusters(&self, known: &Clusters, dependent: bool) -> (mass::Change, u64) {
        let time = if dependent { self.visited.clone().time() } else { 1.0 };
        (mass::compare_corrected(&known.map.masses, &self.masses, time), self.masses.rows())
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

    /// Rows of two camps, in which both numbers are low, or both are high.
    fn camps(rows: usize, low: f64, seed: u64) -> Vec<[f64; 2]> {
        let mut random = Random::seeded(seed);
        let row = |_| {
            let camp = if random.unit() < low { -10.0 } else { 10.0 };
            [camp + random.unit(), camp + random.unit()]
        };
        (0..rows).map(row).collect()
    }

    /// What is learned of rows of numbers.
    fn learned<const COLUMNS: usize>(rows: &[[f64; COLUMNS]]) -> Reference {
        let names = (0..COLUMNS).map(|at| Feature::number(format!("x{at}")));
        let mut reference = Reference::of(rows.len() as u64, names.collect());
        let mut kept = vec![KeptColumn::default(); COLUMNS];
        for row in rows {
            let features = reference.features.iter_mut().zip(&mut kept);
            for ((feature, kept), &value) in features.zip(row) {
                feature.observe(Observation::Number(value));
                kept.take(Observation::Number(value));
            }
        }
        reference.features.iter_mut().for_each(Feature::settle);
        reference.joint = Joint::learn(&reference, &kept);
        reference
    }

    fn filled<const COLUMNS: usize>(reference: &Reference, rows: &[[f64; COLUMNS]]) -> Pane {
        let (lens, mut pane) = (Lens::of(reference).unwrap(), Pane::new(reference));
        let mut seen = lens.rows(rows.len());
        for (at, row) in rows.iter().enumerate() {
            for (feature, &value) in row.iter().enumerate() {
                pane.observe(feature, Observation::Number(value));
                lens.see(&mut seen, at, feature, Observation::Number(value));
            }
            pane.row();
        }
        pane.together(&lens, &seen);
        pane
    }

    #[test]
    fn clusters_that_rows_leave_are_named() {
        let reference = learned(&camps(4_000, 0.6, 20));
        let clusters = reference.joint.as_ref().unwrap().clusters.as_ref().unwrap();
        assert_eq!(clusters.map.clusters.len(), 2);
        let centres = clusters.centres(&reference);
        assert!(centres[0][0] < -9.0 && centres[1][0] > 10.0, "{centres:?}");
        let window = |low, seed| {
            found(&reference, &[filled(&reference, &camps(800, low, seed))], Detector::ClusterMass)
        };
        let same = window(0.6, 21);
        assert_eq!(same.verdict, Verdict::Healthy, "{same:?}");
        let other = window(0.3, 22);
        assert_eq!(other.verdict, Verdict::Alarm);
        assert!((other.effect - 0.3).abs() < 0.06, "{other:?}");
        assert_eq!(other.features.len(), 2);
        let told = ["x0 high, x1 high", "x1 high, x0 high", "near its median"];
        assert!(told.iter().any(|told| other.was.contains(told)), "{}", other.was);
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
        let mut random = Random::seeded(9);
        let row = |_| -> [f64; 40] {
            let mut row = std::array::from_fn(|_| random.unit());
            row[31] = row[7];
            row
        };
        let reference = learned(&(0..2_000).map(row).collect::<Vec<_>>());
        let joint = reference.joint.as_ref().unwrap();
        assert_eq!((joint.columns.len(), &joint.columns[..2]), (MAX_COLUMNS, &[7, 31][..]));
        assert!(joint.fits(&reference) && joint.known.pairs[0].unwrap().r > 0.99);
        let two = joint.first(2);
        assert_eq!((two.columns, two.known.pairs.len()), (vec![7, 31], 1));
    }
}
