//! Expressions: what an owner writes to measure a model by, over the inputs, the outputs and the label
//! of a row. They look like those of CEL (<https://cel.dev>), and are a part of it:
//!
//! ```text
//! outputs.score > 0.5 && inputs.region in ["EU", "UK"]
//! abs(outputs.amount - label) / max(label, 1)
//! inputs["hours-per-week"] >= 40 ? outputs.score : 0
//! ```
//!
//! The way of one: [`Expression`] is read where the configuration is; [`typed`] holds it against the
//! columns that a model has, so that it cannot go wrong any more; [`value`] gives what it is worth in a
//! row. There is no loop, no recursion and no state; how long and how deep it may be is bounded, so
//! that what a row costs is. It does not know what its value is for.

mod parser;
mod token;
pub mod typed;
pub mod value;

use std::fmt;

use tidegate_contract::protocol::Side;

/// Bytes that an expression may have.
pub const MAX_BYTES: usize = 1024;
/// How deep operators, calls and brackets may stand in each other; each term of a sum is one deeper.
pub const MAX_DEPTH: usize = 64;

/// Characters of what was written that a message repeats.
const MAX_QUOTED_CHARS: usize = 40;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Something else was expected at a place.
    #[error("character {at}: expected {expected}, found {found}")]
    Unexpected {
        /// Where, from 1, in characters.
        at: usize,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A name that stands for nothing.
    #[error("character {at}: `{name}` is not known; {}", cure(nearest.as_deref(), known))]
    UnknownName {
        /// Where, from 1, in characters.
        at: usize,
        /// As it is written.
        name: String,
        /// The known one that is most like it.
        nearest: Option<String>,
        /// What is known there.
        known: String,
    },
    /// A function with another number of arguments.
    #[error("character {at}: `{function}` takes {takes}, found {found}")]
    Arguments {
        /// Where, from 1, in characters.
        at: usize,
        /// The function.
        function: &'static str,
        /// How many it takes, in words.
        takes: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Longer than is read.
    #[error("longer than {MAX_BYTES} bytes; write several metrics")]
    TooLong,
    /// Deeper than is read.
    #[error("character {at}: more than {MAX_DEPTH} deep; write several metrics")]
    TooDeep {
        /// Where, from 1, in characters.
        at: usize,
    },
}

fn cure(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: {known}"),
    }
}

/// An expression that was read, and not yet held against anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

impl std::str::FromStr for Expression {
    type Err = ExpressionError;

    /// # Errors
    /// With the place of the first thing that is wrong.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { root: parser::parse(text)?, text: text.to_owned() })
    }
}

impl Expression {
    /// Whether the label is part of it.
    #[must_use]
    pub fn looks_at_label(&self) -> bool {
        self.root.looks_at_label()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    /// Where it stands, from 1, in characters: an operator where its sign is.
    at: usize,
    /// How many parts stand in each other.
    depth: usize,
    kind: Kind,
}

impl Node {
    fn looks_at_label(&self) -> bool {
        match &self.kind {
            Kind::Label => true,
            Kind::Number(_) | Kind::Text(_) | Kind::Truth(_) | Kind::Column(..) => false,
            Kind::Not(of) | Kind::Negated(of) | Kind::Among(of, _) => of.looks_at_label(),
            Kind::Two(_, left, right) => left.looks_at_label() || right.looks_at_label(),
            Kind::If(of, then, otherwise) => {
                [of, then, otherwise].iter().any(|node| node.looks_at_label())
            }
            Kind::Call(_, arguments) => arguments.iter().any(Self::looks_at_label),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Number(f64),
    Text(String),
    Truth(bool),
    Column(Side, String),
    Label,
    Not(Box<Node>),
    Negated(Box<Node>),
    Two(Operator, Box<Node>, Box<Node>),
    /// Whether it is one of these, which are all numbers or texts.
    Among(Box<Node>, Vec<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Compare(Comparison),
    Arithmetic(Arithmetic),
}

/// What two values are held against each other by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// What two numbers are made one by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`, with the sign of what is divided.
    Remainder,
    /// `pow(a, b)`
    Power,
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Of(OfNumber),
    Least,
    Greatest,
    Power,
    Size,
    Has,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfNumber {
    /// Without its sign.
    Abs,
    /// The next whole number below.
    Floor,
    /// The next whole number above.
    Ceil,
    /// The nearest whole number; halves away from zero.
    Round,
    /// The square root.
    Sqrt,
    /// The natural logarithm.
    Ln,
    /// The exponential function.
    Exp,
}

const FUNCTIONS: [(&str, Function); 12] = [
    ("abs", Function::Of(OfNumber::Abs)),
    ("floor", Function::Of(OfNumber::Floor)),
    ("ceil", Function::Of(OfNumber::Ceil)),
    ("round", Function::Of(OfNumber::Round)),
    ("sqrt", Function::Of(OfNumber::Sqrt)),
    ("ln", Function::Of(OfNumber::Ln)),
    ("exp", Function::Of(OfNumber::Exp)),
    ("min", Function::Least),
    ("max", Function::Greatest),
    ("pow", Function::Power),
    ("size", Function::Size),
    ("has", Function::Has),
];

impl Function {
    fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// What was written, cut to a length that fits a line.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    format!("`{shown}`")
}
