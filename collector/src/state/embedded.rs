//! The state of one collector: the journal in a folder, which its lock keeps to one process. That
//! process decides; there is nobody to share anything with.

use std::path::Path;

use tracing::warn;

use super::{Sharing, Standing, StateError, Store};
use crate::journal::{Journal, JournalError};
use crate::ledger::Event;

/// A decision log in a folder.
#[derive(Debug)]
pub struct Embedded {
    journal: Journal,
    length: u64,
}

impl Embedded {
    /// Opens the log of this folder, and gives its events, oldest first.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(folder: &Path) -> Result<(Self, Vec<Event>), JournalError> {
        let (journal, events) = Journal::open::<Event>(folder)?;
        if let Some(torn) = journal.torn() {
            warn!(
                ?torn,
                "the decision log ended in the middle of a line, as a crash leaves it; the line was cut off"
            );
        }
        let length = events.len() as u64;
        Ok((Self { journal, length }, events))
    }
}

impl Store for Embedded {
    fn standing(&self) -> Standing {
        Standing::Leads
    }

    fn append(&mut self, event: &Event) -> Result<(), StateError> {
        self.journal.append(event)?;
        self.length += 1;
        Ok(())
    }

    fn check(&mut self) -> Result<(), StateError> {
        Ok(self.journal.check()?)
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn took(&mut self, _: u64) {}

    fn sharing(&mut self) -> Option<&mut dyn Sharing> {
        None
    }
}
