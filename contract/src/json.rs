//! JSON as it streams past: bytes in, events out, in memory that does not grow with the body. It
//! does not know what the events mean, and never looks ahead of a chunk or back.
//!
//! Events are pulled, so that whoever reads them can pass over numbers that need no look
//! ([`Lexer::numbers`]).
//!
//! The grammar is RFC 8259's, and beyond it the three words that Python's `json` writes for numbers that are
//! not finite: model servers mean them. A number's size is not part of it, so `1e999` is a number here.

mod block;
mod decimal;
mod member;
mod number;
mod numbers;
mod text;

pub use number::{Form, Number, Plain};
pub use numbers::Lists;
pub use text::Text;

use number::Part;
use text::Escape;

/// How many arrays and objects may stand in each other.
pub const MAX_DEPTH: u32 = 64;

/// How many bytes of a text or number are kept; the rest is read and flagged as cut.
pub const MAX_TOKEN_BYTES: usize = 256;

/// What the bytes said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// The name of the member whose value comes next.
    Key(Text<'a>),
    /// A value that holds no others.
    Scalar(Scalar<'a>),
}

/// A value that holds no others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, not yet converted.
    Number(Number<'a>),
    /// `NaN`, `Infinity` or `-Infinity`.
    NotFinite(f64),
    /// A text, its escapes resolved.
    Text(Text<'a>),
}

/// Why bytes are not JSON. `at` is the byte's place in the body, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A byte that cannot stand here.
    #[error("byte {at}: expected {expected}, got {}", printable(*.byte))]
    Unexpected {
        /// Where.
        at: u64,
        /// What came.
        byte: u8,
        /// What could have come.
        expected: &'static str,
    },
    /// A text that is not UTF-8.
    #[error("byte {at}: a text that is not UTF-8")]
    InvalidUtf8 {
        /// Where the bad sequence begins.
        at: u64,
    },
    /// Half of a surrogate pair.
    #[error("byte {at}: a surrogate escape without its other half")]
    LoneSurrogate {
        /// Where.
        at: u64,
    },
    /// Nested past [`MAX_DEPTH`].
    #[error("byte {at}: nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where.
        at: u64,
    },
    /// The body ended before its root did.
    #[error("byte {at}: the body ends before it is whole")]
    CutShort {
        /// The body's length.
        at: u64,
    },
}

fn printable(byte: u8) -> String {
    match byte {
        0x21..=0x7e => format!("`{}`", char::from(byte)),
        _ => format!("0x{byte:02x}"),
    }
}

/// The word that begins as a number does.
const MINUS_INFINITY: &str = "-Infinity";

/// What may come next between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// The token the last chunk ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Text,
    Number(Part),
    Word { word: &'static str, matched: usize },
}

/// What one step found. Its characters are where [`Lexer::span`] says, or were kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Nothing yet.
    More,
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Key,
    Text,
    Number(Form),
    Bool(bool),
    Null,
    NotFinite(Word),
}

/// A number that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    NaN,
    Infinity,
    MinusInfinity,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Reads one body. Any cutting into chunks gives the same events and the same error.
#[derive(Debug, Clone)]
pub struct Lexer {
    expect: Expect,
    inside: Inside,
    /// One bit for each open container, the innermost lowest: 1 for an object.
    objects: u64,
    depth: u32,
    escape: Escape,
    partial: text::Partial,
    /// What was kept of a token that did not lie whole and plain in one chunk.
    kept: String,
    /// Where in the chunk the characters of a token lie that does lie so.
    span: Option<(usize, usize)>,
    cut: bool,
    offset: u64,
    error: Option<Error>,
}

impl Default for Lexer {
    fn default() -> Self {
        Self {
            expect: Expect::Value,
            inside: Inside::Nothing,
            objects: 0,
            depth: 0,
            escape: Escape::None,
            partial: text::Partial::default(),
            kept: String::new(),
            span: None,
            cut: false,
            offset: 0,
            error: None,
        }
    }
}

impl Lexer {
    /// Whether the root has closed. A bare number closes only with [`Lexer::finish`].
    pub fn is_whole(&self) -> bool {
        self.expect == Expect::Nothing && self.error.is_none()
    }

