//! Texts compared eight bytes at a time. WebAssembly has no instruction for it, and the loop of its standard
//! library goes byte by byte.

use std::cmp::Ordering;

/// Whether two texts are the same.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && order(a, b) == Ordering::Equal
}

/// Which of two texts of one length comes first, in an order of its own.
#[inline]
pub(crate) fn order(a: &[u8], b: &[u8]) -> Ordering {
    if let (Some(a_last), Some(b_last)) = (a.last_chunk(), b.last_chunk()) {
        let ((a_words, _), (b_words, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        for (a, b) in a_words.iter().zip(b_words) {
            let (a, b) = (u64::from_le_bytes(*a), u64::from_le_bytes(*b));
            if a != b {
                return a.cmp(&b);
            }
        }
        // What the last word has in common with the one before it is the same in both texts.
        return u64::from_le_bytes(*a_last).cmp(&u64::from_le_bytes(*b_last));
    }
    short(a).cmp(&short(b))
}

/// Fewer than eight bytes as a number that no others of that length have.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    match bytes {
        [] => 0,
        [first, ..] => {
            let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or_default());
            u64::from(*first) << 16 | byte(bytes.len() / 2) << 8 | byte(bytes.len() - 1)
        }
    }
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
    fn words_are_in_an_order_and_the_same_where_their_bytes_are() {
        let mut texts = ["", "a", "b", "é2345678", "12345679"].map(str::to_owned).to_vec();
        // Of every length, and differing in every place.
        for length in 1..=17 {
            for place in 0..length {
                for letter in ["a", "z"] {
                    let mut text = "m".repeat(length);
                    text.replace_range(place..=place, letter);
                    texts.push(text);
                }
            }
        }
        for a in &texts {
            for b in &texts {
                assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b, "{a} {b}");
                if a.len() == b.len() {
                    let (a, b) = (a.as_bytes(), b.as_bytes());
                    assert_eq!(order(a, b), order(b, a).reverse(), "{a:?} {b:?}");
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
