//! The mind's way to carry out what a person decides by hand. Whether a wish makes sense at all is known
//! before it comes here.

use tokio::time::Instant;

use super::Mind;
use crate::api::ask::Refusal;
use crate::client::action_text;
use crate::clock;
use crate::config::duration::millis;
use crate::config::model::Role;
use crate::decision::{Action, Decision, State};
use crate::manual::wish::Order;

impl Mind {
    /// A person blocks or diverts a model, or a segment of it. What was in force ends, for only one
    /// decision shapes a model's traffic. Where a rule's decision keeps more from the primary, the person
    /// must end it by name: nobody exposes a model in passing.
    pub(super) fn intervene(&mut self, model: &str, order: Order) -> Result<Decision, Refusal> {
        self.here()?;
        let watched = self.watched.iter().find(|watched| watched.model.name == model);
        let watched = watched.ok_or_else(|| Refusal::UnknownModel {
            model: model.to_owned(),
            known: self.watched.iter().map(|watched| watched.model.name.clone()).collect(),
        })?;
        let misfits = order.action.segment().map(|segment| segment.misfits(&watched.contract));
        if let Some(misfits) = misfits.filter(|misfits| !misfits.is_empty()) {
            return Err(Refusal::Misfit { misfits });
        }
        if let Action::Divert { to, .. } = &order.action {
            let versions = watched.model.versions.iter();
            let fallbacks = versions.filter(|version| version.role == Role::Fallback);
            let fallbacks: Vec<String> = fallbacks.map(|version| version.name.clone()).collect();
            if !fallbacks.contains(to) {
                return Err(Refusal::NoFallback { to: to.clone(), fallbacks });
            }
        }
        let active = self.ledger.active(model).filter(|active| !active.rule.is_empty());
        if let Some(active) = active.filter(|active| order.action.spares_less_than(&active.action))
        {
            return Err(Refusal::Weaker {
                model: model.to_owned(),
                id: active.id.clone(),
                what: action_text(&active.action),
            });
        }
        let now = clock::unix_ms();
        let decision = Decision {
            action: order.action,
            expires_unix_ms: Some(now.saturating_add(millis(order.lasts))),
            ..Decision::serve(self.ledger.next_id(), model, &order.author, order.reason, 0, now)
        };
        debug_assert_eq!(decision.state, State::Active);
        let (id, ends) = (decision.id.clone(), self.supersedes(&decision));
        self.decide(decision, ends, Instant::now()).map_err(Refusal::Journal)?;
        self.found(id)
    }
}
