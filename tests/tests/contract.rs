//! The contract at the proxy: what is refused, in which words, and that the model server never
//! gets a whole bad request.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people, records};

fn enforcing(play: &str) -> House {
    Plan::of(play)
        .every_path()
        .replace(
            "- name: models\n      address:",
            "- name: models\n      per_connection_buffer_limit_bytes: 32768\n      address:",
        )
        .model(Model::census().mode("enforce"))
        .model(Model::at("people", "json", "/people").mode("enforce"))
        .model(Model::at("tagged", "oip", "/v2/models/tagged").mode("tag"))
        .raise()
}

/// A good request about three people.
fn good() -> Value {
    oip(&people(1, 3, Era::Training))
}

/// The good request with one part of one tensor changed.
fn with(tensor: usize, key: &str, value: Value) -> Value {
    let mut request = good();
    request["inputs"][tensor][key] = value;
    request
}

fn good_records() -> Value {
    records(&people(1, 3, Era::Training))
}

fn with_field(name: &str, value: Value) -> Value {
    let mut request = good_records();
    request[1][name] = value;
    request
}

/// Holds that the answer refuses the request with such a violation, and gives all of them.
fn check_refused(response: &Response, kind: &str, field: &str, got: &str) {
    let text = response.text();
    assert_eq!(response.status, 400, "{text}");
    let content_type = response.head.header("content-type");
    assert_eq!(content_type.as_deref(), Some("application/problem+json"), "{text}");
    let problem = response.json();
    assert_eq!(problem["status"], 400, "{text}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
    let violations = problem["violations"].as_array().expect("violations are listed");
    let found = violations.iter().find(|violation| violation["kind"] == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind} in {text}"));
    assert_eq!(found["field"], field, "{text}");
    assert!(found["expected"].as_str().is_some_and(|expected| !expected.is_empty()), "{text}");
    let told = found["got"].as_str().unwrap_or_default();
    assert!(told.contains(got), "{kind}: got `{told}`, not `{got}`: {text}");
}

/// What must not reach the model, and what is said of it.
fn bad_tensors() -> Vec<(Value, &'static str, &'static str, &'static str)> {
    let mut missing = good();
    missing["inputs"].as_array_mut().expect("tensors").remove(1);
    let mut unknown = good();
    let more = json!({"name": "nose", "shape": [1, 1], "datatype": "FP32", "data": [1]});
    unknown["inputs"].as_array_mut().expect("tensors").push(more);
    let mut twice = good();
    let again = twice["inputs"][0].clone();
    twice["inputs"].as_array_mut().expect("tensors").push(again);
    vec![
        (with(0, "data", json!([30, 1986, 40])), "INT_TYPE_BIG_INT", "age", "1986"),
        (with(0, "data", json!([30, -1, 40])), "INT_TYPE_SMALL_INT", "age", "-1"),
        (with(0, "data", json!([30, "forty", 40])), "INT_TYPE_NOT_INT_STRING", "age", "forty"),
        (with(0, "data", json!([30, 3.5, 40])), "INT_TYPE_INT_EXPECTED", "age", "3.5"),
        (with(0, "data", json!([30, null, 40])), "FEATURE_TYPE_NOT_PRESENT", "age", "null"),
        (with(1, "data", json!([1.5, "10k", 2])), "FLOAT_TYPE_STRING_NOT_FLOAT", "wage", "10k"),
        (with(2, "data", json!(["F", 1, "M"])), "ENUM_TYPE_INT_NOT_STRING", "gender", "1"),
        (
            with(2, "data", json!(["F", "X", "M"])),
            "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            "gender",
            "X",
        ),
        (with(1, "datatype", json!("BYTES")), "UNEXPECTED_DATA_TYPE", "wage", "BYTES"),
        (with(0, "shape", json!([3, 1, -2])), "INVALID_FEATURE_SHAPE", "age", ""),
        (with(0, "data", json!([30, 31])), "FEATURE_TYPE_LOW_NUMBER_VALUES", "age", "2"),
        (with(0, "data", json!([30, 31, 32, 33])), "FEATURE_TYPE_HIGH_NUMBER_VALUES", "age", ""),
        (missing, "SCHEMA_MISSING_COLUMN", "wage", "nothing"),
        (unknown, "SCHEMA_NEW_COLUMN", "nose", ""),
        (twice, "FIELD_REPEATED", "age", "twice"),
        (json!({"inputs": {}}), "BODY_UNREADABLE", "", ""),
        (json!([1, 2]), "BODY_UNREADABLE", "", ""),
    ]
}

fn bad_records() -> Vec<(Value, &'static str, &'static str, &'static str)> {
    let mut missing = good_records();
    missing[1].as_object_mut().expect("a record").remove("work");
    vec![
        (with_field("wage", json!("10k")), "FLOAT_TYPE_STRING_NOT_FLOAT", "wage", "10k"),
        (with_field("wage", json!("42")), "NUMBER_AS_TEXT", "wage", "42"),
        (with_field("age", json!(1986)), "INT_TYPE_BIG_INT", "age", "1986"),
        (with_field("gender", json!(1)), "ENUM_TYPE_INT_NOT_STRING", "gender", "1"),
        (with_field("gender", json!(1.5)), "ENUM_TYPE_FLOAT_NOT_STRING", "gender", "1.5"),
        (with_field("gender", json!([])), "ENUM_TYPE_BYTES_NOT_STRING", "gender", ""),
        (with_field("age", json!(null)), "FEATURE_TYPE_NOT_PRESENT", "age", "null"),
        (with_field("nose", json!(1)), "SCHEMA_NEW_COLUMN", "nose", ""),
        (missing, "SCHEMA_MISSING_COLUMN", "work", "nothing"),
    ]
}

#[test]
fn a_breach_is_refused_in_words_and_the_model_never_gets_the_whole() {
    let house = enforcing("contract-refused");
    for (request, kind, field, got) in bad_tensors() {
        let body = request.to_string();
        check_refused(&house.ask(&Request::post(INFER, body.as_str())), kind, field, got);
        // By the path that names a version, and in chunks that cut every word in two.
        let versioned = "/v2/models/census/versions/3/infer?a=b";
        let chunked = Request::post(versioned, body).chunked(7);
        check_refused(&house.ask(&chunked), kind, field, got);
    }
    for (request, kind, field, got) in bad_records() {
        let request = Request::post("/people/classify", request.to_string());
        check_refused(&house.ask(&request), kind, field, got);
        check_refused(&house.ask(&request.chunked(5)), kind, field, got);
    }
    assert_eq!(house.v1.whole(), 0, "the model got a whole bad request");
    let refused = 2 * (bad_tensors().len() + bad_records().len()) as u64;
    eventually("each refusal is counted", SOON, || {
        (house.filter_counter("refused") == refused).then_some(())
    });
}

#[test]
fn what_keeps_the_contract_passes_byte_for_byte() {
    let house = enforcing("contract-passes");
    // Blanks, escapes and the order of keys are the client's own.
    let spaced = format!("\n {}\t\r\n ", serde_json::to_string_pretty(&good()).expect("writes"));
    let escaped = good().to_string().replace("age", "\\u0061ge");
    let many = oip(&people(2, 50_000, Era::Training)).to_string();
    assert!(many.len() > 1 << 20, "{} bytes", many.len());
    let requests = [
        Request::post(INFER, good().to_string()),
        Request::post(INFER, spaced),
        Request::post(INFER, escaped),
        Request::post(INFER, many.as_str()),
        Request::post(INFER, many).chunked(10_000),
        Request::post("/people", good_records()[0].to_string()),
        Request::post("/people", good_records().to_string()).chunked(11),
    ];
    for request in &requests {
        let response = house.ask(request);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.json()["model_version"], "v1");
        let seen = house.v1.take();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].body.bytes == request.body(), "the body was changed");
    }
}

