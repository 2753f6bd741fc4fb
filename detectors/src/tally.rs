//! Counts of distinct texts while they are few: what every text of a column goes through first.
//!
//! It does not know what happens when they are many: it says that it is full, and its owner moves
//! what it holds into sketches.
//!
//! A table with open addressing and linear probing (Knuth, "The Art of Computer Programming" 3,
//! 6.4), never more than a quarter full; the texts lie in one string, so that a new one costs no
//! allocation. Its hash is stable: sketches that are stored depend on it.

/// Distinct texts that a tally holds.
pub const ROOM: usize = 1_000;

/// Bytes of a text that are kept; the whole text makes the hash.
pub const TEXT_BYTES: usize = 256;

const SLOTS: usize = 4_096;

/// Odd numbers whose bits look random: the first digits of π, as in wyhash's use of such.
const KEYS: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1];

/// A stable hash of bytes, for tables and for counting distinct ones: folded multiplication of
/// eight bytes at a time, after Wang Yi's wyhash. It is no defence against chosen inputs.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = KEYS[0] ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        state = folded(state ^ word_of(word), KEYS[1]);
    }
    folded(folded(state ^ word_of(words.remainder()), KEYS[2]), KEYS[1])
}

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

fn word_of(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(eight) => u64::from_le_bytes(eight),
        Err(_) => bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Distinct texts and how often each was met, in the order in which they first were.
#[derive(Debug, Clone)]
pub struct Tally {
    /// One more than the place in `entries`; 0 where there is none.
    slots: Box<[u16]>,
    entries: Vec<Slot>,
    texts: String,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u64,
    count: u64,
    start: u32,
    bytes: u32,
}

/// One distinct text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// It, or its first [`TEXT_BYTES`] bytes.
    pub text: &'a str,
    /// Bytes of the whole text.
    pub bytes: usize,
    /// [`hash`] of the whole text.
    pub hash: u64,
    /// How often it was met.
    pub count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            slots: vec![0; SLOTS].into_boxed_slice(),
            entries: Vec::new(),
            texts: String::new(),
        }
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Self) -> bool {
        self.entries().eq(other.entries())
    }
}

impl Tally {
    /// Counts a text; `false`, and nothing changes, where it is new and there is no room.
    #[inline]
    pub fn insert(&mut self, text: &str) -> bool {
        self.count(text, text.len(), hash(text.as_bytes()), 1)
    }

    /// Counts what another tally holds; `false`, and nothing changes, where it is new and there is
    /// no room.
    pub fn add(&mut self, entry: Entry<'_>) -> bool {
        self.count(entry.text, entry.bytes, entry.hash, entry.count)
    }

    #[inline]
    fn count(&mut self, text: &str, bytes: usize, hash: u64, times: u64) -> bool {
        let mut slot = (hash >> 52) as usize;
        while let Some(at) = usize::from(self.slots[slot]).checked_sub(1) {
            let entry = &mut self.entries[at];
            if entry.hash == hash && entry.bytes as usize == bytes {
                entry.count += times;
                return true;
            }
            slot = (slot + 1) % SLOTS;
        }
        if self.entries.len() == ROOM {
            return false;
        }
        let start = self.texts.len() as u32;
        self.texts.push_str(&text[..text.floor_char_boundary(TEXT_BYTES)]);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.entries.push(Slot { hash, count: times, start, bytes });
        self.slots[slot] = self.entries.len() as u16;
        true
    }

    /// How often a text was met.
    #[must_use]
    pub fn get(&self, text: &str) -> u64 {
        let hash = hash(text.as_bytes());
        let mut slot = (hash >> 52) as usize;
        while let Some(at) = usize::from(self.slots[slot]).checked_sub(1) {
            let entry = &self.entries[at];
            if entry.hash == hash && entry.bytes as usize == text.len() {
                return entry.count;
            }
            slot = (slot + 1) % SLOTS;
        }
        0
    }

    /// Distinct texts so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All texts, in the order in which they were first met.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let ends = self.entries.iter().skip(1).map(|next| next.start as usize);
        self.entries.iter().zip(ends.chain([self.texts.len()])).map(|(slot, end)| Entry {
            text: &self.texts[slot.start as usize..end],
            bytes: slot.bytes as usize,
            hash: slot.hash,
            count: slot.count,
        })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(0);
        self.entries.clear();
        self.texts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_in_the_order_of_their_first_meeting() {
        let mut tally = Tally::default();
        assert!(["b", "a", "b", "", "b"].iter().all(|text| tally.insert(text)));
        let entries: Vec<_> = tally.entries().map(|e| (e.text, e.bytes, e.count)).collect();
        assert_eq!(entries, [("b", 1, 3), ("a", 1, 1), ("", 0, 1)]);
    }

    #[test]
    fn a_full_tally_refuses_the_new_and_counts_the_known() {
        let mut tally = Tally::default();
        assert!((0..ROOM).all(|number| tally.insert(&number.to_string())));
        assert!(!tally.insert("new") && tally.insert("7"));
        assert_eq!((tally.len(), tally.get("7"), tally.get("new")), (ROOM, 2, 0));
        tally.clear();
        assert!(tally.is_empty() && tally.insert("new"));
    }

    #[test]
    fn long_texts_are_told_apart_though_cut() {
        let long = "ä".repeat(200);
        let mut tally = Tally::default();
        assert!(tally.insert(&(long.clone() + "1")) && tally.insert(&(long.clone() + "2")));
        assert_eq!(tally.len(), 2);
        assert!(tally.entries().all(|e| e.text.len() == TEXT_BYTES && e.bytes == 401));
    }

    #[test]
    fn the_hash_is_what_stored_sketches_rely_on() {
        assert_eq!(hash(b""), 527_835_239_178_341_167);
        let hashes: std::collections::BTreeSet<u64> =
            (0..100_000u32).map(|number| hash(&number.to_le_bytes())).collect();
        assert_eq!(hashes.len(), 100_000);
    }
}
