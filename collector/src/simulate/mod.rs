//! `tidegate simulate`: recorded data, in the order of its time, through the windows and the policy
//! of a configuration, as the collector would have judged it. Nothing is sent anywhere, and nothing
//! but the data's own time passes.

pub mod backtest;
mod rows;
mod story;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::slice;

use tidegate_contract::protocol::Side;
use tidegate_detectors::finding::Verdict;

use crate::config::Config;
use crate::config::duration::millis;
use crate::config::mistake::ConfigError;
use crate::config::model::Model;
use crate::decision::{Decision, State, UnixMillis};
use crate::fetched::{FetchArgs, FetchError, Fetched};
use crate::journal::JournalError;
use crate::ledger::{Ends, Event, Ledger};
use crate::policy::{self, Move, Standing, Streaks};
use crate::profile::ReadingArgs;
use crate::profile::error::ProfileError;
use crate::serve::{self, ServeError};
use crate::simulate::rows::Recording;
use crate::simulate::story::{Story, Sum, Told};
use crate::table::Reading;
use crate::table::error::TableError;
use crate::watch::{Counts, Watch};

/// The worker that a simulation pretends to be.
const WORKER: u64 = 0;

/// Replay recorded data through windows and policy.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Examples:
  tidegate simulate --time pickup_time trips.parquet
  tidegate simulate -c tidegate.yaml --model census --time at january.csv --json
  tidegate simulate --time at s3://my-bucket/january/

Data in S3-compatible storage is found by the usual AWS_* variables: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL where it is not Amazon's.

Exits with 0 when nothing was ever in alarm, with 1 when something was, and with 2 when it cannot tell.")]
pub struct SimulateArgs {
    /// The data: CSV or Parquet, a file or a folder, a row for each row of a request; local, or
    /// s3://BUCKET/KEY
    pub data: PathBuf,
    /// The column with each row's time: ISO 8601, or seconds or milliseconds since 1970
    #[arg(long, value_name = "COLUMN")]
    pub time: String,
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    pub config: PathBuf,
    /// The model, where the configuration has several
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Print a line of JSON for each window that is not like the one before, each decision, and the sum
    #[arg(long)]
    pub json: bool,
    /// How CSV is read
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// How data is fetched
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each field is
pub enum SimulateError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{} has no model {wanted}; there are {known}", path.display())]
    NoModel { path: PathBuf, wanted: String, known: String },
    #[error("{} has several models ({known}); name one with --model", path.display())]
    WhichModel { path: PathBuf, known: String },
    #[error("{} has no column `{name}`; its columns are {known}", path.display())]
    NoTime { path: PathBuf, name: String, known: String },
    #[error(
        "{}, row {row}, column `{column}`: `{text}` is no time; it must be ISO 8601 (2026-01-31T12:00:00Z), or \
         seconds or milliseconds since 1970",
        path.display()
    )]
    BadTime { path: PathBuf, row: usize, column: String, text: String },
    #[error("{} has more than {most} cells of the model's columns; replay it in parts", path.display())]
    Large { path: PathBuf, most: usize },
    #[error("{} has none of the model's columns", path.display())]
    NoColumns { path: PathBuf },
    #[error("{} has no samples of {model}; there are {known}", path.display())]
    NoSamples { path: PathBuf, model: String, known: String },
    #[error("the decisions that were made: {0}")]
    Journal(#[from] JournalError),
    #[error("cannot write to standard output: {0}")]
    Write(#[from] std::io::Error),
}

/// Replays, tells the story on `out`, and gives the worst verdict.
///
/// # Errors
/// When the configuration, the profile or the data cannot be read, or the data not fetched.
pub fn run(args: &SimulateArgs, out: &mut dyn Write) -> Result<Verdict, SimulateError> {
    let config = Config::read(&args.config)?;
    let model = chosen(&args.config, args.model.as_deref(), &config)?;
    let fetched = Fetched::of(slice::from_ref(&args.data), &args.fetch)?;
    let reading = args.reading.reading()?;
    let data = &fetched.paths()[0];
    let played = play(model, data, &args.data, &args.time, &reading, args.json, out)?;
    Ok(played.sum.worst)
}

/// What came of a replay.
struct Played {
    /// When the first and the last row were; `None` without rows.
    span: Option<(UnixMillis, UnixMillis)>,
    /// All that was decided.
    ledger: Ledger,
    /// How it was.
    sum: Sum,
}

/// Replays data through the windows and the policy of a model, and tells the story on `out`, in which
/// the data is called `named`.
fn play(
    model: &Model,
    data: &Path,
    named: &Path,
    time: &str,
    reading: &Reading,
    json: bool,
    out: &mut dyn Write,
) -> Result<Played, SimulateError> {
    let subject = serve::subject(model)?;
    let own_time = model.window.time.as_ref().map(|time| time.input.as_str());
    let mut beside = [Side::Request, Side::Response].map(|side| subject.metrics.names(side));
    beside[0].extend(own_time);
    let recording = Recording::read(data, time, &subject.sides, &beside, reading)?;
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut story = Story::begin(json, colours, named, recording.times(), out)?;
    let mut replay = Replay {
        watch: Watch::new(model, &subject.contract, subject.sides, subject.effective_tests)
            .expecting(model, subject.hours.as_ref())
            .measuring(subject.metrics),
        model,
        ledger: Ledger::default(),
        streaks: Streaks::default(),
        seen: 0,
    };
    let hop = millis(model.window.hop).max(1);
    let panes = model.window.panes() as u64;
    let mut closes = recording.times().first().map_or(0, |first| first.saturating_add(hop));
    let mut from = 0;
    while from < recording.times().len() {
        let to = from + recording.times()[from..].partition_point(|time| *time < closes);
        replay.take(&recording, from, to);
        replay.close(closes, &mut story)?;
        from = to;
        closes = match recording.times().get(from) {
            // Of a time without rows so many windows are judged as see rows from before it.
            Some(next) if *next > closes.saturating_add(hop.saturating_mul(panes)) => {
                for empty in 1..=panes {
                    replay.close(closes.saturating_add(hop.saturating_mul(empty)), &mut story)?;
                }
                next.saturating_add(hop)
            }
            _ => closes.saturating_add(hop),
        };
    }
    let sum = story.end(replay.ledger.iter())?;
    let times = recording.times();
    let span = times.first().copied().zip(times.last().copied());
    Ok(Played { span, ledger: replay.ledger, sum })
}

/// The model that is meant: the one named, or the only one.
fn chosen<'a>(
    path: &Path,
    named: Option<&str>,
    config: &'a Config,
) -> Result<&'a Model, SimulateError> {
    let names: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    let (path, known) = (path.to_owned(), names.join(", "));
    match (named, config.models.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(SimulateError::WhichModel { path, known }),
        (Some(wanted), models) => {
            let found = models.iter().find(|model| model.name == wanted);
            let wanted = wanted.to_owned();
            found.ok_or(SimulateError::NoModel { path, wanted, known })
        }
    }
}

