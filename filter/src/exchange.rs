//! The life of one exchange: its request's head, the chunks of its body, the response, its end.
//! Every step takes data and says what should be done; nothing is done here, and it deliberately
//! does not know whether a chunk is held by the host or by a test.

use std::sync::Arc;

use tidegate_contract::check::{Check, Verdict};
use tidegate_contract::plugin::Mode;
use tidegate_contract::protocol::Side;
use tidegate_proto::intake::v1::{Outcome, Sample, Violation};

use crate::half::Half;
use crate::head::{RequestHead, ResponseHead};
use crate::problem::{self, Answer};
use crate::table::Served;
use crate::tag;
use crate::tally::{Counts, Key};

/// What should be done with what just came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Let it pass.
    Pass,
    /// Keep all that came of the request, until the effect of a later chunk.
    Hold,
    /// Let all that was held pass, with this tag on the request where there is one.
    Release {
        /// The value of the tag's header.
        tag: Option<String>,
    },
    /// Answer in the model's place, and let nothing more of the request pass.
    Answer(Answer),
    /// The request was answered before; let nothing more of it pass.
    Stop,
}

/// Bodies held in `tag`, at most: what fits into the least buffer that Envoys are run with
/// (Envoy Gateway's 32 KiB); a larger one would be answered with 413.
const MAX_HELD_BYTES: u64 = 32 << 10;

/// How an exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The request is coming in.
    Request,
    /// The request is whole and was let pass.
    Passed,
    /// The contract refused it.
    Refused,
    /// A block answered it.
    Blocked,
}

/// How an exchange is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Not sampled.
    No,
    /// Sampled.
    Yes,
    /// Sampled, but the worker holds too many bodies already: counted as dropped.
    Crowded,
}

/// One request to a model and its response.
#[derive(Debug)]
pub struct Exchange {
    served: Arc<Served>,
    keeping: Keeping,
    stage: Stage,
    held: bool,
    request_id: String,
    traceparent: String,
    start_nanos: u64,
    content_length: Option<u64>,
    request: Half,
    response: Half,
    status: u32,
}

/// What is known when an exchange is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End<'a> {
    /// Nanoseconds since the epoch.
    pub now_nanos: u64,
    /// Whether the response came from the upstream, not from Envoy itself.
    pub from_upstream: bool,
    /// The cluster that the route chose.
    pub cluster: Option<&'a [u8]>,
}

/// What remains of an exchange.
#[derive(Debug, PartialEq)]
pub struct Remains {
    /// Under which names it counts.
    pub key: Key,
    /// What it adds to the tallies.
    pub counts: Counts,
    /// The sample, where it was kept.
    pub sample: Option<Sample>,
    /// Whether the response broke the contract.
    pub response_violating: bool,
}

impl Exchange {
    /// Begins with the request's head. `ended` says that no body follows, `may_hold` that the
    /// host can keep a head back while its body comes, `held_bytes` what the check may hold of
    /// values that come before their description.
    pub fn begin(
        served: &Arc<Served>,
        head: RequestHead,
        ended: bool,
        may_hold: bool,
        keeping: Keeping,
        held_bytes: usize,
        start_nanos: u64,
    ) -> (Self, Effect) {
        let bound = if keeping == Keeping::Yes { served.max_capture_bytes } else { 0 };
        let mut request = Half::unasked(bound);
        request.content_type = head.content_type;
        request.content_encoding = head.content_encoding;
        // Compressed bodies and raw tensors are not read yet: they pass, and are counted.
        let check = Check::new(served.rules.clone(), served.protocol, Side::Request);
        request.ask(check.holding(held_bytes), head.json_bytes);
        let plain = !request.doubtful;
        let mut exchange = Self {
            served: Arc::clone(served),
            keeping,
            stage: Stage::Request,
            held: false,
            request_id: head.request_id,
            traceparent: head.traceparent,
            start_nanos,
            content_length: head.content_length,
            request,
            response: Half::unasked(bound),
            status: 0,
        };
        let effect = exchange.after_head(ended, may_hold && plain);
        (exchange, effect)
    }

    fn after_head(&mut self, ended: bool, may_hold: bool) -> Effect {
        let now_seconds = self.start_nanos.checked_div(1_000_000_000).unwrap_or(0);
        if let Some(block) = &self.served.block
            && now_seconds < block.until_unix_seconds
        {
            self.stage = Stage::Blocked;
            return Effect::Answer(problem::blocked(&self.served.name, block, now_seconds));
        }
        if ended {
            return self.request_chunk_end(true);
        }
        // The tag stands in the head, so the head must wait for the verdict on the body.
        let fits = self.content_length.is_some_and(|length| (1..=MAX_HELD_BYTES).contains(&length));
        self.held = self.served.mode == Mode::Tag && may_hold && fits;
        if self.held { Effect::Hold } else { Effect::Pass }
    }

