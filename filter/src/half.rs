//! One half of an exchange: its bytes on their way into the capture and through the check. It does
//! not know what is done about a breach.

use tidegate_contract::check::{Check, Verdict};
use tidegate_proto::intake::v1::Payload;

use crate::capture::Capture;

/// One half of an exchange.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) content_type: String,
    pub(crate) content_encoding: String,
    pub(crate) capture: Capture,
    /// Absent where nothing is asked of the body, or it is not understood.
    pub(crate) check: Option<Check>,
    pub(crate) unreadable: bool,
    pub(crate) whole: bool,
}

impl Half {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.capture.take(bytes);
        if let Some(check) = &mut self.check
            && !self.whole
        {
            check.feed(bytes);
        }
    }

    pub(crate) fn skip(&mut self, bytes: usize) {
        self.capture.count(bytes);
        // With a hole in it the rest cannot be read; that is ours, not the sender's, fault.
        self.unreadable |= self.check.take().is_some() && !self.whole;
    }

    pub(crate) fn finish(&mut self) {
        if let Some(check) = &mut self.check {
            check.finish();
        }
        self.whole = true;
    }

    /// The verdict, where it is a bad one.
    pub(crate) fn breach(&self) -> Option<&Verdict> {
        let verdict = self.check.as_ref()?.verdict();
        (verdict.count > 0 || verdict.unreadable).then_some(verdict)
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        self.unreadable || self.check.as_ref().is_some_and(|check| check.verdict().unreadable)
    }

    pub(crate) fn into_payload(self) -> Payload {
        Payload {
            body_bytes: self.capture.passed(),
            body: self.capture.into_kept(),
            content_type: self.content_type,
            content_encoding: self.content_encoding,
        }
    }
}
