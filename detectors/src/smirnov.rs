//! The exact law of the two-sample Kolmogorov-Smirnov statistic, with or without ties.
//!
//! It does not know values, only their order: a path on a lattice from (0, 0) to (m, n), all
//! equally likely, which steps right for a value of one sample and up for one of the other.

use std::cell::Cell;

/// How large a chance of 1 may be written before all are scaled back, far from an overflow.
const LARGEST_ONE: f64 = 1e100;

/// P(max |i/m − j/n| ≥ `threshold` / (m·n)) over the points (i, j) of the path (Hodges, "The
/// significance probability of the Smirnov two-sample test", Ark. Mat. 3, 1957).
///
/// `ends` tells for each k = i + j from 1 on whether the k-th value of the pooled sample is the
/// last of its ties; only there the distance counts, which makes p exact given the ties
/// (Schröer & Trenkler, Comput. Stat. Data Anal. 20, 1995). None means no ties.
///
/// Each path crosses the diagonal in the middle once, and leaves the band after it or before it.
/// Before it is after it on the path turned by half a circle, so without ties one half serves for
/// both. All is made of products and means of numbers from 0 to 1, nothing cancels: tiny p keep
/// their precision. Cells visited: about D·m·n, with ties twice as many.
pub(crate) fn tail(threshold: i64, m: u32, n: u32, ends: Option<&[bool]>) -> f64 {
    if threshold <= 0 {
        return 1.0;
    }
    // Diagonals are indexed by the smaller sample, which gives the same and keeps them short.
    let (m, n) = (i64::from(m.max(n)), i64::from(m.min(n)));
    let middle = (m + n) / 2;
    let mut after = Diagonal::last(threshold, m, n);
    let before = match ends.filter(|ends| ends.contains(&false)) {
        None => {
            after.back_to(m + n - middle, |_| true);
            let before = after.clone();
            after.back_to(middle, |_| true);
            before
        }
        Some(ends) => {
            let mut before = after.clone();
            before.back_to(m + n - middle, |k| ends[(m + n - k) as usize - 1]);
            after.back_to(middle, |k| ends[k as usize - 1]);
            before
        }
    };
    // Paths through (middle − j, j), as many times those through the likeliest point.
    let likeliest = (middle + 1) * (n + 1) / (m + n + 2);
    let more = |j: i64| {
        (middle - j) as f64 * (n - j) as f64 / ((j + 1) as f64 * (m - middle + j + 1) as f64)
    };
    let (mut all, mut left) = (0.0, 0.0);
    let mut count = |j: i64, paths: f64| {
        let far = after.leave(j);
        all += paths;
        left += paths * (far + before.leave(n - j) * (1.0 - far));
    };
    let mut paths = 1.0;
    for j in likeliest..=n.min(middle) {
        count(j, paths);
        paths *= more(j);
    }
    paths = 1.0;
    for j in ((middle - m).max(0)..likeliest).rev() {
        paths /= more(j);
        count(j, paths);
    }
    // Rounding can carry a certain one past 1.
    (left / all).min(1.0)
}

/// The points (k − j, j) that a path can pass, and the chance to leave the band from each later on.
#[derive(Clone)]
struct Diagonal {
    m: i64,
    n: i64,
    k: i64,
    /// The first and the last j inside the band; outside, it has been left.
    low: i64,
    high: i64,
    /// The chance from j is at j + 1, as many times `one`; on both sides of the band it is 1.
    chances: Vec<f64>,
    one: f64,
    /// n − j for each j.
    ups: Vec<f64>,
    /// The j for which |k·n − j·(m + n)| < threshold: above the one, up to the other.
    least: Falling,
    most: Falling,
}

impl Diagonal {
    /// Where all paths end: (m, n) alone.
    fn last(threshold: i64, m: i64, n: i64) -> Self {
        let mut chances = vec![1.0; n as usize + 3];
        chances[n as usize + 1] = 0.0;
        Diagonal {
            m,
            n,
            k: m + n,
            low: n,
            high: n,
            chances,
            one: 1.0,
            ups: (0..=n).rev().map(|up| up as f64).collect(),
            least: Falling::of((m + n) * n - threshold, n, m + n),
            most: Falling::of((m + n) * n + threshold - 1, n, m + n),
        }
    }

    /// Goes back to the diagonal of a `k` above 0, unless the band has a gap before. The distance
    /// counts on the diagonals that `counts` holds for.
    fn back_to(&mut self, k: i64, counts: impl Fn(i64) -> bool) {
        while self.k > k && self.low <= self.high {
            self.k -= 1;
            self.low = (self.low - 1).max(self.k - self.m).max(0);
            self.high = self.high.min(self.k);
            self.least.fall();
            self.most.fall();
            if counts(self.k) {
                self.low = self.low.max(self.least.quotient + 1);
                self.high = self.high.min(self.most.quotient);
            }
            if self.low <= self.high {
                self.mean();
            }
        }
    }

    /// The chance from a point is the mean of those of the next two, weighted by the steps that
    /// remain each way. It is left undivided, and `one` grows instead: a product less for each.
    fn mean(&mut self) {
        let steps = (self.m + self.n - self.k) as f64;
        let (from, to) = (self.low as usize, self.high as usize + 1);
        let cells = Cell::from_mut(&mut self.chances[from + 1..to + 2]).as_slice_of_cells();
        for (pair, up) in cells.windows(2).zip(&self.ups[from..to]) {
            pair[0].set((steps - up) * pair[0].get() + up * pair[1].get());
        }
        self.one *= steps;
        if self.one > LARGEST_ONE {
            let cells = &mut self.chances[from + 1..=to];
            let scale = 1.0 / self.one;
            cells.iter_mut().for_each(|chance| *chance *= scale);
            self.one = 1.0;
        }
        self.chances[from] = self.one;
        self.chances[to + 1] = self.one;
    }

    fn leave(&self, j: i64) -> f64 {
        if (self.low..=self.high).contains(&j) {
            self.chances[j as usize + 1] / self.one
        } else {
            1.0
        }
    }
}

/// A quotient, rounded down, of a number that falls by less than the divisor each time: a division
/// for each diagonal would cost as much as its cells.
#[derive(Clone)]
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
