//! Capture: a bounded copy of one body as it passes. It does not know what the bytes mean.

use std::borrow::Cow;

/// The start of a body, and how long the whole was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    kept: Vec<u8>,
    bound: usize,
    /// As many bytes as are said to come.
    announced: usize,
    passed: u64,
}

impl Capture {
    /// Keeps at most `bound` bytes; 0 only counts.
    pub fn new(bound: usize) -> Self {
        Self { kept: Vec::new(), bound, announced: 0, passed: 0 }
    }

    /// Says how many bytes are said to come, so that room for them is made once.
    pub fn announce(&mut self, bytes: usize) {
        self.announced = bytes;
    }

    /// Counts a chunk, and keeps what still fits of it: the chunk itself, where it is all.
    pub fn take(&mut self, chunk: Cow<'_, [u8]>) {
        self.count(chunk.len());
        let all = self.announced.min(self.bound);
        match chunk {
            Cow::Owned(chunk)
                if self.kept.is_empty() && (all..=self.bound).contains(&chunk.len()) =>
            {
                self.kept = chunk;
            }
            chunk => {
                let room = self.bound.saturating_sub(self.kept.len());
                let fits = chunk.get(..room).unwrap_or(&chunk);
                if !fits.is_empty() {
                    self.kept.reserve(all.saturating_sub(self.kept.len()));
                    self.kept.extend_from_slice(fits);
                }
            }
        }
    }

    /// Counts bytes that nobody read.
    pub fn count(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Whether more bytes would be kept.
    pub fn has_room(&self) -> bool {
        self.kept.len() < self.bound
    }

    /// Bytes that passed in all.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether more passed than was kept.
    pub fn is_cut(&self) -> bool {
        self.passed > u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    /// The bytes kept.
    pub fn into_kept(self) -> Vec<u8> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_within_the_bound_is_kept_whole() {
        let mut capture = Capture::new(8);
        capture.take(b"abc"[..].into());
        capture.take(b"defgh"[..].into());
        assert_eq!((capture.has_room(), capture.passed()), (false, 8));
        assert_eq!(capture.into_kept(), b"abcdefgh");
    }

    #[test]
    fn a_body_in_one_piece_is_kept_as_it_came_and_one_in_several_has_its_room_at_once() {
        let whole = b"abcdefgh".to_vec();
        let place = whole.as_ptr();
        let mut capture = Capture::new(100);
        capture.announce(8);
        capture.take(whole.into());
        let kept = capture.into_kept();
        assert_eq!((&kept[..], kept.as_ptr()), (&b"abcdefgh"[..], place));
        let mut capture = Capture::new(6);
        capture.announce(usize::MAX);
        capture.take(b"abc".to_vec().into());
        capture.take(b"defgh".to_vec().into());
        let kept = capture.into_kept();
        assert_eq!(&kept[..], b"abcdef");
    }

    #[test]
    fn a_longer_body_is_cut_and_still_counted() {
        let mut capture = Capture::new(4);
        capture.take(b"abc".to_vec().into());
        capture.take(b"defgh".to_vec().into());
        capture.count(100);
        assert_eq!(capture.passed(), 108);
        assert_eq!(capture.into_kept(), b"abcd");
    }
}
