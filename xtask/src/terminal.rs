//! What people see: calm lines, steps that take long, colour on a terminal only. It does not know
//! what the lines are about.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// How lines are written: with colour and a moving clock for a person, or plainly.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    colour: bool,
    moving: bool,
}

impl Terminal {
    /// Colour and movement where standard output is a terminal and nobody asked for less.
    #[must_use]
    pub fn detect() -> Self {
        let terminal = stdout().is_terminal() && stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { colour: terminal && !plain, moving: terminal }
    }

    /// Plain lines, for logs and programs.
    #[must_use]
    pub fn plain() -> Self {
        Self { colour: false, moving: false }
    }

    /// An act of the story: a title with air above it.
    pub fn act(self, title: &str) {
        self.line(&format!("\n{}", self.paint("1;36", title)));
    }

    /// One thing that happened.
    pub fn say(self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// One good thing that happened, measured.
    pub fn good(self, text: &str) {
        self.line(&format!("  {} {text}", self.paint("32", "✓")));
    }

    /// One thing that went against somebody: a refusal, an alarm.
    pub fn alert(self, text: &str) {
        self.line(&format!("  {} {text}", self.paint("33", "!")));
    }

    /// Why it ended badly, on standard error.
    pub fn failure(self, text: &str) {
        eprintln!("{} {text}", self.paint("1;31", "error:"));
    }

    /// Opens a step that may take long; end it with [`Step::done`].
    #[must_use]
    pub fn step(self, title: &str) -> Step {
        let step =
            Step { terminal: self, title: title.to_owned(), begun: Instant::now(), shown: 0 };
        if !self.moving {
            self.line(&format!("  {title} ..."));
        }
        step
    }

    fn line(self, text: &str) {
        let mut out = stdout().lock();
        // A closed pipe must not turn a finished demo into a panic.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A step under way.
#[derive(Debug)]
pub struct Step {
    terminal: Terminal,
    title: String,
    begun: Instant,
    shown: u64,
}

impl Step {
    /// Shows that it is still going on, with the newest line of what works on it. Plain output
    /// gets a line every ten seconds, a terminal a moving one.
    pub fn tick(&mut self, newest: &str) {
        let seconds = self.begun.elapsed().as_secs();
        if self.terminal.moving {
            let newest: String = newest.chars().filter(|c| !c.is_control()).take(60).collect();
            let mut out = stdout().lock();
            let _ = write!(out, "\r\x1b[2K  {} ... {seconds} s  {newest}", self.title)
                .and_then(|()| out.flush());
        } else if seconds >= self.shown + 10 {
            self.shown = seconds;
            self.terminal.line(&format!("    still at it after {seconds} s"));
        }
    }

    /// It is done; `note` says what came of it.
    pub fn done(self, note: &str) {
        self.wipe();
        let seconds = self.begun.elapsed();
        let took = if seconds < Duration::from_secs(1) {
            String::new()
        } else {
            format!(" ({:.0} s)", seconds.as_secs_f64())
        };
        let colon = if note.is_empty() { "" } else { ": " };
        self.terminal.good(&format!("{}{colon}{note}{took}", self.title));
    }

    /// Ends the moving line without a word, because an error follows.
    pub fn broken(self) {
        self.wipe();
    }

    fn wipe(&self) {
        if self.terminal.moving {
            let mut out = stdout().lock();
            let _ = write!(out, "\r\x1b[2K").and_then(|()| out.flush());
        }
    }
}
