//! Several collectors over one Redis, each with an Envoy of its own: they judge what all of them see,
//! one decides, and all Envoys follow; whoever is killed or stands still meanwhile.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::house::{House, Model, Plan, SOON};
use tidegate_tests::patience::{eventually, throughout};
use tidegate_tests::people::{Dice, Era};
use tidegate_tests::stream::{Flow, Stream};
use tidegate_tests::tools;
use xtask::stage::Stage;
use xtask::stage::collector::Collector;
use xtask::stage::http;
use xtask::stage::redis::Redis;

/// A lease runs out after three seconds; two busy cores may take their time.
const TAKEN_OVER: Duration = Duration::from_secs(15);

const RULE: &str =
    "{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";

/// A Redis and some houses that share it.
struct Harbour {
    houses: Vec<House>,
    redis: Redis,
    _stage: Stage,
}

impl Harbour {
    fn of(play: &str, houses: usize, window: &str) -> Self {
        Self::with(play, houses, |plan| plan.model(Model::census().window(window).rule(RULE)))
    }

    fn with(play: &str, houses: usize, plan: impl Fn(Plan) -> Plan) -> Self {
        let stage = Stage::open(&tools::stages(), &format!("{play}-redis")).expect("a folder");
        let redis = Redis::start(&stage, &tools::redis()).expect("Redis starts");
        let house = |at| plan(Plan::of(&format!("{play}-{at}")).state(&redis.url())).raise();
        let houses = (0..houses).map(house).collect();
        Self { houses, redis, _stage: stage }
    }

    /// The house whose collector decides.
    fn leader(&self) -> usize {
        eventually("a collector decides", TAKEN_OVER, || {
            (0..self.houses.len()).find(|at| role(&self.houses[*at]) == "leader")
        })
    }

    /// On each Envoy requests about so many people, at most 50 a second; each must be answered 200.
    fn streams(&self, era: Era, rows: usize) -> Vec<Stream> {
        let flow = Flow::of(era).rows(rows).pause(Duration::from_millis(20)).served();
        self.houses.iter().zip(1995..).map(|(house, seed)| flow.seed(seed).begin(house)).collect()
    }
}

/// Whether the collector of a house decides; empty where it does not answer.
/// An Envoy whose collector was away several times waits for up to 30 s before it asks again.
const ASKED_AGAIN: Duration = Duration::from_secs(45);

fn role(house: &House) -> String {
    let status = house.collector.as_ref().and_then(|collector| collector.get("status").ok());
    let crew = status.map(|status| status["crew"].clone()).unwrap_or_default();
    crew["role"].as_str().unwrap_or_default().to_owned()
}

fn await_role(house: &House, wanted: &str) {
    eventually(&format!("the collector is a {wanted}"), TAKEN_OVER, || {
        (role(house) == wanted).then_some(())
    });
}

fn await_versions(harbour: &Harbour, wanted: &str) {
    for house in &harbour.houses {
        eventually(&format!("{wanted} answers at every Envoy"), ASKED_AGAIN, || {
            (house.version() == wanted).then_some(())
        });
    }
}

