//! A rollout: a candidate on its way to be the primary version, by a shadow first and then by steps
//! of a canary, and back at once when it does worse. Pure: time is an argument, and nothing here
//! knows how a step is carried out.
//!
//! Only a person, or a plan that says `promote: automatic`, takes it a step further; silence, too
//! few pairs and low coverage never do.

pub mod command;
pub mod compare;
pub mod pairs;
pub mod segments;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::paired::{Compared, Quantity};

use crate::config::duration::millis;
use crate::config::rollout::{Plan, Promote};
use crate::decision::{Action, UnixMillis};
use pairs::Comparison;

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", content = "step", rename_all = "snake_case")]
pub enum Phase {
    /// The candidate gets copies, and nobody its answers.
    Shadow,
    /// It answers the share of the plan's step, from 0.
    Canary(usize),
    /// It is the primary version.
    Promoted,
    /// The primary serves alone again.
    Aborted,
}

/// A candidate on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// The model.
    pub model: String,
    /// The candidate.
    pub to: String,
    /// How it goes.
    pub plan: Plan,
    /// Where it stands.
    #[serde(flatten)]
    pub phase: Phase,
    /// Why it stands still; `None` while it goes on.
    pub paused: Option<String>,
    /// Who started it.
    pub author: String,
    /// When it began.
    pub started_unix_ms: UnixMillis,
    /// When its phase began.
    pub since_unix_ms: UnixMillis,
    /// When it ends by itself.
    pub ends_unix_ms: UnixMillis,
    /// The decision that carries its phase out.
    pub decision: Option<String>,
}

/// What follows for a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// Nothing yet, and why.
    Wait(String),
    /// It could go on; a person must say so.
    Ready,
    /// It goes on.
    Advance,
    /// It ends, and why.
    Abort(String),
}

impl Rollout {
    /// A rollout that begins now with its shadow.
    #[must_use]
    pub fn begin(model: &str, to: &str, plan: &Plan, author: &str, now: UnixMillis) -> Self {
        let lasts = millis(plan.lasts);
        Self {
            model: model.to_owned(),
            to: to.to_owned(),
            plan: plan.clone(),
            phase: Phase::Shadow,
            paused: None,
            author: author.to_owned(),
            started_unix_ms: now,
            since_unix_ms: now,
            ends_unix_ms: now.saturating_add(lasts),
            decision: None,
        }
    }

