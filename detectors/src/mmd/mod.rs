//! Whether rows still have the joint law that they had: a kernel two-sample test, which sees changes
//! that no column shows by itself and no correlation either. It does not know what the columns are,
//! nor how large a change matters.
//!
//! The maximum mean discrepancy of two laws is the distance of their mean embeddings (Gretton et al.,
//! "A kernel two-sample test", JMLR 13, 2012). At a [`frequency`] a row is a point on the unit circle,
//! the mean embedding of a law is its characteristic function there, and a mean is all that is kept of
//! any number of rows (Zhao & Meng, "FastMMD", Neural Computation 27, 2015). The usual statistic adds up
//! all distances, and what two columns of a dozen do is lost among the others' noise. So the
//! discrepancy here is the largest over a family of kernels, each of one frequency (Sriperumbudur et
//! al., "Kernel choice and classifiability for RKHS embeddings", NIPS 2009).
//!
//! Both coordinates of one distance are means of bounded terms whose covariance the reference tells:
//! the form δᵀΣ⁻¹δ is about χ² with two degrees, made heavier far out as in Bernstein's inequality. How
//! many independent tests those of all frequencies are worth, and what is off at the usual level,
//! windows drawn from the reference's own rows tell.
//!
//! The effect is |δ|/2. As cos(w·x + b) stays within ±1, no two laws whose total variation distance is t
//! are further apart than t: like D of numbers and the distance of categories it is the change of the
//! share of one part of the rows, at least.

pub mod frequency;

use serde::{Deserialize, Serialize};

use crate::association::Origin;
use crate::correction::any;
use crate::letters;
use crate::mmd::frequency::{COUNT, Frequencies, UNIT};
use crate::resampling::{WINDOW_ROWS, effective_in_draws, rounded_up};
use crate::scores::heavier;

/// Columns at most.
pub const MAX_COLUMNS: usize = 12;
/// Sums of a pane weigh as much as those of so many pairs of columns.
pub const WORTH_PAIRS: usize = 80;
/// Each coordinate varies by at least so much: what varies less hardly varies.
const LEAST_VARIANCE: f64 = 1e-3;
/// Scales are at least this: scores that differ by less hardly differ.
const LEAST_SCALE: f64 = 0.05;
/// Pairs of rows from which a scale is told.
const SCALE_PAIRS: usize = 2_000;
/// Bytes of what is stored of one frequency: four whole numbers of two.
const BYTES: usize = 8;

/// What the means of a frequency are: of cosine c and sine s, of c² and of cs.
type Moments = [f64; 4];

/// The mean embedding of the reference's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Embedding {
    /// The columns, by their index in the reference.
    pub columns: Vec<usize>,
    /// The scale of each column's scores: the median distance of two rows.
    pub scales: Vec<f64>,
    /// Rows that it is the mean of.
    pub rows: u64,
    /// How many independent tests those of all frequencies are worth at the usual level, where rows
    /// were enough to tell; see [`crate::correction::effective`].
    pub effective: Option<f64>,
    moments: Vec<Moments>,
    frequencies: Frequencies,
}

/// How it is written: moments as whole numbers of two bytes, in letters.
#[derive(Serialize, Deserialize)]
struct Stored {
    columns: Vec<usize>,
    scales: Vec<f64>,
    rows: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective: Option<f64>,
    moments: String,
}

/// Why what is stored is no embedding.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BrokenEmbedding {
    /// What should be letters is none.
    #[error("the moments are no base64 after {after} bytes")]
    Letters {
        /// Bytes before it.
        after: usize,
    },
    /// There are too many moments, or too few.
    #[error("the moments have {found} bytes where {expected} are expected")]
    Length {
        /// Bytes that are there.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// Columns and scales are not one for one, too many, or fewer than two.
    #[error("{columns} columns with {scales} scales")]
    Columns {
        /// Columns.
        columns: usize,
        /// Scales.
        scales: usize,
    },
    /// No scale that scores could have.
    #[error("a scale of {scale}")]
    Scale {
        /// The scale.
        scale: f64,
    },
}

impl From<Embedding> for Stored {
    fn from(embedding: Embedding) -> Self {
        let parts = embedding.moments.iter().flatten();
        let bytes: Vec<u8> =
            parts.flat_map(|part| ((part * UNIT as f64).round() as i16).to_le_bytes()).collect();
        let Embedding { columns, scales, rows, effective, .. } = embedding;
        Stored { columns, scales, rows, effective, moments: letters::encode(&bytes) }
    }
}

