//! The mark of byte order before a text in UTF-8 (U+FEFF), which some clients write and most readers of
//! JSON pass over (RFC 8259, 8.1). It does not know the text.

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Passes over the mark at the start of a body, however it is cut.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ByteOrder {
    /// How much of the mark came.
    came: usize,
    /// Whether the text has begun.
    over: bool,
}

impl ByteOrder {
    /// What these bytes add to the text: some that were kept back, because they could have been the
    /// mark's, and the rest.
    #[inline]
    pub(crate) fn after<'a>(&mut self, bytes: &'a [u8]) -> (&'static [u8], &'a [u8]) {
        if self.over || bytes.is_empty() {
            return (&[], bytes);
        }
        let mut rest = bytes;
        while let (Some(expected), Some((first, after))) = (MARK.get(self.came), rest.split_first())
        {
            if first != expected {
                self.over = true;
                return (&MARK[..self.came], rest);
            }
            self.came += 1;
            rest = after;
        }
        self.over = self.came == MARK.len();
        (&[], rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8], size: usize) -> Vec<u8> {
        let mut mark = ByteOrder::default();
        let mut text = Vec::new();
        for chunk in body.chunks(size) {
            let (kept, rest) = mark.after(chunk);
            text.extend_from_slice(kept);
            text.extend_from_slice(rest);
        }
        text
    }

    #[test]
    fn the_mark_goes_and_nothing_else_does() {
        for size in 1..5 {
            assert_eq!(text(b"\xef\xbb\xbf{}", size), b"{}");
            assert_eq!(text(b"\xef\xbb\xbf\xef\xbb\xbf{}", size), b"\xef\xbb\xbf{}");
            assert_eq!(text(b"\xef\xbb{}", size), b"\xef\xbb{}");
            assert_eq!(text(b"{\xef\xbb\xbf}", size), b"{\xef\xbb\xbf}");
            assert!(text(b"", size).is_empty());
        }
    }
}
