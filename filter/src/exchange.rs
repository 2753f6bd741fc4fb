//! The life of one exchange: its request's head, the chunks of its body, the response, its end.
//! Every step takes data and says what should be done; nothing is done here, and it deliberately
//! does not know whether a chunk is held by the host or by a test.

use std::borrow::Cow;
use std::sync::Arc;

use tidegate_contract::check::{Check, Verdict};
use tidegate_contract::contract::Mode;
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::{Call, Side};
use tidegate_proto::intake::v1::{Outcome, Reason, Sample, Violation};

use crate::half::Half;
use crate::head::{RequestHead, ResponseHead};
use crate::order::{Aim, Deed, Order};
use crate::problem::{self, Answer, Shape};
use crate::table::Served;
use crate::tag;
use crate::tally::{Breach, Counts, Key};

/// What should be done with what just came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Let it pass.
    Pass,
    /// Keep all that came of the request, until the effect of a later chunk.
    Hold,
    /// Let all that was held pass, with what was found.
    Release(Release),
    /// Answer in the model's place, and let nothing more of the request pass.
    Answer(Answer),
    /// The request was answered before; let nothing more of it pass.
    Stop,
}

/// How a request that was held goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Release {
    /// The value of the tag's header, where there is one.
    pub tag: Option<String>,
    /// The value of the header by which it goes to another version, where it does.
    pub divert: Option<String>,
}

/// The value of that header where the contract sends a request to the fallback version.
const FALLBACK: &str = "1";

/// Bodies held for a tag or a fallback, at most: what fits into the least buffer that Envoys are
/// run with (Envoy Gateway's 32 KiB); a larger one would be answered with 413.
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

/// Whether an exchange may become a sample, and is looked into for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keeping {
    /// Whether its bodies are read even where nothing would be done about a breach: it may become
    /// a sample, or nothing ever does.
    pub reads: bool,
    /// Whether the sampling rate keeps it.
    pub by_rate: bool,
    /// That rate, as it was when the exchange began.
    pub rate: f64,
    /// Whether its bodies are copied: the rate keeps it, or a rule may yet, and there is room.
    pub copies: bool,
}

impl Keeping {
    /// Not kept, whatever happens, and not read.
    pub const NO: Self = Self { reads: false, by_rate: false, rate: 0.0, copies: false };
}

/// What is known of a request when its head came.
#[derive(Debug)]
pub struct Asked {
    /// What it asks.
    pub call: Call,
    /// Its head.
    pub head: RequestHead,
    /// Whether no body follows.
    pub ended: bool,
    /// Whether the host can keep a head back while its body comes.
    pub may_hold: bool,
    /// Nanoseconds since the epoch.
    pub now_nanos: u64,
}

/// What an exchange begins with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The model.
    pub served: &'a Arc<Served>,
    /// The request.
    pub asked: Asked,
    /// Whether it may become a sample.
    pub keeping: Keeping,
    /// What the check may hold of values that come before their description.
    pub held_bytes: usize,
    /// Whether it is a copy for a shadow: only its answer is kept, and nothing is done to it.
    pub shadow: bool,
}

/// One request to a model and its response.
#[derive(Debug)]
pub struct Exchange {
    served: Arc<Served>,
    call: Call,
    keeping: Keeping,
    shadow: bool,
    stage: Stage,
    /// Whether the decision in force means it.
    aim: Aim,
    held: bool,
    tagged: bool,
    diverted: bool,
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
    /// Whether the response came from the upstream, not from Envoy itself. Only samples say it.
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
    /// The ways in which its request broke the contract.
    pub breaches: Vec<Breach>,
    /// The sample, where it was kept.
    pub sample: Option<Sample>,
}

