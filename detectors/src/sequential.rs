//! Evidence that survives looking: bets on values that the reference does not hold.
//!
//! It does not know where scores come from, nor what an alarm leads to.
//!
//! A score `x` (0 to 1: a rank in the reference, or whether something happened) has a mean between
//! `low` and `high` where nothing has changed. A bettor who puts the share `s` of what they own on
//! a higher mean owns `Π (1 + s · (x − high) / high)`, which grows in no way that can be foreseen
//! while the mean is at most `high`; one on a lower mean owns `Π (1 + s · (low − x) / (1 − low))`
//! (Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024).
//! Several `s` and both directions are mixed.
//!
//! Since nobody knows when a change begins, money is put in all the time: the share of the period,
//! a month say, that has passed since the last bet. The sum over all beginnings obeys
//! `M ← (M + share) · factor` (the e-detectors of Shin, Ramdas & Rinaldo, 2023), so that
//! `M − periods passed` is a supermartingale, and by Doob's inequality the chance that `M` reaches
//! `1 / α` within `k` periods is at most `k · α`, however often one looks.
//!
//! It assumes that rows, given those before, have the mean of the reference: rows that depend on
//! each other (autocorrelation) break that, and must be thinned by the caller to their effective
//! number. The reference's own error belongs between `low` and `high`.

use serde::{Deserialize, Serialize};

/// Shares of the money that are bet on ranks.
const ON_RANKS: [f64; STAKES] = [0.15, 0.35, 0.6, 0.9];
/// Shares of the money that are bet on rates, which may be small and change little.
const ON_RATES: [f64; STAKES] = [0.01, 0.05, 0.2, 0.6];
const STAKES: usize = 4;

/// Nothing owned grows past this many times what is enough: products do not overflow, and what is
/// well again is seen to be soon.
const RICHEST: f64 = 100.0;
/// No bet is on a mean closer to impossible, or to certain, than this.
const LEAST_MEAN: f64 = 1e-6;

/// What is owned by the bets on one score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bettor {
    low: f64,
    high: f64,
    stakes: [f64; STAKES],
    richest: f64,
    /// What each stake owns: upwards, then downwards.
    owned: [f64; 2 * STAKES],
    /// What each stake won since it last had nothing: the largest dates the change (Page,
    /// "Continuous inspection schemes", Biometrika 41, 1954).
    won: [f64; 2 * STAKES],
    /// When that was.
    begun: [i64; 2 * STAKES],
    now: i64,
}

impl Bettor {
    /// A bettor on ranks, whose mean is ½ where nothing has changed, give or take `tolerance`
    /// (0 to ½, clamped). `enough` is the evidence at which nobody reads on, `1 / α`.
    ///
    /// A shift by `d` standard deviations of a normal moves the mean rank by about `0.28 d`.
    #[must_use]
    pub fn on_ranks(tolerance: f64, enough: f64) -> Self {
        let tolerance = if tolerance.is_nan() { 0.5 } else { tolerance.clamp(0.0, 0.5) };
        Self::new(0.5 - tolerance, 0.5 + tolerance, ON_RANKS, enough)
    }

    /// A bettor on how often something happens: between `low` and `high` of the times where nothing
    /// has changed (0 to 1, clamped; NaN is everything).
    #[must_use]
    pub fn on_rate(low: f64, high: f64, enough: f64) -> Self {
        let low = if low.is_nan() { 0.0 } else { low };
        let high = if high.is_nan() { 1.0 } else { high };
        Self::new(low, high, ON_RATES, enough)
    }

    fn new(low: f64, high: f64, stakes: [f64; STAKES], enough: f64) -> Self {
        let low = low.clamp(0.0, 1.0 - LEAST_MEAN);
        let high = high.clamp(low.max(LEAST_MEAN), 1.0);
        Self {
            low,
            high,
            stakes,
            richest: if enough >= 1.0 { RICHEST * enough.min(1e100) } else { RICHEST },
            owned: [0.0; 2 * STAKES],
            won: [1.0; 2 * STAKES],
            begun: [0; 2 * STAKES],
            now: 0,
        }
    }