    /// Bytes of the request's body that are held.
    pub fn held_bytes(&self) -> usize {
        let passed = self.request.capture.passed();
        if self.held { usize::try_from(passed).unwrap_or(usize::MAX) } else { 0 }
    }

    /// Says that the host did not take the answer: the request passes after all.
    pub fn not_answered(&mut self) {
        self.stage = Stage::Passed;
    }

    /// Says that what was held passes now, without a tag.
    pub fn let_go(&mut self) {
        self.held = false;
    }

    /// Whether the bytes of the request's body are needed; where not, their number is enough.
    pub fn reads_request(&self) -> bool {
        self.stage == Stage::Request
            && (self.request.check.is_some() || self.request.capture.has_room())
    }

    /// Takes bytes of the request's body. A chunk may be given in pieces; what becomes of it is
    /// asked with [`Exchange::request_chunk_end`].
    pub fn feed_request(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Request {
            self.request.feed(bytes);
        }
    }

    /// Says that bytes of the request's body passed which could not be read or were not needed.
    pub fn skip_request(&mut self, bytes: usize) {
        self.request.skip(bytes);
    }

    /// Decides on the chunk that was just fed. In `enforce` the chunk that completes the request
    /// passes only when the whole is good, so that the model never gets a whole bad request.
    pub fn request_chunk_end(&mut self, ended: bool) -> Effect {
        match self.stage {
            Stage::Request => {}
            Stage::Passed => return Effect::Pass,
            Stage::Refused | Stage::Blocked => return Effect::Stop,
        }
        // HTTP/1 tells the end in a call of its own, after the last bytes: count them instead.
        let passed = self.request.capture.passed();
        let whole = ended || self.content_length.is_some_and(|length| passed >= length);
        if whole {
            self.request.finish();
        }
        // Without a contract there is nothing to break.
        if self.served.mode == Mode::Enforce
            && self.served.rules.is_some()
            && let Some(verdict) = self.request.breach()
        {
            let answer = problem::refused(&self.served.name, verdict);
            self.stage = Stage::Refused;
            return Effect::Answer(answer);
        }
        if whole {
            self.stage = Stage::Passed;
        }
        match (self.held, whole) {
            (false, _) => Effect::Pass,
            (true, false) => Effect::Hold,
            (true, true) => {
                self.held = false;
                Effect::Release { tag: self.tag() }
            }
        }
    }

    fn tag(&self) -> Option<String> {
        self.request.check.as_ref().and_then(|check| tag::of(check.verdict()))
    }

    /// Takes the response's head. `ended` says that no body follows. Gives the tag to set on it.
    pub fn response_head(&mut self, head: ResponseHead, ended: bool) -> Option<String> {
        self.status = head.status;
        self.response.content_type = head.content_type;
        self.response.content_encoding = head.content_encoding;
        let answered = matches!(self.stage, Stage::Refused | Stage::Blocked);
        if self.served.checks_responses && head.status == 200 && !answered {
            let check = Check::new(self.served.rules.clone(), self.served.protocol, Side::Response);
            self.response.ask(check, None);
        }
        if ended {
            self.response_chunk_end(true);
        }
        if self.served.mode == Mode::Tag { self.tag() } else { None }
    }

    /// Whether the bytes of the response's body are needed.
    pub fn reads_response(&self) -> bool {
        self.response.check.is_some() || self.response.capture.has_room()
    }

    /// Takes bytes of the response's body.
    pub fn feed_response(&mut self, bytes: &[u8]) {
        self.response.feed(bytes);
    }

    /// Says that bytes of the response's body passed unread.
    pub fn skip_response(&mut self, bytes: usize) {
        self.response.skip(bytes);
    }

    /// Says whether the response is whole. It is never held.
    pub fn response_chunk_end(&mut self, ended: bool) {
        if ended && !self.response.whole {
            self.response.finish();
        }
    }

