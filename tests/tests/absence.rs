//! A collector that is absent, dead, hung or slow never costs a request, nor Envoy its memory.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people};
use xtask::stage::port;

/// What Envoy may grow by while its collector does not take what it sends: the filter's buffers in
/// both workers, and what is in flight.
const MAY_GROW_BYTES: u64 = 96 << 20;

/// A request of about 16 KiB, so that a backlog would show.
fn large() -> Request {
    Request::post(INFER, oip(&people(1, 600, Era::Training)).to_string())
}

/// Sends so many requests on four connections while `meanwhile` happens, and holds that each was
/// answered 200 and that Envoy's memory stayed bounded.
fn check_serves(house: &mut House, requests: u64, meanwhile: impl FnOnce(&mut House)) {
    let port = house.envoy.listener;
    let sent = Arc::new(AtomicU64::new(0));
    let go_on = Arc::new(AtomicBool::new(true));
    let resident = |house: &House| house.envoy.process.resident_bytes().unwrap_or(0);
    let before = resident(house);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (sent, go_on) = (Arc::clone(&sent), Arc::clone(&go_on));
            thread::spawn(move || {
                let request = large();
                let mut client = tidegate_tests::client::Client::to(port);
                let mut slowest = Duration::ZERO;
                // At least so many, and as long as something happens.
                while sent.fetch_add(1, Ordering::Relaxed) < requests
                    || go_on.load(Ordering::Relaxed)
                {
                    let begun = Instant::now();
                    let response = client.ask(&request);
                    assert_eq!(response.status, 200, "{}", response.text());
                    slowest = slowest.max(begun.elapsed());
                }
                slowest
            })
        })
        .collect();
    eventually("traffic flows", SOON, || (sent.load(Ordering::Relaxed) > 200).then_some(()));
    meanwhile(house);
    go_on.store(false, Ordering::Relaxed);
    for client in clients {
        let slowest = client.join().expect("each request is answered");
        assert!(slowest < Duration::from_secs(5), "a request took {slowest:?}");
    }
    assert!(sent.load(Ordering::Relaxed) >= requests);
    let grown = resident(house).saturating_sub(before);
    assert!(grown < MAY_GROW_BYTES, "Envoy grew by {} KiB", grown >> 10);
    for (name, count) in house.stats("http.models.downstream_rq_5xx") {
        assert_eq!(count, 0, "{name}");
    }
}

/// Waits until the filter has lost samples, which shows that the collector's absence is felt.
fn await_loss(house: &House) {
    eventually("the filter loses batches, and counts them", SOON, || {
        (house.filter_counter("batches_lost") > 0).then_some(())
    });
}

fn observing(play: &str) -> House {
    Plan::of(play).model(Model::census()).raise()
}

#[test]
fn a_collector_that_was_never_there_costs_nothing() {
    let mut house = Plan::of("absence-never").collector_at(port::free_port()).raise();
    check_serves(&mut house, 2000, |_| ());
}

#[test]
fn a_collector_that_is_killed_costs_nothing_and_is_found_again() {
    let mut house = observing("absence-killed");
    check_serves(&mut house, 3000, |house| {
        house.collector().process.kill();
        await_loss(house);
        house.start_collector();
        house.await_acknowledged();
        eventually("samples arrive again", SOON, || {
            (house.status()["window"]["rows"].as_u64() > Some(0)).then_some(())
        });
    });
}

#[test]
fn a_collector_that_is_stopped_in_its_tracks_costs_nothing() {
    // The window is as long as the play: what is lost in it stays in it.
    let census = Model::census().window("{length: 60s, hop: 1s, min_rows: 100}");
    let mut house = Plan::of("absence-stopped").model(census).raise();
    check_serves(&mut house, 3000, |house| {
        house.collector().process.pause();
        await_loss(house);
    });
    // What it missed it knows once it goes on.
    house.collector().process.resume();
    house.await_acknowledged();
    eventually("the loss is part of the window's coverage", SOON, || {
        let _ = house.ask(&large());
        let coverage = house.status()["window"]["coverage"].as_f64();
        coverage.is_some_and(|coverage| coverage < 1.0).then_some(())
    });
}

#[test]
fn a_collector_that_accepts_and_never_answers_costs_nothing() {
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    let port = deaf.local_addr().expect("a bound socket has an address").port();
    let accepted = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&accepted);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in deaf.incoming() {
            heard.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
        }
    });
    let mut house = Plan::of("absence-deaf")
        .collector_at(port)
        // The filter has its models from the start, so that it has samples to send.
        .replace("value: \"\"", &format!("value: '{PLUGIN}'"))
        .raise();
    check_serves(&mut house, 3000, |house| await_loss(house));
    assert!(accepted.load(Ordering::Relaxed) > 0, "nobody asked for the collector");
}

const PLUGIN: &str = r#"{"collector": {"cluster": "tidegate_collector"}, "models": [{"model": "census", "route": {"path_prefix": "/v2/models/census"}, "protocol": "oip", "mode": "observe", "sample_rate": 1, "versions": [{"version": "v1", "cluster": "census-v1"}]}]}"#;

#[test]
fn a_collector_behind_a_slow_line_costs_nothing() {
    let mut house = observing("absence-slow");
    check_serves(&mut house, 3000, |house| {
        // A process that gets a tenth of the time is slow, not away.
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            house.collector().process.pause();
            thread::sleep(Duration::from_millis(180));
            house.collector().process.resume();
            thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn envoy_that_starts_again_without_a_collector_serves_within_seconds() {
    let mut house = observing("absence-restart");
    assert_eq!(house.ask(&large()).status, 200);
    house.collector().process.kill();
    let begun = Instant::now();
    house.restart_envoy();
    house.serves_on_every_worker(&large());
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "dark for {took:?}");
    assert!(house.v1.take().iter().all(|seen| seen.body.whole));
}
