//! A window drawn anew from the rows of both samples together, group by group. It does not know what is
//! measured on it.

use crate::forest::random::Random;
use crate::gamma::ln_gamma;
use crate::scores::normal_quantile;

/// From this variance on a count is as good as normal.
const NORMAL_FROM: f64 = 12.0;
/// Up to so many rows the chance of none is multiplied up.
const FEW: f64 = 16.0;

/// How many of `some` of `all` rows are among `taken` that are drawn without replacement:
/// hypergeometric, by inversion where few are, else by the normal with its moments. All are whole, and
/// neither part is more than all.
pub(super) fn among(some: f64, taken: f64, all: f64, random: &mut Random) -> f64 {
    if some <= 0.0 || taken <= 0.0 {
        return 0.0;
    }
    if some >= all || taken >= all {
        return some.min(taken);
    }
    let mean = some * taken / all;
    let variance = mean * (1.0 - taken / all) * (all - some) / (all - 1.0);
    if variance >= NORMAL_FROM {
        let least = (some + taken - all).max(0.0);
        let z = normal_quantile(random.unit().clamp(1e-12, 1.0 - 1e-12));
        return (mean + variance.sqrt() * z).round().clamp(least, some.min(taken));
    }
    // The chance of none must not vanish: of what is more than a half the rest is counted.
    if taken * 2.0 > all {
        return some - among(some, all - taken, all, random);
    }
    if some * 2.0 > all {
        return taken - among(all - some, taken, all, random);
    }
    let mut chance = none(some.min(taken), some.max(taken), all);
    let mut left = random.unit() - chance;
    let mut count = 0.0;
    while left >= 0.0 && count < some.min(taken) {
        chance *=
            (some - count) * (taken - count) / ((count + 1.0) * (all - some - taken + count + 1.0));
        left -= chance;
        count += 1.0;
    }
    count
}

/// The chance that none of `few` is among `many` of `all`.
fn none(few: f64, many: f64, all: f64) -> f64 {
    if few <= FEW {
        let mut chance = 1.0;
        let mut drawn = 0.0;
        while drawn < few {
            chance *= (all - many - drawn) / (all - drawn);
            drawn += 1.0;
        }
        return chance;
    }
    let ln_ways = |of: f64| ln_gamma(of + 1.0);
    (ln_ways(all - few) + ln_ways(all - many) - ln_ways(all) - ln_ways(all - few - many)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_moments_of_the_hypergeometric_law() {
        let mut random = Random::seeded(5);
        let cases = [
            (1.0, 500.0, 5_500.0),
            (800.0, 500.0, 100_500.0),
            (40.0, 90.0, 100.0),
            (90.0, 40.0, 100.0),
            (9_000.0, 5_000.0, 10_000.0),
            (1_000.0, 1_000.0, 8_000.0),
        ];
        for (some, taken, all) in cases {
            let mean = some * taken / all;
            let variance = mean * (1.0 - taken / all) * (all - some) / (all - 1.0);
            let draws: Vec<f64> =
                (0..20_000).map(|_| among(some, taken, all, &mut random)).collect();
            let n = draws.len() as f64;
            let got = draws.iter().sum::<f64>() / n;
            let spread = draws.iter().map(|draw| (draw - got).powi(2)).sum::<f64>() / n;
            assert!((got - mean).abs() < 5.0 * (variance / n).sqrt(), "{some}: {got}, not {mean}");
            // A twelfth more where the normal is rounded.
            assert!((spread / variance - 1.0).abs() < 0.06, "{some}: {spread}, not {variance}");
            let possible = (some + taken - all).max(0.0)..=some.min(taken);
            assert!(draws.iter().all(|draw| draw.fract() == 0.0 && possible.contains(draw)));
        }
    }

    #[test]
    fn all_and_none_are_certain() {
        let mut random = Random::seeded(5);
        for (some, taken, all, count) in
            [(0.0, 5.0, 9.0, 0.0), (5.0, 0.0, 9.0, 0.0), (9.0, 4.0, 9.0, 4.0), (4.0, 9.0, 9.0, 4.0)]
        {
            assert_eq!(among(some, taken, all, &mut random), count);
        }
    }
}
