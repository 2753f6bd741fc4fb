//! The check: reads a body as it streams past and holds it against the contract. It does not know
//! what is done with the verdict.

use std::sync::Arc;

use crate::body::Body;
use crate::judge::Judge;
use crate::protocol::{Protocol, Side};
use crate::rules::Rules;
use crate::violation::Violation;

/// How many violations of one body are kept; all are counted.
pub const MAX_KEPT: usize = 16;

/// Checks one body against one contract, chunk by chunk, without building a tree of it.
#[derive(Debug)]
pub struct Check {
    body: Body,
    judge: Judge,
    finished: bool,
}

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
    /// Whether the body could not be read as its protocol says. It is read no further.
    pub unreadable: bool,
    /// Rows seen.
    pub rows: u64,
}

impl Check {
    /// A check for one body. Without rules, or on a side for which they list no field, nothing is
    /// asked but that the body can be read as its protocol.
    pub fn new(rules: Option<Arc<Rules>>, protocol: Protocol, side: Side) -> Self {
        Self {
            body: Body::new(protocol, side),
            judge: Judge::new(rules, protocol, side),
            finished: false,
        }
    }

    /// A check that holds at most so many bytes of values that came before their description.
    #[must_use]
    pub fn holding(mut self, bytes: usize) -> Self {
        self.body.hold(bytes);
        self
    }

    /// Takes the next bytes. Violations found so far stand in [`Check::verdict`] at once.
    pub fn feed(&mut self, chunk: &[u8]) -> Progress {
        if self.verdict().unreadable || self.finished {
            return Progress::Reading;
        }
        if let Err(broken) = self.body.feed(chunk, &mut self.judge) {
            self.judge.broken(&broken);
        }
        if self.body.is_whole() { Progress::Whole } else { Progress::Reading }
    }

    /// Says that no more comes: a body cut short is now a violation. Bytes fed later are ignored.
    pub fn finish(&mut self) -> &Verdict {
        if !self.verdict().unreadable && !self.finished {
            self.finished = true;
            if let Err(broken) = self.body.finish(&mut self.judge) {
                self.judge.broken(&broken);
            }
        }
        self.verdict()
    }

    /// What was found so far.
    pub fn verdict(&self) -> &Verdict {
        self.judge.verdict()
    }
}
