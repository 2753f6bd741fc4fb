//! TorchServe behind the gate: JSON by the model's own handler, under heads that say nothing.

use tidegate_tests::client::Request;
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{Model, Plan};
use xtask::tools::servers::Server;

use crate::forms;
use crate::litserve::{any_json, predictions, rows};
use crate::room;
use crate::said::{self, post, typed};

const PATH: &str = "/predictions/census";

#[test]
fn torchserve_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("torchserve");
    let server = said::serve(&stage, Server::TorchServe);
    let plan = Plan::of("torchserve-house").every_path().model(Model::at("census", "json", PATH));
    let gate = Gate::before(server.http, plan, &["x-request-id"]);
    any_json(PATH).untouched(&gate, predictions);
    let body = rows(2).to_string();
    let part = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a.json\"\r\nContent-Type: \
         application/json\r\n\r\n{body}\r\n--XX--\r\n"
    );
    for request in [
        post(&format!("{PATH}/1.0"), &rows(2)),
        post(&format!("{PATH}/9"), &rows(2)),
        post("/predictions/nobody", &rows(2)),
        post("/invocations?model_name=census", &rows(2)),
        typed(PATH, Some("application/octet-stream"), body),
        typed(PATH, Some("multipart/form-data; boundary=XX"), part),
        Request::get("/ping"),
        Request::new("OPTIONS", "/"),
        Request::new("OPTIONS", PATH),
        Request::new("DELETE", PATH),
    ] {
        gate.check(&request);
    }
    drop(gate);

    let model = Model::at("census", "json", PATH).mode("enforce");
    let plan = Plan::of("torchserve-enforced").every_path().model(model);
    let gate = Gate::before(server.http, plan, &["x-request-id"]);
    any_json(PATH).enforced(&gate);
    forms::agree(&gate, &forms::json::forms(PATH, "rows"));
}
