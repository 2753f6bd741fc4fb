//! A client on one thread with a few connections: it sends a request on each, then reads all
//! answers. It costs little beside a proxy, and does not know what stands behind it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::body::Body;
use super::upstream::Wire;

/// Connections of one client: enough that Envoy rarely sleeps between two requests.
const CONNECTIONS: usize = 4;

/// A client of one listener.
#[derive(Debug)]
pub struct Client {
    connections: Vec<(TcpStream, Wire)>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn to(port: u16) -> io::Result<Self> {
        let connect = |_| {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            Ok((stream, Wire::default()))
        };
        Ok(Self { connections: (0..CONNECTIONS).map(connect).collect::<io::Result<_>>()? })
    }

    /// Sends a body so many times, rounded up to a multiple of the connections, and gives how many
    /// requests that were.
    ///
    /// # Errors
    /// An answer other than 200, or none.
    pub fn send(&mut self, body: &Body, times: usize) -> io::Result<usize> {
        let request = request(body);
        let rounds = times.div_ceil(CONNECTIONS);
        for _ in 0..rounds {
            for (stream, _) in &mut self.connections {
                stream.write_all(&request)?;
            }
            for (stream, wire) in &mut self.connections {
                let head = wire.head(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                if !head.first_line.contains(" 200 ") {
                    let name = &body.name;
                    let answer = head.first_line;
                    return Err(io::Error::other(format!("{name} was answered `{answer}`")));
                }
                wire.skip(stream, head.content_length)?;
            }
        }
        Ok(rounds * CONNECTIONS)
    }
}

fn request(body: &Body) -> Vec<u8> {
    let (path, length) = (body.kind.path(), body.bytes.len());
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: models\r\nuser-agent: tidegate-bench\r\naccept: */*\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(&body.bytes);
    request
}
