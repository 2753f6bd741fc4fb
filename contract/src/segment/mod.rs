//! Segments: a part of a model's exchanges, told by what its requests carry and who sends them. Words and
//! their meaning; `text` reads them, `select` holds requests against them. It does not know what is done
//! with a segment.
//!
//! A segment has one spelling wherever it stands, on the command line, in `tidegate.yaml`, in the filter's
//! table and in the decision log: conditions joined by `and`, all of which must be met.
//!
//! ```text
//! age >= 55 and class_of_worker in [Private, "Self emp"]
//! wage is null
//! header:x-client = acme and client:address in [10.0.0.0/8]
//! ```

mod select;
mod text;

use std::fmt::{self, Display};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::contract::{Contract, Field, FieldType, TextFormat};
use crate::json::MAX_TOKEN_BYTES;

pub use select::{ByHead, Selection, Selector};
pub use text::SegmentError;

/// Conditions of a segment, at most.
pub const MAX_CONDITIONS: usize = 8;
/// Values that one condition lists, at most.
pub const MAX_VALUES: usize = 64;
/// Bytes of a name or value; of longer texts the readers keep only so many.
pub const MAX_VALUE_BYTES: usize = MAX_TOKEN_BYTES;
/// Bytes of a segment as it is written.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Headers that only the filter sets, and takes out of what clients send.
const OWN_HEADERS: &str = "x-tidegate-";

/// A part of a model's exchanges: those that meet all conditions, at least one and at most
/// [`MAX_CONDITIONS`].
///
/// A request of several rows belongs to it when any one of its rows does: rows cannot be told apart on
/// their way, and the doubtful request is better kept away from the model than sent to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Segment {
    conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A value of the input lies in the range. Texts that are numbers count as these.
    Range {
        /// The input, as the contract names it.
        input: String,
        /// The range.
        range: Range,
    },
    /// A value of the input is one of these: a text, a number written as one, `true` or `false`.
    Levels {
        /// The input, as the contract names it.
        input: String,
        /// The values, at most [`MAX_VALUES`].
        levels: Vec<String>,
    },
    /// The input is null, not a number, or not there.
    Null {
        /// The input, as the contract names it.
        input: String,
    },
    /// A header of the request is one of these.
    Header {
        /// Its name, in lower case.
        name: String,
        /// The values, at most [`MAX_VALUES`].
        values: Vec<String>,
    },
    /// The client's address lies in one of these networks. Who the client is, Envoy says.
    Client {
        /// The networks, at most [`MAX_VALUES`].
        networks: Vec<Network>,
    },
}

/// A range of numbers, bounded on one side at least.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    /// The lower end.
    pub least: Option<Bound>,
    /// The upper end.
    pub greatest: Option<Bound>,
}

/// An end of a range: finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Where.
    pub value: f64,
    /// Whether the value itself lies in the range.
    pub included: bool,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits count.
    bits: u8,
}

/// Why a segment does not fit a model's contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The contract has no such input.
    #[error("the contract has no input `{input}`; it has {}", known.join(", "))]
    Unknown {
        /// As written.
        input: String,
        /// The first few that there are.
        known: Vec<String>,
    },
    /// Its values may be told to nobody.
    #[error(
        "`{input}` is sensitive: its values may not stand in a decision log; choose another input"
    )]
    Sensitive {
        /// The input.
        input: String,
    },
    /// A range of what are no numbers.
    #[error("`{input}` is {kind}, which has no range; list its values: `{input} in [...]`")]
    NoNumber {
        /// The input.
        input: String,
        /// Its type.
        kind: &'static str,
    },
}

/// Inputs that a message lists.
const KNOWN_SHOWN: usize = 12;

impl Segment {
    /// A segment of these conditions. Two ranges of one input become one.
    ///
    /// # Errors
    /// When there are none or too many, or one of them can never be met.
    pub fn of(conditions: impl IntoIterator<Item = Condition>) -> Result<Self, SegmentError> {
        let mut all: Vec<Condition> = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Range { input, range } => {
                    let same = |known: &&mut Condition| matches!(known, Condition::Range { input: of, .. } if *of == input);
                    match all.iter_mut().find(same) {
                        Some(Condition::Range { range: known, .. }) => *known = known.and(range),
                        _ => all.push(Condition::Range { input, range }),
                    }
                }
                condition => all.push(condition),
            }
        }
        if all.len() > MAX_CONDITIONS {
            return Err(SegmentError::TooMany { what: "conditions", most: MAX_CONDITIONS });
        }
        if all.is_empty() {
            return Err(SegmentError::Nothing);
        }
        all.iter().try_for_each(Condition::check)?;
        let segment = Self { conditions: all };
        // What is written down must be read again.
        if segment.to_string().len() > MAX_TEXT_BYTES {
            return Err(SegmentError::TooLong { what: "a segment", most: MAX_TEXT_BYTES });
        }
        Ok(segment)
    }

    /// The conditions.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// All that keeps it from being a segment of this model's requests.
    pub fn misfits(&self, contract: &Contract) -> Vec<Misfit> {
        self.conditions.iter().filter_map(|condition| condition.misfit(contract)).collect()
    }
}

