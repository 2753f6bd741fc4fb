//! The check: reads a body as it streams past and holds it against the contract. It does not know
//! what is done with the verdict.

use std::sync::Arc;

use crate::body::Body;
use crate::confidence::Confidence;
use crate::contract::Mode;
use crate::format::Format;
use crate::grpc::Packing;
use crate::inflate::Coding;
use crate::json::{Plain, Scalar, Text};
use crate::judge::Judge;
use crate::lone::Lone;
use crate::plugin::LowConfidence;
use crate::protocol::Side;
use crate::rows::{Content, Raw, Rows, Tensor, Values};
use crate::rules::Rules;
use crate::segment::{Selection, Selector};
use crate::sensitive::Key;
use crate::transcript::Writer;
use crate::violation::{Kind, Violation};

/// How many violations of one body are kept; all are counted.
pub const MAX_KEPT: usize = 16;

/// Checks one body against one contract, chunk by chunk, without building a tree of it.
#[derive(Debug)]
pub struct Check {
    body: Body,
    ears: Ears,
    finished: bool,
}

/// All that listen to one reader.
#[derive(Debug)]
struct Ears {
    judge: Judge,
    /// Writes down what may leave the proxy, where that is less than the body.
    writer: Option<Writer>,
    /// Listens whether the model was not sure.
    confidence: Option<Confidence>,
    /// Listens whether the request belongs to a segment.
    selector: Option<Selector>,
}

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More must come before the body is whole.
    Reading,
    /// The body is whole (its root has closed); the verdict stands unless more than blanks follow.
    Whole,
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The first [`MAX_KEPT`] violations.
    pub violations: Vec<Violation>,
    /// All of them.
    pub count: u64,
    /// Which fields broke how, each pair once, the first few: the place of the field in the
    /// contract, none where the whole body or an unknown field did.
    pub breaches: Vec<(Option<usize>, Kind)>,
    /// The strictest mode of what was broken; `None` where nothing was.
    pub mode: Option<Mode>,
    /// Whether the body could not be read as its protocol says. It is read no further.
    pub unreadable: bool,
    /// Rows seen.
    pub rows: u64,
}

impl Check {
    /// A check for one body. Without rules, or on a side for which they list no field, nothing is
    /// asked but that the body can be read as its format.
    pub fn new(rules: Option<Arc<Rules>>, format: Format, side: Side) -> Self {
        Self {
            body: Body::new(format, side),
            ears: Ears {
                judge: Judge::new(rules, Mode::Observe, format.expected(side), side),
                writer: None,
                confidence: None,
                selector: None,
            },
            finished: false,
        }
    }

    /// What is done about breaches of the body, and of fields that do not say it themselves.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.ears.judge.set_mode(mode);
        self
    }

    /// A check that also writes a transcript of at most so many bytes: of the fields of this
    /// contract and no others, without what is sensitive.
    #[must_use]
    pub fn transcribing(mut self, rules: Arc<Rules>, side: Side, key: Key, bytes: usize) -> Self {
        self.ears.writer = Some(Writer::new(rules, side, key, bytes));
        self
    }

    /// Says what the frames of a gRPC message are compressed by, where they say that they are.
    #[must_use]
    pub fn packed_by(mut self, grpc_encoding: &str) -> Self {
        self.body.packed_by(Coding::named(grpc_encoding).map_or(Packing::None, Packing::By));
        self
    }

    /// A check that also looks out for a model that was not sure.
    #[must_use]
    pub fn minding(mut self, rule: &LowConfidence) -> Self {
        self.ears.confidence = Some(Confidence::new(rule));
        self
    }

    /// A check that also finds out whether the request belongs to a segment.
    #[must_use]
    pub fn selecting(mut self, selection: Arc<Selection>) -> Self {
        self.ears.selector = Some(Selector::new(selection));
        self
    }

    /// A check that holds at most so many bytes of values that came before their description.
    #[must_use]
    pub fn holding(mut self, bytes: usize) -> Self {
        self.body.hold(bytes);
        self
    }

    /// Takes the next bytes. Violations found so far stand in [`Check::verdict`] at once.
    pub fn feed(&mut self, chunk: &[u8]) -> Progress {
        if self.verdict().unreadable || self.finished {
            return Progress::Reading;
        }
        if let Err(broken) = self.body.feed(chunk, &mut self.ears) {
            self.ears.judge.broken(&broken);
        }
        if self.body.is_whole() { Progress::Whole } else { Progress::Reading }
    }

    /// Says that no more comes: a body cut short is now a violation. Bytes fed later are ignored.
    pub fn finish(&mut self) -> &Verdict {
        if !self.verdict().unreadable && !self.finished {
            self.finished = true;
            if let Err(broken) = self.body.finish(&mut self.ears) {
                self.ears.judge.broken(&broken);
            }
        }
        self.verdict()
    }

    /// Whether all that the format asks for has come.
    pub fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    /// What was found so far.
    pub fn verdict(&self) -> &Verdict {
        self.ears.judge.verdict()
    }

    /// Whether the model was not sure in some row.
    pub fn is_low_confidence(&self) -> bool {
        self.ears.confidence.as_ref().is_some_and(Confidence::is_low)
    }

    /// Whether a row that came belongs to the segment.
    pub fn is_selected(&self) -> bool {
        self.ears.selector.as_ref().is_some_and(Selector::is_match)
    }

    /// The transcript, if one was asked for and the whole body is in it.
    pub fn into_transcript(self) -> Option<Vec<u8>> {
        self.ears.writer?.into_whole()
    }
}

