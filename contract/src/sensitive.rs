//! The keyed hash that stands in the place of sensitive values. It does not know which fields are
//! sensitive.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// How long a hash is, in letters.
pub(crate) const HASH_BYTES: usize = 32;

/// The key of the hash: whoever has it can tell whether a hash is of a value they guess.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Key([u8; 16]);

impl Key {
    /// A key made of any text. Equal texts make equal keys, so all proxies that share the text
    /// hash alike.
    pub fn of(text: &str) -> Self {
        let mut hasher = SipHasher24::new();
        hasher.write(text.as_bytes());
        Self(hasher.finish128().as_bytes())
    }

    /// A key that nobody else has.
    pub fn random() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let half = |seed: u64| RandomState::new().hash_one(seed).to_le_bytes();
        let (low, high) = (half(1), half(2));
        let mut key = [0; 16];
        key[..8].copy_from_slice(&low);
        key[8..].copy_from_slice(&high);
        Self(key)
    }

    /// The hash of a value as 32 hexadecimal letters: SipHash-2-4 with 128 bits of key and hash
    /// (Aumasson, Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012), which nobody
    /// without the key can tell from chance.
    pub(crate) fn hash(&self, value: &[u8]) -> [u8; HASH_BYTES] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(value);
        let hash = hasher.finish128().as_u128();
        let mut letters = [0; HASH_BYTES];
        for (at, letter) in letters.iter_mut().enumerate() {
            let four = (hash >> (124 - 4 * at)) & 0xf;
            *letter = b"0123456789abcdef"[four as usize];
        }
        letters
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not told)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_keeps_equality_and_depends_on_the_key() {
        let (one, other) = (Key::of("a secret"), Key::of("another"));
        assert_eq!(one.hash(b"jane@example.com"), one.hash(b"jane@example.com"));
        assert_ne!(one.hash(b"jane@example.com"), one.hash(b"john@example.com"));
        assert_ne!(one.hash(b"jane@example.com"), other.hash(b"jane@example.com"));
        assert!(one.hash(b"").iter().all(u8::is_ascii_hexdigit));
        assert_eq!(format!("{one:?}"), "Key(not told)");
    }
}