/// The decisions that a house knows, each as `id action state`.
fn told(house: &House) -> Vec<String> {
    let words = |decision: &Value| {
        let word = |key: &str| decision[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", word("id"), word("action"), word("state"))
    };
    house.decisions().iter().map(words).collect()
}

fn await_told(harbour: &Harbour, wanted: &[&str]) {
    for house in &harbour.houses {
        eventually(&format!("every collector knows {wanted:?}"), SOON, || {
            (told(house) == wanted).then_some(())
        });
    }
}

/// Whether a collector says that it is ready.
fn ready(house: &House) -> bool {
    let url = house.collector.as_ref().map(Collector::url).unwrap_or_default();
    http::answers_ok(&format!("{url}/readyz"))
}

/// Puts a harbour up whose model is diverted by drift.
fn diverted(play: &str, houses: usize) -> Harbour {
    let harbour = Harbour::of(play, houses, "{length: 2s, hop: 500ms, min_rows: 100}");
    let streams = harbour.streams(Era::Later, 5);
    await_versions(&harbour, "v2");
    await_told(&harbour, &["d-000001 divert active"]);
    drop(streams);
    harbour
}

#[test]
fn three_collectors_reach_the_verdict_of_one_and_one_of_them_decides() {
    // Each sees a third of what the window needs: none of them could say anything alone.
    let window = "{length: 4s, hop: 1s, min_rows: 300}";
    let harbour = Harbour::of("shared-verdict", 3, window);
    harbour.leader();
    let stable = harbour.streams(Era::Training, 1);
    for house in &harbour.houses {
        eventually("every collector judges the rows of all", SOON, || {
            let status = house.status();
            let rows = status["window"]["rows"].as_u64()?;
            let healthy = status["verdict"] == "healthy";
            assert!(house.decisions().is_empty());
            // A stream alone makes at most 200 in a window.
            (healthy && rows >= 300).then_some(())
        });
    }
    let findings = |house: &House| {
        let windows = house.collector.as_ref().expect("there").get("findings").unwrap_or_default();
        let windows = windows["windows"].as_array().cloned().unwrap_or_default();
        let told =
            |w: &Value| (w["closed_unix_ms"].as_u64(), w["rows"].as_u64(), w["verdict"].clone());
        windows.iter().map(told).collect::<Vec<_>>()
    };
    let [one, two, three] = [0, 1, 2].map(|at| findings(&harbour.houses[at]));
    let in_all = one.iter().filter(|w| two.contains(w) && three.contains(w)).count();
    assert!(in_all >= 3, "windows were judged apart: {one:?} {two:?} {three:?}");
    drop(stable);

    let drifted = harbour.streams(Era::Later, 1);
    await_versions(&harbour, "v2");
    await_told(&harbour, &["d-000001 divert active"]);
    let decision = eventually("the Envoys of all have acknowledged it", SOON, || {
        let newest = harbour.houses[0].decisions().pop()?;
        newest["acknowledged_unix_ms"].is_u64().then_some(newest)
    });
    assert!(decision["seconds_to_acknowledgement"].as_f64().is_some(), "{decision:#}");
    assert!(
        decision["evidence"][0]["rows"].as_u64() >= Some(300),
        "the evidence is of all collectors: {decision:#}"
    );

    // A person is told whom to ask, and that one undoes it for all.
    let leader = harbour.leader();
    let follower = &harbour.houses[(leader + 1) % 3];
    let refused = follower.tidegate(&["rollback", "census", "--author", "ann"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    let named = harbour.houses[leader].collector.as_ref().expect("there").url();
    assert!(words.contains(named.trim_start_matches("http://")), "{words}");
    let undone = harbour.houses[leader].tidegate(&["rollback", "census", "--author", "ann"]);
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    await_versions(&harbour, "v1");
    await_told(&harbour, &["d-000001 divert rolled_back", "d-000002 serve active"]);
    drop(drifted);
}

#[test]
fn when_the_leader_is_killed_another_takes_over_and_no_route_changes_twice() {
    let mut harbour = diverted("shared-killed", 3);
    let streams = harbour.streams(Era::Later, 5);
    let leader = harbour.leader();
    harbour.houses[leader].collector().process.kill();
    eventually("another one decides", TAKEN_OVER, || {
        (0..3).find(|at| *at != leader && role(&harbour.houses[*at]) == "leader")
    });
    let before: Vec<u64> = streams.iter().map(Stream::sent).collect();
    for at in (0..3).filter(|at| *at != leader) {
        let house = &harbour.houses[at];
        let known = vec!["d-000001 divert active".to_owned()];
        throughout("the decision stands", Duration::from_secs(2), &known, || told(house));
        assert_eq!(house.version(), "v2");
    }
    // The Envoy of the dead one keeps what it had.
    assert_eq!(harbour.houses[leader].version(), "v2");
    assert!(streams.iter().zip(before).all(|(stream, before)| stream.sent() > before));

    harbour.houses[leader].start_collector();
    await_role(&harbour.houses[leader], "follower");
    let follows = vec!["d-000001 divert active".to_owned()];
    assert_eq!(told(&harbour.houses[leader]), follows);
    let leader = harbour.leader();
    let undone = harbour.houses[leader].tidegate(&["rollback", "census", "--author", "ann"]);
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    await_versions(&harbour, "v1");
    await_told(&harbour, &["d-000001 divert rolled_back", "d-000002 serve active"]);
    drop(streams);
}

#[test]
fn while_redis_is_away_envoys_are_served_and_nothing_is_decided() {
    let mut harbour = diverted("shared-redis", 2);
    let streams = harbour.streams(Era::Later, 5);
    for pause in [false, true] {
        harbour.leader();
        if pause {
            harbour.redis.process.pause();
        } else {
            harbour.redis.process.kill();
        }
        for house in &harbour.houses {
            await_role(house, "lost");
            assert!(!ready(house), "a collector that cannot decide says that it is ready");
            let refused = house.tidegate(&["rollback", "census", "--author", "ann"]);
            let words = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(words.contains("nothing is decided here"), "{words}");
            let metrics = http::Client::new(SOON)
                .get(&format!("{}/metrics", house.collector.as_ref().expect("there").url()))
                .expect("metrics are told")
                .text();
            assert!(metrics.contains("tidegate_state_standing 0"), "{metrics}");
        }
        let before: Vec<u64> = streams.iter().map(Stream::sent).collect();
        for house in &harbour.houses {
            let known = vec!["d-000001 divert active".to_owned()];
            throughout("the decision stands", Duration::from_secs(1), &known, || told(house));
            assert_eq!(house.version(), "v2");
        }
        assert!(streams.iter().zip(before).all(|(stream, before)| stream.sent() > before));
        if pause {
            harbour.redis.process.resume();
        } else {
            // A collector that starts now has no log to follow: it must not tell its Envoy anything.
            harbour.houses[0].collector().process.kill();
            let configuration = harbour.houses[0].folder().join("tidegate.yaml");
            let mut command = Command::new(tools::tidegate());
            let started = command.arg("serve").arg("-c").arg(configuration).output();
            let started = started.expect("the command runs");
            assert_eq!(started.status.code(), Some(2));
            let words = String::from_utf8_lossy(&started.stderr).into_owned();
            assert!(words.contains(&harbour.redis.url()), "{words}");
            assert_eq!(harbour.houses[0].version(), "v2");
            harbour.redis.restart().expect("Redis starts again");
            harbour.houses[0].start_collector();
        }
        for house in &harbour.houses {
            eventually("it is ready again", TAKEN_OVER, || ready(house).then_some(()));
        }
        await_told(&harbour, &["d-000001 divert active"]);
    }
    let leader = harbour.leader();
    let undone = harbour.houses[leader].tidegate(&["rollback", "census", "--author", "ann"]);
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    await_versions(&harbour, "v1");
    await_told(&harbour, &["d-000001 divert rolled_back", "d-000002 serve active"]);
    drop(streams);
}

#[test]
fn a_leader_that_stood_still_past_its_lease_changes_nothing_when_it_goes_on() {
    let harbour = diverted("shared-paused", 2);
    let old = harbour.leader();
    let new = 1 - old;
    let streams = harbour.streams(Era::Later, 5);
    let paused = harbour.houses[old].collector.as_ref().expect("there");
    paused.process.pause();
    await_role(&harbour.houses[new], "leader");
    let undone = harbour.houses[new].tidegate(&["rollback", "census", "--author", "ann"]);
    // Its own Envoy follows; that of the one that stands still cannot.
    assert!(undone.status.code().is_some_and(|code| code < 2), "{undone:?}");
    eventually("v1 answers", SOON, || (harbour.houses[new].version() == "v1").then_some(()));
    assert_eq!(harbour.houses[old].version(), "v2", "an Envoy keeps what it has");

    // It wakes as the leader that it was, in the middle of traffic that drifts.
    paused.process.resume();
    await_role(&harbour.houses[old], "follower");
    await_versions(&harbour, "v1");
    let known =
        ["d-000001 divert rolled_back", "d-000002 serve active"].map(str::to_owned).to_vec();
    for house in &harbour.houses {
        throughout("nobody decides again", Duration::from_secs(2), &known, || told(house));
    }
    assert_eq!(harbour.leader(), new);
    drop(streams);
}

#[test]
fn killed_at_random_moments_all_know_the_same_log_and_no_route_changed_twice() {
    // Drift diverts, the decision runs out, drift diverts again: something is always on its way.
    let rule = "{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 2s, cooldown: 1s}";
    let rules = "guard: {changes_per_hour: 1000}";
    let mut harbour = Harbour::with("shared-random", 3, |plan| {
        let window = "{length: 2s, hop: 500ms, min_rows: 100}";
        plan.model(Model::census().window(window).rule(rule).line(rules))
    });
    let streams = harbour.streams(Era::Later, 5);
    let mut dice = Dice::of(1912);
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(300 + dice.below(2_500)));
        match dice.below(4) {
            3 => {
                harbour.redis.process.kill();
                thread::sleep(Duration::from_millis(dice.below(1_500)));
                harbour.redis.restart().expect("Redis starts again");
            }
            at => {
                let house = &mut harbour.houses[at as usize];
                house.collector().process.kill();
                thread::sleep(Duration::from_millis(dice.below(4_000)));
                house.start_collector();
            }
        }
    }
    // Without traffic nothing new is decided; what is in force runs out.
    drop(streams);
    await_versions(&harbour, "v1");
    harbour.leader();
    let logs = eventually("all know the same log, and the primary serves", SOON, || {
        let logs: Vec<Vec<Value>> = harbour.houses.iter().map(House::decisions).collect();
        let over = logs[0].last().is_some_and(|last| last["action"] == "serve");
        // When each was acknowledged is part of it.
        (over && logs.iter().all(|log| *log == logs[0])).then_some(logs)
    });
    let log = &logs[0];
    assert!(log.len() >= 6, "too little happened: {log:#?}");
    for (at, decision) in log.iter().enumerate() {
        assert_eq!(decision["id"], format!("d-{:06}", at + 1), "{log:#?}");
        let wanted = if at % 2 == 0 { "divert" } else { "serve" };
        assert_eq!(decision["action"], wanted, "a route changed twice: {log:#?}");
        let state = if at + 1 == log.len() {
            "active"
        } else if at % 2 == 0 {
            "expired"
        } else {
            "superseded"
        };
        assert_eq!(decision["state"], state, "{log:#?}");
    }
}
