//! A segment as people write it, read and written. It does not know models, nor whether an input exists.

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;
use std::str::FromStr;

use super::{
    Bound, Condition, MAX_CONDITIONS, MAX_TEXT_BYTES, MAX_VALUES, Network, Range, Segment,
};

/// Characters of what was written that a message repeats.
const MAX_QUOTED_CHARS: usize = 40;
/// What stands for all ways to write a condition.
const FORMS: &str = "`age >= 55`, `work in [Private, \"Self emp\"]`, `age is null`, \
                     `header:x-client = acme` or `client:address in [10.0.0.0/8]`";
/// Words that must stand in quotes where they are a name or value.
const WORDS: [&str; 4] = ["and", "in", "is", "null"];

/// Why a text is no segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Something else was expected at a place.
    #[error(
        "character {at}: expected {expected}, found {found}; conditions are {FORMS}, joined by `and`"
    )]
    Unexpected {
        /// Where, from 1, in characters.
        at: usize,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// There is no condition, or a condition without a name or value.
    #[error("a segment needs a condition, and each of them a name and values; write {FORMS}")]
    Nothing,
    /// More than can be held against each request.
    #[error("more than {most} {what}; write fewer")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// Longer than is read.
    #[error("{what} is longer than {most} bytes, which nothing can match; shorten it")]
    TooLong {
        /// What.
        what: &'static str,
        /// The bound in bytes.
        most: usize,
    },
    /// Two bounds with nothing between them.
    #[error("`{input}`: no value lies within these bounds; swap them")]
    Empty {
        /// The input.
        input: String,
    },
    /// Not a header that a client's request can have.
    #[error("`{name}` is no header of a client's request; name one such as `header:x-client`")]
    NoHeader {
        /// As written.
        name: String,
    },
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word as it stands.
    Bare(String),
    /// A word in quotes, without them.
    Quoted(String),
    /// `>=`, `<=`, `>`, `<`, `=`, `[`, `]` or `,`.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 9] = [">=", "<=", "==", ">", "<", "=", "[", "]", ","];

impl Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(word) | Self::Quoted(word) => {
                let shown: String = word.chars().take(MAX_QUOTED_CHARS).collect();
                write!(f, "`{}`", shown.escape_debug())
            }
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Reads pieces one by one.
struct Reader<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
    /// Where the piece at hand begins, in bytes.
    began: usize,
    token: Token,
}

impl<'a> Reader<'a> {
    fn of(text: &'a str) -> Result<Self, SegmentError> {
        let mut reader = Self { text, at: 0, began: 0, token: Token::End };
        reader.advance()?;
        Ok(reader)
    }

    fn place(&self, byte: usize) -> usize {
        self.text.get(..byte).unwrap_or_default().chars().count() + 1
    }

