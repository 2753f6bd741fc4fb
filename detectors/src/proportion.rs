//! Two rates compared: Fisher's exact test.
//!
//! It does not know what is counted: nulls, contract violations, or anything else that a row
//! either has or has not.

use crate::gamma::{ln_gamma, upper_regularised};

/// Trials above which the χ² test takes over: there the logarithms of factorials have lost too
/// many digits, and the two tests agree far better than that.
const EXACT_UP_TO: u64 = 1_000_000_000;

/// Two tables this close in probability count as equally likely (the tolerance of R's
/// `fisher.test`; rounding must not decide which tables are "as extreme").
const TIE: f64 = 1e-7;

/// How many of how many. More hits than trials count as all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    hits: u64,
    of: u64,
}

impl Rate {
    /// `hits` of `of`.
    #[must_use]
    pub fn new(hits: u64, of: u64) -> Self {
        Rate { hits: hits.min(of), of }
    }

    /// The rate, 0 to 1; 0 of 0 is 0.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// The number of hits.
    #[must_use]
    pub fn hits(self) -> u64 {
        self.hits
    }

    /// The number of trials.
    #[must_use]
    pub fn of(self) -> u64 {
        self.of
    }
}

/// What a comparison of two rates says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Rate of the window less that of the reference, −1 to 1; 0 where one of them has no trials.
    pub difference: f64,
    /// Probability of a table at most as likely as this one, if both rates are the same.
    pub p_value: f64,
}

/// Compares the rate of a window with that of the reference, two-sided.
#[must_use]
pub fn compare(reference: Rate, window: Rate) -> Comparison {
    if reference.of == 0 || window.of == 0 {
        return Comparison { difference: 0.0, p_value: 1.0 };
    }
    let p_value = match reference.of.checked_add(window.of) {
        Some(trials) if trials <= EXACT_UP_TO => fisher(reference, window),
        _ => chi_squared(reference, window),
    };
    Comparison { difference: window.share() - reference.share(), p_value }
}

/// The smallest change of the reference's rate, away from its nearer end, that a window of `trials`
/// could have shown at level `alpha`: a rise up to a rate of one half, else a fall; 0 to 1, and
/// 1 where it could have shown none.
///
/// That way there is the most room, and a change is the hardest to tell from chance: the other way
/// the rate itself is the most that could change. Near an end that is less than the smallest
/// change a small window can show, though nothing that matters is hidden there.
#[must_use]
pub fn detectable(reference: Rate, trials: u64, alpha: f64) -> f64 {
    if reference.share() > 0.5 {
        // The misses rise as the hits fall.
        rise(Rate { hits: reference.of - reference.hits, of: reference.of }, trials, alpha)
    } else {
        rise(reference, trials, alpha)
    }
}

