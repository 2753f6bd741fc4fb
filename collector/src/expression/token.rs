//! The text of an expression cut into tokens, each with its place. It does not know what they mean
//! beside each other.

use std::fmt;

use super::{ExpressionError, quoted};

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A number without a sign; finite.
    Number(f64),
    /// A text in quotes, without them.
    Text(String),
    /// A word.
    Name(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// There is no more.
    End,
}

/// Longer signs stand before those that begin them.
const SIGNS: [&str; 22] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]",
    ",", ".", "?", ":",
];

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "`{number}`"),
            Self::Text(text) => write!(f, "the text {}", quoted(text)),
            Self::Name(name) => f.write_str(&quoted(name)),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Cuts a text; the last token is [`Token::End`]. Places are characters, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionError> {
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        if letter.is_whitespace() {
            at += 1;
            continue;
        }
        let rest = &letters[at..];
        let (token, length) = if letter.is_ascii_digit() {
            number(rest, at)?
        } else if letter == '"' || letter == '\'' {
            text_in_quotes(rest, at)?
        } else if letter.is_alphabetic() || letter == '_' {
            let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            (Token::Name(rest[..length].iter().collect()), length)
        } else {
            sign(rest, at)?
        };
        found.push((at + 1, token));
        at += length;
    }
    found.push((letters.len() + 1, Token::End));
    Ok(found)
}

fn unexpected<T>(at: usize, expected: &'static str, found: &str) -> Result<T, ExpressionError> {
    Err(ExpressionError::Unexpected { at: at + 1, expected, found: found.to_owned() })
}

fn sign(rest: &[char], at: usize) -> Result<(Token, usize), ExpressionError> {
    let begins =
        |sign: &&&str| sign.chars().zip(rest).filter(|(a, b)| a == *b).count() == sign.len();
    match SIGNS.iter().find(begins) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => {
            let found = quoted(&rest[..1].iter().collect::<String>());
            match rest[0] {
                '=' => unexpected(at, "`==`", &found),
                '&' => unexpected(at, "`&&`", &found),
                '|' => unexpected(at, "`||`", &found),
                _ => unexpected(at, "a name, a number or a sign such as `+`", &found),
            }
        }
    }
}

/// Digits, a fraction, an exponent. `1.x` is the number 1 and a sign: a column may be called `x`.
fn number(rest: &[char], at: usize) -> Result<(Token, usize), ExpressionError> {
    let digits = |from: usize| rest[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut length = digits(0);
    if rest.get(length) == Some(&'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(rest.get(length), Some('e' | 'E')) {
        let signed = usize::from(matches!(rest.get(length + 1), Some('+' | '-')));
        let exponent = digits((length + 1 + signed).min(rest.len()));
        if exponent > 0 {
            length += 1 + signed + exponent;
        }
    }
    let written: String = rest[..length].iter().collect();
    match written.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Token::Number(number), length)),
        _ => unexpected(at, "a number that a double can hold", &quoted(&written)),
    }
}

fn text_in_quotes(rest: &[char], at: usize) -> Result<(Token, usize), ExpressionError> {
    let quote = rest[0];
    let mut text = String::new();
    let mut letters = rest.iter().enumerate().skip(1);
    while let Some((place, &letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Ok((Token::Text(text), place + 1)),
            '\\' => match letters.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => text.push(*escaped),
                _ => return unexpected(at + place, "`\\\\`, `\\\"` or `\\'`", "another escape"),
            },
            letter => text.push(letter),
        }
    }
    unexpected(at, "a closing quote", "none")
}