    fn unexpected<T>(&self, expected: &'static str) -> Result<T, SegmentError> {
        let (at, found) = (self.place(self.began), self.token.to_string());
        Err(SegmentError::Unexpected { at, expected, found })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Turns to the next piece, and gives the one before.
    fn advance(&mut self) -> Result<Token, SegmentError> {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.at += blanks;
        self.began = self.at;
        let rest = self.rest();
        let next = if rest.is_empty() {
            Token::End
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            self.at += sign.len();
            Token::Sign(if sign == "==" { "=" } else { sign })
        } else if rest.starts_with('"') {
            Token::Quoted(self.quoted()?)
        } else {
            let length = rest.find(|letter| !is_bare(letter)).unwrap_or(rest.len());
            if length == 0 {
                let found = rest.chars().next().unwrap_or_default();
                let (at, found) = (self.place(self.at), format!("`{}`", found.escape_debug()));
                let expected = "a word; put it in double quotes";
                return Err(SegmentError::Unexpected { at, expected, found });
            }
            self.at += length;
            Token::Bare(rest[..length].to_owned())
        };
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// The text between quotes, whose first stands next.
    fn quoted(&mut self) -> Result<String, SegmentError> {
        let began = self.at;
        let bad = |reader: &Self, byte: usize, expected, found: &str| {
            let found = found.to_owned();
            Err(SegmentError::Unexpected { at: reader.place(byte), expected, found })
        };
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at = began + at + 1;
                    return Ok(text);
                }
                '\\' => match letters.next().map(|(_, escaped)| escaped) {
                    Some(escaped @ ('"' | '\\')) => text.push(escaped),
                    Some('u') => {
                        let hex: String = letters
                            .by_ref()
                            .map(|(_, letter)| letter)
                            .skip_while(|letter| *letter == '{')
                            .take_while(|letter| *letter != '}')
                            .take(9)
                            .collect();
                        match u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32) {
                            Some(escaped) => text.push(escaped),
                            None => {
                                return bad(
                                    self,
                                    began + at,
                                    "a letter such as `\\u{e9}`",
                                    "another",
                                );
                            }
                        }
                    }
                    _ => {
                        return bad(
                            self,
                            began + at,
                            "`\\\"`, `\\\\` or `\\u{...}`",
                            "another escape",
                        );
                    }
                },
                letter => text.push(letter),
            }
        }
        bad(self, began, "a closing quote", "none")
    }

    fn is(&self, word: &str) -> bool {
        matches!(&self.token, Token::Bare(bare) if bare == word)
    }

    /// A name or value; words of ours need quotes.
    fn word(&mut self, expected: &'static str) -> Result<String, SegmentError> {
        match &self.token {
            Token::Quoted(_) => {}
            Token::Bare(word) if !WORDS.contains(&word.as_str()) => {}
            _ => return self.unexpected(expected),
        }
        match self.advance()? {
            Token::Bare(word) | Token::Quoted(word) => Ok(word),
            Token::Sign(_) | Token::End => self.unexpected(expected),
        }
    }

    /// `[a, b]`, or one value alone after `=`.
    fn values(&mut self) -> Result<Vec<String>, SegmentError> {
        if self.token == Token::Sign("=") {
            self.advance()?;
            return Ok(vec![self.word("a value (`x is null` asks for none)")?]);
        }
        self.advance()?;
        if self.token != Token::Sign("[") {
            return self.unexpected("`[` and the values");
        }
        let mut values = Vec::new();
        loop {
            self.advance()?;
            values.push(self.word("a value")?);
            if values.len() > MAX_VALUES {
                return Err(SegmentError::TooMany {
                    what: "values of one condition",
                    most: MAX_VALUES,
                });
            }
            match self.token {
                Token::Sign(",") => {}
                Token::Sign("]") => break,
                _ => return self.unexpected("`,` or `]`"),
            }
        }
        self.advance()?;
        Ok(values)
    }

    fn number(&mut self) -> Result<f64, SegmentError> {
        let number = match &self.token {
            Token::Bare(word) => word.parse::<f64>().ok().filter(|number| number.is_finite()),
            _ => None,
        };
        let Some(number) = number else { return self.unexpected("a number") };
        self.advance()?;
        Ok(number)
    }

    fn condition(&mut self) -> Result<Condition, SegmentError> {
        let bare = matches!(self.token, Token::Bare(_));
        let began = self.began;
        let name = self.word("an input, `header:NAME` or `client:address`")?;
        if let Some(header) = name.strip_prefix("header:").filter(|_| bare) {
            let name = header.to_ascii_lowercase();
            if !(self.token == Token::Sign("=") || self.is("in")) {
                return self.unexpected("`=` or `in`");
            }
            return Ok(Condition::Header { name, values: self.values()? });
        }
        if name.starts_with("client:") && bare {
            if name != "client:address" || !(self.token == Token::Sign("=") || self.is("in")) {
                let (at, found) = (self.place(began), format!("`{}`", name.escape_debug()));
                let expected = "`client:address in [10.0.0.0/8]`";
                return Err(SegmentError::Unexpected { at, expected, found });
            }
            let written = self.values()?;
            let networks: Option<Vec<Network>> = written.iter().map(|it| network(it)).collect();
            let Some(networks) = networks else {
                let (at, found) = (self.place(began), written.join(", "));
                let expected = "addresses or networks such as 10.0.0.0/8";
                return Err(SegmentError::Unexpected { at, expected, found });
            };
            return Ok(Condition::Client { networks });
        }
        match &self.token {
            Token::Sign(sign @ (">=" | ">" | "<=" | "<")) => {
                let sign = *sign;
                self.advance()?;
                let bound = Bound { value: self.number()?, included: sign.ends_with('=') };
                let range = if sign.starts_with('>') {
                    Range { least: Some(bound), greatest: None }
                } else {
                    Range { least: None, greatest: Some(bound) }
                };
                Ok(Condition::Range { input: name, range })
            }
            Token::Sign("=") => Ok(Condition::Levels { input: name, levels: self.values()? }),
            Token::Bare(word) if word == "in" => {
                Ok(Condition::Levels { input: name, levels: self.values()? })
            }
            Token::Bare(word) if word == "is" => {
                self.advance()?;
                if !self.is("null") {
                    return self.unexpected("`null`");
                }
                self.advance()?;
                Ok(Condition::Null { input: name })
            }
            _ => self.unexpected("`>=`, `>`, `<=`, `<`, `=`, `in [...]` or `is null`"),
        }
    }
}

