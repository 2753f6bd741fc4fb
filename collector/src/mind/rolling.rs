//! The mind's hand for rollouts: it carries their steps out as decisions, holds the candidate against
//! the primary while they last, and takes them back. It does not know when a step is good; `rollout`
//! does.

use tokio::time::Instant;
use tracing::{info, warn};

use super::Mind;
use crate::api::answer::RolloutStatus;
use crate::api::ask::{Refusal, RolloutWish};
use crate::clock;
use crate::config::model::{Model, Role};
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::ledger::{Ends, Event};
use crate::rollout::pairs::Pairs;
use crate::rollout::{Phase, Rollout, Turn};
use crate::state::StateError;

/// The author of what a rollout does by itself.
const AUTHOR: &str = "rollout";

/// A candidate under trial: the pairs of one phase.
pub(super) struct Trial {
    /// When the phase began that they are of.
    since_unix_ms: UnixMillis,
    /// When it began here: a step lasts by a clock that nobody sets.
    begun: Instant,
    pub(super) pairs: Pairs,
}

impl Mind {
    /// Has pairs collected for the phase that a model's rollout is in, or none.
    pub(super) fn follow_rollout(&mut self, at: usize) {
        let Some(watched) = self.watched.get_mut(at) else { return };
        let name = &watched.model.name;
        let open = self.ledger.rollout(name).filter(|rollout| rollout.is_open());
        self.pairing.want(at, open.is_some());
        let Some(rollout) = open else {
            watched.trial = None;
            return;
        };
        if watched.trial.as_ref().is_some_and(|of| of.since_unix_ms == rollout.since_unix_ms) {
            return;
        }
        let place = |version: &str| watched.model.versions.iter().position(|v| v.name == version);
        let promoted = self.ledger.promoted(name).map(|(version, _)| version);
        let old = promoted.and_then(place).or_else(|| place(&watched.model.primary().name));
        watched.trial = old.zip(place(&rollout.to)).map(|(old, new)| {
            let (outputs, segments) = (watched.outputs.clone(), watched.segments.clone());
            let pairs = Pairs::new(old, new, &rollout.plan, outputs, segments);
            Trial { since_unix_ms: rollout.since_unix_ms, begun: Instant::now(), pairs }
        });
    }

    /// Looks at how a model's rollout does, and does what follows.
    pub(super) fn roll(&mut self, at: usize, instant: Instant, now: UnixMillis) {
        let Some(watched) = self.watched.get(at) else { return };
        let name = watched.model.name.clone();
        let Some(rollout) = self.ledger.rollout(&name).filter(|rollout| rollout.is_open()) else {
            return;
        };
        if !self.leads() {
            return;
        }
        let rollout = rollout.clone();
        let active = self.ledger.active(&name);
        let done = if active.map(|active| &active.id) == rollout.decision.as_ref() {
            let turn = watched.trial.as_ref().map(|trial| {
                let lasted = instant.saturating_duration_since(trial.begun);
                rollout.turn(&trial.pairs.comparison(), now, lasted)
            });
            match turn {
                // Its version is gone from the configuration.
                None => self.take_back(at, &rollout, AUTHOR, "its version is gone", now),
                Some(Turn::Wait(_) | Turn::Ready) => Ok(()),
                Some(Turn::Advance) => {
                    let further = rollout.further();
                    self.carry_out(at, rollout.moved(further, now), AUTHOR, now)
                }
                Some(Turn::Abort(why)) => self.take_back(at, &rollout, AUTHOR, &why, now),
            }
        } else {
            // A person or the policy decided otherwise: that stands, and the rollout is over.
            let what = active.map_or_else(
                || "another decision".to_owned(),
                |active| format!("{} ({} by {})", active.id, active.action.name(), active.author),
            );
            self.note(at, over(rollout, &format!("{what} took its place"), now))
        };
        if let Err(error) = done {
            warn!(model = %name, %error, "the rollout stands still: nothing is done that cannot be written down");
        }
    }

