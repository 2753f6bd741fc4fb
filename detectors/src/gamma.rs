//! The gamma function's logarithm, the regularised incomplete gamma functions, and the normal's upper
//! tail by them.
//!
//! A few lines of our own instead of a crate of distributions: these functions are all the tests
//! need. They do not know about degrees of freedom or counts.

/// Relative change below which a series or fraction has converged.
const CONVERGED: f64 = 1e-16;

/// ln Γ(x) for x > 0, by Stirling's series after shifting x to at least 10
/// (Abramowitz & Stegun 6.1.15 and 6.1.41). Relative error about 1e-15.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    const SERIES: [f64; 6] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let mut shifted = x;
    let mut product = 1.0;
    while shifted < 10.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / (shifted * shifted);
    let tail = SERIES.iter().rev().fold(0.0, |sum, term| sum * inverse + term) / shifted;
    let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
    (shifted - 0.5) * shifted.ln() - shifted + half_ln_tau + tail - f64::ln(product)
}

/// Q(a, x) = Γ(a, x) / Γ(a), for a > 0: 1 at x ≤ 0, never outside 0 to 1.
pub(crate) fn upper_regularised(a: f64, x: f64) -> f64 {
    regularised(a, x).1
}

/// P(a, x) = 1 − Q(a, x), for a > 0: 0 at x ≤ 0, never outside 0 to 1.
pub(crate) fn lower_regularised(a: f64, x: f64) -> f64 {
    regularised(a, x).0
}

/// The lower and the upper function. Below x = a + 1 by the series of the lower one (A&S 6.5.29), above
/// by the continued fraction of the upper one (A&S 6.5.31) with Lentz's method: each keeps the
/// relative precision of its tiny tails.
fn regularised(a: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if x == f64::INFINITY {
        return (1.0, 0.0);
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    // Both converge in about √a steps where x is near a; the bound only guards against a bug.
    let steps = 1_000 + 20 * a.sqrt() as u32;
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        for step in 1..=steps {
            term *= x / (a + f64::from(step));
            sum += term;
            if term < sum * CONVERGED {
                break;
            }
        }
        let lower = (scale * sum).clamp(0.0, 1.0);
        (lower, 1.0 - lower)
    } else {
        let mut b = x + 1.0 - a;
        let mut c = f64::MAX;
        let mut d = 1.0 / b;
        let mut fraction = d;
        for step in 1..=steps {
            let step = f64::from(step);
            let numerator = -step * (step - a);
            b += 2.0;
            d = 1.0 / (numerator * d + b);
            c = b + numerator / c;
            fraction *= c * d;
            if (c * d - 1.0).abs() < CONVERGED {
                break;
            }
        }
        let upper = (scale * fraction).clamp(0.0, 1.0);
        (1.0 - upper, upper)
    }
}

/// The chance that a normal exceeds `z`: half of that χ² of one degree exceeds z².
pub(crate) fn upper_normal(z: f64) -> f64 {
    let half = upper_regularised(0.5, z * z / 2.0) / 2.0;
    if z >= 0.0 { half } else { 1.0 - half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_agrees_with_scipy() {
        for (x, expected) in [
            (0.5, 0.5723649429247),
            (1.0, 0.0),
            (1.5, -0.12078223763524526),
            (3.0, std::f64::consts::LN_2),
            (10.0, 12.801827480081469),
            (100.25, 360.28455963776423),
            (1e6, 12815504.569147611),
            (1e9, 19723265827.503716),
        ] {
            let got = ln_gamma(x);
            assert!((got - expected).abs() <= 3e-15 * expected.abs().max(1.0), "{x}: {got}");
        }
    }

    #[test]
    fn tails_agree_with_scipys_chi_squared_down_to_the_smallest() {
        for (degrees, x, expected) in [
            (1.0, 0.5, 0.47950012218695337),
            (1.0, 3.84, 0.05004352124870519),
            (2.0, 10.0, 0.006737946999085468),
            (5.0, 100.0, 5.285148360943219e-20),
            (10.0, 3.0, 0.9814240637778593),
            (50.0, 200.0, 7.857610724654791e-20),
            (3.0, 1500.0, 0.0),
            (999.0, 1100.0, 0.013818467525532353),
            (1.0, 1400.0, 2.1010145162644003e-306),
            (20.0, 1e-3, 1.0),
            (4.0, 0.0, 1.0),
        ] {
            let got = upper_regularised(degrees / 2.0, x / 2.0);
            assert!((got - expected).abs() <= 1e-11 * expected, "{degrees} {x}: {got}");
        }
    }
}
