//! The mind's answers to what people ask through the API. It changes nothing by itself.

use std::sync::Arc;

use tidegate_detectors::finding::Verdict;

use super::{Mind, Watched};
use crate::api::answer::{ContractStatus, ModelStatus, Status, WindowStatus};
use crate::api::ask::{Ask, Refusal};
use crate::clock;
use crate::decision::{Decision, UnixMillis};
use crate::judgement::Judgement;
use crate::labels::label::Label;
use crate::labels::memory::Memory;
use crate::labels::outcomes::Taken;
use crate::policy::quiet_until;
use crate::why::{self, RuleStanding, Seen, Why};

/// Ways of breaking fields that are told of a model.
const BREACHES_TOLD: usize = 32;

impl Mind {
    pub(super) fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone; that is no concern of ours.
        match ask {
            Ask::Ready { reply } => {
                // Where there is room again, nobody should have to decide something to find out.
                if self.journal_trouble.is_some() && self.store.check().is_ok() {
                    self.journal_trouble = None;
                }
                drop(reply.send(self.journal_trouble.clone().or_else(|| self.lost())));
            }
            Ask::Status { reply } => drop(reply.send(self.status())),
            Ask::Why { model, reply } => drop(reply.send(self.why(&model))),
            Ask::Judgements { model, reply } => drop(reply.send(self.judgements(model.as_deref()))),
            Ask::Decisions { model, reply } => drop(reply.send(self.decisions(model.as_deref()))),
            Ask::Decision { id, reply } => drop(reply.send(self.found(id))),
            // A person who was told that nothing came of it must not be surprised later.
            Ask::Rollback { reply, .. }
            | Ask::Approve { reply, .. }
            | Ask::Intervene { reply, .. }
                if reply.is_closed() => {}
            Ask::Intervene { model, order, reply } => {
                drop(reply.send(self.intervene(&model, order)));
            }
            Ask::Rollback { model, author, reason, reply } => {
                let here = self.here();
                let done = here.and_then(|()| self.roll_back(&model, &author, &reason));
                drop(reply.send(done));
            }
            Ask::Labels { labels, reply } => drop(reply.send(self.labels(labels))),
            Ask::Rollout { reply, .. } if reply.is_closed() => {}
            Ask::Rollout { model, wish, author, reply } => {
                let here = self.here();
                let done = here.and_then(|()| self.wish_rollout(&model, wish, &author));
                drop(reply.send(done));
            }
            Ask::Approve { id, author, reply } => {
                drop(reply.send(self.here().and_then(|()| self.approve(&id, author))));
            }
        }
    }

    fn status(&mut self) -> Status {
        let crew = self.crew_status();
        let (now, acknowledged) = (clock::unix_ms(), self.acknowledged());
        let models = (0..self.watched.len()).map(|at| self.model_status(at, now, acknowledged));
        Status { models: models.collect(), crew }
    }

    /// Whether every Envoy has what it should have.
    fn acknowledged(&self) -> bool {
        self.fleet.follows(&self.worlds.borrow())
    }

    fn model_status(&self, at: usize, now: UnixMillis, acknowledged: bool) -> ModelStatus {
        let watched = &self.watched[at];
        let name = &watched.model.name;
        let last = watched.judgements.back();
        let world = self.worlds.borrow();
        let routing = world.routings().get(name);
        ModelStatus {
            model: name.clone(),
            mode: watched.model.mode,
            verdict: last.map_or(Verdict::Inconclusive, |judgement| judgement.verdict),
            decision: self
                .ledger
                .active(name)
                .filter(|decision| decision.changes_routes())
                .cloned(),
            proposed: self.ledger.proposed(name).cloned(),
            quiet_until_unix_ms: quiet_until(&self.ledger, &watched.model, now),
            weights: routing.map(|routing| routing.weights.clone()).unwrap_or_default(),
            mirrors: routing.map(|routing| routing.mirrors.clone()).unwrap_or_default(),
            window: last.map(|judgement| WindowStatus {
                rows: judgement.rows,
                exchanges: judgement.exchanges,
                coverage: judgement.coverage,
                dropped: judgement.dropped,
                closed_unix_ms: judgement.closed_unix_ms,
            }),
            contract: ContractStatus {
                deeds: watched.breaches.deeds(),
                broken: watched.breaches.most(BREACHES_TOLD),
            },
            findings: last.map(|judgement| judgement.findings.clone()).unwrap_or_default(),
            metrics: last.map(|judgement| judgement.metrics.clone()).unwrap_or_default(),
            causes: last.map(|judgement| judgement.causes.clone()).unwrap_or_default(),
            labels: watched.outcomes.as_ref().map(Memory::status),
            primary: self
                .ledger
                .promoted(name)
                .map_or(&watched.model.primary().name[..], |(version, _)| version)
                .to_owned(),
            rollout: self.rollout_status(at, now),
            envoys: self.fleet.serving(&watched.model.envoys),
            acknowledged,
            refusals: self.fleet.refusals().map(|(node, why)| format!("{node}: {why}")).collect(),
        }
    }

    /// What led to where a model stands.
    fn why(&self, model: &str) -> Result<Why, Refusal> {
        let at = self.place(model)?;
        let now = clock::unix_ms();
        let status = self.model_status(at, now, self.acknowledged());
        let watched = &self.watched[at];
        let latest = watched.judgements.len().saturating_sub(why::WINDOWS);
        let windows = watched.judgements.iter().skip(latest).map(|judgement| {
            let worst = judgement.findings.first();
            let worst = worst.filter(|finding| finding.verdict != Verdict::Healthy);
            Seen {
                closed_unix_ms: judgement.closed_unix_ms,
                verdict: judgement.verdict,
                rows: judgement.rows,
                coverage: judgement.coverage,
                worst: worst.map(|finding| finding.subject("requests")),
            }
        });
        let rules = watched.model.policy.iter().enumerate().map(|(place, rule)| RuleStanding {
            rule: rule.to_string(),
            met: watched.streaks.met(place),
            needed: rule.windows,
        });
        let mut decisions = self.decisions(Some(model));
        decisions.drain(..decisions.len().saturating_sub(why::DECISIONS));
        Ok(Why {
            decisions,
            windows: windows.collect(),
            rules: rules.collect(),
            maintenance: watched.model.guard.in_maintenance(now),
            status,
        })
    }

    /// Holds labels against the answers that are kept.
    fn labels(&mut self, labels: Vec<(usize, Label)>) -> Taken {
        let now = clock::unix_ms();
        let mut all = Taken::default();
        for (model, label) in labels {
            let of = self.watched.get_mut(model).and_then(|watched| watched.outcomes.as_mut());
            if let Some(outcomes) = of {
                all.add(outcomes.take(label, now));
            }
        }
        let awaiting = self.watched.iter_mut().filter_map(|of| of.outcomes.as_mut());
        awaiting.for_each(|outcomes| outcomes.flush(now));
        all
    }

    fn judgements(&self, model: Option<&str>) -> Vec<Arc<Judgement>> {
        let asked = |watched: &&Watched| model.is_none_or(|model| watched.model.name == model);
        let asked = self.watched.iter().filter(asked);
        asked.flat_map(|watched| watched.judgements.iter().cloned()).collect()
    }

    fn decisions(&self, model: Option<&str>) -> Vec<Decision> {
        let asked = |decision: &&Decision| model.is_none_or(|model| decision.model == model);
        self.ledger.iter().filter(asked).cloned().collect()
    }
}
