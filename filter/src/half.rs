//! One half of an exchange: its bytes on their way into the capture and through the check. It does
//! not know what is done about a breach.

use tidegate_contract::check::{Check, Verdict};
use tidegate_proto::intake::v1::Payload;

use crate::capture::Capture;
use crate::coding::Coding;

/// One half of an exchange.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) content_type: String,
    pub(crate) content_encoding: String,
    pub(crate) capture: Capture,
    /// Absent where nothing is asked of the body, or it is not understood.
    pub(crate) check: Option<Check>,
    coding: Coding,
    /// Bytes that the check still gets, where raw bytes follow after them.
    readable: Option<u64>,
    pub(crate) unreadable: bool,
    pub(crate) whole: bool,
}

impl Half {
    /// A half of which nothing is asked yet, with room for so many bytes.
    pub(crate) fn unasked(capture_bytes: usize) -> Self {
        Self {
            content_type: String::new(),
            content_encoding: String::new(),
            capture: Capture::new(capture_bytes),
            check: None,
            coding: Coding::Plain,
            readable: None,
            unreadable: false,
            whole: false,
        }
    }

    /// Asks the check of this half; `json_bytes` of it are text where raw bytes follow.
    pub(crate) fn ask(&mut self, check: Check, json_bytes: Option<u64>) {
        self.coding = Coding::of(&self.content_encoding);
        self.readable = json_bytes;
        // No JSON at all, only raw bytes: not read yet.
        let raw = json_bytes == Some(0);
        if raw || self.coding == Coding::Opaque {
            self.unreadable = true;
        } else {
            self.check = Some(check);
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.capture.take(bytes);
        if self.whole {
            return;
        }
        if let Some(first) = bytes.first() {
            self.coding = self.coding.settled(*first);
            if self.coding == Coding::Opaque {
                self.unreadable |= self.check.take().is_some();
            }
        }
        let Some(check) = &mut self.check else { return };
        let text = match &mut self.readable {
            None => bytes,
            Some(left) => {
                let text = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(text as u64);
                bytes.get(..text).unwrap_or(bytes)
            }
        };
        check.feed(text);
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
