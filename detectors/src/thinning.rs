//! Thinning: of values that depend on the one before, as many are passed over as makes the rest
//! nearly independent. It does not know what the values are.

use std::collections::VecDeque;

use crate::autocorrelation;
use crate::latest::Latest;

/// Values that an estimate looks at, the latest ones.
const LATEST: usize = 512;
/// Values from which the first estimate is made; before it none is taken.
const FIRST: usize = 64;
/// Estimates remembered; their median counts, so that one stretch in which values changed, which
/// looks like dependence, thins nothing.
const ESTIMATES: usize = 15;
/// Autocorrelation times between values that are taken: what is left of a first-order correlation
/// is e⁻⁴ there.
const APART: f64 = 2.0;
/// Autocorrelation times up to this count as independence.
const INDEPENDENT: f64 = 1.2;

/// Which values of a series are taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thinning {
    latest: Latest<LATEST>,
    estimates: VecDeque<f64>,
    /// Values passed over between two that are taken; `None` before the first estimate.
    between: Option<u32>,
    to_pass: u32,
}

impl Thinning {
    /// Takes the next value of the series in, and says whether it is one that counts. NaN is none.
    pub fn takes(&mut self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        self.latest.take(value);
        let Some(between) = self.between else {
            if self.latest.len() >= FIRST {
                self.estimate();
            }
            return false;
        };
        if self.to_pass > 0 {
            self.to_pass -= 1;
            return false;
        }
        self.to_pass = between;
        true
    }

    /// Takes the same value in so many times in a row, and says how many of them count.
    pub fn takes_times(&mut self, value: f64, times: u64) -> u64 {
        let mut left = times;
        while left > 0 && self.between.is_none() && !value.is_nan() {
            self.takes(value);
            left -= 1;
        }
        let Some(between) = self.between.filter(|_| left > 0 && !value.is_nan()) else { return 0 };
        (0..left.min(LATEST as u64)).for_each(|_| self.latest.take(value));
        let (to_pass, stride) = (u64::from(self.to_pass), u64::from(between) + 1);
        if left <= to_pass {
            self.to_pass -= left as u32;
            return 0;
        }
        // Beginning with the one after those that are passed, each of a stride.
        let since = left - to_pass - 1;
        self.to_pass = between - (since % stride) as u32;
        since / stride + 1
    }

    /// Estimates anew; call it now and then, such as when a pane closes.
    pub fn estimate(&mut self) {
        if self.latest.len() < FIRST {
            return;
        }
        if self.estimates.len() == ESTIMATES {
            self.estimates.pop_front();
        }
        self.estimates.push_back(autocorrelation::time(&self.latest.in_order()));
        let mut sorted: Vec<f64> = self.estimates.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let time = sorted[sorted.len() / 2];
        let stride = if time <= INDEPENDENT { 1.0 } else { (APART * time).ceil() };
        self.between = Some(stride as u32 - 1);
    }

    /// Values for each one that is taken, at least 1.
    #[must_use]
    pub fn stride(&self) -> u32 {
        self.between.map_or(1, |between| between.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(phi: f64, values: usize) -> Vec<f64> {
        let (mut seed, mut last) = (9u64, 0.0);
        let mut step = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            last = phi * last + (seed >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            last
        };
        (0..values).map(|_| step()).collect()
    }

    fn taken(thinning: &mut Thinning, values: &[f64]) -> usize {
        let mut taken = 0;
        for pane in values.chunks(500) {
            taken += pane.iter().filter(|value| thinning.takes(**value)).count();
            thinning.estimate();
        }
        taken
    }

    #[test]
    fn independent_values_are_all_taken_but_the_first() {
        let mut thinning = Thinning::default();
        assert_eq!(taken(&mut thinning, &series(0.0, 5_000)), 5_000 - FIRST);
        assert_eq!(thinning.stride(), 1);
    }

    #[test]
    fn dependent_values_are_taken_at_twice_their_time() {
        // A first-order series with φ = 0.9 has a time of 19.
        let mut thinning = Thinning::default();
        let taken = taken(&mut thinning, &series(0.9, 20_000));
        assert!((25..60).contains(&thinning.stride()), "{}", thinning.stride());
        assert!((350..900).contains(&taken), "{taken}");
    }

    #[test]
    fn a_step_is_not_taken_for_dependence() {
        let mut thinning = Thinning::default();
        let mut values = series(0.0, 6_000);
        values[5_250..].iter_mut().for_each(|value| *value += 2.0);
        taken(&mut thinning, &values);
        assert_eq!(thinning.stride(), 1);
    }

    #[test]
    fn the_same_value_many_times_is_what_it_is_once_and_again() {
        for (before, stride) in [(0, None), (100, Some(1)), (100, Some(7))] {
            let mut start = Thinning::default();
            series(0.0, before).into_iter().for_each(|value| {
                start.takes(value);
            });
            if let Some(stride) = stride {
                start.between = Some(stride - 1);
            }
            for times in [0, 1, 2, 6, 7, 8, 50, 63, 64, 65, 700] {
                let (mut at_once, mut apart) = (start.clone(), start.clone());
                for _ in 0..3 {
                    let taken = (0..times).filter(|_| apart.takes(0.5)).count() as u64;
                    assert_eq!(at_once.takes_times(0.5, times), taken, "{stride:?} {times}");
                    assert_eq!(at_once.to_pass, apart.to_pass);
                    assert_eq!(at_once.latest.in_order(), apart.latest.in_order());
                }
            }
        }
        assert_eq!(Thinning::default().takes_times(f64::NAN, 9), 0);
    }

    #[test]
    fn nothing_breaks_it() {
        let mut thinning = Thinning::default();
        assert!(!thinning.takes(f64::NAN));
        thinning.estimate();
        for value in [f64::INFINITY, f64::MAX, -0.0].into_iter().cycle().take(200) {
            thinning.takes(value);
        }
        assert!(thinning.stride() >= 1);
        (0..1_000).for_each(|_| {
            thinning.takes(3.0);
        });
        thinning.estimate();
        assert!(thinning.takes(3.0) || thinning.stride() > 1);
    }
}
