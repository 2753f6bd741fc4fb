//! A soak: traffic of every format, good and broken, with clients, models and a collector that fail at random.
//! Envoy's memory stays flat, no VM dies, and every good request is answered. A round takes some seconds;
//! `TIDEGATE_SOAK_ROUNDS=200 cargo xtask test --test soak` goes on for so many.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Dice, Era, oip, people, records};
use tidegate_tests::recorder::{Manner, Reply};

/// Requests in each of the parts that are compared.
const PART: u64 = 1500;
/// What Envoy may grow by once it has seen everything: noise of its allocator.
const FLAT_BYTES: u64 = 8 << 20;

/// How many rounds in which the collector dies and comes back.
fn rounds() -> u64 {
    let told = std::env::var("TIDEGATE_SOAK_ROUNDS").ok();
    told.map_or(1, |told| told.parse().expect("TIDEGATE_SOAK_ROUNDS is a whole number"))
}

/// A request of some format, about some people.
fn request(dice: &mut Dice) -> Request {
    let count = 1 + usize::try_from(dice.below(40)).expect("few");
    let people = people(dice.below(1 << 40), count, Era::Training);
    let rows = records(&people);
    let (path, body): (&str, Value) = match dice.below(5) {
        0 => ("/v1/models/census:predict", json!({"instances": rows})),
        1 => ("/invocations", json!({"dataframe_records": rows})),
        2 => ("/predict", json!({"people": rows})),
        3 => ("/predict", rows),
        _ => ("/v2/models/any/infer", oip(&people)),
    };
    let body = body.to_string().into_bytes();
    let request = if dice.below(3) == 0 {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).expect("memory");
        let packed = encoder.finish().expect("memory");
        Request::post(path, packed).header("content-encoding", "gzip")
    } else {
        Request::post(path, body)
    };
    let chunk = 1 + usize::try_from(dice.below(5000)).expect("small");
    if dice.below(2) == 0 { request.chunked(chunk) } else { request }
}

/// One thing that goes wrong: a client that breaks off, or bytes that are none of what they should be.
fn fault(house: &House, dice: &mut Dice) {
    let request = request(dice);
    let mut client = house.client();
    let head = request.head();
    let mut body = request.framed_body();
    let at = usize::try_from(dice.below(body.len() as u64)).expect("small");
    match dice.below(3) {
        0 => body.truncate(at),
        1 => body[at] = u8::try_from(dice.below(256)).expect("a byte"),
        _ => body.clear(),
    }
    // Envoy may answer or hang up in the middle.
    let _ = client.say(&head).and_then(|()| client.say(&body));
    client.hang_up();
    while client.hear("POST").is_ok() {}
}

/// So many requests, each of which is answered 200, with faults among them.
fn part(house: &House, dice: &mut Dice) {
    let mut client = house.client();
    for _ in 0..PART {
        if dice.below(5) == 0 {
            fault(house, dice);
        }
        if dice.below(40) == 0 {
            house.v1.behave(Manner::BreakOff);
            let broken = house.ask(&request(dice));
            assert!(broken.status == 503 || broken.status == 502, "{}", broken.text());
            house.v1.behave(Manner::Plain);
        }
        let answer = client.ask(&request(dice));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let _ = house.v1.take();
}

#[test]
fn random_faults_leave_memory_flat_and_no_vm_dead() {
    let mut house = Plan::of("soak")
        .every_path()
        .model(
            Model::at("any", "auto", "/")
                .mode("observe")
                .line("keep: {violations: true, errors: true, slower_than: 1s}")
                .line("max_sample_bytes_per_second: 500000"),
        )
        .raise();
    let mut dice = Dice::of(11);
    // A model that answers in pieces, now and then.
    house.v1.script(|_| {
        Reply::chunked(
            &[("content-type", "application/json")],
            &[b"{\"predictions\"", b": [1]}"],
            &[],
        )
        .slowly(Duration::from_millis(1))
    });
    part(&house, &mut dice);
    house.v1.behave(Manner::Plain);
    part(&house, &mut dice);
    let before = house.envoy.process.resident_bytes().unwrap_or(0);
    for round in 1..=rounds() {
        house.collector().process.kill();
        part(&house, &mut dice);
        house.start_collector();
        part(&house, &mut dice);
        let grown = house.envoy.process.resident_bytes().unwrap_or(0).saturating_sub(before);
        println!("after round {round} Envoy has {} KiB more", grown >> 10);
        assert!(grown < FLAT_BYTES, "Envoy grew by {} KiB", grown >> 10);
    }
    let mut harm = house.stats("wasm");
    harm.retain(|name, count| {
        let bad = ["reload", "fail", "error", "crash", "recover"];
        *count > 0
            && bad.iter().any(|word| name.contains(word))
            && !name.contains("tidegate_filter")
    });
    assert!(harm.is_empty(), "a VM died: {harm:?}");
    eventually("every good request was seen", SOON, || {
        (house.filter_counter("exchanges") >= (2 + 2 * rounds()) * PART).then_some(())
    });
}
