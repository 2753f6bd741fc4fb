//! What the features of the rows of a pane, or a window, did together, in sums that add up. It does not
//! know what they did before.

use serde::{Deserialize, Serialize};

use crate::association::Association;
use crate::cluster::mass::{self, Masses};
use crate::joint::lens::{Lens, Rows};
use crate::joint::strays::Strays;
use crate::joint::{Clusters, Joint};
use crate::mmd::Sums;
use crate::mmd::frequency::Frequencies;
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
    rows: u64,
    /// Rows that stand out.
    out: u64,
    /// How much each feature has of their scores.
    blame: Vec<f64>,
    scores: Series,
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
            rows: 0,
            out: 0,
            blame: Vec::new(),
            scores: Series::default(),
            embedded: Sums::default(),
            seen: 0,
        }
    }

    /// Takes in rows that were seen through a lens of the same reference.
    pub fn rows(&mut self, lens: &Lens, rows: &Rows) {
        self.embed(lens, rows);
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
        self.rows = self.rows.saturating_add(other.rows);
        self.out = self.out.saturating_add(other.out);
        self.blame.resize(self.blame.len().max(other.blame.len()), 0.0);
        for (here, there) in self.blame.iter_mut().zip(&other.blame) {
            *here += there;
        }
        self.scores.merge(&other.scores);
        self.embedded.merge(&other.embedded);
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