#[test]
fn a_body_far_above_envoys_buffer_limit_is_refused_before_its_end_reaches_the_model() {
    let house = enforcing("contract-large");
    let mut people = people(3, 50_000, Era::Training);
    people[49_999].age = 1986;
    let late = oip(&people).to_string();
    assert!(late.len() > 1 << 20, "{} bytes", late.len());
    for request in [Request::post(INFER, late.as_str()), Request::post(INFER, late).chunked(30_000)]
    {
        check_refused(&house.ask(&request), "INT_TYPE_BIG_INT", "age", "1986");
    }
    // What only the end shows: a tensor is missing.
    let mut short = oip(&people[..49_999]);
    short["inputs"].as_array_mut().expect("tensors").pop();
    let short = short.to_string();
    for request in
        [Request::post(INFER, short.as_str()), Request::post(INFER, short).chunked(30_000)]
    {
        check_refused(&house.ask(&request), "SCHEMA_MISSING_COLUMN", "work", "nothing");
    }
    assert_eq!(house.v1.whole(), 0, "the model got a whole bad request");
}

#[test]
fn a_tag_names_the_breach_to_model_and_client_and_the_request_passes() {
    let house = enforcing("contract-tag");
    let path = "/v2/models/tagged/infer";
    let tag = "x-tidegate-violations";
    let named = Some("INT_TYPE_BIG_INT;field=age".to_owned());
    let bad = with(0, "data", json!([30, 1986, 40])).to_string();
    let bad = Request::post(path, bad).header(tag, "what a client claims for itself");
    let good = Request::post(path, good().to_string()).header(tag, "nothing");
    // A body of unknown length is not held back, so only the answer can carry the tag.
    let cases =
        [(bad.clone(), &named, &named), (bad.chunked(50), &None, &named), (good, &None, &None)];
    for (request, to_model, to_client) in cases {
        let response = house.ask(&request);
        assert_eq!(response.status, 200);
        assert_eq!(response.head.header(tag), *to_client);
        let seen = house.v1.take();
        assert_eq!(seen[0].body.bytes, request.body());
        assert_eq!(seen[0].head.header(tag), *to_model);
    }
}