fn is_bare(letter: char) -> bool {
    !letter.is_whitespace() && !letter.is_control() && !"<>=[],\"\\".contains(letter)
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    Network::of(address, bits.unwrap_or(if address.is_ipv4() { 32 } else { 128 }))
}

impl FromStr for Segment {
    type Err = SegmentError;

    /// Reads a segment.
    fn from_str(text: &str) -> Result<Self, SegmentError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(SegmentError::TooLong { what: "a segment", most: MAX_TEXT_BYTES });
        }
        let mut reader = Reader::of(text)?;
        if reader.token == Token::End {
            return Err(SegmentError::Nothing);
        }
        let mut conditions = vec![reader.condition()?];
        while reader.token != Token::End {
            if !reader.is("and") {
                return reader.unexpected("`and` and another condition, or nothing");
            }
            // Two bounds of one range are two conditions here.
            if conditions.len() == 2 * MAX_CONDITIONS {
                return Err(SegmentError::TooMany { what: "conditions", most: MAX_CONDITIONS });
            }
            reader.advance()?;
            conditions.push(reader.condition()?);
        }
        Self::of(conditions)
    }
}

/// A word as it is read again: in quotes where it must.
struct Word<'a>(&'a str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixed = self.0.starts_with("header:") || self.0.starts_with("client:");
        let plain = !self.0.is_empty() && self.0.chars().all(is_bare);
        if plain && !prefixed && !WORDS.contains(&self.0) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                letter if letter.is_control() => write!(f, "\\u{{{:x}}}", u32::from(letter))?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}

fn list<T: Display>(
    f: &mut fmt::Formatter<'_>,
    values: impl ExactSizeIterator<Item = T>,
) -> fmt::Result {
    let (sign, end) = if values.len() == 1 { (" = ", "") } else { (" in [", "]") };
    f.write_str(sign)?;
    for (at, value) in values.enumerate() {
        f.write_str(if at == 0 { "" } else { ", " })?;
        value.fmt(f)?;
    }
    f.write_str(end)
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { input, range } => {
                let sign = |bound: Bound, sign: &str| {
                    let equal = if bound.included { "=" } else { "" };
                    format!("{} {sign}{equal} {}", Word(input), bound.value)
                };
                let ends =
                    [range.least.map(|it| sign(it, ">")), range.greatest.map(|it| sign(it, "<"))];
                f.write_str(&ends.into_iter().flatten().collect::<Vec<String>>().join(" and "))
            }
            Self::Levels { input, levels } => {
                write!(f, "{}", Word(input))?;
                list(f, levels.iter().map(|level| Word(level)))
            }
            Self::Null { input } => write!(f, "{} is null", Word(input)),
            Self::Header { name, values } => {
                write!(f, "header:{name}")?;
                list(f, values.iter().map(|value| Word(value)))
            }
            Self::Client { networks } => {
                f.write_str("client:address")?;
                list(f, networks.iter())
            }
        }
    }
}

impl Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.conditions().iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " and " })?;
            condition.fmt(f)?;
        }
        Ok(())
    }
}
