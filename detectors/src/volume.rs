//! How many exchanges a window should have: by the hour of the week as training data had rows, at the
//! level that traffic had of late. It does not know time zones: all hours are of UTC.
//!
//! Counts of traffic scatter more than Poisson's law allows, so a window's count is divided by how
//! much those before it did (quasi-likelihood; Wedderburn, Biometrika 61, 1974). A window counts
//! for what is usual only once it is past, so that it is never held against itself.

use std::collections::VecDeque;

use crate::gamma::{lower_regularised, upper_regularised};
use crate::season::Period;

/// Over how much time the level forgets.
const MEMORY_MS: f64 = 24.0 * 3_600_000.0;

/// Windows, one after the other, that must have passed before anything is said.
const WINDOWS: u64 = 10;

/// Exchanges that a window must be expected to have.
const LEAST: f64 = 20.0;

/// What a window had, beside what it should have had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// Exchanges that there were.
    pub seen: u64,
    /// Exchanges that were to be expected.
    pub expected: f64,
    /// How many times as much counts scatter as Poisson's law says: at least 1.
    pub dispersion: f64,
}

impl Usual {
    /// The chance of a count at least as far from what is usual, on either side, where nothing has
    /// changed: twice the smaller tail of Poisson's law, at most 1.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let seen = self.seen as f64;
        let (mean, count) = (self.expected / self.dispersion, seen / self.dispersion);
        if mean.is_nan() || mean <= 0.0 {
            return 1.0;
        }
        // P(X <= k) is the upper gamma function at k + 1, P(X >= k) the lower one at k, for any k.
        let lower = upper_regularised(count + 1.0, mean);
        let upper = if self.seen == 0 { 1.0 } else { lower_regularised(count, mean) };
        (2.0 * lower.min(upper)).min(1.0)
    }

    /// How far a count is from what is usual: the part of the larger of both that the smaller lacks, 0 to 1.
    #[must_use]
    pub fn effect(&self) -> f64 {
        let seen = self.seen as f64;
        let (most, least) = (self.expected.max(seen), self.expected.min(seen));
        if most > 0.0 { 1.0 - least / most } else { 0.0 }
    }
}

/// A mean that forgets.
#[derive(Debug, Clone, Copy, Default)]
struct Fading {
    weight: f64,
    sum: f64,
}

impl Fading {
    fn take(&mut self, value: f64, weight: f64, keep: f64) {
        self.weight = self.weight * keep + weight;
        self.sum = self.sum * keep + value;
    }

    fn mean(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// What is learned of a model's traffic, hop by hop.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Of each hour of the week, how many times the mean of all hours; `None` where it is not known.
    shape: Vec<Option<f64>>,
    hop_ms: f64,
    hops_in_window: usize,
    /// The hops of the window that closed last, the newest at the end: what they saw, and their part of the shape.
    hops: VecDeque<(u64, f64)>,
    /// Exchanges for a shape of 1.
    level: Fading,
    /// How windows scattered.
    scatter: Fading,
    passed: u64,
}

impl Volume {
    /// Nothing learned yet of traffic. `rows` are those of training by hour of the week (Monday, 00:00 UTC
    /// first), `met` how often each of these hours was there; hours that never were say nothing.
    /// `None` where no row was.
    #[must_use]
    pub fn new(rows: &[u64], met: &[u64], hop_ms: u64, hops_in_window: usize) -> Option<Self> {
        let rate = |(&rows, &met): (&u64, &u64)| (met > 0).then(|| rows as f64 / met as f64);
        let rates: Vec<Option<f64>> = rows.iter().zip(met).map(rate).collect();
        let known: Vec<f64> = rates.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        (rates.len() == Period::Week.hours() && mean > 0.0).then(|| Volume {
            shape: rates.into_iter().map(|rate| rate.map(|rate| rate / mean)).collect(),
            hop_ms: hop_ms.max(1) as f64,
            hops_in_window: hops_in_window.max(1),
            hops: VecDeque::new(),
            level: Fading::default(),
            scatter: Fading::default(),
            passed: 0,
        })
    }

