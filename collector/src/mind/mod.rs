//! The mind: the one task that owns windows, decisions and the snapshot that Envoys get. Everything
//! reaches it as a message; nothing else changes its state, so no lock is held anywhere.
//!
//! A decision is written to the journal before it is pushed, and counts as done when every connected
//! Envoy has acknowledged it.

mod answering;
mod deciding;
mod manual;
pub(crate) mod orders;
mod rolling;
mod sharing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use tidegate_contract::contract::Contract;
use tidegate_contract::protocol::Side;
use tidegate_detectors::finding::Verdict;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{Span, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::api::ask::Ask;
use crate::breaches::Breaches;
use crate::clock;
use crate::config::Config;
use crate::config::model::Model;
use crate::custom_metrics::CustomMetrics;
use crate::deadline::Deadlines;
use crate::decision::{Decision, UnixMillis};
use crate::examples::Examples;
use crate::intake::{Batch, LostAtDoor, Pairing};
use crate::judgement::Judgement;
use crate::labels::memory::Memory;
use crate::labels::outcomes::Outcomes;
use crate::ledger::{Event, Ledger};
use crate::metrics::Metrics;
use crate::policy::{self, Move, Standing, Streaks};
use crate::profile::hours::Hours;
use crate::rollout::compare::Outputs;
use crate::rollout::segments::Segments;
use crate::sides::Sides;
use crate::state::{News, Opened, StateError, Store};
use crate::watch::{Watch, bets};
use crate::xds::fleet::{Fleet, Report};
use crate::xds::world::World;

/// Judgements kept for each model.
const JUDGEMENTS_KEPT: usize = 128;
/// Traces that one window's span links to.
const MAX_LINKS: usize = 32;

/// What the mind needs to know of one model.
#[derive(Debug)]
pub struct Subject {
    /// As configured.
    pub model: Model,
    /// What its training data looked like.
    pub sides: Sides,
    /// How many independent tests those of a window are worth, where the profile says.
    pub effective_tests: Option<f64>,
    /// How many rows training data had at each hour of the week, where it says.
    pub hours: Option<Hours>,
    /// What the filter holds its requests against.
    pub contract: Contract,
    /// What its owner measures it by.
    pub metrics: CustomMetrics,
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
    /// What the collectors that share our state did.
    pub news: mpsc::Receiver<News>,
}

/// A decision on its way to the Envoys.
struct Pushed {
    id: String,
    /// When what it rests on was known: the window's close, or the wish of a person.
    since: Instant,
    /// Began with the push.
    span: Span,
    /// How long the decision log was with it.
    length: u64,
}

/// One model under watch.
struct Watched {
    model: Model,
    contract: Contract,
    watch: Watch,
    /// What labels say, where some are awaited.
    outcomes: Option<Memory>,
    /// What a candidate is held against, and how it does while one is on its way.
    outputs: Outputs,
    segments: Segments,
    trial: Option<rolling::Trial>,
    /// Some of the latest exchanges, for decisions to name.
    examples: Examples,
    breaches: Breaches,
    streaks: Streaks,
    judgements: VecDeque<Arc<Judgement>>,
    closes: Instant,
    links: Vec<SpanContext>,
}

impl Watched {
    /// Tells the watch what labels say of metrics.
    fn take_labelled(&mut self) {
        if let Some(outcomes) = &mut self.outcomes {
            self.watch.labelled(outcomes.outcomes().values());
        }
    }

    /// Keeps a judgement: the newest whole, of older ones only what was found.
    fn remember(&mut self, judgement: Judgement) {
        if let Some(previous) = self.judgements.back_mut() {
            Arc::make_mut(previous).findings.retain(|finding| finding.verdict >= Verdict::Warning);
        }
        self.judgements.push_back(Arc::new(judgement));
        if self.judgements.len() > JUDGEMENTS_KEPT {
            self.judgements.pop_front();
        }
    }
}

/// The state of the whole loop.
pub struct Mind {
    config: Config,
    watched: Vec<Watched>,
    ledger: Ledger,
    store: Box<dyn Store>,
    /// Whether this collector decided when we last looked.
    led: bool,
    fleet: Fleet,
    worlds: watch::Sender<Arc<World>>,
    /// Decisions in force that not every Envoy has acknowledged yet.
    pushed: Vec<Pushed>,
    /// When they end, whatever the wall clock says.
    deadlines: Deadlines,
    /// What the journal said when it last failed; `None` once it has taken a line again.
    journal_trouble: Option<String>,
    lost: Arc<LostAtDoor>,
    /// For which models pairs of answers are wanted.
    pairing: Arc<Pairing>,
    metrics: Metrics,
    /// What the filters hash sensitive values by.
    sensitive_key: String,
}

/// What labels make of a model, with what is remembered in the folder of the state.
fn remembered(subject: &Subject, folder: Option<&Path>) -> Result<Option<Memory>, StateError> {
    let Some(labels) = &subject.model.labels else { return Ok(None) };
    let bets = bets(&subject.model, &subject.sides);
    let outcomes = Outcomes::new(&subject.model, labels, bets).measuring(subject.metrics.clone());
    let Some(folder) = folder else { return Ok(Some(Memory::without_log(outcomes))) };
    let path = folder.join("labels").join(&subject.model.name);
    let memory = Memory::open(outcomes, &path, clock::unix_ms());
    memory.map(Some).map_err(|source| StateError::Labels { path, source })
}

impl Mind {
    /// A mind over these subjects, with the decisions that the log remembers in force again.
    /// Gives the worlds for the discovery service, too.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn awake(
        config: Config,
        subjects: Vec<Subject>,
        lost: Arc<LostAtDoor>,
        pairing: Arc<Pairing>,
        metrics: Metrics,
        opened: Opened,
    ) -> Result<(Self, watch::Receiver<Arc<World>>), StateError> {
        let Opened { store, events, sensitive_key, folder } = opened;
        let ledger = Ledger::replay(&events);
        let now = Instant::now();
        let watched = subjects.into_iter().map(|subject| {
            Ok(Watched {
                outputs: Outputs::of(
                    &subject.sides,
                    subject.contract.outputs.iter().map(|field| field.name.as_str()),
                    subject.model.rollout.tolerance,
                ),
                segments: Segments::of(&subject.sides),
                trial: None,
                outcomes: remembered(&subject, folder.as_deref())?,
                watch: Watch::new(
                    &subject.model,
                    &subject.contract,
                    subject.sides,
                    subject.effective_tests,
                )
                .expecting(&subject.model, subject.hours.as_ref())
                .measuring(subject.metrics),
                examples: Examples::default(),
                breaches: Breaches::default(),
                closes: now + subject.model.window.hop,
                model: subject.model,
                contract: subject.contract,
                streaks: Streaks::default(),
                judgements: VecDeque::new(),
                links: Vec::new(),
            })
        });
        let watched = watched.collect::<Result<Vec<_>, StateError>>()?;
        let world = orders::give(&config, &watched, &ledger, &sensitive_key);
        let (worlds, receiver) = watch::channel(Arc::new(world));
        let mut mind = Self {
            config,
            watched,
            ledger,
            store,
            led: false,
            fleet: Fleet::default(),
            worlds,
            pushed: Vec::new(),
            deadlines: Deadlines::default(),
            journal_trouble: None,
            lost,
            pairing,
            metrics,
            sensitive_key,
        };
        if mind.shares() {
            let wall = clock::unix_ms();
            for at in 0..mind.watched.len() {
                let hop = mind.watched[at].model.window.hop;
                mind.watched[at].closes = mind.next_close(hop, now, wall);
                mind.watched[at].watch.share();
            }
        } else {
            mind.led = true;
            mind.resume()?;
        }
        (0..mind.watched.len()).for_each(|at| mind.follow_rollout(at));
        Ok((mind, receiver))
    }

    /// Until it is told to stop.
    pub async fn run(mut self, mut inbox: Inbox, mut stopping: watch::Receiver<bool>) {
        loop {
            let wakes = self.wakes(Instant::now(), clock::unix_ms());
            tokio::select! {
                // People first, then Envoys, then the clock: a flood of samples delays none of them.
                biased;
                _ = stopping.wait_for(|stop| *stop) => break,
                Some(ask) = inbox.asks.recv() => self.answer(ask),
                Some(report) = inbox.reports.recv() => self.hear(&report),
                Some(news) = inbox.news.recv() => self.learn(news),
                () = sleep_until(wakes) => self.close_windows(Instant::now(), clock::unix_ms()),
                Some(batch) = inbox.batches.recv() => self.take(batch, clock::unix_ms()),
            }
        }
    }

    /// When a window closes or a decision ends, whichever is first.
    fn wakes(&self, instant: Instant, now: UnixMillis) -> Instant {
        let closes = self.watched.iter().map(|watched| watched.closes);
        let ends = self.ledger.next_end().filter(|_| self.leads()).map(|end| {
            // Looked at again within the hour at the latest: the wall clock may be set meanwhile.
            instant + Duration::from_millis(end.saturating_sub(now).min(3_600_000))
        });
        closes.chain(ends).min().unwrap_or_else(|| instant + Duration::from_secs(1))
    }

    fn take(&mut self, batch: Batch, now: UnixMillis) {
        for (at, delivery) in batch.deliveries {
            let Some(watched) = self.watched.get_mut(at) else { continue };
            watched.watch.at(now);
            watched.watch.rows(Side::Request, &delivery.rows);
            watched.watch.rows(Side::Response, &delivery.answers);
            for [asked, answered] in &delivery.exchanges {
                watched.watch.exchange(asked.as_deref(), answered.as_deref());
            }
            if let Some(trial) = &mut watched.trial {
                for half in delivery.halves {
                    let asked = half.asked.and_then(|at| delivery.rows.get(at)).map(Arc::as_ref);
                    trial.pairs.take(half, asked, now);
                }
            }
            for (id, rows) in delivery.ids.into_iter().zip(delivery.rows) {
                watched.examples.take(id, rows);
            }
            if let Some(outcomes) = &mut watched.outcomes {
                delivery.answered.into_iter().for_each(|answered| outcomes.keep(answered, now));
                outcomes.flush(now);
            }
            let read = delivery.samples.saturating_sub(delivery.unreadable);
            watched.watch.arrived(read, delivery.unreadable + self.lost.take(at));
            for (version, counts, with) in delivery.counts {
                watched.watch.counts(batch.worker, &version, counts, with);
            }
            for told in delivery.told {
                watched.breaches.take(batch.worker, told);
            }
            let room = MAX_LINKS.saturating_sub(watched.links.len());
            let links = delivery.links.iter().chain(&batch.arrival);
            watched.links.extend(links.take(room).cloned());
        }
    }

    fn close_windows(&mut self, instant: Instant, now: UnixMillis) {
        self.deadlines.look(&self.ledger, now, instant);
        for at in 0..self.watched.len() {
            if self.watched[at].closes <= instant {
                let hop = self.watched[at].model.window.hop;
                if self.shares() {
                    self.watched[at].closes = self.next_close(hop, instant, now);
                    self.send(at, now);
                    continue;
                }
                let next = self.watched[at].closes + hop;
                // After a stall the same rows must not be judged twice at once.
                self.watched[at].closes = if next > instant { next } else { instant + hop };
                self.watched[at].take_labelled();
                let judgement = self.watched[at].watch.close(now);
                self.judge(at, judgement, instant, now);
                self.roll(at, instant, now);
            }
        }
        self.stand();
        // What the journal refuses now is tried again at the next window.
        let _ = self.expire(instant, now);
    }

    fn judge(&mut self, at: usize, mut judgement: Judgement, closed: Instant, now: UnixMillis) {
        let leads = self.leads();
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
        if let Some(outcomes) = &mut watched.outcomes {
            let of_labels = outcomes.close(watched.watch.rules(), now);
            judgement = judgement.with(of_labels, watched.watch.reference());
            self.metrics.labelled(&watched.model.name, &outcomes.status());
        }
        span.record("rows", judgement.rows);
        span.record("verdict", tracing::field::debug(judgement.verdict));
        let previous = watched.judgements.back();
        self.metrics.judged(&judgement, previous.map(Arc::as_ref));
        let before = previous.map(|judgement| judgement.verdict);
        if judgement.verdict >= Verdict::Warning && before != Some(judgement.verdict) {
            let worst = judgement.findings.first().map(|worst| worst.subject("requests"));
            warn!(
                model = %judgement.model,
                verdict = ?judgement.verdict,
                rows = judgement.rows,
                worst = worst.unwrap_or_default(),
                "a window is not healthy"
            );
        }
        let name = watched.model.name.clone();
        let mut standing = Standing::of(&watched.model, &self.ledger, now);
        let active = standing.active.map(|active| Decision {
            expires_unix_ms: self.deadlines.end(active, now, closed),
            ..active.clone()
        });
        standing.active = active.as_ref();
        let id = self.ledger.next_id();
        let moved = info_span!("tidegate.policy.decide").in_scope(|| {
            policy::next(&watched.model, &mut watched.streaks, &judgement, standing, &id, now)
        });
        watched.remember(judgement);
        watched.examples.close();
        // Those who follow think along, so that any of them can take over.
        let done = match moved.filter(|_| leads) {
            None => Ok(()),
            Some(Move::Decide(mut decision)) => {
                decision.exchanges = self.watched[at].examples.weighed(&decision.evidence);
                let ends = self.supersedes(&decision);
                self.decide(*decision, ends, closed)
            }
            Some(Move::Extend { id, expires_unix_ms }) => {
                self.record(&Event::Extended { id, expires_unix_ms }).map(|()| self.push())
            }
        };
        if done.is_err() {
            warn!(model = %name, "nothing is done that cannot be written down");
        }
    }
}
