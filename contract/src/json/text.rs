//! Texts: runs of plain bytes, escapes, surrogate pairs and UTF-8 that chunks cut in two. It does
//! not know what a text is for.

use super::block;
use super::{Error, Expect, Inside, Lexer, MAX_TOKEN_BYTES, Token};

/// A text, its escapes resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its characters, up to [`MAX_TOKEN_BYTES`] bytes.
    pub text: &'a str,
    /// Whether it was longer than what is kept.
    pub cut: bool,
}

/// How far an escape has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// After the backslash.
    Start,
    /// Within `\uXXXX`; `high` is the first half of a pair, if one came before.
    Hex {
        value: u16,
        left: u8,
        high: Option<u16>,
    },
    /// After the first half of a pair: a backslash must come.
    Pair(u16),
    /// After that backslash: a `u` must come.
    PairMark(u16),
}

/// The first bytes of a character that a chunk cut in two.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Partial {
    bytes: [u8; 4],
    length: usize,
}

/// The start of a text, at most `most` bytes, cut between characters.
pub(super) fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// How many bytes of a long text are kept, cut between characters.
pub(super) fn head_length(text: &[u8]) -> usize {
    let continues = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (0..=MAX_TOKEN_BYTES).rev().find(|at| !continues(at)).unwrap_or(0)
}

/// How many bytes from the start are neither quote, backslash nor control character.
pub(super) fn plain(bytes: &[u8]) -> usize {
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let ascii = block::plain_ascii(bytes);
    ascii + bytes[ascii..].iter().position(special).unwrap_or(bytes.len() - ascii)
}

/// What a letter behind a backslash stands for, but for `u`.
pub(super) fn plain_escape(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

impl Lexer {
    /// Begins the text after its opening quote.
    pub(super) fn text_start(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Error> {
        let begin = *at;
        let rest = &chunk[begin..];
        let ascii = block::plain_ascii(rest);
        let run =
            if rest.get(ascii) == Some(&b'"') { ascii } else { ascii + plain(&rest[ascii..]) };
        if rest.get(run) != Some(&b'"') {
            self.kept.clear();
            self.cut = false;
            self.span = None;
            self.inside = Inside::Text;
            return Ok(Token::More);
        }
        if run > ascii {
            str::from_utf8(&rest[..run]).map_err(|error| Error::InvalidUtf8 {
                at: self.place(begin + error.valid_up_to()),
            })?;
        }
        self.found(chunk, begin, begin + run);
        *at = begin + run + 1;
        let token = self.text_done();
        if token == Token::Key && chunk.get(*at) == Some(&b':') {
            *at += 1;
            self.expect = Expect::Value;
        }
        Ok(token)
    }

    /// Ends a text and says whether it is a key.
    fn text_done(&mut self) -> Token {
        if matches!(self.expect, Expect::Key | Expect::FirstKey) {
            self.inside = Inside::Nothing;
            self.expect = Expect::Colon;
            return Token::Key;
        }
        self.value_done();
        Token::Text
    }

    pub(super) fn text(&mut self, chunk: &[u8], at: &mut usize) -> Result<Token, Error> {
        if self.escape != Escape::None {
            self.escape(chunk[*at], *at)?;
            *at += 1;
            return Ok(Token::More);
        }
        if self.partial.length > 0 {
            self.complete(chunk[*at], *at)?;
            *at += 1;
            return Ok(Token::More);
        }
        let rest = &chunk[*at..];
        let run = plain(rest);
        match str::from_utf8(&rest[..run]) {
            Ok(piece) => self.keep(piece),
            Err(error) => {
                let good = error.valid_up_to();
                if error.error_len().is_some() || run < rest.len() {
                    return Err(Error::InvalidUtf8 { at: self.place(*at + good) });
                }
                self.keep(str::from_utf8(&rest[..good]).unwrap_or_default());
                let tail = &rest[good..run];
                self.partial.length = tail.len();
                self.partial.bytes[..tail.len()].copy_from_slice(tail);
            }
        }
        let Some(&byte) = rest.get(run) else {
            *at = chunk.len();
            return Ok(Token::More);
        };
        let end = *at + run;
        match byte {
            b'"' => {
                *at = end + 1;
                return Ok(self.text_done());
            }
            b'\\' => self.escape = Escape::Start,
            _ => return Err(self.unexpected(end, byte, "no bare control character")),
        }
        *at = end + 1;
        Ok(Token::More)
    }

    fn complete(&mut self, byte: u8, at: usize) -> Result<(), Error> {
        let mut partial = self.partial;
        partial.bytes[partial.length] = byte;
        partial.length += 1;
        match str::from_utf8(&partial.bytes[..partial.length]) {
            Ok(piece) => {
                self.keep(piece);
                self.partial.length = 0;
            }
            Err(error) if error.error_len().is_none() => self.partial = partial,
            Err(_) => {
                let start = self.place(at) - self.partial.length as u64;
                return Err(Error::InvalidUtf8 { at: start });
            }
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8, at: usize) -> Result<(), Error> {
        let mut buffer = [0; 4];
        self.escape = match self.escape {
            Escape::None => Escape::None,
            Escape::Start => {
                if byte == b'u' {
                    self.escape = Escape::Hex { value: 0, left: 4, high: None };
                    return Ok(());
                }
                let Some(plain) = plain_escape(byte) else {
                    return Err(self.unexpected(at, byte, "an escape"));
                };
                self.keep(plain.encode_utf8(&mut buffer));
                Escape::None
            }
            Escape::Hex { value, left, high } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return Err(self.unexpected(at, byte, "a hexadecimal digit"));
                };
                let value = value << 4 | digit as u16;
                if left > 1 {
                    Escape::Hex { value, left: left - 1, high }
                } else if high.is_none() && (0xd800..0xdc00).contains(&value) {
                    Escape::Pair(value)
                } else {
                    let units = high.into_iter().chain([value]);
                    let Some(Ok(character)) = char::decode_utf16(units).next() else {
                        return Err(Error::LoneSurrogate { at: self.place(at) });
                    };
                    self.keep(character.encode_utf8(&mut buffer));
                    Escape::None
                }
            }
            Escape::Pair(high) if byte == b'\\' => Escape::PairMark(high),
            Escape::PairMark(high) if byte == b'u' => {
                Escape::Hex { value: 0, left: 4, high: Some(high) }
            }
            Escape::Pair(_) | Escape::PairMark(_) => {
                return Err(Error::LoneSurrogate { at: self.place(at) });
            }
        };
        Ok(())
    }
}