/// The smallest rise that a window could have shown; 1 where it could have shown none.
fn rise(reference: Rate, trials: u64, alpha: f64) -> f64 {
    let significant = |hits: u64| compare(reference, Rate::new(hits, trials)).p_value <= alpha;
    let (mut low, mut high) = ((reference.share() * trials as f64).ceil() as u64, trials);
    if trials == 0 || !significant(high) {
        return 1.0;
    }
    // Above the expected count p only falls as hits are added.
    while low < high {
        let middle = low + (high - low) / 2;
        if significant(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    (Rate::new(high, trials).share() - reference.share()).max(0.0)
}

/// Fisher's exact test (The Design of Experiments, 1935): given both margins, the hits in the
/// window are hypergeometric; p sums all counts at most as likely as the one seen.
///
/// P(k) = C(K, k)·C(N − K, n − k) / C(N, n), with N trials and K hits in both and n trials in
/// the window. Each tail is summed outwards from its largest term, until terms vanish.
fn fisher(reference: Rate, window: Rate) -> f64 {
    let (all, hits, drawn) = (reference.of + window.of, reference.hits + window.hits, window.of);
    let seen = window.hits;
    let (least, most) = ((drawn + hits).saturating_sub(all), drawn.min(hits));
    let misses = all - hits;
    let ln_p = |k: u64| ln_choose(hits, k) + ln_choose(misses, drawn - k) - ln_choose(all, drawn);
    let mode = ((u128::from(drawn + 1) * u128::from(hits + 1)) / u128::from(all + 2)) as u64;
    let mode = mode.clamp(least, most);
    let as_unlikely = |k: u64| ln_p(k) <= ln_p(seen) + TIE;
    // P(k + 1) / P(k)
    let rise = |k: u64| {
        (hits - k) as f64 * (drawn - k) as f64 / ((k + 1) as f64 * (misses + k + 1 - drawn) as f64)
    };
    let lower_tail =
        |from: u64| sum_tail(ln_p(from).exp(), (least..from).rev().map(|k| 1.0 / rise(k)));
    let upper_tail = |from: u64| sum_tail(ln_p(from).exp(), (from..most).map(rise));
    let p = if seen <= mode {
        let above = first(mode.max(seen + 1), most + 1, as_unlikely);
        lower_tail(seen) + if above <= most { upper_tail(above) } else { 0.0 }
    } else {
        let likely_from = first(least, mode + 1, |k| !as_unlikely(k));
        upper_tail(seen) + if likely_from > least { lower_tail(likely_from - 1) } else { 0.0 }
    };
    p.min(1.0)
}

/// The first of `from..end` for which `holds`, which must stay true once it is; else `end`.
fn first(from: u64, end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (from, end.max(from));
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn sum_tail(first: f64, ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut term, mut sum) = (first, first);
    for ratio in ratios {
        term *= ratio;
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
    }
    sum
}

fn ln_choose(n: u64, k: u64) -> f64 {
    if k == 0 || k == n {
        return 0.0;
    }
    ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
}

/// Pearson's χ² of the 2×2 table, one degree of freedom, for counts beyond the exact test.
fn chi_squared(reference: Rate, window: Rate) -> f64 {
    let (m, n) = (reference.of as f64, window.of as f64);
    let pooled = (reference.hits as f64 + window.hits as f64) / (m + n);
    let spread = pooled * (1.0 - pooled);
    if spread <= 0.0 {
        return 1.0;
    }
    let difference = window.share() - reference.share();
    let statistic = difference * difference / (spread * (1.0 / m + 1.0 / n));
    upper_regularised(0.5, statistic / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fishers_test_agrees_with_scipy() {
        for ((a, n), (b, m), expected) in [
            ((3, 10), (1, 12), 0.29323308270676685),
            ((0, 20), (5, 25), 0.0561763817577771),
            ((10, 200), (1000, 200_000), 9.686633590329284e-08),
            ((60, 200), (1000, 200_000), 1.7505477927987855e-86),
            ((1, 200), (0, 200_000), 0.000999000998999559),
            ((0, 10), (0, 10), 1.0),
            ((10, 10), (0, 10), 1.082508822446903e-05),
            ((500, 10_000), (10_500, 200_000), 0.2798009822813885),
            ((4000, 10_000), (60_000, 200_000), 2.6278127172317557e-95),
            ((8, 40), (9, 40), 1.0),
            ((200, 200), (0, 200_000), 0.0),
        ] {
            for (one, two) in [((a, n), (b, m)), ((b, m), (a, n))] {
                let got = compare(Rate::new(one.0, one.1), Rate::new(two.0, two.1)).p_value;
                assert!((got - expected).abs() <= 1e-7 * expected, "{one:?} {two:?}: {got}");
            }
        }
    }

    #[test]
    fn the_large_path_meets_the_exact_one() {
        let (reference, window) =
            (Rate::new(10_000_000, 400_000_000), Rate::new(251_000, 10_000_000));
        let (exact, large) = (fisher(reference, window), chi_squared(reference, window));
        assert!((exact / large - 1.0).abs() < 0.01, "{exact} {large}");
    }

    #[test]
    fn no_trials_say_nothing() {
        let nothing = Comparison { difference: 0.0, p_value: 1.0 };
        assert_eq!(compare(Rate::new(0, 0), Rate::new(5, 9)), nothing);
        assert_eq!(compare(Rate::new(5, 9), Rate::new(0, 0)), nothing);
        assert_eq!(detectable(Rate::new(5, 9), 0, 0.05), 1.0);
    }

    #[test]
    fn counters_as_large_as_they_come_stay_numbers() {
        let got = compare(Rate::new(u64::MAX, u64::MAX), Rate::new(0, u64::MAX));
        assert_eq!((got.difference, got.p_value), (-1.0, 0.0));
        assert_eq!(compare(Rate::new(9, u64::MAX), Rate::new(0, 0)).p_value, 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn p_is_the_sum_over_all_tables_as_unlikely(
            n in 1u64..60, m in 1u64..60, a in 0u64..60, b in 0u64..60
        ) {
            let (window, reference) = (Rate::new(a, n), Rate::new(b, m));
            let hits = window.hits + reference.hits;
            let ln_p = |k: u64| ln_choose(n, k) + ln_choose(m, hits - k);
            let tables = || hits.saturating_sub(m)..=hits.min(n);
            let all: f64 = tables().map(|k| ln_p(k).exp()).sum();
            let seen = ln_p(window.hits);
            let unlikely: f64 =
                tables().map(ln_p).filter(|&l| l <= seen + TIE).map(f64::exp).sum();
            let got = compare(reference, window).p_value;
            prop_assert!((got - unlikely / all).abs() < 1e-9, "{} {}", got, unlikely / all);
        }

        #[test]
        fn the_detectable_change_is_significant_and_one_hit_less_is_not(
            b in 0u64..=1_000, n in 20u64..400
        ) {
            let reference = Rate::new(b, 1_000);
            let change = detectable(reference, n, 1e-6);
            let away = if b > 500 { -1.0 } else { 1.0 };
            let hits = |change: f64| ((reference.share() + away * change) * n as f64).round() as u64;
            if change < 1.0 {
                let less = change - 1.0 / n as f64;
                prop_assert!(compare(reference, Rate::new(hits(change), n)).p_value <= 1e-6);
                prop_assert!(compare(reference, Rate::new(hits(less), n)).p_value > 1e-6);
            }
        }

        #[test]
        fn a_change_the_other_way_is_seen_as_well_where_there_is_room(
            b in 0u64..=500, n in 100u64..400
        ) {
            let reference = Rate::new(b, 1_000);
            let change = detectable(reference, n, 1e-6) + 1.0 / n as f64;
            if change < reference.share() {
                let hits = ((reference.share() - change) * n as f64).floor() as u64;
                prop_assert!(compare(reference, Rate::new(hits, n)).p_value <= 1e-6);
            }
        }
    }
}
