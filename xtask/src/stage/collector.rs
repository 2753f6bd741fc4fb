//! The collector on stage: `tidegate serve` with a `tidegate.yaml`, and its command line. It does
//! not know what is written there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::http::{Client, Unanswered, answers_ok};
use super::process::Process;
use super::{Error, Stage, ready};

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// The process, to be paused, killed or measured.
    pub process: Process,
    /// The port of API, metrics and health.
    pub http: u16,
    binary: PathBuf,
    client: Client,
}

impl Collector {
    /// Writes `yaml` as `tidegate.yaml` into the play's folder and runs `tidegate serve` with it.
    /// `http` is the port that the text gives to `listen.http`. Ready when `/readyz` answers 200.
    ///
    /// # Errors
    /// The file cannot be written, or the collector ended or was not ready in 20 s.
    pub fn start(stage: &Stage, binary: &Path, yaml: &str, http: u16) -> Result<Self, Error> {
        let config = stage.write("tidegate.yaml", yaml)?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("-c").arg(&config).env("NO_COLOR", "1");
        let mut process =
            Process::start("tidegate serve", command, &stage.folder().join("collector.log"))?;
        let url = format!("http://127.0.0.1:{http}/readyz");
        ready::wait(&mut process, Duration::from_secs(20), || answers_ok(&url))?;
        let client = Client::new(Duration::from_secs(5));
        Ok(Self { process, http, binary: binary.to_owned(), client })
    }

    /// The start of every URL of the API, metrics and health.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// `GET /api/v1/{what}` as JSON; null when the answer is none.
    ///
    /// # Errors
    /// No answer came.
    pub fn get(&self, what: &str) -> Result<Value, Unanswered> {
        Ok(self.client.get(&format!("{}/api/v1/{what}", self.url()))?.json())
    }

    /// Runs the real command against this collector, as an on-call person would.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn command(&self, arguments: &[&str]) -> Result<Output, Error> {
        Command::new(&self.binary)
            .args(arguments)
            .env("TIDEGATE_API", self.url())
            .env("NO_COLOR", "1")
            .output()
            .map_err(|source| Error::Spawn { program: "tidegate".to_owned(), source })
    }
}
