//! What the texts of a column look like: their lengths, the characters in them, and the formats
//! they are written in. It keeps no text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_contract::dates;

use crate::table::spelling;

/// Lengths that are counted one by one; longer ones are counted by powers of two.
const SHORT: usize = 256;

/// Longest texts that are told apart: from 2^31 bytes on they count as one.
const BUCKETS: usize = SHORT + 24;

/// What kinds of characters a text has, as bits.
const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const BLANK: u8 = 8;
const PUNCTUATION: u8 = 16;
const CONTROL: u8 = 32;
const BEYOND_ASCII: u8 = 64;

/// Punctuation that formats are told by, beside [`PUNCTUATION`].
const AT: u16 = 1 << 8;
const COLON: u16 = 2 << 8;
const DASH: u16 = 4 << 8;
const DOT: u16 = 8 << 8;

/// The kinds of characters by name, in the order of their bits.
const CHARACTERS: [&str; 7] =
    ["lower", "upper", "digit", "blank", "punctuation", "control", "beyond_ascii"];

/// How a text may be written. A text may be in several formats, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextShape {
    /// A number written as text.
    Number,
    /// `true`, `False`.
    Boolean,
    /// An ISO 8601 day.
    Date,
    /// An RFC 3339 instant.
    DateTime,
    /// 8-4-4-4-12 hexadecimal digits (RFC 9562).
    Uuid,
    /// One `@` with a name before it and a domain with a dot after it.
    Email,
    /// A scheme, `://`, and a rest without blanks.
    Url,
    /// Four numbers up to 255 with dots between them.
    Ipv4,
    /// Sixteen hexadecimal digits or more, as digests are.
    Hexadecimal,
    /// It begins and ends as a JSON object or array does; the middle is not looked at.
    Json,
}

/// Counts of texts by how they look; mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shape {
    /// Texts by their length in bytes: that length up to 255, then 256 plus how many times more
    /// than 256 it is, as a power of two.
    lengths: BTreeMap<usize, u64>,
    /// Texts by the kinds of characters in them, as bits in the order lower, upper, digit, blank,
    /// punctuation, control, beyond ASCII.
    characters: BTreeMap<u8, u64>,
    /// Texts in each format.
    formats: BTreeMap<TextShape, u64>,
}

/// Tables while texts come in, which are quicker than maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shaping {
    lengths: Vec<u64>,
    characters: [u64; 128],
    formats: [u64; FORMATS.len()],
}

const FORMATS: [TextShape; 10] = [
    TextShape::Number,
    TextShape::Boolean,
    TextShape::Date,
    TextShape::DateTime,
    TextShape::Uuid,
    TextShape::Email,
    TextShape::Url,
    TextShape::Ipv4,
    TextShape::Hexadecimal,
    TextShape::Json,
];

impl Default for Shaping {
    fn default() -> Self {
        Self { lengths: vec![0; BUCKETS], characters: [0; 128], formats: [0; FORMATS.len()] }
    }
}

impl Shaping {
    /// Takes in a text that was met so many times and is so many bytes long as a whole.
    pub(super) fn take(&mut self, text: &str, bytes: usize, times: u64) {
        self.lengths[bucket(bytes)] += times;
        let kinds = text.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)]);
        self.characters[usize::from(kinds) & 127] += times;
        // A text that was cut is not the one that has the format.
        if bytes == text.len() {
            for (format, count) in FORMATS.iter().zip(&mut self.formats) {
                if format.holds(text, kinds) {
                    *count += times;
                }
            }
        }
    }

    /// The counts that are not nothing.
    pub(super) fn shape(&self) -> Shape {
        fn met<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
            counts.filter(|(_, count)| *count > 0).collect()
        }
        Shape {
            lengths: met(self.lengths.iter().copied().enumerate()),
            characters: met((0..128).map(|kinds| (kinds, self.characters[usize::from(kinds)]))),
            formats: met(FORMATS.into_iter().zip(self.formats)),
        }
    }

    /// Goes on from counts that were stored.
    pub(super) fn add(&mut self, shape: &Shape) {
        for (&length, count) in &shape.lengths {
            self.lengths[length.min(BUCKETS - 1)] += count;
        }
        for (&kinds, count) in &shape.characters {
            self.characters[usize::from(kinds & 127)] += count;
        }
        for (format, count) in FORMATS.iter().zip(&mut self.formats) {
            *count += shape.formats.get(format).copied().unwrap_or(0);
        }
    }
}

