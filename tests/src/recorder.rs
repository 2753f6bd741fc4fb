//! A model server of our own: small, fast, and it remembers every byte it got. How it answers can
//! be changed while it runs. It knows no contract and no model.

use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::wire::{Body, Head, read_body, read_head};

/// Requests remembered; plays that send more ask for counts.
const REMEMBERED: usize = 4096;

/// A request as the server got it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The request line and the headers.
    pub head: Head,
    /// What came of the body.
    pub body: Body,
}

impl Seen {
    /// The path of the request.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// An answer written by hand, as slowly as it likes.
pub type Hand = dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync;

/// What the server does with a request.
#[derive(Clone)]
pub enum Manner {
    /// Answers an Open Inference Protocol response that names the version.
    Plain,
    /// Answers what the function says.
    Script(Arc<dyn Fn(&Seen) -> Reply + Send + Sync>),
    /// Leaves the answer to the function; the connection ends with it.
    Hand(Arc<Hand>),
    /// Breaks off as soon as it has read the head.
    BreakOff,
}

/// What goes back over the wire.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// Bytes as they are, head and all, each after a pause.
    pub pieces: Vec<(Duration, Vec<u8>)>,
    /// Whether the connection ends with it.
    pub close: bool,
}

impl Reply {
    /// A whole answer with its length.
    #[must_use]
    pub fn whole(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut wire = head(status, headers);
        wire.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        wire.extend_from_slice(body);
        Self { pieces: vec![(Duration::ZERO, wire)], close: false }
    }

    /// An answer in chunks, with trailers.
    #[must_use]
    pub fn chunked(headers: &[(&str, &str)], chunks: &[&[u8]], trailers: &[(&str, &str)]) -> Self {
        let mut wire = head(200, headers);
        wire.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        let mut pieces = vec![(Duration::ZERO, wire)];
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            let mut wire = format!("{:x}\r\n", chunk.len()).into_bytes();
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
            pieces.push((Duration::ZERO, wire));
        }
        let mut end = "0\r\n".to_owned();
        for (name, value) in trailers {
            end.push_str(&format!("{name}: {value}\r\n"));
        }
        pieces.push((Duration::ZERO, format!("{end}\r\n").into_bytes()));
        Self { pieces, close: false }
    }

    /// Bytes as they are, then the end of the connection.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![(Duration::ZERO, bytes.into())], close: true }
    }

    /// The same with a pause before each piece.
    #[must_use]
    pub fn slowly(mut self, pause: Duration) -> Self {
        for (before, _) in &mut self.pieces {
            *before = pause;
        }
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Says the model\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

#[derive(Default)]
struct Memory {
    seen: Vec<Seen>,
    whole: u64,
    broken: u64,
}

struct Shared {
    version: String,
    manner: Mutex<Manner>,
    memory: Mutex<Memory>,
    closing: AtomicBool,
}

/// A running model server.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Starts a server that answers in the name of `version`.
    ///
    /// # Panics
    /// When loopback has no port left.
    #[must_use]
    pub fn start(version: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            version: version.to_owned(),
            manner: Mutex::new(Manner::Plain),
            memory: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.closing.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes how it answers from the next request on.
    pub fn behave(&self, manner: Manner) {
        *held(&self.shared.manner) = manner;
    }

    /// Lets it answer by a function.
    pub fn script(&self, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.behave(Manner::Script(Arc::new(script)));
    }

    /// The requests it remembers, whole or not, in the order of their ends; then it forgets them.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut held(&self.shared.memory).seen)
    }

    /// How many whole requests it ever got.
    #[must_use]
    pub fn whole(&self) -> u64 {
        held(&self.shared.memory).whole
    }

    /// How many requests it ever got that ended before they were whole.
    #[must_use]
    pub fn broken(&self) -> u64 {
        held(&self.shared.memory).broken
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that it sees.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(mut out) = stream.try_clone() else { return };
        let mut from = BufReader::new(stream);
        while let Ok(Some(head)) = read_head(&mut from) {
            let manner = held(&self.manner).clone();
            if matches!(manner, Manner::BreakOff) {
                self.remember(Seen { head, body: Body::default() });
                break;
            }
            if head.header("expect").is_some_and(|what| what == "100-continue") {
                let _ = out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let mut seen = Seen { body: Body::default(), head };
            let framing = seen.head.framing(false);
            let came = read_body(&mut from, framing, &mut seen.body);
            if let (Ok(()), Manner::Hand(hand)) = (&came, &manner) {
                self.remember(seen);
                // A client that went is for the test to notice.
                let _ = hand(&mut out);
                break;
            }
            let reply = came.is_ok().then(|| self.reply(&manner, &seen));
            self.remember(seen);
            let Some(reply) = reply else { break };
            let mut sent = Ok(());
            for (pause, piece) in reply.pieces {
                // A slow server is what is played here, not a way to wait for something.
                thread::sleep(pause);
                sent = sent.and_then(|()| out.write_all(&piece));
            }
            if sent.is_err() || reply.close {
                break;
            }
        }
        let _ = out.shutdown(Shutdown::Both);
    }

    fn reply(&self, manner: &Manner, seen: &Seen) -> Reply {
        if let Manner::Script(script) = manner {
            return script(seen);
        }
        let version = &self.version;
        let body = format!(
            r#"{{"model_name":"census","model_version":"{version}","outputs":[{{"name":"predict","shape":[1,1],"datatype":"INT64","data":[1]}}]}}"#
        );
        Reply::whole(200, &[("content-type", "application/json")], body.as_bytes())
    }

    fn remember(&self, seen: Seen) {
        let mut memory = held(&self.memory);
        if seen.body.whole {
            memory.whole += 1;
        } else {
            memory.broken += 1;
        }
        if memory.seen.len() < REMEMBERED {
            memory.seen.push(seen);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
