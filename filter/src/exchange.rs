//! The life of one exchange: its request's head, the chunks of its body, the response, its end.
//! Every step takes data and says what should be done; nothing is done here, and it deliberately
//! does not know whether a chunk is held by the host or by a test.

use std::sync::Arc;

use tidegate_contract::check::{Check, Verdict};
use tidegate_contract::plugin::Mode;
use tidegate_contract::protocol::Side;
use tidegate_proto::intake::v1::{Outcome, Payload, Sample, Violation};

use crate::capture::Capture;
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
    /// Answer in the model's place, and let nothing more of the request pass.
    Answer(Answer),
    /// The request was answered before; let nothing more of it pass.
    Stop,
}

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
    request_id: String,
    traceparent: String,
    start_nanos: u64,
    content_length: Option<u64>,
    request: Half,
    response: Half,
    status: u32,
}

/// One half of an exchange.
#[derive(Debug)]
struct Half {
    content_type: String,
    content_encoding: String,
    capture: Capture,
    /// Absent where nothing is asked of the body, or it is not understood.
    check: Option<Check>,
    unreadable: bool,
    whole: bool,
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
    /// Begins with the request's head. `ended` says that no body follows.
    pub fn begin(
        served: &Arc<Served>,
        head: RequestHead,
        ended: bool,
        keeping: Keeping,
        start_nanos: u64,
    ) -> (Self, Effect) {
        let bound = if keeping == Keeping::Yes { served.max_capture_bytes } else { 0 };
        // Compressed bodies and binary tensors are not read yet: they pass, and are counted.
        let understood = head.content_encoding.is_empty() && !head.binary_tail;
        let mut exchange = Self {
            served: Arc::clone(served),
            keeping,
            stage: Stage::Request,
            request_id: head.request_id,
            traceparent: head.traceparent,
            start_nanos,
            content_length: head.content_length,
            request: Half {
                content_type: head.content_type,
                content_encoding: head.content_encoding,
                capture: Capture::new(bound),
                check: understood
                    .then(|| Check::new(served.rules.clone(), served.protocol, Side::Request)),
                unreadable: !understood,
                whole: false,
            },
            response: Half {
                content_type: String::new(),
                content_encoding: String::new(),
                capture: Capture::new(bound),
                check: None,
                unreadable: false,
                whole: false,
            },
            status: 0,
        };
        let effect = exchange.after_head(ended);
        (exchange, effect)
    }

    fn after_head(&mut self, ended: bool) -> Effect {
        let now_seconds = self.start_nanos.checked_div(1_000_000_000).unwrap_or(0);
        if let Some(block) = &self.served.block
            && now_seconds < block.until_unix_seconds
        {
            self.stage = Stage::Blocked;
            return Effect::Answer(problem::blocked(&self.served.name, block, now_seconds));
        }
        if ended { self.request_chunk_end(true) } else { Effect::Pass }
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
        if self.served.mode == Mode::Enforce
            && let Some(verdict) = self.request.breach()
        {
            let answer = problem::refused(&self.served.name, verdict);
            self.stage = Stage::Refused;
            return Effect::Answer(answer);
        }
        if whole {
            self.stage = Stage::Passed;
        }
        Effect::Pass
    }

    /// Takes the response's head. `ended` says that no body follows. Gives the tag to set on it.
    pub fn response_head(&mut self, head: ResponseHead, ended: bool) -> Option<String> {
        self.status = head.status;
        let answered = matches!(self.stage, Stage::Refused | Stage::Blocked);
        let understood = head.content_encoding.is_empty();
        if self.served.checks_responses && head.status == 200 && !answered {
            self.response.unreadable = !understood;
            self.response.check = understood.then(|| {
                Check::new(self.served.rules.clone(), self.served.protocol, Side::Response)
            });
        }
        self.response.content_type = head.content_type;
        self.response.content_encoding = head.content_encoding;
        if ended {
            self.response_chunk_end(true);
        }
        let tags = self.served.mode == Mode::Tag;
        tags.then_some(self.request.check.as_ref()).flatten().and_then(|c| tag::of(c.verdict()))
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

impl Half {
    fn feed(&mut self, bytes: &[u8]) {
        self.capture.take(bytes);
        if let Some(check) = &mut self.check
            && !self.whole
        {
            check.feed(bytes);
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.capture.count(bytes);
        // With a hole in it the rest cannot be read; that is ours, not the sender's, fault.
        self.unreadable |= self.check.take().is_some() && !self.whole;
    }

    fn finish(&mut self) {
        if let Some(check) = &mut self.check {
            check.finish();
        }
        self.whole = true;
    }

    /// The verdict, where it is a bad one.
    fn breach(&self) -> Option<&Verdict> {
        let verdict = self.check.as_ref()?.verdict();
        (verdict.count > 0 || verdict.unreadable).then_some(verdict)
    }

    fn is_unreadable(&self) -> bool {
        self.unreadable || self.check.as_ref().is_some_and(|check| check.verdict().unreadable)
    }

    fn into_payload(self) -> Payload {
        Payload {
            body_bytes: self.capture.passed(),
            body: self.capture.into_kept(),
            content_type: self.content_type,
            content_encoding: self.content_encoding,
        }
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
