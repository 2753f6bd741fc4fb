//! A streamed answer of OpenAI's form: server-sent events (WHATWG HTML, 9.2) whose data are JSON chunks,
//! told as the one record that the same answer would have been without a stream. It does not know
//! which fields there should be.
//!
//! Of each field the last value that is not null stands; the pieces of a content are joined. What is
//! called `delta` in a chunk is called `message`, as in a whole answer.

use std::collections::BTreeMap;

use crate::json::{Event, Form, Lexer, MAX_TOKEN_BYTES, Number, Plain, Scalar, Text};
use crate::record::{Fields, Step};
use crate::rows::{Broken, Content, Raw, Rows, Tensor, Values};

/// Fields of an answer that are kept.
const MAX_FIELDS: usize = 256;
/// What ends a stream.
const DONE: &[u8] = b"[DONE]";
const DATA: &[u8] = b"data:";

/// Reads the bytes of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    at: At,
    /// The start of the line, until it is known whether it is data.
    start: Vec<u8>,
    chunk: Option<Chunk>,
    answer: Answer,
    done: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// At the start of a line, or within the first letters of it.
    #[default]
    Start,
    /// After `data:`, where a space may stand.
    Data,
    /// In the data of a line.
    Json,
    /// In a line that nobody looks at.
    Other,
}

/// One JSON chunk on its way.
#[derive(Debug, Clone, Default)]
struct Chunk {
    lexer: Lexer,
    fields: Fields,
    open: bool,
}

impl Reader {
    pub(crate) fn is_whole(&self) -> bool {
        self.done
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let line_end = matches!(first, b'\n' | b'\r');
            match self.at {
                _ if line_end => {
                    self.line_end()?;
                    rest = &rest[1..];
                }
                At::Start => {
                    self.start.push(first);
                    rest = &rest[1..];
                    if self.start == DATA {
                        self.at = At::Data;
                    } else if !DATA.starts_with(&self.start) {
                        self.at = At::Other;
                    }
                }
                At::Data => {
                    self.at = At::Json;
                    self.start.clear();
                    rest = rest.strip_prefix(b" ").unwrap_or(rest);
                }
                At::Json | At::Other => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
                    if self.at == At::Json {
                        self.json(line)?;
                    }
                    rest = after;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        self.line_end()?;
        if self.chunk.as_ref().is_some_and(|chunk| chunk.open) {
            return Err(Broken::Envelope { place: "the last event", expected: "whole" });
        }
        self.answer.tell(rows);
        Ok(())
    }

    fn line_end(&mut self) -> Result<(), Broken> {
        // The data of an event may go on in another line; an empty line ends it.
        let empty = self.at == At::Start && self.start.is_empty();
        if empty && let Some(chunk) = self.chunk.take() {
            if chunk.open {
                return Err(Broken::Envelope { place: "an event", expected: "a whole JSON text" });
            }
            self.answer.chunks += 1;
        }
        self.at = At::Start;
        self.start.clear();
        Ok(())
    }

    fn json(&mut self, mut line: &[u8]) -> Result<(), Broken> {
        if self.chunk.is_none() {
            // A stream ends with a word instead of a chunk; a chunk begins with a brace.
            while let (Some(&first), true) = (line.first(), DONE.starts_with(&self.start)) {
                if self.start.is_empty() && first != b'[' {
                    break;
                }
                self.start.push(first);
                line = &line[1..];
            }
            if self.start == DONE {
                self.done = true;
            }
            if !self.start.is_empty() {
                return Ok(());
            }
        }
        if line.is_empty() {
            return Ok(());
        }
        let chunk = self.chunk.get_or_insert_default();
        let mut at = 0;
        while let Some(event) = chunk.lexer.next(line, &mut at)? {
            if !chunk.open {
                if event != Event::ObjectStart {
                    return Err(Broken::Envelope { place: "an event", expected: "an object" });
                }
                chunk.open = true;
            } else if chunk.fields.event(&event, &mut self.answer)? == Step::End {
                chunk.open = false;
            }
        }
        Ok(())
    }
}

/// The answer so far: the last value of each field.
#[derive(Debug, Clone, Default)]
struct Answer {
    name: String,
    fields: BTreeMap<String, Kept>,
    chunks: u64,
}

#[derive(Debug, Clone)]
enum Kept {
    Bool(bool),
    Number(String, Form, bool),
    Text(String, bool),
}

impl Answer {
    fn tell(&mut self, rows: &mut impl Rows) {
        rows.record();
        for (name, kept) in std::mem::take(&mut self.fields) {
            rows.field(Text { text: &name, cut: false });
            rows.scalar(&match &kept {
                Kept::Bool(value) => Scalar::Bool(*value),
                Kept::Number(text, form, cut) => {
                    Scalar::Number(Number { text, form: *form, cut: *cut })
                }
                Kept::Text(text, cut) => Scalar::Text(Text { text, cut: *cut }),
            });
        }
        rows.record_end();
        rows.whole(Content::Records);
    }
}

impl Rows for Answer {
    fn record(&mut self) {}

    fn field(&mut self, name: Text<'_>) {
        name.text.clone_into(&mut self.name);
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn record_end(&mut self) {}

    fn tensor(&mut self, _tensor: Tensor<'_>) {}

    fn tensor_end(&mut self, _values: Values) {}

    fn scalar(&mut self, value: &Scalar<'_>) {
        let name = self.name.replace("[].delta.", "[].message.");
        let joined = name.ends_with(".content") || name.ends_with("[].text");
        let kept = match *value {
            Scalar::Null | Scalar::NotFinite(_) => return,
            Scalar::Bool(value) => Kept::Bool(value),
            Scalar::Number(number) => Kept::Number(number.text.to_owned(), number.form, number.cut),
            Scalar::Text(text) => Kept::Text(text.text.to_owned(), text.cut),
        };
        let room_for_more = self.fields.len() < MAX_FIELDS;
        match (self.fields.get_mut(&name), kept) {
            (Some(Kept::Text(before, before_cut)), Kept::Text(piece, cut)) if joined => {
                let room = MAX_TOKEN_BYTES.saturating_sub(before.len());
                let fits = &piece[..piece.floor_char_boundary(room)];
                before.push_str(fits);
                *before_cut |= cut || fits.len() < piece.len();
            }
            (Some(known), kept) => *known = kept,
            (None, kept) if room_for_more => {
                self.fields.insert(name, kept);
            }
            (None, _) => {}
        }
    }

    fn bytes(&mut self, _bytes: &[u8], _cut: bool) {}

    fn list(&mut self) {}

    fn list_end(&mut self) {}

    fn object(&mut self) -> bool {
        true
    }

    fn raw(&mut self, _raw: Raw<'_>) {}

    fn plain(&self) -> Option<Plain> {
        None
    }

    fn numbers(&mut self, _count: u64) {}

    fn whole(&mut self, _content: Content) {}
}
