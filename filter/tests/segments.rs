//! A decision about a segment as an exchange carries it out: which requests are answered, which go
//! elsewhere, and that all others pass as they are, whatever bytes come.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tidegate_filter::exchange::{Asked, Effect, End, Exchange, Keeping, Release, Start};
use tidegate_filter::head::RequestHead;
use tidegate_filter::table::{Served, Table};
use tidegate_proto::intake::v1::Outcome;

const OLD: &[u8] = br#"{"age": 60, "work": "State"}"#;
const YOUNG: &[u8] = br#"{"age": 30, "work": "State"}"#;

fn served(mode: &str, orders: &str) -> Arc<Served> {
    let json = format!(
        r#"{{"models":[{{"model":"m","route":{{}},"protocol":"json","mode":"{mode}",
            "sample_rate":1.0,"versions":[{{"version":"v1","cluster":"c1"}}],{orders}
            "contract":{{"inputs":[{{"name":"age","type":"integer","max":120}},
                                   {{"name":"work","type":"text"}}]}}}}]}}"#
    );
    Arc::clone(Table::parse(json.as_bytes()).unwrap().find("/", None).unwrap())
}

fn block(segment: &str) -> String {
    format!(
        r#""block":{{"decision":"d","reason":"drift","until_unix_seconds":100,
            "segment":"{segment}"}},"#
    )
}

fn divert(segment: &str) -> String {
    format!(
        r#""divert":{{"decision":"d","cluster":"c2","until_unix_seconds":100,
            "segment":"{segment}"}},"#
    )
}

/// A request that begins at this second.
fn begin(served: &Arc<Served>, head: RequestHead, ended: bool, seconds: u64) -> (Exchange, Effect) {
    let call = served.call(&RequestHead { method: "POST".into(), ..head.clone() }).unwrap();
    let now_nanos = seconds * 1_000_000_000;
    let asked = Asked { call, head, ended, may_hold: true, now_nanos };
    let keeping = Keeping { reads: true, by_rate: true, rate: 1.0, copies: true };
    Exchange::begin(Start { served, asked, keeping, held_bytes: 1 << 20, shadow: false })
}

fn with_length(body: &[u8]) -> RequestHead {
    RequestHead { content_length: Some(body.len() as u64), ..RequestHead::default() }
}

/// The effects of a body in chunks, the empty call at its end with them.
fn effects(exchange: &mut Exchange, body: &[u8], size: usize) -> Vec<Effect> {
    let mut effects = Vec::new();
    for chunk in body.chunks(size) {
        exchange.feed_request(chunk);
        effects.push(exchange.request_chunk_end(false));
    }
    effects.push(exchange.request_chunk_end(true));
    effects
}

fn status(effect: &Effect) -> u16 {
    if let Effect::Answer(answer) = effect { answer.status } else { 0 }
}

fn goes_to(effect: &Effect) -> Option<&str> {
    if let Effect::Release(Release { divert, .. }) = effect { divert.as_deref() } else { None }
}

const END: End<'static> = End { now_nanos: 5, from_upstream: true, cluster: Some(b"c1") };

#[test]
fn a_blocked_segment_is_answered_before_its_last_byte_and_the_rest_passes() {
    let served = served("observe", &block("age >= 55 and work in [State]"));
    for size in [1, 7, 1000] {
        let (mut old, begun) = begin(&served, with_length(OLD), false, 0);
        assert_eq!(begun, Effect::Pass);
        let effects_of_old = effects(&mut old, OLD, size);
        let answers = effects_of_old.iter().filter(|effect| status(effect) == 503).count();
        assert_eq!(answers, 1, "it is answered once");
        assert_eq!(effects_of_old.last(), Some(&Effect::Stop), "and no byte passes after");
        let remains = old.end(&END);
        assert_eq!((remains.counts.blocked, &*remains.key.version), (1, ""));
        assert_eq!(remains.sample.unwrap().outcome, i32::from(Outcome::Blocked));

        let (mut young, _) = begin(&served, with_length(YOUNG), false, 0);
        assert!(effects(&mut young, YOUNG, size).iter().all(|effect| *effect == Effect::Pass));
        assert_eq!(young.end(&END).counts.blocked, 0);
    }
}

#[test]
fn a_diverted_segment_is_held_and_goes_to_the_cluster() {
    let served = served("observe", &divert("age >= 55"));
    for size in [1, 7, 1000] {
        let (mut old, begun) = begin(&served, with_length(OLD), false, 0);
        assert_eq!(begun, Effect::Hold);
        let released = effects(&mut old, OLD, size);
        assert_eq!(released.iter().filter_map(goes_to).collect::<Vec<_>>(), ["c2"]);
        let (mut young, begun) = begin(&served, with_length(YOUNG), false, 0);
        assert_eq!(begun, Effect::Hold);
        let released = effects(&mut young, YOUNG, size);
        assert!(released.contains(&Effect::Release(Release::default())));
        assert!(released.iter().all(|effect| goes_to(effect).is_none()));
    }
}

