//! Two versions that answered the same requests: how far the new one is from the old one, and
//! whether that is within limits, said so that it holds at every look.
//!
//! The unit is the exchange, not the row: rows of one request depend on each other. Of each pair
//! count the share of rows on which the two disagree, the mean shift of the answers, which of
//! them failed, and whether the new one was slow. Bounds are confidence sequences
//! ([`crate::confidence`]); differences are two of them, of what speaks for and of what speaks
//! against. Pairs that are missing do not bias a mean as long as it is chance that took them,
//! which is why the caller knows how many there should be.
//!
//! It does not know which exchanges these were, nor what follows.

use serde::{Deserialize, Serialize};

use crate::confidence::Mean;
use crate::finding::Verdict;

/// From when on the new version is too far from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The mean share of rows on which the two may disagree, 0 to 1.
    pub disagreement: f64,
    /// How far the mean answer may move, in either direction, as a share of the answers' range, 0 to 1.
    pub shift: f64,
    /// How much more often the new version may fail, as a share of exchanges, 0 to 1.
    pub errors: f64,
    /// The share of exchanges in which the new version may be slow, 0 to 1.
    pub slow: f64,
}

/// One exchange that both answered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    /// The share of rows on which they disagree, 0 to 1; `None` where the answers cannot be compared.
    pub disagreement: Option<f64>,
    /// The mean over rows of new minus old, as a share of the answers' range, −1 to 1; `None` where
    /// the answers are no numbers.
    pub shift: Option<f64>,
    /// Whether the old version failed.
    pub old_failed: bool,
    /// Whether the new version failed.
    pub new_failed: bool,
    /// Whether the new version took too long beside the old one; `None` where one failed.
    pub slow: Option<bool>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The share of rows on which they disagree.
    Disagreement,
    /// How far the mean answer moved.
    Shift,
    /// How much more often the new version fails.
    Errors,
    /// How often the new version is slow.
    Slowness,
}

impl Quantity {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Disagreement, Self::Shift, Self::Errors, Self::Slowness];

    /// The word people and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disagreement => "disagreement",
            Self::Shift => "shift",
            Self::Errors => "errors",
            Self::Slowness => "slowness",
        }
    }
}

/// One quantity, and what is to be thought of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// What.
    pub quantity: Quantity,
    /// Pairs that say something of it.
    pub pairs: u64,
    /// Its mean so far; 0 without pairs.
    pub value: f64,
    /// Between what it lies, at all looks.
    pub interval: (f64, f64),
    /// How far it may go.
    pub limit: f64,
    /// `healthy` where it is certainly within its limit, `alarm` where it is certainly beyond,
    /// `inconclusive` until either is known.
    pub verdict: Verdict,
}

/// All pairs so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Paired {
    pairs: u64,
    disagreement: Mean,
    up: Mean,
    down: Mean,
    old_alone_failed: Mean,
    new_alone_failed: Mean,
    slow: Mean,
}

impl Paired {
    /// Takes a pair in.
    pub fn observe(&mut self, pair: Pair) {
        self.pairs += 1;
        if let Some(disagreement) = pair.disagreement {
            self.disagreement.observe(disagreement);
        }
        if let Some(shift) = pair.shift.filter(|shift| !shift.is_nan()) {
            self.up.observe(shift.max(0.0));
            self.down.observe((-shift).max(0.0));
        }
        let alone = |failed: bool, other: bool| f64::from(u8::from(failed && !other));
        self.old_alone_failed.observe(alone(pair.old_failed, pair.new_failed));
        self.new_alone_failed.observe(alone(pair.new_failed, pair.old_failed));
        if let Some(slow) = pair.slow {
            self.slow.observe(f64::from(u8::from(slow)));
        }
    }

    /// Pairs taken in.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// What is to be thought of each quantity. The chance that any of the intervals ever misses is
    /// at most `alpha`, over all looks.
    #[must_use]
    pub fn compared(&self, limits: &Limits, alpha: f64) -> [Compared; 4] {
        let alpha = alpha / Quantity::ALL.len() as f64;
        Quantity::ALL.map(|quantity| {
            let (pairs, value, interval, limit) = match quantity {
                Quantity::Disagreement => one(self.disagreement, limits.disagreement, alpha),
                Quantity::Shift => difference(self.up, self.down, limits.shift, alpha),
                Quantity::Errors => {
                    difference(self.new_alone_failed, self.old_alone_failed, limits.errors, alpha)
                }
                Quantity::Slowness => one(self.slow, limits.slow, alpha),
            };
            let (low, high) = interval;
            let within = high <= limit && (quantity != Quantity::Shift || low >= -limit);
            let beyond = low > limit || (quantity == Quantity::Shift && high < -limit);
            let verdict = match () {
                () if pairs == 0 => Verdict::Inconclusive,
                () if beyond => Verdict::Alarm,
                () if within => Verdict::Healthy,
                () => Verdict::Inconclusive,
            };
            Compared { quantity, pairs, value, interval, limit, verdict }
        })
    }
}

