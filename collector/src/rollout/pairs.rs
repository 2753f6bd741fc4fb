//! Pairs: what primary and candidate answered to the same request, joined by request id, and what
//! they say of the candidate. Pure: it is told when; it does not know where answers come from, nor
//! what follows.
//!
//! Answers wait for each other in bounded number and for a bounded time. Only exchanges that the
//! sampling rate keeps are paired, because what a rule keeps was chosen by how it ended; so what is
//! missing is missing by chance, or because the mirror was dropped, and the coverage tells how much.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_contract::columns::Columns;
use tidegate_detectors::confidence::Mean;
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::paired::{Compared, Pair, Paired, Quantity};

use super::compare::{Apart, MAX_ROWS, Outputs};
use super::segments::Segments;
use crate::config::rollout::Plan;
use crate::decision::UnixMillis;

/// Answers that wait for their other half.
const MAX_WAITING: usize = 4096;
/// Cells that they may have together: 24 bytes each.
const MAX_WAITING_CELLS: usize = 1 << 20;
/// How long they wait: a mirror is asked at once, and samples come within seconds.
const PATIENCE_MS: UnixMillis = 60_000;
/// Exchanges told of those that are farthest apart.
const FARTHEST: usize = 10;
/// Segments told.
const SEGMENTS_TOLD: usize = 10;
/// The chance that a rollout is ever called worse, or better, than it is.
const ALPHA: f64 = 0.05;

/// One version's answer to a request that the sampling rate keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Envoy's `x-request-id`.
    pub request_id: Box<str>,
    /// The version, by its place in the configuration.
    pub version: usize,
    /// Whether it was a shadow's, which nobody waited for.
    pub shadow: bool,
    /// Whether it failed: with a status of 500 or more, or not at all.
    pub failed: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The outputs, where they could be read.
    pub outputs: Option<Arc<Columns>>,
    /// Which of the rows that came with it are its request's.
    pub asked: Option<usize>,
}

/// An answer that waits for its other half.
#[derive(Debug)]
struct Waiting {
    since: UnixMillis,
    answer: Answer,
    /// By row, the segments of the request; of the primary's only.
    segments: Vec<Vec<u16>>,
}

impl Waiting {
    fn cost(&self) -> usize {
        self.answer.outputs.as_ref().map_or(0, |outputs| outputs.cost()) + self.segments.len()
    }
}

/// An exchange on which two versions are far apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Differing {
    /// Its request id.
    pub request_id: String,
    /// Where, and by how much.
    #[serde(flatten)]
    pub apart: Apart,
}

/// How a candidate does in one part of the population.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Which, in words.
    pub segment: String,
    /// Pairs with rows in it.
    pub pairs: u64,
    /// The mean share of these rows on which the two disagree.
    pub disagreement: f64,
    /// Between what it lies, at all looks, corrected over all segments.
    pub interval: (f64, f64),
}

/// What pairs say of a candidate since its step began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Exchanges that both answered.
    pub pairs: u64,
    /// Exchanges of the primary that should have become pairs, by the mirrored share.
    pub expected: f64,
    /// The first over the second; `None` before anything was expected.
    pub coverage: Option<f64>,
    /// The verdict on all of it.
    pub verdict: Verdict,
    /// By quantity.
    pub compared: Vec<Compared>,
    /// How much more often the candidate fails where it answers clients; `None` where it does not.
    pub canary_errors: Option<Compared>,
    /// Segments in which the two disagree more than they may, then the most of the others.
    pub segments: Vec<Segment>,
    /// The exchanges on which they are farthest apart.
    pub farthest: Vec<Differing>,
}

/// The pairs of one step of a rollout.
#[derive(Debug)]
pub struct Pairs {
    old: usize,
    new: usize,
    plan: Plan,
    alpha: f64,
    outputs: Outputs,
    segments: Segments,
    waiting: HashMap<Box<str>, Waiting>,
    /// By age, with the time at which each came; what was joined meanwhile is not waiting any more.
    order: VecDeque<(UnixMillis, Box<str>)>,
    waiting_cells: usize,
    paired: Paired,
    by_segment: Vec<Mean>,
    farthest: Vec<Differing>,
    eligible: u64,
    /// How often each failed where clients waited: the old version, the new one.
    failed: [Mean; 2],
}

impl Pairs {
    /// No pairs yet of these two versions. The chance of an error is shared with the other steps.
    #[must_use]
    pub fn new(old: usize, new: usize, plan: &Plan, outputs: Outputs, segments: Segments) -> Self {
        let steps = plan.steps.len() as f64 + 1.0;
        Self {
            old,
            new,
            plan: plan.clone(),
            alpha: ALPHA / steps,
            outputs,
            by_segment: vec![Mean::default(); segments.labels().len()],
            segments,
            waiting: HashMap::new(),
            order: VecDeque::new(),
            waiting_cells: 0,
            paired: Paired::default(),
            farthest: Vec::new(),
            eligible: 0,
            failed: [Mean::default(); 2],
        }
    }

