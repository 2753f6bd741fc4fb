//! The most frequent texts of a column with more of them than can be counted, mergeable.
//!
//! It does not know how many distinct ones there are, nor the rare ones.
//!
//! The summary is Misra & Gries's ("Finding repeated elements", 1982): a text that is not named
//! was met at most [`Frequent::error`] times, and one that is named at least as often as its count
//! says, and at most that error more. It merges, and takes in many texts at once, as Agarwal et
//! al. have it ("Mergeable summaries", PODS 2012, section 3): add the counts, take the largest
//! that must go from all of them. The error never exceeds all values over one more than
//! [`NAMED`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tally::{Entry, Tally, hash};

/// Texts that are named at most.
pub const NAMED: usize = 64;

/// The most frequent texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frequent {
    counts: BTreeMap<String, u64>,
    error: u64,
}

impl Frequent {
    /// Takes in all texts of a tally.
    pub fn extend(&mut self, tally: &Tally) {
        let mut known: Vec<u64> = Vec::with_capacity(self.counts.len());
        for (text, count) in &mut self.counts {
            *count += tally.get(text);
            known.push(hash(text.as_bytes()));
        }
        known.sort_unstable();
        let new = |entry: &Entry<'_>| known.binary_search(&entry.hash).is_err();
        let mut counts: Vec<u64> = tally.entries().filter(new).map(|entry| entry.count).collect();
        counts.extend(self.counts.values());
        let going = largest_that_goes(&mut counts);
        // What is not met more often than what goes cannot stay, so it needs no name.
        for entry in tally.entries().filter(|entry| entry.count > going).filter(new) {
            *self.counts.entry(entry.text.to_owned()).or_default() += entry.count;
        }
        self.take_off(going);
    }

    /// Adds everything that `other` saw.
    pub fn merge(&mut self, other: &Frequent) {
        for (text, count) in &other.counts {
            *self.counts.entry(text.clone()).or_default() += count;
        }
        self.error += other.error;
        let going = largest_that_goes(&mut self.counts.values().copied().collect::<Vec<_>>());
        self.take_off(going);
    }

    fn take_off(&mut self, going: u64) {
        if going > 0 {
            self.error += going;
            self.counts.retain(|_, count| {
                *count = count.saturating_sub(going);
                *count > 0
            });
        }
    }

    /// Forgets the names that were not met at least so many times for certain.
    pub fn forget_below(&mut self, least: u64) {
        let rare = self.counts.values().filter(|&&count| count < least).max().copied();
        self.counts.retain(|_, count| *count >= least);
        // Every name that is left keeps its own, smaller error; one number for all is simpler.
        self.error += rare.unwrap_or(0);
    }

    /// Named texts and how often each was met at least, most frequent first; equals in the order
    /// of their names.
    #[must_use]
    pub fn named(&self) -> Vec<(&str, u64)> {
        let mut named: Vec<_> = self.counts.iter().map(|(t, &count)| (t.as_str(), count)).collect();
        named.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        named
    }

    /// How much more often than its count a named text may have been met, and how often one that
    /// is not named.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }
}

/// The largest count after the first [`NAMED`]; 0 where there are no more.
fn largest_that_goes(counts: &mut [u64]) -> u64 {
    if counts.len() <= NAMED {
        return 0;
    }
    *counts.select_nth_unstable_by(NAMED, |a, b| b.cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally<'a>(texts: impl IntoIterator<Item = &'a str>) -> Tally {
        let mut tally = Tally::default();
        texts.into_iter().for_each(|text| assert!(tally.insert(text)));
        tally
    }

    fn counted(texts: &[u16]) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        texts.iter().for_each(|text| *counts.entry(text.to_string()).or_default() += 1);
        counts
    }

    #[test]
    fn the_few_are_exact() {
        let mut frequent = Frequent::default();
        frequent.extend(&tally("abbbabbbabbb".split("").filter(|text| !text.is_empty())));
        frequent.extend(&tally(["a"]));
        assert_eq!((frequent.named(), frequent.error()), (vec![("b", 9), ("a", 4)], 0));
        frequent.forget_below(5);
        assert_eq!((frequent.named(), frequent.error()), (vec![("b", 9)], 4));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_text_lies_between_its_count_and_the_error_more(
            blocks in prop::collection::vec(
                prop::collection::vec(prop_oneof![0..9u16, 0..400u16], 0..300), 1..8),
            apart in any::<bool>(),
        ) {
            let mut frequent = Frequent::default();
            for block in &blocks {
                let mut part = Frequent::default();
                let into = if apart { &mut part } else { &mut frequent };
                let texts: Vec<_> = block.iter().map(u16::to_string).collect();
                into.extend(&tally(texts.iter().map(String::as_str)));
                frequent.merge(&part);
            }
            let all = blocks.concat();
            let named: BTreeMap<_, _> = frequent.named().into_iter().collect();
            prop_assert!(named.len() <= NAMED);
            prop_assert!(frequent.error() <= all.len() as u64 / (NAMED as u64 + 1));
            for (text, truth) in counted(&all) {
                let count = named.get(text.as_str()).copied().unwrap_or(0);
                prop_assert!(count <= truth && truth <= count + frequent.error(), "{text}");
            }
        }
    }
}
