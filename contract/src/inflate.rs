//! Compressed bodies as they stream past: gzip and deflate in, the plain bytes out, within a bound.
//! It does not know what the bytes mean.

use std::io::Write as _;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Plain bytes that one body may become. What is beyond is not read: a stranger's few bytes must
/// not cost without end.
pub const MAX_PLAIN_BYTES: u64 = 64 << 20;
/// Compressed bytes taken at once. A byte becomes at most 1032, so this bounds what lies in memory.
const PIECE_BYTES: usize = 1 << 10;

/// What a body is compressed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, and what many send by the same name: RFC 1951 without its envelope.
    Deflate,
}

impl Coding {
    /// The coding that a value of `content-encoding` or `grpc-encoding` names, where it names but one
    /// beside `identity`. `None` for all that is not read here.
    pub fn named(encoding: &str) -> Option<Self> {
        let codings = encoding.split(',').map(str::trim);
        let mut codings =
            codings.filter(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"));
        let one = codings.next()?;
        if codings.next().is_some() {
            return None;
        }
        match () {
            () if one.eq_ignore_ascii_case("gzip") || one.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            () if one.eq_ignore_ascii_case("deflate") => Some(Self::Deflate),
            () => None,
        }
    }
}

/// Why compressed bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They are not what their coding says.
    #[error("not {0:?}, as the head says")]
    Damaged(Coding),
    /// They become more than is read.
    #[error("more than {MAX_PLAIN_BYTES} bytes when unpacked")]
    TooLarge,
}

/// One compressed body on its way.
#[derive(Debug)]
pub struct Inflate {
    coding: Coding,
    decoder: Decoder,
    left: u64,
}

#[derive(Debug)]
enum Decoder {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    /// The first byte of deflate, until the second tells whether there is an envelope.
    Unsure(Option<u8>),
}

impl Inflate {
    /// A body of this coding.
    pub fn new(coding: Coding) -> Self {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Deflate => Decoder::Unsure(None),
        };
        Self { coding, decoder, left: MAX_PLAIN_BYTES }
    }

    /// Takes the next bytes and hands out what they become, in pieces.
    ///
    /// # Errors
    /// When they are damaged or become too much; then the body is lost, feed it no more.
    pub fn feed(&mut self, chunk: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        let mut chunk = chunk;
        if let Decoder::Unsure(first) = self.decoder {
            let (first, rest) = match (first, chunk) {
                (Some(first), rest) => (first, rest),
                (None, [first, rest @ ..]) => (*first, rest),
                (None, []) => return Ok(()),
            };
            let Some(second) = rest.first() else {
                self.decoder = Decoder::Unsure(Some(first));
                return Ok(());
            };
            // RFC 1950, 2.2: method 8, and a multiple of 31 as a big-endian number.
            let envelope =
                first & 0xf == 8 && (u16::from(first) << 8 | u16::from(*second)).is_multiple_of(31);
            self.decoder = if envelope {
                Decoder::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
            } else {
                Decoder::Raw(Box::new(DeflateDecoder::new(Vec::new())))
            };
            self.piece(&[first], out)?;
            chunk = rest;
        }
        chunk.chunks(PIECE_BYTES).try_for_each(|piece| self.piece(piece, out))
    }

    /// Says that no more comes.
    ///
    /// # Errors
    /// When the body is not whole.
    pub fn finish(&mut self, out: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        let done = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zlib(decoder) => decoder.try_finish(),
            Decoder::Raw(decoder) => decoder.try_finish(),
            Decoder::Unsure(None) => return Ok(()),
            Decoder::Unsure(Some(_)) => return Err(Error::Damaged(self.coding)),
        };
        done.map_err(|_| Error::Damaged(self.coding))?;
        self.hand_out(out)
    }

    fn piece(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        let taken = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.write_all(piece),
            Decoder::Zlib(decoder) => decoder.write_all(piece),
            Decoder::Raw(decoder) => decoder.write_all(piece),
            Decoder::Unsure(_) => Ok(()),
        };
        taken.map_err(|_| Error::Damaged(self.coding))?;
        self.hand_out(out)
    }

    fn hand_out(&mut self, out: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        let plain = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zlib(decoder) => decoder.get_mut(),
            Decoder::Raw(decoder) => decoder.get_mut(),
            Decoder::Unsure(_) => return Ok(()),
        };
        self.left = self.left.checked_sub(plain.len() as u64).ok_or(Error::TooLarge)?;
        out(plain);
        plain.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn inflated(coding: Coding, bytes: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let (mut inflate, mut plain) = (Inflate::new(coding), Vec::new());
        for chunk in bytes.chunks(size) {
            inflate.feed(chunk, &mut |bytes| plain.extend_from_slice(bytes))?;
        }
        inflate.finish(&mut |bytes| plain.extend_from_slice(bytes))?;
        Ok(plain)
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_gives_the_plain_bytes_in_any_chunks() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&plain).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&plain).unwrap();
        for (coding, bytes) in [
            (Coding::Gzip, gzip(&plain)),
            (Coding::Gzip, [gzip(&plain[..9]), gzip(&plain[9..])].concat()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
        ] {
            for size in [1, 7, 1000, usize::MAX >> 1] {
                assert_eq!(inflated(coding, &bytes, size).as_ref(), Ok(&plain));
            }
        }
    }

    #[test]
    fn damage_and_an_early_end_are_told() {
        let good = gzip(&[7; 5000]);
        let mut bad = good.clone();
        bad[12] ^= 0xff;
        let damaged = Err(Error::Damaged(Coding::Gzip));
        assert_eq!(inflated(Coding::Gzip, &bad, 100), damaged);
        assert_eq!(inflated(Coding::Gzip, &good[..good.len() - 9], 100), damaged);
        assert_eq!(inflated(Coding::Gzip, b"{\"a\": 1}", 100), damaged);
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_its_end() {
        let bomb = gzip(&vec![0; 65 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(inflated(Coding::Gzip, &bomb, 4096), Err(Error::TooLarge));
    }

    #[test]
    fn only_what_is_read_has_a_name() {
        assert_eq!(Coding::named(" GZIP "), Some(Coding::Gzip));
        assert_eq!(Coding::named("deflate"), Some(Coding::Deflate));
        assert_eq!(Coding::named("identity,, gzip"), Some(Coding::Gzip));
        for other in ["", "identity", "br", "zstd", "gzip, br"] {
            assert_eq!(Coding::named(other), None, "{other}");
        }
    }
}
