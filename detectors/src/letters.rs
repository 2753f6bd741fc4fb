//! Bytes as letters: base64 (RFC 4648, section 4, without padding), the form in which sketches stand
//! in JSON. It does not know what the bytes mean.

use base64::DecodeError;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The letter of the last six bits.
pub(crate) fn letter(value: u8) -> char {
    char::from(STANDARD.as_str().as_bytes()[usize::from(value & 63)])
}

/// The six bits of a letter.
pub(crate) fn value(letter: u8) -> Option<u8> {
    let at = STANDARD.as_str().bytes().position(|known| known == letter)?;
    u8::try_from(at).ok()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// The bytes of `text`; an error says how many came before what is no letter, or not a whole byte.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    STANDARD_NO_PAD.decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at / 4 * 3,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len() / 4 * 3,
    })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, letter, value};

    #[test]
    fn bytes_come_back_and_what_is_none_is_refused() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0, 255, 62, 63]] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Ok(bytes));
        }
        assert_eq!(encode(b"foob"), "Zm9vYg");
        assert_eq!((decode("Zm9v!mFy"), decode("Zm9vY")), (Err(3), Err(3)));
        assert!((0..64).all(|bits| value(letter(bits) as u8) == Some(bits)));
        assert_eq!(value(b'='), None);
    }
}
