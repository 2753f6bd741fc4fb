//! HTTP/1.1 as bytes, read by both ends of a play. Nothing is decoded, joined or corrected, so
//! that what passed can be compared byte for byte. It does not know who speaks.

use std::io::{self, BufRead, Read};

/// Bytes of a head; nobody here sends more.
const MAX_HEAD_BYTES: u64 = 256 << 10;

/// Names and values as they came.
pub type Headers = Vec<(String, Vec<u8>)>;

/// The first line of a message and its headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The first line, without its end.
    pub line: String,
    /// In the order of the wire, names in lower case.
    pub headers: Headers,
}

impl Head {
    /// The first value of a header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// How the body that follows is delimited. `reply` says that it may run until the close.
    #[must_use]
    pub fn framing(&self, reply: bool) -> Framing {
        if self.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            return Framing::Chunked;
        }
        match self.header("content-length").and_then(|length| length.trim().parse().ok()) {
            Some(length) => Framing::Length(length),
            None if reply => Framing::UntilClose,
            None => Framing::Length(0),
        }
    }
}

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, the last one empty.
    Chunked,
    /// All that comes.
    UntilClose,
}

/// What came of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes, without the framing.
    pub bytes: Vec<u8>,
    /// The headers after the last chunk.
    pub trailers: Headers,
    /// Whether it came to its end.
    pub whole: bool,
}

/// Reads a head; `None` when the other side closed before it said anything.
///
/// # Errors
/// The connection broke, or what came is no head.
pub fn read_head(from: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut from = from.take(MAX_HEAD_BYTES);
    let line = loop {
        match read_line(&mut from)? {
            None => return Ok(None),
            // The end of an earlier message may be followed by blank lines.
            Some(line) if line.is_empty() => {}
            Some(line) => break String::from_utf8_lossy(&line).into_owned(),
        }
    };
    Ok(Some(Head { line, headers: read_headers(&mut from)? }))
}

/// Reads a body into `body`; what came before an error stays there.
///
/// # Errors
/// The connection broke, or ended too early.
pub fn read_body(from: &mut impl BufRead, framing: Framing, body: &mut Body) -> io::Result<()> {
    match framing {
        Framing::Length(length) => read_exactly(from, length, &mut body.bytes)?,
        Framing::UntilClose => drop(from.read_to_end(&mut body.bytes)?),
        Framing::Chunked => loop {
            let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = String::from_utf8_lossy(&line);
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                body.trailers = read_headers(from)?;
                break;
            }
            read_exactly(from, size, &mut body.bytes)?;
            read_line(from)?;
        },
    }
    body.whole = true;
    Ok(())
}

fn read_exactly(from: &mut impl BufRead, length: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(length).read_to_end(into)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_headers(from: &mut impl BufRead) -> io::Result<Headers> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        headers.push((String::from_utf8_lossy(name).to_lowercase(), value.to_vec()));
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}
