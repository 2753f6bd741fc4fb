//! Evidence that survives looking: a bet on every value that the reference does not hold.
//!
//! It does not know where ranks come from, nor what an alarm leads to.
//!
//! A value's rank `u` in the reference (0 to 1, the middle of a tie) has mean ½ where nothing has
//! changed, so `g = 2u − 1` has mean 0. A bettor who puts the share `λ` of what they own on
//! `g > minimum` owns `Π (1 + λ (g − minimum))`, which grows in no way that can be foreseen while
//! the mean of `g` is at most `minimum`: significance without relevance is no evidence (Waudby-Smith
//! & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024). Several `λ`
//! and both directions are mixed.
//!
//! Since nobody knows when a change begins, a little money, `1 / horizon`, is put in at every row:
//! the sum over all beginnings obeys `M ← (M + 1 / horizon) · (1 + λ (g − minimum))` (as in the
//! e-detectors of Shin, Ramdas & Rinaldo, 2023). With what has not yet been put in, `M` is a
//! nonnegative supermartingale that starts at 1, so by Ville's inequality the chance that it ever
//! reaches `1 / α` within `horizon` rows is at most `α`, however often one looks. After that,
//! [`Bettor::renew`] begins another budget; going on without spends as much in each further horizon.
//!
//! It assumes that rows, given those before, have mean rank ½: rows that depend on each other
//! (autocorrelation) break that, and must be thinned by the caller to their effective number. The
//! reference's own error in rank belongs into `minimum`: twice that of the mean rank. Only a change
//! that moves the mean rank is seen; one of spread alone is not. Values without a rank are skipped.

use serde::{Deserialize, Serialize};

/// Shares of the money that are bet, each in both directions.
const STAKES: [f64; 4] = [0.15, 0.35, 0.6, 0.9];

/// Bets on one feature. What it owns is an e-process: evidence against the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bettor {
    minimum: f64,
    horizon: f64,
    rows: u64,
    /// What each stake owns: upwards, then downwards.
    owned: [f64; 2 * STAKES.len()],
    /// The row at which each stake last began anew.
    begun: [u64; 2 * STAKES.len()],
    largest: f64,
}

/// How large what is owned can become: products must not overflow.
const RICHEST: f64 = 1e300;

impl Bettor {
    /// A bettor against `mean of g ≤ minimum` in both directions (0 to 1, clamped), whose budget
    /// lasts for `horizon` rows (at least 1).
    ///
    /// A shift by `d` standard deviations of a normal moves `g` by about `0.56 d`.
    #[must_use]
    pub fn new(minimum: f64, horizon: u64) -> Self {
        Bettor {
            minimum: if minimum.is_nan() { 1.0 } else { minimum.clamp(0.0, 1.0) },
            horizon: horizon.max(1) as f64,
            rows: 0,
            owned: [0.0; 2 * STAKES.len()],
            begun: [0; 2 * STAKES.len()],
            largest: 0.0,
        }
    }

    /// Takes in the rank of one value in the reference, 0 to 1, and returns the evidence now.
    pub fn observe(&mut self, rank: f64) -> f64 {
        if rank.is_nan() {
            return self.evidence();
        }
        let g = 2.0 * rank.clamp(0.0, 1.0) - 1.0;
        let fresh = 1.0 / self.horizon;
        for (side, g) in [g, -g].into_iter().enumerate() {
            for (index, stake) in STAKES.iter().enumerate() {
                let at = side * STAKES.len() + index;
                // A change that began earlier has earned nothing: it rather begins here.
                if self.owned[at] < fresh {
                    self.begun[at] = self.rows;
                }
                // Below 1 / (1 + minimum) no bet can lose more than there is.
                let stake = stake / (1.0 + self.minimum);
                let factor = 1.0 + stake * (g - self.minimum);
                self.owned[at] = ((self.owned[at] + fresh) * factor).min(RICHEST);
            }
        }
        self.rows += 1;
        let evidence = self.evidence();
        self.largest = self.largest.max(evidence);
        evidence
    }

