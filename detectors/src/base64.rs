//! Bytes as base64 (RFC 4648, section 4, without padding), the form in which sketches stand in
//! JSON. It does not know what the bytes mean.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The digit of the last six bits.
pub(crate) fn digit(value: u8) -> char {
    char::from(DIGITS[usize::from(value & 63)])
}

/// The six bits of a digit.
pub(crate) fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, &b| word << 8 | u32::from(b));
        let word = word << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(digit((word >> (18 - 6 * place)) as u8));
        }
    }
    text
}

/// The bytes of `text`; an error says how many were read before what is no digit.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let (mut bytes, mut word, mut bits) = (Vec::with_capacity(text.len() / 4 * 3 + 2), 0u32, 0);
    for letter in text.bytes() {
        let digit = value(letter).ok_or(bytes.len())?;
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn the_vectors_of_the_standard_come_out_and_back() {
        let vectors = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")];
        for (bytes, text) in vectors {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decode("Zm9v?"), Err(3));
    }

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }
}
