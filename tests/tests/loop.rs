//! The closed loop with short windows: traffic is judged, a decision follows, Envoy's routes change,
//! and people undo it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::{eventually, throughout};
use tidegate_tests::people::{Era, oip};
use tidegate_tests::recorder::Reply;
use tidegate_tests::stream::Flow;
use xtask::stage::http;

/// A rule that acts on drift.
fn on_drift(then: &str, expires: &str, cooldown: &str) -> String {
    format!(
        "{{on: data_drift, verdict: alarm, windows: 1, then: {then}, expires: {expires}, cooldown: {cooldown}}}"
    )
}

fn house(play: &str, rule: &str) -> House {
    Plan::of(play).model(Model::census().mode("enforce").rule(rule)).raise()
}

fn await_version(house: &House, wanted: &str) {
    eventually(&format!("{wanted} answers"), SOON, || (house.version() == wanted).then_some(()));
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
    let stream = Flow::of(Era::Training).begin(&house);
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
    assert_eq!(house.version(), "v1");
    assert_eq!(house.v2.whole(), 0);
    assert_eq!(house.tidegate(&["status"]).status.code(), Some(0));
}

#[test]
fn drift_changes_the_route_and_a_person_changes_it_back() {
    let house = house("loop-drift", &on_drift("divert, to: v2", "1h", "1h"));
    let stable = Flow::of(Era::Training).begin(&house);
    await_judged(&house);
    assert_eq!(house.version(), "v1");
    drop(stable);

    let begun = Instant::now();
    let drifted = Flow::of(Era::Later).begin(&house);
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
    assert_eq!(house.version(), "v1");
}

