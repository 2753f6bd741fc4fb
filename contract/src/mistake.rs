//! A mistake in something a person wrote: where it is and what is wrong with it. It does not know
//! which file it came from.

use std::fmt;

/// One mistake, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// The place as a JSON path from the root, such as `inputs[3].min`; empty for the whole.
    pub place: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Not JSON, or not of the form asked for.
    #[error("{0}")]
    Unreadable(String),
    /// A key that does not exist here.
    #[error("is not a key here; known are {0}")]
    UnknownKey(&'static str),
    /// A key that must be there.
    #[error("is missing")]
    Missing,
    /// A name that must not be empty.
    #[error("is empty; give it a name")]
    Empty,
    /// A text longer than the reader keeps, which could never be matched.
    #[error("is {length} bytes long; at most {most} can be matched")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The bound in bytes.
        most: usize,
    },
    /// More of something than can be.
    #[error("has {count} entries; at most {most} are possible")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The bound.
        most: usize,
    },
    /// A name or value that stands twice in one list.
    #[error("`{0}` stands here twice; remove one")]
    Twice(String),
    /// The least is above the greatest.
    #[error("min {min} is above max {max}; swap them")]
    Crossed {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Something that a field of this type cannot have.
    #[error("does not go with type {kind}; {cure}")]
    NotForType {
        /// The type, as written.
        kind: &'static str,
        /// What to do instead.
        cure: &'static str,
    },
    /// A datatype that cannot carry the field's type.
    #[error("cannot carry type {0}")]
    CannotCarry(&'static str),
    /// An extent that is neither -1 nor a count.
    #[error("is {0}; an extent is -1 (any) or 0 and above")]
    BadExtent(i64),
    /// A key that says something only beside another.
    #[error("says something only beside `{0}`; add that, or take this away")]
    Without(&'static str),
    /// Names for another number of places than the shape has.
    #[error("has {count} names; the last extent of the shape is {shape}")]
    OtherCount {
        /// How many names.
        count: usize,
        /// The last extent.
        shape: i64,
    },
    /// A number outside its range.
    #[error("is {value}; it must be from {least} to {most}")]
    OutOfRange {
        /// What was given.
        value: f64,
        /// The least allowed.
        least: f64,
        /// The greatest allowed.
        most: f64,
    },
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            write!(f, "{}", self.fault)
        } else {
            write!(f, "{}: {}", self.place, self.fault)
        }
    }
}

impl std::error::Error for Mistake {}

impl Mistake {
    pub(crate) fn new(place: impl Into<String>, fault: Fault) -> Self {
        Self { place: place.into(), fault }
    }
}
