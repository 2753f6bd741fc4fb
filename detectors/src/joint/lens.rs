//! What rows are seen through: a reference made ready to say of each value how far out it lies, and
//! what of it counts together with others. It does not know what becomes of what it sees.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::association::Scores;
use crate::copula::Copula;
use crate::ecod::{Tails, minus_log};
use crate::finding::Detector;
use crate::joint::{Clusters, Joint, Threshold, place};
use crate::mmd::frequency::Frequencies;
use crate::outlier::{Blame, Scorer};
use crate::reference::{Observation, Reference, Values};
use crate::resampling::KeptColumn;
use crate::summary::{CategorySummary, LEVEL_BYTES};

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
}

/// What rows are seen through: a reference made ready for it.
#[derive(Debug, Clone)]
pub struct Lens {
    /// Which of the reference's joints it is for.
    group: usize,
    /// Where the features that it sees begin among all.
    first: usize,
    features: Vec<Reach>,
    /// Values of each feature in the training data.
    counts: Vec<u64>,
    /// Where each feature stands among the columns whose pairs are known, among those of clusters, and
    /// among those whose joint law is.
    pub(super) places: Vec<Option<usize>>,
    /// The columns whose pairs are known, by their index in the reference.
    named: Vec<usize>,
    clustered: Vec<Option<usize>>,
    embedded: Vec<Option<usize>>,
    columns: usize,
    pub(super) threshold: Option<Threshold>,
    pub(super) copula: Option<(Copula, Threshold)>,
    pub(super) clusters: Option<Clusters>,
    pub(super) frequencies: Option<Frequencies>,
    scores: Scores,
}

impl Lens {
    /// The lenses of a reference: one for each of its joints.
    #[must_use]
    pub fn all_of(reference: &Reference) -> Vec<Self> {
        let joints = reference.joints.iter().enumerate();
        joints.map(|(group, joint)| Lens::through(reference, joint, group)).collect()
    }

    /// The lens of a joint of the reference, which has this place among all of them.
    pub(super) fn through(reference: &Reference, joint: &Joint, group: usize) -> Self {
        let features = reference.features.get(joint.span.clone()).unwrap_or_default();
        let reach = |values: &Values| match values {
            Values::Number(numbers) => Reach::Number(Tails::of_sketch(numbers.sketch())),
            Values::Category(known) => Reach::levels(known),
        };
        let among = |columns: &[usize]| {
            (joint.span.clone()).map(|at| columns.iter().position(|&column| column == at)).collect()
        };
        Lens {
            group,
            first: joint.span.start,
            features: features.iter().map(|feature| reach(&feature.values)).collect(),
            counts: features.iter().map(|f| f.rows - f.missing().min(f.rows)).collect(),
            places: among(&joint.columns),
            named: joint.columns.clone(),
            clustered: among(joint.clusters.as_ref().map_or(&[], |clusters| &clusters.columns)),
            embedded: among(joint.embedding.as_ref().map_or(&[], |embedding| &embedding.columns)),
            columns: joint.columns.len(),
            threshold: joint.threshold.clone(),
            copula: Copula::of(&joint.known).zip(joint.copula.clone()),
            clusters: joint.clusters.clone(),
            frequencies: joint.embedding.as_ref().map(|embedding| embedding.frequencies().clone()),
            scores: Scores::new(),
        }
    }

    /// The place of its joint among those of the reference.
    #[must_use]
    pub fn group(&self) -> usize {
        self.group
    }