    /// Whether it is under way, going on or standing still.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Shadow | Phase::Canary(_))
    }

    /// What Envoy should do in this phase.
    #[must_use]
    pub fn action(&self) -> Action {
        let (to, shadow) = (self.to.clone(), self.plan.shadow);
        match self.phase {
            Phase::Shadow => Action::Shadow { to, share: shadow },
            Phase::Canary(step) => {
                let share = self.plan.steps.get(step).copied().unwrap_or(1);
                Action::Canary { to, share, shadow }
            }
            Phase::Promoted => Action::Promote { to },
            Phase::Aborted => Action::Serve,
        }
    }

    /// Where a step further leads.
    #[must_use]
    pub fn further(&self) -> Phase {
        let next = match self.phase {
            Phase::Shadow => 0,
            Phase::Canary(step) => step + 1,
            Phase::Promoted | Phase::Aborted => return self.phase,
        };
        if next < self.plan.steps.len() { Phase::Canary(next) } else { Phase::Promoted }
    }

    /// The phase in words, such as `canary 25 % (step 2 of 3)`.
    #[must_use]
    pub fn told(&self, phase: Phase) -> String {
        match phase {
            Phase::Shadow => format!("shadow {} %", self.plan.shadow),
            Phase::Canary(step) => {
                let share = self.plan.steps.get(step).copied().unwrap_or(0);
                format!("canary {share} % (step {} of {})", step + 1, self.plan.steps.len())
            }
            Phase::Promoted => "promoted".to_owned(),
            Phase::Aborted => "aborted".to_owned(),
        }
    }

    /// In another phase from now on.
    #[must_use]
    pub fn moved(mut self, phase: Phase, now: UnixMillis) -> Self {
        self.phase = phase;
        self.since_unix_ms = now;
        self.paused = None;
        self.decision = None;
        self
    }

    /// What follows from what the pairs of this phase say, which were collected for so long: a clock that
    /// is set forward takes no candidate further.
    #[must_use]
    pub fn turn(&self, comparison: &Comparison, now: UnixMillis, lasted: Duration) -> Turn {
        if let Some(worst) = worst(comparison) {
            return Turn::Abort(format!("{} does worse: {}", self.to, in_words(worst)));
        }
        if now >= self.ends_unix_ms {
            return Turn::Abort("its time ran out".to_owned());
        }
        if let Some(why) = &self.paused {
            return Turn::Wait(format!("paused: {why}"));
        }
        match comparison.verdict {
            Verdict::Healthy => {}
            Verdict::Warning => {
                let segment = comparison.segments.first().map_or("", |s| s.segment.as_str());
                return Turn::Wait(format!("it differs where {segment}; a person must look"));
            }
            Verdict::Inconclusive | Verdict::Alarm => return Turn::Wait(lacking(self, comparison)),
        }
        let left = millis(self.plan.hold.saturating_sub(lasted));
        if left > 0 {
            return Turn::Wait(format!("healthy; the step lasts {} s more", left.div_ceil(1000)));
        }
        match self.plan.promote {
            Promote::Person => Turn::Ready,
            Promote::Automatic => Turn::Advance,
        }
    }
}

/// The quantity that is certainly beyond its limit, if one is.
fn worst(comparison: &Comparison) -> Option<&Compared> {
    let all = comparison.compared.iter().chain(&comparison.canary_errors);
    all.into_iter().find(|compared| compared.verdict == Verdict::Alarm)
}

/// What is missing before anything can be said.
fn lacking(rollout: &Rollout, comparison: &Comparison) -> String {
    let least = rollout.plan.min_pairs;
    if comparison.pairs < least {
        return format!("{} of {least} pairs so far", comparison.pairs);
    }
    if comparison.coverage.is_none_or(|coverage| coverage < rollout.plan.min_coverage) {
        let percent = comparison.coverage.unwrap_or(0.0) * 100.0;
        return format!("only {percent:.0} % of the pairs that should be there are");
    }
    let unsure = comparison.compared.iter().find(|c| c.verdict == Verdict::Inconclusive);
    unsure.map_or_else(|| "too little is known yet".to_owned(), in_words)
}

