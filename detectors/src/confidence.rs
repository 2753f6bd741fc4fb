//! Between what the mean of values from 0 to 1 lies, said so that it holds at every look.
//!
//! For a mean `p` that is supposed, the bets `Π (q/p)^x ((1 − q)/(1 − p))^(1 − x)`, mixed over `q` by
//! Jeffreys' prior, own
//!
//! `M(p) = B(½ + s, ½ + f) / B(½, ½) / (p^s (1 − p)^f)`, where `s = Σ x` and `f = Σ (1 − x)`.
//!
//! Where the values are 0 or 1 with mean `p`, given those before, `M(p)` is a martingale; where they
//! lie between, a supermartingale, because `a^x b^(1 − x) ≤ a x + b (1 − x)`. By Ville's inequality it
//! reaches `1 / α` with a chance of at most `α`, ever; so all `p` with `M(p) < 1 / α` hold the mean at
//! every look at once (Robbins, "Statistical methods related to the law of the iterated logarithm",
//! Ann. Math. Stat. 41, 1970; Howard, Ramdas, McAuliffe & Sekhon, Ann. Stat. 49, 2021). Sharp near
//! 0 and 1; between, wide where the values vary less than coins.
//!
//! It does not know what the values are, and assumes that they do not depend on each other.

use serde::{Deserialize, Serialize};

use crate::gamma::ln_gamma;

/// Jeffreys' prior: what is mixed over before anything is seen.
const PRIOR: f64 = 0.5;
/// Halvings of an interval, after which a double does not get better.
const HALVINGS: usize = 60;

/// A mean of values from 0 to 1, by its sum. Means of parts add up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    /// Takes a value in, 0 to 1 (clamped); NaN is passed over.
    pub fn observe(&mut self, value: f64) {
        if !value.is_nan() {
            self.sum += value.clamp(0.0, 1.0);
            self.count += 1.0;
        }
    }

    /// Takes all values of another.
    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Values taken in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count as u64
    }

    /// Their mean; `None` without any.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// Between what the true mean lies, with a confidence of `1 − alpha` at all looks together.
    /// Without values, or where `alpha` is not between 0 and 1, everything: (0, 1).
    #[must_use]
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let Some(mean) = self.value() else { return (0.0, 1.0) };
        if !(alpha > 0.0 && alpha < 1.0) {
            return (0.0, 1.0);
        }
        let enough = -alpha.ln();
        let evidence = self.evidence();
        let held = |p: f64| evidence(p) < enough;
        // The evidence falls towards the mean and rises behind it.
        let edge = |mut outside: f64, mut inside: f64| {
            if held(outside) {
                return outside;
            }
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(outside, inside);
                if held(middle) { inside = middle } else { outside = middle }
            }
            outside
        };
        (edge(0.0, mean), edge(1.0, mean))
    }

    /// The logarithm of the evidence against a mean `p`: `ln M(p)`.
    fn evidence(&self) -> impl Fn(f64) -> f64 {
        let (s, f) = (self.sum, (self.count - self.sum).max(0.0));
        let beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
        // The same for every p, of which an interval asks about a hundred.
        let mixed = beta(PRIOR + s, PRIOR + f) - beta(PRIOR, PRIOR);
        // 0 · ln 0 is 0: nothing was bet on what did not happen.
        let weighed = |times: f64, p: f64| if times > 0.0 { times * p.ln() } else { 0.0 };
        move |p| mixed - (weighed(s, p) + weighed(f, 1.0 - p))
    }
}

#[cfg(test)]
mod tests {
    use super::Mean;

    /// SplitMix64 (Steele, Lea & Flood, 2014), as numbers in [0, 1).
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut hash = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((hash ^ (hash >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn of(ones: usize, zeros: usize) -> Mean {
        let mut mean = Mean::default();
        (0..ones).for_each(|_| mean.observe(1.0));
        (0..zeros).for_each(|_| mean.observe(0.0));
        mean
    }

    #[test]
    fn the_evidence_is_the_integral_over_the_prior() {
        // By hand: ∫ q^3 (1 − q)^2 / (π √(q (1 − q))) dq / (p^3 (1 − p)^2), on a fine grid in the angle.
        let p: f64 = 0.2;
        let grid = 100_000;
        let mixed: f64 = (0..grid)
            .map(|at| {
                let angle = (f64::from(at) + 0.5) / f64::from(grid) * std::f64::consts::FRAC_PI_2;
                let q = angle.sin().powi(2);
                q.powi(3) * (1.0 - q).powi(2) / f64::from(grid)
            })
            .sum();
        let expected = (mixed / (p.powi(3) * (1.0 - p).powi(2))).ln();
        assert!((of(3, 2).evidence()(p) - expected).abs() < 1e-9);
    }

    #[test]
    fn nothing_seen_says_nothing_and_nothing_found_is_near_nothing() {
        assert_eq!(Mean::default().interval(0.05), (0.0, 1.0));
        assert_eq!(of(1, 1).interval(f64::NAN), (0.0, 1.0));
        assert_eq!(of(1, 1).interval(0.0), (0.0, 1.0));
        let (low, high) = of(0, 1000).interval(0.05);
        assert_eq!(low, 0.0);
        assert!(high > 0.003 && high < 0.009, "{high}");
        let (low, high) = of(1000, 0).interval(0.05);
        assert_eq!(high, 1.0);
        assert!(low > 0.991 && low < 0.997, "{low}");
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let mut parts = of(3, 40);
        parts.add(of(2, 5));
        assert_eq!(parts, of(5, 45));
        let mut odd = of(1, 1);
        odd.observe(f64::NAN);
        odd.observe(7.0);
        assert_eq!(odd, of(2, 1));
    }

    #[test]
    fn the_mean_is_inside_at_all_looks_of_19_streams_in_20() {
        for (p, spread) in [(0.5, 0.5), (0.03, 0.03), (0.5, 0.1)] {
            let mut missed = 0;
            for stream in 0..400 {
                let mut dice = Dice(stream);
                let mut mean = Mean::default();
                let mut left = false;
                for look in 1..=600 {
                    // Two values with mean p: coins, or closer together.
                    let low = p - spread;
                    let high = if spread == p && p < 0.5 { 1.0 } else { p + spread };
                    let chance = (p - low) / (high - low);
                    mean.observe(if dice.roll() < chance { high } else { low });
                    if look % 5 == 0 {
                        let (from, to) = mean.interval(0.05);
                        left |= p < from || p > to;
                    }
                }
                missed += usize::from(left);
            }
            // Four standard deviations above a twentieth of 400.
            assert!(missed <= 37, "{missed} of 400 at {p} ± {spread}");
        }
    }
}