    /// The features that it sees, by their index in the reference.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.first..self.first + self.features.len()
    }

    /// A place for so many rows.
    #[must_use]
    pub fn rows(&self, count: usize) -> Rows {
        let clustered = self.clusters.as_ref().map_or(0, |clusters| clusters.columns.len());
        let embedded = self.embedded.iter().flatten().count();
        Rows {
            count,
            features: self.features.len(),
            tails: vec![1.0; count * self.features.len()],
            columns: self.columns,
            scores: vec![f64::NAN; count * self.columns],
            clustered,
            stands: vec![f64::NAN; count * clustered],
            embedded,
            embeddable: vec![0.0; count * embedded],
        }
    }

    /// Sees the values of a feature, by its index in the reference, in some of the rows, of which this is the
    /// first. What is none of the feature is as if it were missing; a feature outside its span is not seen.
    pub fn see(&self, rows: &mut Rows, feature: usize, first: usize, column: &[Observation<'_>]) {
        let Some(feature) = feature.checked_sub(self.first) else { return };
        let Some(reach) = self.features.get(feature) else { return };
        let (places, width) = (first..rows.count, rows.features);
        match reach {
            Reach::Unknown => {}
            Reach::Levels(levels, unseen) => {
                for (row, value) in places.zip(column) {
                    let Observation::Category(level) = value else { continue };
                    let name = &level[..level.floor_char_boundary(LEVEL_BYTES)];
                    let tail = levels.get(name).copied().unwrap_or(*unseen);
                    rows.tails[row * width + feature] = tail;
                }
            }
            Reach::Number(tails) => {
                let clustered = self.clustered[feature].zip(self.clusters.as_ref());
                let (paired, embedded) = (self.places[feature], self.embedded[feature]);
                for (row, value) in places.zip(column) {
                    let Observation::Number(value) = *value else { continue };
                    let Some((tail, rank)) = tails.tail_and_rank(value) else { continue };
                    rows.tails[row * width + feature] = tail;
                    let score = self.scores.of(rank);
                    if let Some(column) = paired {
                        rows.scores[row * rows.columns + column] = score;
                    }
                    if let Some(column) = embedded {
                        rows.embeddable[row * rows.embedded + column] = score;
                    }
                    if let Some((column, clusters)) = clustered {
                        let stand = place(clusters.scales[column], value);
                        rows.stands[row * rows.clustered + column] = stand;
                    }
                }
            }
        }
    }

    /// Rows that were kept of some data, with a column for each feature of the reference.
    #[must_use]
    pub fn rows_of(&self, kept: &[KeptColumn]) -> Rows {
        let kept = kept.get(self.span()).unwrap_or_default();
        let count = kept.iter().map(KeptColumn::len).min().unwrap_or(0);
        let mut rows = self.rows(count);
        for (feature, column) in kept.iter().enumerate() {
            let column: Vec<Observation<'_>> = column.values().take(count).collect();
            self.see(&mut rows, self.first + feature, 0, &column);
        }
        rows
    }

    /// The rows that stand out, the strangest first, and at most so many of them.
    #[must_use]
    pub fn strangest(&self, rows: &Rows, most: usize) -> Vec<Strange> {
        let out = |row: usize| {
            let threshold = self.threshold.as_ref()?;
            let score = rows.score(row);
            let blame = || Blame::of(rows.tails(row).iter().map(|tail| -tail.ln()));
            let named = |(place, share)| (self.first + place, share);
            Some((Detector::OutlierRate, threshold, score))
                .filter(|_| score >= threshold.score)
                .map(|by| (by, blame().ranked().into_iter().map(named).collect()))
        };
        let apart = |row: usize| {
            let (scorer, threshold) = self.copula.as_ref()?;
            let score = scorer.score(rows.scores(row))?;
            let blame = || scorer.blame(rows.scores(row)).map_or(Vec::new(), |of| of.ranked());
            let named = |(place, share): (usize, f64)| (self.named[place], share);
            Some((Detector::Copula, threshold, score))
                .filter(|_| score >= threshold.score)
                .map(|by| (by, blame().into_iter().map(named).collect()))
        };
        let strange = |row: usize| {
            let of_either = [out(row), apart(row)].into_iter().flatten();
            of_either.map(move |((detector, threshold, score), blamed)| {
                let tail = threshold.tails.tail(score);
                Strange { row, detector, tail, far: score - threshold.score, blamed }
            })
        };
        let seldom = |a: &Strange, b: &Strange| {
            a.tail.total_cmp(&b.tail).then(b.far.total_cmp(&a.far)).then(a.row.cmp(&b.row))
        };
        let mut all: Vec<Strange> =
            (0..rows.count).filter_map(|row| strange(row).min_by(seldom)).collect();
        all.sort_by(seldom);
        all.truncate(most);
        all
    }

    /// From where on a row stands out, by the scores that rows of training have where each is left
    /// out.
    pub(super) fn threshold(&self, rows: &Rows) -> Option<Threshold> {
        let left_out = |row: usize| -> f64 {
            let tails = rows.tails(row).iter().zip(&self.counts);
            let tails = tails.map(|(&tail, &count)| {
                let count = (count as f64).max(1.0);
                // 1 stays 1, so that what is missing adds nothing here either.
                ((tail * (count + 1.0) - 1.0) / count).max(1.0 / (count + 1.0))
            });
            tails.map(|tail| -tail.ln()).sum()
        };
        Threshold::of(&(0..rows.count).map(left_out).collect::<Vec<f64>>())
    }
}

