//! The mind while the wall clock is set under it, an Envoy refuses for ever, and counts come that nobody can
//! have. Time is an argument, so no test waits. Real Envoys, people and processes are played elsewhere.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_contract::columns::{Cell, Column, Columns};
use tidegate_contract::contract::Contract;
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::reference::{Feature, Observation, Reference};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Mind, Subject};
use crate::breaches::Told;
use crate::custom_metrics::CustomMetrics;
use crate::decision::{Decision, State, UnixMillis};
use crate::fixture::{DIVERT, config};
use crate::intake::{Batch, Delivery, LostAtDoor, Pairing};
use crate::journal::Journal;
use crate::ledger::{Event, Ledger};
use crate::metrics::Metrics;
use crate::sides::Sides;
use crate::state::Opened;
use crate::state::embedded::Embedded;
use crate::watch::Counts;
use crate::xds::fleet::Report;
use crate::xds::session::Heard;
use crate::xds::snapshot::Resource;
use crate::xds::world::{Asker, World};

const HOP: Duration = Duration::from_secs(2);
const MINUTE: UnixMillis = 60_000;
const DAY: UnixMillis = 24 * 60 * MINUTE;

/// A mind, and two clocks that it is told: one that only runs, and one that anybody sets.
struct Clocked {
    mind: Mind,
    worlds: watch::Receiver<Arc<World>>,
    folder: TempDir,
    instant: Instant,
    now: UnixMillis,
    exchanges: u64,
    /// Each weight of the fallback that Envoys were given, one after the other.
    routes: Vec<u32>,
}

impl Clocked {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mind, worlds) = Self::awake(&folder);
        let instant = Instant::now();
        let now = 1_790_000_000_000;
        Self { mind, worlds, folder, instant, now, exchanges: 0, routes: vec![0] }
    }

    fn awake(folder: &TempDir) -> (Mind, watch::Receiver<Arc<World>>) {
        let config = config(DIVERT);
        let mut age = Feature::number("age");
        (0..9_000_u32).for_each(|row| age.observe(Observation::Number(f64::from(row * 37 % 90))));
        let (inputs, outputs) = (Reference::of(9_000, vec![age]), Reference::of(0, Vec::new()));
        let subject = Subject {
            hours: None,
            model: config.models[0].clone(),
            sides: Sides::of(&inputs, &outputs),
            effective_tests: None,
            contract: Contract::default(),
            metrics: CustomMetrics::default(),
        };
        let (store, events) = Embedded::open(folder.path()).expect("a log");
        let sensitive_key = String::new();
        let opened = Opened { store: Box::new(store), events, sensitive_key, folder: None };
        let (lost, pairing) = (Arc::new(LostAtDoor::new(1)), Arc::new(Pairing::new(1)));
        Mind::awake(config, vec![subject], lost, pairing, Metrics::default(), opened)
            .expect("the log is writable")
    }

    /// So many hops, each with 500 exchanges about people of at least this age.
    fn pass(&mut self, hops: u32, youngest: u32) {
        for _ in 0..hops {
            let cells = (0..500_u32)
                .map(|row| Cell::Number(f64::from(youngest + row * 37 % (90 - youngest))));
            let columns = vec![Column { name: "age".to_owned(), cells: cells.collect() }];
            let counts = |exchanges| Counts { exchanges, checked: exchanges, ..Counts::default() };
            self.exchanges += 500;
            let delivery = Delivery {
                rows: vec![Arc::new(Columns { rows: 500, columns })],
                ids: vec!["".into()],
                samples: 500,
                counts: vec![("v1".to_owned(), counts(self.exchanges), counts(500))],
                ..Delivery::default()
            };
            let deliveries = [(0, delivery)].into();
            let batch = Batch { worker: 1, deliveries, kept: Vec::new(), arrival: None };
            self.mind.take(batch, self.now);
            self.wait(HOP);
        }
    }

    /// Nothing comes for so long.
    fn wait(&mut self, long: Duration) {
        self.instant += long;
        self.now += u64::try_from(long.as_millis()).expect("no age of the world");
        self.mind.close_windows(self.instant, self.now);
        let weight = self.worlds.borrow().routings()["census"].weights["census-v2"];
        if self.routes.last() != Some(&weight) {
            self.routes.push(weight);
        }
    }

    /// Somebody sets the clock.
    fn forward(&mut self, by: UnixMillis) {
        self.now += by;
    }

    fn back(&mut self, by: UnixMillis) {
        self.now -= by;
    }

    /// The decisions, each as `action state author`.
    fn told(&self) -> Vec<String> {
        let told = |decision: &Decision| {
            format!("{} {:?} {}", decision.action.name(), decision.state, decision.author)
        };
        self.mind.ledger.iter().map(told).collect()
    }

    /// Holds that the log on the disk has all that the mind knows, and nothing twice.
    fn check_log(&self) {
        let events: Vec<Event> = Journal::records(self.folder.path()).expect("the log reads back");
        let replayed = Ledger::replay(&events);
        assert!(replayed.iter().eq(self.mind.ledger.iter()), "the log says something else");
        let ids: Vec<&str> = replayed.iter().map(|decision| decision.id.as_str()).collect();
        let expected: Vec<String> = (1..=ids.len()).map(|n| format!("d-{n:06}")).collect();
        assert_eq!(ids, expected);
        let decided = events.iter().filter(|event| matches!(event, Event::Decided { .. })).count();
        assert_eq!(decided, ids.len());
    }
}

