//! Which points a tree holds: a weighted reservoir in which older points fade. It does not know
//! the points, only the leaves that hold them.
//!
//! Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006: the point of weight
//! w gets the key −ln(u)/w and the smallest keys stay. With w = exp(decay · age of the stream)
//! the order of keys is that of ln(−ln u) − decay · t, which neither overflows nor needs an update
//! when time goes on.

use serde::{Deserialize, Serialize};

use super::random::Random;

/// A held point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Held {
    key: f64,
    leaf: u16,
}

/// What comes of offering a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It stays outside.
    Refused,
    /// There is room for it.
    Room,
    /// The point in this leaf has to leave for it.
    Instead(u16),
}

/// A reservoir as a heap with the largest key on top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    capacity: usize,
    held: Vec<Held>,
}

impl Sample {
    pub(super) fn new(capacity: usize) -> Self {
        Sample { capacity, held: Vec::with_capacity(capacity) }
    }

    /// Offers a point of this age term, `decay · t`. Returns its key too.
    pub(super) fn offer(&self, age: f64, random: &mut Random) -> (Offer, f64) {
        // −ln u > 0 except where u = 1, and there the smallest key is right.
        let key = (-random.positive().ln()).max(f64::MIN_POSITIVE).ln() - age;
        let offer = match self.held.first() {
            _ if self.held.len() < self.capacity => Offer::Room,
            Some(top) if key < top.key => Offer::Instead(top.leaf),
            _ => Offer::Refused,
        };
        (offer, key)
    }

    /// Takes in what was offered, in place of the largest key where there is no room.
    pub(super) fn hold(&mut self, key: f64, leaf: u16) {
        let held = Held { key, leaf };
        if self.held.len() < self.capacity {
            self.held.push(held);
            let mut at = self.held.len() - 1;
            while at > 0 && self.held[at].key > self.held[(at - 1) / 2].key {
                self.held.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
            return;
        }
        self.held[0] = held;
        let mut at = 0;
        loop {
            let mut largest = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.held.len() && self.held[child].key > self.held[largest].key {
                    largest = child;
                }
            }
            if largest == at {
                break;
            }
            self.held.swap(at, largest);
            at = largest;
        }
    }

    /// Leaves held, each as often as it is held.
    pub(super) fn leaves(&self) -> impl Iterator<Item = u16> {
        self.held.iter().map(|held| held.leaf)
    }

    /// Whether this is a heap of finite keys that fits its capacity.
    pub(super) fn is_sound(&self) -> bool {
        self.held.len() <= self.capacity
            && self.held.iter().all(|held| held.key.is_finite())
            && (1..self.held.len()).all(|at| self.held[at].key <= self.held[(at - 1) / 2].key)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the held points came in the last tenth of a stream.
    fn young(decay: f64) -> usize {
        let mut random = Random::seeded(1);
        let mut sample = Sample::new(100);
        for time in 0..10_000u16 {
            let (offer, key) = sample.offer(decay * f64::from(time), &mut random);
            if offer != Offer::Refused {
                sample.hold(key, time);
            }
        }
        assert!(sample.is_sound());
        sample.leaves().filter(|&time| time >= 9_000).count()
    }

    #[test]
    fn without_decay_every_age_is_held_alike() {
        let young = young(0.0);
        assert!((2..=22).contains(&young), "{young}");
    }

    #[test]
    fn with_decay_the_young_prevail() {
        // Weights fall by e every 1,000 points: the last tenth has 1 − 1/e of the weight.
        let young = young(0.001);
        assert!((45..=80).contains(&young), "{young}");
    }
}
