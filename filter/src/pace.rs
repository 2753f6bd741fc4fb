//! A pace: at which share of its rate a model is sampled, so that a budget of bytes is met or a
//! collector that cannot keep up is spared. It does not know which exchanges are kept.

/// The least share: a pace that fell can be seen to rise again.
const LEAST: f64 = 1.0 / 1024.0;
/// How fast a pace rises again, for each second or answer.
const RISE: f64 = 1.25;
const SECOND_NANOS: u64 = 1_000_000_000;

/// The share, and what was spent in this second.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    share: f64,
    second_nanos: u64,
    spent: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { share: 1.0, second_nanos: 0, spent: 0 }
    }
}

impl Pace {
    /// The share of the rate, above 0 and at most 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// Spends bytes of a budget for each second; false when they are more than this second has left.
    /// After a second that asked for more than the budget the share falls to what would have met
    /// it, and after one that asked for less it rises.
    pub fn spend(&mut self, bytes: usize, budget: u32, now_nanos: u64) -> bool {
        let budget = u64::from(budget);
        if now_nanos.saturating_sub(self.second_nanos) >= SECOND_NANOS {
            #[allow(clippy::cast_precision_loss)] // a share needs no more
            if self.spent > budget {
                self.set(self.share * budget as f64 / self.spent as f64);
            } else {
                self.set(self.share * RISE);
            }
            self.second_nanos = now_nanos;
            self.spent = 0;
        }
        self.spent = self.spent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.spent <= budget
    }

    /// Takes the share that was asked for; 0, or no share at all, asks for nothing, and then it
    /// rises.
    pub fn ask(&mut self, share: f64) {
        if share > 0.0 && share <= 1.0 {
            self.set(share);
        } else {
            self.set(self.share * RISE);
        }
    }

    /// Halves the share.
    pub fn slow_down(&mut self) {
        self.set(self.share / 2.0);
    }

    fn set(&mut self, share: f64) {
        self.share = share.clamp(LEAST, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_over_its_budget_slows_the_next_and_one_below_lets_it_rise() {
        let mut pace = Pace::default();
        let spent: Vec<bool> = (0..4).map(|_| pace.spend(100, 200, SECOND_NANOS)).collect();
        assert_eq!(spent, [true, true, false, false]);
        assert!(pace.spend(10, 200, 2 * SECOND_NANOS));
        assert_eq!(pace.share(), 0.5);
        assert!(pace.spend(10, 200, 3 * SECOND_NANOS));
        assert_eq!(pace.share(), 0.625);
    }

    #[test]
    fn a_collector_is_obeyed_and_one_that_is_silent_is_spared() {
        let mut pace = Pace::default();
        pace.ask(0.25);
        assert_eq!(pace.share(), 0.25);
        pace.ask(0.0);
        assert_eq!(pace.share(), 0.3125);
        (0..50).for_each(|_| pace.slow_down());
        assert_eq!(pace.share(), LEAST);
        (0..50).for_each(|_| pace.ask(f64::NAN));
        assert_eq!(pace.share(), 1.0);
    }
}
