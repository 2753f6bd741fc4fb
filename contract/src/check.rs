//! The check: reads a body as it streams past and holds it against the contract.

use std::sync::Arc;

use crate::protocol::{Protocol, Side};
use crate::rules::Rules;
use crate::violation::Violation;

/// How many violations of one body are kept; all are counted.
pub const MAX_KEPT: usize = 16;

/// Checks one body against one contract, chunk by chunk, without building a tree of it.
#[derive(Debug)]
pub struct Check {}

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More must come before the body is whole.
    Reading,
    /// The body is whole (its root has closed); the verdict stands unless more than blanks follow.
    Whole,
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The first [`MAX_KEPT`] violations.
    pub violations: Vec<Violation>,
    /// All of them.
    pub count: u64,
    /// Whether the body could not be read as its protocol says.
    pub unreadable: bool,
    /// Rows seen.
    pub rows: u64,
}

impl Check {
    /// A check for one body. `None` reads without asking anything but readability.
    pub fn new(_contract: Option<Arc<Rules>>, _protocol: Protocol, _side: Side) -> Self {
        todo!()
    }

    /// Takes the next bytes. Violations found so far stand in [`Check::verdict`] at once.
    pub fn feed(&mut self, _chunk: &[u8]) -> Progress {
        todo!()
    }

    /// Says that no more comes: a body cut short, or a field that never came, is now a violation.
    pub fn finish(&mut self) -> &Verdict {
        todo!()
    }

    /// What was found so far.
    pub fn verdict(&self) -> &Verdict {
        todo!()
    }
}
