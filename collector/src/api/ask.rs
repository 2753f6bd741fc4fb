//! What people ask the mind, and why it may refuse.

use std::sync::Arc;

use tidegate_contract::segment::Misfit;
use tokio::sync::oneshot;

use super::answer::Status;
use crate::decision::{Decision, State};
use crate::journal::JournalError;
use crate::judgement::Judgement;
use crate::labels::label::Label;
use crate::labels::outcomes::Taken;
use crate::manual::wish::Order;

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
    /// Nothing is done that cannot be written down.
    #[error("not done, because the journal could not be written: {0}")]
    Journal(JournalError),
}