    /// What a person wants of a rollout.
    pub(super) fn wish_rollout(
        &mut self,
        model: &str,
        wish: RolloutWish,
        author: &str,
    ) -> Result<RolloutStatus, Refusal> {
        let now = clock::unix_ms();
        let at = self.place(model)?;
        let open = self.ledger.rollout(model).filter(|rollout| rollout.is_open()).cloned();
        let open = || open.clone().ok_or_else(|| Refusal::NoRollout { model: model.to_owned() });
        let done = match wish {
            RolloutWish::Start { to, shadow, steps, hold, min_pairs, promote } => {
                if let Ok(rollout) = open() {
                    let (to, told) = (rollout.to.clone(), rollout.told(rollout.phase));
                    return Err(Refusal::RolloutOpen { model: model.to_owned(), to, told });
                }
                self.may_start(model)?;
                let configured = &self.watched[at].model;
                let to = self.candidate(configured, to.as_deref())?;
                let mut plan = configured.rollout.clone();
                plan.shadow = shadow.unwrap_or(plan.shadow);
                plan.steps = steps.unwrap_or(plan.steps);
                plan.hold = hold.unwrap_or(plan.hold);
                plan.min_pairs = min_pairs.unwrap_or(plan.min_pairs);
                plan.promote = promote.unwrap_or(plan.promote);
                plan.check().map_err(|why| Refusal::BadPlan { why })?;
                self.carry_out(at, Rollout::begin(model, &to, &plan, author, now), author, now)
            }
            RolloutWish::Pause { reason } => {
                let mut rollout = open()?;
                rollout.paused = Some(match reason.as_str() {
                    "" => format!("by {author}"),
                    reason => format!("{reason} ({author})"),
                });
                self.note(at, rollout)
            }
            RolloutWish::Resume => {
                let mut rollout = open()?;
                rollout.paused = None;
                self.note(at, rollout)
            }
            RolloutWish::Abort { reason } => {
                let why = if reason.is_empty() { "aborted" } else { reason.as_str() };
                self.take_back(at, &open()?, author, why, now)
            }
            RolloutWish::Promote { force } => {
                let rollout = open()?;
                let status = self.rollout_status(at, now);
                let ready = status.as_ref().is_some_and(|status| status.ready);
                if !ready && !force {
                    let why = status.map(|status| status.next).unwrap_or_default();
                    return Err(Refusal::NotReady { model: model.to_owned(), why });
                }
                let further = rollout.further();
                self.carry_out(at, rollout.moved(further, now), author, now)
            }
        };
        done.map_err(Refusal::Journal)?;
        self.rollout_status(at, now).ok_or_else(|| Refusal::NoRollout { model: model.to_owned() })
    }

    /// How a model's latest rollout stands.
    pub(super) fn rollout_status(&self, at: usize, now: UnixMillis) -> Option<RolloutStatus> {
        let watched = self.watched.get(at)?;
        let rollout = self.ledger.rollout(&watched.model.name)?;
        let trial = watched.trial.as_ref().filter(|_| rollout.is_open());
        let comparison = trial.map(|trial| trial.pairs.comparison());
        let turn = trial
            .zip(comparison.as_ref())
            .map(|(trial, comparison)| rollout.turn(comparison, now, trial.begun.elapsed()));
        let further = rollout.told(rollout.further());
        let model = &rollout.model;
        let next = match (&turn, &rollout.paused) {
            (Some(Turn::Wait(why)), _) => why.clone(),
            (Some(Turn::Ready), _) => {
                format!("healthy: `tidegate rollout promote {model}` takes it to {further}")
            }
            (Some(Turn::Advance), _) => format!("healthy: it goes on to {further}"),
            (Some(Turn::Abort(why)), _) => why.clone(),
            (None, why) => why.clone().unwrap_or_else(|| rollout.told(rollout.phase)),
        };
        let ready = matches!(turn, Some(Turn::Ready | Turn::Advance));
        let told = rollout.told(rollout.phase);
        Some(RolloutStatus { rollout: rollout.clone(), told, ready, next, comparison })
    }

    /// Where a model stands in the configuration.
    pub(super) fn place(&self, model: &str) -> Result<usize, Refusal> {
        let at = self.watched.iter().position(|watched| watched.model.name == model);
        at.ok_or_else(|| Refusal::UnknownModel {
            model: model.to_owned(),
            known: self.watched.iter().map(|watched| watched.model.name.clone()).collect(),
        })
    }

