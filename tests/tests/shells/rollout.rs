//! The way of a candidate: its answers to mirrored requests are held against the primary's, and it
//! goes on, or back, by what they say. Real Envoy, whose shadow answers the filter before the
//! candidate's cluster keeps.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, SOON};
use tidegate_tests::patience::{eventually, throughout};
use tidegate_tests::people::{Era, oip};
use tidegate_tests::recorder::{Recorder, Reply, Seen};
use tidegate_tests::stream::{Flow, Stream};

/// A plan that a play has time for.
const PLAN: &str = "rollout: {shadow: 100, steps: [20, 60], hold: 1s, min_pairs: 100, \
                    max_disagreement: 0.2, max_error_rise: 0.2, slow_factor: 100}";

fn house(play: &str, more: &[&str]) -> House {
    let model =
        more.iter().fold(Model::census().candidate().line(PLAN), |model, line| model.line(line));
    // Rules would be another story.
    crate::plan(play).answers().model(model.line("policy: []")).raise()
}

/// The ages that a request asks about.
fn ages(seen: &Seen) -> Vec<i64> {
    let asked: Value = serde_json::from_slice(&seen.body.bytes).unwrap_or_default();
    let age = asked["inputs"].as_array().into_iter().flatten().find(|input| input["name"] == "age");
    let data = age.map(|age| age["data"].clone()).unwrap_or_default();
    data.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Has a server predict for each row what `says` makes of an age.
fn predicts(server: &Recorder, version: &'static str, says: fn(i64) -> i64) {
    server.script(move |seen| {
        let data: Vec<i64> = ages(seen).into_iter().map(says).collect();
        let shape = [data.len(), 1];
        let body = json!({"model_name": "census", "model_version": version, "outputs": [
            {"name": "predict", "shape": shape, "datatype": "INT64", "data": data}]});
        Reply::whole(200, &[("content-type", "application/json")], body.to_string().as_bytes())
    });
}

fn over_40(age: i64) -> i64 {
    i64::from(age > 40)
}

/// Requests about people as in training; each must be answered 200.
fn stream(house: &House) -> Stream {
    Flow::of(Era::Training).rows(3).pause(Duration::from_millis(5)).served().begin(house)
}

fn rollout(house: &House, arguments: &[&str]) -> (Option<i32>, String) {
    let output = house.tidegate(&[&["rollout"], arguments].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn granted(house: &House, arguments: &[&str]) -> String {
    let (code, said) = rollout(house, arguments);
    assert_eq!(code, Some(0), "{said}");
    said
}

fn await_phase(house: &House, phase: &str, step: Option<u64>) -> Value {
    eventually(&format!("the rollout is in phase {phase} {step:?}"), SOON, || {
        let rollout = house.status()["rollout"].clone();
        let there = rollout["phase"] == phase && rollout["step"].as_u64() == step;
        there.then_some(rollout)
    })
}

fn weights(house: &House) -> (u64, u64, u64) {
    let status = house.status();
    let percent = |value: &Value| value.as_u64().unwrap_or(999);
    let weights = &status["weights"];
    let mirror = percent(&status["mirrors"]["census-v2"]);
    (percent(&weights["census-v1"]), percent(&weights["census-v2"]), mirror)
}

#[test]
fn a_candidate_that_answers_alike_goes_up_by_a_persons_word_and_comes_back_by_one() {
    let house = house("rollout-up", &[]);
    predicts(&house.v1, "v1", over_40);
    predicts(&house.v2, "v3", over_40);
    let _stream = stream(&house);

    let (code, said) = rollout(&house, &["promote", "census"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("tidegate rollout start census"), "{said}");
    let said = granted(&house, &["start", "census", "--author", "ann"]);
    assert!(said.contains("v3 shadow 100 %, started by ann"), "{said}");
    assert_eq!(weights(&house), (100, 0, 100));

    for (phase, step, routes) in [
        ("canary", Some(0), (80, 20, 100)),
        ("canary", Some(1), (40, 60, 100)),
        ("promoted", None, (0, 100, 0)),
    ] {
        eventually("the step is healthy", SOON, || {
            (house.status()["rollout"]["ready"] == true).then_some(())
        });
        let status = house.status()["rollout"].clone();
        assert!(status["comparison"]["pairs"].as_u64() >= Some(100), "{status:#}");
        assert!(status["comparison"]["coverage"].as_f64() > Some(0.8), "{status:#}");
        assert_eq!(status["comparison"]["compared"][0]["value"], 0.0, "{status:#}");
        // It waits for a person, however long it is healthy.
        granted(&house, &["promote", "census", "--author", "ann"]);
        await_phase(&house, phase, step);
        assert_eq!(weights(&house), routes);
    }
    assert_eq!(house.status()["primary"], "v3");
    let newest = house.decisions().pop().expect("a decision");
    assert_eq!((&newest["action"], &newest["author"]), (&json!("promote"), &json!("ann")));
    assert!(
        newest["reason"].as_str().is_some_and(|why| why.contains("disagreement 0.0 %")),
        "{newest:#}"
    );

    let said = house.tidegate(&["rollback", "census", "--author", "bob"]);
    assert!(said.status.success());
    eventually("v1 serves again", SOON, || (weights(&house) == (100, 0, 0)).then_some(()));
    assert_eq!(house.status()["primary"], "v1");
}

#[test]
fn a_candidate_that_answers_otherwise_goes_back_by_itself_and_no_client_saw_it() {
    let house = house("rollout-back", &["guard: {changes_per_hour: 6}"]);
    predicts(&house.v1, "v1", over_40);
    predicts(&house.v2, "v3", |age| 1 - over_40(age));
    let stream = stream(&house);
    granted(&house, &["start", "census", "--promote", "automatic"]);
    let rollout = await_phase(&house, "aborted", None);
    let why = rollout["next"].as_str().unwrap_or_default();
    assert!(why.starts_with("v3 does worse: disagreement 100.0 %"), "{rollout:#}");
    assert_eq!(weights(&house), (100, 0, 0));
    let serve = house.decisions().pop().expect("a decision");
    assert_eq!((&serve["action"], &serve["author"]), (&json!("serve"), &json!("rollout")));
    assert!(serve["reason"].as_str().is_some_and(|why| why.contains("v3 does worse")), "{serve:#}");
    drop(stream);
    assert!(house.v2.whole() > 0, "it was asked, beside the primary");
}

#[test]
fn one_that_errs_for_some_people_only_is_not_promoted_by_itself_and_they_are_named() {
    let house = house("rollout-segment", &[]);
    predicts(&house.v1, "v1", over_40);
    // Everybody from 55 on: an eighth of all, and half of the oldest quarter.
    predicts(&house.v2, "v3", |age| if age >= 55 { 0 } else { over_40(age) });
    let _stream = stream(&house);
    granted(&house, &["start", "census", "--promote", "automatic"]);
    let comparison = eventually("the segment is known", SOON, || {
        let comparison = house.status()["rollout"]["comparison"].clone();
        (comparison["verdict"] == "warning").then_some(comparison)
    });
    let segment = comparison["segments"][0]["segment"].as_str().unwrap_or_default();
    assert!(segment.starts_with("age > ") && !segment.contains(" and "), "{comparison:#}");
    let farthest = &comparison["farthest"][0];
    assert_eq!((&farthest["old"], &farthest["new"]), (&json!("1"), &json!("0")));
    throughout("it stays where it is", Duration::from_secs(2), &json!("shadow"), || {
        house.status()["rollout"]["phase"].clone()
    });
    let (code, said) = rollout(&house, &["promote", "census"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("it differs where age > "), "{said}");
    let (code, said) = rollout(&house, &["status", "census"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("apart") && said.contains("predict 1 became 0"), "{said}");
    granted(&house, &["abort", "census", "--reason", "seen"]);
    assert_eq!(weights(&house), (100, 0, 0));
}

#[test]
fn by_a_plan_that_says_so_in_writing_it_goes_all_the_way_and_a_pause_holds_it() {
    let house = house("rollout-automatic", &[]);
    predicts(&house.v1, "v1", over_40);
    predicts(&house.v2, "v3", over_40);
    let stream = stream(&house);
    granted(&house, &["start", "census", "--promote", "automatic"]);
    await_phase(&house, "canary", Some(0));
    granted(&house, &["pause", "census", "--reason", "lunch"]);
    throughout("a pause holds it", Duration::from_secs(3), &json!(0), || {
        house.status()["rollout"]["step"].clone()
    });
    granted(&house, &["resume", "census"]);
    await_phase(&house, "promoted", None);
    assert_eq!(weights(&house), (0, 100, 0));
    drop(stream);
}

#[test]
fn what_was_reached_survives_the_collectors_death_and_a_persons_rollback_ends_it() {
    let mut house = house("rollout-survives", &[]);
    predicts(&house.v1, "v1", over_40);
    predicts(&house.v2, "v3", over_40);
    let _stream = stream(&house);
    granted(&house, &["start", "census"]);
    granted(&house, &["promote", "census", "--force"]);
    await_phase(&house, "canary", Some(0));
    house.collector().process.kill();
    house.start_collector();
    await_phase(&house, "canary", Some(0));
    house.await_acknowledged();
    assert_eq!(weights(&house), (80, 20, 100));
    eventually("pairs come again", SOON, || {
        (house.status()["rollout"]["comparison"]["pairs"].as_u64() > Some(10)).then_some(())
    });
    assert!(house.tidegate(&["rollback", "census"]).status.success());
    let ended = await_phase(&house, "aborted", None);
    assert!(ended["next"].as_str().is_some_and(|why| why.contains("took its place")), "{ended:#}");
    assert_eq!(weights(&house), (100, 0, 0));
}

#[test]
fn a_client_that_is_known_gets_the_same_version_each_time() {
    let house = house("rollout-sticky", &["sticky: header:x-user"]);
    predicts(&house.v1, "v1", over_40);
    predicts(&house.v2, "v3", over_40);
    granted(&house, &["start", "census"]);
    granted(&house, &["promote", "census", "--force"]);
    assert_eq!(weights(&house), (80, 20, 100));
    let mut client = house.client();
    let mut version = |user: usize, forged: &str| {
        let people = tidegate_tests::people::people(7, 1, Era::Training);
        let request = Request::post(INFER, oip(&people).to_string())
            .header("x-user", format!("user-{user}"))
            .header("x-tidegate-bucket", forged);
        client.ask(&request).json()["model_version"].as_str().unwrap_or_default().to_owned()
    };
    let first: Vec<String> = (0..200).map(|user| version(user, "0")).collect();
    let again: Vec<String> = (0..200).map(|user| version(user, "99")).collect();
    assert_eq!(first, again, "and what a client forges changes nothing");
    // Four standard deviations around a fifth of 200.
    let new = first.iter().filter(|version| *version == "v3").count();
    assert!((17..=63).contains(&new), "{new} of 200");
    granted(&house, &["promote", "census", "--force"]);
    let more: Vec<String> = (0..200).map(|user| version(user, "0")).collect();
    let kept = first.iter().zip(&more).filter(|(was, _)| *was == "v3").all(|(_, is)| is == "v3");
    assert!(kept, "who had the candidate keeps it when it gets more");
}
