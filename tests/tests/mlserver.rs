//! MLServer itself behind the gate, with a scikit-learn model: what it answers comes through as if
//! it were asked directly, and what breaks the contract never reaches it.

use std::process::Command;

use serde_json::{Value, json};
use tidegate_tests::client::{Client, Request, Response};
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{self, Era, oip};
use tidegate_tests::tools;
use xtask::stage::Stage;
use xtask::stage::model_server::ModelServer;

/// Trains a small model and serves it.
fn served(stage: &Stage) -> ModelServer {
    let people = people::people(11, 1000, Era::Training);
    let data = stage.write("people.csv", &people::csv(&people)).expect("the stage is writable");
    let model = stage.folder().join("model");
    let mut training = Command::new(tools::mlserver());
    training.arg(tools::root().join("tests/mlserver/train.py")).arg(data).arg(&model);
    let trained = training.output().expect("Python runs");
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let server = ModelServer::start(stage, &tools::mlserver(), "v1", &model);
    let mut server = server.expect("MLServer starts");
    server.wait("census").expect("MLServer is ready");
    server
}

/// A request with an id of its own, because MLServer would draw one.
fn request(people: usize) -> Value {
    let mut request = oip(&people::people(5, people, Era::Training));
    request["id"] = "from-the-client".into();
    request
}

fn directly(server: &ModelServer, request: &Request) -> Response {
    Client::to(server.http).ask(request)
}

/// Holds that the answer through Envoy is the server's own, byte for byte.
fn check_same(house: &House, server: &ModelServer, request: &Request) -> Response {
    let (own, through) = (directly(server, request), house.ask(request));
    assert_eq!(through.status, own.status, "{}", through.text());
    assert!(through.body == own.body, "{}\n{}", through.text(), own.text());
    let content_type = |response: &Response| response.head.header("content-type");
    assert_eq!(content_type(&through), content_type(&own));
    through
}

#[test]
fn mlserver_answers_through_the_gate_as_if_it_were_asked_directly() {
    let stage = Stage::open(&tools::stages(), "mlserver").expect("a folder for the play");
    let server = served(&stage);
    let house = Plan::of("mlserver-house")
        .every_path()
        .v1_at(server.http)
        .model(Model::census().mode("enforce"))
        .raise();

    let good = request(3).to_string();
    let predicted = check_same(&house, &server, &Request::post(INFER, good.as_str()));
    assert_eq!(predicted.status, 200, "{}", predicted.text());
    let outputs = predicted.json()["outputs"].clone();
    assert_eq!(outputs[0]["data"].as_array().map(Vec::len), Some(3), "{outputs}");
    check_same(&house, &server, &Request::post(INFER, good.as_str()).chunked(50));
    check_same(&house, &server, &Request::post(INFER, request(5000).to_string()));
    check_same(&house, &server, &Request::get("/v2/models/census"));
    check_same(&house, &server, &Request::get("/v2/models/census/ready"));
    check_same(&house, &server, &Request::get("/v2/health/ready"));
    // Its own errors are its own.
    check_same(&house, &server, &Request::get("/v2/models/nobody"));
    check_same(&house, &server, &Request::post("/v2/models/nobody/infer", good.as_str()));

    for (tensor, value, kind) in [
        (1, json!([1.5, "10k", 2.5]), "FLOAT_TYPE_STRING_NOT_FLOAT"),
        (0, json!([30, 1986, 40]), "INT_TYPE_BIG_INT"),
        (2, json!(["F", 1, "M"]), "ENUM_TYPE_INT_NOT_STRING"),
    ] {
        let mut bad = request(3);
        bad["inputs"][tensor]["data"] = value;
        // The second spelling is the same to a server that unescapes before it routes, as this does.
        for path in [INFER, "/v2/models/census/versions/v1%2Finfer"] {
            let refused = house.ask(&Request::post(path, bad.to_string()));
            assert_eq!(refused.status, 400, "{path}: {}", refused.text());
            assert_eq!(refused.json()["violations"][0]["kind"], kind, "{path}");
        }
    }
    eventually("exchanges and refusals are counted", SOON, || {
        let counted = (house.filter_counter("exchanges"), house.filter_counter("refused"));
        (counted == (9, 6)).then_some(())
    });
}