#[test]
fn a_tag_does_not_wait_for_a_client_that_stops_in_the_middle() {
    let house = enforcing("contract-tag-slow");
    let request = Request::post("/v2/models/tagged/infer", good().to_string());
    let body = request.framed_body();
    let (first, rest) = body.split_at(body.len() / 2);
    let mut client = house.client();
    client.say(&request.head()).expect("Envoy listens");
    client.say(first).expect("Envoy listens");
    eventually("the half request goes on to the model", SOON, || {
        let to_model = house.stats("cluster.census-v1.upstream_rq_total");
        to_model.values().any(|requests| *requests == 1).then_some(())
    });
    client.say(rest).expect("Envoy listens");
    assert_eq!(client.hear("POST").expect("an answer").status, 200);
    assert_eq!(house.v1.take()[0].body.bytes, body);
}

#[test]
fn metadata_health_and_strangers_pass_untouched() {
    let house = enforcing("contract-others");
    let bad = with(0, "data", json!(["1986"])).to_string();
    let others = [
        Request::get("/v2/models/census"),
        Request::get("/v2/models/census/ready"),
        Request::get("/v2/health/live"),
        Request::new("HEAD", "/v2/models/census"),
        Request::new("OPTIONS", INFER),
        // Not the model's: another model, another verb below it, no inference at all.
        Request::post("/v2/models/other/infer", bad.as_str()),
        Request::post("/v2/models/census/explain", bad.as_str()),
        Request::post("/peoples", bad.as_str()),
        Request::get("/people"),
    ];
    for request in &others {
        let response = house.ask(request);
        assert_eq!(response.status, 200, "{request:?}: {}", response.text());
        let seen = house.v1.take();
        assert_eq!(seen[0].body.bytes, request.body(), "{request:?}");
    }
    // The counters follow within a tick: one that is counted shows that the others were not.
    assert_eq!(house.ask(&Request::post(INFER, good().to_string())).status, 200);
    let counted = eventually("the filter counts", SOON, || {
        Some(house.filter_counter("exchanges")).filter(|exchanges| *exchanges > 0)
    });
    assert_eq!(counted, 1, "a request that asks no model was counted");
}

#[test]
fn another_spelling_of_the_path_or_the_body_does_not_avoid_the_contract() {
    let house = enforcing("contract-spelling");
    let bad = with(0, "data", json!([30, 1986, 40])).to_string();
    for path in [
        "/v2/models/census/infer?inputs=1",
        "/v2//models/census/infer",
        "/v2/./models/census/infer",
        "/v2/models/other/../census/infer",
        "/v2/models/census/%69nfer",
        "/v2/models/c%65nsus/infer",
        "/v2/models/census%2Finfer",
        "/v2%2Fmodels/census/infer",
        "/%76%32/models/census/infer",
        "/v2/models/census/versions/v%31/infer",
    ] {
        let response = house.ask(&Request::post(path, bad.as_str()));
        assert!(response.status != 200, "{path}: a bad request reached the model");
    }
    let twice = bad.replacen("{\"inputs\"", "{\"inputs\":[],\"inputs\"", 1);
    let marked = format!("\u{feff}{bad}");
    let followed = format!("{bad}{{}}");
    let escaped = bad.replace("inputs", "\\u0069nputs").replace("age", "a\\u0067e");
    for body in [twice, marked, followed, escaped] {
        let response = house.ask(&Request::post(INFER, body.as_str()));
        assert_eq!(response.status, 400, "{body}");
    }
    for coding in ["identity", "IDENTITY", " identity ", ""] {
        let request = Request::post(INFER, bad.as_str()).header("content-encoding", coding);
        assert_eq!(house.ask(&request).status, 400, "content-encoding `{coding}`");
    }
    assert_eq!(house.v1.whole(), 0, "the model got a whole bad request");
}
