//! The second shell: the same core as a dynamic module of the real Envoy, moved by the collector as the
//! first is. All that is played with each shell is played here with this one, and what is its own.

#[path = "shells/modes.rs"]
mod modes;
#[path = "shells/rollout.rs"]
mod rollout;
#[path = "shells/segments.rs"]
mod segments;

use serde_json::json;
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people, records};
use tidegate_tests::spans::Receiver;

/// A window that outlasts the patience: what is counted in it is there until somebody looks.
const LONG: &str = "{length: 30s, hop: 500ms, min_rows: 100}";

fn plan(play: &str) -> Plan {
    Plan::of(&format!("native-{play}")).native()
}

/// A house with a model in each mode.
fn house(play: &str) -> House {
    let of = |name, protocol, path| Model::at(name, protocol, path).window(LONG);
    plan(play)
        .every_path()
        .model(Model::census().mode("enforce").window(LONG))
        .model(of("tagged", "oip", "/v2/models/tagged").mode("tag"))
        .model(of("people", "json", "/people"))
        .raise()
}

#[test]
fn the_module_holds_the_contract_and_the_model_never_gets_a_whole_bad_request() {
    let house = house("contract");
    let good = oip(&people(1, 3, Era::Training)).to_string();
    let mut bad = oip(&people(1, 3, Era::Training));
    bad["inputs"][0]["data"] = json!([30, 1986, 40]);
    let bad = bad.to_string();
    for chunk in [None, Some(1), Some(50), Some(1 << 20)] {
        let post = |body: &str| {
            let request = Request::post(INFER, body);
            chunk.into_iter().fold(request, Request::chunked)
        };
        let response = house.ask(&post(&good));
        assert_eq!(response.status, 200, "{chunk:?}: {}", response.text());
        let response = house.ask(&post(&bad));
        assert_eq!(response.status, 400, "{chunk:?}: {}", response.text());
        let content_type = response.head.header("content-type");
        assert_eq!(content_type.as_deref(), Some("application/problem+json"));
        let violation = &response.json()["violations"][0];
        assert_eq!(
            (&violation["kind"], &violation["field"]),
            (&json!("INT_TYPE_BIG_INT"), &json!("age"))
        );
    }
    assert_eq!(house.v1.whole(), 4, "the good ones alone came whole");
    for seen in house.v1.take().iter().filter(|seen| seen.body.whole) {
        assert_eq!(seen.body.bytes, good.as_bytes(), "and as they were sent");
    }
    let counted = eventually("the counters follow", SOON, || {
        let counted = (house.filter_counter("exchanges"), house.filter_counter("refused"));
        (counted.0 >= 8).then_some(counted)
    });
    assert_eq!(counted, (8, 4));
}

#[test]
fn the_module_tags_both_ways_and_changes_no_byte() {
    let house = house("tag");
    let mut bad = oip(&people(1, 3, Era::Training));
    bad["inputs"][0]["data"] = json!([30, 1986, 40]);
    let bad = bad.to_string();
    // A client's own tag is not believed.
    let request = Request::post("/v2/models/tagged/infer", bad.as_str())
        .header("x-tidegate-violations", "forged");
    let response = house.ask(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    let tag = Some("INT_TYPE_BIG_INT;field=age".to_owned());
    assert_eq!(response.head.header("x-tidegate-violations"), tag);
    let seen = house.v1.take();
    assert_eq!(seen[0].head.header("x-tidegate-violations"), tag);
    assert_eq!(seen[0].body.bytes, bad.as_bytes());

    let observed = records(&people(2, 5, Era::Training)).to_string();
    let response = house.ask(&Request::post("/people", observed.as_str()));
    assert_eq!(response.status, 200);
    assert_eq!(house.v1.take()[0].body.bytes, observed.as_bytes());
}

#[test]
fn a_head_whose_body_does_not_come_is_let_go() {
    let house = house("held");
    let good = oip(&people(1, 3, Era::Training)).to_string();
    let request = Request::post("/v2/models/tagged/infer", good.as_str());
    let mut client = house.client();
    client.say(&request.head()).expect("Envoy listens");
    client.say(&good.as_bytes()[..10]).expect("Envoy listens");
    eventually("the head reaches the model", SOON, || {
        (house.stats("cluster.census-v1.upstream_rq_total").values().sum::<u64>() == 1)
            .then_some(())
    });
    client.say(&good.as_bytes()[10..]).expect("Envoy listens");
    let response = client.hear("POST").expect("an answer");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(house.v1.take()[0].body.bytes, good.as_bytes());
}

#[test]
fn every_exchange_that_was_kept_reaches_the_collector_once() {
    const REQUESTS: u64 = 200;
    let receiver = Receiver::start();
    let model = Model::census().window(LONG);
    let house = plan("samples").otlp_at(receiver.port()).model(model).raise();
    let mut client = house.client();
    for seed in 0..REQUESTS {
        let body = oip(&people(seed, 3, Era::Training)).to_string();
        assert_eq!(client.ask(&Request::post(INFER, body.as_str())).status, 200);
    }
    let window = eventually("the collector has seen all", SOON, || {
        let window = house.status()["window"].clone();
        (window["exchanges"] == REQUESTS).then_some(window)
    });
    assert_eq!((&window["rows"], &window["dropped"]), (&json!(3 * REQUESTS), &json!(0)));
    assert_eq!(house.filter_counter("sampled"), REQUESTS);
    assert_eq!(house.filter_counter("batches_lost"), 0);
    // Each batch says which Envoy it is of.
    let shipped =
        eventually("the spans arrive", SOON, || receiver.named("tidegate.intake.ship").pop());
    let node = shipped.attributes.iter().find(|attribute| attribute.key == "node");
    assert!(format!("{node:?}").contains("\"tidegate-envoy\""), "{node:?}");
}

#[test]
fn a_collector_that_goes_costs_samples_and_no_answer() {
    let mut house = house("absence");
    house.collector().process.stop();
    let mut client = house.client();
    for seed in 0..50 {
        let body = oip(&people(seed, 3, Era::Training)).to_string();
        assert_eq!(client.ask(&Request::post(INFER, body.as_str())).status, 200);
    }
    // A filter whose collector is away keeps ever fewer, so not all fifty need be lost.
    eventually("the loss is counted", SOON, || {
        let lost = house.filter_counter("dropped");
        (house.filter_counter("exchanges") == 50
            && lost > 0
            && lost == house.filter_counter("sampled"))
        .then_some(())
    });
    // What it had told is in force, and a new one finds the Envoy that it knows.
    let mut bad = oip(&people(1, 3, Era::Training));
    bad["inputs"][0]["data"] = json!([30, 1986, 40]);
    assert_eq!(house.ask(&Request::post(INFER, bad.to_string())).status, 400);
    house.start_collector();
    house.await_acknowledged();
}
