//! MLServer on stage: one server, one version of a model. It does not know what the model means.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::http::answers_ok;
use super::process::Process;
use super::{Error, Stage, port, ready};

/// A running model server.
#[derive(Debug)]
pub struct ModelServer {
    /// The process, to be paused, killed or measured.
    pub process: Process,
    /// The port of its REST interface.
    pub http: u16,
    /// The port of its gRPC interface.
    pub grpc: u16,
}

impl ModelServer {
    /// Starts MLServer with the model in `folder` (`model-settings.json` and what it names), by the
    /// `python` of the environment that has it. It is not awaited: see [`ModelServer::wait`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(stage: &Stage, python: &Path, name: &str, folder: &Path) -> Result<Self, Error> {
        let (http, grpc) = (port::free_port(), port::free_port());
        let mut command = Command::new(python);
        // Called by module, not by its script: scripts of an environment carry an absolute path.
        command
            .args(["-c", "import sys; from mlserver.cli import main; sys.exit(main())", "start"])
            .arg(folder)
            .current_dir(stage.folder())
            .envs([
                ("MLSERVER_HOST", "127.0.0.1".to_owned()),
                ("MLSERVER_HTTP_PORT", http.to_string()),
                ("MLSERVER_GRPC_PORT", grpc.to_string()),
                ("MLSERVER_METRICS_PORT", port::free_port().to_string()),
                ("MLSERVER_PARALLEL_WORKERS", "0".to_owned()),
                ("MLSERVER_DEBUG", "false".to_owned()),
                // Two servers share two cores with everything else; one row needs no threads.
                ("OMP_NUM_THREADS", "1".to_owned()),
                ("OPENBLAS_NUM_THREADS", "1".to_owned()),
                ("PYTHONUNBUFFERED", "1".to_owned()),
            ]);
        let log = stage.folder().join(format!("mlserver-{name}.log"));
        let process = Process::start(&format!("mlserver {name}"), command, &log)?;
        Ok(Self { process, http, grpc })
    }

    /// Waits until the server says that `model` is ready.
    ///
    /// # Errors
    /// The server ended, or was not ready in 90 s.
    pub fn wait(&mut self, model: &str) -> Result<(), Error> {
        let url = format!("{}/v2/models/{model}/ready", self.url());
        ready::wait(&mut self.process, Duration::from_secs(90), || answers_ok(&url))
    }

    /// The start of every URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }
}