    /// Takes in what the hop saw that ended at this time, in milliseconds since 1970, and gives what the
    /// window that it completes should have had; `None` where that is not known yet, or too little.
    pub fn take(&mut self, seen: u64, end_ms: i64) -> Option<Usual> {
        let hour = Period::Week.hour(end_ms.saturating_sub(1));
        let Some(shape) = self.shape[hour] else {
            // What came before an hour that nobody knows says nothing of the window after it.
            self.hops.clear();
            return None;
        };
        self.hops.push_back((seen, shape));
        let keep = (-self.hop_ms / MEMORY_MS).exp();
        if self.hops.len() > self.hops_in_window
            && let Some((seen, shape)) = self.hops.pop_front()
        {
            self.level.take(seen as f64, shape, keep);
            self.passed += 1;
        }
        if self.hops.len() < self.hops_in_window {
            return None;
        }
        let level = self.level.mean()?;
        let expected = level * self.hops.iter().map(|(_, shape)| shape).sum::<f64>();
        let seen = self.hops.iter().fold(0_u64, |sum, (seen, _)| sum.saturating_add(*seen));
        let known = self.passed >= WINDOWS * self.hops_in_window as u64;
        let dispersion = self.scatter.mean().filter(|_| known && expected >= LEAST);
        if expected > 0.0 {
            self.scatter.take((seen as f64 - expected).powi(2) / expected, 1.0, keep);
        }
        dispersion.map(|dispersion| Usual { seen, expected, dispersion: dispersion.max(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP_MS: i64 = 60_000;
    /// Monday, 2026-11-23, 00:00 UTC.
    const MONDAY: i64 = 1_795_392_000_000;

    /// Twice as many by day as by night.
    fn training() -> (Vec<u64>, Vec<u64>) {
        let by_day = |hour: usize| (8..20).contains(&(hour % 24));
        ((0..168).map(|hour| if by_day(hour) { 2_000 } else { 1_000 }).collect(), vec![1; 168])
    }

    fn volume() -> Volume {
        let (rows, met) = training();
        Volume::new(&rows, &met, HOP_MS as u64, 5).unwrap()
    }

    /// A hop's count about this mean, scattering more than Poisson's law says.
    fn about(mean: f64, at: i64) -> u64 {
        let mut z = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let uniform = (z >> 11) as f64 / (1_u64 << 53) as f64;
        (mean * (0.8 + 0.4 * uniform)).round() as u64
    }

    /// What four days of traffic like that of training are held to be, from the `share` of it after three.
    fn least_p(share: f64) -> (f64, f64) {
        let mut volume = volume();
        let (mut least, mut effect) = (1.0_f64, 0.0_f64);
        for hop in 0..4 * 1_440 {
            let hour = hop / 60 % 24;
            let by_day = (8..20).contains(&hour);
            let share = if hop < 3 * 1_440 + 300 { 1.0 } else { share };
            let seen = about(if by_day { 200.0 } else { 100.0 } * share, hop);
            let usual = volume.take(seen, MONDAY + (hop + 1) * HOP_MS);
            if let Some(usual) = usual.filter(|_| hop >= 1_440) {
                least = least.min(usual.p_value());
                effect = effect.max(usual.effect());
            }
        }
        (least, effect)
    }

    #[test]
    fn nights_are_as_usual_and_an_outage_is_not() {
        let (p, effect) = least_p(1.0);
        assert!(p > 1e-7 && effect < 0.5, "{p} {effect}");
        let (p, effect) = least_p(0.0);
        assert!(p < 1e-30 && effect == 1.0, "{p} {effect}");
        let (p, effect) = least_p(3.0);
        assert!(p < 1e-12 && effect > 0.6, "{p} {effect}");
    }

    #[test]
    fn nothing_is_said_before_it_is_known_what_is_usual() {
        let mut volume = volume();
        let mut said = (1..=200).map(|hop| volume.take(100, MONDAY + hop * HOP_MS).is_some());
        assert_eq!(said.by_ref().take(54).filter(|said| *said).count(), 0);
        assert!(said.next().unwrap());
        let mut few = self::volume();
        assert!((1..=200).all(|hop| few.take(1, MONDAY + hop * HOP_MS).is_none()));
    }

    #[test]
    fn hours_that_training_never_met_are_not_judged() {
        let (rows, mut met) = training();
        met[1] = 0;
        let mut volume = Volume::new(&rows, &met, HOP_MS as u64, 5).unwrap();
        let said: Vec<bool> =
            (1..=180).map(|hop| volume.take(100, MONDAY + hop * HOP_MS).is_some()).collect();
        assert!(said[59] && !said[60] && !said[119] && !said[123] && said[124]);
        assert!(Volume::new(&[0; 168], &[1; 168], 1, 1).is_none());
        assert!(Volume::new(&rows, &[0; 168], 1, 1).is_none());
        assert!(Volume::new(&rows[1..], &[1; 167], 1, 1).is_none());
    }

    #[test]
    fn tails_are_those_of_poisson() {
        // scipy.stats.poisson.cdf(3, 10), sf(19, 10), cdf(0, 50)
        let usual = |seen, expected| Usual { seen, expected, dispersion: 1.0 };
        let near = |usual: Usual, tail: f64| (usual.p_value() / (2.0 * tail) - 1.0).abs() < 1e-10;
        assert!(near(usual(3, 10.0), 0.010_336_050_675_925_726));
        assert!(near(usual(20, 10.0), 0.003_454_341_975_856_8));
        assert!(near(usual(0, 50.0), 1.928_749_847_963_917_8e-22));
        assert_eq!(usual(10, 10.0).p_value(), 1.0);
        assert_eq!(usual(5, 0.0).p_value(), 1.0);
        let scattered = Usual { seen: 30, expected: 100.0, dispersion: 10.0 };
        assert!((scattered.p_value() - usual(3, 10.0).p_value()).abs() < 1e-15);
        let effects = [10, 0, 40].map(|seen| usual(seen, 10.0).effect());
        assert_eq!(effects, [0.0, 1.0, 0.75]);
    }
}