impl TryFrom<Stored> for Embedding {
    type Error = BrokenEmbedding;

    fn try_from(stored: Stored) -> Result<Self, BrokenEmbedding> {
        let Stored { columns, scales, rows, effective, moments } = stored;
        if columns.len() != scales.len() || !(2..=MAX_COLUMNS).contains(&columns.len()) {
            let (columns, scales) = (columns.len(), scales.len());
            return Err(BrokenEmbedding::Columns { columns, scales });
        }
        if let Some(&scale) = scales.iter().find(|scale| scale.is_nan() || **scale < LEAST_SCALE) {
            return Err(BrokenEmbedding::Scale { scale });
        }
        let bytes =
            letters::decode(&moments).map_err(|after| BrokenEmbedding::Letters { after })?;
        let (found, expected) = (bytes.len(), COUNT * BYTES);
        if found != expected {
            return Err(BrokenEmbedding::Length { found, expected });
        }
        let part = |bytes: &[u8]| f64::from(i16::from_le_bytes([bytes[0], bytes[1]])) / UNIT as f64;
        let moments = bytes
            .chunks_exact(BYTES)
            .map(|of| [part(&of[0..2]), part(&of[2..4]), part(&of[4..6]), part(&of[6..8])]);
        let (moments, frequencies) = (moments.collect(), Frequencies::of(&scales));
        Ok(Embedding { columns, scales, rows, effective, moments, frequencies })
    }
}

/// Sums of the points of rows at each frequency, as whole numbers, so that neither the order of rows
/// nor that of panes changes anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    rows: u64,
    /// Of cosine and sine; empty until a row comes.
    sums: Vec<[i64; 2]>,
}

impl Sums {
    /// Takes rows in, one after the other: the score of each column, 0 where it is missing. What is left
    /// when they are not whole is passed over.
    pub fn rows(&mut self, frequencies: &Frequencies, rows: &[f64]) {
        let count = rows.len() / frequencies.width().max(1);
        if count == 0 {
            return;
        }
        self.rows += count as u64;
        self.sums.resize(COUNT, [0; 2]);
        frequencies.add(rows, &mut self.sums);
    }

    /// Takes a row in of which the points are known.
    fn points(&mut self, points: &[[i16; 2]]) {
        self.rows += 1;
        self.sums.resize(COUNT, [0; 2]);
        let sums = self.sums.as_flattened_mut();
        sums.iter_mut().zip(points.as_flattened()).for_each(|(sum, part)| *sum += i64::from(*part));
    }

    /// Adds those of other rows.
    pub fn merge(&mut self, other: &Sums) {
        self.rows = self.rows.saturating_add(other.rows);
        self.sums.resize(self.sums.len().max(other.sums.len().min(COUNT)), [0; 2]);
        for (here, there) in self.sums.iter_mut().zip(&other.sums) {
            // Sums come over the wire: wild ones must not overflow.
            *here = [here[0].saturating_add(there[0]), here[1].saturating_add(there[1])];
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows
    }

    /// The mean point at a frequency; within the square that holds the circle, whatever was sent.
    fn mean(&self, at: usize) -> [f64; 2] {
        let whole = self.rows.max(1) as f64 * UNIT as f64;
        self.sums
            .get(at)
            .copied()
            .unwrap_or_default()
            .map(|sum| (sum as f64 / whole).clamp(-1.0, 1.0))
    }
}

/// What a comparison with the reference says.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The root of the largest form: how many deviations apart.
    pub statistic: f64,
    /// |δ|/2 where it is told of, 0 to 1.
    pub effect: f64,
    /// What chance alone makes of it there.
    pub by_chance: f64,
    /// Probability of a form at least as large without a change.
    pub p_value: f64,
    /// The largest effect that chance makes at this level at any frequency, 0 to 1.
    pub detectable: f64,
    /// The columns without which the form would be smaller, by their index in the reference: those
    /// without which it would be by at least half of what the first would, that one first.
    pub columns: Vec<usize>,
}

/// One frequency, then and now.
#[derive(Debug, Clone, Copy)]
struct Apart {
    /// How many deviations, made fewer far out.
    far: f64,
    effect: f64,
    by_chance: f64,
}

