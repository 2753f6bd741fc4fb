//! Envoy on stage, from the very bootstrap that users are given. It does not know what is routed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::bootstrap::{Replacement, adapt};
use super::http::answers_ok;
use super::process::Process;
use super::{Error, Stage, port, ready};

/// The addresses of a play that stand in for those of `envoy/bootstrap.yaml`.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where model v1 listens on loopback.
    pub v1: u16,
    /// Where model v2 listens on loopback.
    pub v2: u16,
    /// The collector's gRPC port on loopback.
    pub collector: u16,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// The process, to be paused, killed or measured.
    pub process: Process,
    /// The port for clients.
    pub listener: u16,
    /// The port of Envoy's admin interface.
    pub admin: u16,
}

impl Envoy {
    /// Starts Envoy (`binary`) with the text of `envoy/bootstrap.yaml`, its addresses exchanged for
    /// `addresses`, the filter for `filter`, and whatever `more` replaces. Ready when its admin
    /// interface says so.
    ///
    /// # Errors
    /// A text of the bootstrap is missing, or Envoy ended or was not ready in 20 s.
    pub fn start(
        stage: &Stage,
        binary: &Path,
        bootstrap: &str,
        filter: &Path,
        addresses: &Addresses,
        more: &[Replacement],
    ) -> Result<Self, Error> {
        let (listener, admin) = (port::free_port(), port::free_port());
        let replace = |from: &str, to: String| Replacement { from: from.to_owned(), to };
        let ports = [
            ("10000", listener),
            ("9901", admin),
            ("8081", addresses.v1),
            ("8082", addresses.v2),
            ("7070", addresses.collector),
        ];
        let mut replacements: Vec<Replacement> = ports
            .iter()
            .map(|(from, to)| replace(&format!("port_value: {from}"), format!("port_value: {to}")))
            .collect();
        replacements
            .push(replace("/etc/tidegate/tidegate_filter.wasm", filter.display().to_string()));
        replacements.extend_from_slice(more);
        Self::start_adapted(stage, binary, &adapt(bootstrap, &replacements)?, listener, admin)
    }

    /// Starts Envoy with a bootstrap that is already written for `listener` and `admin`.
    ///
    /// # Errors
    /// Envoy ended or was not ready in 20 s.
    pub fn start_adapted(
        stage: &Stage,
        binary: &Path,
        bootstrap: &str,
        listener: u16,
        admin: u16,
    ) -> Result<Self, Error> {
        let config = stage.write("envoy.yaml", bootstrap)?;
        let mut command = Command::new(binary);
        // Several Envoys of one machine would meet in shared memory, and hot restart is not ours.
        command.args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"]);
        command.arg("-c").arg(&config);
        let mut process = Process::start("envoy", command, &stage.folder().join("envoy.log"))?;
        let url = format!("http://127.0.0.1:{admin}/ready");
        ready::wait(&mut process, Duration::from_secs(20), || answers_ok(&url))?;
        Ok(Self { process, listener, admin })
    }

    /// The start of every client's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.listener)
    }
}
