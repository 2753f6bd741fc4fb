//! The mind's deciding hand: decisions are written down, pushed, followed until every Envoy has
//! acknowledged them, and ended. It does not know why one is made; `policy` and people do.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, info_span, warn};

use super::{Mind, Pushed, Watched, orders};
use crate::api::ask::Refusal;
use crate::clock;
use crate::config::duration::millis;
use crate::config::model::Model;
use crate::decision::{Decision, State, UnixMillis};
use crate::ledger::{Ends, Event};
use crate::policy;
use crate::routing::Routing;
use crate::state::StateError;
use crate::xds::fleet::Report;
use crate::xds::session::Heard;
use crate::xds::snapshot::Resource;

impl Mind {
    /// What a new decision does to the one in force.
    pub(super) fn supersedes(&self, decision: &Decision) -> Option<Ends> {
        let active = self.ledger.active(&decision.model)?;
        (decision.state == State::Active)
            .then(|| Ends { id: active.id.clone(), state: State::Superseded })
    }

    /// Writes a decision down, then carries it out. `since` is when what it rests on was known.
    pub(super) fn decide(
        &mut self,
        decision: Decision,
        ends: Option<Ends>,
        since: Instant,
    ) -> Result<(), StateError> {
        self.record(&Event::Decided { decision: Box::new(decision.clone()), ends })?;
        info!(
            model = %decision.model,
            decision = %decision.id,
            action = decision.action.name(),
            author = %decision.author,
            state = ?decision.state,
            reason = %decision.reason,
            "decided"
        );
        self.metrics.decided(&decision);
        if decision.state == State::Active {
            self.follow(decision.id, since);
        }
        Ok(())
    }

    /// Pushes what is now decided and waits for the Envoys to acknowledge it.
    fn follow(&mut self, id: String, since: Instant) {
        let span = info_span!("tidegate.decision.push", decision = %id);
        let length = self.store.length();
        self.pushed.push(Pushed { id, since, span, length });
        self.push();
        self.settle();
    }

    /// Writes an event down; only then is it true.
    pub(super) fn record(&mut self, event: &Event) -> Result<(), StateError> {
        if let Err(error) = self.store.append(event) {
            warn!(%error, "the decision log cannot be written");
            self.metrics.journal_failed();
            if matches!(error, StateError::Journal(_)) {
                self.journal_trouble = Some(error.to_string());
            }
            return Err(error);
        }
        self.journal_trouble = None;
        self.ledger.apply(event);
        for watched in &self.watched {
            let name = &watched.model.name;
            self.metrics.in_force(name, self.ledger.active(name));
        }
        Ok(())
    }

    /// Gives the Envoys what is decided now.
    pub(super) fn push(&mut self) {
        let world = orders::give(&self.config, &self.watched, &self.ledger, &self.sensitive_key);
        let fleet = &mut self.fleet;
        self.worlds.send_if_modified(|current| {
            // The order of runtime keys on the wire is any; their version follows from what they say.
            let differs = |resource: &Resource| {
                current.whole(*resource).version != world.whole(*resource).version
            };
            let changed: Vec<Resource> = Resource::ALL.into_iter().filter(differs).collect();
            changed.iter().for_each(|resource| fleet.expect(*resource));
            if !changed.is_empty() {
                *current = Arc::new(world);
            }
            !changed.is_empty()
        });
    }

