//! gRPC's frames around messages: each with its length before it, and maybe compressed. It does not know
//! what the messages are.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use crate::inflate::{Coding, Inflate};
use crate::rows::Broken;

/// A flag and a length.
const HEADER_BYTES: usize = 5;
/// What gzip begins with, and deflate never does: its first four bits would be 15. RFC 1952, 2.3.1.
const GZIP_BEGINS: u8 = 0x1f;

/// What compressed messages are compressed by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Nothing that is read here: there must be none.
    #[default]
    None,
    /// This, as the head says.
    By(Coding),
    /// Nobody kept what the head said: their first byte tells.
    Unsaid,
}

/// Takes the frames off.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    packing: Packing,
    header: Vec<u8>,
    /// Bytes that the open message still has on the wire.
    left: u64,
    /// Whether the open message is compressed.
    packed: bool,
    inflate: Option<Box<Inflate>>,
    messages: u64,
}

impl Frames {
    /// Says what compressed messages are compressed by.
    pub(crate) fn packed_by(&mut self, packing: Packing) {
        self.packing = packing;
    }

    /// Whether at least one message came and none is open.
    pub(crate) fn is_between(&self) -> bool {
        self.messages > 0 && self.left == 0 && self.header.is_empty()
    }

    /// Takes the next bytes; tells the pieces of messages, the last of each with `true`.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        out: &mut impl FnMut(&[u8], bool) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.left == 0 {
                let (piece, after) =
                    rest.split_at(rest.len().min(HEADER_BYTES - self.header.len()));
                self.header.extend_from_slice(piece);
                rest = after;
                if let [flag, a, b, c, d] = self.header[..] {
                    self.header.clear();
                    self.begin(flag, u32::from_be_bytes([a, b, c, d]))?;
                    if self.left == 0 {
                        self.end(out)?;
                    }
                }
                continue;
            }
            let taken = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let (piece, after) = rest.split_at(taken);
            rest = after;
            self.left -= taken as u64;
            match self.inflate(piece) {
                None => out(piece, false)?,
                Some(inflate) => {
                    let mut told = Ok(());
                    let read = inflate.feed(piece, &mut |plain| {
                        if told.is_ok() {
                            told = out(plain, false);
                        }
                    });
                    told?;
                    read.map_err(|_| damaged())?;
                }
            }
            if self.left == 0 {
                self.end(out)?;
            }
        }
        Ok(())
    }

    /// Says that no more comes.
    pub(crate) fn finish(&self) -> Result<(), Broken> {
        if self.is_between() { Ok(()) } else { Err(Broken::Missing("message")) }
    }

    fn begin(&mut self, flag: u8, length: u32) -> Result<(), Broken> {
        self.left = length.into();
        self.packed = match (flag, self.packing) {
            (0, _) => false,
            (1, Packing::By(_) | Packing::Unsaid) => true,
            (1, Packing::None) => {
                let expected = "compressed by gzip or deflate";
                return Err(Broken::Envelope { place: "a message", expected });
            }
            _ => {
                return Err(Broken::Envelope { place: "the flag of a frame", expected: "0 or 1" });
            }
        };
        Ok(())
    }

    /// What unpacks a piece of the open message, where it is compressed.
    fn inflate(&mut self, piece: &[u8]) -> Option<&mut Inflate> {
        if !self.packed {
            return None;
        }
        let coding = match (self.packing, piece.first()) {
            (Packing::By(coding), _) => coding,
            (_, Some(&GZIP_BEGINS)) => Coding::Gzip,
            _ => Coding::Deflate,
        };
        Some(self.inflate.get_or_insert_with(|| Box::new(Inflate::new(coding))))
    }

    fn end(
        &mut self,
        out: &mut impl FnMut(&[u8], bool) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.messages += 1;
        if let Some(mut inflate) = self.inflate.take() {
            let mut told = Ok(());
            let finished = inflate.finish(&mut |plain| {
                if told.is_ok() {
                    told = out(plain, false);
                }
            });
            told?;
            finished.map_err(|_| damaged())?;
        }
        out(&[], true)
    }
}

fn damaged() -> Broken {
    Broken::Envelope { place: "a compressed message", expected: "what its coding says" }
}
