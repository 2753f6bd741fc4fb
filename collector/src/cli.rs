//! The command line: what can be typed, and which part answers. Exit codes: 0 fine, 1 findings,
//! 2 misuse.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tidegate_detectors::finding::Verdict;

use crate::check;
use crate::client::{Client, decision_text, decisions_text, status_text};
use crate::config::Config;
use crate::decision::{Decision, State};
use crate::export;
use crate::init;
use crate::labels::post;
use crate::manual::{BlockArgs, DivertArgs};
use crate::profile;
use crate::rollout::command;
use crate::serve;
use crate::simulate;
use crate::why;

/// The closed loop for models in production.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read training data (CSV or Parquet) and write a profile: contract, summaries, sketches
    Profile(profile::ProfileArgs),
    /// Hold data (CSV or Parquet) against a profile; exits with 1 on alarm
    Check(check::CheckArgs),
    /// Replay recorded data through windows and policy; exits with 1 when there was an alarm
    Simulate(simulate::SimulateArgs),
    /// Replay recorded traffic through a policy, beside what was decided then; a test, with --max-decisions
    Backtest(simulate::backtest::BacktestArgs),
    /// Write a contract from what describes the model already: a running server, or a file
    Init(init::InitArgs),
    /// Run the collector
    Serve(ServeArgs),
    /// Print weights, mirrors and the filter's configuration for a control plane of your own
    Export(export::ExportArgs),
    /// Show how every model stands; exits with 1 when one is in alarm
    Status(Remote),
    /// Send labels (CSV or Parquet) to a running collector, to be joined with answers by request id
    Labels(post::LabelsArgs),
    /// Say why a model stands as it does: decision, rule, findings, windows, exchanges
    Why(WhyArgs),
    /// List the decisions, newest first
    Decisions(DecisionsArgs),
    /// Undo the decision in force, or withdraw the proposal that waits: the primary version serves;
    /// exits with 1 when an Envoy does not follow within 5 s
    Rollback(RollbackArgs),
    /// Answer requests without asking the model, all or those of a segment, for some time; exits with 1
    /// when an Envoy does not follow within 5 s
    Block(OrderArgs<BlockArgs>),
    /// Let another version answer, all or those of a segment, for some time; exits with 1 when an Envoy
    /// does not follow within 5 s
    Divert(OrderArgs<DivertArgs>),
    /// Put a proposed decision in force; exits with 1 when an Envoy does not follow within 5 s
    Approve(ApproveArgs),
    /// Try a candidate beside the primary, and take it to all of the traffic, or back
    Rollout(command::RolloutArgs),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    config: PathBuf,
    /// Only read the configuration and the profiles it names, and say what is wrong
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
struct Remote {
    /// The collector's HTTP address
    #[arg(long, env = "TIDEGATE_API", default_value = "http://127.0.0.1:7071", value_name = "URL")]
    api: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct WhyArgs {
    #[command(flatten)]
    remote: Remote,
    /// The model
    model: String,
}

#[derive(Debug, Args)]
struct DecisionsArgs {
    #[command(flatten)]
    remote: Remote,
    /// Of this model only
    #[arg(long)]
    model: Option<String>,
}

#[derive(Debug, Args)]
struct RollbackArgs {
    #[command(flatten)]
    remote: Remote,
    /// The model
    model: String,
    /// Why, for the log
    #[arg(long, default_value = "")]
    reason: String,
    /// Who, for the log
    #[arg(long, env = "USER", default_value = "operator")]
    author: String,
}

#[derive(Debug, Args)]
struct OrderArgs<A: Args> {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    order: A,
}

#[derive(Debug, Args)]
struct ApproveArgs {
    #[command(flatten)]
    remote: Remote,
    /// The decision, as `tidegate decisions` lists it
    id: String,
    /// Who, for the log
    #[arg(long, env = "USER", default_value = "operator")]
    author: String,
}

/// What every part's error comes down to here: words for the one who typed.
type Failure = Box<dyn std::error::Error>;

impl Cli {
    /// Does what was asked.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut out = std::io::stdout();
        let done = match self.command {
            Command::Profile(args) => {
                profile::run(&args, &mut out).map_err(Failure::from).map(fine)
            }
            Command::Check(args) => {
                check::run(&args, &mut out).map_err(Failure::from).map(alarm_is_one)
            }
            Command::Simulate(args) => {
                simulate::run(&args, &mut out).map_err(Failure::from).map(alarm_is_one)
            }
            Command::Backtest(args) => {
                simulate::backtest::run(&args, &mut out).map_err(Failure::from).map(alarm_is_one)
            }
            Command::Init(args) => init::run(&args, &mut out).map_err(Failure::from).map(fine),
            Command::Serve(args) => serve(&args, &mut out).map(fine),
            Command::Export(args) => export::run(&args, &mut out).map_err(Failure::from).map(fine),
            Command::Status(remote) => status(&remote, &mut out),
            Command::Labels(args) => post::run(&args, &mut out).map_err(Failure::from).map(fine),
            Command::Why(args) => explain(&args, &mut out).map(fine),
            Command::Decisions(args) => decisions(&args, &mut out).map(fine),
            Command::Rollback(args) => rollback(&args, &mut out),
            Command::Block(OrderArgs { remote, order }) => block(&remote, &order, &mut out),
            Command::Divert(OrderArgs { remote, order }) => divert(&remote, &order, &mut out),
            Command::Approve(args) => approve(&args, &mut out),
            Command::Rollout(args) => {
                command::run(&args, &mut out).map_err(Failure::from).map(alarm_is_one)
            }
            Command::Version => version(&mut out).map(fine),
        };
        done.unwrap_or_else(|error| {
            eprintln!("tidegate: {error}");
            ExitCode::from(2)
        })
    }
}

