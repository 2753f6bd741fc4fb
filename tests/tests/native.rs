//! The second shell: the same core as a dynamic module of the real Envoy. It holds the contract and
//! ships samples as the first does; what the core decides is told in the other topics.

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{self, Era, oip, people, records};
use tidegate_tests::tools;

/// Where the filter's part of the bootstrap ends.
const AFTER: &str = "                  - name: envoy.filters.http.router";

/// The filter of the bootstrap as it is written there.
fn filter_of_the_bootstrap() -> String {
    let bootstrap = std::fs::read_to_string(tools::root().join("envoy/bootstrap.yaml"));
    let bootstrap = bootstrap.expect("the bootstrap is there");
    let from = bootstrap.find("                  - name: tidegate\n").expect("it has our filter");
    let until = bootstrap[from..].find(AFTER).expect("the router comes after it");
    bootstrap[from..from + until].to_owned()
}

fn served(model: &str, prefix: &str, protocol: &str, mode: &str) -> Value {
    json!({
        "model": model, "route": {"path_prefix": prefix}, "protocol": protocol, "mode": mode,
        "sample_rate": 1.0, "contract": people::contract(),
        "versions": [{"version": "v1", "cluster": "census-v1"}],
    })
}

/// A house whose Envoy has the module instead of the WebAssembly filter. The collector's own table
/// never reaches it, so it is given one.
fn house(play: &str, models: &[Value], known: impl FnOnce(Plan) -> Plan) -> House {
    let table = json!({"collector": {"cluster": "tidegate_collector"}, "models": models});
    let module = json!([{
        "name": "tidegate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {
                "module": {"local": {"filename": tools::module()}},
                "do_not_close": true,
            },
            "filter_name": "tidegate",
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": table.to_string(),
            },
        },
    }]);
    // JSON is YAML; the list's own brackets go, for it stands in a list.
    let module = module[0].to_string();
    let plan = Plan::of(play)
        .every_path()
        .replace(&filter_of_the_bootstrap(), &format!("                  - {module}\n"));
    known(plan).raise()
}

fn models() -> [Value; 3] {
    [
        served("census", "/v2/models/census", "oip", "enforce"),
        served("tagged", "/v2/models/tagged", "oip", "tag"),
        served("people", "/people", "json", "observe"),
    ]
}

#[test]
fn the_module_holds_the_contract_and_the_model_never_gets_a_whole_bad_request() {
    let house = house("native-contract", &models(), |plan| plan.model(Model::census()));
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
    let house = house("native-tag", &models(), |plan| plan.model(Model::census()));
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
    let house = house("native-held", &models(), |plan| plan.model(Model::census()));
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
fn a_block_is_carried_out_and_the_model_is_not_asked() {
    let mut blocked = served("census", "/v2/models/census", "oip", "observe");
    blocked["block"] =
        json!({"decision": "d1", "reason": "drift", "until_unix_seconds": 9_999_999_999_u64});
    let house = house("native-block", &[blocked], |plan| plan.model(Model::census()));
    let body = oip(&people(1, 3, Era::Training)).to_string();
    let response = house.ask(&Request::post(INFER, body.as_str()));
    assert_eq!(response.status, 503, "{}", response.text());
    assert_eq!(house.v1.whole() + house.v1.broken(), 0);
    eventually("it is counted", SOON, || (house.filter_counter("blocked") == 1).then_some(()));
}

#[test]
fn a_segment_is_blocked_or_diverted_and_the_rest_passes() {
    let until = 9_999_999_999_u64;
    let mut diverted = served("census", "/v2/models/census", "oip", "observe");
    diverted["divert"] = json!({"decision": "d1", "cluster": "census-v2", "until_unix_seconds": until,
        "segment": "age >= 65 and header:x-client = acme and client:address in [127.0.0.0/8]"});
    let mut blocked = served("people", "/people", "json", "observe");
    blocked["block"] = json!({"decision": "d2", "reason": "drift", "until_unix_seconds": until,
        "segment": "age >= 65", "retry_after_seconds": 7});
    let house = house("native-segment", &[diverted, blocked], |plan| plan.model(Model::census()));
    let aged = |age| people::Person { age, ..people(1, 1, Era::Training).remove(0) };
    let asked = |age: i64, client: &str| {
        let request = Request::post(INFER, oip(&[aged(age)]).to_string());
        let answer = house.ask(&request.header("x-client", client));
        answer.json()["model_version"].clone()
    };
    assert_eq!([asked(70, "acme"), asked(64, "acme"), asked(70, "other")], ["v2", "v1", "v1"]);
    let asked = |age: i64| house.ask(&Request::post("/people", records(&[aged(age)]).to_string()));
    let refused = asked(70);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.head.header("retry-after").as_deref(), Some("7"));
    assert_eq!(asked(64).status, 200);
    assert_eq!((house.v1.whole(), house.v2.whole()), (3, 1));
}

#[test]
fn every_exchange_that_was_kept_reaches_the_collector_once() {
    const REQUESTS: u64 = 200;
    // A window that outlasts the patience: on a busy machine the requests take more than two seconds.
    let model = Model::census().window("{length: 30s, hop: 500ms, min_rows: 100}");
    let house = house("native-samples", &models(), |plan| plan.model(model));
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
}

#[test]
fn a_collector_that_is_away_costs_samples_and_no_answer() {
    let house = house("native-absence", &models(), |plan| {
        plan.model(Model::census()).collector_at(xtask::stage::port::free_port())
    });
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
}
