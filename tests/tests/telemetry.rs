//! The collector's spans, as a real OTLP receiver gets them: one loop from intake to
//! acknowledgement, linked to the traces of the exchanges it judged.

use std::time::Duration;

use tidegate_tests::client::Request;
use tidegate_tests::house::{INFER, Model, Plan};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Dice, Era, oip, person};
use tidegate_tests::spans::Receiver;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Spans leave in batches, by default every five seconds.
const SENT: Duration = Duration::from_secs(30);

#[test]
fn one_loop_is_told_in_spans_from_intake_to_acknowledgement() {
    let receiver = Receiver::start();
    let rule = "{on: data_drift, verdict: alarm, then: divert, to: v2, expires: 1h, cooldown: 1h}";
    let house =
        Plan::of("telemetry").otlp_at(receiver.port()).model(Model::census().rule(rule)).raise();
    let mut dice = Dice::of(3);
    let mut client = house.client();
    let decision = eventually("a decision", SENT, || {
        let people: Vec<_> = (0..20).map(|_| person(&mut dice, Era::Later)).collect();
        let request = Request::post(INFER, oip(&people).to_string())
            .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
        assert_eq!(client.ask(&request).status, 200);
        let newest = house.decisions().pop()?;
        newest["acknowledged_unix_ms"].is_u64().then_some(newest)
    });

    let push = eventually("the spans of the push arrive", SENT, || {
        receiver.named("tidegate.decision.push").pop()
    });
    let acknowledge = receiver.named("tidegate.decision.acknowledge").pop().expect("acknowledged");
    assert_eq!(acknowledge.trace_id, push.trace_id, "one trace tells the loop");
    assert_eq!(acknowledge.parent_span_id, push.span_id);
    let named = |key: &str| {
        let attribute = push.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(format!("{:?}", attribute.value))
    };
    let id = decision["id"].as_str().expect("a decision has an id");
    assert!(named("decision").is_some_and(|value| value.contains(id)), "{push:?}");

    let decides = receiver.named("tidegate.policy.decide");
    let judges = receiver.named("tidegate.window.judge");
    let intake = receiver.named("tidegate.intake.ship");
    assert!(!decides.is_empty() && !judges.is_empty() && !intake.is_empty());
    let judge = judges.iter().find(|judge| judge.trace_id == push.trace_id);
    let judge = judge.expect("the push belongs to the trace of the window that led to it");
    let decide = decides.iter().find(|decide| decide.trace_id == push.trace_id).expect("decided");
    assert_eq!(decide.parent_span_id, judge.span_id);

    // The window links to the client's trace, and to the arrival of the samples.
    let links: Vec<String> = judge.links.iter().map(|link| hex(&link.trace_id)).collect();
    assert!(links.iter().any(|link| link == TRACE), "{links:?}");
    let arrivals: Vec<String> = intake.iter().map(|ship| hex(&ship.trace_id)).collect();
    assert!(links.iter().any(|link| arrivals.contains(link)), "{links:?}");
}

#[test]
fn a_receiver_that_is_away_costs_nothing() {
    let house = Plan::of("telemetry-away")
        .otlp_at(xtask::stage::port::free_port())
        .model(Model::census())
        .raise();
    let request = Request::post(INFER, oip(&[person(&mut Dice::of(1), Era::Training)]).to_string());
    for _ in 0..50 {
        assert_eq!(house.ask(&request).status, 200);
    }
    eventually("windows are judged as ever", SENT, || {
        (house.status()["window"]["exchanges"].as_u64() >= Some(1)).then_some(())
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
