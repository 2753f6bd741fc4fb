//! Real model servers beside MLServer, each in an environment of its own: what is installed, and on
//! which Python. It does not know how they are started, nor what they serve.

use std::path::{Path, PathBuf};

use super::python::{Python, environment, minor_of, pip};
use super::{Error, Tools, given};

/// The only Python in which Triton's models run: its backend loads the system's own library.
const SYSTEM: &str = "/usr/bin/python3";

/// A model server that can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// NVIDIA's Triton, the C++ server, with its Python backend; also the client library for gRPC.
    Triton,
    /// KServe's Python server.
    KServe,
    /// `mlflow models serve`.
    MLflow,
    /// BentoML.
    BentoML,
    /// LitServe.
    LitServe,
    /// TorchServe, without PyTorch; it runs on Java 17, which is not fetched.
    TorchServe,
    /// llama.cpp's server, which speaks OpenAI's protocol.
    LlamaCpp,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Triton,
        Self::KServe,
        Self::MLflow,
        Self::BentoML,
        Self::LitServe,
        Self::TorchServe,
        Self::LlamaCpp,
    ];

    /// The variable of the environment that names its Python, for those who have one.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Triton => "TIDEGATE_TRITON",
            Self::KServe => "TIDEGATE_KSERVE",
            Self::MLflow => "TIDEGATE_MLFLOW",
            Self::BentoML => "TIDEGATE_BENTOML",
            Self::LitServe => "TIDEGATE_LITSERVE",
            Self::TorchServe => "TIDEGATE_TORCHSERVE",
            Self::LlamaCpp => "TIDEGATE_LLAMACPP",
        }
    }

    /// Its folder on the shelf, what is being done, and the packages; the first is the server.
    fn recipe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Triton => (
                "triton-0.7.0",
                "Triton 2.51 (about 350 MB)",
                // numpy is bounded by the server; the rest is its client library.
                &["nvidia-pytriton==0.7.0", "tritonclient[grpc,http]==2.73.0"],
            ),
            Self::KServe => ("kserve-0.21.0", "KServe 0.21 (about 450 MB)", &["kserve==0.21.0"]),
            Self::MLflow => ("mlflow-3.17.2", "MLflow 3.17 (about 850 MB)", &["mlflow==3.17.2"]),
            Self::BentoML => {
                ("bentoml-1.4.40", "BentoML 1.4 (about 190 MB)", &["bentoml==1.4.40", "numpy<3"])
            }
            Self::LitServe => {
                ("litserve-0.2.19", "LitServe 0.2 (about 70 MB)", &["litserve==0.2.19"])
            }
            Self::TorchServe => (
                "torchserve-0.12.0",
                "TorchServe 0.12 (about 100 MB)",
                // Its worker reads YAML and does not say so.
                &["torchserve==0.12.0", "pyyaml"],
            ),
            Self::LlamaCpp => (
                "llamacpp-2026.10.11549",
                "llama.cpp with OpenAI's protocol (about 210 MB)",
                &["xllamacpp==2026.10.11549", "gguf==0.19.0"],
            ),
        }
    }

    fn python(self) -> Result<Python, Error> {
        if self != Self::Triton {
            return Python::find();
        }
        let program = PathBuf::from(SYSTEM);
        let minor = minor_of(Path::new(SYSTEM)).ok_or(Error::NoSystemPython)?;
        Ok(Python { program, minor })
    }
}

impl Tools {
    /// The Python that has the server: the one its variable names, or ours.
    ///
    /// # Errors
    /// It cannot be installed, or the machine has no Python for it.
    pub fn server(&self, server: Server) -> Result<PathBuf, Error> {
        if let Some(given) = given(server.variable()) {
            return Ok(given);
        }
        let python = server.python()?;
        let (folder, title, packages) = server.recipe();
        let name = format!("{folder}-python-3.{}", python.minor);
        let folder = self.on_shelf(title, &name, "bin/python", |folder, work| {
            let inside = environment(&python, folder, work)?;
            let mut install = pip(&inside, &["install", "--only-binary=:all:"]);
            install.args(packages);
            work.run(install)
        })?;
        Ok(folder.join("bin/python"))
    }
}