/// A row that stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Strange {
    /// Its place among the rows.
    pub row: usize,
    /// By which score: that of how far out its values lie, or of how they contradict each other.
    pub detector: Detector,
    /// The chance that a row like those of training scores at least as much.
    pub tail: f64,
    /// By how much its score is beyond that from which on a row stands out.
    pub far: f64,
    /// The features that make it, by their index in the reference, with their shares; the largest first.
    pub blamed: Vec<(usize, f64)>,
}

/// Rows as a lens sees them.
#[derive(Debug, Clone)]
pub struct Rows {
    pub(super) count: usize,
    pub(super) features: usize,
    /// Row by row the tail of each feature's value; 1 where there is none.
    tails: Vec<f64>,
    columns: usize,
    /// Row by row the score of each of the columns whose pairs are known.
    scores: Vec<f64>,
    clustered: usize,
    /// Row by row where each of the numbers stands that clusters are made of.
    stands: Vec<f64>,
    embedded: usize,
    /// Row by row the score of each number whose joint law is known; the middle where there is none.
    embeddable: Vec<f64>,
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
            embeddable: take(&self.embeddable, self.embedded),
            features: self.features,
            columns: self.columns,
            clustered: self.clustered,
            embedded: self.embedded,
        }
    }

    pub(super) fn tails(&self, row: usize) -> &[f64] {
        &self.tails[row * self.features..(row + 1) * self.features]
    }

    /// The score of each column whose pairs are known; NaN where there is none.
    pub(super) fn scores(&self, row: usize) -> &[f64] {
        &self.scores[row * self.columns..(row + 1) * self.columns]
    }

    /// The same of all rows, one after the other.
    pub(super) fn all_scores(&self) -> &[f64] {
        &self.scores
    }

    /// Where each of the numbers stands that clusters are made of; NaN where there is none.
    pub(super) fn stands(&self, row: usize) -> &[f64] {
        &self.stands[row * self.clustered..(row + 1) * self.clustered]
    }

    /// How many numbers there are whose joint law is known.
    pub(super) fn embedded(&self) -> usize {
        self.embedded
    }

    /// Row by row the score of each of them; 0 where there is none.
    pub(super) fn embeddable(&self) -> &[f64] {
        &self.embeddable
    }

    /// The scores of one of the columns whose pairs are known.
    pub(super) fn column(&self, place: usize) -> impl Iterator<Item = f64> {
        (0..self.count).map(move |row| self.scores[row * self.columns + place])
    }

    /// How far out a row lies: 0 where nothing of it can be told.
    pub(super) fn score(&self, row: usize) -> f64 {
        minus_log(self.tails(row).iter().copied())
    }
}