    /// From now on scores are held against what `other` is against. What is owned stays: each bet is fair
    /// against the mean of its own time, so their product is too.
    pub fn turn(&mut self, other: &Bettor) {
        (self.low, self.high) = (other.low, other.high);
    }

    /// Puts in `share` of a period's money (at least 0), at the time `now`, before the next bets.
    pub fn put_in(&mut self, share: f64, now: i64) {
        self.now = now;
        let share = if share > 0.0 { share } else { return };
        self.owned.iter_mut().for_each(|owned| *owned += share);
    }

    /// Takes in one score, 0 to 1 (clamped); NaN is passed over.
    pub fn observe(&mut self, score: f64) {
        if !score.is_nan() {
            self.bet(self.factors_at(score));
        }
    }

    /// Takes in the same score so many times in a row: what as many calls of [`Bettor::observe`] do, but
    /// for rounding.
    pub fn observe_times(&mut self, score: f64, times: u64) {
        if score.is_nan() || times == 0 {
            return;
        }
        let (factors, again) = (self.factors_at(score), times - 1);
        self.bet(factors);
        if again == 0 {
            return;
        }
        for (at, factor) in factors.into_iter().enumerate() {
            // What is won goes one way, so that it meets one of its bounds, if any, and stays there.
            let before_last = self.won[at] * power(factor, again - 1);
            if self.won[at] <= 1.0 || before_last <= 1.0 {
                self.begun[at] = self.now;
            }
            self.won[at] = (before_last * factor).clamp(1.0, self.richest);
            self.owned[at] = (self.owned[at] * power(factor, again)).min(self.richest);
        }
    }

    /// What each stake is multiplied by at a score that is not NaN.
    fn factors_at(&self, score: f64) -> [f64; 2 * STAKES] {
        let score = score.clamp(0.0, 1.0);
        let up = (score - self.high) / self.high;
        let down = (self.low - score) / (1.0 - self.low);
        self.factors(up, down)
    }

    /// The same, where a bet of everything upwards wins `up` and one downwards `down`.
    fn factors(&self, up: f64, down: f64) -> [f64; 2 * STAKES] {
        std::array::from_fn(|at| {
            1.0 + self.stakes[at % STAKES] * if at < STAKES { up } else { down }
        })
    }

    /// Takes in whether something happened whose mean is now at most `high` where nothing has
    /// changed, whatever it was before: a bet upwards only.
    pub fn observe_at_most(&mut self, happened: bool, high: f64) {
        let high = high.clamp(LEAST_MEAN, 1.0);
        let up = if happened { (1.0 - high) / high } else { -1.0 };
        self.bet(self.factors(up, 0.0));
    }

    /// Takes in how often something happened, and how often not, in no order.
    pub fn observe_rate(&mut self, happened: u64, not: u64) {
        let (happened, not) = (happened as f64, not as f64);
        let (up, down) = ((1.0 - self.high) / self.high, self.low / (1.0 - self.low));
        let won = |stake: f64, with: f64, without: f64| {
            (happened * (stake * with).ln_1p() + not * (stake * without).ln_1p())
                .exp()
                .min(f64::MAX)
        };
        self.bet(std::array::from_fn(|at| {
            let stake = self.stakes[at % STAKES];
            if at < STAKES { won(stake, up, -1.0) } else { won(stake, -1.0, down) }
        }));
    }

    /// Multiplies what each stake owns and won.
    #[inline]
    fn bet(&mut self, factors: [f64; 2 * STAKES]) {
        // Lane by lane without a branch or a call, so that several go through the processor at once;
        // nothing here is NaN.
        let least = |a: f64, b: f64| if a < b { a } else { b };
        let most = |a: f64, b: f64| if a > b { a } else { b };
        for (at, factor) in factors.into_iter().enumerate() {
            let won = self.won[at];
            self.begun[at] = if won <= 1.0 { self.now } else { self.begun[at] };
            self.won[at] = least(most(won * factor, 1.0), self.richest);
            self.owned[at] = least(self.owned[at] * factor, self.richest);
        }
    }

