//! The law of the one-sample Kolmogorov-Smirnov statistic, exact or nearly so, for every size.
//!
//! It does not know two samples: [`crate::ks`] gives it their effective size.
//!
//! The choice among formulas is Simard & L'Ecuyer's ("Computing the two-sided
//! Kolmogorov-Smirnov distribution", J. Stat. Softw. 39, 2011), as in scipy's `kstwo`.

use std::f64::consts::{PI, TAU};

use crate::gamma::ln_gamma;

/// Sizes up to which the one-sided tail is summed; beyond, its closed form is as good.
const SUMMED_UP_TO: f64 = 1e6;

/// P(Dₙ ≥ `d`) for a sample of `n` values, a whole number. 0 to 1; 1 where `d` is not above 0
/// or `n` is below 1.
pub(crate) fn tail(n: f64, d: f64) -> f64 {
    let t = n * d;
    if d.is_nan() || n < 1.0 || t <= 0.5 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let square = t * d;
    let p = if t <= 1.0 {
        // Ruben & Gambino: n!·((2t − 1) / n)ⁿ stays inside.
        -(ln_gamma(n + 1.0) + n * ((2.0 * t - 1.0) / n).ln()).exp_m1()
    } else if t >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 || square >= if n <= 140.0 { 4.0 } else { 2.2 } {
        // Both sides at once are too rare to count.
        2.0 * one_sided(n, d)
    } else if n <= 140.0 || (n <= 1e5 && t * d.sqrt() <= 1.4) {
        1.0 - durbin(n, d)
    } else {
        1.0 - pelz_good(n, d)
    };
    p.clamp(0.0, 1.0)
}

/// P(sup (F(x) − Fₙ(x)) ≥ d): Birnbaum & Tingey (1951), the sum over j of
/// d / (d + j/n) times the binomial probability of j among n at d + j/n. For large n
/// exp(−(6nd + 1)² / 18n).
fn one_sided(n: f64, d: f64) -> f64 {
    if n > SUMMED_UP_TO {
        return (-(6.0 * n * d + 1.0).powi(2) / (18.0 * n)).exp();
    }
    let mut sum = (n * (-d).ln_1p()).exp();
    for j in 1..=(n * (1.0 - d)).floor() as u32 {
        let j = f64::from(j);
        let p = d + j / n;
        if p < 1.0 {
            sum += d / p * binomial(j, n, n * d);
        }
    }
    sum
}

/// The probability of j among n, both above 0 and j below n, where n·p = j + `over`, by the saddle point: Loader, "Fast and
/// accurate computation of binomial probabilities" (2000). No large terms cancel.
fn binomial(j: f64, n: f64, over: f64) -> f64 {
    let rest = n - j;
    let exponent = stirling_error(n)
        - stirling_error(j)
        - stirling_error(rest)
        - deviance(j, over)
        - deviance(rest, -over);
    exponent.exp() * (n / (TAU * j * rest)).sqrt()
}

/// x·ln(x / (x + over)) + over, without cancelling where `over` is small.
fn deviance(x: f64, over: f64) -> f64 {
    let u = over / x;
    if u.abs() > 0.05 {
        return over - x * u.ln_1p();
    }
    // u − ln(1 + u) = u²/2 − u³/3 + …
    let (mut power, mut sum) = (u * u, 0.0);
    for k in 2..20 {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        sum += sign * power / f64::from(k);
        power *= u;
    }
    x * sum
}

/// ln n! less Stirling's formula.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * TAU.ln();
    }
    let s = 1.0 / (n * n);
    (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)))) / n
}

/// P(Dₙ < d): the matrix of Durbin in the form of Marsaglia, Tsang & Wang (J. Stat. Softw. 8,
/// 2003). Its size is twice n·d, so it serves where d is small.
fn durbin(n: f64, d: f64) -> f64 {
    let k = (n * d).ceil() as usize;
    let size = 2 * k - 1;
    let h = k as f64 - n * d;
    let mut inverse_factorial = vec![1.0; size + 2];
    for i in 1..size + 2 {
        inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
    }
    let mut step = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..=(row + 1).min(size - 1) {
            step[row * size + column] = inverse_factorial[row + 1 - column];
        }
    }
    let factor = |i: usize| (1.0 - h.powi(i as i32 + 1)) * inverse_factorial[i + 1];
    for i in 0..size {
        step[i * size] = factor(i);
        step[(size - 1) * size + size - 1 - i] = factor(i);
    }
    let corner = (2.0 * h - 1.0).max(0.0).powi(size as i32);
    step[(size - 1) * size] = (1.0 - 2.0 * h.powi(size as i32) + corner) * inverse_factorial[size];

    let (mut power, mut ln_scale, mut step_scale) = (identity(size), 0.0, 0.0);
    let mut exponent = n as u64;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(&power, &step, size);
            ln_scale += step_scale + rescale(&mut power);
        }
        exponent >>= 1;
        if exponent > 0 {
            step = product(&step, &step, size);
            step_scale = 2.0 * step_scale + rescale(&mut step);
        }
    }
    // n! / nⁿ
    let ln_rest = 0.5 * (TAU * n).ln() - n + stirling_error(n);
    (power[(k - 1) * size + k - 1].ln() + ln_scale + ln_rest).exp().clamp(0.0, 1.0)
}

