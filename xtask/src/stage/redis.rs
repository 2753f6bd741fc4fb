//! A Redis server on stage, which keeps a file of all it was told. It does not know what that is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{Error, Stage, port, ready};

/// A running Redis, on loopback only.
#[derive(Debug)]
pub struct Redis {
    /// The process, to be paused or killed.
    pub process: Process,
    /// Where it listens.
    pub port: u16,
    binary: PathBuf,
    folder: PathBuf,
}

impl Redis {
    /// Starts one whose file lies in the play's folder. Ready when it takes a connection.
    ///
    /// # Errors
    /// It ended, or was not ready in 10 s.
    pub fn start(stage: &Stage, binary: &Path) -> Result<Self, Error> {
        let (port, folder) = (port::free_port(), stage.folder().to_owned());
        let process = run(binary, &folder, port)?;
        Ok(Self { process, port, binary: binary.to_owned(), folder })
    }

    /// Starts it again after it was killed, at the same port and with the same file.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process = run(&self.binary, &self.folder, self.port)?;
        Ok(())
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

fn run(binary: &Path, folder: &Path, port: u16) -> Result<Process, Error> {
    let mut command = Command::new(binary);
    command.current_dir(folder).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    let mut process = Process::start("redis", command, &folder.join("redis.log"))?;
    ready::wait(&mut process, Duration::from_secs(10), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })?;
    Ok(process)
}
