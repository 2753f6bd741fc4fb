//! The mind's deciding hand: decisions are written down, pushed, followed until every Envoy has
//! acknowledged them, and ended. It does not know why one is made; `policy` and people do.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, info_span, warn};

use super::{Mind, orders};
use crate::api::ask::Refusal;
use crate::clock;
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::journal::JournalError;
use crate::ledger::{Ends, Event};
use crate::policy;
use crate::xds::fleet::Report;
use crate::xds::session::Heard;

impl Mind {
    /// What a new decision does to the one in force.
    pub(super) fn supersedes(&self, decision: &Decision) -> Option<Ends> {
        let active = self.ledger.active(&decision.model)?;
        (decision.state == State::Active)
            .then(|| Ends { id: active.id.clone(), state: State::Superseded })
    }

    /// Writes a decision down, then carries it out.
    pub(super) fn decide(
        &mut self,
        decision: Decision,
        ends: Option<Ends>,
    ) -> Result<(), JournalError> {
        info!(
            model = %decision.model,
            decision = %decision.id,
            action = decision.action.name(),
            author = %decision.author,
            state = ?decision.state,
            reason = %decision.reason,
            "decided"
        );
        let replaced = ends.as_ref().and_then(|ends| self.ledger.find(&ends.id)).cloned();
        let active = decision.state == State::Active;
        self.record(&Event::Decided { decision: Box::new(decision.clone()), ends })?;
        self.metrics.decided(&decision);
        if let Some(replaced) = replaced {
            self.metrics.in_force(&replaced, false);
        }
        if active {
            self.metrics.in_force(&decision, true);
            self.follow(decision.id);
        }
        Ok(())
    }

    /// Pushes what is now decided and waits for the Envoys to acknowledge it.
    pub(super) fn follow(&mut self, id: String) {
        let span = info_span!("tidegate.decision.push", decision = %id);
        self.pushed.push((id, span));
        self.push();
        self.settle();
    }

    pub(super) fn record(&mut self, event: &Event) -> Result<(), JournalError> {
        self.journal.append(event)?;
        self.ledger.apply(event);
        Ok(())
    }

    pub(super) fn push(&mut self) {
        let (routings, snapshot) = orders::give(&self.config, &self.watched, &self.ledger);
        self.routings = routings;
        self.snapshots.send_if_modified(|current| {
            let changed = **current != snapshot;
            if changed {
                *current = Arc::new(snapshot);
            }
            changed
        });
    }

    /// Ends what has run out; the primary serves again.
    pub(super) fn expire(&mut self, now: UnixMillis) -> Result<(), JournalError> {
        let due: Vec<Decision> = self.ledger.due(now).cloned().collect();
        for expired in due {
            if expired.state == State::Proposed {
                self.record(&Event::Withdrawn { id: expired.id, at_unix_ms: now })?;
                continue;
            }
            let reason = format!("{} of {} ran out", expired.action.name(), expired.id);
            let serve = self.serve(&expired.model, "expiry", reason, 0, now);
            self.decide(serve, Some(Ends { id: expired.id, state: State::Expired }))?;
        }
        Ok(())
    }

    /// The decision that gives a model back to its primary version.
    fn serve(
        &self,
        model: &str,
        author: &str,
        reason: String,
        quiet_until_unix_ms: UnixMillis,
        now: UnixMillis,
    ) -> Decision {
        Decision {
            id: self.ledger.next_id(),
            model: model.to_owned(),
            action: Action::Serve,
            state: State::Active,
            author: author.to_owned(),
            rule: String::new(),
            reason,
            evidence: Vec::new(),
            decided_unix_ms: now,
            expires_unix_ms: None,
            quiet_until_unix_ms,
            window_closed_unix_ms: None,
            acknowledged_unix_ms: None,
            seconds_to_acknowledgement: None,
            refused: None,
        }
    }

    pub(super) fn hear(&mut self, report: &Report) {
        self.fleet.hear(report);
        self.metrics.envoys(self.fleet.len());
        if let Some(Heard::Refused { resource, version, why }) = &report.heard {
            self.metrics.refused();
            warn!(node = %report.node, ?resource, %version, %why, "an Envoy refused its configuration");
            let waiting: Vec<String> = self.pushed.iter().map(|(id, _)| id.clone()).collect();
            for id in waiting {
                if let Err(error) = self.record(&Event::Refused { id, why: why.clone() }) {
                    warn!(%error, "a refusal could not be written down");
                }
            }
        }
        self.settle();
    }

    /// Writes down what every Envoy now follows.
    fn settle(&mut self) {
        if self.pushed.is_empty() || !self.fleet.follows(&self.snapshots.borrow()) {
            return;
        }
        let now = clock::unix_ms();
        for (id, span) in std::mem::take(&mut self.pushed) {
            let _inside = span.enter();
            let Some(decision) = self.ledger.find(&id) else { continue };
            let since = decision.window_closed_unix_ms.unwrap_or(decision.decided_unix_ms);
            let seconds = Duration::from_millis(now.saturating_sub(since)).as_secs_f64();
            let acknowledged = info_span!("tidegate.decision.acknowledge", decision = %id, seconds);
            let _acknowledged = acknowledged.enter();
            info!(decision = %id, seconds, envoys = self.fleet.len(), "acknowledged");
            self.metrics.acknowledged(seconds);
            if let Err(error) = self.record(&Event::Acknowledged { id, at_unix_ms: now, seconds }) {
                warn!(%error, "an acknowledgement could not be written down");
            }
        }
    }

    pub(super) fn roll_back(
        &mut self,
        model: &str,
        author: &str,
        reason: &str,
    ) -> Result<Decision, Refusal> {
        let watched = self.watched.iter().find(|watched| watched.model.name == model);
        let watched = watched.ok_or_else(|| Refusal::UnknownModel {
            model: model.to_owned(),
            known: self.watched.iter().map(|watched| watched.model.name.clone()).collect(),
        })?;
        let cooldown = policy::longest_cooldown(&watched.model);
        let standing = self.ledger.active(model).filter(|decision| decision.changes_routes());
        let Some(undone) = standing.cloned() else {
            return Err(Refusal::NothingToRollBack { model: model.to_owned() });
        };
        let now = clock::unix_ms();
        let quiet = now + u64::try_from(cooldown.as_millis()).unwrap_or(0);
        let reason = match reason {
            "" => format!("{} of {} rolled back", undone.action.name(), undone.id),
            reason => reason.to_owned(),
        };
        let serve = self.serve(model, author, reason, quiet, now);
        let id = serve.id.clone();
        self.decide(serve, Some(Ends { id: undone.id, state: State::RolledBack }))
            .map_err(Refusal::Journal)?;
        self.ledger.find(&id).cloned().ok_or(Refusal::UnknownDecision { id })
    }

    pub(super) fn approve(&mut self, id: &str, author: String) -> Result<Decision, Refusal> {
        let unknown = || Refusal::UnknownDecision { id: id.to_owned() };
        let decision = self.ledger.find(id).ok_or_else(unknown)?;
        if decision.state != State::Proposed {
            return Err(Refusal::NotProposed { id: id.to_owned(), state: decision.state });
        }
        let approved = Event::Approved { id: id.to_owned(), author, at_unix_ms: clock::unix_ms() };
        self.record(&approved).map_err(Refusal::Journal)?;
        if let Some(decision) = self.ledger.find(id) {
            self.metrics.in_force(decision, true);
        }
        self.follow(id.to_owned());
        self.ledger.find(id).cloned().ok_or_else(unknown)
    }
}
