//! The exact law of the two-sample Kolmogorov-Smirnov statistic, with or without ties.
//!
//! It does not know values, only their order: a path on a lattice from (0, 0) to (m, n), all
//! equally likely, which steps right for a value of one sample and up for one of the other.

/// P(max |i/m − j/n| ≥ `threshold` / (m·n)) over the points (i, j) of the path (Hodges, "The
/// significance probability of the Smirnov two-sample test", Ark. Mat. 3, 1957).
///
/// `ends` tells for each k = i + j from 1 on whether the k-th value of the pooled sample is the
/// last of its ties; only there the distance counts, which makes p exact given the ties
/// (Schröer & Trenkler, Comput. Stat. Data Anal. 20, 1995). None means no ties.
///
/// Going back from the end one diagonal at a time, the chance to leave from (i, j) is the mean
/// of those of the next two points, weighted by the steps that remain each way. Only means of
/// numbers from 0 to 1: the result is one as well, and tiny p keep their precision. Cells
/// visited: about 2·D·m·n.
pub(crate) fn tail(threshold: i64, m: u32, n: u32, ends: Option<&[bool]>) -> f64 {
    if threshold <= 0 {
        return 1.0;
    }
    // The diagonal is indexed by the smaller sample, which gives the same and keeps it short.
    let (m, n) = (i64::from(m.max(n)), i64::from(m.min(n)));
    let whole: Vec<f64> = (0..=n + 1).map(|j| j as f64).collect();
    let mut leave = vec![1.0; n as usize + 3];
    // leave[j + 1] is the chance from (k − j, j); all outside low..=high are 1.
    let (mut low, mut high) = (n, n);
    leave[n as usize + 1] = 0.0;
    // The j for which |k·n − j·(m + n)| < threshold.
    let mut least = Falling::of((m + n) * n - threshold, n, m + n);
    let mut most = Falling::of((m + n) * n + threshold - 1, n, m + n);
    for k in (0..m + n).rev() {
        leave[high as usize + 2] = 1.0;
        leave[low as usize] = 1.0;
        (low, high) = ((low - 1).max(k - m).max(0), high.min(k));
        least.fall();
        most.fall();
        if k > 0 && ends.is_none_or(|ends| ends[k as usize - 1]) {
            low = low.max(least.quotient + 1);
            high = high.min(most.quotient);
        }
        if low > high {
            return 1.0;
        }
        let (scale, right) = (1.0 / (m + n - k) as f64, (m - k) as f64);
        let (from, to) = (low as usize, high as usize + 1);
        let cells = &mut leave[from + 1..to + 2];
        for (at, &j) in whole[from..to].iter().enumerate() {
            cells[at] = scale * ((right + j) * cells[at] + (whole[n as usize] - j) * cells[at + 1]);
        }
    }
    leave[1].clamp(0.0, 1.0)
}

/// A quotient, rounded down, of a number that falls by less than the divisor each time: a division
/// for each diagonal would cost as much as its cells.
struct Falling {
    quotient: i64,
    rest: i64,
    by: i64,
    divisor: i64,
}

impl Falling {
    fn of(number: i64, by: i64, divisor: i64) -> Self {
        let (quotient, rest) = (number.div_euclid(divisor), number.rem_euclid(divisor));
        Self { quotient, rest, by, divisor }
    }

    fn fall(&mut self) {
        self.rest -= self.by;
        if self.rest < 0 {
            self.rest += self.divisor;
            self.quotient -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_agrees_with_scipys_exact_down_to_the_smallest() {
        for (m, n, threshold, expected) in [
            (5, 5, 15, 0.35714285714285715),
            (7, 7, 21, 0.5751748251748252),
            (10, 20, 70, 0.3686458469067164),
            (8, 5, 25, 0.12587412587412586),
            (100, 100, 3000, 0.0002248739317492479),
            (200, 200, 20000, 4.3551245255930685e-23),
            (300, 100, 3600, 0.22161880097603315),
            (400, 250, 10000, 0.08591616947334489),
            (997, 301, 15005, 0.5884572148410162),
            (500, 1000, 300000, 2.497588938703159e-112),
            (600, 700, 378000, 3.092041766139292e-278),
            (600, 700, 382200, 1.1762450452951424e-286),
            (600, 700, 386400, 2.1037185977859203e-295),
            (550, 720, 368280, 2.163180779204917e-294),
            (800, 800, 512000, 5.827888588186868e-256),
            (3000, 500, 105000, 0.028957478895936757),
            (2, 3, 3, 0.9),
            (1, 1, 1, 1.0),
        ] {
            for (m, n) in [(m, n), (n, m)] {
                let got = tail(threshold, m, n, None);
                assert!((got - expected).abs() <= 1e-9 * expected, "{m} {n} {threshold}: {got}");
            }
        }
    }

    /// Every path, one bit a step.
    fn counted(threshold: i64, m: u32, n: u32, ends: &[bool]) -> f64 {
        let (mut all, mut left) = (0u32, 0u32);
        for path in 0u32..1 << (m + n) {
            if path.count_ones() != n {
                continue;
            }
            all += 1;
            let far = (1..=m + n).any(|k| {
                let j = i64::from((path & ((1 << k) - 1)).count_ones());
                let i = i64::from(k) - j;
                ends[k as usize - 1] && (i * i64::from(n) - j * i64::from(m)).abs() >= threshold
            });
            left += u32::from(far);
        }
        f64::from(left) / f64::from(all)
    }

    #[test]
    fn given_the_ties_it_is_the_share_of_all_orders() {
        for (m, n) in [(5, 7), (6, 6), (9, 4), (1, 8)] {
            for pattern in [0u32, 0b1010_1100_1011, 0b0001_0000_1000, u32::MAX] {
                let mut ends: Vec<bool> = (0..m + n).map(|k| pattern >> k & 1 == 1).collect();
                *ends.last_mut().unwrap() = true;
                for threshold in 1..=i64::from(m * n) {
                    let expected = counted(threshold, m, n, &ends);
                    let got = tail(threshold, m, n, Some(&ends));
                    assert!((got - expected).abs() < 1e-12, "{m} {n} {threshold} {pattern:b}");
                }
            }
        }
    }
}
