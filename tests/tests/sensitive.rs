//! Sensitive values never leave the proxy: every byte that Envoy sends towards the collector is searched for
//! them, in every format that a client can write them in.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::recorder::Reply;
use xtask::stage::port;

/// Stands between Envoy and the collector and keeps every byte of one direction.
struct Tap {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(collector: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", collector)) else { continue };
                let (Ok(back), Ok(front)) = (server.try_clone(), client.try_clone()) else {
                    continue;
                };
                pass(client, server, Some(Arc::clone(&kept)));
                pass(back, front, None);
            }
        });
        Self { port, heard }
    }

    fn heard(&self, secret: &str) -> bool {
        let heard = self.heard.lock().expect("no panic");
        heard.windows(secret.len()).any(|piece| piece == secret.as_bytes())
    }

    fn length(&self) -> usize {
        self.heard.lock().expect("no panic").len()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, kept: Option<Arc<Mutex<Vec<u8>>>>) {
    thread::spawn(move || {
        let mut piece = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if let Some(kept) = &kept {
                kept.lock().expect("no panic").extend_from_slice(&piece[..length]);
            }
            if to.write_all(&piece[..length]).is_err() {
                return;
            }
        }
    });
}

const SECRETS: [&str; 4] = ["jane.doe@example.com", "078-05-1120", "5550172", "Rosebud"];

fn contract() -> Value {
    json!({"allow_unknown": true, "inputs": [
        {"name": "age", "type": "integer"},
        {"name": "mail", "type": "text", "sensitive": "hash"},
        {"name": "ssn", "type": "text", "sensitive": "drop", "required": false},
        {"name": "phone", "type": "integer", "max": 10, "sensitive": "hash", "required": false},
        {"name": "who.sled", "type": "text", "categories": ["x"], "sensitive": "drop", "required": false},
    ]})
}

fn record() -> Value {
    json!({"age": 33, "mail": SECRETS[0], "ssn": SECRETS[1], "phone": 5_550_172,
        "who": {"sled": SECRETS[3], "more": [SECRETS[0]]}, "note": SECRETS[3]})
}

fn tensors() -> Value {
    let tensor = |name: &str, datatype: &str, value: Value| json!({"name": name, "datatype": datatype, "shape": [1], "data": [value]});
    json!({"inputs": [tensor("age", "INT64", json!(33)), tensor("mail", "BYTES", json!(SECRETS[0])),
        tensor("ssn", "BYTES", json!(SECRETS[1])), tensor("phone", "INT64", json!(5_550_172)),
        tensor("note", "BYTES", json!(SECRETS[3]))], "id": SECRETS[0]})
}

/// The same with the texts as raw bytes behind the JSON.
fn binary() -> (usize, Vec<u8>) {
    let mut request = tensors();
    let mut raw = Vec::new();
    for tensor in request["inputs"].as_array_mut().expect("tensors") {
        let Some(text) = tensor["data"][0].as_str().map(str::to_owned) else { continue };
        let length = u32::try_from(text.len()).expect("short");
        raw.extend(length.to_le_bytes());
        raw.extend(text.bytes());
        tensor["parameters"] = json!({"binary_data_size": text.len() + 4});
        tensor.as_object_mut().expect("an object").remove("data");
    }
    let json = request.to_string().into_bytes();
    (json.len(), [json, raw].concat())
}

#[test]
fn no_byte_of_a_sensitive_value_goes_to_the_collector() {
    let collector = port::free_port();
    let tap = Tap::before(collector);
    let house = Plan::of("sensitive")
        .every_path()
        .contract(&contract())
        .tapped(collector, tap.port)
        .model(Model::at("any", "auto", "/").line("keep: {violations: true, errors: true}"))
        .raise();
    // An answer that repeats what was asked, as servers do in their errors.
    house.v1.script(|seen| {
        let status = if seen.path().contains("fails") { 500 } else { 200 };
        Reply::whole(status, &[("content-type", "application/json")], &seen.body.bytes)
    });
    let (json_bytes, raw) = binary();
    let lines = format!("age,mail,ssn,phone\n33,{},{},5550172\n", SECRETS[0], SECRETS[1]);
    let requests = [
        Request::post("/predict", record().to_string()),
        Request::post("/fails", record().to_string()),
        Request::post("/predict", json!([record(), record()]).to_string()).chunked(7),
        Request::post("/predict", json!({"people": [record()]}).to_string()),
        Request::post("/v1/models/m:predict", json!({"instances": [record()]}).to_string()),
        Request::post("/invocations", json!({"dataframe_records": [record()]}).to_string()),
        Request::post("/invocations", lines).header("content-type", "text/csv"),
        Request::post("/v2/models/m/infer", tensors().to_string()),
        Request::post("/v2/models/m/infer", raw)
            .header("inference-header-content-length", json_bytes.to_string()),
        // What cannot be read may be anything.
        Request::post("/predict", format!("{}}}", record())),
        Request::post("/predict", record().to_string()[..90].to_owned()),
    ];
    for request in &requests {
        let answer = house.ask(request);
        assert!(answer.status == 200 || answer.status == 500, "{}", answer.text());
    }
    let sampled = requests.len() as u64;
    eventually("all are sampled", SOON, || {
        (house.filter_counter("sampled") == sampled).then_some(())
    });
    eventually("the samples are on the wire", SOON, || {
        (tap.heard("transcript") && tap.heard("age")).then_some(())
    });
    // One more batch behind them: what is on the wire by now is all there is.
    let _ = house.ask(&Request::post("/predict", json!({"age": 77, "mail": "last"}).to_string()));
    let before = tap.length();
    eventually("another batch follows", SOON, || (tap.length() > before + 100).then_some(()));
    for secret in SECRETS {
        assert!(!tap.heard(secret), "{secret} left the proxy");
    }
}