impl Exchange {
    /// Begins with the request's head.
    pub fn begin(start: Start<'_>) -> (Self, Effect) {
        let Start { served, asked, keeping, held_bytes, shadow } = start;
        let Asked { call, head, ended, may_hold, now_nanos } = asked;
        let now_seconds = now_nanos.checked_div(1_000_000_000).unwrap_or(0);
        let order = served.order.as_ref().filter(|_| !shadow);
        let aim = order.map_or(Aim::Spared, |order| order.aim(&head, now_seconds));
        let bound = if keeping.copies && !shadow { served.max_capture_bytes } else { 0 };
        let mut request = Half::unasked(bound);
        request.content_type = head.content_type;
        request.content_encoding = head.content_encoding;
        request.announce(head.content_length.unwrap_or(0));
        let check = |format, request: &mut Half| {
            let check = Check::new(served.rules.clone(), format, Side::Request)
                .in_mode(served.mode)
                .holding(held_bytes)
                .packed_by(&head.grpc_encoding);
            let order = served.order.as_ref().filter(|_| aim == Aim::AskBody);
            let selection = order.and_then(|order| order.selection.clone());
            let check = selection.into_iter().fold(check, Check::selecting);
            transcribed(check, served, Side::Request, request, bound)
        };
        let asks = !shadow && (keeping.reads || served.acts || aim == Aim::AskBody);
        if asks {
            let asked = check(call.request, &mut request);
            request.ask(asked, call.request);
        }
        if asks && call.request.layout == (Layout::OipBinary { json_bytes: 0 }) {
            // It says that there is no JSON, only raw bytes; not every server looks.
            let raw = Format::plain(Layout::OipRaw);
            let otherwise = check(raw, &mut request);
            request.ask_otherwise(otherwise, raw);
        }
        let mut exchange = Self {
            served: Arc::clone(served),
            call,
            keeping,
            shadow,
            stage: Stage::Request,
            aim,
            held: false,
            tagged: false,
            diverted: false,
            request_id: head.request_id,
            traceparent: head.traceparent,
            start_nanos: now_nanos,
            content_length: head.content_length,
            request,
            response: Half::unasked(if keeping.copies { served.max_capture_bytes } else { 0 }),
            status: 0,
        };
        if shadow {
            exchange.stage = Stage::Passed;
            return (exchange, Effect::Pass);
        }
        let effect = exchange.after_head(ended, may_hold);
        (exchange, effect)
    }

    fn after_head(&mut self, ended: bool, may_hold: bool) -> Effect {
        if let Some(answer) = self.block() {
            return Effect::Answer(answer);
        }
        self.diverted = self.divert().is_some();
        let effect = if ended {
            self.request_chunk_end(true)
        } else {
            // A tag stands in the head, and a fallback is chosen by it, so the head must wait for the
            // verdict on the body. A gRPC message says its length itself.
            let fits = match self.content_length {
                Some(length) => (1..=MAX_HELD_BYTES).contains(&length),
                None => self.call.is_grpc(),
            };
            let order = self.served.order.as_ref().filter(|_| self.aim == Aim::AskBody);
            let waits = self.served.holds || order.is_some_and(Order::holds);
            self.held = may_hold && fits && waits && !self.diverted;
            if self.held { Effect::Hold } else { Effect::Pass }
        };
        match effect {
            // The head alone says where it goes.
            Effect::Pass if self.diverted => {
                Effect::Release(Release { tag: None, divert: self.divert().map(str::to_owned) })
            }
            effect => effect,
        }
    }

    /// Whether the decision in force means this request, as far as it came. A body that is not
    /// understood is no row's, so it is not meant.
    fn is_meant(&self) -> bool {
        match self.aim {
            Aim::Spared => false,
            Aim::Meant => true,
            Aim::AskBody => self.request.is_selected(),
        }
    }

    /// The answer in the model's place, where a block means this request.
    fn block(&mut self) -> Option<Answer> {
        let Some(Deed::Block(block)) = self.served.order.as_ref().map(|order| &order.deed) else {
            return None;
        };
        if !self.is_meant() {
            return None;
        }
        let now_seconds = self.start_nanos.checked_div(1_000_000_000).unwrap_or(0);
        let shape = Shape::of(&self.call);
        let answer = problem::blocked(&self.served.name, block, now_seconds, shape);
        self.stage = Stage::Blocked;
        Some(answer)
    }

    /// The cluster that a divert of this request goes to.
    fn divert(&self) -> Option<&str> {
        match self.served.order.as_ref().map(|order| &order.deed) {
            Some(Deed::Divert(cluster)) if self.is_meant() => Some(cluster),
            _ => None,
        }
    }