/// A mind that diverted its model for an hour, because of drift.
fn diverted() -> Clocked {
    let mut clocked = Clocked::new();
    clocked.pass(5, 0);
    assert_eq!(clocked.told(), Vec::<String>::new());
    clocked.pass(5, 60);
    assert_eq!(clocked.told(), ["divert Active policy"]);
    assert_eq!(clocked.routes, [0, 100]);
    clocked
}

#[test]
fn a_day_forward_carries_a_decision_on_while_its_reason_holds() {
    let mut clocked = diverted();
    clocked.forward(DAY);
    clocked.pass(5, 60);
    assert_eq!(clocked.told(), ["divert Active policy"]);
    let end = clocked.mind.ledger.active("census").and_then(|active| active.expires_unix_ms);
    assert!(end > Some(clocked.now), "it was carried on");
    assert_eq!(clocked.routes, [0, 100]);
    clocked.check_log();
}

#[test]
fn a_day_forward_ends_a_decision_as_its_time_would_and_once() {
    let mut clocked = diverted();
    clocked.pass(10, 0);
    clocked.forward(DAY);
    clocked.pass(10, 0);
    assert_eq!(clocked.told(), ["divert Expired policy", "serve Active expiry"]);
    assert_eq!(clocked.routes, [0, 100, 0]);
    // Set right again, it is as it was; nothing comes back, and drift is acted on as ever.
    clocked.back(DAY);
    clocked.pass(10, 0);
    assert_eq!(clocked.routes, [0, 100, 0]);
    clocked.check_log();
    clocked.wait(Duration::from_secs(300));
    clocked.pass(5, 60);
    assert_eq!(clocked.routes, [0, 100, 0, 100]);
    clocked.check_log();
}

#[test]
fn a_day_back_makes_no_decision_longer() {
    let mut clocked = diverted();
    clocked.pass(10, 0);
    clocked.back(DAY);
    clocked.pass(5, 0);
    clocked.wait(Duration::from_secs(59 * 60));
    assert_eq!(clocked.routes, [0, 100], "an hour is not over yet");
    clocked.wait(Duration::from_secs(60));
    assert_eq!(clocked.told(), ["divert Expired policy", "serve Active expiry"]);
    assert_eq!(clocked.routes, [0, 100, 0]);
    clocked.check_log();
}

