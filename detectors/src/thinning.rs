//! Thinning: of values that depend on the one before, as many are passed over as makes the rest
//! nearly independent. It does not know what the values are.

use std::collections::VecDeque;

use crate::autocorrelation;

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
    latest: VecDeque<f64>,
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
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
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

    /// Estimates anew; call it now and then, such as when a pane closes.
    pub fn estimate(&mut self) {
        if self.latest.len() < FIRST {
            return;
        }
        if self.estimates.len() == ESTIMATES {
            self.estimates.pop_front();
        }
        self.estimates.push_back(autocorrelation::time(self.latest.make_contiguous()));
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
