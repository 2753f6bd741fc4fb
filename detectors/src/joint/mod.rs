//! What the features of a row say together, which none of them shows alone: whether numbers still
//! move together as they did, whether rows fall into clusters as often, whether they lie further
//! out than they did, and whether their joint law is the same at all.
//!
//! It does not know when a change matters; [`crate::judge`] does. Inputs and outputs are learned of apart:
//! each is a [`Joint`] of its own stretch of the reference's features.
//!
//! Five things are learned from some rows of the training data, and no row of it is kept: the
//! correlation of scores of each pair of numbers ([`crate::association`]), a map of clusters of numbers
//! ([`crate::cluster::map`]), the mean embedding of scores ([`crate::mmd`]), how far out one row of a
//! hundred lies, and how much its numbers contradict each other ([`crate::copula`]). A row's score adds up how far
//! out each value lies in its own feature, as [`crate::ecod`] does: −ln of a tail. The tail of a number
//! is the rarer of both; the tail of a level is the share of rows whose level is at most as frequent,
//! and that of a level that was never seen is less than one row's. What is missing adds nothing.
//!
//! A row of training lies in its own tails, and a row of traffic does not. So the thresholds are set by
//! the scores that rows of training have where they are left out, which for shares is arithmetic: c of
//! N rows becomes c − 1 of N − 1.

pub mod lens;
mod strays;
pub mod tally;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::association::{self, Association, Change, Known, Origin};
use crate::cluster::map::{Cluster, Map};
use crate::copula::Copula;
use crate::correction::any;
use crate::joint::lens::{Lens, Rows};
use crate::joint::tally::Tally;
use crate::judge::short;
use crate::mmd::{self, Embedding};
use crate::outlier::Calibration;
use crate::reference::{Observation, Reference, Values};
use crate::resampling::{KeptColumn, WINDOW_ROWS, effective_in_draws, rounded_up};
use crate::summary::NumberSummary;

/// Columns of numbers whose pairs are learned at most: those that move most with another one.
pub const MAX_COLUMNS: usize = 24;
/// The share of rows of training that stand out.
const STANDING_OUT: f64 = 0.01;
/// Columns of numbers that are looked at for that, the first ones.
const MAX_LOOKED_AT: usize = 128;
/// Rows below which nothing is learned.
const LEAST_ROWS: usize = 200;
/// Numbers that clusters are sought in at most, and the share of rows in which they may be missing.
const CLUSTERED: usize = 6;
const SELDOM_MISSING: f64 = 0.05;
/// From so far on a cluster's centre is high, or low.
const APART: f64 = 0.5;

/// What features did together in the training data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Which of the reference's features it is of.
    pub span: Range<usize>,
    /// Numbers, by their index in the reference, those that move most with another one first.
    pub columns: Vec<usize>,
    /// How they move together.
    pub known: Known,
    /// How many independent tests of a pair those of all pairs are worth at the usual level, where
    /// rows were enough to tell; see [`crate::correction::effective`].
    pub effective_pairs: Option<f64>,
    /// From where on a row stands out; `None` where it could not be told.
    pub threshold: Option<Threshold>,
    /// From which score on a row's numbers contradict each other; `None` where it could not be told, or there are
    /// fewer than two.
    pub copula: Option<Threshold>,
    /// The clusters that rows fall into; `None` where there are none.
    pub clusters: Option<Clusters>,
    /// Their joint law; `None` where fewer than two numbers vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
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
        self.most_telling(reference, &cluster.centre, |_, stand| match stand {
            stand if stand.abs() < APART => "near its median".to_owned(),
            stand if stand > 0.0 => "high".to_owned(),
            _ => "low".to_owned(),
        })
    }

    /// Where most of the rows lie that are in no cluster, and of which there are too many by this share
    /// of them: the most telling numbers, and in words. `None` where they do not lie together.
    #[must_use]
    pub fn new_one(
        &self,
        reference: &Reference,
        window: &Tally,
        too_many: f64,
    ) -> Option<(Vec<String>, String)> {
        let middle = window.strays.together(&self.map, too_many)?;
        Some(self.most_telling(reference, &middle, |place, stand| short(self.value(place, stand))))
    }

    /// The names of the two columns that stand furthest from their medians, and each with what is said of
    /// its place and stand.
    fn most_telling(
        &self,
        reference: &Reference,
        stands: &[f64],
        said: impl Fn(usize, f64) -> String,
    ) -> (Vec<String>, String) {
        let mut places: Vec<(usize, f64)> = stands.iter().copied().enumerate().collect();
        places.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        places.truncate(2);
        let named = places.into_iter().filter_map(|(place, stand)| {
            let feature = reference.features.get(*self.columns.get(place)?)?;
            Some((feature.name.clone(), format!("{} {}", feature.name, said(place, stand))))
        });
        let (names, words): (Vec<String>, Vec<String>) = named.unzip();
        (names, words.join(", "))
    }

    /// What a number is that stands there, of the column at this place.
    fn value(&self, place: usize, stand: f64) -> f64 {
        // Stands are rounded, and so near to it what was 0 is 0.
        const NEAR: f64 = 1e-3;
        let (median, deviation) = self.scales[place];
        let value = median + deviation * stand.sinh();
        if value.abs() < NEAR * deviation { 0.0 } else { value }
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
        let centre = |of: &Cluster| {
            let places = self.columns.iter().zip(&of.centre).enumerate();
            places.map(|(place, (&at, &stand))| within(at, self.value(place, stand))).collect()
        };
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The least score that stands out.
    pub score: f64,
    /// Rows of training that reach it.
    pub reached: u64,
    /// Rows of training that were looked at.
    pub rows: u64,
    /// How seldom scores are reached.
    pub tails: Calibration,
}

