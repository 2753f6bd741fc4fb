//! Triton behind the gate: the Open Inference Protocol as JSON, with binary tensors both ways,
//! compressed, and over gRPC, asked by its own client library.

use std::process::Command;

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::coding;
use tidegate_tests::frames::{Stream, streams};
use tidegate_tests::gate::Gate;
use tidegate_tests::house::{House, INFER, Model, Plan};
use tidegate_tests::people::Person;
use tidegate_tests::samples::{self, SAMPLES};
use tidegate_tests::tap::Tap;
use tidegate_tests::tools;
use xtask::tools::servers::Server;

use crate::mlserver::{self, Dialect, people_with_id};
use crate::said::{self, Said, about};
use crate::{forms, room};

/// Calls that keep a contract of people.
const GOOD_CALLS: [&str; 6] = ["typed", "raw", "many", "version", "gzip", "deflate"];
/// Whom they are about, as `tests/triton/client.py` has it.
const ROWS: [(i64, f64, &str, &str); 3] =
    [(30, 10.5, "F", "Private"), (41, 22.25, "M", "Government"), (58, 48.0, "F", "Self-employed")];
const JSON_BYTES: &str = "inference-header-content-length";

/// The value of a tensor as bytes: little-endian numbers, texts behind their length.
fn raw(tensor: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in tensor["data"].as_array().expect("data") {
        match (tensor["datatype"].as_str(), value) {
            (Some("BYTES"), Value::String(text)) => {
                let length = u32::try_from(text.len()).expect("short");
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            (Some("INT64"), value) => {
                bytes.extend_from_slice(&value.as_i64().expect("an integer").to_le_bytes());
            }
            (_, value) => {
                bytes.extend_from_slice(&value.as_f64().expect("a number").to_le_bytes());
            }
        }
    }
    bytes
}

/// The tensors at these places go behind the JSON; the length of the JSON, and both.
fn behind(mut request: Value, places: &[usize]) -> (usize, Vec<u8>) {
    let mut tail = Vec::new();
    for place in places {
        let tensor = &mut request["inputs"][*place];
        let bytes = raw(tensor);
        let fields = tensor.as_object_mut().expect("a tensor");
        fields.remove("data");
        fields.insert("parameters".to_owned(), json!({"binary_data_size": bytes.len()}));
        tail.extend(bytes);
    }
    let mut body = request.to_string().into_bytes();
    let length = body.len();
    body.extend(tail);
    (length, body)
}

fn with_length(body: impl Into<Vec<u8>>, length: &str) -> Request {
    said::typed(INFER, Some("application/octet-stream"), body).header(JSON_BYTES, length)
}

fn sent((length, body): (usize, Vec<u8>)) -> Request {
    with_length(body, &length.to_string())
}

/// What is said with binary tensors.
pub fn binary() -> Said {
    let all = [0, 1, 2, 3];
    let mut raw_out = people_with_id(3);
    raw_out["parameters"] = json!({"binary_data_output": true});
    let mut one_out = people_with_id(3);
    one_out["outputs"] = json!([
        {"name": "score", "parameters": {"binary_data": true}},
        {"name": "predict", "parameters": {"binary_data": false}},
    ]);
    let good = vec![
        about(3, sent(behind(people_with_id(3), &all))),
        about(1, sent(behind(people_with_id(1), &all))),
        about(3, sent(behind(people_with_id(3), &[0, 3]))),
        about(3, sent(behind(raw_out.clone(), &all))),
        // In one chunk: a text whose length is cut by the end of a chunk is an error for Triton.
        about(3, sent(behind(raw_out.clone(), &all)).chunked(10_000)),
        about(3, said::post(INFER, &raw_out)),
        about(3, said::post(INFER, &one_out)),
        about(3, sent(behind(one_out, &[1]))),
    ];

    let mut bad = Vec::new();
    for (tensor, value) in [(0, json!(1986)), (1, json!(-5.5)), (2, json!("X"))] {
        let mut request = people_with_id(3);
        request["inputs"][tensor]["data"][1] = value;
        bad.push(sent(behind(request, &all)));
    }

    let (length, body) = behind(people_with_id(3), &all);
    let length = length.to_string();
    let other = vec![
        with_length(&body[..body.len() - 1], &length),
        with_length([body.as_slice(), b"x"].concat(), &length),
        with_length(body.as_slice(), "99999"),
        with_length(body.as_slice(), "abc"),
        with_length(body.as_slice(), "0"),
        said::typed(INFER, Some("application/octet-stream"), body),
    ];
    Said { good, bad, other }
}

/// The rows of the first output, whose head may stand before bytes.
pub fn outputs(response: &Response) -> Option<usize> {
    let bytes = &response.body.bytes;
    let length = response.head.header(JSON_BYTES).and_then(|length| length.parse().ok());
    let head = &bytes[..length.unwrap_or(bytes.len())];
    let told: Value = serde_json::from_slice(head).ok()?;
    usize::try_from(told["outputs"][0]["shape"][0].as_u64()?).ok()
}

/// Every datatype, a raw request, numbers that are none, and coded bodies that only Triton takes.
fn only_triton() -> Vec<Request> {
    let coded = |body: Vec<u8>, coding: &str, length: usize| {
        with_length(body, &length.to_string()).header("content-encoding", coding)
    };
    let mut asked = people_with_id(3);
    asked["parameters"] = json!({"binary_data_output": true});
    let (length, body) = behind(asked, &[0, 1, 2, 3]);
    let single = "/v2/models/single/infer";
    let floats: Vec<u8> = [1.0_f32, f32::NAN, -3.5].iter().flat_map(|f| f.to_le_bytes()).collect();
    let raw = said::typed(single, Some("application/octet-stream"), floats).header(JSON_BYTES, "0");
    let nan = r#"{"inputs":[{"name":"values","datatype":"FP32","shape":[1,3],"data":[NaN,-Infinity,1]}]}"#;
    let json = people_with_id(3);
    let gzip_back = said::post(INFER, &json).header("accept-encoding", "gzip");
    let zlib_back = said::post(INFER, &json).header("accept-encoding", "deflate");
    vec![
        coded(coding::gzip(&body), "gzip", length),
        coded(coding::zlib(&body), "deflate", length),
        coded(coding::gzip(&body), "gzip", length).header("accept-encoding", "gzip"),
        gzip_back,
        zlib_back,
        raw,
        Request::post(single, nan),
        Request::get("/v2/models/echo"),
        Request::get("/v2/models/census/config"),
        Request::get("/v2/models/census/stats"),
    ]
}

/// What the client library is told by the server at this port.
fn told(port: u16, model: &str, version: &str) -> Vec<Value> {
    run(port, "client.py", &[model, version])
}

/// What a script of the client library is told by the server at this port.
fn run(port: u16, script: &str, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(tools::server(Server::Triton));
    command.arg(tools::root().join("tests/triton").join(script));
    command.arg(format!("127.0.0.1:{port}")).args(arguments);
    let told = command.output().expect("Python runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A house before a model that is asked over gRPC.
fn grpc_house(play: &str, port: u16, mode: &'static str) -> House {
    let model = Model::at("census", "oip", "/inference.GRPCInferenceService").mode(mode);
    Plan::of(play).every_path().over_grpc().line(SAMPLES).model(model).v1_at(port).raise()
}

/// Asks a model over gRPC behind a contract of people in `enforce`. Holds that exactly the bad
/// calls are refused and never whole at the server, and that the good are answered.
pub fn enforced_over_grpc(play: &str, port: u16, version: &str) {
    let server = Tap::before(port);
    let house = grpc_house(play, server.port(), "enforce");
    let told = told(house.envoy.listener, "census", version);
    let status = |name: &str| {
        let call = told.iter().find(|call| call["call"] == *name);
        call.unwrap_or_else(|| panic!("{name} was not asked"))["status"].clone()
    };
    for good in GOOD_CALLS {
        assert_eq!(status(good), "OK", "{good}");
    }
    let reached = streams(&server.take());
    for bad in ["old", "old raw", "nobody", "missing"] {
        assert_eq!(status(bad), "INVALID_ARGUMENT", "{bad}");
        // The id of each request is its name; a whole message behind its five bytes has the length
        // that they say.
        let whole = reached.iter().any(|stream| {
            let named = stream.request.windows(bad.len() + 2).any(|bytes| {
                bytes[0] == 0x1a
                    && usize::from(bytes[1]) == bad.len()
                    && &bytes[2..] == bad.as_bytes()
            });
            let length = stream.request.get(1..5).map_or(0, |bytes| {
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            });
            named && stream.request.len() >= 5 + length
        });
        assert!(!whole, "{bad} reached the server");
    }
    let (own, through) = (port, house.envoy.listener);
    let asked = |port| run(port, "forms.py", &["census"]);
    forms::agree_over_grpc(&asked(own), &asked(through));
}

/// Asks a model over gRPC by Triton's client library, once directly and once through Envoy. Holds
/// that it is told the same, and that each body reaches the other side as it left.
pub fn over_grpc(play: &str, port: u16, version: &str) {
    let server = Tap::before(port);
    let house = grpc_house(play, server.port(), "observe");
    let client = Tap::before(house.envoy.listener);
    let own = told(port, "census", version);
    let through = told(client.port(), "census", version);
    assert_eq!(through.len(), own.len());
    for (through, own) in through.iter().zip(&own) {
        assert_eq!(through, own);
    }
    for call in own.iter().filter(|call| GOOD_CALLS.iter().any(|name| call["call"] == **name)) {
        assert_eq!(call["status"], "OK", "{call}");
    }
    let (near, far) = (streams(&client.take()), streams(&server.take()));
    assert_eq!(near.len(), own.len());
    let answered = |streams: &[Stream]| {
        let whole = streams.iter().filter(|stream| !stream.answer.is_empty());
        whole.map(|one| (one.request.clone(), one.answer.clone())).collect::<Vec<_>>()
    };
    assert!(answered(&near) == answered(&far), "a body changed on its way");
    // Who refuses a call by its head need not get the rest.
    for far in far.iter().filter(|stream| stream.answer.is_empty()) {
        let sent = near.iter().any(|near| near.request.starts_with(&far.request));
        assert!(sent, "{:?} was never sent", far.request);
    }
    let flagged = |body: &[u8]| body.first() == Some(&1);
    assert_eq!(near.iter().filter(|stream| flagged(&stream.request)).count(), 2, "gzip, deflate");
    assert!(near.iter().all(|stream| !flagged(&stream.answer)), "nobody compresses answers");
    // An error is nothing but trailers: one head, and no message.
    let broken = near.iter().filter(|stream| stream.answer.is_empty());
    assert!(broken.clone().all(|stream| stream.heads == 1));
    assert_eq!(broken.count(), own.iter().filter(|call| call["answer"] == "").count());
    // The rows of the good calls, one of which asks about them forty times.
    let row = |(age, wage, gender, work)| Person { age, wage, gender, work };
    let people = ROWS.map(row).to_vec();
    let asked = |name: &str| if name == "many" { people.repeat(40) } else { people.clone() };
    samples::read(&house, &GOOD_CALLS.map(asked));
}

#[test]
fn triton_is_untouched_and_in_enforce_gets_only_what_is_good() {
    let _room = room::enter();
    let stage = said::stage("triton");
    let server = said::serve(&stage, Server::Triton);

    let plan = Plan::of("triton-rest").every_path().model(Model::census());
    let gate = Gate::before(server.http, plan, &[]);
    mlserver::second_protocol(Dialect::Triton).untouched(&gate, mlserver::outputs);
    binary().untouched(&gate, outputs);
    for request in only_triton() {
        gate.check(&request);
    }
    drop(gate);

    let plan = Plan::of("triton-enforced").every_path().model(Model::census().mode("enforce"));
    let gate = Gate::before(server.http, plan, &[]);
    mlserver::second_protocol(Dialect::Triton).enforced(&gate);
    forms::agree(&gate, &forms::oip::forms());
    binary().enforced(&gate);
    drop(gate);

    let grpc = server.grpc.expect("Triton speaks gRPC");
    over_grpc("triton-grpc", grpc, "1");
    enforced_over_grpc("triton-grpc-enforced", grpc, "1");
}
