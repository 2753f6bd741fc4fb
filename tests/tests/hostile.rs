//! Hostile and broken traffic: whatever comes, the filter lives on every worker, and whoever comes
//! next is served.

use std::time::Duration;

use serde_json::json;
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people};
use tidegate_tests::recorder::{Manner, Reply};

fn house(play: &str, mode: &'static str) -> House {
    Plan::of(play)
        .every_path()
        .model(Model::census().mode(mode))
        .model(Model::at("people", "json", "/people").mode(mode))
        .raise()
}

fn good() -> Request {
    Request::post(INFER, oip(&people(1, 2, Era::Training)).to_string())
}

/// What Envoy counts of the filter's VMs that is not a sign of health.
fn harm(house: &House) -> Vec<(String, u64)> {
    let mut wasm = house.stats("wasm");
    wasm.retain(|name, count| {
        let bad = ["reload", "fail", "error", "crash", "recover"];
        *count > 0
            && bad.iter().any(|word| name.contains(word))
            && !name.contains("tidegate_filter")
    });
    wasm.into_iter().collect()
}

/// Holds that no VM died, that each worker serves, and that the filter still sees what passes.
fn check_alive(house: &House) {
    let before = house.filter_counter("exchanges");
    house.serves_on_every_worker(&good());
    assert_eq!(harm(house), [], "a VM died");
    eventually("the filter still counts", SOON, || {
        (house.filter_counter("exchanges") > before).then_some(())
    });
}

/// Sends bytes, hangs up, and waits for Envoy to be done with the connection.
fn throw(house: &House, bytes: &[u8]) {
    let mut client = house.client();
    // Envoy may refuse in the middle.
    let _ = client.say(bytes);
    client.hang_up();
    while client.hear("POST").is_ok() {}
}

fn raw(head: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("POST {INFER} HTTP/1.1\r\nhost: models\r\n").into_bytes();
    for line in head {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

fn check_survives_broken_requests(mode: &'static str) {
    let house = house(&format!("hostile-{mode}"), mode);
    let whole = good().body().to_vec();
    let length = format!("content-length: {}", whole.len());
    let longer = format!("content-length: {}", whole.len() + 10);
    let shorter = format!("content-length: {}", whole.len() - 10);

    // Heads.
    let cases: [&[&[u8]]; 8] = [
        &[b"x-name: \xff\xfe\x80", length.as_bytes()],
        &[b"traceparent: \xc3\x28", b"x-request-id: \xff", length.as_bytes()],
        &[b"content-type: \xf0\x28\x8c", b"content-encoding: \xff", length.as_bytes()],
        &[b"x-tidegate-\xff: 1", length.as_bytes()],
        &[b"x-tidegate-violations: \xff\xff", length.as_bytes()],
        &[longer.as_bytes()],
        &[shorter.as_bytes()],
        &[b"content-length: -5"],
    ];
    for head in cases {
        for _ in 0..4 {
            throw(&house, &raw(head, &whole));
        }
    }
    throw(&house, &raw(&[b"content-length: 99999999999999999999"], &whole));
    throw(&house, &raw(&[length.as_bytes(), longer.as_bytes()], &whole));
    throw(&house, &raw(&[b"transfer-encoding: chunked"], b"zz\r\nnot a chunk\r\n"));
    throw(&house, &raw(&[b"transfer-encoding: chunked"], b"5\r\n{\"inp"));
    throw(&house, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    check_alive(&house);

    // Bodies.
    for body in [
        b"{\"inputs\": [{\"name\": \"\xff\xfe\"}]}".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        br#"{"inputs": [{"name": "\ud800"}]}"#.to_vec(),
        whole[..whole.len() / 2].to_vec(),
        nested("[", "]", 10_000).into_bytes(),
        nested("{\"a\":", "}", 10_000).into_bytes(),
        format!("{{\"inputs\":[{{\"name\":\"age\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":{}}}]}}", nested("[", "]", 10_000)).into_bytes(),
        format!("[{}]", "9".repeat(100_000)).into_bytes(),
        format!("{{\"{}\": 1}}", "k".repeat(1 << 20)).into_bytes(),
        json!({"inputs": [{"name": "age", "shape": [i64::MAX, i64::MAX], "datatype": "INT64", "data": [1]}]}).to_string().into_bytes(),
        vec![0; 100_000],
    ] {
        for path in [INFER, "/people"] {
            for request in [Request::post(path, body.as_slice()), Request::post(path, body.as_slice()).chunked(1000)] {
                let status = house.ask(&request).status;
                let expected = if mode == "enforce" { 400 } else { 200 };
                assert_eq!(status, expected, "{path}: {}", String::from_utf8_lossy(&body[..40.min(body.len())]));
            }
        }
    }
    check_alive(&house);
}