    /// What is owned now: the mean over stakes and directions. `1 / α` of it is an alarm at α.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.owned.iter().sum::<f64>() / self.owned.len() as f64
    }

    /// Since when values seem changed: when the stake that won most began to win.
    #[must_use]
    pub fn since(&self) -> i64 {
        // Of equals the last: the larger a stake, the sharper it dates.
        let most = (0..self.won.len()).max_by(|&a, &b| self.won[a].total_cmp(&self.won[b]));
        most.map_or(0, |at| self.begun[at])
    }
}

/// `base` to the power of `exponent`, at most the largest number there is.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut base, mut left, mut power) = (base, exponent, 1.0);
    while left > 0 {
        if left & 1 == 1 {
            power *= base;
        }
        base *= base;
        left >>= 1;
    }
    power.min(f64::MAX)
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

    /// Feeds `rows` scores at a share of `1 / period` each, and says whether `enough` was reached.
    fn reaches(
        bettor: &mut Bettor,
        enough: f64,
        period: u32,
        rows: std::ops::Range<i64>,
        mut score: impl FnMut() -> f64,
    ) -> bool {
        let mut reached = false;
        for row in rows {
            bettor.put_in(1.0 / f64::from(period), row);
            bettor.observe(score());
            reached |= bettor.evidence() >= enough;
        }
        reached
    }

    #[test]
    fn looking_at_every_row_raises_no_more_false_alarms_than_alpha() {
        let alarms = (0..400u64).filter(|seed| {
            let mut state = seed << 32;
            let mut ranks = Bettor::on_ranks(0.0, 20.0);
            let mut rate = Bettor::on_rate(0.03, 0.03, 20.0);
            let on_ranks = reaches(&mut ranks, 20.0, 2_000, 0..2_000, || uniform(&mut state));
            let happens = || f64::from(u8::from(uniform(&mut state) < 0.03));
            on_ranks || reaches(&mut rate, 20.0, 2_000, 0..2_000, happens)
        });
        let alarms = alarms.count();
        assert!(alarms <= 40, "{alarms} of 400 for two bettors at .05");
    }

    #[test]
    fn a_shift_is_found_and_dated() {
        let (mut bettor, mut state) = (Bettor::on_ranks(0.01, 400.0), 5);
        assert!(!reaches(&mut bettor, 400.0, 100_000, 0..3_000, || uniform(&mut state)));
        // The larger of two uniform numbers has mean 2/3.
        let larger = || uniform(&mut state).max(uniform(&mut state));
        assert!(reaches(&mut bettor, 400.0, 100_000, 3_000..3_300, larger));
        assert!((2_900..3_100).contains(&bettor.since()), "{}", bettor.since());
    }

    #[test]
    fn what_never_happened_is_noticed_when_it_does_and_forgotten_when_it_stops() {
        let mut bettor = Bettor::on_rate(0.0, 0.001, 100.0);
        bettor.put_in(1e-6, 7);
        bettor.observe_rate(0, 1_000);
        assert!(bettor.evidence() < 1e-6);
        bettor.put_in(1e-6, 8);
        bettor.observe_rate(20, 80);
        assert!(bettor.evidence() >= 100.0, "{}", bettor.evidence());
        assert_eq!(bettor.since(), 8);
        bettor.observe_rate(0, 2_000);
        assert!(bettor.evidence() < 1.0, "{}", bettor.evidence());
    }

    #[test]
    fn a_change_within_the_tolerance_is_no_alarm_however_many_rows_show_it() {
        let (mut bettor, mut state) = (Bettor::on_ranks(0.025, 20.0), 6);
        let little = || (uniform(&mut state) + 0.01).min(1.0);
        assert!(!reaches(&mut bettor, 20.0, 50_000, 0..50_000, little));
    }

    #[test]
    fn the_first_bets_are_those_computed_by_hand() {
        let mut bettor = Bettor::on_ranks(0.0, 1e6);
        // A score of 1: each stake upwards owns 1 + s, each downwards 1 − s; the mean is 1.
        bettor.put_in(1.0, 0);
        bettor.observe(1.0);
        assert!((bettor.evidence() - 1.0).abs() < 1e-15);
        // Then (2 + s)(1 + s) and (2 − s)(1 − s): their mean is 2 + s², over the four stakes.
        bettor.put_in(1.0, 0);
        bettor.observe(1.0);
        let squares = ON_RANKS.iter().map(|stake| stake * stake).sum::<f64>() / 4.0;
        assert!((bettor.evidence() - 2.0 - squares).abs() < 1e-12);
    }

    #[test]
    fn the_same_score_many_times_is_what_it_is_once_and_again() {
        for score in [0.0, 0.4, 0.5, 0.6, 1.0] {
            for (times, begins) in [(1, 3.0), (2, 0.0), (7, 1e-3), (50, 0.5), (3_000, 1.0)] {
                let (mut at_once, mut apart) =
                    (Bettor::on_ranks(0.05, 50.0), Bettor::on_ranks(0.05, 50.0));
                for bettor in [&mut at_once, &mut apart] {
                    bettor.put_in(begins, 1);
                    // Some stakes have won, and some have nothing.
                    [0.9, 0.95, 0.2, 0.8].into_iter().for_each(|score| bettor.observe(score));
                    bettor.put_in(begins, 2);
                }
                at_once.observe_times(score, times);
                (0..times).for_each(|_| apart.observe(score));
                assert_eq!(at_once.begun, apart.begun, "{score} {times}");
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs() + 1e-300;
                let both = at_once.won.iter().zip(&apart.won);
                assert!(both.clone().all(|(a, b)| near(*a, *b)), "{score} {times}");
                let both = at_once.owned.iter().zip(&apart.owned);
                assert!(both.clone().all(|(a, b)| near(*a, *b)), "{score} {times}");
            }
        }
        let mut bettor = Bettor::on_rate(0.0, 0.0, f64::INFINITY);
        bettor.put_in(1.0, 0);
        for score in [f64::NAN, 1.0, 0.0] {
            bettor.observe_times(score, u64::MAX);
            assert!(bettor.evidence().is_finite() && bettor.evidence() >= 0.0);
        }
    }

    #[test]
    fn counts_in_no_order_are_worth_what_they_are_in_one() {
        let (mut together, mut apart) =
            (Bettor::on_rate(0.1, 0.2, 1e9), Bettor::on_rate(0.1, 0.2, 1e9));
        together.put_in(1.0, 0);
        apart.put_in(1.0, 0);
        together.observe_rate(2, 3);
        [1.0, 0.0, 0.0, 1.0, 0.0].into_iter().for_each(|score| apart.observe(score));
        assert!((together.evidence() - apart.evidence()).abs() < 1e-12);
    }

    #[test]
    fn nothing_breaks_a_bettor() {
        for mut bettor in [
            Bettor::on_ranks(f64::NAN, f64::NAN),
            Bettor::on_rate(f64::NAN, f64::NAN, 0.0),
            Bettor::on_rate(2.0, -1.0, f64::INFINITY),
            Bettor::on_rate(0.0, 0.0, 10.0),
        ] {
            bettor.put_in(f64::NAN, 0);
            bettor.put_in(1.0, 0);
            for score in [f64::NAN, f64::INFINITY, -7.0, 0.5, 1.0, 0.0] {
                bettor.observe(score);
                assert!(bettor.evidence().is_finite() && bettor.evidence() >= 0.0);
            }
            bettor.observe_rate(u64::MAX, u64::MAX);
            assert!(bettor.evidence().is_finite() && bettor.evidence() >= 0.0);
        }
    }
}
