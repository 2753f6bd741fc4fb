//! Whether a model does worse than it did: concept drift, seen in what labels say.
//!
//! Every labelled row has a loss: 1 where the answer was wrong, or the rank of its error among
//! those of the rows that the model is compared with. Bets on a higher mean ([`crate::sequential`])
//! give evidence that holds however often one looks; the latest rows say how large the decline is.
//!
//! It does not know why the model errs more: the truth may depend otherwise on the inputs, or the
//! inputs may have moved to where the model never was good. Findings of data drift beside it tell.

use std::collections::VecDeque;

use crate::finding::{Detector, Direction, Evidence, Finding, Kind, Verdict};
use crate::gamma::upper_normal;
use crate::judge::{Rules, percent};
use crate::ks;
use crate::limit;
use crate::proportion::{self, Rate};
use crate::sequential::Bettor;
use crate::thinning::Thinning;

use super::interval::STANDARD_ERRORS;

/// Standard errors of what the model is compared with that count as no decline: 99 % are closer.
const CAUTION: f64 = 2.576;
/// The share of intervals that do not hold the true effect.
const DOUBT: f64 = 0.05;
/// Share of a period's money that is put in at the beginning.
const AT_ONCE: f64 = 1e-3;

/// What a model is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Against {
    /// An error rate that people know, 0 to 1.
    ErrorRate(f64),
    /// The errors of the first rows that were labelled, so many.
    First(usize),
}

/// How one row's answer was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Error {
    /// Right or wrong.
    Wrong(bool),
    /// Off by so much, 0 or more.
    By(f64),
}

impl Error {
    fn size(self) -> f64 {
        match self {
            Self::Wrong(wrong) => f64::from(u8::from(wrong)),
            Self::By(size) => size.abs(),
        }
    }
}

/// A watch over a model's errors.
#[derive(Debug, Clone)]
pub struct Decline {
    against: Against,
    enough: f64,
    period_ms: f64,
    last_ms: Option<i64>,
    /// The errors of the first rows; sorted, once they are all there.
    first: Vec<f64>,
    /// From when on there is something to compare with.
    bettor: Option<Bettor>,
    thinning: Thinning,
    /// Losses of the latest rows.
    latest: VecDeque<f64>,
    window: usize,
    ranked: bool,
}

impl Decline {
    /// A watch whose effect is that of the latest `window` rows. In each period of so many
    /// milliseconds it raises a false alarm with a chance of at most `alpha` (above 0).
    #[must_use]
    pub fn new(against: Against, window: usize, alpha: f64, period_ms: u64) -> Self {
        let enough = 1.0 / alpha.clamp(f64::MIN_POSITIVE, 1.0);
        let bettor = match against {
            Against::ErrorRate(rate) => Some(Bettor::on_rate(0.0, rate, enough)),
            Against::First(_) => None,
        };
        Self {
            against,
            enough,
            period_ms: period_ms as f64,
            last_ms: None,
            first: Vec::new(),
            bettor,
            thinning: Thinning::default(),
            latest: VecDeque::new(),
            window: window.max(1),
            ranked: false,
        }
    }

    /// Takes in a row whose answer was given at this time. Rows come in the order of their labels.
    /// An error that is no number is passed over.
    pub fn observe(&mut self, error: Error, given_ms: i64) {
        let size = error.size();
        if size.is_nan() {
            return;
        }
        if let Against::First(rows) = self.against
            && self.bettor.is_none()
        {
            self.first.push(size);
            if self.first.len() >= rows.max(2) {
                self.ranked = matches!(error, Error::By(_));
                self.first.sort_unstable_by(f64::total_cmp);
                self.bettor = Some(self.on_first());
            }
            return;
        }
        let loss = self.loss(size);
        if self.latest.len() == self.window {
            self.latest.pop_front();
        }
        self.latest.push_back(loss);
        if let Some(bettor) = &mut self.bettor
            && self.thinning.takes(loss)
        {
            let passed = self.last_ms.map(|last| given_ms.saturating_sub(last).max(0) as f64);
            // A period is money for one alarm: what has passed of it, and a little to begin with.
            let share = passed.map_or(AT_ONCE, |passed| passed / self.period_ms);
            self.last_ms = Some(self.last_ms.map_or(given_ms, |last| last.max(given_ms)));
            bettor.put_in(share, given_ms);
            bettor.observe(loss);
        }
    }

    /// Says that a window closed: how much losses depend on each other is estimated anew.
    pub fn close(&mut self) {
        self.thinning.estimate();
    }

