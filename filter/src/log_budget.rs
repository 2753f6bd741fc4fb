//! The log budget: how much the filter may say. It does not know what is said.

/// Lines that may be said at once after a silence.
const BURST: u64 = 10;
/// Nanoseconds until one more line may be said.
const REFILL_NANOS: u64 = 10_000_000_000;

/// A bucket of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBudget {
    left: u64,
    refilled_nanos: u64,
}

impl Default for LogBudget {
    fn default() -> Self {
        Self { left: BURST, refilled_nanos: 0 }
    }
}

impl LogBudget {
    /// Whether one more line may be said at this time, in nanoseconds since the epoch.
    pub fn spend(&mut self, now_nanos: u64) -> bool {
        let idle = now_nanos.saturating_sub(self.refilled_nanos);
        let gained = idle.checked_div(REFILL_NANOS).unwrap_or(0);
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(BURST);
            self.refilled_nanos = now_nanos;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_says_ten_lines_and_then_one_in_ten_seconds() {
        let mut budget = LogBudget::default();
        let start = 1_000_000_000_000;
        assert_eq!((0..1000).filter(|_| budget.spend(start)).count(), 10);
        assert!(!budget.spend(start + REFILL_NANOS - 1));
        assert!(budget.spend(start + REFILL_NANOS));
        assert!(!budget.spend(start + REFILL_NANOS + 1));
    }
}
