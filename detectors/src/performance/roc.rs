//! The area under the receiver's operating curve. It does not know thresholds.
//!
//! The area is the chance that of a positive and a negative row the positive one has the higher
//! score, ties half: Mann and Whitney's statistic, from ranks. Its variance is DeLong, DeLong &
//! Clarke-Pearson's (Biometrics 44, 1988), each row's placement among those of the other kind found
//! in one pass over the sorted scores (Sun & Xu, IEEE Signal Processing Letters 21, 2014).

use super::Scored;
use super::interval::STANDARD_ERRORS;

/// The area and its interval; `None` without rows of both kinds.
///
/// The interval is DeLong's on the logit scale, which keeps it within 0 to 1 (Pepe, "The
/// statistical evaluation of medical tests", 2003). Where the rows leave no variance, because all
/// positives are above all negatives or no score differs, it is Newcombe's, of his method 5.
pub(super) fn area(rows: &[Scored]) -> Option<(f64, (f64, f64))> {
    let positives = rows.iter().filter(|row| row.positive).count() as f64;
    let negatives = rows.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut sorted = rows.to_vec();
    sorted.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
    // Placements: for each positive the share of negatives below, for each negative that of
    // positives above. Sums and sums of squares.
    let (mut of_positives, mut of_negatives) = (Sums::default(), Sums::default());
    let (mut above, mut below) = (positives, 0.0);
    // Zeros of both signs are the same score.
    for tied in sorted.chunk_by(|a, b| a.score == b.score) {
        let hits = tied.iter().filter(|row| row.positive).count() as f64;
        let misses = tied.len() as f64 - hits;
        above -= hits;
        of_positives.add(hits, (below + misses / 2.0) / negatives);
        of_negatives.add(misses, (above + hits / 2.0) / positives);
        below += misses;
    }
    let area = of_positives.sum / positives;
    let variance =
        of_positives.variance(positives) / positives + of_negatives.variance(negatives) / negatives;
    let spread = area * (1.0 - area);
    let interval = if variance > 0.0 && variance.is_finite() && spread > 0.0 {
        let logit = (area / (1.0 - area)).ln();
        let half = STANDARD_ERRORS * variance.sqrt() / spread;
        let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        (back(logit - half).min(area), back(logit + half).max(area))
    } else {
        newcombe(area, positives, negatives)
    };
    Some((area, interval))
}

#[derive(Debug, Default)]
struct Sums {
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, times: f64, placement: f64) {
        self.sum += times * placement;
        self.squares += times * placement * placement;
    }

    /// The sample variance; infinite for fewer than two rows, of which nothing is known.
    fn variance(&self, rows: f64) -> f64 {
        if rows < 2.0 {
            return f64::INFINITY;
        }
        let variance = (self.squares - self.sum * self.sum / rows) / (rows - 1.0);
        // What rounding leaves of equal placements is nothing.
        if variance > 1e-14 { variance } else { 0.0 }
    }
}

/// The areas from which the one that was seen is no further than chance makes likely, by a variance
/// that each area has itself (Newcombe, "Confidence intervals for an effect size measure based on
/// the Mann-Whitney statistic, part 2", Statistics in Medicine 25, 2006, method 5).
fn newcombe(seen: f64, positives: f64, negatives: f64) -> (f64, f64) {
    let others = (positives + negatives) / 2.0 - 1.0;
    let likely = |area: f64| {
        let more = others * ((1.0 - area) / (2.0 - area) + area / (1.0 + area));
        let variance = area * (1.0 - area) * (1.0 + more) / (positives * negatives);
        (seen - area).abs() <= STANDARD_ERRORS * variance.max(0.0).sqrt()
    };
    let edge = |mut unlikely: f64| {
        if likely(unlikely) {
            return unlikely;
        }
        let mut inside = seen;
        for _ in 0..60 {
            let middle = (inside + unlikely) / 2.0;
            if likely(middle) {
                inside = middle;
            } else {
                unlikely = middle;
            }
        }
        inside
    };
    (edge(0.0), edge(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(f64, u8)]) -> Vec<Scored> {
        of.iter().map(|&(score, truth)| Scored { score, positive: truth == 1 }).collect()
    }

    #[test]
    fn delong_is_what_comparing_every_pair_gives() {
        let rows = rows(&[(0.1, 0), (0.4, 0), (0.35, 1), (0.8, 1), (0.4, 1), (0.7, 0), (0.9, 1)]);
        let of = |kind: bool| rows.iter().filter(move |row| row.positive == kind);
        let beats = |a: &Scored, b: &Scored| match a.score.total_cmp(&b.score) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let up: Vec<f64> =
            of(true).map(|a| of(false).map(|b| beats(a, b)).sum::<f64>() / 3.0).collect();
        let down: Vec<f64> =
            of(false).map(|b| of(true).map(|a| beats(a, b)).sum::<f64>() / 4.0).collect();
        let mean = up.iter().sum::<f64>() / 4.0;
        let spread = |values: &[f64]| {
            let n = values.len() as f64;
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
        };
        let error = (spread(&up) + spread(&down)).sqrt();
        let half = STANDARD_ERRORS * error / (mean * (1.0 - mean));
        let high = 1.0 / (1.0 + (-((mean / (1.0 - mean)).ln() + half)).exp());
        let (area, interval) = area(&rows).unwrap();
        assert!((area - mean).abs() < 1e-15);
        assert!((interval.1 - high).abs() < 1e-14, "{interval:?} {high}");
    }

    #[test]
    fn one_kind_alone_has_no_area() {
        assert_eq!(area(&[]), None);
        assert_eq!(area(&rows(&[(0.5, 1), (0.2, 1)])), None);
    }

    #[test]
    fn a_perfect_separation_of_few_rows_is_no_certainty() {
        let (perfect, (low, high)) =
            area(&rows(&[(0.1, 0), (0.2, 0), (0.8, 1), (0.9, 1)])).unwrap();
        assert_eq!((perfect, high), (1.0, 1.0));
        assert!((0.2..0.6).contains(&low), "{low}");
        let many: Vec<Scored> =
            (0..2_000).map(|at| Scored { score: f64::from(at), positive: at >= 1_000 }).collect();
        let (_, (low, _)) = area(&many).unwrap();
        assert!(low > 0.99, "{low}");
    }

    #[test]
    fn scores_that_do_not_differ_are_a_coin() {
        let same: Vec<Scored> =
            (0..100).map(|at| Scored { score: 0.3, positive: at % 4 == 0 }).collect();
        let (coin, (low, high)) = area(&same).unwrap();
        assert_eq!(coin, 0.5);
        assert!((0.3..0.45).contains(&low) && (0.55..0.7).contains(&high), "{low} {high}");
        let infinite =
            area(&rows(&[(f64::NEG_INFINITY, 0), (f64::INFINITY, 1), (0.0, 1), (-0.0, 0)]));
        assert_eq!(infinite.unwrap().0, 0.875);
    }
}