fn fine(_: ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn alarm_is_one(verdict: Verdict) -> ExitCode {
    ExitCode::from(u8::from(verdict == Verdict::Alarm))
}

fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let config = Config::read(&args.config)?;
    if args.check {
        let subjects = serve::subjects(&config)?;
        let file = args.config.display();
        writeln!(out, "{file}: fine; models: {}", subjects.len())?;
        return Ok(());
    }
    Ok(serve::run(config)?)
}

fn status(remote: &Remote, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let status = Client::new(&remote.api).status()?;
    say(remote, &status, || status_text(&status), out)?;
    let worst = status.models.iter().map(|model| model.verdict).max();
    Ok(alarm_is_one(worst.unwrap_or(Verdict::Healthy)))
}

fn explain(args: &WhyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let why = Client::new(&args.remote.api).why(&args.model)?;
    say(&args.remote, &why, || why::text(&why), out)
}

fn decisions(args: &DecisionsArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let decisions = Client::new(&args.remote.api).decisions(args.model.as_deref())?;
    say(&args.remote, &decisions, || decisions_text(&decisions), out)
}

fn rollback(args: &RollbackArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let client = Client::new(&args.remote.api);
    let decision = client.rollback(&args.model, &args.author, &args.reason)?;
    followed(&args.remote, &decision, out)
}

fn block(remote: &Remote, args: &BlockArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let decision = Client::new(&remote.api).block(&args.model, &args.wish()?)?;
    followed(remote, &decision, out)
}

fn divert(remote: &Remote, args: &DivertArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let decision = Client::new(&remote.api).divert(&args.model, &args.wish()?)?;
    followed(remote, &decision, out)
}

fn approve(args: &ApproveArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let decision = Client::new(&args.remote.api).approve(&args.id, &args.author)?;
    followed(&args.remote, &decision, out)
}

/// Says what was decided; 1 when the Envoys do not follow it yet.
fn followed(
    remote: &Remote,
    decision: &Decision,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    say(remote, decision, || format!("{}  {}\n", decision.id, decision_text(decision)), out)?;
    let waits = decision.state == State::Active && decision.acknowledged_unix_ms.is_none();
    Ok(ExitCode::from(u8::from(waits)))
}

fn version(out: &mut dyn Write) -> Result<(), Failure> {
    Ok(writeln!(out, "tidegate {}", env!("CARGO_PKG_VERSION"))?)
}

fn say<T: serde::Serialize>(
    remote: &Remote,
    answer: &T,
    words: impl FnOnce() -> String,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if remote.json {
        serde_json::to_writer_pretty(&mut *out, answer)?;
        writeln!(out)?;
    } else {
        out.write_all(words().as_bytes())?;
    }
    Ok(())
}
