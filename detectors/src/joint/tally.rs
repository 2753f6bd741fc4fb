//! What the features of the rows of a pane, or a window, did together, in sums that add up. It does not
//! know what they did before.

use serde::{Deserialize, Serialize};

use crate::association::Association;
use crate::cluster::mass::{self, Masses};
use crate::joint::lens::{Lens, Rows};
use crate::joint::strays::Strays;
use crate::joint::{Clusters, Joint, Threshold};
use crate::mmd::Sums;
use crate::mmd::frequency::Frequencies;
use crate::outlier::Scorer;
use crate::proportion::Rate;
use crate::series::Series;

/// Rows of a pane whose joint law is taken in, each of them; of those that follow one of so many. It is
/// the dearest thing that is done with a row, and some thousand tell what matters.
const EMBEDDED_WHOLE: u64 = 1_024;
const EMBEDDED_EVERY: u64 = 8;

/// What the features of the rows of a pane or a window did together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub(super) association: Association,
    /// Rows by the cluster that they are in.
    masses: Masses,
    /// Some of those that are in none.
    #[serde(default)]
    pub(crate) strays: Strays,
    /// Their clusters in their order, to see whether these come in runs.
    visited: Series,
    /// How far out each lies by its values.
    pub(crate) out: Outliers,
    /// How its numbers contradict each other.
    pub(crate) contrary: Outliers,
    /// Their joint law.
    #[serde(default)]
    pub(crate) embedded: Sums,
    /// Rows that came.
    #[serde(default)]
    seen: u64,
}

impl Tally {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(joint: &Joint) -> Self {
        Tally {
            association: Association::new(joint.columns.len()),
            masses: Masses::default(),
            strays: Strays::default(),
            visited: Series::default(),
            out: Outliers::default(),
            contrary: Outliers::default(),
            embedded: Sums::default(),
            seen: 0,
        }
    }

    /// Takes in rows that were seen through a lens of the same reference.
    pub fn rows(&mut self, lens: &Lens, rows: &Rows) {
        self.embed(lens, rows);
        let copula = lens.copula.as_ref();
        let scores = copula.map_or(Vec::new(), |(scorer, _)| scorer.all(rows.all_scores()));
        for row in 0..rows.count {
            self.association.row(rows.scores(row));
            let stands = rows.stands(row);
            if let Some(clusters) = &lens.clusters
                && !stands.iter().any(|stand| stand.is_nan())
            {
                let cluster = clusters.map.cluster(stands);
                self.masses.clusters.resize(clusters.map.clusters.len(), 0);
                self.masses.count(cluster);
                if cluster.is_none() {
                    self.strays.row(stands);
                }
                self.visited.number(cluster.map_or(-1.0, f64::from));
            }
            if let Some(threshold) = &lens.threshold {
                let score = rows.score(row);
                if self.out.count(score, threshold) {
                    self.out.blame(rows.tails(row).iter().map(|tail| -tail.ln() / score));
                }
            }
            if let Some((scorer, threshold)) = copula
                && let Some(score) = scores.get(row).filter(|score| !score.is_nan())
                && self.contrary.count(*score, threshold)
                && let Some(blame) = scorer.blame(rows.scores(row))
            {
                self.contrary.blame(blame.shares().iter().copied());
            }
        }
    }

    /// Takes in the joint law of the first rows, and of some of those that follow: which ones says nothing
    /// of what is in them.
    fn embed(&mut self, lens: &Lens, rows: &Rows) {
        let from = self.seen;
        self.seen = self.seen.saturating_add(rows.count as u64);
        let fits = |frequencies: &&Frequencies| frequencies.width() == rows.embedded();
        let Some(frequencies) = lens.frequencies.as_ref().filter(fits) else { return };
        if self.seen <= EMBEDDED_WHOLE {
            return self.embedded.rows(frequencies, rows.embeddable());
        }
        let taken = |row: &usize| {
            let at = from.saturating_add(*row as u64);
            at < EMBEDDED_WHOLE || at.is_multiple_of(EMBEDDED_EVERY)
        };
        let taken: Vec<usize> = (0..rows.count).filter(taken).collect();
        self.embedded.rows(frequencies, rows.chosen(&taken).embeddable());
    }

    /// Whether it saw any row.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.seen > 0
    }

    /// Adds what another one saw.
    pub fn merge(&mut self, other: &Tally) {
        self.association.merge(&other.association);
        self.masses.merge(&other.masses);
        self.strays.merge(&other.strays);
        self.visited.merge(&other.visited);
        self.seen = self.seen.saturating_add(other.seen);
        self.out.merge(&other.out);
        self.contrary.merge(&other.contrary);
        self.embedded.merge(&other.embedded);
    }

    /// Says that no more rows come.
    pub fn settle(&mut self) {
        self.out.scores.settle();
        self.contrary.scores.settle();
        self.visited.settle();
    }

    /// How rows fell into clusters against how they did; `dependent` says whether rows that came in
    /// runs count for less.
    #[must_use]
    pub fn clusters(&self, known: &Clusters, dependent: bool) -> (mass::Change, u64) {
        let time = if dependent { self.visited.clone().time() } else { 1.0 };
        (mass::compare_corrected(&known.map.masses, &self.masses, time), self.masses.rows())
    }
}

/// Rows by how strange they are by one score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outliers {
    rows: u64,
    /// Those whose score reaches the threshold.
    out: u64,
    /// How much each column has of their scores.
    blame: Vec<f64>,
    scores: Series,
}

impl Outliers {
    /// Counts a row; whether it stands out.
    fn count(&mut self, score: f64, threshold: &Threshold) -> bool {
        let stands_out = score >= threshold.score;
        self.rows += 1;
        self.out += u64::from(stands_out);
        self.scores.number(score);
        stands_out
    }

    /// Adds the share that each column has of the score of a row that stands out.
    fn blame(&mut self, shares: impl ExactSizeIterator<Item = f64>) {
        self.blame.resize(self.blame.len().max(shares.len()), 0.0);
        self.blame.iter_mut().zip(shares).for_each(|(blame, share)| *blame += share);
    }

    fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.out = self.out.saturating_add(other.out);
        self.blame(other.blame.iter().copied());
        self.scores.merge(&other.scores);
    }

    /// Rows that stand out, of those that were looked at.
    pub(crate) fn rate(&self) -> Rate {
        Rate::new(self.out, self.rows)
    }

    /// How many rows in a row are worth one independent one, by their scores: at least 1.
    pub(crate) fn time(&self) -> f64 {
        self.scores.clone().time()
    }

    /// Which columns make rows stand out, by their place: the share that each has of the scores, the
    /// largest first.
    pub(crate) fn blamed(&self) -> Vec<(usize, f64)> {
        let all: f64 = self.blame.iter().sum();
        let shares = self.blame.iter().map(|part| part / all.max(f64::MIN_POSITIVE)).enumerate();
        let mut shares: Vec<(usize, f64)> = shares.filter(|(_, share)| *share > 0.0).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}