    /// A rollout begins where the primary serves alone.
    fn may_start(&self, model: &str) -> Result<(), Refusal> {
        let standing = self.ledger.active(model).filter(|decision| decision.changes_routes());
        standing.map_or(Ok(()), |decision| {
            Err(Refusal::InForce {
                model: model.to_owned(),
                id: decision.id.clone(),
                action: decision.action.name(),
            })
        })
    }

    /// The candidate that is meant: the one named, or the only one.
    fn candidate(&self, model: &Model, named: Option<&str>) -> Result<String, Refusal> {
        let promoted = self.ledger.promoted(&model.name).map(|(version, _)| version);
        let candidates: Vec<&str> = model
            .versions
            .iter()
            .filter(|version| version.role == Role::Candidate)
            .map(|version| version.name.as_str())
            .filter(|version| Some(*version) != promoted)
            .collect();
        let chosen = match (named, &candidates[..]) {
            (Some(named), candidates) => candidates.iter().find(|known| **known == named).copied(),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        chosen.map(str::to_owned).ok_or_else(|| Refusal::NoCandidate {
            model: model.name.clone(),
            candidates: candidates.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Decides what a phase asks for, and writes down that it is the rollout's.
    fn carry_out(
        &mut self,
        at: usize,
        mut rollout: Rollout,
        author: &str,
        now: UnixMillis,
    ) -> Result<(), StateError> {
        let reason = self.weighed(at, &rollout);
        let id = self.ledger.next_id();
        let mut decision = Decision::serve(id.clone(), &rollout.model, author, reason, 0, now);
        decision.action = rollout.action();
        decision.rule = format!("rollout of {}: {}", rollout.to, rollout.told(rollout.phase));
        if !matches!(decision.action, Action::Promote { .. }) {
            decision.expires_unix_ms = Some(rollout.ends_unix_ms);
        }
        info!(model = %rollout.model, to = %rollout.to, phase = ?rollout.phase, %author, "rollout");
        let ends = self.supersedes(&decision);
        rollout.decision = Some(id);
        self.decide(decision, ends, Instant::now())?;
        self.note(at, rollout)
    }

    /// Why a rollout goes on, in words.
    fn weighed(&self, at: usize, rollout: &Rollout) -> String {
        let trial = self.watched.get(at).and_then(|watched| watched.trial.as_ref());
        match trial {
            Some(trial) if rollout.phase != Phase::Shadow => {
                let comparison = trial.pairs.comparison();
                let words: Vec<String> =
                    comparison.compared.iter().map(crate::rollout::in_words).collect();
                format!("of {} pairs: {}", comparison.pairs, words.join("; "))
            }
            _ => format!("{} is tried beside the primary", rollout.to),
        }
    }

    /// Ends a rollout, and gives the model back to its primary where the rollout still has it.
    fn take_back(
        &mut self,
        at: usize,
        rollout: &Rollout,
        author: &str,
        why: &str,
        now: UnixMillis,
    ) -> Result<(), StateError> {
        let own = self.ledger.active(&rollout.model).filter(|active| active.changes_routes());
        if let Some(own) = own.filter(|own| Some(&own.id) == rollout.decision.as_ref()) {
            let ends = Ends { id: own.id.clone(), state: State::RolledBack };
            let reason = format!("rollout of {}: {why}", rollout.to);
            let id = self.ledger.next_id();
            let serve = Decision::serve(id, &rollout.model, author, reason, 0, now);
            self.decide(serve, Some(ends), Instant::now())?;
        }
        self.note(at, over(rollout.clone(), why, now))
    }

    fn note(&mut self, at: usize, rollout: Rollout) -> Result<(), StateError> {
        self.record(&Event::Rollout { rollout: Box::new(rollout) })?;
        self.follow_rollout(at);
        Ok(())
    }
}

/// A rollout that ended, and why.
fn over(rollout: Rollout, why: &str, now: UnixMillis) -> Rollout {
    let mut over = rollout.moved(Phase::Aborted, now);
    over.paused = Some(why.to_owned());
    over
}