    /// The next event that begins or ends in `chunk` at or after `at`, which moves behind it. `None`
    /// when the chunk is used up; ask with the next chunk then.
    ///
    /// # Errors
    /// At the first byte that cannot continue a JSON text, and the same at every later call.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        chunk: &'a [u8],
        at: &mut usize,
    ) -> Result<Option<Event<'a>>, Error> {
        let token = self.token(chunk, at);
        if token == Token::More {
            return self.error.map_or(Ok(None), Err);
        }
        Ok(Some(self.event(token, chunk)))
    }

    /// The next token; [`Token::More`] when the chunk is used up, or there is an error. It is small, and
    /// its characters stay where they are, because copying events about costs more than finding them.
    fn token(&mut self, chunk: &[u8], at: &mut usize) -> Token {
        if self.error.is_some() {
            return Token::More;
        }
        while *at < chunk.len() {
            let step = match self.inside {
                Inside::Nothing => self.between(chunk, at),
                Inside::Text => self.text(chunk, at),
                Inside::Number(part) => self.number(part, chunk, at),
                Inside::Word { word, matched } => self.word(word, matched, chunk[*at], at),
            };
            match step {
                Ok(Token::More) => {}
                Ok(token) => return token,
                Err(error) => {
                    self.error = Some(error);
                    return Token::More;
                }
            }
        }
        self.offset += chunk.len() as u64;
        Token::More
    }

    /// Says that no more comes. Gives the number that the end completes, where there is one.
    ///
    /// # Errors
    /// When the text is not whole.
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let last = match self.inside {
            Inside::Number(part) => part.form(),
            Inside::Nothing | Inside::Text | Inside::Word { .. } => None,
        };
        if last.is_some() {
            self.value_done();
            self.span = None;
        }
        if self.expect != Expect::Nothing {
            let error = Error::CutShort { at: self.offset };
            self.error = Some(error);
            return Err(error);
        }
        Ok(last.map(|form| self.event(Token::Number(form), &[])))
    }

    /// The event of a token that was found in this chunk just now.
    #[inline]
    fn event<'a>(&'a self, token: Token, chunk: &'a [u8]) -> Event<'a> {
        let text = match self.span {
            // SAFETY: the token was just found in this chunk, and its bytes there are UTF-8.
            Some((begin, end)) => unsafe {
                str::from_utf8_unchecked(chunk.get(begin..end).unwrap_or_default())
            },
            None => self.kept.as_str(),
        };
        let cut = self.cut;
        match token {
            Token::ObjectStart => Event::ObjectStart,
            Token::ObjectEnd => Event::ObjectEnd,
            Token::ArrayStart => Event::ArrayStart,
            Token::ArrayEnd => Event::ArrayEnd,
            Token::Key => Event::Key(Text { text, cut }),
            Token::Text => Event::Scalar(Scalar::Text(Text { text, cut })),
            Token::Number(form) => Event::Scalar(Scalar::Number(Number { text, form, cut })),
            Token::Bool(value) => Event::Scalar(Scalar::Bool(value)),
            Token::NotFinite(word) => Event::Scalar(Scalar::NotFinite(match word {
                Word::NaN => f64::NAN,
                Word::Infinity => f64::INFINITY,
                Word::MinusInfinity => f64::NEG_INFINITY,
            })),
            Token::Null | Token::More => Event::Scalar(Scalar::Null),
        }
    }

    /// Remembers that the characters of the token lie in the chunk, and how many of them are kept.
    fn found(&mut self, chunk: &[u8], begin: usize, end: usize) {
        self.cut = end - begin > MAX_TOKEN_BYTES;
        let kept = if self.cut { text::head_length(&chunk[begin..end]) } else { end - begin };
        self.span = Some((begin, begin + kept));
    }

    fn place(&self, at: usize) -> u64 {
        self.offset + at as u64
    }

    fn unexpected(&self, at: usize, byte: u8, expected: &'static str) -> Error {
        Error::Unexpected { at: self.place(at), byte, expected }
    }

    fn between(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Error> {
        // Most tokens stand close together.
        let mut byte = chunk[*at];
        if is_blank(byte) {
            let Some(blanks) = chunk[*at..].iter().position(|byte| !is_blank(*byte)) else {
                *at = chunk.len();
                return Ok(Token::More);
            };
            *at += blanks;
            byte = chunk[*at];
        }
        let token = match (self.expect, byte) {
            (Expect::CommaOrEnd, b',') => {
                *at += 1;
                if self.objects & 1 == 0 {
                    self.expect = Expect::Value;
                    return Ok(Token::More);
                }
                self.expect = Expect::Key;
                // Most keys stand close to the comma.
                if chunk.get(*at) == Some(&b'"') {
                    *at += 1;
                    return self.text_start(chunk, at);
                }
                return Ok(Token::More);
            }
            (Expect::Colon, b':') => {
                self.expect = Expect::Value;
                Token::More
            }
            (Expect::Key | Expect::FirstKey | Expect::Value | Expect::FirstElement, b'"') => {
                *at += 1;
                return self.text_start(chunk, at);
            }
            (Expect::Value | Expect::FirstElement, b'-' | b'0'..=b'9') => {
                return self.number(Part::Start, chunk, at);
            }
            (Expect::CommaOrEnd, b']') if self.objects & 1 == 0 => {
                self.close();
                Token::ArrayEnd
            }
            (Expect::FirstElement, b']') => {
                self.close();
                Token::ArrayEnd
            }
            (Expect::CommaOrEnd, b'}') if self.objects & 1 == 1 => {
                self.close();
                Token::ObjectEnd
            }
            (Expect::FirstKey, b'}') => {
                self.close();
                Token::ObjectEnd
            }
            (Expect::Value | Expect::FirstElement, b'[') => {
                self.open(*at, false)?;
                Token::ArrayStart
            }
            (Expect::Value | Expect::FirstElement, b'{') => {
                self.open(*at, true)?;
                Token::ObjectStart
            }
            (Expect::Value | Expect::FirstElement, b't' | b'f' | b'n' | b'N' | b'I') => {
                return self.word_start(chunk, at);
            }
            _ => return Err(self.unexpected(*at, byte, self.expected())),
        };
        *at += 1;
        Ok(token)
    }

    fn expected(&self) -> &'static str {
        match self.expect {
            Expect::Value => "a value",
            Expect::FirstElement => "a value or `]`",
            Expect::FirstKey => "a name in quotes or `}`",
            Expect::Key => "a name in quotes",
            Expect::Colon => "`:`",
            Expect::CommaOrEnd if self.objects & 1 == 1 => "`,` or `}`",
            Expect::CommaOrEnd => "`,` or `]`",
            Expect::Nothing => "nothing after the end",
        }
    }

    fn open(&mut self, at: usize, object: bool) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep { at: self.place(at) });
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        self.expect = if object { Expect::FirstKey } else { Expect::FirstElement };
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.value_done();
    }

    fn value_done(&mut self) {
        self.inside = Inside::Nothing;
        self.expect = if self.depth == 0 { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn word_start(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Error> {
        let word = match chunk[*at] {
            b't' => "true",
            b'f' => "false",
            b'N' => "NaN",
            b'I' => "Infinity",
            _ => "null",
        };
        if chunk[*at..].starts_with(word.as_bytes()) {
            *at += word.len();
            return Ok(self.word_done(word));
        }
        self.inside = Inside::Word { word, matched: 1 };
        *at += 1;
        Ok(Token::More)
    }

    fn word(
        &mut self,
        word: &'static str,
        matched: usize,
        byte: u8,
        at: &mut usize,
    ) -> Result<Token, Error> {
        if word.as_bytes()[matched] != byte {
            return Err(self.unexpected(*at, byte, word));
        }
        *at += 1;
        if matched + 1 < word.len() {
            self.inside = Inside::Word { word, matched: matched + 1 };
            return Ok(Token::More);
        }
        Ok(self.word_done(word))
    }

    fn word_done(&mut self, word: &str) -> Token {
        self.value_done();
        match word {
            "null" => Token::Null,
            "NaN" => Token::NotFinite(Word::NaN),
            "Infinity" => Token::NotFinite(Word::Infinity),
            MINUS_INFINITY => Token::NotFinite(Word::MinusInfinity),
            word => Token::Bool(word == "true"),
        }
    }

    /// Keeps a piece of the current token, up to the bound.
    fn keep(&mut self, piece: &str) {
        if self.cut {
            return;
        }
        let kept = text::head(piece, MAX_TOKEN_BYTES - self.kept.len());
        self.kept.push_str(kept);
        self.cut = kept.len() < piece.len();
    }
}