    /// Ends the exchange.
    pub fn end(self, end: &End<'_>) -> Remains {
        let outcome = match self.stage {
            Stage::Refused => Outcome::Refused,
            Stage::Blocked => Outcome::Blocked,
            Stage::Request | Stage::Passed if end.from_upstream && self.response.whole => {
                Outcome::Served
            }
            Stage::Request | Stage::Passed => Outcome::Reset,
        };
        let asked = matches!(outcome, Outcome::Served | Outcome::Reset);
        let version =
            if asked { self.served.version_of(end.cluster) } else { Arc::from(String::new()) };
        let verdict = self.request.check.as_ref().map(Check::verdict);
        let one = u64::from;
        let counts = Counts {
            exchanges: 1,
            sampled: one(self.keeping != Keeping::No),
            dropped: one(self.keeping == Keeping::Crowded),
            violating: one(verdict.is_some_and(|verdict| verdict.count > 0)),
            refused: one(outcome == Outcome::Refused),
            blocked: one(outcome == Outcome::Blocked),
            unreadable: one(self.request.is_unreadable() || self.response.is_unreadable()),
            failed: one(self.status >= 500),
        };
        let key = Key { model: Arc::clone(&self.served.name), version };
        let response_violating = self.response.breach().is_some();
        let violation_count = verdict.map_or(0, |verdict| verdict.count);
        let violations = match verdict {
            Some(verdict) if self.keeping == Keeping::Yes => violations(verdict),
            _ => Vec::new(),
        };
        let sample = (self.keeping == Keeping::Yes).then(|| Sample {
            model: key.model.to_string(),
            version: key.version.to_string(),
            request_id: self.request_id,
            start_unix_nanos: self.start_nanos,
            duration_nanos: end.now_nanos.saturating_sub(self.start_nanos),
            status: self.status,
            traceparent: self.traceparent,
            sampling_rate: self.served.sample_rate,
            outcome: outcome.into(),
            violation_count,
            violations,
            request: Some(self.request.into_payload()),
            response: Some(self.response.into_payload()),
        });
        Remains { key, counts, sample, response_violating }
    }
}

