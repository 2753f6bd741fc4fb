//! One half of an exchange: its bytes on their way into the capture and through the check. It does
//! not know what is done about a breach.

use tidegate_contract::check::{Check, Verdict};
use tidegate_proto::intake::v1::Payload;

use crate::capture::Capture;
use crate::coding;

/// One half of an exchange.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) content_type: String,
    pub(crate) content_encoding: String,
    pub(crate) capture: Capture,
    /// Absent where nothing is asked of the body, or it is not understood.
    pub(crate) check: Option<Check>,
    /// Whether the body may be something else than text: then it is only a breach when it turns
    /// out to be text after all, and that breaks the contract.
    pub(crate) doubtful: bool,
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
            doubtful: false,
            readable: None,
            unreadable: false,
            whole: false,
        }
    }

    /// Asks the check of this half; `json_bytes` of it are text where raw bytes follow.
    pub(crate) fn ask(&mut self, check: Check, json_bytes: Option<u64>) {
        // A length of 0 says that there is no JSON, only raw bytes; not every server looks.
        self.doubtful = coding::may_hide(&self.content_encoding) || json_bytes == Some(0);
        self.readable = json_bytes.filter(|bytes| *bytes > 0);
        self.check = Some(check);
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.capture.take(bytes);
        if self.whole {
            return;
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
        self.drop_doubtful();
    }

    /// A body that may be something else than text, and is none, is nobody's fault.
    fn drop_doubtful(&mut self) {
        let none = self.check.as_ref().is_some_and(|check| check.verdict().unreadable);
        if self.doubtful && none {
            self.check = None;
            self.unreadable = true;
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
        self.drop_doubtful();
        self.whole = true;
    }

    /// The verdict, where it is a bad one.
    pub(crate) fn breach(&self) -> Option<&Verdict> {
        if self.doubtful && !self.whole {
            return None;
        }
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