impl Shape {
    /// All texts.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lengths.values().sum()
    }

    /// The length in bytes that this share of the texts does not exceed: exact up to 255, beyond
    /// that the next power of two less one. `None` without texts.
    #[must_use]
    pub fn length(&self, share: f64) -> Option<u64> {
        let wanted = (share * self.count() as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        self.lengths.iter().find_map(|(&length, count)| {
            below += count;
            (below >= wanted).then(|| longest(length))
        })
    }

    /// How many texts have a character of each kind, by the kind's name; those that some have.
    #[must_use]
    pub fn characters(&self) -> BTreeMap<&'static str, u64> {
        let with = |bit: usize| {
            let with = self.characters.iter().filter(move |(kinds, _)| *kinds >> bit & 1 == 1);
            with.map(|(_, count)| count).sum::<u64>()
        };
        let counts = CHARACTERS.iter().enumerate().map(|(bit, name)| (*name, with(bit)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// How many texts are written in this format.
    #[must_use]
    pub fn of_format(&self, format: TextShape) -> u64 {
        self.formats.get(&format).copied().unwrap_or(0)
    }

    /// The narrowest format that nearly all texts (99 of 100) have.
    #[must_use]
    pub fn format(&self) -> Option<TextShape> {
        let enough = |&format: &TextShape| {
            self.count() > 0 && self.of_format(format) * 100 >= self.count() * 99
        };
        FORMATS.into_iter().find(enough)
    }
}

/// Where texts of this length are counted.
fn bucket(bytes: usize) -> usize {
    match bytes / SHORT {
        0 => bytes,
        times => (SHORT + times.ilog2() as usize).min(BUCKETS - 1),
    }
}

/// The longest texts that are counted there.
fn longest(bucket: usize) -> u64 {
    match bucket.checked_sub(SHORT) {
        None => bucket as u64,
        Some(power) => ((2 * SHORT as u64) << power.min(BUCKETS - SHORT)) - 1,
    }
}

const KINDS: [u16; 256] = {
    let mut kinds = [BEYOND_ASCII as u16; 256];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' => LOWER as u16,
            b'A'..=b'Z' => UPPER as u16,
            b'0'..=b'9' => DIGIT as u16,
            b' ' | b'\t' => BLANK as u16,
            b'@' => PUNCTUATION as u16 | AT,
            b':' => PUNCTUATION as u16 | COLON,
            b'-' => PUNCTUATION as u16 | DASH,
            b'.' => PUNCTUATION as u16 | DOT,
            0x21..=0x7e => PUNCTUATION as u16,
            _ => CONTROL as u16,
        };
        byte += 1;
    }
    kinds
};