impl Embedding {
    /// Learns from rows of scores, column by column, 0 where a value is missing: of these columns by
    /// their index in the reference, the first that vary. `None` where fewer than two do.
    #[must_use]
    pub fn learn(scores: &[(usize, Vec<f64>)]) -> Option<Self> {
        let scaled = scores.iter().filter_map(|(at, column)| Some((*at, scale(column)?, column)));
        let scaled: Vec<(usize, f64, &Vec<f64>)> = scaled.take(MAX_COLUMNS).collect();
        if scaled.len() < 2 {
            return None;
        }
        let columns: Vec<usize> = scaled.iter().map(|(at, ..)| *at).collect();
        let scales: Vec<f64> = scaled.iter().map(|(_, scale, _)| *scale).collect();
        let frequencies = Frequencies::of(&scales);
        let count = scaled.iter().map(|(.., column)| column.len()).min().unwrap_or(0);
        let row = |row: usize| -> Vec<f64> { scaled.iter().map(|(.., of)| of[row]).collect() };
        let rows: Vec<Vec<[i16; 2]>> =
            (0..count).map(|at| frequencies.seen(&row(at)).collect()).collect();
        let mut moments = vec![[0.0; 4]; COUNT];
        for points in &rows {
            for (moments, point) in moments.iter_mut().zip(points) {
                let [c, s] = point.map(|part| f64::from(part) / UNIT as f64);
                for (moment, part) in moments.iter_mut().zip([c, s, c * c, c * s]) {
                    *moment += part;
                }
            }
        }
        for moment in moments.iter_mut().flatten() {
            *moment = (*moment / count as f64 * UNIT as f64).round() / UNIT as f64;
        }
        let mut embedding = Embedding {
            columns,
            scales,
            rows: count as u64,
            effective: None,
            moments,
            frequencies,
        };
        embedding.effective = embedding.effective(&rows);
        Some(embedding)
    }

    /// What windows drawn among rows, of which these are the points, say of the tests of all frequencies.
    fn effective(&self, rows: &[Vec<[i16; 2]>]) -> Option<f64> {
        let size = WINDOW_ROWS.min(rows.len() / 4);
        let tests = effective_in_draws(3, rows.len(), size, |drawn, _| {
            let mut sums = Sums::default();
            drawn.iter().for_each(|row| sums.points(&rows[*row]));
            let apart = (0..COUNT).map(|at| self.apart(at, &sums, 1.0, Origin::Reference));
            p_value(apart.map(|apart| apart.far).fold(0.0, f64::max))
        });
        tests.map(|tests| (rounded_up(tests) * 100.0).round() / 100.0)
    }

    /// Its frequencies.
    #[must_use]
    pub fn frequencies(&self) -> &Frequencies {
        &self.frequencies
    }

    /// Compares rows with those of the reference. So many of them are worth an independent one as `time`
    /// says, at least 1. It is told of the frequency with the largest form, of those where at least
    /// `matters` has changed, if any; `alpha` is the level of what could have been detected. `None`
    /// without rows.
    #[must_use]
    pub fn compare(&self, now: &Sums, time: f64, matters: f64, alpha: f64) -> Option<Change> {
        if now.rows == 0 {
            return None;
        }
        let apart = |at| self.apart(at, now, time, Origin::Traffic);
        let all: Vec<Apart> = (0..COUNT).map(apart).collect();
        let furthest = |of: &dyn Fn(usize) -> bool| {
            (0..COUNT).filter(|at| of(*at)).max_by(|&a, &b| all[a].far.total_cmp(&all[b].far))
        };
        let told = furthest(&|at| all[at].effect >= matters).or_else(|| furthest(&|_| true))?;
        let Apart { far, effect, by_chance } = all[told];
        let without = |column: usize| {
            let others = furthest(&|at| !self.frequencies.columns(at).contains(&column));
            far - others.map_or(0.0, |at| all[at].far)
        };
        let of = self
            .frequencies
            .columns(told)
            .iter()
            .map(|&column| (self.columns[column], without(column)));
        let mut columns: Vec<(usize, f64)> = of.collect();
        columns.sort_by(|a, b| b.1.total_cmp(&a.1));
        let half = columns.first().map_or(0.0, |first| first.1 / 2.0);
        columns.retain(|column| column.1 >= half);
        let level = (alpha / COUNT as f64).max(f64::MIN_POSITIVE);
        let widest = all.iter().map(|apart| apart.by_chance).fold(0.0, f64::max);
        Some(Change {
            statistic: far,
            effect,
            by_chance,
            p_value: any(p_value(far), self.effective.unwrap_or(COUNT as f64), COUNT as f64),
            detectable: (widest * (-2.0 * level.ln()).sqrt()).min(1.0),
            columns: columns.into_iter().map(|(at, _)| at).collect(),
        })
    }

