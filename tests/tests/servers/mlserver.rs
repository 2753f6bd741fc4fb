//! MLServer behind the gate: the Open Inference Protocol over REST and gRPC, and what is said to
//! every server that speaks it. Other spellings of its paths are in `tests/tests/mlserver.rs`.

use std::process::Command;

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{INFER, Model, Plan};
use tidegate_tests::people::{self, Era, oip};
use tidegate_tests::tools;
use xtask::stage::model_server::ModelServer;

use crate::said::{self, Said, about, post};
use crate::{forms, room, triton};

/// What a server of the Open Inference Protocol takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MLServer: versions are names, a shape `[n]` is a column.
    MLServer,
    /// Triton: a shape must be the model's.
    Triton,
    /// KServe: no versions.
    KServe,
}

/// People as a request with an id of its own, because servers would draw one.
pub fn people_with_id(count: usize) -> Value {
    let mut request = oip(&said::people(count));
    request["id"] = "from-the-client".into();
    request
}

fn nested(count: usize) -> Value {
    let mut request = people_with_id(count);
    for input in request["inputs"].as_array_mut().expect("inputs") {
        let data = input["data"].as_array().expect("data").clone();
        input["data"] = data.into_iter().map(|value| json!([value])).collect();
    }
    request
}

/// A request about three people with one tensor's key changed.
fn with(tensor: usize, key: &str, value: Value) -> Value {
    let mut request = people_with_id(3);
    request["inputs"][tensor][key] = value;
    request
}

/// What is said to a server of the Open Inference Protocol over REST.
pub fn second_protocol(dialect: Dialect) -> Said {
    let three = people_with_id(3);
    let mut good = vec![
        about(3, post(INFER, &three)),
        about(3, post(INFER, &nested(3))),
        about(1, post(INFER, &people_with_id(1))),
        // Without an id; the answer's is drawn, or there is none.
        about(2, post(INFER, &oip(&said::people(2)))),
        about(100, post(INFER, &people_with_id(100))),
    ];
    let mut framings = said::framings(INFER, &three);
    if dialect == Dialect::KServe {
        // Without a content type it takes a body for binary tensors, whose head is missing.
        framings.retain(|request| request.sent_head().header("content-type").is_some());
    }
    good.extend(framings.into_iter().map(|request| about(3, request)));
    let versions = match dialect {
        Dialect::MLServer => Some("v1"),
        Dialect::Triton => Some("1"),
        Dialect::KServe => None,
    };
    if let Some(version) = versions {
        let path = format!("/v2/models/census/versions/{version}/infer");
        good.push(about(3, post(&path, &three)));
    }
    if dialect != Dialect::Triton {
        let mut flat = people_with_id(3);
        for input in flat["inputs"].as_array_mut().expect("inputs") {
            input["shape"] = json!([3]);
        }
        good.push(about(3, post(INFER, &flat)));
        good.push(about(3000, post(INFER, &people_with_id(3000))));
    }

    let mut bad = Vec::new();
    for (field, value) in said::wrong() {
        let names = ["age", "wage", "gender", "work"];
        let tensor = names.iter().position(|name| *name == field).expect("a field");
        let mut data = three["inputs"][tensor]["data"].clone();
        data[1] = value;
        bad.push(post(INFER, &with(tensor, "data", data)));
    }
    let mut missing = people_with_id(3);
    missing["inputs"].as_array_mut().expect("inputs").truncate(2);
    bad.push(post(INFER, &missing));

    let mut other = said::unreadable(INFER);
    other.extend(said::coded(INFER, &three));
    let said_nan = three.to_string().replacen("[", "[NaN,", 2);
    other.extend([
        post(INFER, &with(0, "data", json!([1, 2]))),
        post(INFER, &with(0, "shape", json!([3, 2]))),
        post(INFER, &with(0, "datatype", json!("FOO"))),
        post(INFER, &with(0, "datatype", json!("INT32"))),
        post(INFER, &with(0, "name", json!("nobody"))),
        post(INFER, &with(0, "shape", Value::Null)),
        post(INFER, &json!({})),
        Request::post(INFER, said_nan),
        post("/v2/models/nobody/infer", &three),
        post("/v2/models/census/versions/9/infer", &three),
        Request::get(INFER),
        Request::get("/v2"),
        Request::get("/v2/health/live"),
        Request::get("/v2/health/ready"),
        Request::new("HEAD", "/v2/health/ready"),
        Request::get("/v2/models/census"),
        Request::get("/v2/models/census/ready"),
        Request::get("/v2/models/nobody"),
        Request::get("/v2/nothing"),
    ]);
    Said { good, bad, other }
}

/// The rows of the first output.
pub fn outputs(response: &Response) -> Option<usize> {
    let rows = response.json()["outputs"][0]["shape"][0].as_u64();
    match rows {
        Some(rows) => usize::try_from(rows).ok(),
        // Compressed; that it is the server's own is held by the gate.
        None => response.head.header("content-encoding").map(|_| 3),
    }
}

#[test]
fn mlserver_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("mlserver-observed");
    let people = people::people(11, 1000, Era::Training);
    let data = stage.write("people.csv", &people::csv(&people)).expect("the stage is writable");
    let model = stage.folder().join("model");
    let mut training = Command::new(tools::mlserver());
    training.arg(tools::root().join("tests/mlserver/train.py")).arg(data).arg(&model);
    let trained = training.output().expect("Python runs");
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let server = ModelServer::start(&stage, &tools::mlserver(), "v1", &model);
    let mut server = server.expect("MLServer starts");
    server.wait("census").expect("MLServer is ready");

    let plan = Plan::of("mlserver-rest").every_path().model(Model::census());
    let gate = Gate::before(server.http, plan, &["id", "ce-id", "ce-requestid"]);
    second_protocol(Dialect::MLServer).untouched(&gate, outputs);
    for request in
        [Request::get("/v2/docs/dataplane.json"), post("/v2/repository/index", &json!({}))]
    {
        gate.check(&request);
    }
    drop(gate);

    let plan = Plan::of("mlserver-enforced").every_path().model(Model::census().mode("enforce"));
    let gate = Gate::before(server.http, plan, &["id", "ce-id", "ce-requestid"]);
    second_protocol(Dialect::MLServer).enforced(&gate);
    forms::agree(&gate, &forms::oip::forms());
    drop(gate);

    let grpc = server.grpc;
    triton::over_grpc("mlserver-grpc", grpc, "v1");
    triton::enforced_over_grpc("mlserver-grpc-enforced", grpc, "v1");
}