    /// After a restart: what ran out meanwhile ends, and so does what the configuration can no
    /// longer carry out; the rest is in force again, and followed where nobody had acknowledged it.
    pub(super) fn resume(&mut self) -> Result<(), StateError> {
        let now = clock::unix_ms();
        self.expire(Instant::now(), now)?;
        let active: Vec<Decision> = self
            .ledger
            .iter()
            .filter(|decision| decision.state == State::Active)
            .cloned()
            .collect();
        for decision in active {
            let named = self.watched.iter().find(|watched| watched.model.name == decision.model);
            let Some(Watched { model, contract, .. }) = named else { continue };
            let misfits = decision.action.segment().map(|it| it.misfits(contract));
            let misfit = misfits.unwrap_or_default().first().map(ToString::to_string);
            let lacks = (!Routing::can(model, &decision.action))
                .then(|| "the configuration has no such version".to_owned());
            if let Some(why) = lacks.or(misfit) {
                let reason = format!("{} of {}: {why}", decision.action.name(), decision.id);
                let serve = Decision::serve(
                    self.ledger.next_id(),
                    &decision.model,
                    "configuration",
                    reason,
                    0,
                    now,
                );
                let ends = Ends { id: decision.id, state: State::Superseded };
                self.decide(serve, Some(ends), Instant::now())?;
                continue;
            }
            if decision.changes_routes() {
                let Decision { model, id, .. } = &decision;
                info!(%model, decision = %id, "in force again after the restart");
            }
            self.metrics.in_force(&decision.model, Some(&decision));
            if decision.acknowledged_unix_ms.is_none() {
                self.follow(decision.id, Instant::now());
            }
        }
        Ok(())
    }

    /// Ends what has run out; the primary serves again.
    pub(super) fn expire(&mut self, instant: Instant, now: UnixMillis) -> Result<(), StateError> {
        if !self.leads() {
            return Ok(());
        }
        self.deadlines.look(&self.ledger, now, instant);
        let ends = |decision: &&Decision| self.deadlines.end(decision, now, instant) <= Some(now);
        let due: Vec<Decision> = self.ledger.due(UnixMillis::MAX).filter(ends).cloned().collect();
        for expired in due {
            if expired.state == State::Proposed {
                self.withdraw(expired.id, "expiry", now)?;
                continue;
            }
            let serve = Decision::expiry(self.ledger.next_id(), &expired, now);
            let ends = Ends { id: expired.id, state: State::Expired };
            self.decide(serve, Some(ends), Instant::now())?;
        }
        Ok(())
    }

    fn withdraw(&mut self, id: String, author: &str, now: UnixMillis) -> Result<(), StateError> {
        info!(decision = %id, %author, "withdrawn");
        self.record(&Event::Withdrawn { id, author: author.to_owned(), at_unix_ms: now })
    }

    fn model(&self, name: &str) -> Option<&Model> {
        let named = self.watched.iter().find(|watched| watched.model.name == name);
        named.map(|watched| &watched.model)
    }

    pub(super) fn hear(&mut self, report: &Report) {
        self.fleet.hear(report);
        self.metrics.envoys(self.fleet.len(), self.fleet.refusing());
        if let Some(Heard::Refused { resource, version, whole, why }) = &report.heard {
            self.metrics.refused();
            warn!(node = %report.asker.id, ?resource, %version, %why, "an Envoy refused its configuration");
            // A refusal of what is no longer wanted says nothing of what is.
            if *whole == self.worlds.borrow().snapshot(&report.asker).get(*resource).version {
                self.write_refusal(why);
            }
        }
        self.settle();
    }

    /// Notes Envoy's words at the decisions on their way; once, however often it repeats them.
    fn write_refusal(&mut self, why: &str) {
        if !self.leads() {
            return;
        }
        let new = |pushed: &&Pushed| {
            let decision = self.ledger.find(&pushed.id);
            decision.is_some_and(|decision| decision.refused.as_deref() != Some(why))
        };
        let waiting: Vec<String> =
            self.pushed.iter().filter(new).map(|pushed| pushed.id.clone()).collect();
        for id in waiting {
            // Without the note the decision simply stays unacknowledged.
            let _ = self.record(&Event::Refused { id, why: why.to_owned() });
        }
    }