    /// Takes an answer in. `asked` are the rows of its request, where it is the primary's.
    pub fn take(&mut self, answer: Answer, asked: Option<&Columns>, now: UnixMillis) {
        let mine =
            if answer.shadow { answer.version == self.new } else { answer.version == self.old };
        if !answer.shadow {
            let failed = f64::from(u8::from(answer.failed));
            match answer.version {
                version if version == self.old => self.failed[0].observe(failed),
                version if version == self.new => self.failed[1].observe(failed),
                _ => {}
            }
        }
        if !mine {
            return;
        }
        self.eligible += u64::from(!answer.shadow);
        self.forget(now);
        let segments = asked.map(|asked| self.segments.rows(asked)).unwrap_or_default();
        match self.waiting.remove(&answer.request_id) {
            // The first that came with an id stands; a second one of the same side is not a pair.
            Some(first) if first.answer.shadow == answer.shadow => {
                self.waiting.insert(answer.request_id, first);
            }
            Some(first) => {
                self.waiting_cells = self.waiting_cells.saturating_sub(first.cost());
                if answer.shadow {
                    self.pair(&first.answer, &answer, &first.segments);
                } else {
                    self.pair(&answer, &first.answer, &segments);
                }
            }
            None => {
                let waiting = Waiting { since: now, answer, segments };
                let cost = waiting.cost();
                if cost <= MAX_WAITING_CELLS {
                    let id = waiting.answer.request_id.clone();
                    self.waiting_cells += cost;
                    self.order.push_back((now, id.clone()));
                    self.waiting.insert(id, waiting);
                }
            }
        }
    }

    /// Lets go of what waits too long, and of the oldest where there is no room.
    fn forget(&mut self, now: UnixMillis) {
        while let Some((since, id)) = self.order.front() {
            let full = self.waiting.len() >= MAX_WAITING || self.waiting_cells > MAX_WAITING_CELLS;
            let crowded = self.order.len() >= 2 * MAX_WAITING;
            if !full && !crowded && now.saturating_sub(*since) < PATIENCE_MS {
                return;
            }
            // One with the same id that came later is another one.
            if self.waiting.get(id).is_some_and(|waiting| waiting.since == *since)
                && let Some(gone) = self.waiting.remove(id)
            {
                self.waiting_cells = self.waiting_cells.saturating_sub(gone.cost());
            }
            self.order.pop_front();
        }
    }

    fn pair(&mut self, old: &Answer, new: &Answer, segments: &[Vec<u16>]) {
        let both = old.outputs.as_ref().zip(new.outputs.as_ref());
        let distance = both
            .filter(|_| !old.failed && !new.failed)
            .and_then(|(old, new)| self.outputs.compare(old, new));
        let share = |rows: &[bool]| {
            let apart = rows.iter().filter(|apart| **apart).count();
            (!rows.is_empty()).then(|| apart as f64 / rows.len() as f64)
        };
        let slow = (!old.failed && !new.failed)
            .then_some(new.seconds > self.plan.slow_factor * old.seconds);
        self.paired.observe(Pair {
            disagreement: distance.as_ref().and_then(|distance| share(&distance.rows)),
            shift: distance.as_ref().and_then(|distance| distance.shift),
            old_failed: old.failed,
            new_failed: new.failed,
            slow,
        });
        let Some(distance) = distance else { return };
        let mut within: HashMap<u16, (u32, u32)> = HashMap::new();
        for (apart, segments) in distance.rows.iter().zip(segments).take(MAX_ROWS) {
            for segment in segments {
                let (disagree, rows) = within.entry(*segment).or_default();
                *disagree += u32::from(*apart);
                *rows += 1;
            }
        }
        for (segment, (disagree, rows)) in within {
            if let Some(mean) = self.by_segment.get_mut(usize::from(segment)) {
                mean.observe(f64::from(disagree) / f64::from(rows));
            }
        }
        if let Some(apart) = distance.farthest {
            let nearer = |differing: &Differing| differing.apart.distance < apart.distance;
            let at = self.farthest.iter().position(nearer).unwrap_or(self.farthest.len());
            if at < FARTHEST {
                let request_id = old.request_id.to_string();
                self.farthest.insert(at, Differing { request_id, apart });
                self.farthest.truncate(FARTHEST);
            }
        }
    }

