//! Processes that live on a stage and all end with it. It does not know what is played there.

pub mod bootstrap;
pub mod collector;
pub mod envoy;
pub mod http;
pub mod model_server;
pub mod moto;
pub mod port;
pub mod process;
pub mod ready;
pub mod redis;
pub mod servers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What can go wrong while something is put on stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the stage could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started at all.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A process ended while it was awaited.
    #[error("{name} ended before it was ready ({status}); its last words:\n{log}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A process did not become ready in time.
    #[error("{name} was not ready after {seconds} s; its last words:\n{log}")]
    NotReady {
        /// Which process.
        name: String,
        /// How long was waited.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// TorchServe is written in Java.
    #[error(
        "TorchServe runs on Java 17, and no `java` is on the path; install one (on Debian: \
         apt install openjdk-17-jre-headless)"
    )]
    NoJava,
    /// The bootstrap does not have a text that was to be replaced.
    #[error("the bootstrap has no `{missing}`: it and its readers must be changed together")]
    Replacement {
        /// The text that is not there.
        missing: String,
    },
}

/// A folder for one play: configuration, state and logs of the processes. It is removed at the end
/// unless the play failed or [`Stage::keep`] was called.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    keep: bool,
}

impl Stage {
    /// Opens a new, empty folder under `parent`, named after `play`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(parent: &Path, play: &str) -> Result<Self, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("{play}-{}-{number}", std::process::id()));
        // A process of the same number may have left one behind.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|source| Error::File { path: folder.clone(), source })?;
        }
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::File { path: folder.clone(), source })?;
        Ok(Self { folder, keep: false })
    }

    /// Where everything of this play lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Leaves the folder in place at the end.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Removes what earlier processes left of the same play beside this one.
    pub fn tidy(&self, play: &str) {
        let siblings = self.folder.parent().and_then(|parent| std::fs::read_dir(parent).ok());
        for entry in siblings.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name
                .strip_prefix(play)
                .and_then(|rest| rest.strip_prefix('-')?.split('-').next()?.parse().ok());
            if owner.is_some_and(|pid| !process::exists(pid)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Writes a file of the play and gives its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        write(&self.folder.join(name), text)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn write(path: &Path, text: &str) -> Result<PathBuf, Error> {
    let file = |source| Error::File { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(file)?;
    }
    std::fs::write(path, text).map_err(file)?;
    Ok(path.to_owned())
}