#[test]
fn what_cannot_be_held_is_not_diverted_and_counted() {
    let served = served("observe", &divert("age >= 55"));
    for content_length in [None, Some(64 << 10)] {
        let head = RequestHead { content_length, ..RequestHead::default() };
        let (mut old, begun) = begin(&served, head, false, 0);
        assert_eq!(begun, Effect::Pass);
        assert!(effects(&mut old, OLD, 9).iter().all(|effect| *effect == Effect::Pass));
        let counts = old.end(&END).counts;
        assert_eq!((counts.diverted, counts.undiverted), (0, 1));
    }
}

#[test]
fn a_client_is_known_by_its_head_alone() {
    let acme =
        || RequestHead { named: vec![("x-client".into(), b"acme".to_vec())], ..with_length(YOUNG) };
    let blocked = served("observe", &block("header:x-client = acme"));
    assert_eq!(status(&begin(&blocked, acme(), false, 0).1), 503);
    assert_eq!(begin(&blocked, with_length(YOUNG), false, 0).1, Effect::Pass);

    let diverted = served("tag", &divert("header:x-client = acme"));
    for ended in [false, true] {
        let (_, effect) = begin(&diverted, acme(), ended, 0);
        assert_eq!(goes_to(&effect), Some("c2"), "ended: {ended}");
    }
    let (_, effect) = begin(&diverted, with_length(YOUNG), false, 0);
    assert_eq!(effect, Effect::Hold, "for the tag, as without the decision");
}

#[test]
fn every_order_ends_by_itself() {
    for orders in [block("age >= 0"), divert("age >= 0")] {
        let served = served("observe", &orders);
        let (mut exchange, begun) = begin(&served, with_length(OLD), false, 100);
        assert_eq!(begun, Effect::Pass);
        assert!(effects(&mut exchange, OLD, 5).iter().all(|effect| *effect == Effect::Pass));
    }
}

#[test]
fn a_body_that_is_not_understood_is_not_meant() {
    for orders in [block("age >= 0"), divert("age >= 0")] {
        let served = served("observe", &orders);
        for (encoding, body) in [("br", &b"\x8b\x02\x80abc"[..]), ("gzip", b"\x1f\x8b\x08\xff")] {
            let head = RequestHead { content_encoding: encoding.into(), ..with_length(body) };
            let (mut exchange, _) = begin(&served, head, false, 0);
            let effects = effects(&mut exchange, body, 3);
            assert!(
                effects.iter().all(|it| status(it) == 0 && goes_to(it).is_none()),
                "{encoding}"
            );
        }
    }
}

#[test]
fn bytes_that_could_not_be_read_cost_no_request() {
    let served = served("observe", &block("age >= 55"));
    let (mut exchange, _) = begin(&served, RequestHead::default(), false, 0);
    exchange.feed_request(&YOUNG[..5]);
    exchange.skip_request(10);
    exchange.feed_request(OLD);
    assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
}

#[test]
fn the_contract_and_the_decision_both_hold() {
    let served = served("divert", &divert("age >= 55"));
    let bad = br#"{"age": 500, "work": "State"}"#;
    let (mut exchange, _) = begin(&served, with_length(bad), false, 0);
    let released = effects(&mut exchange, bad, 1000);
    let Effect::Release(Release { tag: Some(_), divert: Some(to) }) = &released[0] else {
        panic!("{released:?}")
    };
    assert_eq!(to, "c2");
    let enforced = self::served("enforce", &block("age >= 55"));
    let (mut exchange, _) = begin(&enforced, with_length(bad), false, 0);
    assert_eq!(status(&effects(&mut exchange, bad, 1000)[0]), 400);
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1912),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever comes, in whatever chunks: each chunk gets exactly one effect, an answer comes at most
    /// once and only from a row that was understood, and what is not meant passes to its end.
    #[test]
    fn any_bytes_pass_or_are_meant(
        mut body in prop::collection::vec(any::<u8>(), 0..300), good in 0..30_usize,
        size in 1..40_usize, encoding in prop::sample::select(vec!["", "gzip", "br"]),
        is_block in any::<bool>(), length in prop::option::of(0..400_u64),
    ) {
        body.splice(0..0, OLD[..good.min(OLD.len())].iter().copied());
        let orders = if is_block { block("age >= 55") } else { divert("age >= 55") };
        let served = served("observe", &orders);
        let head = RequestHead {
            content_encoding: encoding.into(), content_length: length, ..RequestHead::default()
        };
        let (mut exchange, begun) = begin(&served, head, false, 0);
        let effects = effects(&mut exchange, &body, size);
        let answered = effects.iter().filter(|effect| status(effect) != 0).count();
        let released = effects.iter().filter(|effect| matches!(effect, Effect::Release(_))).count();
        let age = body.windows(9).any(|window| window == &OLD[..9]);
        prop_assert!(answered <= 1 && released <= 1);
        prop_assert!(answered == 0 || (is_block && (age || encoding == "gzip")));
        // What was held is always let go.
        prop_assert_eq!(begun == Effect::Hold, released == 1);
        prop_assert!(is_block || effects.iter().all(|effect| *effect != Effect::Stop));
        if answered == 0 {
            prop_assert!(matches!(effects.last(), Some(Effect::Pass | Effect::Release(_))));
        }
    }
}
