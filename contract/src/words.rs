//! Texts compared eight bytes at a time. WebAssembly has no instruction for it, and the loop of its standard
//! library goes byte by byte.

use std::cmp::Ordering;

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && order(a, b) == Ordering::Equal
}

/// Which of two texts of one length comes first.
#[inline]
pub(crate) fn order(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a_words.iter().zip(b_words) {
        let (a, b) = (u64::from_be_bytes(*a), u64::from_be_bytes(*b));
        if a != b {
            return a.cmp(&b);
        }
    }
    word(a_rest).cmp(&word(b_rest))
}

/// Fewer than eight bytes as a number that orders as they do.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Texts among which others are looked up: by length, and in each length in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lookup {
    texts: Box<[Box<str>]>,
}

impl Lookup {
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<Box<str>> = texts.into_iter().map(Into::into).collect();
        texts.sort_unstable_by(|a, b| key(a, b));
        Self { texts: texts.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.texts.binary_search_by(|known| key(known, text)).is_ok()
    }
}

fn key(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| order(a.as_bytes(), b.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_order_as_their_bytes_do() {
        let texts =
            ["", "a", "b", "ab", "12345678", "123456789", "12345678a", "é2345678", "12345679"];
        for a in texts {
            for b in texts {
                assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b, "{a} {b}");
                if a.len() == b.len() {
                    assert_eq!(order(a.as_bytes(), b.as_bytes()), a.cmp(b), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn what_is_listed_is_found_and_nothing_else() {
        let texts = ["Private", "Never worked", "State", "", "Private2"];
        let lookup = Lookup::new(texts);
        assert!(texts.iter().all(|text| lookup.contains(text)));
        assert!(!["private", "Privat", "Private3"].iter().any(|text| lookup.contains(text)));
    }
}
