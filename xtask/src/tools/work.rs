//! Long commands under one title: their output in a log, their progress on the terminal. It does
//! not know what they fetch or build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{Error, file_error};
use crate::stage::process::{Process, last_lines};
use crate::terminal::{Step, Terminal};

/// How often the newest line of a command is shown.
const LOOK: Duration = Duration::from_millis(100);
/// How many lines of a failed command are shown.
const LAST_LINES: usize = 30;

/// One long step, made of commands.
#[derive(Debug)]
pub struct Work {
    title: String,
    step: Step,
    log: PathBuf,
}

impl Work {
    /// Opens a step; the output of its commands goes to `{logs}/{name}.log`.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn begin(terminal: Terminal, title: &str, logs: &Path, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(logs).map_err(file_error(logs))?;
        let log = logs.join(format!("{name}.log"));
        fs::write(&log, "").map_err(file_error(&log))?;
        Ok(Self { title: title.to_owned(), step: terminal.step(title), log })
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// It cannot be started or fails; then its last words are in the error.
    pub fn run(&mut self, command: Command) -> Result<(), Error> {
        let mut process = Process::start(&self.title, command, &self.log)?;
        let status = loop {
            if let Some(status) = process.ended() {
                break status;
            }
            self.step.tick(last_lines(&self.log, 1).trim());
            thread::sleep(LOOK);
        };
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            title: self.title.clone(),
            status: status.to_string(),
            log: self.log.clone(),
            words: last_lines(&self.log, LAST_LINES),
        })
    }

    /// Closes the step.
    pub fn finish(self, well: bool, note: &str) {
        if well { self.step.done(note) } else { self.step.broken() }
    }
}
