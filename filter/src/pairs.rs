//! Pairs: header maps in the byte layout that proxy-wasm hosts use. It does not know what the
//! names mean, and takes any bytes for values.
//!
//! Layout, little-endian `u32`s: the count, then for each pair the length of its name and of its
//! value, then each name and value followed by a zero byte.

/// Pairs read at most; Envoy's own default is 100 headers.
const MAX_PAIRS: usize = 1000;

/// Reads pairs. What does not fit the layout ends the reading; nothing is invented.
pub fn read(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let Some((count, rest)) = number(bytes) else { return Vec::new() };
    let count = count.min(MAX_PAIRS);
    let Some((mut lengths, mut texts)) = rest.split_at_checked(count.saturating_mul(8)) else {
        return Vec::new();
    };
    // A count above the bound would leave lengths where the texts are looked for.
    if number(bytes).is_some_and(|(claimed, _)| claimed != count) {
        return Vec::new();
    }
    let mut pairs = Vec::with_capacity(count);
    while let Some((name_length, rest)) = number(lengths) {
        let Some((value_length, rest)) = number(rest) else { break };
        lengths = rest;
        let Some((name, after)) = text(texts, name_length) else { break };
        let Some((value, after)) = text(after, value_length) else { break };
        texts = after;
        pairs.push((name, value));
    }
    pairs
}

/// Writes pairs.
pub fn write(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(length(pairs.len()));
    for (name, value) in pairs {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for (name, value) in pairs {
        bytes.extend(name.bytes());
        bytes.push(0);
        bytes.extend(value.bytes());
        bytes.push(0);
    }
    bytes
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let (_zero, rest) = rest.split_first()?;
    Some((text, rest))
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_pairs_read_back() {
        let bytes = write(&[(":path", "/a"), ("x-empty", "")]);
        assert_eq!(read(&bytes), [(&b":path"[..], &b"/a"[..]), (b"x-empty", b"")]);
    }

    #[test]
    fn values_that_are_not_text_are_kept_as_they_came() {
        let mut bytes = write(&[("x", "??")]);
        let at = bytes.len() - 3;
        bytes[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
        assert_eq!(read(&bytes), [(&b"x"[..], &[0xff, 0xfe][..])]);
    }

    #[test]
    fn any_cut_or_changed_bytes_are_read_without_harm() {
        let whole = write(&[("a", "1"), ("b", "2"), ("content-type", "application/json")]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).len() < 3);
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                assert!(read(&changed).len() <= 3);
            }
        }
    }
}
