//! A server of S3's protocol on stage, moto. It does not know what is put there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{Error, Stage, port, ready};

/// A running moto, on loopback only. What it keeps is gone when it ends.
#[derive(Debug)]
pub struct Moto {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Moto {
    /// Starts one with the Python that has it. `strict` ones refuse who is not known to them, and
    /// nobody is. Ready when it takes a connection.
    ///
    /// # Errors
    /// It ended, or was not ready in 60 s.
    pub fn start(stage: &Stage, python: &Path, strict: bool) -> Result<Self, Error> {
        let port = port::free_port();
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        command.current_dir(stage.folder());
        if strict {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "0");
        }
        let log = stage.folder().join(format!("moto-{port}.log"));
        let mut process = Process::start("moto", command, &log)?;
        ready::wait(&mut process, Duration::from_secs(60), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Ok(Self { process, port })
    }

    /// Its URL, as `AWS_ENDPOINT_URL` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