    fn on_first(&self) -> Bettor {
        let rows = self.first.len() as f64;
        if self.ranked {
            // The mean rank of rows of the same distribution has the variance 1 / 12m.
            return Bettor::on_rate(0.0, 0.5 + CAUTION / (12.0 * rows).sqrt(), self.enough);
        }
        // Agresti & Coull's interval (Am. Stat. 52, 1998).
        let wrong: f64 = self.first.iter().sum();
        let z2 = CAUTION * CAUTION;
        let centre = (wrong + z2 / 2.0) / (rows + z2);
        let error = CAUTION * (centre * (1.0 - centre) / (rows + z2)).sqrt();
        Bettor::on_rate(0.0, centre + error, self.enough)
    }

    /// The loss of an error, 0 to 1.
    fn loss(&self, size: f64) -> f64 {
        if !self.ranked {
            return size.min(1.0);
        }
        let below = self.first.partition_point(|first| *first < size);
        let upto = self.first.partition_point(|first| *first <= size);
        (below + upto) as f64 / 2.0 / self.first.len() as f64
    }

    /// What the latest rows show; `None` while there is nothing to compare with.
    #[must_use]
    pub fn finding(&self, output: &str, rules: &Rules) -> Option<Finding> {
        let bettor = self.bettor.as_ref()?;
        let min_effect = rules.min_effect.concept_drift;
        let rows = self.latest.len() as u64;
        let mean = if rows == 0 { 0.0 } else { self.latest.iter().sum::<f64>() / rows as f64 };
        let stride = u64::from(self.thinning.stride());
        let hits = |sum: f64, of: u64| Rate::new(sum.round() as u64, of);
        let wrong = hits(mean * (rows / stride) as f64, rows / stride);
        let known = self.first.len() as u64;
        let (before, p_value, doubt) = if self.ranked {
            // One-sided, by the normal law of a mean of ranks (Mann & Whitney).
            let (m, n) = (known.max(1) as f64, (rows / stride).max(1) as f64);
            let error = ((m + n + 1.0) / (12.0 * m * n)).sqrt();
            (0.5, upper_normal((mean - 0.5) / error), STANDARD_ERRORS * error)
        } else if let Against::ErrorRate(rate) = self.against {
            (rate, limit::exceeds(wrong, rate), ks::detectable(u64::MAX, wrong.of(), DOUBT))
        } else {
            let first = hits(self.first.iter().sum(), known);
            let p = proportion::compare(first, wrong).p_value;
            (first.share(), p, ks::detectable(known, wrong.of(), DOUBT))
        };
        let difference = if rows == 0 { 0.0 } else { mean - before };
        let effect = difference.max(0.0);
        let matters = effect >= min_effect;
        let evidence = bettor.evidence();
        let verdict = if rows < rules.min_rows {
            Verdict::Inconclusive
        } else if matters && evidence >= self.enough {
            Verdict::Alarm
        } else if matters && p_value <= rules.warning_alpha {
            Verdict::Warning
        } else if effect + doubt > rules.max_detectable * min_effect && !matters {
            // Too few rows to tell a decline that matters from chance.
            Verdict::Inconclusive
        } else {
            Verdict::Healthy
        };
        let words = |share: f64| {
            if self.ranked {
                format!("error's mean rank {share:.2}")
            } else {
                format!("wrong {}", percent(share))
            }
        };
        Some(Finding {
            detector: Detector::RealisedError,
            kind: Kind::ConceptDrift,
            feature: Some(output.to_owned()),
            features: Vec::new(),
            verdict,
            statistic: difference,
            effect,
            effect_interval: ((effect - doubt).max(0.0), (effect + doubt).min(1.0)),
            min_effect,
            p_value,
            adjusted_p_value: p_value,
            alpha: 1.0 / self.enough,
            evidence: Some(Evidence {
                value: evidence,
                enough: self.enough,
                since_unix_ms: (evidence > 1.0).then_some(bettor.since()),
            }),
            detectable: doubt.min(1.0),
            rows,
            reference_rows: known,
            coverage: None,
            direction: Direction::of(difference),
            was: words(before),
            now: words(mean),
            excess: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    const MONTH_MS: u64 = 30 * 86_400_000;

    fn verdict(decline: &Decline) -> Verdict {
        decline.finding("score", &Rules::default()).map_or(Verdict::Inconclusive, |f| f.verdict)
    }

    /// Rows one second apart, each wrong with this chance.
    fn err(decline: &mut Decline, random: &mut Random, from: i64, rows: i64, chance: f64) {
        for at in from..from + rows {
            decline.observe(Error::Wrong(random.unit() < chance), at * 1_000);
            if at % 50 == 0 {
                decline.close();
            }
        }
    }

    #[test]
    fn a_model_that_errs_as_it_did_raises_nothing() {
        let mut alarms = 0;
        for seed in 0..200 {
            let mut random = Random::seeded(seed);
            let mut decline = Decline::new(Against::First(500), 1_000, 0.01, 5_000_000);
            for part in 0..10 {
                err(&mut decline, &mut random, part * 550, 550, 0.1);
                alarms += i32::from(verdict(&decline) == Verdict::Alarm);
            }
        }
        // A chance of 1 % in each play, however often one looks.
        assert!(alarms <= 6, "{alarms}");
    }

    #[test]
    fn a_model_that_errs_more_is_found_and_dated() {
        for against in [Against::First(500), Against::ErrorRate(0.1)] {
            let mut random = Random::seeded(4);
            let mut decline = Decline::new(against, 1_000, 0.001, MONTH_MS);
            err(&mut decline, &mut random, 0, 2_500, 0.1);
            assert_eq!(verdict(&decline), Verdict::Healthy, "{against:?}");
            let mut at = 2_500;
            while verdict(&decline) != Verdict::Alarm {
                assert!(at < 3_000, "{against:?}: not within 500 rows");
                err(&mut decline, &mut random, at, 50, 0.3);
                at += 50;
            }
            let finding = decline.finding("score", &Rules::default()).unwrap();
            assert_eq!(finding.kind, Kind::ConceptDrift);
            assert!(finding.was.starts_with("wrong ") && finding.effect >= 0.05, "{finding:?}");
            let since = finding.evidence.unwrap().since_unix_ms.unwrap();
            assert!((2_000_000..2_800_000).contains(&since), "{against:?}: {since}");
        }
    }

    #[test]
    fn a_decline_too_small_to_matter_is_none() {
        let mut random = Random::seeded(4);
        let mut decline = Decline::new(Against::ErrorRate(0.1), 5_000, 0.001, MONTH_MS);
        err(&mut decline, &mut random, 0, 40_000, 0.125);
        let finding = decline.finding("score", &Rules::default()).unwrap();
        let evidence = finding.evidence.unwrap();
        assert!(evidence.value >= evidence.enough, "certain, {evidence:?}");
        assert_eq!(finding.verdict, Verdict::Healthy, "and small");
    }

    #[test]
    fn errors_of_numbers_are_ranked_among_the_first() {
        let mut random = Random::seeded(8);
        let mut decline = Decline::new(Against::First(400), 500, 0.001, MONTH_MS);
        let mut off = |decline: &mut Decline, from: i64, rows: i64, scale: f64| {
            for at in from..from + rows {
                // A heavy tail: errors without a variance.
                decline.observe(Error::By(scale / random.positive()), at * 1_000);
            }
        };
        off(&mut decline, 0, 1_500, 1.0);
        assert_eq!(verdict(&decline), Verdict::Healthy);
        off(&mut decline, 1_500, 600, 1.6);
        let finding = decline.finding("price", &Rules::default()).unwrap();
        assert_eq!(finding.verdict, Verdict::Alarm, "{finding:?}");
        assert!(finding.now.starts_with("error's mean rank 0.6"), "{}", finding.now);
    }

    #[test]
    fn few_rows_and_odd_ones_say_nothing() {
        let mut decline = Decline::new(Against::First(500), 100, 0.01, MONTH_MS);
        assert_eq!(decline.finding("score", &Rules::default()), None);
        decline.observe(Error::By(f64::NAN), 0);
        assert_eq!(decline.finding("score", &Rules::default()), None);
        let mut decline = Decline::new(Against::ErrorRate(0.5), 100, 0.01, MONTH_MS);
        assert_eq!(verdict(&decline), Verdict::Inconclusive);
        (0..20).for_each(|at| decline.observe(Error::Wrong(true), at));
        assert_eq!(verdict(&decline), Verdict::Inconclusive);
        // First rows of which none was wrong are no promise that none will be.
        let mut decline = Decline::new(Against::First(100), 300, 0.01, MONTH_MS);
        (0..500).for_each(|at| decline.observe(Error::Wrong(at % 100 == 99), at));
        assert_ne!(verdict(&decline), Verdict::Alarm);
    }
}
