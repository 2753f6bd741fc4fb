//! What the filter does with a breach, by mode and by field: tags, diverts, refuses, and what it would have
//! refused; in the formats and codings that clients use.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people, records};

/// A window that no machine is too busy for: what is counted in it is there until somebody looks.
const LONG: &str = "{length: 30s, hop: 500ms, min_rows: 100}";

fn raise(play: &str, mode: &'static str) -> House {
    crate::plan(play)
        .replace(
            "                            path_separated_prefix: /v2/models/census\n",
            "                            prefix: /\n",
        )
        .replace("match: {path_separated_prefix: /v2/models/census}", "match: {prefix: /}")
        .model(Model::census().mode(mode).window(LONG))
        .model(Model::at("any", "auto", "/").mode(mode))
        .raise()
}

fn good() -> Value {
    oip(&people(1, 3, Era::Training))
}

/// A request whose ages nobody has.
fn bad() -> Value {
    let mut request = good();
    request["inputs"][0]["data"] = json!([30, 1986, 40]);
    request
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn what_breaks_the_contract_is_diverted_to_the_fallback_and_tagged() {
    let house = raise("modes-divert", "divert");
    for _ in 0..4 {
        let answer = house.ask(&Request::post(INFER, bad().to_string()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let tag = answer.head.header("x-tidegate-violations").expect("a tag");
        assert!(tag.contains("INT_TYPE_BIG_INT;field=age"), "{tag}");
        assert_eq!(house.ask(&Request::post(INFER, good().to_string())).status, 200);
    }
    assert_eq!((house.v1.whole(), house.v2.whole()), (4, 4));
    let diverted = house.v2.take();
    assert_eq!(diverted[0].body.bytes, bad().to_string().into_bytes());
    eventually("each is counted", SOON, || (house.filter_counter("diverted") == 4).then_some(()));
}

#[test]
fn no_client_can_choose_the_fallback() {
    let house = raise("modes-forged", "divert");
    let forged = Request::post(INFER, good().to_string()).header("x-tidegate-divert", "1");
    assert_eq!(house.ask(&forged).status, 200);
    assert_eq!((house.v1.whole(), house.v2.whole()), (1, 0));
    assert_eq!(house.v1.take()[0].head.header("x-tidegate-divert"), None);
}

#[test]
fn observe_says_what_enforce_would_have_refused() {
    let house = raise("modes-dry", "observe");
    for request in [good(), bad(), bad()] {
        assert_eq!(house.ask(&Request::post(INFER, request.to_string())).status, 200);
    }
    assert_eq!(house.v1.whole(), 3);
    eventually("the two are counted", SOON, || {
        (house.filter_counter("would_refuse") == 2).then_some(())
    });
    assert_eq!(house.filter_counter("refused"), 0);
    eventually("the collector knows which field", SOON, || {
        let contract = &house.status()["contract"];
        (contract["would_refuse"] == 2
            && contract["broken"][0]["field"] == "age"
            && contract["broken"][0]["kind"] == "INT_TYPE_BIG_INT"
            && contract["broken"][0]["exchanges"] == 2)
            .then_some(())
    });
    let told = house.tidegate(&["status"]);
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("2 of 3 requests break it: 2 passed that `enforce` refuses"), "{told}");
    assert!(told.contains("age: INT_TYPE_BIG_INT in 2"), "{told}");
}

#[test]
fn observe_reads_what_may_become_a_sample_and_enforce_all() {
    for (mode, refused) in [("observe", 0), ("enforce", 20)] {
        let model = Model::census().mode(mode).window(LONG).line("sample_rate: 0.0");
        let house = crate::plan(&format!("modes-unread-{mode}")).model(model).raise();
        for _ in 0..20 {
            let status =
                |request: Value| house.ask(&Request::post(INFER, request.to_string())).status;
            let of_bad = if mode == "enforce" { 400 } else { 200 };
            assert_eq!([status(good()), status(bad())], [200, of_bad], "{mode}");
        }
        eventually("all are counted", SOON, || {
            (house.filter_counter("exchanges") == 40).then_some(())
        });
        let counted = ["checked", "violating", "refused"].map(|name| house.filter_counter(name));
        assert_eq!(counted, [2 * refused, refused, refused], "{mode}");
    }
}

#[test]
fn a_compressed_body_is_held_against_the_contract() {
    let house = raise("modes-gzip", "enforce");
    let packed = |request: &Value| {
        let body = gzip(request.to_string().as_bytes());
        Request::post(INFER, body).header("content-encoding", "gzip")
    };
    let refused = house.ask(&packed(&bad()));
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("INT_TYPE_BIG_INT"));
    let passed = house.ask(&packed(&good()).chunked(9));
    assert_eq!(passed.status, 200, "{}", passed.text());
    // Of the refused one the head may have gone ahead; whole it never arrives.
    let whole: Vec<_> = house.v1.take().into_iter().filter(|seen| seen.body.whole).collect();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].body.bytes, gzip(good().to_string().as_bytes()));
}

#[test]
fn one_model_is_asked_in_many_protocols() {
    let house = raise("modes-protocols", "enforce");
    let rows = records(&people(1, 3, Era::Training));
    let mut wrong = rows.clone();
    wrong[1]["age"] = json!(1986);
    let columns: Vec<String> = rows[0].as_object().expect("a record").keys().cloned().collect();
    let split = |rows: &Value| {
        let row = |row: &Value| columns.iter().map(|name| row[name].clone()).collect::<Vec<_>>();
        let data: Vec<_> = rows.as_array().expect("rows").iter().map(row).collect();
        json!({"dataframe_split": {"columns": columns, "data": data}})
    };
    type Written<'a> = Box<dyn Fn(&Value) -> Value + 'a>;
    let ways: [(&str, Written<'_>); 5] = [
        ("/v1/models/census:predict", Box::new(|rows| json!({"instances": rows}))),
        ("/invocations", Box::new(|rows| json!({"dataframe_records": rows}))),
        ("/invocations", Box::new(split)),
        ("/predict", Box::new(Value::clone)),
        ("/predictions/census", Box::new(|rows| json!({"people": rows}))),
    ];
    for (path, write) in &ways {
        let answer = house.ask(&Request::post(path, write(&rows).to_string()));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let refused = house.ask(&Request::post(path, write(&wrong).to_string()).chunked(11));
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
        assert_eq!(refused.json()["violations"][0]["row"], 1, "{path}");
    }
    assert_eq!(house.v1.whole(), ways.len() as u64);
    let refused = house.ask(&Request::post("/v1/chat/completions", "{\"age\": \"x\"}"));
    assert_eq!(refused.json()["error"]["type"], "invalid_request_error", "{}", refused.text());
}