    /// Whether it is a copy for a shadow.
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The model.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Bytes of the request's body that are held.
    pub fn held_bytes(&self) -> usize {
        let passed = self.request.passed();
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
        self.stage == Stage::Request && self.request.reads()
    }

    /// Takes bytes of the request's body. A chunk may be given in pieces; what becomes of it is
    /// asked with [`Exchange::request_chunk_end`].
    pub fn feed_request<'a>(&mut self, bytes: impl Into<Cow<'a, [u8]>>) {
        if self.stage == Stage::Request {
            self.request.feed(bytes.into());
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
        let passed = self.request.passed();
        let whole = ended || self.content_length.is_some_and(|length| passed >= length);
        if whole {
            self.request.finish();
        }
        // Without a contract there is nothing to break.
        if self.served.rules.is_some()
            && let Some(verdict) = self.request.breach()
            && verdict.mode == Some(Mode::Enforce)
        {
            let answer = problem::refused(&self.served.name, verdict, Shape::of(&self.call));
            self.stage = Stage::Refused;
            return Effect::Answer(answer);
        }
        // As in `enforce`: the chunk that completes the request passes only when it is not meant.
        if let Some(answer) = self.block() {
            return Effect::Answer(answer);
        }
        if whole {
            self.stage = Stage::Passed;
        }
        if !self.held {
            return Effect::Pass;
        }
        if !(whole || self.request.is_complete()) {
            if passed <= MAX_HELD_BYTES {
                return Effect::Hold;
            }
            // It is larger than was thought: it goes on as it is.
            self.held = false;
            return Effect::Release(Release::default());
        }
        self.held = false;
        let divert = self.other_version().map(str::to_owned);
        self.diverted = divert.is_some();
        let tag = self.tag();
        self.tagged = tag.is_some();
        Effect::Release(Release { tag, divert })
    }

    /// The version that the request is meant for, by the decision in force or by the contract: the
    /// value of the header that says so.
    fn other_version(&self) -> Option<&str> {
        let by_contract = || (self.mode_of_breach() >= Some(Mode::Divert)).then_some(FALLBACK);
        self.divert().or_else(by_contract)
    }

    /// The strictest mode of what the request broke.
    fn mode_of_breach(&self) -> Option<Mode> {
        self.request.breach()?.mode
    }

    /// The tag, where something was broken whose mode asks for one.
    fn tag(&self) -> Option<String> {
        if self.mode_of_breach() < Some(Mode::Tag) {
            return None;
        }
        self.request.verdict().and_then(tag::of)
    }

    /// Whether it matters who answered, and the status leaves it open: the host itself answers a request
    /// that it has a cluster for with errors alone, but those over gRPC have the status 200.
    pub fn may_be_the_hosts(&self) -> bool {
        self.keeping.copies && (self.call.is_grpc() || !(200..400).contains(&self.status))
    }

    /// Whether more of the response's head is needed than its status.
    pub fn reads_response_head(&self) -> bool {
        self.keeping.reads
    }

    /// Takes the response's head. `ended` says that no body follows. Gives the tag to set on it.
    pub fn response_head(&mut self, head: ResponseHead, ended: bool) -> Option<String> {
        self.status = head.status;
        let answered = matches!(self.stage, Stage::Refused | Stage::Blocked);
        let format = self.call.response(&head.content_type, head.json_bytes);
        self.response.content_type = head.content_type;
        self.response.content_encoding = head.content_encoding;
        let served = Arc::clone(&self.served);
        let bound = if self.keeping.copies { served.max_capture_bytes } else { 0 };
        if served.sensitive.is_some() {
            // An answer that is not understood may repeat what the request said.
            self.response.transcribe();
        }
        if head.status == 200 && !answered {
            let mind = served.keep.low_confidence.as_ref().filter(|_| self.keeping.copies);
            let checks = served.checks_responses && self.keeping.reads;
            if checks || mind.is_some() || (self.transcribes() && bound > 0) {
                let check = Check::new(served.rules.clone(), format, Side::Response)
                    .packed_by(&head.grpc_encoding);
                let check = mind.into_iter().fold(check, Check::minding);
                let check = transcribed(check, &served, Side::Response, &mut self.response, bound);
                self.response.ask(check, format);
            } else {
                self.response.is_written_as(format);
            }
        }
        if ended {
            self.response_chunk_end(true);
        }
        self.tagged |= !answered && self.tag().is_some();
        if answered { None } else { self.tag() }
    }

    fn transcribes(&self) -> bool {
        self.served.sensitive.is_some()
    }

    /// Whether the bytes of the response's body are needed.
    pub fn reads_response(&self) -> bool {
        self.response.reads()
    }

    /// Takes bytes of the response's body.
    pub fn feed_response<'a>(&mut self, bytes: impl Into<Cow<'a, [u8]>>) {
        self.response.feed(bytes.into());
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
                if self.diverted { Outcome::Diverted } else { Outcome::Served }
            }
            Stage::Request | Stage::Passed => Outcome::Reset,
        };
        let asked = !matches!(outcome, Outcome::Refused | Outcome::Blocked);
        let version =
            if asked { self.served.version_of(end.cluster) } else { Arc::from(String::new()) };
        let verdict = self.request.verdict();
        let violating = verdict.is_some_and(|verdict| verdict.count > 0);
        let response_violating = self.response.breach().is_some();
        let duration_nanos = end.now_nanos.saturating_sub(self.start_nanos);
        let reason = self.reason(violating || response_violating, outcome, duration_nanos);
        let one = u64::from;
        let crowded = self.keeping.by_rate && !self.keeping.copies;
        let counts = Counts {
            exchanges: 1,
            sampled: one(reason.is_some() || crowded),
            dropped: one(crowded),
            checked: one(verdict.is_some() && outcome != Outcome::Blocked),
            violating: one(violating),
            refused: one(outcome == Outcome::Refused),
            blocked: one(outcome == Outcome::Blocked),
            unreadable: one(self.request.is_unreadable() || self.response.is_unreadable()),
            failed: one(self.status >= 500),
            tagged: one(self.tagged),
            diverted: one(self.diverted),
            would_refuse: one(self.request.breach().is_some() && outcome != Outcome::Refused),
            response_violating: one(response_violating),
            undiverted: one(asked && !self.diverted && self.other_version().is_some()),
        };
        let breaches = verdict.map(|verdict| breaches(verdict, &self.served)).unwrap_or_default();
        let key = Key { model: Arc::clone(&self.served.name), version };
        let violation_count = verdict.map_or(0, |verdict| verdict.count);
        let violations = match (verdict, reason) {
            (Some(verdict), Some(_)) => violations(verdict),
            _ => Vec::new(),
        };
        let sample = reason.map(|reason| Sample {
            model: key.model.to_string(),
            version: key.version.to_string(),
            request_id: self.request_id,
            start_unix_nanos: self.start_nanos,
            duration_nanos,
            status: self.status,
            traceparent: self.traceparent,
            // What a rule keeps is always kept.
            sampling_rate: if reason == Reason::Rate { self.keeping.rate } else { 1.0 },
            outcome: outcome.into(),
            violation_count,
            violations,
            request: (!self.shadow).then(|| self.request.into_payload()),
            response: Some(self.response.into_payload()),
            reason: reason.into(),
            by_rate: self.keeping.by_rate,
            shadow: self.shadow,
        });
        Remains { key, counts, breaches, sample }
    }

    /// Why the exchange is kept; `None` where it is not.
    fn reason(&self, violating: bool, outcome: Outcome, duration_nanos: u64) -> Option<Reason> {
        if !self.keeping.copies {
            return None;
        }
        let keep = &self.served.keep;
        let slow = keep
            .slower_than_milliseconds
            .is_some_and(|bound| duration_nanos > u64::from(bound).saturating_mul(1_000_000));
        let failed = self.status >= 500 || outcome == Outcome::Reset;
        match () {
            () if keep.violations && violating => Some(Reason::Violation),
            () if keep.errors && failed && outcome != Outcome::Blocked => Some(Reason::Error),
            () if slow => Some(Reason::Slow),
            () if self.response.is_low_confidence() => Some(Reason::Output),
            () if self.keeping.by_rate => Some(Reason::Rate),
            () => None,
        }
    }
}

