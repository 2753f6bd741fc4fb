//! Capture: a bounded copy of one body as it passes. It does not know what the bytes mean.

/// The start of a body, and how long the whole was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    kept: Vec<u8>,
    bound: usize,
    passed: u64,
}

impl Capture {
    /// Keeps at most `bound` bytes; 0 only counts.
    pub fn new(bound: usize) -> Self {
        Self { kept: Vec::new(), bound, passed: 0 }
    }

    /// Counts a chunk, and keeps what still fits of it.
    pub fn take(&mut self, chunk: &[u8]) {
        let room = self.bound.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        self.count(chunk.len());
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
        capture.take(b"abc");
        capture.take(b"defgh");
        assert_eq!((capture.has_room(), capture.passed()), (false, 8));
        assert_eq!(capture.into_kept(), b"abcdefgh");
    }

    #[test]
    fn a_longer_body_is_cut_and_still_counted() {
        let mut capture = Capture::new(4);
        capture.take(b"abc");
        capture.take(b"defgh");
        capture.count(100);
        assert_eq!(capture.passed(), 108);
        assert_eq!(capture.into_kept(), b"abcd");
    }
}