/// What a collector would hold of the model.
struct Replay<'a> {
    model: &'a Model,
    watch: Watch,
    ledger: Ledger,
    streaks: Streaks,
    /// Exchanges so far: each row is one.
    seen: u64,
}

impl Replay<'_> {
    fn take(&mut self, recording: &Recording, from: usize, to: usize) {
        for row in from..to {
            self.watch.at(recording.times()[row]);
            let (asked, answered) =
                (recording.row(Side::Request, row), recording.row(Side::Response, row));
            self.watch.rows(Side::Request, &[&asked]);
            self.watch.rows(Side::Response, &[&answered]);
            self.watch.exchange(Some(&asked), Some(&answered));
        }
        let rows = (to - from) as u64;
        self.seen += rows;
        let counts = |exchanges| Counts { exchanges, checked: exchanges, ..Counts::default() };
        self.watch.arrived(rows, 0);
        self.watch.counts(WORKER, "", counts(self.seen), counts(rows));
    }

    /// Judges what a window's close at `now` would be judged by, and decides what follows.
    fn close(&mut self, now: UnixMillis, story: &mut Story<'_>) -> std::io::Result<()> {
        // What ran out before was not waited for; what runs out now may be extended first.
        self.expire(now.saturating_sub(1), story)?;
        let judgement = self.watch.close(now);
        story.tell(Told::Window(&judgement))?;
        let standing = Standing::of(self.model, &self.ledger, now);
        let id = self.ledger.next_id();
        match policy::next(self.model, &mut self.streaks, &judgement, standing, &id, now) {
            None => {}
            Some(Move::Extend { id, expires_unix_ms }) => {
                self.ledger.apply(&Event::Extended { id, expires_unix_ms });
            }
            Some(Move::Decide(decision)) => {
                story.tell(Told::Decision(&decision))?;
                let active = self.ledger.active(&self.model.name).map(|active| active.id.clone());
                let ends = active
                    .filter(|_| decision.state == State::Active)
                    .map(|id| Ends { id, state: State::Superseded });
                self.ledger.apply(&Event::Decided { decision, ends });
            }
        }
        self.expire(now, story)
    }

    /// Ends what ran out by now, as the collector does.
    fn expire(&mut self, now: UnixMillis, story: &mut Story<'_>) -> std::io::Result<()> {
        let due: Vec<Decision> = self.ledger.due(now).cloned().collect();
        for expired in due {
            let at = expired.expires_unix_ms.unwrap_or(now);
            if expired.state == State::Proposed {
                let (id, author) = (expired.id, "expiry".to_owned());
                self.ledger.apply(&Event::Withdrawn { id, author, at_unix_ms: at });
                continue;
            }
            let serve = Decision::expiry(self.ledger.next_id(), &expired, at);
            story.tell(Told::Decision(&serve))?;
            let ends = Some(Ends { id: expired.id, state: State::Expired });
            self.ledger.apply(&Event::Decided { decision: Box::new(serve), ends });
        }
        Ok(())
    }
}
