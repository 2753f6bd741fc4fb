//! KServe behind the gate: its first protocol, CloudEvents, its second with binary tensors, and
//! gRPC.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use xtask::tools::servers::Server;

use crate::mlserver::Dialect;
use crate::said::{self, Said, about, changed, columns, post, records, rows, typed};
use crate::{forms, mlserver, room, triton};

const V1: &str = "/v1/models/census:predict";
const EVENT: &str = "application/cloudevents+json";
/// An event's `id` and time, and the request's, are drawn by the server.
const CHANGING: [&str; 4] = ["ce-id", "ce-time", "id", "time"];

fn event(data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "1", "source": "/tests", "type": "a.request",
           "time": "2026-01-01T00:00:00Z", "data": data})
}

fn as_event(request: Request) -> Request {
    let head = [("specversion", "1.0"), ("id", "1"), ("source", "/tests"), ("type", "a.request")];
    let with = |request: Request, (name, value): (&str, &str)| {
        request.header(&format!("ce-{name}"), value)
    };
    head.into_iter().fold(request, with)
}

fn first_protocol() -> Said {
    let by_rows = json!({"instances": rows(3)});
    let mut good = vec![
        about(3, post(V1, &by_rows)),
        about(2, post(V1, &json!({"instances": records(2)}))),
        about(4, post(V1, &json!({"inputs": columns(4)}))),
        about(1, post(V1, &json!({"signature_name": "serving_default", "instances": rows(1)}))),
        about(2000, post(V1, &json!({"instances": rows(2000)}))),
        about(3, as_event(post(V1, &by_rows))),
        about(3, as_event(said::without_type(V1, &by_rows))),
        about(3, typed(V1, Some(EVENT), event(&by_rows).to_string())),
    ];
    good.extend(said::framings(V1, &by_rows).into_iter().map(|request| about(3, request)));

    let mut bad = vec![post(V1, &json!({"instances": [[30, 10.5]]}))];
    for (field, value) in said::wrong() {
        let one = json!({"instances": [changed(field, value)]});
        bad.push(post(V1, &one));
        bad.push(as_event(post(V1, &one)));
        bad.push(typed(V1, Some(EVENT), event(&one).to_string()));
    }

    // KServe knows an event by its keys, whatever its head says.
    good.push(about(3, post(V1, &event(&by_rows))));
    let mut other = said::unreadable(V1);
    other.extend(said::coded(V1, &by_rows));
    other.extend([
        post(V1, &json!({})),
        post(V1, &json!({"instances": {}})),
        Request::post(V1, r#"{"instances":[[30,NaN,"F","x"]]}"#),
        as_event(Request::post(V1, "{")),
        typed(V1, Some("application/cloudevents-batch+json"), json!([event(&by_rows)]).to_string()),
        typed(V1, Some("application/cloudevents+json; charset=UTF-8"), event(&by_rows).to_string()),
        post("/v1/models/nobody:predict", &by_rows),
        post("/v1/models/census:explain", &by_rows),
        Request::get(V1),
        Request::get("/v1/models"),
        Request::get("/v1/models/census"),
        Request::get("/"),
        Request::get("/openapi.json"),
    ]);
    Said { good, bad, other }
}

fn predictions(response: &Response) -> Option<usize> {
    let body = response.json();
    let plain = body.get("predictions").or_else(|| body.get("data")?.get("predictions"));
    plain?.as_array().map(Vec::len)
}

#[test]
fn kserve_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("kserve");
    let server = said::serve(&stage, Server::KServe);

    let plan = Plan::of("kserve-v1").every_path().model(Model::at("census", "v1", "/v1/models"));
    let gate = Gate::before(server.http, plan, &CHANGING);
    first_protocol().untouched(&gate, predictions);
    drop(gate);

    let v1 = Model::at("census", "v1", "/v1/models").mode("enforce");
    let plan = Plan::of("kserve-v1-enforced").every_path().model(v1);
    let gate = Gate::before(server.http, plan, &CHANGING);
    first_protocol().enforced(&gate);
    forms::agree(&gate, &forms::v1::forms(V1));
    drop(gate);

    let plan = Plan::of("kserve-v2").every_path().model(Model::census());
    let gate = Gate::before(server.http, plan, &CHANGING);
    mlserver::second_protocol(Dialect::KServe).untouched(&gate, mlserver::outputs);
    triton::binary().untouched(&gate, triton::outputs);
    drop(gate);

    let plan = Plan::of("kserve-enforced").every_path().model(Model::census().mode("enforce"));
    let gate = Gate::before(server.http, plan, &CHANGING);
    mlserver::second_protocol(Dialect::KServe).enforced(&gate);
    forms::agree(&gate, &forms::oip::forms());
    triton::binary().enforced(&gate);
    drop(gate);

    let grpc = server.grpc.expect("KServe speaks gRPC");
    triton::over_grpc("kserve-grpc", grpc, "1");
    triton::enforced_over_grpc("kserve-grpc-enforced", grpc, "1");
}