/// A quantity as people read it: `disagreement 3.1 % (1.9 to 4.8 %, at most 10 %; 812 pairs)`.
#[must_use]
pub fn in_words(compared: &Compared) -> String {
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let Compared { quantity, pairs, value, interval: (low, high), limit, .. } = compared;
    let sign = if *quantity == Quantity::Shift { "±" } else { "at most " };
    format!(
        "{} {} % ({} to {} %, {sign}{} %; {pairs} pairs)",
        quantity.name(),
        percent(*value),
        percent(*low),
        percent(*high),
        percent(*limit)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_detectors::finding::Verdict;
    use tidegate_detectors::paired::{Compared, Quantity};

    use super::pairs::Comparison;
    use super::{Phase, Rollout, Turn};
    use crate::config::rollout::{Plan, Promote};
    use crate::decision::Action;

    const MINUTE: u64 = 60_000;

    fn held(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn rollout(promote: Promote) -> Rollout {
        let plan = Plan { promote, ..Plan::default() };
        Rollout::begin("census", "v3", &plan, "ada", 0)
    }

    fn comparison(verdict: Verdict, pairs: u64) -> Comparison {
        let compared = Compared {
            quantity: Quantity::Disagreement,
            pairs,
            value: 0.2,
            interval: (0.15, 0.25),
            limit: 0.1,
            verdict,
        };
        Comparison {
            pairs,
            expected: 1000.0,
            coverage: Some(pairs as f64 / 1000.0),
            verdict,
            compared: vec![compared],
            canary_errors: None,
            segments: Vec::new(),
            farthest: Vec::new(),
        }
    }

    #[test]
    fn the_way_goes_by_the_shadow_and_the_steps_to_the_top() {
        let mut rollout = rollout(Promote::Person);
        let mut actions = vec![rollout.action()];
        while rollout.is_open() {
            let further = rollout.further();
            rollout = rollout.moved(further, 0);
            actions.push(rollout.action());
        }
        let to = || "v3".to_owned();
        let canary = |share| Action::Canary { to: to(), share, shadow: 20 };
        let shadow = Action::Shadow { to: to(), share: 20 };
        let promote = Action::Promote { to: to() };
        assert_eq!(actions, [shadow, canary(5), canary(25), canary(50), promote]);
        assert_eq!(rollout.further(), Phase::Promoted);
    }

    #[test]
    fn a_healthy_step_waits_for_its_time_and_then_for_a_person() {
        let healthy = comparison(Verdict::Healthy, 900);
        let by_hand = rollout(Promote::Person);
        assert!(matches!(by_hand.turn(&healthy, 9 * MINUTE, held(9 * MINUTE)), Turn::Wait(_)));
        // A clock that is set forward takes nothing further, and one that is set back holds nothing up.
        assert!(matches!(by_hand.turn(&healthy, 60 * MINUTE, held(9 * MINUTE)), Turn::Wait(_)));
        assert_eq!(by_hand.turn(&healthy, 0, held(10 * MINUTE)), Turn::Ready);
        assert_eq!(by_hand.turn(&healthy, 10 * MINUTE, held(10 * MINUTE)), Turn::Ready);
        let by_itself = rollout(Promote::Automatic);
        assert_eq!(by_itself.turn(&healthy, 10 * MINUTE, held(10 * MINUTE)), Turn::Advance);
    }

    #[test]
    fn silence_and_doubt_never_promote() {
        let mut by_itself = rollout(Promote::Automatic);
        for (verdict, pairs) in [(Verdict::Inconclusive, 0), (Verdict::Inconclusive, 900)] {
            let turn = by_itself.turn(&comparison(verdict, pairs), 11 * MINUTE, held(11 * MINUTE));
            assert!(matches!(turn, Turn::Wait(_)), "{turn:?}");
        }
        let warned =
            by_itself.turn(&comparison(Verdict::Warning, 900), 11 * MINUTE, held(11 * MINUTE));
        assert!(matches!(warned, Turn::Wait(_)), "{warned:?}");
        by_itself.paused = Some("ada looks".to_owned());
        let paused =
            by_itself.turn(&comparison(Verdict::Healthy, 900), 11 * MINUTE, held(11 * MINUTE));
        assert_eq!(paused, Turn::Wait("paused: ada looks".to_owned()));
    }

    #[test]
    fn a_candidate_that_does_worse_goes_back_at_once_even_while_paused() {
        let mut rollout = rollout(Promote::Person);
        rollout.paused = Some("lunch".to_owned());
        let Turn::Abort(why) = rollout.turn(&comparison(Verdict::Alarm, 100), 1, held(1)) else {
            panic!("it goes on")
        };
        assert_eq!(
            why,
            "v3 does worse: disagreement 20.0 % (15.0 to 25.0 %, at most 10.0 %; 100 pairs)"
        );
    }

    #[test]
    fn one_that_takes_too_long_ends() {
        let healthy = comparison(Verdict::Healthy, 900);
        let day = 24 * 60 * MINUTE;
        let turn = rollout(Promote::Automatic).turn(&healthy, day, held(day));
        assert_eq!(turn, Turn::Abort("its time ran out".to_owned()));
    }
}