    fn apart(&self, at: usize, now: &Sums, time: f64, origin: Origin) -> Apart {
        let [c, s, cc, cs] = self.moments[at];
        let mean = now.mean(at);
        let (x, y) = (mean[0] - c, mean[1] - s);
        // The covariance of both coordinates of one row, and its inverse times δ.
        let (xx, yy) = (cc - c * c, (1.0 - cc) - s * s);
        let (xx, yy, xy) = (xx.max(0.0) + LEAST_VARIANCE, yy.max(0.0) + LEAST_VARIANCE, cs - c * s);
        let determinant = (xx * yy - xy * xy).max(LEAST_VARIANCE * LEAST_VARIANCE);
        let (u, v) = ((yy * x - xy * y) / determinant, (xx * y - xy * x) / determinant);
        let form = (x * u + y * v).max(0.0);
        let rows = now.rows.max(1) as f64;
        let part = match origin {
            Origin::Traffic => rows / self.rows.max(1) as f64,
            Origin::Reference => -rows / self.rows.max(1) as f64,
        };
        let time = (time.max(1.0) + part).max(0.01);
        let root = form.sqrt();
        // The furthest that one row can be from the mean, in the direction of δ.
        let largest = (1.0 + c.hypot(s)) * u.hypot(v) / root.max(f64::MIN_POSITIVE);
        let far = if root > 0.0 { heavier(root * rows, rows * time, largest) } else { 0.0 };
        Apart {
            far,
            effect: (x.hypot(y) / 2.0).min(1.0),
            by_chance: ((xx + yy) * time / rows).sqrt() / 2.0,
        }
    }
}

/// The chance that χ² with two degrees exceeds the square.
fn p_value(far: f64) -> f64 {
    (-far * far / 2.0).exp()
}

