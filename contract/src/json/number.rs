//! Numbers: their grammar as a machine over slices, and their value when someone asks for it. It
//! does not know what a number is allowed to be.

use super::{Error, Inside, Lexer, MINUS_INFINITY, Token};

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number<'a> {
    /// Its characters, up to [`super::MAX_TOKEN_BYTES`].
    pub text: &'a str,
    /// How it was written.
    pub form: Form,
    /// Whether it was longer than what is kept.
    pub cut: bool,
}

/// How a number was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Digits only.
    Whole,
    /// With a point.
    Fraction,
    /// With an exponent; the only form that can overflow a double within the kept bytes.
    Exponent,
}

impl Number<'_> {
    /// The nearest double; infinite past its range, `None` when the number was cut.
    pub fn value(&self) -> Option<f64> {
        if self.cut {
            return None;
        }
        // Up to 15 digits are exact in a double, and most numbers of tables are such.
        if self.form == Form::Whole && self.text.len() <= 15 && !self.text.starts_with('-') {
            let value = self.text.bytes().fold(0, |value, byte| value * 10 + u64::from(byte & 0xf));
            return Some(value as f64);
        }
        self.text.parse().ok()
    }
}

/// Which numbers need no look. One with an exponent, and one so long that it could pass the range of
/// a double, always needs one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plain {
    /// Only those that are digits and nothing else, but for a sign.
    pub whole: bool,
    /// Only those with at most so many digits in a row; `u32::MAX` for any.
    pub max_digits: u32,
    /// Also those below zero.
    pub negative: bool,
    /// Only those from the first to the second. Only where this is asked are numbers converted.
    pub range: Option<(f64, f64)>,
}

/// The part of a number that was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Start,
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Mark,
    Sign,
    Exponent,
}

impl Part {
    /// Takes the bytes that continue the number and says how many they are.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            *self = match (*self, byte) {
                (Self::Start, b'-') => Self::Minus,
                (Self::Start | Self::Minus, b'0') => Self::Zero,
                (Self::Start | Self::Minus | Self::Whole, b'0'..=b'9') => Self::Whole,
                (Self::Zero | Self::Whole, b'.') => Self::Point,
                (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
                (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Mark,
                (Self::Mark, b'+' | b'-') => Self::Sign,
                (Self::Mark | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
                _ => return at,
            };
            at += 1;
            if matches!(self, Self::Whole | Self::Fraction | Self::Exponent) {
                at += digits(&bytes[at..]);
            }
        }
        at
    }

    /// The form of the number if it may end here.
    pub(super) fn form(self) -> Option<Form> {
        match self {
            Self::Zero | Self::Whole => Some(Form::Whole),
            Self::Fraction => Some(Form::Fraction),
            Self::Exponent => Some(Form::Exponent),
            Self::Start | Self::Minus | Self::Point | Self::Mark | Self::Sign => None,
        }
    }
}

/// A number without exponent that ends before these bytes do, and its length; `None` for all others, good
/// or bad.
#[inline]
fn whole(bytes: &[u8]) -> Option<(Form, usize)> {
    let begin = usize::from(bytes.first() == Some(&b'-'));
    let mut at = begin;
    while bytes.get(at)?.is_ascii_digit() {
        at += 1;
    }
    if at == begin || bytes[begin] == b'0' && at > begin + 1 {
        return None;
    }
    let mut form = Form::Whole;
    if bytes[at] == b'.' {
        let point = at;
        at += 1;
        while bytes.get(at)?.is_ascii_digit() {
            at += 1;
        }
        if at == point + 1 {
            return None;
        }
        form = Form::Fraction;
    }
    (!matches!(bytes[at], b'.' | b'e' | b'E')).then_some((form, at))
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

impl Lexer {
    pub(super) fn number(
        &mut self,
        mut part: Part,
        chunk: &[u8],
        at: &mut usize,
    ) -> Result<Token, Error> {
        let first = part == Part::Start;
        let begin = *at;
        if first && let Some((form, length)) = whole(&chunk[begin..]) {
            *at = begin + length;
            self.value_done();
            self.found(chunk, begin, *at);
            return Ok(Token::Number(form));
        }
        let end = begin + part.take(&chunk[begin..]);
        if part == Part::Minus && chunk.get(end) == Some(&b'I') {
            self.inside = Inside::Word { word: MINUS_INFINITY, matched: 1 };
            *at = end;
            return Ok(Token::More);
        }
        if first {
            self.kept.clear();
            self.cut = false;
            self.span = None;
        }
        self.keep(str::from_utf8(&chunk[begin..end]).unwrap_or_default());
        *at = end;
        if end == chunk.len() {
            self.inside = Inside::Number(part);
            return Ok(Token::More);
        }
        let Some(form) = part.form() else {
            return Err(self.unexpected(end, chunk[end], "a digit"));
        };
        self.value_done();
        Ok(Token::Number(form))
    }
}
