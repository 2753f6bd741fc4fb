//! How far a pass or a copy has come, on a terminal: one line on standard error, rewritten. Where standard
//! error is no terminal it says nothing.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::table::Progress;
use crate::wording::{grouped, size};

const BETWEEN_LINES: Duration = Duration::from_millis(200);

/// One pass over a file, or one copy of several.
#[derive(Debug)]
pub(crate) struct Meter {
    pass: &'static str,
    terminal: bool,
    started: Instant,
    written: Option<Instant>,
}

impl Meter {
    pub(crate) fn start(pass: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { pass, terminal, started: Instant::now(), written: None }
    }

    /// Passes shorter than the pause between two lines show none.
    pub(crate) fn show(&mut self, progress: Progress) {
        self.write(|seconds| {
            let rate = progress.rows as f64 / seconds;
            let (rows, rate) = (grouped(progress.rows), grouped(rate as u64));
            let (share, read) = (progress.share * 100.0, size(progress.bytes));
            format!("{share:3.0} %  {rows} rows  {read}  {rate} rows/s")
        });
    }

    /// So many bytes of so many are there.
    pub(crate) fn copied(&mut self, bytes: u64, of: u64) {
        self.write(|seconds| {
            let share = bytes as f64 / of.max(1) as f64 * 100.0;
            let rate = size((bytes as f64 / seconds) as u64);
            format!("{share:3.0} %  {} of {}  {rate}/s", size(bytes), size(of))
        });
    }

    fn write(&mut self, said: impl FnOnce(f64) -> String) {
        if !self.terminal || self.written.unwrap_or(self.started).elapsed() < BETWEEN_LINES {
            return;
        }
        self.written = Some(Instant::now());
        let said = said(self.started.elapsed().as_secs_f64().max(1e-9));
        // A terminal that went away is no reason to stop.
        let _ = write!(std::io::stderr(), "\r{} {said}\x1b[K", self.pass);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.written.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