/// The median distance of two rows' scores, which for a column that is mostly one value is the root of
/// their mean square; `None` where scores do not differ.
fn scale(scores: &[f64]) -> Option<f64> {
    let apart = scores.len() / 2;
    let pairs = scores.iter().zip(scores.get(apart..)?).take(SCALE_PAIRS);
    let mut distances: Vec<f64> = pairs.map(|(one, other)| (one - other).abs()).collect();
    distances.sort_by(f64::total_cmp);
    let median = *distances.get(distances.len() / 2)?;
    let square = distances.iter().map(|d| d * d).sum::<f64>() / distances.len() as f64;
    let scale = if median >= LEAST_SCALE { median } else { square.sqrt() };
    // To three digits after the point, which is what the profile says.
    (scale >= LEAST_SCALE).then(|| (scale * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;
    use crate::scores::normal_quantile;

    const COLUMNS: usize = 4;
    /// The least effect that matters.
    const MATTERS: f64 = 0.1;

    /// Normal scores, of which the third has the sign of the product of the first two as often as `with`
    /// says.
    fn rows(rows: usize, with: f64, seed: u64) -> Vec<[f64; COLUMNS]> {
        let mut random = Random::seeded(seed);
        let row = |_| {
            let mut normal = || normal_quantile(random.positive().min(0.99)).clamp(-2.5, 2.5);
            let mut row: [f64; COLUMNS] = std::array::from_fn(|_| normal());
            let way = if random.unit() < with { 1.0 } else { -1.0 };
            row[2] = row[2].abs() * (row[0] * row[1]).signum() * way;
            row
        };
        (0..rows).map(row).collect()
    }

    fn embedding(rows: &[[f64; COLUMNS]]) -> Option<Embedding> {
        let column = |at: usize| (10 + at, rows.iter().map(|row| row[at]).collect());
        Embedding::learn(&(0..COLUMNS).map(column).collect::<Vec<_>>())
    }

    fn sums(of: &Embedding, rows: &[[f64; COLUMNS]]) -> Sums {
        let (frequencies, mut sums) = (of.frequencies(), Sums::default());
        rows.iter().for_each(|row| sums.rows(frequencies, row));
        sums
    }

    #[test]
    fn what_three_columns_do_together_is_seen_and_they_are_named() {
        let known = embedding(&rows(6_000, 0.9, 1)).unwrap();
        let change = |with, seed| {
            known.compare(&sums(&known, &rows(500, with, seed)), 1.0, MATTERS, 1e-6).unwrap()
        };
        let other = change(0.1, 2);
        assert!(other.p_value < 1e-9 && other.effect > 0.15, "{other:?}");
        let mut named = other.columns.clone();
        named.sort_unstable();
        assert_eq!(named, [10, 11, 12]);
        let same = change(0.9, 3);
        assert!(same.p_value > 0.01 && same.effect < MATTERS, "{same:?}");
        assert!(same.detectable < 0.15 && other.by_chance < 0.05, "{same:?}");
    }

    #[test]
    fn the_level_is_kept() {
        let mut flagged = 0;
        for reference in 0..10 {
            let known = embedding(&rows(4_000, 0.9, 100 + reference)).unwrap();
            let windows = (0..40).filter(|window| {
                let seed = 1_000 * (1 + reference) + window;
                let sums = sums(&known, &rows(300, 0.9, seed));
                known.compare(&sums, 1.0, MATTERS, 1e-6).unwrap().p_value <= 0.05
            });
            flagged += windows.count();
        }
        assert!((4..=28).contains(&flagged), "{flagged} of 400");
    }

    #[test]
    fn rows_that_depend_on_each_other_count_for_less() {
        let known = embedding(&rows(6_000, 0.9, 4)).unwrap();
        let sums = sums(&known, &rows(500, 0.5, 5));
        let p = |time| known.compare(&sums, time, MATTERS, 1e-6).unwrap().p_value;
        assert!(p(1.0) < p(5.0) && p(5.0) < p(50.0) && p(f64::NAN) == p(1.0));
    }

    #[test]
    fn what_is_stored_comes_back_and_shards_say_what_the_whole_says() {
        let all = rows(1_000, 0.5, 6);
        let known = embedding(&all).unwrap();
        let text = serde_json::to_string(&known).unwrap();
        let stored: Embedding = serde_json::from_str(&text).unwrap();
        assert_eq!(stored, known);
        assert!(text.len() < 3_000, "{}", text.len());
        let mut parts = sums(&known, &all[..300]);
        parts.merge(&sums(&stored, &all[300..]));
        assert_eq!(parts, sums(&known, &all));
        let change = known.compare(&parts, 1.0, MATTERS, 1e-6).unwrap();
        assert!(change.effect < 1e-4 && change.p_value > 0.99, "{change:?}");
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        let text = serde_json::to_string(&embedding(&rows(400, 0.5, 7)).unwrap()).unwrap();
        let refused = |from: &str, to: &str| {
            let text = text.replacen(from, to, 1);
            serde_json::from_str::<Embedding>(&text).unwrap_err().to_string()
        };
        assert!(refused("\"moments\":\"", "\"moments\":\"!").contains("no base64 after 0 bytes"));
        assert!(refused("\"moments\":\"", "\"moments\":\"AAAA").contains("2051 bytes"));
        assert!(refused("[10,", "[9,10,").contains("5 columns with 4 scales"));
        assert!(refused("\"scales\":[", "\"scales\":[0.0,").contains("4 columns with 5 scales"));
        let scale = format!("\"scales\":[{}", embedding(&rows(400, 0.5, 7)).unwrap().scales[0]);
        assert!(refused(&scale, "\"scales\":[0.01").contains("a scale of 0.01"));
    }

    #[test]
    fn what_says_nothing_has_no_change_and_wild_sums_stay_numbers() {
        let known = embedding(&rows(400, 0.5, 8)).unwrap();
        assert_eq!(known.compare(&Sums::default(), 1.0, MATTERS, 1e-6), None);
        let mut sums = Sums::default();
        sums.rows(known.frequencies(), &[1.0]);
        assert_eq!(sums.count(), 0, "no whole row");
        let mut wild = Sums { rows: 1, sums: vec![[i64::MAX, i64::MIN]; 9 * COUNT] };
        wild.merge(&wild.clone());
        for alpha in [0.0, 1e-6, 1.0] {
            let change = known.compare(&wild, 1.0, MATTERS, alpha).unwrap();
            for share in [change.effect, change.p_value, change.detectable, change.by_chance] {
                assert!((0.0..=1.0).contains(&share), "{change:?}");
            }
            assert!(change.statistic.is_finite());
        }
        assert_eq!(embedding(&[[1.0; COLUMNS]; 400]), None, "nothing varies");
        assert_eq!(embedding(&[]), None);
    }
}
