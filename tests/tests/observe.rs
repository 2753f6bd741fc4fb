//! Observing changes nothing: bytes in are bytes out, for requests and for answers, whatever they
//! are and whoever speaks.

use std::sync::{Arc, Mutex, mpsc};

use tidegate_tests::client::{Request, Response};
use tidegate_tests::coding;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::Dice;
use tidegate_tests::recorder::{Manner, Reply, Seen};
use tidegate_tests::wire::{Body, read_body, read_head};

/// Headers that say what a body is; the others belong to a hop.
const ABOUT_THE_BODY: [&str; 8] = [
    "content-type",
    "content-encoding",
    "content-length",
    "content-language",
    "etag",
    "x-model-version",
    "inference-header-content-length",
    "ce-specversion",
];

fn observing(play: &str) -> House {
    Plan::of(play)
        .every_path()
        // So that trailers are passed on by Envoy at all.
        .replace(
            "codec_type: AUTO",
            "codec_type: AUTO\n                http_protocol_options: {enable_trailers: true}",
        )
        .replace("{http_protocol_options: {}}", "{http_protocol_options: {enable_trailers: true}}")
        .model(Model::census().line("max_capture_bytes: 65536"))
        .model(Model::at("anything", "json", "/"))
        .raise()
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut dice = Dice::of(seed);
    (0..bytes).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect()
}

fn about_the_body(headers: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut kept = headers.to_vec();
    kept.retain(|(name, _)| ABOUT_THE_BODY.contains(&name.as_str()));
    kept.sort();
    kept
}

/// Sends a request and holds that the model got it as it was sent, and the client the answer as
/// the model gave it.
fn check_untouched(house: &House, request: &Request, reply: &Reply) -> Response {
    let wire: Vec<u8> = reply.pieces.iter().flat_map(|(_, piece)| piece.clone()).collect();
    let scripted = reply.clone();
    house.v1.script(move |_| scripted.clone());
    let method = request.method().to_owned();
    let response = house.ask(request);
    let seen = house.v1.take();
    assert_eq!(seen.len(), 1, "{method}");
    let Seen { head, body } = &seen[0];
    assert!(body.whole && body.bytes == request.body(), "{method}: the request's body was changed");
    let sent = request.sent_head();
    assert_eq!(about_the_body(&head.headers), about_the_body(&sent.headers), "{method}");
    assert_eq!(head.line, sent.line);

    let mut wire = wire.as_slice();
    let gave = read_head(&mut wire).expect("a head").expect("a head");
    assert_eq!(about_the_body(&response.head.headers), about_the_body(&gave.headers), "{method}");
    let mut given = Body::default();
    if method != "HEAD" && !matches!(response.status, 204 | 304) {
        read_body(&mut wire, gave.framing(true), &mut given).expect("a body");
    }
    assert!(response.body.bytes == given.bytes, "{method}: the answer's body was changed");
    assert_eq!(gave.line.split(' ').nth(1), Some(response.status.to_string().as_str()));
    response
}

fn fine(body: &[u8]) -> Reply {
    Reply::whole(200, &[("content-type", "application/json")], body)
}

#[test]
fn bodies_of_every_size_pass_as_they_are_both_ways() {
    let house = observing("observe-sizes");
    let sizes = [0, 1, 2, 1000, 16_384, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 8 << 20];
    for (seed, bytes) in (0..).zip(sizes) {
        let (up, down) = (noise(seed, bytes), noise(seed + 100, bytes));
        for path in [INFER, "/anything/at/all"] {
            check_untouched(&house, &Request::post(path, up.as_slice()), &fine(&down));
        }
        let chunk = (bytes / 7).max(1);
        let pieces: Vec<&[u8]> = down.chunks(chunk).collect();
        let reply = Reply::chunked(&[("content-type", "application/octet-stream")], &pieces, &[]);
        check_untouched(&house, &Request::post(INFER, up.as_slice()).chunked(chunk), &reply);
    }
}

