//! Breaches: what the contract did with a model's requests, and which fields were broken how, over all
//! workers that were heard since this collector started. It does not judge them; windows do.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// Workers whose counts are remembered; a worker is one thread of one Envoy.
const MAX_WORKERS: usize = 4096;
/// Fields and kinds counted apart for one worker, and in all.
const MAX_KEPT: usize = 1024;

/// What the contract did with requests, as counts that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deeds {
    /// Exchanges that were the model's.
    pub exchanges: u64,
    /// Whose request was held against the contract.
    pub checked: u64,
    /// Of these, with a violation.
    pub violating: u64,
    /// Answered with a refusal.
    pub refused: u64,
    /// Sent on with a tag.
    pub tagged: u64,
    /// Sent to the fallback version.
    pub diverted: u64,
    /// What `enforce` would have refused, had it been the mode.
    pub would_refuse: u64,
    /// With a violation in the response.
    pub response_violating: u64,
}

/// How often one field was broken in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The field; empty where the whole body, or a field that the contract does not know, was.
    pub field: String,
    /// The published name of the kind.
    pub kind: String,
    /// Exchanges with it.
    pub exchanges: u64,
}

/// What one worker says of one version, since its start.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The version.
    pub version: String,
    /// What was done.
    pub deeds: Deeds,
    /// What was broken.
    pub broken: Vec<Broken>,
}

/// How often each field was broken in each way.
type Ways = BTreeMap<(String, String), u64>;

/// The counts of one model.
#[derive(Debug, Default)]
pub struct Breaches {
    /// By worker and version, what was told last.
    last: HashMap<u64, HashMap<String, (Deeds, Ways)>>,
    deeds: Deeds,
    broken: Ways,
}

impl Deeds {
    fn each(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            exchanges: join(self.exchanges, other.exchanges),
            checked: join(self.checked, other.checked),
            violating: join(self.violating, other.violating),
            refused: join(self.refused, other.refused),
            tagged: join(self.tagged, other.tagged),
            diverted: join(self.diverted, other.diverted),
            would_refuse: join(self.would_refuse, other.would_refuse),
            response_violating: join(self.response_violating, other.response_violating),
        }
    }
}

impl Breaches {
    /// Takes what a worker says. Counts only grow; what a later batch overtook brings nothing.
    pub fn take(&mut self, worker: u64, told: Told) {
        // Of more workers than are remembered, nothing is known but that they are too many.
        if !self.last.contains_key(&worker) && self.last.len() == MAX_WORKERS {
            return;
        }
        let versions = self.last.entry(worker).or_default();
        let (deeds, broken) = versions.entry(told.version).or_default();
        self.deeds =
            self.deeds.each(told.deeds.each(*deeds, u64::saturating_sub), u64::saturating_add);
        *deeds = deeds.each(told.deeds, u64::max);
        for Broken { field, kind, exchanges } in told.broken {
            let key = (field, kind);
            let known = broken.contains_key(&key) && self.broken.contains_key(&key);
            if !known && broken.len().max(self.broken.len()) >= MAX_KEPT {
                continue;
            }
            let before = broken.entry(key.clone()).or_default();
            *self.broken.entry(key).or_default() += exchanges.saturating_sub(*before);
            *before = exchanges.max(*before);
        }
    }

    /// What was done with requests.
    #[must_use]
    pub fn deeds(&self) -> Deeds {
        self.deeds
    }

    /// What was broken most often, at most so many.
    #[must_use]
    pub fn most(&self, count: usize) -> Vec<Broken> {
        let broken = |((field, kind), exchanges): (&(String, String), &u64)| Broken {
            field: field.clone(),
            kind: kind.clone(),
            exchanges: *exchanges,
        };
        let mut all: Vec<Broken> = self.broken.iter().map(broken).collect();
        all.sort_by_key(|broken| std::cmp::Reverse(broken.exchanges));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(violating: u64, broken: &[(&str, u64)]) -> Told {
        let broken = broken.iter().map(|(field, exchanges)| Broken {
            field: (*field).to_owned(),
            kind: "INT_TYPE_BIG_INT".to_owned(),
            exchanges: *exchanges,
        });
        let deeds = Deeds { exchanges: 10, violating, would_refuse: violating, ..Deeds::default() };
        Told { version: "v1".to_owned(), deeds, broken: broken.collect() }
    }

    #[test]
    fn counts_of_workers_add_up_and_a_repeated_one_adds_nothing() {
        let mut breaches = Breaches::default();
        breaches.take(1, told(3, &[("age", 3)]));
        breaches.take(1, told(3, &[("age", 3)]));
        breaches.take(2, told(4, &[("age", 1), ("sex", 4)]));
        breaches.take(2, told(2, &[("sex", 2)]));
        let deeds = breaches.deeds();
        assert_eq!((deeds.exchanges, deeds.violating, deeds.would_refuse), (20, 7, 7));
        let most: Vec<_> =
            breaches.most(5).into_iter().map(|it| (it.field, it.exchanges)).collect();
        assert_eq!(most, [("age".to_owned(), 4), ("sex".to_owned(), 4)]);
        assert_eq!(breaches.most(1).len(), 1);
    }

    #[test]
    fn names_without_end_are_bounded() {
        let mut breaches = Breaches::default();
        for name in 0..3000 {
            breaches.take(1, told(1, &[(&name.to_string(), 1)]));
        }
        assert_eq!(breaches.most(usize::MAX).len(), MAX_KEPT);
    }
}
