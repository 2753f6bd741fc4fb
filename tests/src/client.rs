//! A client that can say anything: well-formed requests of all framings, and bytes as they are.
//! It does not know models.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::wire::{Body, Framing, Head, Headers, read_body, read_head};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, to be written in one of several framings.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Headers,
    body: Vec<u8>,
    chunk: Option<usize>,
    trailers: Headers,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunk: None,
            trailers: Vec::new(),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// `GET`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST` of JSON with its length; any bytes will do.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST", path).header("content-type", "application/json");
        request.body = body.into();
        request
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The body in chunks of so many bytes in place of a length.
    #[must_use]
    pub fn chunked(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes.max(1));
        self
    }

    /// A header after the last chunk.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The head as it goes over the wire.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut wire =
            format!("{} {} HTTP/1.1\r\nhost: models\r\n", self.method, self.path).into_bytes();
        put(&mut wire, &self.headers);
        if self.chunk.is_some() {
            wire.extend_from_slice(b"transfer-encoding: chunked\r\n");
        } else if !matches!(self.method.as_str(), "GET" | "HEAD" | "DELETE") {
            wire.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        wire
    }

    /// The body as it goes over the wire.
    #[must_use]
    pub fn framed_body(&self) -> Vec<u8> {
        let Some(chunk) = self.chunk else { return self.body.clone() };
        let mut wire = Vec::with_capacity(self.body.len() + 64);
        for piece in self.body.chunks(chunk) {
            wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n");
        put(&mut wire, &self.trailers);
        wire.extend_from_slice(b"\r\n");
        wire
    }

    /// The head as the one who gets it reads it.
    ///
    /// # Panics
    /// When the request has no head that can be read.
    #[must_use]
    pub fn sent_head(&self) -> Head {
        read_head(&mut self.head().as_slice()).expect("a head").expect("not empty")
    }

    /// The body itself.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

fn put(wire: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers {
        wire.extend_from_slice(name.as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value);
        wire.extend_from_slice(b"\r\n");
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: Head,
    /// The body.
    pub body: Body,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.bytes).into_owned()
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body.bytes).unwrap_or(Value::Null)
    }
}

/// One connection, and a new one whenever an answer ended it.
#[derive(Debug)]
pub struct Client {
    port: u16,
    stream: BufReader<TcpStream>,
    ended: bool,
}

impl Client {
    /// Connects to a port of loopback.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("Nagle can be switched off");
        Self { port, stream: BufReader::new(stream), ended: false }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The other side closed.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more comes.
    pub fn hang_up(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// Reads one answer to a request of this method, and passes over those that are interim.
    ///
    /// # Errors
    /// The connection broke or closed before a whole answer came.
    pub fn hear(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let response = self.hear_one(method)?;
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    /// Reads one answer, interim ones too.
    ///
    /// # Errors
    /// The connection broke or closed before a whole answer came.
    pub fn hear_one(&mut self, method: &str) -> io::Result<Response> {
        let head = read_head(&mut self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(head.line.clone()))?;
        let bodiless = method == "HEAD" || status < 200 || matches!(status, 204 | 304);
        let framing = if bodiless { Framing::Length(0) } else { head.framing(true) };
        let mut body = Body::default();
        read_body(&mut self.stream, framing, &mut body)?;
        Ok(Response { status, head, body })
    }

    /// Reads until such bytes came, and gives all that came.
    ///
    /// # Errors
    /// The connection broke or closed before they came.
    pub fn hear_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut heard = Vec::new();
        while !heard.windows(end.len()).any(|window| window == end) {
            let more = self.stream.fill_buf()?;
            if more.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length = more.len();
            heard.extend_from_slice(more);
            self.stream.consume(length);
        }
        Ok(heard)
    }

    /// Sends a request while it listens for the answer, which may come early: a refusal does not
    /// wait for the rest of the body, and ends the connection.
    ///
    /// # Errors
    /// The connection broke or closed before a whole answer came.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Response> {
        if self.ended {
            *self = Self::to(self.port);
        }
        let mut out = self.stream.get_ref().try_clone()?;
        thread::scope(|scope| {
            scope.spawn(move || {
                // One who answers early may stop listening; the answer tells.
                let _ = out.write_all(&request.head());
                let _ = out.write_all(&request.framed_body());
            });
            let heard = self.hear(&request.method);
            let goes_on = heard.as_ref().is_ok_and(|response| {
                response.head.header("connection").as_deref() != Some("close")
            });
            if !goes_on {
                let _ = self.stream.get_ref().shutdown(Shutdown::Both);
                self.ended = true;
            }
            heard
        })
    }

    /// As [`Client::try_ask`], where an answer must come.
    ///
    /// # Panics
    /// When none comes.
    pub fn ask(&mut self, request: &Request) -> Response {
        self.try_ask(request).unwrap_or_else(|error| {
            panic!("no answer to {} {}: {error}", request.method, request.path)
        })
    }
}