fn violations(verdict: &Verdict) -> Vec<Violation> {
    let wire = |violation: &tidegate_contract::violation::Violation| Violation {
        kind: tag::kind_name(violation.kind),
        field: violation.field.clone(),
        row: violation.row,
        expected: violation.expected.clone(),
        got: violation.got.clone(),
    };
    verdict.violations.iter().map(wire).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    const GOOD: &[u8] = br#"{"age": 33, "wage": 10.5}"#;
    const BAD: &[u8] = br#"{"age": 33, "wage": "10k"}"#;

    fn served(mode: &str, block: &str) -> Arc<Served> {
        let json = format!(
            r#"{{"models":[{{"model":"m","route":{{}},"protocol":"json","mode":"{mode}",
                "sample_rate":1.0,"max_capture_bytes":16,
                "versions":[{{"version":"v1","cluster":"c1"}}],{block}
                "contract":{{"inputs":[{{"name":"age","type":"integer"}},
                                       {{"name":"wage","type":"number"}}],
                             "outputs":[{{"name":"score","type":"number","max":1.0}}]}}}}]}}"#
        );
        Arc::clone(Table::parse(json.as_bytes()).unwrap().find("/", None).unwrap())
    }

    fn begin(mode: &str, head: RequestHead) -> Exchange {
        Exchange::begin(&served(mode, ""), head, false, false, Keeping::Yes, 1 << 20, 0).0
    }

    fn with_length(body: &[u8]) -> RequestHead {
        RequestHead { content_length: Some(body.len() as u64), ..RequestHead::default() }
    }

    /// Feeds a body in chunks of `size` without ever saying that it ended.
    fn chunks(exchange: &mut Exchange, body: &[u8], size: usize) -> Vec<Effect> {
        body.chunks(size)
            .map(|chunk| {
                exchange.feed_request(chunk);
                exchange.request_chunk_end(false)
            })
            .collect()
    }

    fn status(effect: Option<&Effect>) -> u16 {
        match effect {
            Some(Effect::Answer(answer)) => answer.status,
            _ => 0,
        }
    }

    fn served_end() -> End<'static> {
        End { now_nanos: 5, from_upstream: true, cluster: Some(b"c1") }
    }

    #[test]
    fn enforce_lets_a_good_body_pass_in_any_chunks() {
        for size in [1, 7, 1000] {
            let mut exchange = begin("enforce", with_length(GOOD));
            assert!(chunks(&mut exchange, GOOD, size).iter().all(|e| *e == Effect::Pass));
            assert_eq!(exchange.request_chunk_end(true), Effect::Pass, "the empty call at the end");
        }
    }

    #[test]
    fn enforce_never_lets_the_last_chunk_of_a_bad_body_pass() {
        for size in [1, 7, 1000] {
            let mut exchange = begin("enforce", with_length(BAD));
            let effects = chunks(&mut exchange, BAD, size);
            let refusals = effects.iter().filter(|e| status(Some(*e)) == 400).count();
            assert_eq!(refusals, 1, "it is answered once");
            assert_ne!(effects.last(), Some(&Effect::Pass));
            assert_eq!(exchange.request_chunk_end(true), Effect::Stop);
        }
    }

    #[test]
    fn what_is_missing_is_known_before_the_end_is_told() {
        let body = br#"{"age": 33}"#;
        let mut exchange = begin("enforce", with_length(body));
        assert_eq!(status(chunks(&mut exchange, body, 4).last()), 400);
    }

    #[test]
    fn a_body_of_unknown_length_is_held_to_its_end() {
        let mut exchange = begin("enforce", RequestHead::default());
        assert!(chunks(&mut exchange, &GOOD[..10], 3).iter().all(|e| *e == Effect::Pass));
        assert_eq!(status(Some(&exchange.request_chunk_end(true))), 400);
    }

    #[test]
    fn a_request_without_a_body_is_refused_in_enforce_and_passes_in_observe() {
        let head = RequestHead::default;
        let ended = |mode| {
            Exchange::begin(&served(mode, ""), head(), true, false, Keeping::No, 1 << 20, 0).1
        };
        assert_eq!(status(Some(&ended("enforce"))), 400);
        assert_eq!(ended("observe"), Effect::Pass);
    }

    #[test]
    fn observe_lets_everything_pass_and_counts_it() {
        let mut exchange = begin("observe", with_length(BAD));
        assert!(chunks(&mut exchange, BAD, 5).iter().all(|e| *e == Effect::Pass));
        assert_eq!(exchange.response_head(ResponseHead::default(), true), None);
        let remains = exchange.end(&served_end());
        assert_eq!((remains.counts.violating, remains.counts.refused), (1, 0));
    }

    #[test]
    fn tag_lets_it_pass_and_names_the_breach() {
        let mut exchange = begin("tag", with_length(BAD));
        assert!(chunks(&mut exchange, BAD, 5).iter().all(|e| *e == Effect::Pass));
        let tag = exchange.response_head(ResponseHead::default(), true).unwrap();
        assert!(tag.ends_with(";field=wage"), "{tag}");
        let mut good = begin("tag", with_length(GOOD));
        chunks(&mut good, GOOD, 5);
        assert_eq!(good.response_head(ResponseHead::default(), true), None);
    }

    #[test]
    fn tag_holds_a_small_body_and_releases_it_whole_with_the_tag() {
        let begin = |body| {
            Exchange::begin(
                &served("tag", ""),
                with_length(body),
                false,
                true,
                Keeping::No,
                1 << 20,
                0,
            )
        };
        let (mut exchange, effect) = begin(BAD);
        assert_eq!(effect, Effect::Hold);
        let effects = chunks(&mut exchange, BAD, 20);
        assert_eq!(effects[0], Effect::Hold);
        assert!(matches!(&effects[1], Effect::Release { tag: Some(tag) } if tag.contains("wage")));
        assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
        let (mut good, _) = begin(GOOD);
        assert_eq!(chunks(&mut good, GOOD, 100), [Effect::Release { tag: None }]);
        let (mut late, _) = begin(BAD);
        late.let_go();
        assert!(chunks(&mut late, BAD, 9).iter().all(|effect| *effect == Effect::Pass));
    }

    #[test]
    fn tag_does_not_hold_what_might_not_fit() {
        let head = |content_length| RequestHead { content_length, ..RequestHead::default() };
        for length in [None, Some(0), Some(MAX_HELD_BYTES + 1)] {
            let served = served("tag", "");
            let begun =
                Exchange::begin(&served, head(length), false, true, Keeping::No, 1 << 20, 0);
            assert_eq!(begun.1, Effect::Pass);
        }
    }

    #[test]
    fn what_is_not_understood_passes_even_in_enforce_and_is_counted() {
        for head in [
            RequestHead { content_encoding: "gzip".into(), ..RequestHead::default() },
            RequestHead { content_encoding: "br".into(), ..RequestHead::default() },
            RequestHead { json_bytes: Some(0), ..RequestHead::default() },
        ] {
            let mut exchange = begin("enforce", head);
            assert_eq!(chunks(&mut exchange, b"gzip", 2), [Effect::Pass, Effect::Pass]);
            assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
            let counts = exchange.end(&served_end()).counts;
            assert_eq!((counts.unreadable, counts.violating, counts.refused), (1, 0, 0));
        }
    }

    #[test]
    fn no_header_hides_a_body_from_the_contract() {
        for head in [
            RequestHead { content_encoding: "x".into(), ..RequestHead::default() },
            RequestHead { content_encoding: "gzip".into(), ..RequestHead::default() },
            RequestHead { content_encoding: "br".into(), ..RequestHead::default() },
            RequestHead { json_bytes: Some(0), ..RequestHead::default() },
            RequestHead { json_bytes: Some(10), ..RequestHead::default() },
            RequestHead { json_bytes: Some(1 << 40), ..RequestHead::default() },
        ] {
            let mut exchange = begin("enforce", head.clone());
            exchange.feed_request(BAD);
            let effect = exchange.request_chunk_end(true);
            assert!(matches!(effect, Effect::Answer(_)), "{head:?}: {effect:?}");
        }
    }

    #[test]
    fn raw_bytes_after_the_json_are_not_read_as_json() {
        let json_bytes = Some(GOOD.len() as u64);
        let mut exchange = begin("enforce", RequestHead { json_bytes, ..RequestHead::default() });
        exchange.feed_request(&[GOOD, b"\x00\xff}{"].concat());
        exchange.feed_request(b"more");
        assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
        assert_eq!(exchange.end(&served_end()).counts.unreadable, 0);
    }

    #[test]
    fn bytes_that_could_not_be_read_never_cost_a_request() {
        let mut exchange = begin("enforce", RequestHead::default());
        exchange.feed_request(&GOOD[..5]);
        exchange.skip_request(10);
        exchange.feed_request(b"]]]");
        assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
        assert_eq!(exchange.end(&served_end()).counts.unreadable, 1);
    }

    #[test]
    fn a_block_answers_until_its_end_and_not_after() {
        let block = r#""block":{"decision":"d","reason":"drift","until_unix_seconds":100},"#;
        let begin = |seconds: u64| {
            let nanos = seconds * 1_000_000_000;
            let head = RequestHead::default();
            Exchange::begin(
                &served("observe", block),
                head,
                false,
                false,
                Keeping::No,
                1 << 20,
                nanos,
            )
        };
        let (exchange, effect) = begin(99);
        assert_eq!(status(Some(&effect)), 503);
        let remains = exchange.end(&End::default());
        assert_eq!((remains.counts.blocked, &*remains.key.version), (1, ""));
        assert_eq!(begin(100).1, Effect::Pass);
    }

    #[test]
    fn a_sample_holds_both_bodies_up_to_the_bound() {
        let mut exchange = begin("observe", with_length(GOOD));
        chunks(&mut exchange, GOOD, 4);
        exchange.response_head(
            ResponseHead { status: 200, content_type: "a/b".into(), content_encoding: "".into() },
            false,
        );
        exchange.feed_response(br#"{"score": 7}"#);
        exchange.response_chunk_end(true);
        let remains = exchange.end(&served_end());
        let sample = remains.sample.unwrap();
        let request = sample.request.unwrap();
        assert_eq!((request.body.as_slice(), request.body_bytes), (&GOOD[..16], GOOD.len() as u64));
        assert_eq!(sample.response.unwrap().body, br#"{"score": 7}"#);
        assert_eq!((sample.version.as_str(), sample.outcome), ("v1", Outcome::Served.into()));
        assert!(remains.response_violating);
        assert_eq!(remains.counts.violating, 0, "the request was good");
    }

    #[test]
    fn an_exchange_that_broke_off_is_a_reset() {
        let mut exchange = begin("enforce", with_length(GOOD));
        exchange.feed_request(&GOOD[..4]);
        assert_eq!(exchange.request_chunk_end(false), Effect::Pass);
        let sample = exchange.end(&End { cluster: Some(b"c1"), ..End::default() }).sample.unwrap();
        assert_eq!((sample.outcome, sample.status), (Outcome::Reset.into(), 0));
    }

    #[test]
    fn a_refusal_names_no_version_and_counts_its_breach() {
        let mut exchange = begin("enforce", with_length(BAD));
        chunks(&mut exchange, BAD, 100);
        exchange.response_head(ResponseHead { status: 400, ..ResponseHead::default() }, true);
        let remains = exchange.end(&End { cluster: Some(b"c1"), ..End::default() });
        assert_eq!(&*remains.key.version, "");
        assert_eq!((remains.counts.refused, remains.counts.violating), (1, 1));
        let sample = remains.sample.unwrap();
        assert_eq!(sample.outcome, i32::from(Outcome::Refused));
        assert_eq!(sample.violations[0].field, "wage");
    }
}