fn identity(size: usize) -> Vec<f64> {
    (0..size * size).map(|at| f64::from(u8::from(at % (size + 1) == 0))).collect()
}

fn product(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut result = vec![0.0; size * size];
    for (row, out) in a.chunks_exact(size).zip(result.chunks_exact_mut(size)) {
        for (&weight, line) in row.iter().zip(b.chunks_exact(size)) {
            for (here, &there) in out.iter_mut().zip(line) {
                *here += weight * there;
            }
        }
    }
    result
}

/// Divides by the largest entry and gives its logarithm.
fn rescale(matrix: &mut [f64]) -> f64 {
    let largest = matrix.iter().copied().fold(0.0, f64::max);
    matrix.iter_mut().for_each(|entry| *entry /= largest);
    largest.ln()
}

/// P(Dₙ < d) to the order n^(−3/2): Pelz & Good (JRSS B 38, 1976).
fn pelz_good(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, pi2) = (z * z, PI * PI);
    let (z4, pi4) = (z2 * z2, pi2 * pi2);
    let (z6, pi6) = (z4 * z2, pi4 * pi2);
    let mut k = [0.0f64; 4];
    let terms = (16.0 * z / PI).ceil() as u32;
    for term in (1..=terms).rev() {
        // Theta functions: one sum over odd numbers, one over all.
        let odd = f64::from(2 * term - 1);
        let o2 = odd * odd;
        let (o4, o6) = (o2 * o2, o2 * o2 * o2);
        let weight = (-pi2 * o2 / (8.0 * z2)).exp();
        k[0] += weight;
        k[1] += weight * (-z2 + pi2 / 4.0 * o2);
        k[2] += weight
            * (6.0 * z6
                + 2.0 * z4
                + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * o2
                + pi4 * (1.0 - 2.0 * z2) / 16.0 * o4);
        k[3] += weight
            * (-30.0 * z6 - 90.0 * z4 * z4
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * o2
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * o4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * o6);
    }
    let mut k = [k[0] / z, k[1] / (6.0 * z4), k[2] / (72.0 * z6 * z), k[3] / (6480.0 * z6 * z4)];
    for term in 1..=terms {
        let square = f64::from(term * term);
        let weight = square * (-pi2 * square / (2.0 * z2)).exp();
        k[2] -= weight * pi2 / (36.0 * z2 * z);
        k[3] += weight * (3.0 * z2 - pi2 * square) * pi2 / (216.0 * z6);
    }
    let root = n.sqrt();
    TAU.sqrt() * (k[0] + k[1] / root + k[2] / n + k[3] / (n * root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_agree_with_scipys_kstwo() {
        for (n, d, expected) in [
            (5.0, 0.15, 0.9988),
            (5.0, 0.3, 0.664),
            (5.0, 0.45, 0.19399374999999963),
            (5.0, 0.9, 1.9999999999999978e-05),
            (20.0, 0.05, 0.9999999767980384),
            (60.0, 0.08, 0.8078977270450964),
            (100.0, 0.12, 0.1033037490181987),
            (140.0, 0.1, 0.11353657290090946),
            (140.0, 0.25, 3.391572437071032e-08),
            (141.0, 0.09, 0.19156768536655033),
            (300.0, 0.004, 1.0),
            (300.0, 0.03, 0.9424664972633843),
            (909.0, 0.005, 1.0),
            (909.0, 0.01, 0.9999834264847868),
            (909.0, 0.02, 0.8529586932871641),
            (909.0, 0.04, 0.10616075534188019),
            (909.0, 0.055, 0.007864816313707137),
            (909.0, 0.1, 2.29517873282512e-08),
            (909.0, 0.4, 9.150575804014995e-132),
            (5000.0, 0.01, 0.6954557253913853),
            (5000.0, 0.02, 0.03613941395325637),
            (5000.0, 0.1, 5.590495886396459e-44),
            (33333.0, 0.004, 0.6588565345242977),
            (33333.0, 0.006, 0.18058207550292282),
            (500000.0, 0.0015, 0.21034190155828947),
            (500000.0, 0.003, 0.00024632301239186754),
            (2000000.0, 0.002, 2.247704493692889e-07),
            (2000000.0, 0.0008, 0.15445575917381638),
        ] {
            let got = tail(n, d);
            assert!(
                (got - expected).abs() <= 1e-9 * expected + 1e-300,
                "{n} {d}: {got} {expected}"
            );
        }
    }

    #[test]
    fn what_cannot_be_a_distance_has_probability_one_or_zero() {
        assert_eq!((tail(10.0, f64::NAN), tail(10.0, -1.0), tail(0.0, 0.5)), (1.0, 1.0, 1.0));
        assert_eq!((tail(10.0, 1.0), tail(1e6, 0.9)), (0.0, 0.0));
    }
}