/// Has the check write the copy that leaves, where the contract has sensitive fields.
fn transcribed(check: Check, served: &Served, side: Side, half: &mut Half, bound: usize) -> Check {
    match (served.sensitive, &served.rules) {
        (Some(key), Some(rules)) => {
            half.transcribe();
            if bound == 0 { check } else { check.transcribing(Arc::clone(rules), side, key, bound) }
        }
        _ => check,
    }
}

fn breaches(verdict: &Verdict, served: &Served) -> Vec<Breach> {
    let breach = |(place, kind): &(Option<usize>, tidegate_contract::violation::Kind)| {
        (place.map_or("", |place| served.field_name(place)).into(), kind.name())
    };
    verdict.breaches.iter().map(breach).collect()
}

fn violations(verdict: &Verdict) -> Vec<Violation> {
    let wire = |violation: &tidegate_contract::violation::Violation| Violation {
        kind: violation.kind.name().to_owned(),
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
    use prost::Message as _;

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

    const KEPT: Keeping = Keeping { reads: true, by_rate: true, rate: 1.0, copies: true };

    /// A request that begins now, with a body to come.
    fn start(served: &Arc<Served>, head: RequestHead) -> Start<'_> {
        let call = served.call(&RequestHead { method: "POST".into(), ..head.clone() }).unwrap();
        let asked = Asked { call, head, ended: false, may_hold: false, now_nanos: 0 };
        Start { served, asked, keeping: KEPT, held_bytes: 1 << 20, shadow: false }
    }

    /// The same for a host that can hold heads.
    fn held_start(served: &Arc<Served>, head: RequestHead) -> Start<'_> {
        let mut start = start(served, head);
        start.asked.may_hold = true;
        start
    }

    fn begin(mode: &str, head: RequestHead) -> Exchange {
        Exchange::begin(start(&served(mode, ""), head)).0
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
            let served = served(mode, "");
            let mut start = start(&served, head());
            start.asked.ended = true;
            Exchange::begin(start).1
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
        let Counts { checked, violating, refused, .. } = remains.counts;
        assert_eq!((checked, violating, refused), (1, 1, 0));
    }

    #[test]
    fn what_becomes_no_sample_is_read_only_where_something_may_be_done_about_it() {
        for (mode, reads) in [("observe", false), ("tag", true), ("enforce", true)] {
            let served = served(mode, "");
            let mut start = start(&served, with_length(GOOD));
            start.keeping = Keeping::NO;
            let mut exchange = Exchange::begin(start).0;
            assert_eq!(exchange.reads_request(), reads, "{mode}");
            if reads {
                chunks(&mut exchange, GOOD, 9);
            } else {
                exchange.skip_request(GOOD.len());
                assert_eq!(exchange.request_chunk_end(false), Effect::Pass);
            }
            exchange.response_head(ResponseHead { status: 200, ..Default::default() }, false);
            assert!(!exchange.reads_response(), "{mode}: nothing is done about an answer");
            let remains = exchange.end(&served_end());
            let Counts { exchanges, checked, unreadable, .. } = remains.counts;
            assert_eq!((exchanges, checked, unreadable), (1, u64::from(reads), 0), "{mode}");
            assert_eq!(remains.sample, None);
        }
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
        let begin = |body| Exchange::begin(held_start(&served("tag", ""), with_length(body)));
        let (mut exchange, effect) = begin(BAD);
        assert_eq!(effect, Effect::Hold);
        let effects = chunks(&mut exchange, BAD, 20);
        assert_eq!(effects[0], Effect::Hold);
        assert!(matches!(&effects[1], Effect::Release(Release { tag: Some(tag), divert: None })
            if tag.contains("wage")));
        assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
        let (mut good, _) = begin(GOOD);
        assert_eq!(chunks(&mut good, GOOD, 100), [Effect::Release(Release::default())]);
        let (mut late, _) = begin(BAD);
        late.let_go();
        assert!(chunks(&mut late, BAD, 9).iter().all(|effect| *effect == Effect::Pass));
    }

    #[test]
    fn tag_does_not_hold_what_might_not_fit() {
        let head = |content_length| RequestHead { content_length, ..RequestHead::default() };
        for length in [None, Some(0), Some(MAX_HELD_BYTES + 1)] {
            let served = served("tag", "");
            let begun = Exchange::begin(held_start(&served, head(length)));
            assert_eq!(begun.1, Effect::Pass);
        }
    }

    #[test]
    fn what_is_not_understood_passes_even_in_enforce_and_is_counted() {
        for (encoding, body) in
            [("gzip", b"\x1f\x8b\x08\xff"), ("br", b"brot"), ("zstd", b"\x28\xb5\x2f\xfd")]
        {
            let head = RequestHead { content_encoding: encoding.into(), ..RequestHead::default() };
            let mut exchange = begin("enforce", head);
            assert_eq!(chunks(&mut exchange, body, 2), [Effect::Pass, Effect::Pass]);
            assert_eq!(exchange.request_chunk_end(true), Effect::Pass);
            let counts = exchange.end(&served_end()).counts;
            assert_eq!((counts.unreadable, counts.violating, counts.refused), (1, 0, 0));
        }
    }

    /// One stored block of deflate within gzip's envelope (RFC 1951, 3.2.4; RFC 1952).
    fn gzip(plain: &[u8]) -> Vec<u8> {
        let length = u16::try_from(plain.len()).unwrap();
        let mut crc = !0_u32;
        for byte in plain {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(plain);
        packed.extend((!crc).to_le_bytes());
        packed.extend(u32::from(length).to_le_bytes());
        packed
    }

    #[test]
    fn a_compressed_body_is_read_and_the_copy_of_it_is_plain() {
        let head = || RequestHead { content_encoding: "gzip".into(), ..RequestHead::default() };
        let mut bad = begin("enforce", head());
        let effects = chunks(&mut bad, &gzip(BAD), 3);
        assert_eq!(effects.iter().filter(|effect| status(Some(*effect)) == 400).count(), 1);
        let mut good = begin("enforce", head());
        assert!(chunks(&mut good, &gzip(GOOD), 3).iter().all(|effect| *effect == Effect::Pass));
        assert_eq!(good.request_chunk_end(true), Effect::Pass);
        let request = good.end(&served_end()).sample.unwrap().request.unwrap();
        assert_eq!((&request.body[..], &*request.content_encoding), (&GOOD[..16], ""));
        assert_eq!(request.body_bytes, gzip(GOOD).len() as u64);
    }

    #[test]
    fn a_field_may_be_stricter_than_its_model() {
        let json = r#"{"models":[{"model":"m","route":{},"protocol":"json","mode":"observe",
            "sample_rate":1.0,"contract":{"inputs":[
                {"name":"age","type":"integer"},
                {"name":"wage","type":"number","mode":"enforce"},
                {"name":"note","type":"text","required":false,"mode":"divert"}]}}]}"#;
        let served = Arc::clone(Table::parse(json.as_bytes()).unwrap().find("/", None).unwrap());
        let play = |body: &[u8]| {
            let (mut exchange, begun) = Exchange::begin(held_start(&served, with_length(body)));
            assert_eq!(begun, Effect::Hold);
            let effect = chunks(&mut exchange, body, 1000).remove(0);
            (effect, exchange.end(&served_end()))
        };
        let (observed, remains) = play(br#"{"age": "x", "wage": 1}"#);
        assert_eq!(observed, Effect::Release(Release::default()));
        assert_eq!((remains.counts.violating, remains.counts.would_refuse), (1, 1));
        assert_eq!(remains.breaches, [("age".into(), "INT_TYPE_NOT_INT_STRING")]);
        let (refused, _) = play(br#"{"age": 1, "wage": "x"}"#);
        assert_eq!(status(Some(&refused)), 400);
        let (diverted, remains) = play(br#"{"age": 1, "wage": 1, "note": 3}"#);
        assert!(matches!(diverted, Effect::Release(Release { tag: Some(_), divert: Some(_) })));
        assert_eq!((remains.counts.diverted, remains.counts.tagged), (1, 1));
    }

    #[test]
    fn sensitive_values_are_in_no_part_of_a_sample() {
        let json = r#"{"sensitive_key":"k","models":[{"model":"m","route":{},"protocol":"json",
            "mode":"observe","sample_rate":1.0,"contract":{"allow_unknown":true,"inputs":[
                {"name":"age","type":"integer"},
                {"name":"ssn","type":"integer","sensitive":"hash"},
                {"name":"who.mail","type":"text","categories":["a"],"sensitive":"drop"}],
              "outputs":[{"name":"score","type":"number"}]}}]}"#;
        let served = Arc::clone(Table::parse(json.as_bytes()).unwrap().find("/", None).unwrap());
        let body = br#"{"who":{"mail":"jane@x.y","\u006dail":"jane@x.y"},"ssn":123456789,
            "SSN":"123456789","age":7,"more":["jane@x.y"]}"#;
        let mut exchange = Exchange::begin(start(&served, with_length(body))).0;
        chunks(&mut exchange, body, 10);
        exchange.response_head(ResponseHead { status: 200, ..ResponseHead::default() }, false);
        exchange.feed_response(br#"{"score":0.5,"echo":"jane@x.y"}"#);
        exchange.response_chunk_end(true);
        let sample = exchange.end(&served_end()).sample.unwrap();
        let told = format!("{sample:?}{:?}", String::from_utf8_lossy(&sample.encode_to_vec()));
        for secret in ["jane", "123456789"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        let request = sample.request.unwrap();
        assert!(!request.cut && request.format == "transcript");
        assert!(String::from_utf8_lossy(&request.body).contains("ssn"));
    }

    #[test]
    fn no_header_hides_a_body_from_the_contract() {
        for head in [
            RequestHead { content_encoding: "x".into(), ..RequestHead::default() },
            RequestHead { content_encoding: "gzip".into(), ..RequestHead::default() },
            RequestHead { content_encoding: "br".into(), ..RequestHead::default() },
            RequestHead { json_bytes: Some(0), ..RequestHead::default() },
            RequestHead { json_bytes: Some(10), ..RequestHead::default() },
        ] {
            let mut exchange = begin("enforce", head.clone());
            exchange.feed_request(BAD);
            let effect = exchange.request_chunk_end(true);
            assert!(matches!(effect, Effect::Answer(_)), "{head:?}: {effect:?}");
        }
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
            let served = served("observe", block);
            let mut start = start(&served, head);
            start.asked.now_nanos = nanos;
            Exchange::begin(start)
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
            ResponseHead { status: 200, content_type: "a/b".into(), ..ResponseHead::default() },
            false,
        );
        exchange.feed_response(br#"{"score": 7}"#);
        exchange.response_chunk_end(true);
        let remains = exchange.end(&served_end());
        let sample = remains.sample.unwrap();
        let request = sample.request.unwrap();
        assert_eq!((request.body.as_slice(), request.body_bytes), (&GOOD[..16], GOOD.len() as u64));
        assert!(request.cut && request.format == "json");
        assert_eq!(sample.response.unwrap().body, br#"{"score": 7}"#);
        assert_eq!((sample.version.as_str(), sample.outcome), ("v1", Outcome::Served.into()));
        assert_eq!(remains.counts.response_violating, 1);
        assert_eq!(remains.counts.violating, 0, "the request was good");
    }

    #[test]
    fn of_a_copy_only_the_answer_is_kept_and_nothing_is_done_to_it() {
        let block = r#""block":{"decision":"d","reason":"drift","until_unix_seconds":100},"#;
        let served = served("enforce", block);
        let mut start = start(&served, with_length(BAD));
        start.shadow = true;
        let (mut exchange, begun) = Exchange::begin(start);
        assert_eq!((begun, exchange.reads_request()), (Effect::Pass, false));
        assert!(chunks(&mut exchange, BAD, 5).iter().all(|effect| *effect == Effect::Pass));
        let head = ResponseHead { status: 200, ..ResponseHead::default() };
        assert_eq!(exchange.response_head(head, false), None);
        exchange.feed_response(br#"{"score": 7}"#);
        exchange.response_chunk_end(true);
        let remains = exchange.end(&served_end());
        let sample = remains.sample.unwrap();
        assert!(sample.shadow && sample.by_rate);
        assert_eq!((sample.request, remains.counts.violating), (None, 0));
        assert_eq!(sample.response.unwrap().body, br#"{"score": 7}"#);
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
