//! The mind: the one task that owns windows, decisions and the snapshot that Envoys get. Everything
//! reaches it as a message; nothing else changes its state, so no lock is held anywhere.
//!
//! A decision is written to the journal before it is pushed, and counts as done when every connected
//! Envoy has acknowledged it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use tidegate_contract::contract::Contract;
use tidegate_contract::plugin;
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::reference::Reference;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{Span, info, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::api::answer::{ModelStatus, Status, WindowStatus};
use crate::api::ask::{Ask, Refusal};
use crate::clock;
use crate::config::Config;
use crate::config::model::Model;
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::intake::{Batch, LostAtDoor};
use crate::journal::{Journal, JournalError};
use crate::judgement::Judgement;
use crate::ledger::{Ends, Event, Ledger};
use crate::metrics::Metrics;
use crate::policy::{self, Move, Standing, Streaks};
use crate::routing::Routing;
use crate::watch::Watch;
use crate::xds::fleet::{Fleet, Report};
use crate::xds::session::Heard;
use crate::xds::snapshot::Snapshot;

/// Judgements kept for each model.
const JUDGEMENTS_KEPT: usize = 256;
/// Traces that one window's span links to.
const MAX_LINKS: usize = 32;

/// What the mind needs to know of one model.
#[derive(Debug)]
pub struct Subject {
    /// As configured.
    pub model: Model,
    /// What its training data looked like.
    pub reference: Arc<Reference>,
    /// What the filter holds its requests against.
    pub contract: Contract,
}

/// The ways in.
#[derive(Debug)]
pub struct Inbox {
    /// Batches from the filters.
    pub batches: mpsc::Receiver<Batch>,
    /// What was lost at the door.
    pub lost: Arc<LostAtDoor>,
    /// What Envoys said.
    pub reports: mpsc::Receiver<Report>,
    /// What people ask.
    pub asks: mpsc::Receiver<Ask>,
}

/// One model under watch.
struct Watched {
    model: Model,
    contract: Contract,
    watch: Watch,
    streaks: Streaks,
    judgements: VecDeque<Judgement>,
    closes: Instant,
    links: Vec<SpanContext>,
}

/// The state of the whole loop.
pub struct Mind {
    config: Config,
    watched: Vec<Watched>,
    ledger: Ledger,
    journal: Journal,
    fleet: Fleet,
    routings: BTreeMap<String, Routing>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Decisions on their way to the Envoys, each with the span that began with its push.
    pushed: Vec<(String, Span)>,
    lost: Arc<LostAtDoor>,
    metrics: Metrics,
}

impl Mind {
    /// A mind over these subjects, with the decisions that the journal remembers in force again.
    /// Gives the snapshots for the discovery service, too.
    ///
    /// # Errors
    /// When the journal cannot be opened or written.
    pub fn awake(
        config: Config,
        subjects: Vec<Subject>,
        lost: Arc<LostAtDoor>,
        metrics: Metrics,
    ) -> Result<(Self, watch::Receiver<Arc<Snapshot>>), JournalError> {
        let (journal, events) = Journal::open::<Event>(&config.state)?;
        if let Some(torn) = journal.torn() {
            warn!(
                ?torn,
                "the decision log ended in the middle of a line, as a crash leaves it; the line was cut off"
            );
        }
        let ledger = Ledger::replay(&events);
        let now = Instant::now();
        let watched: Vec<Watched> = subjects
            .into_iter()
            .map(|subject| Watched {
                watch: Watch::new(&subject.model, subject.reference),
                closes: now + subject.model.window.hop,
                model: subject.model,
                contract: subject.contract,
                streaks: Streaks::default(),
                judgements: VecDeque::new(),
                links: Vec::new(),
            })
            .collect();
        let (routings, snapshot) = snapshot(&config, &watched, &ledger);
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot));
        let mut mind = Self {
            config,
            watched,
            ledger,
            journal,
            fleet: Fleet::default(),
            routings,
            snapshots,
            pushed: Vec::new(),
            lost,
            metrics,
        };
        mind.expire(clock::unix_ms())?;
        for decision in mind.ledger.iter().filter(|decision| decision.changes_routes()) {
            mind.metrics.in_force(decision, true);
            info!(model = %decision.model, decision = %decision.id, "in force again after the restart");
        }
        Ok((mind, receiver))
    }

    /// Until it is told to stop.
    pub async fn run(mut self, mut inbox: Inbox, mut stopping: watch::Receiver<bool>) {
        loop {
            let closes = self.watched.iter().map(|watched| watched.closes).min();
            let closes = closes.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                // People first, then Envoys, then the clock: a flood of samples delays none of them.
                biased;
                _ = stopping.wait_for(|stop| *stop) => break,
                Some(ask) = inbox.asks.recv() => self.answer(ask),
                Some(report) = inbox.reports.recv() => self.hear(&report),
                () = sleep_until(closes) => self.close_windows(Instant::now(), clock::unix_ms()),
                Some(batch) = inbox.batches.recv() => self.take(batch),
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        for (at, delivery) in batch.deliveries {
            let Some(watched) = self.watched.get_mut(at) else { continue };
            for rows in &delivery.rows {
                watched.watch.rows(rows);
            }
            watched.watch.arrived(delivery.samples, self.lost.take(at));
            for (version, counts, with) in delivery.counts {
                watched.watch.counts(batch.worker, &version, counts, with);
            }
            let room = MAX_LINKS.saturating_sub(watched.links.len());
            watched.links.extend(batch.links.iter().take(room).cloned());
        }
    }

    fn close_windows(&mut self, instant: Instant, now: UnixMillis) {
        for at in 0..self.watched.len() {
            if self.watched[at].closes <= instant {
                let hop = self.watched[at].model.window.hop;
                self.watched[at].closes = (self.watched[at].closes + hop).max(instant);
                self.judge(at, now);
            }
        }
        if let Err(error) = self.expire(now) {
            warn!(%error, "an expired decision could not be ended: the journal refused it");
        }
    }

    fn judge(&mut self, at: usize, now: UnixMillis) {
        let watched = &mut self.watched[at];
        let span = info_span!(
            "tidegate.window.judge",
            model = %watched.model.name,
            rows = tracing::field::Empty,
            verdict = tracing::field::Empty
        );
        for link in watched.links.drain(..) {
            span.add_link(link);
        }
        let _inside = span.enter();
        let judgement = watched.watch.close(now);
        span.record("rows", judgement.rows);
        span.record("verdict", tracing::field::debug(judgement.verdict));
        self.metrics.judged(&judgement);
        let before = watched.judgements.back().map(|judgement| judgement.verdict);
        if judgement.verdict >= Verdict::Warning && before != Some(judgement.verdict) {
            let worst = judgement.findings.first().and_then(|finding| finding.feature.as_deref());
            warn!(
                model = %judgement.model,
                verdict = ?judgement.verdict,
                rows = judgement.rows,
                worst = worst.unwrap_or("requests"),
                "a window is not healthy"
            );
        }
        let name = watched.model.name.clone();
        let standing = Standing {
            active: self.ledger.active(&name),
            proposed: self.ledger.proposed(&name),
            quiet_until: self.ledger.quiet_until(&name),
        };
        let id = self.ledger.next_id();
        let moved = info_span!("tidegate.policy.decide").in_scope(|| {
            policy::next(&watched.model, &mut watched.streaks, &judgement, standing, id, now)
        });
        watched.judgements.push_back(judgement);
        if watched.judgements.len() > JUDGEMENTS_KEPT {
            watched.judgements.pop_front();
        }
        let done = match moved {
            None => Ok(()),
            Some(Move::Decide(decision)) => {
                let ends = self.supersedes(&decision);
                self.decide(*decision, ends)
            }
            Some(Move::Extend { id, expires_unix_ms }) => {
                self.record(&Event::Extended { id, expires_unix_ms }).map(|()| self.push())
            }
        };
        if let Err(error) = done {
            warn!(model = %name, %error, "a decision was not made: the journal refused it");
        }
    }

    /// What a new decision does to the one in force.
    fn supersedes(&self, decision: &Decision) -> Option<Ends> {
        let active = self.ledger.active(&decision.model)?;
        (decision.state == State::Active)
            .then(|| Ends { id: active.id.clone(), state: State::Superseded })
    }

    /// Writes a decision down, then carries it out.
    fn decide(&mut self, decision: Decision, ends: Option<Ends>) -> Result<(), JournalError> {
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
    fn follow(&mut self, id: String) {
        let span = info_span!("tidegate.decision.push", decision = %id);
        self.pushed.push((id, span));
        self.push();
        self.settle();
    }

    fn record(&mut self, event: &Event) -> Result<(), JournalError> {
        self.journal.append(event)?;
        self.ledger.apply(event);
        Ok(())
    }

    fn push(&mut self) {
        let (routings, snapshot) = snapshot(&self.config, &self.watched, &self.ledger);
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
    fn expire(&mut self, now: UnixMillis) -> Result<(), JournalError> {
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

    fn hear(&mut self, report: &Report) {
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

    fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone; that is no concern of ours.
        match ask {
            Ask::Status { reply } => drop(reply.send(self.status())),
            Ask::Judgements { model, reply } => drop(reply.send(self.judgements(model.as_deref()))),
            Ask::Decisions { model, reply } => drop(reply.send(self.decisions(model.as_deref()))),
            Ask::Rollback { model, author, reason, reply } => {
                drop(reply.send(self.roll_back(&model, &author, &reason)));
            }
            Ask::Approve { id, author, reply } => drop(reply.send(self.approve(&id, author))),
        }
    }

    fn status(&self) -> Status {
        let acknowledged = self.fleet.follows(&self.snapshots.borrow());
        let models = self.watched.iter().map(|watched| {
            let name = &watched.model.name;
            let last = watched.judgements.back();
            let routing = self.routings.get(name);
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
                quiet_until_unix_ms: self.ledger.quiet_until(name),
                weights: routing.map(|routing| routing.weights.clone()).unwrap_or_default(),
                mirrors: routing.map(|routing| routing.mirrors.clone()).unwrap_or_default(),
                window: last.map(|judgement| WindowStatus {
                    rows: judgement.rows,
                    exchanges: judgement.exchanges,
                    coverage: judgement.coverage,
                    closed_unix_ms: judgement.closed_unix_ms,
                }),
                findings: last.map(|judgement| judgement.findings.clone()).unwrap_or_default(),
                envoys: self.fleet.len(),
                acknowledged,
            }
        });
        Status { models: models.collect() }
    }

    fn judgements(&self, model: Option<&str>) -> Vec<Judgement> {
        let asked = |watched: &&Watched| model.is_none_or(|model| watched.model.name == model);
        let asked = self.watched.iter().filter(asked);
        asked.flat_map(|watched| watched.judgements.iter().cloned()).collect()
    }

    fn decisions(&self, model: Option<&str>) -> Vec<Decision> {
        let asked = |decision: &&Decision| model.is_none_or(|model| decision.model == model);
        self.ledger.iter().filter(asked).cloned().collect()
    }

    fn roll_back(&mut self, model: &str, author: &str, reason: &str) -> Result<Decision, Refusal> {
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

    fn approve(&mut self, id: &str, author: String) -> Result<Decision, Refusal> {
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

/// What all Envoys should have, by what is configured and decided.
fn snapshot(
    config: &Config,
    watched: &[Watched],
    ledger: &Ledger,
) -> (BTreeMap<String, Routing>, Snapshot) {
    let mut routings = BTreeMap::new();
    let mut models = Vec::new();
    for Watched { model, contract, .. } in watched {
        let routing = Routing::of(model, ledger.active(&model.name));
        models.push(plugin::Model {
            model: model.name.clone(),
            route: model.route.clone(),
            protocol: model.protocol,
            mode: model.mode,
            sample_rate: model.sample_rate,
            max_capture_bytes: model.max_capture_bytes,
            versions: model
                .versions
                .iter()
                .map(|version| plugin::Version {
                    version: version.name.clone(),
                    cluster: version.cluster.clone(),
                })
                .collect(),
            contract: Some(contract.clone()),
            block: routing.block.clone(),
        });
        routings.insert(model.name.clone(), routing);
    }
    let collector = plugin::Collector {
        cluster: config.envoy.collector_cluster.clone(),
        ..plugin::Collector::default()
    };
    let table = plugin::Plugin { collector: Some(collector), models };
    let snapshot = Snapshot::of(&routings, &table, &config.envoy);
    (routings, snapshot)
}