    /// What the pairs say so far.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        // Half of the chance is for the whole and the canary's errors, half for the segments.
        let compared = self.paired.compared(&self.plan.limits, self.alpha / 4.0);
        let canary_errors = self.canary_errors(self.alpha / 4.0);
        let segments = self.segments(self.alpha / 2.0);
        let expected = self.eligible as f64 * f64::from(self.plan.shadow) / 100.0;
        let pairs = self.paired.pairs();
        let coverage = (expected > 0.0).then(|| (pairs as f64 / expected).min(1.0));
        let limit = self.plan.limits.disagreement;
        let beyond = segments.iter().any(|segment| segment.interval.0 > limit);
        let enough = pairs >= self.plan.min_pairs
            && coverage.is_some_and(|coverage| coverage >= self.plan.min_coverage);
        let all = || compared.iter().chain(&canary_errors);
        // Answers need not be numbers, so their mean may be unknown for ever; nothing else may.
        let healthy = |compared: &Compared| {
            let mute = compared.quantity == Quantity::Shift && compared.pairs == 0;
            mute || compared.verdict == Verdict::Healthy
        };
        let verdict = match () {
            () if all().any(|compared| compared.verdict == Verdict::Alarm) => Verdict::Alarm,
            () if beyond => Verdict::Warning,
            () if enough && all().all(healthy) => Verdict::Healthy,
            () => Verdict::Inconclusive,
        };
        Comparison {
            pairs,
            expected,
            coverage,
            verdict,
            compared: compared.to_vec(),
            canary_errors,
            segments,
            farthest: self.farthest.clone(),
        }
    }

    fn canary_errors(&self, alpha: f64) -> Option<Compared> {
        let [old, new] = self.failed;
        let value = new.value()? - old.value()?;
        let (old, new) = (old.interval(alpha / 2.0), self.failed[1].interval(alpha / 2.0));
        let interval = (new.0 - old.1, new.1 - old.0);
        let limit = self.plan.limits.errors;
        let verdict = match () {
            () if interval.0 > limit => Verdict::Alarm,
            () if interval.1 <= limit => Verdict::Healthy,
            () => Verdict::Inconclusive,
        };
        let pairs = self.failed[1].count();
        Some(Compared { quantity: Quantity::Errors, pairs, value, interval, limit, verdict })
    }

    fn segments(&self, alpha: f64) -> Vec<Segment> {
        let alpha = alpha / self.by_segment.len().max(1) as f64;
        let told = self.by_segment.iter().zip(self.segments.labels());
        let mut segments: Vec<Segment> = told
            .filter_map(|(mean, label)| {
                let disagreement = mean.value()?;
                let interval = mean.interval(alpha);
                let (segment, pairs) = (label.clone(), mean.count());
                Some(Segment { segment, pairs, disagreement, interval })
            })
            .collect();
        segments.sort_by(|a, b| {
            b.interval.0.total_cmp(&a.interval.0).then(b.disagreement.total_cmp(&a.disagreement))
        });
        segments.truncate(SEGMENTS_TOLD);
        segments
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_detectors::finding::Verdict;
    use tidegate_detectors::reference::{Feature, Observation, Reference};

    use super::{Answer, Comparison, Outputs, Pairs, Segments};
    use crate::config::rollout::Plan;
    use crate::sides::Sides;

    fn sides() -> Sides {
        let mut age = Feature::number("age");
        let mut score = Feature::number("score");
        for row in 0..1000_u32 {
            age.observe(Observation::Number(f64::from(row % 100)));
            score.observe(Observation::Number(f64::from(row % 100) / 100.0));
        }
        let inputs = Reference::of(1000, vec![age]);
        Sides::of(&inputs, &Reference::of(1000, vec![score]))
    }

    fn pairs(plan: &Plan) -> Pairs {
        let outputs = Outputs::of(&sides(), [].into_iter(), plan.tolerance);
        Pairs::new(0, 1, plan, outputs, Segments::of(&sides()))
    }

    fn one(name: &str, value: f64) -> Columns {
        let cells = vec![Cell::Number(value)];
        Columns { rows: 1, columns: vec![Column { name: name.to_owned(), cells }] }
    }

    fn answer(id: usize, version: usize, score: f64) -> Answer {
        Answer {
            request_id: format!("r-{id}").into(),
            version,
            shadow: version == 1,
            failed: false,
            seconds: 0.01,
            outputs: Some(Arc::new(one("score", score))),
            asked: None,
        }
    }

    /// So many exchanges of people of all ages; the candidate says what `says` makes of age and score.
    fn after(exchanges: usize, plan: &Plan, says: impl Fn(f64, f64) -> f64) -> Comparison {
        let mut pairs = pairs(plan);
        for at in 0..exchanges {
            let (age, score) = ((at * 37 % 100) as f64, (at * 61 % 90) as f64 / 100.0);
            let (old, new) = (answer(at, 0, score), answer(at, 1, says(age, score)));
            let asked = one("age", age);
            // Either may come first.
            if at % 2 == 0 {
                pairs.take(old, Some(&asked), 0);
                pairs.take(new, None, 0);
            } else {
                pairs.take(new, None, 0);
                pairs.take(old, Some(&asked), 0);
            }
        }
        pairs.comparison()
    }

    fn whole() -> Plan {
        Plan { shadow: 100, ..Plan::default() }
    }

    #[test]
    fn a_candidate_that_says_the_same_is_healthy_once_there_is_enough() {
        let same = |_, score| score;
        let few = after(50, &whole(), same);
        assert_eq!((few.verdict, few.pairs, few.coverage), (Verdict::Inconclusive, 50, Some(1.0)));
        let enough = after(2000, &whole(), same);
        assert_eq!(enough.verdict, Verdict::Healthy, "{enough:#?}");
        assert!(enough.farthest.is_empty());
    }

    #[test]
    fn one_that_says_otherwise_is_an_alarm_with_the_exchanges_that_show_it() {
        let comparison =
            after(500, &whole(), |age, score| if age < 50.0 { score + 0.1 } else { score });
        assert_eq!(comparison.verdict, Verdict::Alarm);
        assert_eq!(comparison.farthest.len(), super::FARTHEST);
        assert!((comparison.farthest[0].apart.distance - 0.101).abs() < 0.01);
        let worst = &comparison.segments[0];
        assert!(worst.segment.starts_with("age") && worst.disagreement > 0.9, "{worst:?}");
    }

    #[test]
    fn one_that_differs_for_few_people_only_is_a_warning_that_names_them() {
        let plan = Plan {
            limits: tidegate_detectors::paired::Limits { disagreement: 0.3, ..whole().limits },
            ..whole()
        };
        let comparison =
            after(3000, &plan, |age, score| if age > 80.0 { 0.5 - score } else { score });
        assert_eq!(comparison.verdict, Verdict::Warning, "{comparison:#?}");
        assert!(comparison.segments[0].segment.starts_with("age > 7"), "{comparison:#?}");
    }

    #[test]
    fn mirrors_that_are_dropped_bias_nothing_and_are_told() {
        let mut pairs = pairs(&whole());
        for at in 0..3000 {
            pairs.take(answer(at, 0, 0.5), None, 0);
            if at % 3 == 0 {
                pairs.take(answer(at, 1, 0.5), None, 0);
            }
        }
        let comparison = pairs.comparison();
        assert_eq!((comparison.pairs, comparison.expected), (1000, 3000.0));
        assert_eq!(comparison.verdict, Verdict::Inconclusive, "a third is too little to trust");
        assert_eq!(comparison.compared[0].value, 0.0);
    }

    #[test]
    fn an_id_that_comes_twice_makes_one_pair() {
        let mut pairs = pairs(&whole());
        for _ in 0..3 {
            pairs.take(answer(1, 0, 0.5), None, 0);
        }
        pairs.take(answer(1, 1, 0.5), None, 0);
        pairs.take(answer(1, 1, 0.5), None, 0);
        assert_eq!(pairs.comparison().pairs, 1);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_age() {
        let mut pairs = pairs(&whole());
        for at in 0..20_000 {
            pairs.take(answer(at, 0, 0.5), None, 0);
        }
        assert!(pairs.waiting.len() <= super::MAX_WAITING);
        assert!(pairs.order.len() <= 2 * super::MAX_WAITING);
        pairs.take(answer(19_999, 1, 0.5), None, super::PATIENCE_MS);
        assert_eq!(pairs.comparison().pairs, 0, "its other half was let go");
        assert_eq!(pairs.waiting.len(), 1);
        assert_eq!(
            pairs.waiting_cells,
            pairs.waiting.values().map(super::Waiting::cost).sum::<usize>()
        );
    }

    #[test]
    fn a_canary_that_fails_its_clients_is_an_alarm() {
        let mut pairs = pairs(&whole());
        for at in 0..2000 {
            pairs.take(answer(at, 0, 0.5), None, 0);
            let canary =
                Answer { shadow: false, failed: at % 10 == 0, ..answer(10_000 + at, 1, 0.5) };
            pairs.take(canary, None, 0);
        }
        let comparison = pairs.comparison();
        assert_eq!(comparison.canary_errors.map(|errors| errors.verdict), Some(Verdict::Alarm));
        assert_eq!((comparison.verdict, comparison.pairs), (Verdict::Alarm, 0));
    }
}
