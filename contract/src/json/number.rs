//! Numbers: their grammar as a machine over slices, and their value when someone asks for it. It
//! does not know what a number is allowed to be.

use super::decimal::{EXACT_DIGITS, TENS};
use super::{Error, Inside, Lexer, MINUS_INFINITY, Token, block};

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
        let (sign, digits) = match self.text.as_bytes() {
            [b'-', digits @ ..] => (-1.0, digits),
            digits => (1.0, digits),
        };
        // Most numbers of tables are so short that a double, or two, hold their digits.
        match self.form {
            Form::Whole if digits.len() <= EXACT_DIGITS => Some(sign * of_digits(0, digits) as f64),
            Form::Fraction if digits.len() <= EXACT_DIGITS => Some(sign * quotient(digits)),
            _ => self.text.parse().ok(),
        }
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

/// The number that these digits make behind others.
#[inline]
fn of_digits(before: u64, digits: &[u8]) -> u64 {
    digits.iter().fold(before, |value, byte| value * 10 + u64::from(byte & 0xf))
}

/// The number that at most [`EXACT_DIGITS`] digits with a point are.
#[inline]
fn quotient(digits: &[u8]) -> f64 {
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, behind) = digits.split_at(point);
    let part = behind.get(1..).unwrap_or_default();
    of_digits(of_digits(0, whole), part) as f64 / TENS[part.len()]
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
pub(super) fn whole(bytes: &[u8]) -> Option<(Form, usize)> {
    // Most numbers are short.
    if let Some(sixteen) = bytes.first_chunk() {
        let places = block::digits(sixteen);
        let short = formed(sixteen, |from| (!(places >> from)).trailing_zeros() as usize);
        if short.is_some() {
            return short;
        }
    }
    formed(bytes, |from| digits(&bytes[from..]))
}

/// The same, where it is told how many digits there are from a place on.
#[inline(always)]
fn formed(bytes: &[u8], digits: impl Fn(usize) -> usize) -> Option<(Form, usize)> {
    let begin = usize::from(bytes.first() == Some(&b'-'));
    let mut at = begin + digits(begin);
    if at == begin || bytes[begin] == b'0' && at > begin + 1 {
        return None;
    }
    let mut form = Form::Whole;
    if *bytes.get(at)? == b'.' {
        let point = at;
        at += 1 + digits(at + 1);
        if at == point + 1 {
            return None;
        }
        form = Form::Fraction;
    }
    (!matches!(bytes.get(at)?, b'.' | b'e' | b'E')).then_some((form, at))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_is_the_double_that_it_is_nearest_to() {
        let mut seed = 1_u64;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (digits, sign) = (seed >> 33, if seed & 1 << 20 == 0 { "" } else { "-" });
            for decimals in 0..=6 {
                let ten = 10_u64.pow(decimals);
                let (whole, part) = (digits / ten, digits % ten);
                let text = match decimals {
                    0 => format!("{sign}{whole}"),
                    places => format!("{sign}{whole}.{part:0places$}", places = places as usize),
                };
                let form = if decimals == 0 { Form::Whole } else { Form::Fraction };
                let value = Number { text: &text, form, cut: false }.value().map(f64::to_bits);
                assert_eq!(value, text.parse().ok().map(f64::to_bits), "{text}");
            }
        }
    }
}