#[test]
fn a_decision_survives_the_collectors_death_and_ends_by_itself() {
    let mut house = house("loop-survives", &on_drift("divert, to: v2", "12s", "1h"));
    let drifted = Flow::of(Era::Later).begin(&house);
    await_version(&house, "v2");
    let decision = await_decision(&house, "divert", "active");
    drop(drifted);

    house.collector().process.kill();
    assert_eq!(house.version(), "v2", "Envoy keeps its last good state");
    house.start_collector();
    let again = await_decision(&house, "divert", "active");
    assert_eq!(id(&again), id(&decision));
    assert_eq!(house.status()["decision"]["id"], decision["id"]);
    house.await_acknowledged();
    assert_eq!(house.version(), "v2", "and the decision is still in force after the restart");

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
    let drifted = Flow::of(Era::Later).begin(&house);
    let proposed = await_decision(&house, "canary", "proposed");
    assert_eq!(house.version(), "v1", "a proposal changes nothing");
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
    let drifted = Flow::of(Era::Later).begin(&house);
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
    let drifted = Flow::of(Era::Later).begin(&house);
    eventually("the shadow gets copies", SOON, || (house.v2.whole() > 20).then_some(()));
    assert_eq!(house.version(), "v1", "the primary answers");
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
    let stable = Flow::of(Era::Training).begin(&house);
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
    let stable = Flow::of(Era::Training).begin(&house);
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

#[test]
fn an_envoy_that_speaks_the_incremental_variant_is_moved_as_well() {
    let mut house = Plan::of("loop-delta")
        .replace("api_type: GRPC", "api_type: DELTA_GRPC")
        .model(Model::census().mode("enforce").rule(&on_drift("divert, to: v2", "1h", "1h")))
        .raise();
    // The contract came: what breaks it is refused.
    let mut broken = oip(&tidegate_tests::people::people(7, 1, Era::Training));
    broken["inputs"][0]["data"] = json!([500]);
    assert_eq!(house.ask(&Request::post(INFER, broken.to_string())).status, 400);
    let divert = ["divert", "census", "--to", "v2", "--for", "1h", "--reason", "a play"];
    assert!(house.tidegate(&divert).status.success());
    await_version(&house, "v2");
    // The collector dies and comes back: what Envoy has it keeps, and nothing is sent twice.
    house.collector().process.kill();
    assert_eq!(house.version(), "v2");
    house.start_collector();
    house.await_acknowledged();
    assert_eq!(house.version(), "v2");
    // Envoy dies and comes back: it is told everything again.
    house.restart_envoy();
    house.await_acknowledged();
    await_version(&house, "v2");
    assert!(house.tidegate(&["rollback", "census"]).status.success());
    await_version(&house, "v1");
    assert_eq!(house.ask(&Request::post(INFER, broken.to_string())).status, 400);
}

#[test]
fn an_envoy_that_refuses_a_decision_keeps_what_it_has_and_takes_the_next() {
    let rule = on_drift("divert, to: v2", "1h", "1h");
    let model = Model::census().mode("enforce").rule(&rule);
    let house = Plan::of("loop-refuses").own_filter().model(model).raise();
    let rejected = || house.stats("update_rejected").values().sum::<u64>();
    let said = |arguments: &[&str]| {
        String::from_utf8_lossy(&house.tidegate(arguments).stdout).into_owned()
    };
    let metric = |name: &str| {
        let metrics = http::Client::new(SOON).get(&format!("{}/metrics", house.api()));
        let metrics = metrics.expect("metrics are told").text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim().to_owned()).unwrap_or_default()
    };
    let one = oip(&tidegate_tests::people::people(7, 1, Era::Training)).to_string();
    let request = Request::post(INFER, one);

    // Envoy refuses a table whose filter it cannot read.
    let away = house.filter().with_extension("away");
    std::fs::rename(house.filter(), &away).expect("the filter is the play's own");
    let block = ["block", "census", "--for", "1h", "--reason", "a play"];
    let _ = house.tidegate(&block);
    let decision = eventually("Envoy refuses", SOON, || {
        house.decisions().pop().filter(|newest| newest["refused"].is_string())
    });
    assert_eq!((&decision["action"], &decision["state"]), (&"block".into(), &"active".into()));
    let words = decision["refused"].as_str().expect("a text").to_owned();
    assert!(words.contains("filter.wasm"), "Envoy's own words: {words}");
    assert!(said(&["status"]).contains(&format!("refused   by tidegate-envoy: {words}")));
    assert!(said(&["decisions"]).contains(&format!("refused by Envoy: {words}")));
    assert_eq!(metric("tidegate_xds_envoys_refusing"), "1");
    throughout("it is not pushed again and again", Duration::from_secs(2), &1, rejected);
    assert_eq!(house.version(), "v1", "what it had is in effect");

    // What is decided next is not held up by it.
    let divert = ["divert", "census", "--to", "v2", "--for", "1h", "--reason", "a play"];
    assert!(house.tidegate(&divert).status.success());
    await_version(&house, "v2");
    house.await_acknowledged();
    assert_eq!(metric("tidegate_xds_envoys_refusing"), "0");

    // A block that is refused takes nothing from the divert before it.
    let _ = house.tidegate(&block);
    eventually("Envoy refuses again", SOON, || (rejected() == 2).then_some(()));
    throughout("the divert stays", Duration::from_secs(1), &"v2".to_owned(), || house.version());
    assert_eq!(rejected(), 2);
    assert!(house.tidegate(&["rollback", "census"]).status.success());
    await_version(&house, "v1");

    std::fs::rename(&away, house.filter()).expect("the filter is the play's own");
    assert!(house.tidegate(&block).status.success());
    eventually("the model is blocked", SOON, || (house.ask(&request).status == 503).then_some(()));
    house.await_acknowledged();
}

#[test]
fn an_envoy_gets_the_models_that_are_its_own_and_no_others() {
    let rule = on_drift("divert, to: v2", "1h", "1h");
    let of = |envoys: &str| {
        let model = Model::census().mode("enforce").rule(&rule).line(envoys);
        Plan::of("loop-envoys").model(model).raise()
    };
    let mut broken = oip(&tidegate_tests::people::people(7, 1, Era::Training));
    broken["inputs"][0]["data"] = json!([500]);
    let status = |house: &House| house.ask(&Request::post(INFER, broken.to_string())).status;
    // The bootstrap's node is `tidegate-envoy`.
    let own = of("envoys: {id: \"tidegate-*\", cluster: tidegate}");
    assert_eq!((status(&own), &own.status()["envoys"]), (400, &json!(1)));
    drop(own);
    let other = of("envoys: {metadata: [zone=eu]}");
    assert_eq!(
        (status(&other), &other.status()["envoys"]),
        (200, &json!(0)),
        "it passes untouched"
    );
}
