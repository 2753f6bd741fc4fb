//! `cargo xtask demo`: a model is protected while you watch. It knows the order of things; each
//! thing is told in a file of its own.

mod cast;
mod props;
mod report;
mod story;
mod traffic;

use std::path::{Path, PathBuf};
use std::time::Instant;

use cast::Cast;
use props::Props;
use story::Story;

use crate::stage::http::Unanswered;
use crate::stage::{self, Stage};
use crate::terminal::Terminal;
use crate::tools::{self, Tools};

/// Why the demo did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the demo needs could not be had.
    #[error(transparent)]
    Tools(#[from] tools::Error),
    /// A process did not start or stay.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// The collector's API did not answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what its maker should have written.
    #[error("{path} is not what was expected: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The story went another way than it should; the report says how.
    #[error("the story did not happen as it should: {what}; logs are in {logs}")]
    Story {
        /// What was expected and what came.
        what: String,
        /// The folder with the logs of all processes.
        logs: PathBuf,
    },
}

/// Plays the whole story once and stops all it started. With `report`, writes what was counted and
/// what the API told as JSON, also when the story went wrong. With `otlp`, the collector's spans go
/// to that receiver.
///
/// # Errors
/// Something could not be had or started, or the story did not happen.
pub fn play(
    tools: &Tools,
    terminal: Terminal,
    report: Option<&Path>,
    otlp: Option<&str>,
) -> Result<(), Error> {
    let begun = Instant::now();
    terminal.act("Preparing (the first time takes minutes, later runs seconds)");
    let props = Props::prepare(tools)?;
    props.introduce(terminal);

    terminal.act("Starting everything on free loopback ports");
    let mut stage = Stage::open(&tools.stages(), "demo")?;
    // Logs stay until the next demo, for whoever wants to look.
    stage.keep();
    stage.tidy("demo");
    let cast = Cast::start(&stage, &props, terminal, otlp)?;
    let mut story = Story::begin(cast, props, terminal);
    let told = story.tell();
    let notes = story.end();

    if let Some(path) = report {
        let text = report::text(&notes, told.as_ref().err(), begun.elapsed());
        std::fs::write(path, text)
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        terminal.say(&format!("report written to {}", path.display()));
    }
    told?;
    terminal.act("The end");
    terminal.good(&report::closing_line(&notes, begun.elapsed()));
    Ok(())
}
