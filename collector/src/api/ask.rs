//! What people ask the mind, and why it may refuse.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_contract::segment::Misfit;
use tokio::sync::oneshot;

use super::answer::{RolloutStatus, Status};
use crate::config::duration;
use crate::config::rollout::Promote;
use crate::decision::{Decision, State};
use crate::judgement::Judgement;
use crate::labels::label::Label;
use crate::labels::outcomes::Taken;
use crate::manual::wish::Order;
use crate::state::StateError;
use crate::why::Why;

/// A question or a wish, with the way back for its answer.
#[derive(Debug)]
pub enum Ask {
    /// What keeps the mind from deciding, if anything.
    Ready {
        /// The way back.
        reply: oneshot::Sender<Option<String>>,
    },
    /// How every model stands.
    Status {
        /// The way back.
        reply: oneshot::Sender<Status>,
    },
    /// What led to where a model stands.
    Why {
        /// Which model.
        model: String,
        /// The way back.
        reply: oneshot::Sender<Result<Why, Refusal>>,
    },
    /// The judgements kept, of one model or all, oldest first.
    Judgements {
        /// Which model.
        model: Option<String>,
        /// The way back.
        reply: oneshot::Sender<Vec<Arc<Judgement>>>,
    },
    /// The decisions kept, of one model or all, oldest first.
    Decisions {
        /// Which model.
        model: Option<String>,
        /// The way back.
        reply: oneshot::Sender<Vec<Decision>>,
    },
    /// One decision.
    Decision {
        /// Which.
        id: String,
        /// The way back.
        reply: oneshot::Sender<Result<Decision, Refusal>>,
    },
    /// Labels, each with the place of its model in the configuration.
    Labels {
        /// They.
        labels: Vec<(usize, Label)>,
        /// The way back.
        reply: oneshot::Sender<Taken>,
    },
    /// Give a model back to its primary version.
    Rollback {
        /// Which model.
        model: String,
        /// Who wishes it.
        author: String,
        /// Why; empty for our own words.
        reason: String,
        /// The way back.
        reply: oneshot::Sender<Result<Decision, Refusal>>,
    },
    /// Start, pause, resume, abort or promote a rollout.
    Rollout {
        /// Which model.
        model: String,
        /// What.
        wish: RolloutWish,
        /// Who wishes it.
        author: String,
        /// The way back.
        reply: oneshot::Sender<Result<RolloutStatus, Refusal>>,
    },
    /// Block or divert a model, or a segment of it.
    Intervene {
        /// Which model.
        model: String,
        /// What is wished.
        order: Order,
        /// The way back.
        reply: oneshot::Sender<Result<Decision, Refusal>>,
    },
    /// Put a proposed decision in force.
    Approve {
        /// Which decision.
        id: String,
        /// Who approves.
        author: String,
        /// The way back.
        reply: oneshot::Sender<Result<Decision, Refusal>>,
    },
}

/// What a person wants of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutWish {
    /// Try a candidate, by the plan of the configuration where nothing else is said.
    Start {
        /// The candidate; the only one, where it is not named.
        to: Option<String>,
        /// Percent of the requests that are mirrored.
        shadow: Option<u8>,
        /// Percent of the requests that it answers, step by step.
        steps: Option<Vec<u8>>,
        /// How long each step lasts at least.
        #[serde(default, with = "duration::maybe")]
        hold: Option<Duration>,
        /// Exchanges answered by both that a step needs.
        min_pairs: Option<u64>,
        /// Who takes it a step further.
        promote: Option<Promote>,
    },
    /// Let it stand still; it is still judged, and taken back where it does worse.
    Pause {
        /// Why; empty for our own words.
        #[serde(default)]
        reason: String,
    },
    /// Let it go on.
    Resume,
    /// Give the model back to its primary version.
    Abort {
        /// Why; empty for our own words.
        #[serde(default)]
        reason: String,
    },
    /// Take it a step further.
    Promote {
        /// Even where too little is known.
        #[serde(default)]
        force: bool,
    },
}

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such model.
    #[error("no model `{model}`; configured are: {}", known.join(", "))]
    UnknownModel {
        /// As asked.
        model: String,
        /// The configured ones.
        known: Vec<String>,
    },
    /// The segment is none of this model's.
    #[error("{}", misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Misfit {
        /// Why.
        misfits: Vec<Misfit>,
    },
    /// Traffic goes to a fallback, and this is none.
    #[error("`{to}` is no version with `role: fallback`; there are: {}", fallbacks.join(", "))]
    NoFallback {
        /// As asked.
        to: String,
        /// The fallbacks that there are.
        fallbacks: Vec<String>,
    },
    /// A rule's decision keeps more of the traffic from the primary, and would end.
    #[error(
        "{id} of a rule is in force, {what}, and would end: the primary would get what that keeps from \
         it; if you mean it, `tidegate rollback {model}` first"
    )]
    Weaker {
        /// The model.
        model: String,
        /// The decision in force.
        id: String,
        /// What it does, in a few words.
        what: String,
    },
    /// No such decision.
    #[error("no decision `{id}`; `tidegate decisions` lists them")]
    UnknownDecision {
        /// As asked.
        id: String,
    },
    /// The decision does not wait for anybody.
    #[error("decision {id} is {state:?}, not proposed: there is nothing to approve")]
    NotProposed {
        /// The decision.
        id: String,
        /// Where it stands.
        state: State,
    },
    /// The primary serves already.
    #[error("nothing to roll back: the primary version of {model} serves already")]
    NothingToRollBack {
        /// The model.
        model: String,
    },
    /// No rollout is under way.
    #[error("no rollout of {model} is under way; `tidegate rollout start {model}` starts one")]
    NoRollout {
        /// The model.
        model: String,
    },
    /// One is.
    #[error("{to} is on its way already ({told}); `tidegate rollout abort {model}` ends that")]
    RolloutOpen {
        /// The model.
        model: String,
        /// The candidate.
        to: String,
        /// Its phase.
        told: String,
    },
    /// The primary does not serve alone.
    #[error("{id} ({action}) is in force; `tidegate rollback {model}` undoes it first")]
    InForce {
        /// The model.
        model: String,
        /// The decision.
        id: String,
        /// What it does.
        action: &'static str,
    },
    /// Not one candidate, or not the one that was named.
    #[error(
        "name a version of {model} with `role: candidate` by --to; there are: {}",
        none_or(candidates)
    )]
    NoCandidate {
        /// The model.
        model: String,
        /// Its candidates.
        candidates: Vec<String>,
    },
    /// A plan that cannot be.
    #[error("{why}")]
    BadPlan {
        /// What is wrong.
        why: String,
    },
    /// The candidate has not shown enough.
    #[error("not yet: {why}; `tidegate rollout promote {model} --force` goes on all the same")]
    NotReady {
        /// The model.
        model: String,
        /// What it waits for.
        why: String,
    },
    /// Nothing is done that cannot be written down.
    #[error("not done, because the decision log could not be written: {0}")]
    Journal(StateError),
    /// Another collector decides.
    #[error(
        "{leader} decides now, for all collectors; ask that one (--api or TIDEGATE_API names it)"
    )]
    Elsewhere {
        /// Its name.
        leader: String,
    },
    /// Nobody is known to decide.
    #[error("not done: nothing is decided here, because {why}")]
    Undecided {
        /// What is wrong.
        why: String,
    },
}

fn none_or(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
