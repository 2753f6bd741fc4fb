//! Content codings as a client may send them, in the plainest form: one stored block. It does not
//! compress, so bodies are short.

/// RFC 1952.
///
/// # Panics
/// Above 65,535 bytes.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut coded = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    coded.extend(stored(bytes));
    coded.extend_from_slice(&(!crc).to_le_bytes());
    coded.extend_from_slice(&u32::try_from(bytes.len()).expect("short").to_le_bytes());
    coded
}

/// RFC 1950, which HTTP calls `deflate`.
///
/// # Panics
/// Above 65,535 bytes.
#[must_use]
pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    let mut coded = vec![0x78, 0x01];
    coded.extend(stored(bytes));
    coded.extend_from_slice(&(high << 16 | low).to_be_bytes());
    coded
}

/// RFC 1951: the last block, not compressed.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    let mut block = vec![1];
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(&(!length).to_le_bytes());
    block.extend_from_slice(bytes);
    block
}
