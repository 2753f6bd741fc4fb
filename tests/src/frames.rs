//! HTTP/2 as far as bodies go: the DATA of each stream of a connection (RFC 9113). Heads stay
//! compressed, so it does not know what is asked.

use std::collections::BTreeMap;

use crate::tap::Passed;

/// What a client says before its first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PADDED: u8 = 8;

/// One stream: both bodies, and how many heads came back (a head, trailers).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// The request's body.
    pub request: Vec<u8>,
    /// The answer's body.
    pub answer: Vec<u8>,
    /// HEADERS frames of the answer: one when it has no trailers of its own.
    pub heads: usize,
}

/// The streams of whole connections, sorted by their bodies: who joins connections anew numbers
/// and orders the streams in its own way.
///
/// # Panics
/// When it is not HTTP/2.
#[must_use]
pub fn streams(connections: &[Passed]) -> Vec<Stream> {
    let mut found = Vec::new();
    for Passed { up, down } in connections {
        let mut streams: BTreeMap<u32, Stream> = BTreeMap::new();
        let up = up.strip_prefix(PREFACE).expect("a connection of HTTP/2 begins with its preface");
        each_frame(up, |id, kind, payload| {
            let stream = streams.entry(id).or_default();
            if kind == DATA {
                stream.request.extend_from_slice(payload);
            }
        });
        each_frame(down, |id, kind, payload| {
            let stream = streams.entry(id).or_default();
            match kind {
                DATA => stream.answer.extend_from_slice(payload),
                HEADERS => stream.heads += 1,
                _ => {}
            }
        });
        // Stream 0 is the connection itself.
        streams.remove(&0);
        found.extend(streams.into_values());
    }
    found.sort();
    found
}

fn each_frame(mut bytes: &[u8], mut seen: impl FnMut(u32, u8, &[u8])) {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        // The last one may still be on its way.
        let Some((payload, rest)) = rest.split_at_checked(length) else { return };
        let payload = match payload.split_first() {
            Some((padding, padded)) if kind == DATA && flags & PADDED != 0 => {
                &padded[..padded.len().saturating_sub(usize::from(*padding))]
            }
            _ => payload,
        };
        seen(id, kind, payload);
        bytes = rest;
    }
}
