//! What the recipes need and a fresh machine lacks: fetched or built once, kept below the build
//! folder, never in the user's places. It does not know what the tools are used for.

pub mod census;
pub mod crates;
pub mod envoy;
pub mod mlserver;
pub mod moto;
pub mod python;
pub mod redis;
pub mod samples;
pub mod servers;
pub mod shelf;
mod wheel;
pub mod work;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage;
use crate::terminal::Terminal;

/// Why a tool could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of ours could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A command that fetches or builds could not be started or watched.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// A command that fetches or builds failed.
    #[error("{title} failed ({status}); its last words, all of them in {log}:\n{words}")]
    Failed {
        /// What was being done.
        title: String,
        /// How it ended.
        status: String,
        /// Where its whole output lies.
        log: PathBuf,
        /// The last lines.
        words: String,
    },
    /// No Python that the model server runs on.
    #[error(
        "no python3 from 3.10 to 3.13 with the module venv was found ({seen}); install one (on Debian: \
         apt install python3 python3-venv), or name one in TIDEGATE_PYTHON"
    )]
    NoPython {
        /// What was found instead.
        seen: String,
    },
    /// The Python that Triton's models need is missing or cannot make environments.
    #[error(
        "Triton runs its models only in the system's own Python, and /usr/bin/python3 with the module \
         venv is not there; install it (on Debian: apt install python3 python3-venv), or name a \
         Python that has nvidia-pytriton in TIDEGATE_TRITON"
    )]
    NoSystemPython,
    /// The WebAssembly target is missing and there is no rustup to add it.
    #[error(
        "the toolchain has no target {target} and rustup is not there to add it; install rustup, or \
         the target by the way your toolchain came"
    )]
    NoTarget {
        /// Which target.
        target: String,
    },
    /// cargo did not say where it builds.
    #[error("`cargo metadata` told no target directory: {reason}")]
    NoWorkspace {
        /// What it said instead.
        reason: String,
    },
    /// A package did not hold what it should.
    #[error("{path} is not in the package that was fetched")]
    Incomplete {
        /// The missing file.
        path: PathBuf,
    },
}

/// The tools of one checkout.
#[derive(Debug, Clone)]
pub struct Tools {
    root: PathBuf,
    target: PathBuf,
    shelf: PathBuf,
    terminal: Terminal,
}

impl Tools {
    /// Finds the checkout and its build folder (`CARGO_TARGET_DIR` and cargo's configuration count).
    /// Progress of long steps goes to `terminal`.
    ///
    /// # Errors
    /// `cargo metadata` fails.
    pub fn find(terminal: Terminal) -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.parent().unwrap_or(root).to_owned();
        let reason = |reason: String| Error::NoWorkspace { reason };
        let told = Command::new(crates::cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root)
            .output()
            .map_err(|error| reason(error.to_string()))?;
        let target = serde_json::from_slice::<serde_json::Value>(&told.stdout)
            .ok()
            .and_then(|told| told.get("target_directory")?.as_str().map(PathBuf::from))
            .ok_or_else(|| reason(String::from_utf8_lossy(&told.stderr).into_owned()))?;
        let shelf = target.join("tidegate-tools");
        Ok(Self { root, target, shelf, terminal })
    }

    /// The root of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where plays put their folders: [`stage::Stage::open`] takes it.
    #[must_use]
    pub fn stages(&self) -> PathBuf {
        self.target.join("tidegate-stages")
    }

    /// The text of `envoy/bootstrap.yaml`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bootstrap(&self) -> Result<String, Error> {
        let path = self.root.join("envoy/bootstrap.yaml");
        std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })
    }
}

/// A tool that somebody names in the environment; then nothing is fetched or built.
fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    |source| Error::File { path: path.to_owned(), source }
}
