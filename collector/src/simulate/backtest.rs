//! `tidegate backtest`: what a policy would have made of recorded traffic, beside what was made of it. A
//! test of the policy, where it is told what it may do.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use tidegate_detectors::finding::Verdict;

use super::story::moment;
use super::{Played, SimulateError, chosen, play};
use crate::client::action_text;
use crate::config::Config;
use crate::decision::{Action, Decision};
use crate::fetched::{FetchArgs, FetchError, Fetched, is_remote};
use crate::journal::Journal;
use crate::ledger::{Event, Ledger};
use crate::profile::ReadingArgs;
use crate::wording::counted;

/// Replay recorded traffic through a policy, beside what was decided then.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Examples:
  tidegate backtest --policy new.yaml --from ./samples
  tidegate backtest --policy new.yaml --from ./samples --state ./state
  tidegate backtest --policy tidegate.yaml --from march.parquet --time at --max-decisions 0
  tidegate backtest --policy new.yaml --from s3://my-bucket/samples

With --max-decisions or --max-alarms it is a test: it exits with 1 where there would have been more, and
with 0 otherwise. Without them it exits with 1 when something would have been in alarm. 2 when it cannot
tell.")]
pub struct BacktestArgs {
    /// The configuration whose policy is tried
    #[arg(long, value_name = "FILE", default_value = "tidegate.yaml")]
    pub policy: PathBuf,
    /// The recording: what `samples:` names, or any CSV or Parquet, a file or a folder; local, or
    /// s3://BUCKET/KEY
    #[arg(long, value_name = "PATH")]
    pub from: PathBuf,
    /// The column with each row's time
    #[arg(long, value_name = "COLUMN", default_value = "time")]
    pub time: String,
    /// The model, where the configuration has several
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The folder of the decision log, for what was decided then
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Decisions that there may be
    #[arg(long, value_name = "N")]
    pub max_decisions: Option<usize>,
    /// Alarms that may begin
    #[arg(long, value_name = "N")]
    pub max_alarms: Option<u64>,
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

/// Replays and tells. Gives `alarm` where the test failed, or where there is none and something was in
/// alarm.
///
/// # Errors
/// When the configuration, the profile, the recording or the decision log cannot be read, or the
/// recording not fetched.
pub fn run(args: &BacktestArgs, out: &mut dyn Write) -> Result<Verdict, SimulateError> {
    let config = Config::read(&args.policy)?;
    let model = chosen(&args.policy, args.model.as_deref(), &config)?;
    let fetched = fetched(&args.from, &model.name, &args.fetch)?;
    let data = recording(&fetched.paths()[0], &model.name)?;
    // What was is read first: a log that is damaged should not be found after minutes.
    let was = args.state.as_deref().map(|state| decided(state, &model.name)).transpose()?;
    let reading = args.reading.reading()?;
    let named = fetched.name(&data);
    let played = play(model, &data, &named, &args.time, &reading, args.json, out)?;
    if let Some(was) = was {
        beside(&played, &was, args.json, out)?;
    }
    let sum = played.sum;
    let more = |most: Option<u64>, are: u64, noun: &str| {
        let most = most.filter(|most| are > *most)?;
        let are = counted(usize::try_from(are).unwrap_or(usize::MAX), noun);
        Some(format!("FAILED: {are}, and at most {most} were expected"))
    };
    let wrong = [
        more(args.max_decisions.map(|most| most as u64), sum.decisions as u64, "decision"),
        more(args.max_alarms, sum.alarms, "alarm"),
    ];
    for wrong in wrong.iter().flatten().filter(|_| !args.json) {
        writeln!(out, "{wrong}")?;
    }
    let tested = args.max_decisions.is_some() || args.max_alarms.is_some();
    Ok(match () {
        () if wrong.iter().flatten().next().is_some() => Verdict::Alarm,
        () if tested => Verdict::Healthy,
        () => sum.worst,
    })
}

/// The recording, as local files; of a bucket that the store wrote to, only what is the model's.
fn fetched(from: &Path, model: &str, fetch: &FetchArgs) -> Result<Fetched, FetchError> {
    if is_remote(from) {
        match Fetched::of(&[from.join(part_of(model))], fetch) {
            Err(FetchError::Absent { .. }) => (),
            fetched => return fetched,
        }
    }
    Fetched::of(&[from.to_owned()], fetch)
}

/// The folder in which the store keeps a model's samples.
fn part_of(model: &str) -> String {
    format!("model={model}")
}

/// Of a folder that the store wrote, the part that is the model's.
fn recording(from: &Path, model: &str) -> Result<PathBuf, SimulateError> {
    let own = from.join(part_of(model));
    if own.is_dir() {
        return Ok(own);
    }
    let entries = std::fs::read_dir(from).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut models: Vec<String> =
        names.filter_map(|name| name.strip_prefix("model=").map(str::to_owned)).collect();
    if models.is_empty() {
        return Ok(from.to_owned());
    }
    models.sort();
    Err(SimulateError::NoSamples {
        path: from.to_owned(),
        model: model.to_owned(),
        known: models.join(", "),
    })
}

/// What was decided about a model, by the log.
fn decided(state: &Path, model: &str) -> Result<Vec<Decision>, SimulateError> {
    let events: Vec<Event> = Journal::records(state)?;
    let ledger = Ledger::replay(&events);
    Ok(ledger.iter().filter(|decision| decision.model == model).cloned().collect())
}

/// Tells what was and what would have been, by time, as far as the recording reaches.
fn beside(
    played: &Played,
    was: &[Decision],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), SimulateError> {
    let within = |decision: &&Decision| {
        played.span.is_some_and(|(first, last)| (first..=last).contains(&decision.decided_unix_ms))
    };
    let moved = |decision: &&Decision| decision.action != Action::Serve;
    let was: Vec<&Decision> = was.iter().filter(within).filter(moved).collect();
    let would: Vec<&Decision> = played.ledger.iter().filter(moved).collect();
    if json {
        writeln!(out, "{}", json!({"was": was}))?;
        return Ok(());
    }
    let mut all: Vec<(&str, &Decision)> = was.iter().map(|decision| ("was", *decision)).collect();
    all.extend(would.iter().map(|decision| ("would be", *decision)));
    all.sort_by_key(|(_, decision)| decision.decided_unix_ms);
    writeln!(
        out,
        "\nBeside what was: {} then, {} by this policy",
        counted(was.len(), "decision"),
        counted(would.len(), "decision")
    )?;
    for (word, decision) in all {
        let (at, what) = (moment(decision.decided_unix_ms), action_text(&decision.action));
        let (id, author) = (&decision.id, &decision.author);
        writeln!(out, "{at}  {word:<12} {id} {what}, by {author}")?;
    }
    Ok(())
}
