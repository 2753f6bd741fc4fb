//! The closed loop with short windows: traffic is judged, a decision follows, Envoy's routes change,
//! and people undo it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::client::{Client, Request};
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::{eventually, throughout};
use tidegate_tests::people::{Dice, Era, oip, person};
use tidegate_tests::recorder::Reply;

/// A rule that acts on drift.
fn on_drift(then: &str, expires: &str, cooldown: &str) -> String {
    format!(
        "{{on: data_drift, verdict: alarm, windows: 1, then: {then}, expires: {expires}, cooldown: {cooldown}}}"
    )
}

fn house(play: &str, rule: &str) -> House {
    Plan::of(play).model(Model::census().mode("enforce").rule(rule)).raise()
}

/// A stream of requests about people of one era that goes on until it is dropped. It fails with a
/// request that gets no answer.
struct Stream {
    goes_on: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    client: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(house: &House, era: Era) -> Self {
        let (goes_on, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (going, counted, port) =
            (Arc::clone(&goes_on), Arc::clone(&sent), house.envoy.listener);
        let client = thread::spawn(move || {
            let mut dice = Dice::of(1995);
            let mut client = Client::to(port);
            while going.load(Ordering::Relaxed) {
                let people: Vec<_> = (0..5).map(|_| person(&mut dice, era)).collect();
                client.ask(&Request::post(INFER, oip(&people).to_string()));
                counted.fetch_add(1, Ordering::Relaxed);
                // The pace of a client, about 500 rows a second; nothing waits for it.
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { goes_on, sent, client: Some(client) }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        let ended = self.client.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.expect("a stream has a client").expect("each request is answered");
        }
    }
}

/// Which version answers right now.
fn version(house: &House) -> String {
    let one = oip(&tidegate_tests::people::people(7, 1, Era::Training)).to_string();
    let answer = house.ask(&Request::post(INFER, one));
    answer.json()["model_version"].as_str().unwrap_or_default().to_owned()
}

fn await_version(house: &House, wanted: &str) {
    eventually(&format!("{wanted} answers"), SOON, || (version(house) == wanted).then_some(()));
}

/// The newest decision, once it is of this action and state.
fn await_decision(house: &House, action: &str, state: &str) -> Value {
    eventually(&format!("a decision to {action} that is {state}"), SOON, || {
        let newest = house.decisions().pop()?;
        (newest["action"] == action && newest["state"] == state).then_some(newest)
    })
}

fn await_judged(house: &House) {
    eventually("a window with enough rows was judged", SOON, || {
        (house.status()["window"]["rows"].as_u64() >= Some(100)).then_some(())
    });
}

fn id(decision: &Value) -> &str {
    decision["id"].as_str().expect("a decision has an id")
}

#[test]
fn a_stable_stream_leads_to_no_decision() {
    let house = house("loop-stable", &on_drift("divert, to: v2", "1h", "1s"));
    let stream = Stream::of(&house, Era::Training);
    await_judged(&house);
    let begun = stream.sent();
    // Several windows, each judged by every detector.
    eventually("5000 rows were sent", Duration::from_secs(60), || {
        assert_eq!(house.decisions(), Vec::<Value>::new());
        (stream.sent() >= begun + 1000).then_some(())
    });
    let status = house.status();
    assert_eq!(status["verdict"], "healthy", "{status:#}");
    assert!(status["window"]["coverage"].as_f64() > Some(0.95), "{status:#}");
    assert_eq!(version(&house), "v1");
    assert_eq!(house.v2.whole(), 0);
    assert_eq!(house.tidegate(&["status"]).status.code(), Some(0));
}

#[test]
fn drift_changes_the_route_and_a_person_changes_it_back() {
    let house = house("loop-drift", &on_drift("divert, to: v2", "1h", "1h"));
    let stable = Stream::of(&house, Era::Training);
    await_judged(&house);
    assert_eq!(version(&house), "v1");
    drop(stable);

    let begun = Instant::now();
    let drifted = Stream::of(&house, Era::Later);
    await_version(&house, "v2");
    let took = begun.elapsed();
    // One window of two seconds plus one second; the clients of this test share its two cores.
    assert!(took < Duration::from_secs(4), "the route changed after {took:?}");
    let decision = eventually("Envoy acknowledges", SOON, || {
        let newest = house.decisions().pop()?;
        newest["acknowledged_unix_ms"].is_u64().then_some(newest)
    });
    assert_eq!(decision["action"], "divert", "{decision:#}");
    assert_eq!(decision["to"], "v2", "{decision:#}");
    assert_eq!(decision["author"], "policy", "{decision:#}");
    assert!(decision["rule"].as_str().is_some_and(|rule| rule.contains("data_drift")));
    assert!(
        decision["seconds_to_acknowledgement"].as_f64().is_some_and(|s| s < 1.0),
        "{decision:#}"
    );
    let evidence = decision["evidence"].as_array().expect("evidence");
    assert!(evidence.iter().any(|finding| finding["feature"] == "age"), "{decision:#}");
    assert_eq!(house.tidegate(&["status"]).status.code(), Some(1), "an alarm is a finding");
    let weights = house.status()["weights"].clone();
    assert_eq!((&weights["census-v1"], &weights["census-v2"]), (&0.into(), &100.into()));

    let why = house.tidegate(&["why", "census"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    for part in [
        "census: divert to v2, since ",
        "  because   ",
        "  rule      on data_drift, verdict alarm, windows 1: then divert to v2",
        "  finding   age: median ",
        ": age ",
        "  to do     tidegate rollback census",
        "  window    ",
        "  rule      met in 1 of 1 windows: on data_drift",
    ] {
        assert!(why.contains(part), "no `{part}` in:\n{why}");
    }
    // The exchanges that are named were asked, by people older than most in training.
    let named = decision["exchanges"].as_array().expect("exchanges that weighed most");
    let old = |one: &&Value| one["feature"] == "age" && one["request_id"] != "";
    let ages: Vec<f64> =
        named.iter().filter(old).filter_map(|one| one["value"].as_str()?.parse().ok()).collect();
    assert!(!ages.is_empty() && ages.iter().all(|age| *age > 60.0), "{decision:#}");

    let undone = house.tidegate(&["rollback", "census", "--author", "ann", "--reason", "seen"]);
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    await_version(&house, "v1");
    let serve = await_decision(&house, "serve", "active");
    assert_eq!((&serve["author"], &serve["reason"]), (&"ann".into(), &"seen".into()));
    let decisions = house.decisions();
    assert_eq!(decisions[decisions.len() - 2]["state"], "rolled_back");

    // The stream still drifts, and the policy keeps quiet for the cooldown.
    let sent = drifted.sent();
    throughout(
        "no other decision in the cooldown",
        Duration::from_secs(3),
        &decisions.len(),
        || house.decisions().len(),
    );
    assert!(drifted.sent() > sent);
    assert_eq!(house.status()["verdict"], "alarm");
    assert_eq!(version(&house), "v1");
}

#[test]
fn a_decision_survives_the_collectors_death_and_ends_by_itself() {
    let mut house = house("loop-survives", &on_drift("divert, to: v2", "12s", "1h"));
    let drifted = Stream::of(&house, Era::Later);
    await_version(&house, "v2");
    let decision = await_decision(&house, "divert", "active");
    drop(drifted);

    house.collector().process.kill();
    assert_eq!(version(&house), "v2", "Envoy keeps its last good state");
    house.start_collector();
    let again = await_decision(&house, "divert", "active");
    assert_eq!(id(&again), id(&decision));
    assert_eq!(house.status()["decision"]["id"], decision["id"]);
    house.await_acknowledged();
    assert_eq!(version(&house), "v2", "and the decision is still in force after the restart");

    await_version(&house, "v1");
    let decisions = house.decisions();
    let first = decisions.iter().find(|one| one["id"] == decision["id"]).expect("it is kept");
    assert_eq!(first["state"], "expired");
    assert_eq!(decisions.last().expect("a decision")["author"], "expiry");
}

#[test]
fn a_canary_waits_for_a_person() {
    let rule = on_drift("canary, to: v3, share: 99", "1h", "1s");
    let rule = rule.replace('}', ", approval: required}");
    let house = house("loop-canary", &rule);
    let drifted = Stream::of(&house, Era::Later);
    let proposed = await_decision(&house, "canary", "proposed");
    assert_eq!(version(&house), "v1", "a proposal changes nothing");
    assert_eq!(house.v2.whole(), 0);
    assert_eq!(house.status()["proposed"]["id"], proposed["id"]);

    let approved = house.tidegate(&["approve", id(&proposed), "--author", "ann"]);
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    await_version(&house, "v2");
    let active = await_decision(&house, "canary", "active");
    assert_eq!((id(&active), &active["author"]), (id(&proposed), &"ann".into()));
    // Twice is once too often.
    assert_eq!(house.tidegate(&["approve", id(&proposed)]).status.code(), Some(2));
    drop(drifted);
}

#[test]
fn a_block_answers_in_the_models_place_and_ends_by_itself() {
    let house = house("loop-block", &on_drift("block", "6s", "1h"));
    let drifted = Stream::of(&house, Era::Later);
    let one = oip(&tidegate_tests::people::people(7, 1, Era::Training)).to_string();
    let request = Request::post(INFER, one);
    let blocked = eventually("the model is blocked", SOON, || {
        Some(house.ask(&request)).filter(|response| response.status == 503)
    });
    drop(drifted);
    let content_type = blocked.head.header("content-type");
    assert_eq!(content_type.as_deref(), Some("application/problem+json"));
    let wait = blocked.head.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| (1..=6).contains(&seconds)), "{blocked:?}");
    let decision = await_decision(&house, "block", "active");
    assert_eq!(blocked.json()["decision"], decision["id"]);
    // Health stays reachable: what does not ask the model is not blocked.
    assert_eq!(house.ask(&Request::get("/v2/models/census/ready")).status, 200);
    eventually("the block ends", SOON, || (house.ask(&request).status == 200).then_some(()));
    await_decision(&house, "serve", "active");
}

#[test]
fn a_shadow_sees_what_the_primary_answers() {
    let house = house("loop-shadow", &on_drift("shadow, to: v2, share: 100", "1h", "1h"));
    let drifted = Stream::of(&house, Era::Later);
    eventually("the shadow gets copies", SOON, || (house.v2.whole() > 20).then_some(()));
    assert_eq!(version(&house), "v1", "the primary answers");
    drop(drifted);
    assert_eq!(house.status()["mirrors"]["census-v2"], 100);
    // What the shadow got, the primary got too, byte for byte.
    let primary: Vec<Vec<u8>> = house.v1.take().into_iter().map(|seen| seen.body.bytes).collect();
    for copy in house.v2.take() {
        assert!(primary.contains(&copy.body.bytes), "the shadow got something of its own");
        assert!(copy.head.header("host").is_some_and(|host| host.ends_with("-shadow")));
    }
}

#[test]
fn payloads_that_break_the_contract_more_often_than_in_training_lead_to_a_decision() {
    let rule = "{on: data_format_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";
    let house = Plan::of("loop-format").model(Model::census().rule(rule)).raise();
    let mut bad = oip(&tidegate_tests::people::people(7, 1, Era::Training));
    bad["inputs"][1]["data"][0] = "10k".into();
    let bad = Request::post(INFER, bad.to_string());
    let stable = Stream::of(&house, Era::Training);
    let mut client = house.client();
    let decision = eventually("a decision", SOON, || {
        assert_eq!(client.ask(&bad).status, 200, "observe refuses nothing");
        house.decisions().pop()
    });
    assert_eq!((&decision["action"], &decision["to"]), (&"divert".into(), &"v2".into()));
    assert_eq!(decision["evidence"][0]["kind"], "data_format_drift", "{decision:#}");
    await_version(&house, "v2");
    drop(stable);
}

#[test]
fn answers_that_drift_while_requests_do_not_lead_to_a_decision() {
    let rule = "{on: output_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";
    let house = Plan::of("loop-answers").answers().model(Model::census().rule(rule)).raise();
    let one = Arc::new(AtomicBool::new(false));
    let (always, asked) = (Arc::clone(&one), AtomicU64::new(0));
    house.v1.script(move |_| {
        let coin = asked.fetch_add(1, Ordering::Relaxed) % 7 % 2;
        let answer = if always.load(Ordering::Relaxed) { 1 } else { coin };
        let body = json!({"model_name": "census", "outputs": [
            {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [answer]}]});
        let headers = [("content-type", "application/json")];
        Reply::whole(200, &headers, body.to_string().as_bytes())
    });
    let stable = Stream::of(&house, Era::Training);
    let judged = eventually("answers are judged", SOON, || {
        let findings = house.status()["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|finding| {
            finding["kind"] == "output_drift" && finding["rows"].as_u64() > Some(100)
        })
    });
    assert_ne!(judged["verdict"], "alarm", "{judged:#}");
    assert!(house.decisions().is_empty());
    one.store(true, Ordering::Relaxed);
    let decision = eventually("a decision", SOON, || house.decisions().pop());
    assert_eq!((&decision["action"], &decision["to"]), (&"divert".into(), &"v2".into()));
    let evidence = &decision["evidence"][0];
    assert_eq!(
        (&evidence["kind"], &evidence["feature"]),
        (&"output_drift".into(), &"predict".into())
    );
    await_version(&house, "v2");
    drop(stable);
}
