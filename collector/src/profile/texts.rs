//! What is learned of a column of texts: every one of them while they are few, sketches when they
//! are many. It does not decide whether they are categories.

use serde::{Deserialize, Serialize};
use tidegate_detectors::cardinality::Cardinality;
use tidegate_detectors::frequent::Frequent;
use tidegate_detectors::summary::CategorySummary;
use tidegate_detectors::tally::{Entry, TEXT_BYTES, Tally};

use crate::profile::shape::{Shape, Shaping};

/// A column of texts while it is read.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// Texts not yet in the sketches: all, while there are no sketches.
    tally: Tally,
    /// Where there were once more distinct texts than a tally holds.
    many: Option<Box<Many>>,
}

/// What is kept of texts that are too many to name.
#[derive(Debug, Clone, PartialEq, Default)]
struct Many {
    count: u64,
    shape: Shaping,
    distinct: Cardinality,
    frequent: Frequent,
}

/// All that is known of a column of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Texts.
    pub count: u64,
    /// How many distinct ones there are, where they were few enough to count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub levels: Option<u64>,
    /// How many distinct ones there are about.
    pub distinct: Cardinality,
    /// How they look.
    pub shape: Shape,
    /// The most frequent.
    pub frequent: Frequent,
}

impl Texts {
    /// Takes one text in.
    #[inline]
    pub fn insert(&mut self, text: &str) {
        if !self.tally.insert(text) {
            self.pour();
            self.tally.insert(text);
        }
    }

    /// Moves the tally into the sketches.
    fn pour(&mut self) {
        let many = self.many.get_or_insert_default();
        many.take(&self.tally);
        self.tally.clear();
    }

    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &Texts) {
        if other.many.is_some() && self.many.is_none() {
            self.pour();
        }
        if let (Some(here), Some(there)) = (&mut self.many, &other.many) {
            here.merge(there);
        }
        for entry in other.tally.entries() {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: Entry<'_>) {
        if !self.tally.add(entry) {
            self.pour();
            self.tally.add(entry);
        }
    }

    /// Texts so far.
    pub fn count(&self) -> u64 {
        let tallied: u64 = self.tally.entries().map(|entry| entry.count).sum();
        tallied + self.many.as_ref().map_or(0, |many| many.count)
    }

    /// All of them by name, where every one is known by its whole name.
    pub fn levels(&self) -> Option<CategorySummary> {
        let whole = self.many.is_none() && self.tally.entries().all(|e| e.bytes <= TEXT_BYTES);
        whole.then(|| {
            let mut levels = CategorySummary::default();
            self.tally.entries().for_each(|entry| levels.add(entry.text, entry.count));
            levels
        })
    }

    /// What is known of them.
    pub fn told(&self) -> Told {
        let mut many = self.many.as_deref().cloned().unwrap_or_default();
        many.take(&self.tally);
        let levels = self.many.is_none().then(|| self.tally.len() as u64);
        let Many { count, shape, distinct, frequent } = many;
        Told { count, levels, distinct, shape: shape.shape(), frequent }
    }

    /// What is known of all levels of a category.
    pub fn of(levels: &CategorySummary) -> Self {
        let mut texts = Texts::default();
        for (text, &count) in levels.counts() {
            let hash = tidegate_detectors::tally::hash(text.as_bytes());
            texts.add(Entry { text, bytes: text.len(), hash, count });
        }
        texts
    }
}

impl Told {
    /// Forgets the texts that were not met so often.
    pub fn forget_below(&mut self, least: u64) {
        self.frequent.forget_below(least);
    }

    /// Goes on from what was stored, whose texts have no names any more.
    pub fn resume(&self) -> Texts {
        let mut shape = Shaping::default();
        shape.add(&self.shape);
        let (distinct, frequent) = (self.distinct.clone(), self.frequent.clone());
        let many = Many { count: self.count, shape, distinct, frequent };
        Texts { tally: Tally::default(), many: Some(Box::new(many)) }
    }
}

impl Many {
    fn take(&mut self, tally: &Tally) {
        for entry in tally.entries() {
            self.count += entry.count;
            self.shape.take(entry.text, entry.bytes, entry.count);
            self.distinct.insert(entry.hash);
        }
        self.frequent.extend(tally);
    }

    fn merge(&mut self, other: &Many) {
        self.count += other.count;
        self.shape.add(&other.shape.shape());
        self.distinct.merge(&other.distinct);
        self.frequent.merge(&other.frequent);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Texts;

    fn of(texts: &[String]) -> Texts {
        let mut all = Texts::default();
        texts.iter().for_each(|text| all.insert(text));
        all
    }

    fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| format!("n{number}")).collect()
    }

    #[test]
    fn few_are_all_known_and_many_are_estimated() {
        let few = of(&numbered(0..1_000));
        assert_eq!(few.levels().map(|levels| levels.counts().len()), Some(1_000));
        assert_eq!(few.told().levels, Some(1_000));
        let many = of(&numbered(0..40_000));
        assert_eq!((many.levels(), many.count(), many.told().levels), (None, 40_000, None));
        let estimate = many.told().distinct.estimate();
        assert!((estimate / 40_000.0 - 1.0).abs() < 0.1, "{estimate}");
        assert_eq!(many.told().shape.count(), 40_000);
    }

    #[test]
    fn a_text_that_is_cut_has_no_name() {
        let long = of(&["x".repeat(300)]);
        assert_eq!((long.levels(), long.count()), (None, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

        #[test]
        fn shards_know_what_the_whole_knows(
            spans in prop::collection::vec((0..3_000u32, 0..1_500u32), 1..5),
        ) {
            let shards: Vec<_> = spans.iter().map(|&(at, count)| numbered(at..at + count)).collect();
            let whole = of(&shards.concat()).told();
            let mut merged = Texts::default();
            let mut resumed = Texts::default();
            for shard in &shards {
                merged.merge(&of(shard));
                resumed.merge(&of(shard).told().resume());
            }
            let merged = merged.told();
            prop_assert_eq!(&merged.shape, &whole.shape);
            prop_assert_eq!(&merged.distinct, &whole.distinct);
            prop_assert_eq!((merged.count, merged.levels), (whole.count, whole.levels));
            let resumed = resumed.told();
            prop_assert_eq!((&resumed.shape, &resumed.distinct), (&whole.shape, &whole.distinct));
            let (named, error) = (merged.frequent.named(), merged.frequent.error());
            let often = shards.concat().iter().filter(|text| *text == "n7").count() as u64;
            let count = named.iter().find(|(text, _)| *text == "n7").map_or(0, |(_, count)| *count);
            prop_assert!(count <= often && often <= count + error);
        }
    }
}