impl Condition {
    /// The input that it is about, if it is about one.
    pub fn input(&self) -> Option<&str> {
        match self {
            Self::Range { input, .. } | Self::Levels { input, .. } | Self::Null { input } => {
                Some(input)
            }
            Self::Header { .. } | Self::Client { .. } => None,
        }
    }

    fn check(&self) -> Result<(), SegmentError> {
        let (name, values): (&str, &[String]) = match self {
            Self::Range { input, range } => {
                let mut ends = [range.least, range.greatest].into_iter().flatten().peekable();
                if ends.peek().is_none() || ends.any(|end| !end.value.is_finite()) {
                    return Err(SegmentError::Nothing);
                }
                if range.is_empty() {
                    return Err(SegmentError::Empty { input: input.clone() });
                }
                (input, &[])
            }
            Self::Levels { input, levels } => (input, levels),
            Self::Null { input } => (input, &[]),
            Self::Header { name, values } => {
                let token =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
                if !name.bytes().all(token) || !lower || name.starts_with(OWN_HEADERS) {
                    return Err(SegmentError::NoHeader { name: name.clone() });
                }
                (name, values)
            }
            Self::Client { networks } => {
                return match networks.len() {
                    0 => Err(SegmentError::Nothing),
                    count if count > MAX_VALUES => {
                        Err(SegmentError::TooMany { what: "networks", most: MAX_VALUES })
                    }
                    _ => Ok(()),
                };
            }
        };
        let lists = matches!(self, Self::Levels { .. } | Self::Header { .. });
        if name.is_empty() || (lists && values.is_empty()) {
            return Err(SegmentError::Nothing);
        }
        if values.len() > MAX_VALUES {
            return Err(SegmentError::TooMany {
                what: "values of one condition",
                most: MAX_VALUES,
            });
        }
        let mut texts = values.iter().map(String::as_str).chain([name]);
        if texts.any(|text| text.len() > MAX_VALUE_BYTES) {
            return Err(SegmentError::TooLong { what: "a name or value", most: MAX_VALUE_BYTES });
        }
        Ok(())
    }

    fn misfit(&self, contract: &Contract) -> Option<Misfit> {
        let input = self.input()?;
        let Some((field, _)) = place_of(&contract.inputs, input) else {
            let known = contract.inputs.iter().take(KNOWN_SHOWN).map(|field| field.name.clone());
            return Some(Misfit::Unknown { input: input.to_owned(), known: known.collect() });
        };
        let field = &contract.inputs[field];
        if field.sensitive.is_some() {
            return Some(Misfit::Sensitive { input: input.to_owned() });
        }
        let numbers = matches!(field.kind, FieldType::Integer | FieldType::Number | FieldType::Any)
            || field.format == Some(TextFormat::Number);
        if matches!(self, Self::Range { .. }) && !numbers {
            let kind = field.kind.name();
            return Some(Misfit::NoNumber { input: input.to_owned(), kind });
        }
        None
    }
}

/// Which field an input is, and where in its rows, if it is but one value of them: `x[3]`, or a name that
/// the contract gives to a place of `x`.
fn place_of(fields: &[Field], input: &str) -> Option<(usize, Option<u64>)> {
    if let Some(at) = fields.iter().position(|field| field.name == input) {
        return Some((at, None));
    }
    let named = |field: &Field| field.columns.iter().position(|column| column == input);
    let column = fields.iter().enumerate().find_map(|(at, field)| Some((at, named(field)?)));
    if let Some((at, place)) = column {
        return Some((at, u64::try_from(place).ok()));
    }
    let (tensor, place) = input.strip_suffix(']')?.rsplit_once('[')?;
    let at = fields.iter().position(|field| field.name == tensor)?;
    Some((at, Some(place.parse().ok()?)))
}

impl Range {
    /// What lies in both.
    fn and(self, other: Self) -> Self {
        let narrower = |a: Option<Bound>, b: Option<Bound>, upper: bool| match (a, b) {
            (Some(a), Some(b)) if a.value == b.value => {
                Some(Bound { included: a.included && b.included, ..a })
            }
            (Some(a), Some(b)) => Some(if (a.value < b.value) == upper { a } else { b }),
            (a, b) => a.or(b),
        };
        Self {
            least: narrower(self.least, other.least, false),
            greatest: narrower(self.greatest, other.greatest, true),
        }
    }

    /// Whether nothing lies in it.
    fn is_empty(self) -> bool {
        let Self { least: Some(least), greatest: Some(greatest) } = self else { return false };
        least.value > greatest.value
            || (least.value == greatest.value && !(least.included && greatest.included))
    }

    /// Whether a value lies in it; one that is no number lies in none.
    pub fn contains(self, value: f64) -> bool {
        let above = |bound: Bound| value > bound.value || (bound.included && value == bound.value);
        let below = |bound: Bound| value < bound.value || (bound.included && value == bound.value);
        !value.is_nan() && self.least.is_none_or(above) && self.greatest.is_none_or(below)
    }
}

impl Network {
    /// The network of an address; `None` where it has fewer bits than these.
    pub fn of(address: IpAddr, bits: u8) -> Option<Self> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address lies in it. An IPv4 address written as IPv6 is one of IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Segment> for String {
    fn from(segment: Segment) -> Self {
        segment.to_string()
    }
}

impl TryFrom<String> for Segment {
    type Error = SegmentError;

    fn try_from(text: String) -> Result<Self, SegmentError> {
        text.parse()
    }
}
