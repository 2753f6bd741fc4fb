//! One half of an exchange: its bytes on their way through unpacking into the capture and through the
//! check. It does not know what is done about a breach.

use std::borrow::Cow;

use tidegate_contract::check::{Check, Verdict};
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::inflate::{Coding, Inflate};
use tidegate_proto::intake::v1::Payload;

use crate::capture::Capture;
use crate::coding;

/// One half of an exchange.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) content_type: String,
    pub(crate) content_encoding: String,
    capture: Capture,
    /// Bytes that passed on the wire.
    passed: u64,
    /// How the plain bytes are written; absent where nothing is asked of the body.
    format: Option<Format>,
    packed: Packed,
    /// Absent where nothing is asked of the body, or it is not understood. In a box, for an exchange is
    /// moved more often than it is checked.
    check: Option<Box<Check>>,
    /// What else the body may be, and the check for that, where it turns out not to be that.
    otherwise: Option<Box<(Check, Format)>>,
    /// Whether the copy that leaves is what the check transcribed, instead of the capture.
    transcribed: bool,
    /// Whether the body may be something else than what is read: then it is only a breach when it
    /// turns out to be that after all, and that breaks the contract.
    doubtful: bool,
    /// Whether it could not be read through no fault of its sender.
    unreadable: bool,
    pub(crate) whole: bool,
}

/// What the bytes on the wire have to do with the plain ones.
#[derive(Debug)]
enum Packed {
    /// They are the same.
    No,
    /// They are compressed, says the head; the first byte tells whether they are.
    Said(Coding),
    Yes(Box<Inflate>),
    /// They could not be unpacked. What was captured of them is cut.
    Lost,
}

impl Half {
    /// A half of which nothing is asked yet, with room for so many bytes.
    pub(crate) fn unasked(capture_bytes: usize) -> Self {
        Self {
            content_type: String::new(),
            content_encoding: String::new(),
            capture: Capture::new(capture_bytes),
            passed: 0,
            format: None,
            packed: Packed::No,
            check: None,
            otherwise: None,
            transcribed: false,
            doubtful: false,
            unreadable: false,
            whole: false,
        }
    }

    /// Asks the check of this half, of a body that its head says to be of this format.
    pub(crate) fn ask(&mut self, check: Check, format: Format) {
        match Coding::named(&self.content_encoding) {
            Some(coding) => self.packed = Packed::Said(coding),
            None => self.doubtful = coding::may_hide(&self.content_encoding),
        }
        // JSON that is sent as a form is JSON to most servers, and a form is a form.
        self.doubtful |= coding::is_form(&self.content_type);
        self.format = Some(format);
        self.check = Some(Box::new(check));
    }

    /// Asks another check of a body that turns out not to be of its format.
    pub(crate) fn ask_otherwise(&mut self, check: Check, format: Format) {
        self.doubtful = true;
        self.otherwise = Some(Box::new((check, format)));
    }

    /// Knows how the body is written, although nothing is asked of it.
    pub(crate) fn is_written_as(&mut self, format: Format) {
        self.format = Some(format);
        if let Some(coding) = Coding::named(&self.content_encoding) {
            self.packed = Packed::Said(coding);
        }
    }

    /// Keeps what the check transcribes instead of the bytes.
    pub(crate) fn transcribe(&mut self) {
        self.transcribed = true;
        self.capture = Capture::new(0);
    }

    /// Bytes that passed on the wire so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether the bytes that come next are needed.
    pub(crate) fn reads(&self) -> bool {
        self.check.is_some() || self.capture.has_room()
    }

