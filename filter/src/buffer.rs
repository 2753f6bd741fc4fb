//! The buffer: samples that wait for the next batch, bounded in bytes. It drops the oldest and
//! says which; it does not know who counts them.

use std::collections::VecDeque;

use prost::Message as _;
use tidegate_proto::intake::v1::Sample;

use crate::tally::Key;

/// What a sample costs in memory beside its encoded bytes: the struct and its allocations.
const OVERHEAD: usize = 512;

/// A sample that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Whose it is; `None` where nobody counts its loss.
    pub key: Option<Key>,
    /// The sample.
    pub sample: Sample,
}

/// Samples of one worker, oldest first.
#[derive(Debug)]
pub struct Buffer {
    waiting: VecDeque<(usize, Waiting)>,
    bytes: usize,
    bound: usize,
}

impl Buffer {
    /// Holds at most `bound` bytes.
    pub fn new(bound: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, bound }
    }

    /// Changes the bound; it holds from the next push on.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// Adds a sample and gives the keys of those that had to go: the oldest, or the new one where
    /// it would not fit alone.
    pub fn push(&mut self, waiting: Waiting) -> Vec<Key> {
        let size = waiting.sample.encoded_len().saturating_add(OVERHEAD);
        if size > self.bound {
            return waiting.key.into_iter().collect();
        }
        let mut gone = Vec::new();
        while self.bytes.saturating_add(size) > self.bound {
            match self.waiting.pop_front() {
                Some((size, oldest)) => {
                    self.bytes = self.bytes.saturating_sub(size);
                    gone.extend(oldest.key);
                }
                None => break,
            }
        }
        self.bytes = self.bytes.saturating_add(size);
        self.waiting.push_back((size, waiting));
        gone
    }

    /// Takes the oldest samples up to `bytes`, and at least one where any waits.
    pub fn take(&mut self, bytes: usize) -> Vec<Waiting> {
        let mut taken = Vec::new();
        let mut total = 0_usize;
        while let Some(&(size, _)) = self.waiting.front() {
            total = total.saturating_add(size);
            if total > bytes && !taken.is_empty() {
                break;
            }
            if let Some((_, oldest)) = self.waiting.pop_front() {
                self.bytes = self.bytes.saturating_sub(size);
                taken.push(oldest);
            }
        }
        taken
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: &str) -> Waiting {
        Waiting {
            key: Some(Key { model: id.into(), version: "".into() }),
            sample: Sample { request_id: id.to_owned(), ..Sample::default() },
        }
    }

    fn names(keys: &[Key]) -> Vec<&str> {
        keys.iter().map(|key| &*key.model).collect()
    }

    #[test]
    fn a_full_buffer_drops_its_oldest_and_names_them() {
        let mut buffer = Buffer::new(2 * (OVERHEAD + 3));
        assert_eq!(names(&buffer.push(waiting("a"))), Vec::<&str>::new());
        assert_eq!(names(&buffer.push(waiting("b"))), Vec::<&str>::new());
        assert_eq!(names(&buffer.push(waiting("c"))), ["a"]);
        let kept: Vec<_> =
            buffer.take(usize::MAX).into_iter().map(|w| w.sample.request_id).collect();
        assert_eq!(kept, ["b", "c"]);
        assert!(buffer.is_empty());
        assert_eq!(buffer.bytes(), 0);
    }

    #[test]
    fn a_sample_that_can_never_fit_is_dropped_and_the_others_stay() {
        let mut buffer = Buffer::new(OVERHEAD + 10);
        buffer.push(waiting("a"));
        assert_eq!(
            names(&buffer.push(waiting("a name that is far too long"))),
            ["a name that is far too long"]
        );
        assert_eq!(buffer.take(usize::MAX).len(), 1);
    }

    #[test]
    fn a_batch_takes_what_fits_and_at_least_one() {
        let mut buffer = Buffer::new(usize::MAX);
        for id in ["a", "b", "c"] {
            buffer.push(waiting(id));
        }
        assert_eq!(buffer.take(1).len(), 1);
        assert_eq!(buffer.take(2 * (OVERHEAD + 3)).len(), 2);
        assert_eq!(buffer.take(1).len(), 0);
    }
}
