//! The model servers beside MLServer on stage, each with the small model of its folder below
//! `tests/`. It does not know what is asked of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::http::Client;
use super::process::Process;
use super::{Error, Stage, port, ready};
use crate::tools::servers::Server;

/// How long a server may take until its model can answer: with cold files and two busy cores.
const START: Duration = Duration::from_secs(120);

/// A model server that runs, on loopback only.
#[derive(Debug)]
pub struct Served {
    /// The process, to be paused, killed or measured.
    pub process: Process,
    /// The port of its HTTP interface.
    pub http: u16,
    /// The port of its gRPC interface, where it has one.
    pub grpc: Option<u16>,
}

/// What every server needs: a stage, the Python that has it, and the folder `tests/`.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where its files and its log go.
    pub stage: &'a Stage,
    /// The Python of its environment.
    pub python: &'a Path,
    /// The folder with the scripts of all servers.
    pub scripts: &'a Path,
}

impl Place<'_> {
    /// Starts a server and waits until its model can answer.
    ///
    /// # Errors
    /// Its model cannot be made, what it runs on is missing, or it ended or was not ready in time.
    pub fn start(&self, server: Server) -> Result<Served, Error> {
        match server {
            Server::Triton => self.triton(),
            Server::KServe => self.kserve(),
            Server::MLflow => self.mlflow(),
            Server::BentoML => self.bentoml(),
            Server::LitServe => self.litserve(),
            Server::TorchServe => self.torchserve(),
            Server::LlamaCpp => self.llamacpp(),
        }
    }

    /// Triton with the models `census`, `echo`, `plain` and `single`.
    fn triton(&self) -> Result<Served, Error> {
        let (http, grpc) = (port::free_port(), port::free_port());
        let mut command = self.script("triton/serve.py");
        command.args([http.to_string(), grpc.to_string()]);
        // Else it unpacks itself into the user's cache.
        command.env("PYTRITON_HOME", self.stage.folder());
        // The server is ready long before its models are; `single` comes last.
        self.serve("triton", command, http, Some(grpc), |ask| ask.ok("/v2/models/single/ready"))
    }

    /// KServe's server with the model `census`.
    fn kserve(&self) -> Result<Served, Error> {
        let (http, grpc) = (port::free_port(), port::free_port());
        let mut command = self.script("kserve/serve.py");
        command.args([http.to_string(), grpc.to_string()]);
        self.serve("kserve", command, http, Some(grpc), |ask| ask.ok("/v2/models/census/ready"))
    }

    /// `mlflow models serve` with a model that is made first.
    fn mlflow(&self) -> Result<Served, Error> {
        let model = self.stage.folder().join("model");
        let mut training = self.script("mlflow/train.py");
        training.arg(&model);
        self.finish("mlflow-training", training)?;
        let http = port::free_port();
        let mut command = self.command();
        command.args(["-m", "mlflow", "models", "serve", "--env-manager", "local"]);
        command.arg("-m").arg(&model).args(["-h", "127.0.0.1", "--workers", "1"]);
        command.args(["-p", &http.to_string()]);
        // It starts `uvicorn` from the path; the one of the environment carries an absolute path
        // that was another while it was installed.
        let programs = self.stage.folder().join("programs");
        let script = format!("#!/bin/sh\nexec '{}' -m uvicorn \"$@\"\n", self.python.display());
        let uvicorn = self.stage.write("programs/uvicorn", &script)?;
        let file = |source| Error::File { path: uvicorn.clone(), source };
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&uvicorn, executable).map_err(file)?;
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(programs).chain(std::env::split_paths(&inherited));
        command.env("PATH", std::env::join_paths(paths).unwrap_or(inherited.clone()));
        self.serve("mlflow", command, http, None, |ask| ask.ok("/ping"))
    }

    /// BentoML with the service `census`.
    fn bentoml(&self) -> Result<Served, Error> {
        let http = port::free_port();
        let mut command = self.command();
        command.args(["-m", "bentoml", "serve", "service:Census", "--host", "127.0.0.1"]);
        command.args(["--port", &http.to_string(), "--working-dir"]);
        command.arg(self.scripts.join("bentoml"));
        command.env("BENTOML_HOME", self.stage.folder()).env("BENTOML_DO_NOT_TRACK", "True");
        self.serve("bentoml", command, http, None, |ask| ask.ok("/readyz"))
    }

    /// LitServe with the model `census`.
    fn litserve(&self) -> Result<Served, Error> {
        let http = port::free_port();
        let mut command = self.script("litserve/serve.py");
        command.arg(http.to_string());
        self.serve("litserve", command, http, None, |ask| ask.ok("/health"))
    }

    /// TorchServe with the model `census`, without PyTorch.
    fn torchserve(&self) -> Result<Served, Error> {
        if Command::new("java").arg("-version").output().is_err() {
            return Err(Error::NoJava);
        }
        let here = self.stage.folder();
        let handler = self.scripts.join("torchserve/handler.py");
        let file = |source| Error::File { path: handler.clone(), source };
        let handler_text = std::fs::read_to_string(&handler).map_err(file)?;
        self.stage.write("models/census/handler.py", &handler_text)?;
        let manifest = r#"{"runtime": "python", "archiverVersion": "0.12.0", "model": {"modelName": "census", "handler": "handler.py:handle", "modelVersion": "1.0"}}"#;
        self.stage.write("models/census/MAR-INF/MANIFEST.json", manifest)?;
        let (http, management) = (port::free_port(), port::free_port());
        let settings = format!(
            "inference_address=http://127.0.0.1:{http}\n\
             management_address=http://127.0.0.1:{management}\n\
             metrics_address=http://127.0.0.1:{}\n\
             grpc_inference_address=127.0.0.1\ngrpc_inference_port={}\n\
             grpc_management_address=127.0.0.1\ngrpc_management_port={}\n\
             default_workers_per_model=1\ndisable_token_authorization=true\n\
             load_models=all\nnetty_threads=1\njob_queue_size=100\n",
            port::free_port(),
            port::free_port(),
            port::free_port()
        );
        let settings = self.stage.write("config.properties", &settings)?;
        let mut command = self.command();
        command.args(["-c", "import sys; from ts.model_server import start; sys.exit(start())"]);
        command.args(["--start", "--foreground", "--ncs", "--ts-config"]).arg(settings);
        command.arg("--model-store").arg(here.join("models"));
        // Its worker asks for a module `torch`; a process of the same machine for a file in TMPDIR.
        command.env("PYTHONPATH", self.scripts.join("torchserve")).env("TMPDIR", here);
        command.env("LOG_LOCATION", here.join("logs")).env("METRICS_LOCATION", here.join("logs"));
        // `/ping` is healthy while no worker lives.
        self.serve("torchserve", command, http, None, move |_| {
            Ask(management).body("/models/census").contains("\"status\": \"READY\"")
        })
    }

    /// llama.cpp's server with a small model of random weights that is made first.
    fn llamacpp(&self) -> Result<Served, Error> {
        let model = self.stage.folder().join("small.gguf");
        let mut making = self.script("openai/model.py");
        making.arg(&model);
        self.finish("openai-model", making)?;
        let http = port::free_port();
        let mut command = self.script("openai/serve.py");
        command.arg(&model).arg(http.to_string());
        self.serve("openai", command, http, None, |ask| ask.ok("/health"))
    }

    fn script(&self, script: &str) -> Command {
        let mut command = self.command();
        command.arg(self.scripts.join(script));
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.python);
        command.current_dir(self.stage.folder());
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        // Two cores are shared with everything else; one row needs no threads.
        command.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
        command
    }

    /// Runs a short command to its end.
    fn finish(&self, name: &str, command: Command) -> Result<(), Error> {
        let mut process = Process::start(name, command, &self.log(name))?;
        // Nothing but its end is awaited.
        let waited = ready::wait(&mut process, START, || false);
        if process.ended().is_some_and(|status| status.success()) { Ok(()) } else { waited }
    }

    fn serve(
        &self,
        name: &str,
        command: Command,
        http: u16,
        grpc: Option<u16>,
        is_ready: impl Fn(Ask) -> bool,
    ) -> Result<Served, Error> {
        let mut process = Process::start(name, command, &self.log(name))?;
        ready::wait(&mut process, START, || is_ready(Ask(http)))?;
        Ok(Served { process, http, grpc })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.stage.folder().join(format!("{name}.log"))
    }
}

/// Asks what listens at a port of loopback.
#[derive(Clone, Copy)]
struct Ask(u16);

impl Ask {
    fn ok(self, path: &str) -> bool {
        super::http::answers_ok(&format!("http://127.0.0.1:{}{path}", self.0))
    }

    fn body(self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.0);
        Client::new(Duration::from_secs(2)).get(&url).map(|told| told.text()).unwrap_or_default()
    }
}