#[test]
fn a_day_back_carries_a_decision_on_while_its_reason_holds() {
    let mut clocked = diverted();
    clocked.back(DAY);
    for _ in 0..4 {
        clocked.wait(Duration::from_secs(29 * 60));
        clocked.pass(40, 60);
    }
    assert_eq!(clocked.told(), ["divert Active policy"], "two hours later");
    assert_eq!(clocked.routes, [0, 100]);
    clocked.check_log();
}

#[test]
fn a_clock_that_is_set_wrong_and_right_again_changes_nothing() {
    let mut clocked = diverted();
    clocked.back(DAY);
    clocked.pass(5, 0);
    clocked.forward(DAY);
    clocked.pass(5, 0);
    assert_eq!(clocked.told(), ["divert Active policy"]);
    assert_eq!(clocked.routes, [0, 100]);
    clocked.wait(Duration::from_secs(3600));
    assert_eq!(clocked.told(), ["divert Expired policy", "serve Active expiry"]);
    clocked.check_log();
}

#[test]
fn counts_that_no_filter_can_have_keep_nothing_from_being_judged() {
    let mut clocked = diverted();
    let most = u64::MAX;
    let most = Counts { exchanges: most, checked: most, violating: most, dropped: most };
    for worker in 0..20 {
        for counts in [most, Counts::default(), most] {
            let version = if worker % 2 == 0 { "v1" } else { "v2" };
            let delivery = Delivery {
                samples: u64::MAX,
                unreadable: u64::MAX,
                counts: vec![(version.to_owned(), counts, most)],
                told: vec![Told { version: version.to_owned(), ..Told::default() }],
                ..Delivery::default()
            };
            let deliveries = [(0, delivery)].into();
            let batch = Batch { worker, deliveries, kept: Vec::new(), arrival: None };
            clocked.mind.take(batch, clocked.now);
        }
    }
    clocked.pass(10, 60);
    let judged = clocked.mind.watched[0].judgements.back().expect("a judgement");
    assert_eq!((judged.rows, judged.verdict), (2_500, Verdict::Alarm));
    assert_eq!(clocked.told(), ["divert Active policy"]);
    clocked.check_log();
}

#[test]
fn what_one_envoy_refuses_for_ever_is_written_down_once_and_pending_until_it_goes() {
    let mut clocked = diverted();
    let resource = Resource::Runtime;
    let version = clocked.worlds.borrow().whole(resource).version.clone();
    let asker =
        |id: u64| Asker { id: format!("envoy-{id}"), version: Some((1, 40)), ..Asker::default() };
    let report = |stream, heard| Report { stream, asker: Arc::new(asker(stream)), heard };
    let (whole, why) = (version.clone(), "bad key".to_owned());
    let refused = Heard::Refused { resource, version: version.clone(), whole, why };
    let told = |clocked: &Clocked| {
        let divert = clocked.mind.ledger.find("d-000001").cloned().expect("a divert");
        (divert.state, divert.refused, divert.acknowledged_unix_ms.is_some())
    };
    for stream in [1, 2] {
        let subscribed = Heard::Subscribed { resource, version: String::new() };
        clocked.mind.hear(&report(stream, Some(subscribed)));
    }
    for _ in 0..100 {
        clocked.mind.hear(&report(1, Some(refused.clone())));
    }
    clocked.mind.hear(&report(2, Some(Heard::Acknowledged { resource, version })));
    assert_eq!(told(&clocked), (State::Active, Some("bad key".to_owned()), false));
    let events: Vec<Event> = Journal::records(clocked.folder.path()).expect("the log reads back");
    let noted = events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
    assert_eq!(noted, 1);
    assert_eq!(clocked.routes, [0, 100], "and the others keep it");
    clocked.mind.hear(&report(1, None));
    assert_eq!(told(&clocked), (State::Active, None, true));
    clocked.check_log();
}