fn one(mean: Mean, limit: f64, alpha: f64) -> (u64, f64, (f64, f64), f64) {
    (mean.count(), mean.value().unwrap_or(0.0), mean.interval(alpha), limit)
}

/// The difference of two means, each bounded at half of the level.
fn difference(plus: Mean, minus: Mean, limit: f64, alpha: f64) -> (u64, f64, (f64, f64), f64) {
    let ((plus_low, plus_high), (minus_low, minus_high)) =
        (plus.interval(alpha / 2.0), minus.interval(alpha / 2.0));
    let value = plus.value().unwrap_or(0.0) - minus.value().unwrap_or(0.0);
    (plus.count(), value, (plus_low - minus_high, plus_high - minus_low), limit)
}

#[cfg(test)]
mod tests {
    use super::{Compared, Limits, Pair, Paired, Quantity};
    use crate::finding::Verdict;

    const LIMITS: Limits = Limits { disagreement: 0.1, shift: 0.05, errors: 0.02, slow: 0.5 };

    fn after(pairs: usize, pair: impl Fn(usize) -> Pair) -> [Compared; 4] {
        let mut paired = Paired::default();
        (0..pairs).for_each(|at| paired.observe(pair(at)));
        assert_eq!(paired.pairs(), pairs as u64);
        paired.compared(&LIMITS, 0.05)
    }

    fn verdicts(compared: &[Compared; 4]) -> [Verdict; 4] {
        compared.map(|compared| compared.verdict)
    }

    /// The same answer, as fast.
    const SAME: Pair = Pair {
        disagreement: Some(0.0),
        shift: Some(0.0),
        old_failed: false,
        new_failed: false,
        slow: Some(false),
    };

    #[test]
    fn too_few_pairs_are_inconclusive_and_enough_equal_ones_healthy() {
        assert_eq!(verdicts(&after(0, |_| SAME)), [Verdict::Inconclusive; 4]);
        assert_eq!(&verdicts(&after(20, |_| SAME))[..3], [Verdict::Inconclusive; 3]);
        assert_eq!(verdicts(&after(1000, |_| SAME)), [Verdict::Healthy; 4]);
    }

    #[test]
    fn each_quantity_has_an_alarm_of_its_own() {
        let every = |times: usize, at: usize| at.is_multiple_of(times);
        let apart = |at| Pair { disagreement: Some(f64::from(u8::from(every(4, at)))), ..SAME };
        let moved = |_| Pair { shift: Some(-0.2), ..SAME };
        let fails = |at| Pair { new_failed: every(10, at), ..SAME };
        let slow = |at| Pair { slow: Some(!every(4, at)), ..SAME };
        let told = [after(1000, apart), after(1000, moved), after(1000, fails), after(1000, slow)];
        for (at, compared) in told.iter().enumerate() {
            let mut expected = [Verdict::Healthy; 4];
            expected[at] = Verdict::Alarm;
            assert_eq!(verdicts(compared), expected, "{compared:?}");
            assert_eq!(compared[at].quantity, Quantity::ALL[at]);
        }
    }

    #[test]
    fn a_version_that_fails_where_the_old_one_fails_is_no_worse() {
        let both = |at: usize| {
            let failed = at.is_multiple_of(3);
            Pair { old_failed: failed, new_failed: failed, ..SAME }
        };
        assert_eq!(after(1000, both)[2].verdict, Verdict::Healthy);
        let better = |at: usize| Pair { old_failed: at.is_multiple_of(3), ..SAME };
        let errors = after(1000, better)[2];
        assert_eq!(errors.verdict, Verdict::Healthy);
        assert!(errors.value < -0.3 && errors.interval.1 < -0.2, "{errors:?}");
    }

    #[test]
    fn what_cannot_be_compared_is_inconclusive_for_ever() {
        let mute = |_| Pair { disagreement: None, shift: None, ..SAME };
        let verdicts = verdicts(&after(10_000, mute));
        assert_eq!(&verdicts[..2], [Verdict::Inconclusive; 2]);
        assert_eq!(&verdicts[2..], [Verdict::Healthy; 2]);
    }
}
