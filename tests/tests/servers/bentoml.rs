//! BentoML behind the gate: JSON by route, forms, and a stream.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use xtask::tools::servers::Server;

use crate::forms;
use crate::room;
use crate::said::{self, Good, Said, about, changed, post, records, typed};

const PATH: &str = "/predict";
const ONE: &str = "/one";

fn people(count: usize) -> Value {
    json!({"people": records(count)})
}

fn routes() -> Said {
    let three = people(3);
    let one = records(1)[0].clone();
    let form = "age=30&wage=10.5&gender=F&work=Private";
    let parts = "--XX\r\nContent-Disposition: form-data; name=\"age\"\r\n\r\n30\r\n--XX\r\nContent-Disposition: form-data; name=\"wage\"\r\n\r\n10.5\r\n--XX\r\nContent-Disposition: form-data; name=\"gender\"\r\n\r\nF\r\n--XX--\r\n";
    let mut good = vec![
        about(3, post(PATH, &three)),
        about(2000, post(PATH, &people(2000))),
        Good::of(
            "Café ☕",
            Request::post(
                PATH,
                r#"{"people":[{"age":30,"wage":10.5,"gender":"F","work":"Café ☕"}]}"#,
            ),
        ),
        about(1, post(ONE, &one)),
    ];
    good.extend(said::framings(PATH, &three).into_iter().map(|request| about(3, request)));

    let mut bad =
        vec![post(PATH, &json!({"people": [{"age": 30}]})), post(ONE, &json!({"age": 30}))];
    for (field, value) in said::wrong() {
        let wrong = changed(field, value);
        bad.push(post(PATH, &json!({"people": [wrong]})));
        bad.push(post(ONE, &wrong));
    }

    let mut other = said::unreadable(PATH);
    other.extend(said::coded(PATH, &three));
    other.extend([
        typed(ONE, Some("application/x-www-form-urlencoded"), form),
        typed(ONE, Some("multipart/form-data; boundary=XX"), parts),
        post("/rows", &json!({"values": [[1, 2.5], [3, 4]]})),
        post("/rows", &json!({"values": [[1, 2.5], [3]]})),
        post("/words", &json!({"count": 5})),
        post(PATH, &records(2)),
        Request::post(PATH, r#"{"people":[{"age":30,"wage":NaN,"gender":"F","work":"x"}]}"#),
        Request::get(PATH),
        Request::get("/healthz"),
        Request::get("/livez"),
        Request::get("/readyz"),
        Request::get("/schema.json"),
        Request::get("/docs.json"),
        post("/nobody", &json!({})),
    ]);
    Said { good, bad, other }
}

/// A bare list, or one verdict.
fn verdicts(response: &Response) -> Option<usize> {
    match response.json() {
        Value::Array(verdicts) => Some(verdicts.len()),
        Value::Object(verdict) => verdict.get("predict").map(|_| 1),
        _ => None,
    }
}

#[test]
fn bentoml_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("bentoml");
    let server = said::serve(&stage, Server::BentoML);
    let plan = Plan::of("bentoml-house").every_path().model(Model::at("census", "json", "/"));
    let gate = Gate::before(server.http, plan, &["x-bentoml-request-id"]);
    routes().untouched(&gate, verdicts);
    drop(gate);

    let model = Model::at("census", "json", "/").mode("enforce");
    let plan = Plan::of("bentoml-enforced").every_path().model(model);
    let gate = Gate::before(server.http, plan, &["x-bentoml-request-id"]);
    routes().enforced(&gate);
    forms::agree(&gate, &forms::json::forms(PATH, "people"));
    forms::agree(&gate, &forms::json::alone(ONE));
}