impl TextShape {
    /// Whether a text with characters of these kinds is written so. Most formats are ruled out by
    /// the kinds alone.
    fn holds(self, text: &str, kinds: u16) -> bool {
        const LETTERS: u8 = LOWER | UPPER;
        let only = |allowed: u8| kinds & 0x7f & !u16::from(allowed) == 0;
        let has = |wanted: u16| kinds & wanted == wanted;
        let bytes = text.as_bytes();
        match self {
            Self::Number => {
                only(LETTERS | DIGIT | PUNCTUATION)
                    && !has(COLON)
                    && !has(AT)
                    && spelling::number(text).is_some()
            }
            Self::Boolean => only(LETTERS) && spelling::boolean(text).is_some(),
            Self::Date => has(DASH) && bytes.len() == 10 && dates::is_date(text),
            Self::DateTime => has(DASH | COLON) && dates::is_date_time(text),
            Self::Uuid => bytes.len() == 36 && has(DASH) && is_uuid(bytes),
            Self::Email => {
                has(AT | DOT)
                    && only(LETTERS | DIGIT | PUNCTUATION | BEYOND_ASCII)
                    && is_email(text)
            }
            Self::Url => {
                has(COLON) && only(LETTERS | DIGIT | PUNCTUATION | BEYOND_ASCII) && is_url(text)
            }
            Self::Ipv4 => {
                has(DOT) && only(DIGIT | PUNCTUATION) && text.parse::<std::net::Ipv4Addr>().is_ok()
            }
            Self::Hexadecimal => {
                bytes.len() >= 16
                    && only(LETTERS | DIGIT)
                    && bytes.iter().all(u8::is_ascii_hexdigit)
            }
            Self::Json => matches!(bytes, [b'{', .., b'}'] | [b'[', .., b']']),
        }
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    bytes.iter().enumerate().all(fits)
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let mut labels = domain.split('.');
    let dotted = domain.contains('.') && labels.all(|label| !label.is_empty());
    !name.is_empty() && !domain.contains('@') && dotted
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let in_scheme = |c: u8| c.is_ascii_alphanumeric() || b"+-.".contains(&c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Shape, Shaping, TextShape};

    fn shape(texts: &[&str]) -> Shape {
        let mut shaping = Shaping::default();
        texts.iter().for_each(|text| shaping.take(text, text.len(), 1));
        shaping.shape()
    }

    #[test]
    fn formats_are_told_by_what_is_written() {
        let check = |format, texts: &[&str]| {
            for text in texts {
                assert_eq!(shape(&[text]).format(), format, "{text}");
            }
        };
        check(Some(TextShape::Number), &["12", "-1.5e3", "007"]);
        check(Some(TextShape::Date), &["2026-11-23"]);
        check(Some(TextShape::DateTime), &["2026-11-23T08:30:00Z"]);
        check(Some(TextShape::Uuid), &["123e4567-e89b-12d3-a456-426614174000"]);
        check(Some(TextShape::Email), &["ada@example.org", "a.b+c@x.y.z"]);
        check(Some(TextShape::Url), &["https://example.org/a?b=c", "s3://bucket"]);
        check(Some(TextShape::Ipv4), &["10.0.0.255"]);
        check(Some(TextShape::Hexadecimal), &["d41d8cd98f00b204e9800998ecf8427e"]);
        check(Some(TextShape::Json), &["{\"a\": 1}", "[1, 2]"]);
        check(Some(TextShape::Boolean), &["True"]);
        check(
            None,
            &["", "ada", "a@b", "a@@b.c", "10.0.0.256", "2026-13-01", "://x", "d41d8", "{"],
        );
    }

    #[test]
    fn one_odd_text_in_two_hundred_changes_no_format() {
        let mut texts = vec!["2026-11-23"; 199];
        texts.push("soon");
        assert_eq!(shape(&texts).format(), Some(TextShape::Date));
        texts.extend(["soon"; 5]);
        assert_eq!(shape(&texts).format(), None);
        assert_eq!(Shape::default().format(), None);
    }

    #[test]
    fn lengths_are_exact_while_short() {
        let long = "x".repeat(700);
        let shape = shape(&["", "ab", "abc", &long]);
        let lengths = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| shape.length(share));
        assert_eq!(lengths, [Some(0), Some(0), Some(2), Some(3), Some(1_023)]);
        assert_eq!(Shape::default().length(0.5), None);
    }

    #[test]
    fn characters_are_counted_by_text() {
        let characters = shape(&["abc", "A b", "é1", "a\u{1}"]).characters();
        let expected = [
            ("beyond_ascii", 1),
            ("blank", 1),
            ("control", 1),
            ("digit", 1),
            ("lower", 3),
            ("upper", 1),
        ];
        assert_eq!(characters.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn stored_counts_add_up_to_the_whole() {
        let (one, two) = (["a", "b1", ""], ["https://a.b", "c"]);
        let mut sum = Shaping::default();
        sum.add(&shape(&one));
        sum.add(&shape(&two));
        assert_eq!(sum.shape(), shape(&[&one[..], &two].concat()));
    }
}
