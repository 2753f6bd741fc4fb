//! LitServe behind the gate: JSON of the model's own shape.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use xtask::tools::servers::Server;

use crate::forms;
use crate::room;
use crate::said::{self, Good, Said, about, changed, post, records, typed};

/// Objects below `rows`, which the model of LitServe and that of TorchServe take.
pub fn rows(count: usize) -> Value {
    json!({"rows": records(count)})
}

/// What is said to a server that takes any JSON at this path.
pub fn any_json(path: &str) -> Said {
    let three = rows(3);
    let mut good = vec![
        about(3, post(path, &three)),
        about(2000, post(path, &rows(2000))),
        Good::of(
            "Café ☕",
            Request::post(
                path,
                r#"{"rows":[{"age":30,"wage":10.5,"gender":"F","work":"Café ☕"}]}"#,
            ),
        ),
        about(3, typed(path, Some("application/json; charset=utf-8"), three.to_string())),
    ];
    good.extend(said::framings(path, &three).into_iter().map(|request| about(3, request)));
    let mut bad = vec![post(path, &json!({"rows": [{"age": 30}]}))];
    let wrong = said::wrong().into_iter();
    bad.extend(wrong.map(|(field, value)| post(path, &json!({"rows": [changed(field, value)]}))));
    let mut other = said::unreadable(path);
    other.extend(said::coded(path, &three));
    other.extend([
        post(path, &json!({})),
        post(path, &json!({"rows": []})),
        typed(path, Some("text/plain"), three.to_string()),
        typed(path, Some("application/x-www-form-urlencoded"), "rows=1&x=2"),
        Request::post(path, r#"{"rows":[{"age":30,"wage":NaN,"gender":"F","work":"x"}]}"#),
        Request::get(path),
        Request::get("/nobody"),
    ]);
    Said { good, bad, other }
}

/// The answers of both models; compressed ones are held by the gate alone.
pub fn predictions(response: &Response) -> Option<usize> {
    if response.head.header("content-encoding").is_some() {
        return Some(3);
    }
    Some(response.json()["predictions"].as_array()?.len())
}

#[test]
fn litserve_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("litserve");
    let server = said::serve(&stage, Server::LitServe);
    let plan =
        Plan::of("litserve-house").every_path().model(Model::at("census", "json", "/predict"));
    let gate = Gate::before(server.http, plan, &[]);
    any_json("/predict").untouched(&gate, predictions);
    for path in ["/", "/health", "/info", "/openapi.json"] {
        gate.check(&Request::get(path));
    }
    let compressed = post("/predict", &rows(300)).header("accept-encoding", "gzip");
    let answer = gate.check(&compressed).through;
    assert_eq!(answer.head.header("content-encoding").as_deref(), Some("gzip"));
    drop(gate);

    let model = Model::at("census", "json", "/predict").mode("enforce");
    let plan = Plan::of("litserve-enforced").every_path().model(model);
    let gate = Gate::before(server.http, plan, &[]);
    any_json("/predict").enforced(&gate);
    forms::agree(&gate, &forms::json::forms("/predict", "rows"));
}
