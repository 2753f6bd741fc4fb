//! A model server that costs little and always the same: it reads a request's bytes, looks at
//! nothing but their number and the path, and answers. It does not know what is measured.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::body::Kind;

/// Starts it, for the rest of the process's life, and gives its port.
///
/// # Errors
/// Loopback has no port left.
pub fn start() -> io::Result<u16> {
    let answers = Kind::ALL.map(|kind| (kind, answer(kind.answer())));
    serving(move |first_line| {
        let numeric = first_line.contains(Kind::Numeric.path());
        let kind = if numeric { Kind::Numeric } else { Kind::Mixed };
        answers.iter().find(|(of, _)| *of == kind).map(|(_, answer)| answer.clone())
    })
}

/// The same, which always gives this body.
///
/// # Errors
/// Loopback has no port left.
pub fn saying(body: &str) -> io::Result<u16> {
    let answer = answer(body);
    serving(move |_| Some(answer.clone()))
}

/// What a request with this first line is answered.
type Answering = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

fn serving(answering: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> io::Result<u16> {
    let answering: Arc<Answering> = Arc::new(answering);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answering = Arc::clone(&answering);
            thread::spawn(move || serve(stream, &*answering));
        }
    });
    Ok(port)
}

fn serve(mut stream: TcpStream, answering: &Answering) {
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::default();
    while let Ok(Some(head)) = wire.head(&mut stream) {
        let answer = answering(&head.first_line).unwrap_or_default();
        let sent =
            wire.skip(&mut stream, head.content_length).and_then(|()| stream.write_all(&answer));
        if sent.is_err() {
            return;
        }
    }
}

fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The first line of an HTTP/1.1 message, and the length of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) first_line: String,
    pub(super) content_length: usize,
}

/// One side of a connection over which messages with a length come.
#[derive(Debug)]
pub(super) struct Wire {
    buffer: Vec<u8>,
    /// Bytes of the buffer that came and were not taken yet.
    from: usize,
    until: usize,
}

impl Default for Wire {
    fn default() -> Self {
        Self { buffer: vec![0; 256 << 10], from: 0, until: 0 }
    }
}

impl Wire {
    /// The next head; `None` where the connection ended in peace.
    pub(super) fn head(&mut self, stream: &mut TcpStream) -> io::Result<Option<Head>> {
        loop {
            let came = &self.buffer[self.from..self.until];
            if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = read(&String::from_utf8_lossy(&came[..end]));
                self.from += end + 4;
                return Ok(Some(head));
            }
            self.buffer.copy_within(self.from..self.until, 0);
            self.until -= self.from;
            self.from = 0;
            let read = stream.read(&mut self.buffer[self.until..])?;
            if read == 0 {
                return Ok(None);
            }
            self.until += read;
        }
    }

    /// Takes so many bytes of a body.
    pub(super) fn skip(&mut self, stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
        let here = bytes.min(self.until - self.from);
        self.from += here;
        let mut left = bytes - here;
        while left > 0 {
            // What is in the buffer was taken, so all of it is free.
            let most = left.min(self.buffer.len());
            let read = stream.read(&mut self.buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
        }
        Ok(())
    }
}

fn read(head: &str) -> Head {
    let mut lines = head.split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    Head { first_line, content_length: lines.find_map(length).unwrap_or(0) }
}