#[test]
fn what_other_servers_speak_passes_as_it_is() {
    let house = observing("observe-others");
    let gzip = coding::gzip(br#"{"inputs": []}"#);
    let binary = [br#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}"#.as_slice(), &noise(5, 8)].concat();
    let v1 = br#"{"signature_name": "serving_default", "instances": [[1.0, 2.0], [3.0, 4.0]]}"#;
    let mlflow =
        br#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1, null], ["x", NaN]]}}"#;
    let chat =
        br#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "h\u00e9"}]}"#;
    let events: [&[u8]; 3] =
        [b"data: {\"delta\": \"a\"}\n\n", b"data: {\"delta\": \"b\"}\n\n", b"data: [DONE]\n\n"];
    let stream = Reply::chunked(&[("content-type", "text/event-stream")], &events, &[]);
    let trace = Reply::whole(
        400,
        &[("content-type", "text/plain")],
        b"Traceback (most recent call last):\n",
    );

    for (path, body) in [
        ("/v1/models/m:predict", v1.as_slice()),
        ("/invocations", mlflow.as_slice()),
        (
            INFER,
            br#"{"id": "1", "parameters": {"content_type": "pd"}, "inputs": [], "outputs": []}"#,
        ),
        (INFER, b""),
        (INFER, b"  "),
        (INFER, b"{"),
        (INFER, b"\xff\xfe\x00"),
        (INFER, b"null"),
    ] {
        check_untouched(&house, &Request::post(path, body), &fine(body));
        check_untouched(&house, &Request::post(path, body).chunked(3), &trace);
    }
    check_untouched(&house, &Request::post("/v1/chat/completions", chat.as_slice()), &stream);

    let zipped = Request::post(INFER, gzip.as_slice()).header("content-encoding", "gzip");
    let reply = Reply::whole(200, &[("content-encoding", "gzip"), ("etag", "\"1\"")], &gzip);
    check_untouched(&house, &zipped, &reply);

    let tensors = Request::post(INFER, binary.as_slice())
        .header("inference-header-content-length", (binary.len() - 8).to_string());
    let length = (binary.len() - 8).to_string();
    let reply = Reply::whole(200, &[("inference-header-content-length", &length)], &binary);
    check_untouched(&house, &tensors, &reply);

    // Of these Envoy itself removes a length.
    for status in [204, 304] {
        let reply = Reply::raw(format!("HTTP/1.1 {status} x\r\nx-model-version: 7\r\n\r\n"));
        check_untouched(&house, &Request::post(INFER, "[]"), &reply);
    }
    for status in [201, 302, 404, 422, 500, 503] {
        let reply = Reply::whole(status, &[("x-model-version", "7")], b"");
        check_untouched(&house, &Request::post(INFER, "[]"), &reply);
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        check_untouched(&house, &Request::new(method, INFER), &fine(b""));
    }
    let head = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n");
    check_untouched(&house, &Request::new("HEAD", "/v2/models/census"), &head);
    let until_close =
        Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nno length".as_slice());
    check_untouched(&house, &Request::post(INFER, "{}"), &until_close);
}

#[test]
fn one_that_expects_to_be_told_to_continue_is_told_and_served() {
    let house = observing("observe-continue");
    let request = Request::post(INFER, r#"{"inputs": []}"#).header("expect", "100-continue");
    let mut client = house.client();
    client.say(&request.head()).expect("Envoy listens");
    assert_eq!(client.hear_one("POST").expect("an interim answer").status, 100);
    client.say(request.body()).expect("Envoy listens");
    assert_eq!(client.hear("POST").expect("an answer").status, 200);
    assert_eq!(house.v1.take()[0].body.bytes, request.body());
}

#[test]
fn trailers_pass_both_ways() {
    let house = observing("observe-trailers");
    let body = r#"{"inputs": []}"#;
    house.v1.script(|_| Reply::chunked(&[], &[b"{}"], &[("x-served-in", "5 ms")]));
    let request = Request::post(INFER, body).chunked(4).trailer("x-checksum", "abc");
    let response = house.ask(&request);
    assert_eq!((response.status, response.text().as_str()), (200, "{}"));
    assert_eq!(response.body.trailers, [("x-served-in".to_owned(), b"5 ms".to_vec())]);
    let Seen { body: seen, .. } = house.v1.take().remove(0);
    assert_eq!(seen.bytes, body.as_bytes());
    assert_eq!(seen.trailers, [("x-checksum".to_owned(), b"abc".to_vec())]);
}

#[test]
fn a_stream_of_events_is_not_held_back() {
    let house = observing("observe-events");
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    // The model sends the second event only after the client has seen the first.
    house.v1.behave(Manner::Hand(Arc::new(move |out| {
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")?;
        out.write_all(b"transfer-encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n")?;
        let seen = wait.lock().expect("one at a time").recv();
        seen.map_err(std::io::Error::other)?;
        out.write_all(b"9\r\ndata: b\n\n\r\n0\r\n\r\n")
    })));
    let mut client = house.client();
    let request = Request::post(INFER, "{}");
    client.say(&request.head()).expect("Envoy listens");
    client.say(request.body()).expect("Envoy listens");
    let first = client.hear_until(b"data: a\n\n").expect("the first event, while the second waits");
    assert!(first.starts_with(b"HTTP/1.1 200"));
    go_on.send(()).expect("the model waits");
    client.hear_until(b"data: b\n\n").expect("the second event");
}

#[test]
fn what_was_only_watched_was_counted_and_judged_readable_or_not() {
    let house = observing("observe-counts");
    for body in ["{}", "nonsense", r#"{"inputs": []}"#] {
        assert_eq!(house.ask(&Request::post(INFER, body)).status, 200);
    }
    eventually("three exchanges are counted", SOON, || {
        (house.filter_counter("exchanges") == 3).then_some(())
    });
    assert_eq!(house.filter_counter("refused"), 0);
    assert!(house.filter_counter("unreadable") >= 1);
}