    /// Writes down what every Envoy now follows. What ended on its way is not waited for.
    pub(super) fn settle(&mut self) {
        self.tell_followed();
        let ledger = &self.ledger;
        self.pushed.retain(|pushed| {
            ledger.find(&pushed.id).is_some_and(|decision| decision.state == State::Active)
        });
        if self.pushed.is_empty() || !self.leads() {
            return;
        }
        for Pushed { id, since, span, length } in std::mem::take(&mut self.pushed) {
            // What the filter does is done by nobody where no filter asks for its table.
            let filters =
                self.ledger.find(&id).is_some_and(|decision| decision.action.is_the_filters());
            let unasked =
                filters && !self.fleet.is_empty() && !self.fleet.asks_for(Resource::Extension);
            if unasked || !self.all_follow(length) {
                self.pushed.push(Pushed { id, since, span, length });
                continue;
            }
            let _inside = span.enter();
            let seconds = since.elapsed().as_secs_f64();
            let acknowledged = info_span!("tidegate.decision.acknowledge", decision = %id, seconds);
            let _acknowledged = acknowledged.enter();
            info!(decision = %id, seconds, envoys = self.fleet.len(), "acknowledged");
            self.metrics.acknowledged(seconds);
            let at_unix_ms = clock::unix_ms();
            // Without the line it is followed all the same, and told so again after a restart.
            let _ = self.record(&Event::Acknowledged { id, at_unix_ms, seconds });
        }
    }

    /// A person gives a model back to its primary version; where that serves already, the proposal
    /// that waits is withdrawn.
    pub(super) fn roll_back(
        &mut self,
        model: &str,
        author: &str,
        reason: &str,
    ) -> Result<Decision, Refusal> {
        let configured = self.model(model).ok_or_else(|| Refusal::UnknownModel {
            model: model.to_owned(),
            known: self.watched.iter().map(|watched| watched.model.name.clone()).collect(),
        })?;
        let quiet = policy::longest_cooldown(configured).max(policy::LEAST_QUIET);
        let now = clock::unix_ms();
        let standing = self.ledger.active(model).filter(|decision| decision.changes_routes());
        let (undone, what) = match standing {
            Some(standing) => {
                (standing.id.clone(), format!("{} of {}", standing.action.name(), standing.id))
            }
            None => {
                let waiting = self.ledger.proposed(model).map(|decision| decision.id.clone());
                if let Some(proposed) = waiting {
                    self.withdraw(proposed.clone(), author, now).map_err(Refusal::Journal)?;
                    return self.found(proposed);
                }
                let Some((version, by)) = self.ledger.promoted(model) else {
                    return Err(Refusal::NothingToRollBack { model: model.to_owned() });
                };
                (by.to_owned(), format!("promotion of {version} by {by}"))
            }
        };
        let quiet_until = now.saturating_add(millis(quiet));
        let reason = match reason {
            "" => format!("{what} rolled back"),
            reason => reason.to_owned(),
        };
        let serve = Decision::serve(self.ledger.next_id(), model, author, reason, quiet_until, now);
        let id = serve.id.clone();
        let ends = Ends { id: undone, state: State::RolledBack };
        self.decide(serve, Some(ends), Instant::now()).map_err(Refusal::Journal)?;
        self.found(id)
    }

    /// A person puts a proposed decision in force.
    pub(super) fn approve(&mut self, id: &str, author: String) -> Result<Decision, Refusal> {
        let now = clock::unix_ms();
        self.expire(Instant::now(), now).map_err(Refusal::Journal)?;
        let decision = self.found(id.to_owned())?;
        if decision.state != State::Proposed {
            return Err(Refusal::NotProposed { id: id.to_owned(), state: decision.state });
        }
        let approved = Event::Approved { id: id.to_owned(), author, at_unix_ms: now };
        self.record(&approved).map_err(Refusal::Journal)?;
        self.follow(id.to_owned(), Instant::now());
        self.found(id.to_owned())
    }

    pub(super) fn found(&self, id: String) -> Result<Decision, Refusal> {
        self.ledger.find(&id).cloned().ok_or(Refusal::UnknownDecision { id })
    }
}