impl Ears {
    /// Tells all but the judge that the field came which that expects.
    #[inline(never)]
    fn tell_others(&mut self, value: &Scalar<'_>) {
        let name = Text { text: self.judge.expected_name(), cut: false };
        if let Some(writer) = &mut self.writer {
            writer.field(name);
            writer.scalar(value);
        }
        if let Some(confidence) = &mut self.confidence {
            confidence.field(name);
            confidence.scalar(value);
        }
        if let Some(selector) = &mut self.selector {
            selector.field(name);
            selector.scalar(value);
        }
    }
}

impl Rows for Ears {
    #[inline]
    fn expected(&self) -> Option<&[u8]> {
        self.judge.expected()
    }

    #[inline]
    fn came(&mut self, value: &Scalar<'_>) {
        if self.writer.is_some() || self.confidence.is_some() || self.selector.is_some() {
            self.tell_others(value);
        }
        self.judge.came(value);
    }

    fn record(&mut self) {
        self.judge.record();
        self.writer.iter_mut().for_each(Rows::record);
        self.confidence.iter_mut().for_each(Rows::record);
        self.selector.iter_mut().for_each(Rows::record);
    }

    fn field(&mut self, name: Text<'_>) {
        self.judge.field(name);
        self.writer.iter_mut().for_each(|writer| writer.field(name));
        self.confidence.iter_mut().for_each(|it| it.field(name));
        self.selector.iter_mut().for_each(|it| it.field(name));
    }

    fn name(&self) -> &str {
        self.judge.name()
    }

    fn wraps(&mut self) -> bool {
        let wraps = self.judge.wraps();
        if wraps {
            self.writer.iter_mut().for_each(Writer::no_record);
            self.selector.iter_mut().for_each(Selector::no_record);
        }
        wraps
    }

    fn takes_lone_values(&self) -> bool {
        self.judge.takes_lone_values()
    }

    fn lone(&self) -> Option<Lone> {
        self.judge.lone()
    }

    fn takes_text(&self) -> bool {
        self.judge.takes_text()
    }

    fn record_end(&mut self) {
        self.judge.record_end();
        self.writer.iter_mut().for_each(Rows::record_end);
        self.confidence.iter_mut().for_each(Rows::record_end);
        self.selector.iter_mut().for_each(Rows::record_end);
    }

    fn tensor(&mut self, tensor: Tensor<'_>) {
        self.judge.tensor(tensor);
        self.writer.iter_mut().for_each(|writer| writer.tensor(tensor));
        self.confidence.iter_mut().for_each(|it| it.tensor(tensor));
        self.selector.iter_mut().for_each(|it| it.tensor(tensor));
    }

    fn tensor_end(&mut self, values: Values) {
        self.judge.tensor_end(values);
        self.writer.iter_mut().for_each(|writer| writer.tensor_end(values));
        self.confidence.iter_mut().for_each(|it| it.tensor_end(values));
        self.selector.iter_mut().for_each(|it| it.tensor_end(values));
    }

    #[inline]
    fn scalar(&mut self, value: &Scalar<'_>) {
        self.judge.scalar(value);
        self.writer.iter_mut().for_each(|writer| writer.scalar(value));
        self.confidence.iter_mut().for_each(|it| it.scalar(value));
        self.selector.iter_mut().for_each(|it| it.scalar(value));
    }

    fn bytes(&mut self, bytes: &[u8], cut: bool) {
        self.judge.bytes(bytes, cut);
        self.writer.iter_mut().for_each(|writer| writer.bytes(bytes, cut));
        self.confidence.iter_mut().for_each(|it| it.bytes(bytes, cut));
        self.selector.iter_mut().for_each(|it| it.bytes(bytes, cut));
    }

    fn list(&mut self) {
        self.judge.list();
        self.writer.iter_mut().for_each(Rows::list);
        self.confidence.iter_mut().for_each(Rows::list);
        self.selector.iter_mut().for_each(Rows::list);
    }

    fn list_end(&mut self) {
        self.judge.list_end();
        self.writer.iter_mut().for_each(Rows::list_end);
        self.confidence.iter_mut().for_each(Rows::list_end);
        self.selector.iter_mut().for_each(Rows::list_end);
    }

    fn object(&mut self) -> bool {
        // The writer names only what the contract names, so the judge's answer serves both.
        self.writer.iter_mut().for_each(|writer| {
            writer.object();
        });
        self.selector.iter_mut().for_each(|selector| {
            selector.object();
        });
        self.judge.object()
    }

    fn raw(&mut self, raw: Raw<'_>) {
        self.judge.raw(raw);
        self.writer.iter_mut().for_each(|writer| writer.raw(raw));
        self.confidence.iter_mut().for_each(|it| it.raw(raw));
        self.selector.iter_mut().for_each(|it| it.raw(raw));
    }

    fn plain(&self) -> Option<Plain> {
        let each = self.writer.as_ref().is_some_and(Writer::is_writing)
            || self.confidence.as_ref().is_some_and(Confidence::listens)
            || self.selector.as_ref().is_some_and(Selector::listens);
        if each { None } else { self.judge.plain() }
    }

    fn numbers(&mut self, count: u64) {
        self.judge.numbers(count);
    }

    fn alike(&self) -> Option<u64> {
        self.judge.alike()
    }

    fn lists(&mut self, count: u64) {
        self.judge.lists(count);
    }

    fn records(&mut self, count: u64) {
        self.judge.records(count);
    }

    fn whole(&mut self, content: Content) {
        self.judge.whole(content);
        self.writer.iter_mut().for_each(|writer| writer.whole(content));
        self.confidence.iter_mut().for_each(|it| it.whole(content));
        self.selector.iter_mut().for_each(|it| it.whole(content));
    }
}