#[test]
fn broken_requests_leave_the_filter_alive_in_observe() {
    check_survives_broken_requests("observe");
}

#[test]
fn broken_requests_leave_the_filter_alive_in_enforce() {
    check_survives_broken_requests("enforce");
}

#[test]
fn broken_requests_leave_the_filter_alive_in_tag() {
    check_survives_broken_requests("tag");
}

#[test]
fn a_body_of_64_mib_passes_and_does_not_stay_in_memory() {
    let house = house("hostile-large", "enforce");
    let mut person = people(1, 1, Era::Training);
    person.truncate(1);
    // One very long text in a field that allows any.
    let body = oip(&person).to_string().replace(person[0].work, &"w".repeat(64 << 20));
    let resident = || house.envoy.process.resident_bytes().unwrap_or(0);
    house.serves_on_every_worker(&good());
    let before = resident();
    for request in
        [Request::post(INFER, body.as_str()), Request::post(INFER, body).chunked(1 << 16)]
    {
        assert_eq!(house.ask(&request).status, 200);
        let seen = house.v1.take();
        let seen = seen.last().expect("the model got it");
        assert!(seen.body.bytes == request.body(), "the body was changed");
    }
    check_alive(&house);
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "Envoy grew by {} KiB over two bodies of 64 MiB", grown >> 10);
}

#[test]
fn clients_and_models_that_break_off_leave_the_filter_alive() {
    for mode in ["observe", "enforce"] {
        let house = house(&format!("hostile-reset-{mode}"), mode);
        let request = good();
        for _ in 0..8 {
            // The client goes before, in, and after the body, and before the answer.
            for bytes in [0, 10, request.body().len()] {
                let mut client = house.client();
                client.say(&request.head()).expect("Envoy listens");
                client.say(&request.body()[..bytes]).expect("Envoy listens");
            }
        }
        house.v1.behave(Manner::BreakOff);
        for _ in 0..8 {
            assert_eq!(house.ask(&good()).status, 503);
        }
        // The model answers only half, in both framings, or nonsense.
        for half in [
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"outputs\":",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{\"outputs\":",
            "HTTP/1.1 200 OK\r\nx-name: \u{ff}\r\n",
            "nonsense\r\n\r\n",
        ] {
            house.v1.script(move |_| Reply::raw(half));
            for _ in 0..4 {
                let _ = house.client().try_ask(&good());
            }
        }
        house.v1.script(|_| {
            Reply::raw(
                b"HTTP/1.1 200 OK\r\ncontent-type: \xff\xfe\r\ncontent-length: 2\r\n\r\n\xff\xfe"
                    .as_slice(),
            )
        });
        for _ in 0..4 {
            let response = house.ask(&good());
            assert_eq!((response.status, response.body.bytes), (200, vec![0xff, 0xfe]));
        }
        house.v1.script(|_| Reply::whole(200, &[], b"{}").slowly(Duration::from_millis(50)));
        assert_eq!(house.ask(&good()).status, 200);
        house.v1.behave(Manner::Plain);
        check_alive(&house);
    }
}
