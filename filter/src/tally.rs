//! Tallies: counts for each model and version since the worker's VM started. They only grow, so a
//! lost batch loses no count. They do not know how they are shipped.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_proto::intake::v1::{self as wire, Tally};

/// Models and versions counted apart. Names come from configuration, so only very many pushes
/// with ever new names come near it; then new names are counted under an empty one.
const MAX_KEYS: usize = 1024;

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The model's name.
    pub model: Arc<str>,
    /// The version that answered; empty where none was asked.
    pub version: Arc<str>,
}

/// The counts of one key, with the meanings of the wire's `Tally`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Counts {
    pub exchanges: u64,
    pub sampled: u64,
    pub dropped: u64,
    pub checked: u64,
    pub violating: u64,
    pub refused: u64,
    pub blocked: u64,
    pub unreadable: u64,
    pub failed: u64,
    pub tagged: u64,
    pub diverted: u64,
    pub would_refuse: u64,
    pub response_violating: u64,
    /// Meant for another version, and not held back long enough to be sent there. Operators see it; it
    /// does not travel.
    pub undiverted: u64,
}

impl Counts {
    fn each(&mut self, other: &Self, change: fn(u64, u64) -> u64) {
        for (mine, theirs) in [
            (&mut self.exchanges, other.exchanges),
            (&mut self.sampled, other.sampled),
            (&mut self.dropped, other.dropped),
            (&mut self.checked, other.checked),
            (&mut self.violating, other.violating),
            (&mut self.refused, other.refused),
            (&mut self.blocked, other.blocked),
            (&mut self.unreadable, other.unreadable),
            (&mut self.failed, other.failed),
            (&mut self.tagged, other.tagged),
            (&mut self.diverted, other.diverted),
            (&mut self.would_refuse, other.would_refuse),
            (&mut self.response_violating, other.response_violating),
            (&mut self.undiverted, other.undiverted),
        ] {
            *mine = change(*mine, theirs);
        }
    }

    /// What has been added since `earlier`.
    pub fn since(mut self, earlier: &Self) -> Self {
        self.each(earlier, u64::saturating_sub);
        self
    }
}

/// Ways of breaking fields counted apart, for each key.
const MAX_BREACHES: usize = 64;

/// A way in which a request broke its contract: the field, empty where it is none of the
/// contract's, and the published name of the kind.
pub type Breach = (Box<str>, &'static str);

fn breaches(counts: &BTreeMap<Breach, u64>) -> Vec<wire::Breach> {
    let wire = |((field, kind), exchanges): (&Breach, &u64)| wire::Breach {
        field: field.to_string(),
        kind: (*kind).to_owned(),
        exchanges: *exchanges,
    };
    counts.iter().map(wire).collect()
}

/// All counts of one worker.
#[derive(Debug, Default)]
pub struct Tallies {
    counts: BTreeMap<Key, Counts>,
    breaches: BTreeMap<Key, BTreeMap<Breach, u64>>,
    total: Counts,
    changed: bool,
}

impl Tallies {
    /// Adds to the counts of one key.
    pub fn add(&mut self, key: &Key, counts: &Counts) {
        self.total.each(counts, u64::saturating_add);
        self.changed = true;
        let known = self.counts.contains_key(key) || self.counts.len() < MAX_KEYS;
        let key = if known { key.clone() } else { Key { model: "".into(), version: "".into() } };
        self.counts.entry(key).or_default().each(counts, u64::saturating_add);
    }

    /// Counts the ways in which one exchange broke its contract. Past the bound new ones are left
    /// out; the exchange itself is counted by [`Tallies::add`].
    pub fn add_breaches(&mut self, key: &Key, breaches: Vec<Breach>) {
        if breaches.is_empty() || !self.counts.contains_key(key) {
            return;
        }
        let counts = self.breaches.entry(key.clone()).or_default();
        for breach in breaches {
            if let Some(count) = counts.get_mut(&breach) {
                *count = count.saturating_add(1);
            } else if counts.len() < MAX_BREACHES {
                counts.insert(breach, 1);
            }
        }
    }

    /// The sum over all keys.
    pub fn total(&self) -> Counts {
        self.total
    }

    /// Whether anything changed since [`Tallies::shipped`].
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Says that the counts as they stand are on their way.
    pub fn shipped(&mut self) {
        self.changed = false;
    }

    /// Says that the counts did not arrive and must go again.
    pub fn not_delivered(&mut self) {
        self.changed = !self.counts.is_empty();
    }

    /// The counts as they go over the wire.
    pub fn to_wire(&self) -> Vec<Tally> {
        self.counts
            .iter()
            .map(|(key, counts)| Tally {
                model: key.model.to_string(),
                version: key.version.to_string(),
                exchanges: counts.exchanges,
                sampled: counts.sampled,
                dropped: counts.dropped,
                checked: counts.checked,
                violating: counts.violating,
                refused: counts.refused,
                blocked: counts.blocked,
                unreadable: counts.unreadable,
                failed: counts.failed,
                tagged: counts.tagged,
                diverted: counts.diverted,
                would_refuse: counts.would_refuse,
                response_violating: counts.response_violating,
                breaches: self.breaches.get(key).map(breaches).unwrap_or_default(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(model: &str, version: &str) -> Key {
        Key { model: model.into(), version: version.into() }
    }

    const ONE: Counts = Counts {
        exchanges: 1,
        sampled: 0,
        dropped: 0,
        checked: 0,
        violating: 0,
        refused: 0,
        blocked: 0,
        unreadable: 0,
        failed: 0,
        tagged: 0,
        diverted: 0,
        would_refuse: 0,
        response_violating: 0,
        undiverted: 0,
    };

    #[test]
    fn counts_of_a_version_grow_apart_from_those_of_another() {
        let mut tallies = Tallies::default();
        tallies.add(&key("m", "v1"), &ONE);
        tallies.add(&key("m", "v1"), &Counts { failed: 1, ..ONE });
        tallies.add(&key("m", "v2"), &ONE);
        let wire: Vec<_> = tallies
            .to_wire()
            .into_iter()
            .map(|tally| (tally.version, tally.exchanges, tally.failed))
            .collect();
        assert_eq!(wire, [("v1".to_owned(), 2, 1), ("v2".to_owned(), 1, 0)]);
        assert_eq!(tallies.total().exchanges, 3);
    }

    #[test]
    fn undelivered_counts_go_again() {
        let mut tallies = Tallies::default();
        tallies.not_delivered();
        assert!(!tallies.changed());
        tallies.add(&key("m", "v1"), &ONE);
        assert!(tallies.changed());
        tallies.shipped();
        assert!(!tallies.changed());
        tallies.not_delivered();
        assert!(tallies.changed());
    }

    #[test]
    fn names_without_end_are_counted_together() {
        let mut tallies = Tallies::default();
        for n in 0..5000 {
            tallies.add(&key(&n.to_string(), ""), &ONE);
        }
        assert!(tallies.to_wire().len() <= MAX_KEYS + 1);
        assert_eq!(tallies.to_wire().iter().map(|tally| tally.exchanges).sum::<u64>(), 5000);
    }
}
