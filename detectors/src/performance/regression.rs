//! Realised performance of a model that answers a number. It does not know the number's unit.

use super::interval::{mean, normal};
use super::{Measured, Metric};

/// Measures rows of what was said and what was true; those without two finite numbers are passed
/// over. The mean absolute error has the interval of a mean; the root of the mean square that of
/// the mean square, whose root is taken; R² = 1 − Σe² / Σ(y − ȳ)² that of the delta method, by what
/// each row moves it, and is there where the truth varies.
#[must_use]
pub fn measure(rows: &[(f64, f64)]) -> Vec<Measured> {
    let known = rows.iter().filter(|(said, truth)| said.is_finite() && truth.is_finite());
    let rows: Vec<(f64, f64)> = known.copied().collect();
    let errors: Vec<f64> = rows.iter().map(|(said, truth)| (said - truth).abs()).collect();
    let squares: Vec<f64> = errors.iter().map(|error| error * error).collect();
    let (Some((absolute, of_absolute)), Some((square, of_square))) =
        (mean(&errors), mean(&squares))
    else {
        return Vec::new();
    };
    let all = (0.0, f64::INFINITY);
    let (low, high) = normal(square, of_square, all);
    let n = rows.len() as f64;
    let mut found = Vec::new();
    let mut say = |metric, value, interval| {
        found.push(Measured { metric, value, interval, rows: rows.len() as u64 });
    };
    say(Metric::MeanAbsoluteError, absolute, normal(absolute, of_absolute, all));
    say(Metric::RootMeanSquaredError, square.sqrt(), (low.sqrt(), high.sqrt()));

    let middle = rows.iter().map(|(_, truth)| truth).sum::<f64>() / n;
    let spread: Vec<f64> = rows.iter().map(|(_, truth)| (truth - middle).powi(2)).collect();
    let variance = spread.iter().sum::<f64>() / n;
    if variance > 0.0 && (square / variance).is_finite() {
        let unexplained = square / variance;
        let moves = squares.iter().zip(&spread);
        let moves: Vec<f64> =
            moves.map(|(square, spread)| (square - unexplained * spread) / variance).collect();
        let error = mean(&moves).map_or(f64::INFINITY, |(_, error)| error);
        let value = 1.0 - unexplained;
        say(Metric::RSquared, value, normal(value, error, (f64::NEG_INFINITY, 1.0)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let row = |at: u32| {
            let truth = f64::from(at * 37 % 101) / 10.0;
            (truth + f64::from(at * 53 % 97) / 30.0 - 1.6, truth)
        };
        let rows: Vec<(f64, f64)> = (0..120).map(row).collect();
        let found = measure(&rows);
        assert_eq!(found.len(), 3);
        for (measured, expected) in found.iter().zip(ORACLE) {
            assert!((measured.value - expected).abs() < 1e-12, "{measured:?}");
            assert!(measured.interval.0 < expected && expected < measured.interval.1);
        }
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        // Twelve uniforms make a normal: an error of variance ¼ on a truth of variance 1.
        let mut random = crate::forest::random::Random::seeded(21);
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let mut held = [0; 3];
        // E|e| = σ √(2/π).
        let truths = [0.5 * (2.0 / std::f64::consts::PI).sqrt(), 0.5, 0.75];
        for _ in 0..400 {
            let draw = |_| {
                let truth = normal();
                (truth + 0.5 * normal(), truth)
            };
            let found = measure(&(0..200).map(draw).collect::<Vec<_>>());
            for ((held, measured), truth) in held.iter_mut().zip(found).zip(truths) {
                *held += i32::from(measured.interval.0 <= truth && truth <= measured.interval.1);
            }
        }
        assert!(held.iter().all(|held| (362..=398).contains(held)), "{held:?} of 400");
    }

    #[test]
    fn nothing_one_row_and_a_truth_that_does_not_vary_have_an_answer() {
        assert_eq!(measure(&[]), []);
        assert_eq!(measure(&[(f64::NAN, 1.0), (1.0, f64::INFINITY)]), []);
        let one = measure(&[(3.0, 1.0)]);
        assert_eq!((one.len(), one[0].value, one[1].value), (2, 2.0, 2.0));
        assert_eq!(one[0].interval, (0.0, f64::INFINITY));
        assert_eq!(measure(&[(1.0, 5.0), (2.0, 5.0)]).len(), 2);
        assert_eq!(measure(&[(1.0, 1.0), (2.0, 2.0)])[2].value, 1.0);
    }

    /// scikit-learn 1.9.1: `mean_absolute_error`, `root_mean_squared_error`, `r2_score`.
    const ORACLE: [f64; 3] =
        [0.814_722_222_222_222_3, 0.941_074_051_480_738, 0.895_798_735_235_864_1];
}