    /// What is owned now, an e-value: the mean over stakes and directions.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.owned.iter().sum::<f64>() / self.owned.len() as f64
    }

    /// A p-value that is valid at every look within the horizon: one over the most ever owned.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        (1.0 / self.largest).min(1.0)
    }

    /// Whether the evidence ever reached `1 / alpha`.
    #[must_use]
    pub fn rejects(&self, alpha: f64) -> bool {
        alpha > 0.0 && self.largest >= 1.0 / alpha
    }

    /// The row, from 0, since when values seem changed: where the richest stake began anew.
    /// `None` before the first row.
    #[must_use]
    pub fn since(&self) -> Option<u64> {
        let richest =
            (0..self.owned.len()).max_by(|&a, &b| self.owned[a].total_cmp(&self.owned[b]));
        richest.filter(|_| self.rows > 0).map(|at| self.begun[at])
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Begins another budget of rows, with nothing owned.
    pub fn renew(&mut self) {
        *self = Bettor::new(self.minimum, self.horizon as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn looking_at_every_row_raises_no_more_false_alarms_than_alpha() {
        let alarms = (0..400u64).filter(|seed| {
            let (mut bettor, mut state) = (Bettor::new(0.0, 2_000), seed << 32);
            (0..2_000).for_each(|_| {
                bettor.observe(uniform(&mut state));
            });
            bettor.rejects(0.05)
        });
        assert!(alarms.count() <= 20);
    }

    #[test]
    fn a_shift_is_found_and_dated() {
        let (mut bettor, mut state) = (Bettor::new(0.02, 100_000), 5);
        (0..3_000).for_each(|_| {
            bettor.observe(uniform(&mut state));
        });
        assert!(!bettor.rejects(0.0025));
        // The larger of two uniform numbers has mean 2/3, so that g has mean 1/3.
        (0..300).for_each(|_| {
            let larger = uniform(&mut state).max(uniform(&mut state));
            bettor.observe(larger);
        });
        assert!(bettor.rejects(0.0025), "{}", bettor.evidence());
        let since = bettor.since().unwrap();
        assert!((2_900..3_100).contains(&since), "{since}");
    }

    #[test]
    fn a_change_below_the_minimum_is_no_alarm_however_many_rows_show_it() {
        let (mut bettor, mut state) = (Bettor::new(0.05, 50_000), 6);
        (0..50_000).for_each(|_| {
            bettor.observe((uniform(&mut state) + 0.01).min(1.0));
        });
        assert!(!bettor.rejects(0.05));
    }

    #[test]
    fn the_first_bets_are_those_computed_by_hand() {
        let mut bettor = Bettor::new(0.0, 1);
        // g = 1: each stake upwards owns 1 + λ, each downwards 1 − λ; the mean is 1.
        assert!((bettor.observe(1.0) - 1.0).abs() < 1e-15);
        // Then (2 + λ)(1 + λ) and (2 − λ)(1 − λ): their mean is 2 + λ², over the four stakes.
        let squares = (0.15f64.powi(2) + 0.35f64.powi(2) + 0.6f64.powi(2) + 0.9f64.powi(2)) / 4.0;
        assert!((bettor.observe(1.0) - 2.0 - squares).abs() < 1e-12);
    }

    #[test]
    fn nothing_breaks_a_bettor() {
        let mut bettor = Bettor::new(f64::NAN, 0);
        assert_eq!((bettor.since(), bettor.p_value(), bettor.rejects(0.0)), (None, 1.0, false));
        for rank in [f64::NAN, f64::INFINITY, -7.0, 0.5] {
            assert!(bettor.observe(rank).is_finite());
        }
        let mut rich = Bettor::new(0.0, 1);
        (0..5_000).for_each(|_| {
            rich.observe(1.0);
        });
        assert!(rich.evidence().is_finite() && rich.p_value() > 0.0);
        rich.renew();
        assert_eq!((rich.rows(), rich.evidence()), (0, 0.0));
    }
}