    /// Says how many bytes the body has on the wire.
    pub(crate) fn announce(&mut self, bytes: u64) {
        self.capture.announce(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// Takes bytes of the body.
    pub(crate) fn feed(&mut self, bytes: Cow<'_, [u8]>) {
        self.count(bytes.len());
        if let Packed::Said(coding) = self.packed {
            let Some(first) = bytes.first() else { return };
            self.packed = if coding::begins_packed(coding, *first) {
                Packed::Yes(Box::new(Inflate::new(coding)))
            } else {
                // Some clients say so of all they send; a server that looks at the bytes reads them.
                self.content_encoding.clear();
                Packed::No
            };
        }
        let Self { packed, capture, check, otherwise, whole, .. } = self;
        let mut plain = |bytes: Cow<'_, [u8]>| {
            if !*whole {
                for check in checks(check, otherwise) {
                    check.feed(&bytes);
                }
            }
            capture.take(bytes);
        };
        match packed {
            Packed::No | Packed::Said(_) => plain(bytes),
            Packed::Yes(inflate) => {
                if inflate.feed(&bytes, &mut |bytes: &[u8]| plain(bytes.into())).is_err() {
                    self.lose();
                }
            }
            Packed::Lost => {}
        }
        self.drop_doubtful();
    }

    /// The packed bytes cannot be read: the server, which reads them as well, decides.
    fn lose(&mut self) {
        self.packed = Packed::Lost;
        self.otherwise = None;
        self.unreadable |= self.check.take().is_some();
    }

    /// A body that may be something else than what is read, and is, is nobody's fault.
    fn drop_doubtful(&mut self) {
        let is_none = |check: &Check| check.verdict().unreadable;
        while self.doubtful && self.check.as_deref().is_some_and(is_none) {
            if let Some((check, format)) = self.otherwise.take().map(|otherwise| *otherwise) {
                self.check = Some(Box::new(check));
                self.format = Some(format);
            } else {
                self.check = None;
                self.unreadable = true;
            }
        }
    }

    /// Says that bytes passed which nobody looked at.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.count(bytes);
        self.capture.count(bytes);
        // With a hole in it the rest cannot be read; that is ours, not the sender's, fault.
        self.otherwise = None;
        self.unreadable |= self.check.take().is_some() && !self.whole;
    }

    fn count(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Whether all that the format asks for has come. Only some formats tell.
    pub(crate) fn is_complete(&self) -> bool {
        self.check.as_deref().is_some_and(Check::is_whole)
    }

    /// Says that no more comes.
    pub(crate) fn finish(&mut self) {
        if let Packed::Yes(inflate) = &mut self.packed {
            let Self { capture, check, otherwise, .. } = self;
            let finished = inflate.finish(&mut |bytes| {
                capture.take(bytes.into());
                for check in checks(check, otherwise) {
                    check.feed(bytes);
                }
            });
            if finished.is_err() {
                self.lose();
            }
        }
        let Self { check, otherwise, .. } = self;
        for check in checks(check, otherwise) {
            check.finish();
        }
        self.drop_doubtful();
        self.whole = true;
    }

    /// The verdict so far.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.check.as_deref().map(Check::verdict)
    }

    /// The verdict, where it is a bad one.
    pub(crate) fn breach(&self) -> Option<&Verdict> {
        if self.doubtful && !self.whole {
            return None;
        }
        let verdict = self.verdict()?;
        (verdict.count > 0 || verdict.unreadable).then_some(verdict)
    }

    /// Whether a row that came belongs to the segment that is looked for.
    pub(crate) fn is_selected(&self) -> bool {
        (!self.doubtful || self.whole) && self.check.as_deref().is_some_and(Check::is_selected)
    }

    /// Whether the model was not sure in some row.
    pub(crate) fn is_low_confidence(&self) -> bool {
        self.check.as_deref().is_some_and(Check::is_low_confidence)
    }

    /// Whether the body could not be read, through whoever's fault.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.unreadable || self.verdict().is_some_and(|verdict| verdict.unreadable)
    }

    /// The copy that leaves.
    pub(crate) fn into_payload(self) -> Payload {
        let packed = matches!(self.packed, Packed::Yes(_) | Packed::Lost);
        let payload = Payload {
            body_bytes: self.passed,
            content_type: self.content_type,
            content_encoding: if packed { String::new() } else { self.content_encoding },
            ..Payload::default()
        };
        if self.transcribed {
            let transcript = self.check.and_then(|check| check.into_transcript());
            return Payload {
                cut: transcript.is_none(),
                format: Format::plain(Layout::Transcript).to_string(),
                body: transcript.unwrap_or_default(),
                content_encoding: String::new(),
                ..payload
            };
        }
        let cut = self.capture.is_cut() || matches!(self.packed, Packed::Lost) || !self.whole;
        Payload {
            cut,
            format: self.format.map(|format| format.to_string()).unwrap_or_default(),
            body: self.capture.into_kept(),
            ..payload
        }
    }
}

/// The checks that are fed.
fn checks<'a>(
    check: &'a mut Option<Box<Check>>,
    otherwise: &'a mut Option<Box<(Check, Format)>>,
) -> impl Iterator<Item = &'a mut Check> {
    let otherwise = otherwise.as_deref_mut().map(|(check, _)| check);
    check.as_deref_mut().into_iter().chain(otherwise)
}