impl Threshold {
    /// What one of a hundred of these scores reaches, of rows of training where each is left out; `None` where
    /// that tells nothing.
    fn of(scores: &[f64]) -> Option<Self> {
        let tails = Calibration::of(scores.iter().copied());
        let score = tails.threshold(STANDING_OUT)?;
        let reached = scores.iter().filter(|&&reached| reached >= score).count() as u64;
        // A threshold that every row reaches tells nothing.
        let tells = score.is_finite() && reached < scores.len() as u64;
        let rows = scores.len() as u64;
        tells.then(|| Threshold { score, reached, rows, tails: tails.condensed() })
    }
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
        let span = 0..reference.features.len();
        let all = Joint { span, columns: looked_at, ..Joint::default() };
        let lens = Lens::through(reference, &all, 0);
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
            embedding: all.embedding(&lens, &rows),
            threshold: lens.threshold(&rows),
            copula: all.copula(&lens, &rows),
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
                    *score = rows.scores(*row)[*place];
                }
                association.row(&scores);
            }
            let changes = self.known.changes(&association, Origin::Reference, |_, _| 1.0);
            changes.iter().map(|change| change.p_value).fold(1.0, f64::min)
        });
        tests.map(rounded_up)
    }

    /// From which score on a row's numbers contradict each other.
    fn copula(&self, lens: &Lens, rows: &Rows) -> Option<Threshold> {
        let scorer = Copula::of(&self.known)?;
        let places: Vec<usize> = self.columns.iter().filter_map(|&at| lens.places[at]).collect();
        let of_row = |row: usize| {
            let scores: Vec<f64> = places.iter().map(|&place| rows.scores(row)[place]).collect();
            scorer.left_out(&scores, rows.count)
        };
        Threshold::of(&(0..rows.count).filter_map(of_row).collect::<Vec<f64>>())
    }

    /// The joint law of the columns that move most with another one.
    fn embedding(&self, lens: &Lens, rows: &Rows) -> Option<Embedding> {
        let present = |score: f64| if score.is_nan() { 0.0 } else { score };
        let places = self.columns.iter().filter_map(|&at| Some((at, lens.places[at]?)));
        let scores = places.map(|(at, place)| (at, rows.column(place).map(present).collect()));
        Embedding::learn(&scores.collect::<Vec<_>>())
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

    /// With so many pairs of columns at most, of the first ones; and without their joint law, where its
    /// sums weigh more than those pairs.
    #[must_use]
    pub fn within(&self, pairs: usize) -> Self {
        let columns = (0..).take_while(|columns| columns * (columns + 1) / 2 <= pairs).count();
        let order: Vec<usize> = (0..self.columns.len().min(columns)).collect();
        let embedding = self.embedding.clone().filter(|_| pairs >= mmd::WORTH_PAIRS);
        // Of fewer columns scores are others.
        let copula = self.copula.clone().filter(|_| order.len() == self.columns.len());
        Joint { embedding, copula, ..self.of(&order) }
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

    /// Whether it is of outputs, which stand behind inputs.
    #[must_use]
    pub fn is_of_outputs(&self) -> bool {
        self.span.start > 0
    }

    /// The same of outputs, where so many inputs stand before them.
    #[must_use]
    pub fn behind(mut self, features: usize) -> Self {
        let move_all = |columns: &mut [usize]| columns.iter_mut().for_each(|at| *at += features);
        self.span = self.span.start + features..self.span.end + features;
        move_all(&mut self.columns);
        self.clusters.iter_mut().for_each(|clusters| move_all(&mut clusters.columns));
        self.embedding.iter_mut().for_each(|embedding| move_all(&mut embedding.columns));
        self
    }

    /// Whether it can be of this reference.
    #[must_use]
    pub fn fits(&self, reference: &Reference) -> bool {
        let number = |at: &usize| {
            let feature = reference.features.get(*at).filter(|_| self.span.contains(at));
            feature.is_some_and(|feature| matches!(feature.values, Values::Number(_)))
        };
        let clusters = |clusters: &Clusters| {
            clusters.columns.iter().all(number)
                && clusters.scales.len() == clusters.columns.len()
                && clusters.scales.iter().all(|(_, deviation)| *deviation > 0.0)
                && clusters.map.fits(clusters.columns.len())
        };
        self.span.end <= reference.features.len()
            && self.columns.len() <= MAX_COLUMNS
            && self.columns.iter().all(number)
            && self.known.fits(self.columns.len())
            && self.clusters.as_ref().is_none_or(clusters)
            && self.embedding.as_ref().is_none_or(|embedding| embedding.columns.iter().all(number))
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
