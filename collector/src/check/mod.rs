//! `tidegate check`: data held against a profile, all at once. The judgement is that of the
//! collector's windows; what differs is that one looks once. It does not know traffic, nor Envoy.

mod data;
mod page;
mod plot;
mod report;
mod strange;
#[cfg(test)]
mod tests;
mod text;

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::slice;

use tidegate_detectors::finding::Verdict;
use tidegate_detectors::judge::{MinEffect, Rules};

use crate::check::data::Gathered;
use crate::check::report::Report;
use crate::fetched::{FetchArgs, FetchError, Fetched};
use crate::profile::error::ProfileError;
use crate::profile::{self, ReadingArgs};
use crate::watch::limits;

/// Hold data against a profile.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Examples:
  tidegate check --profile ./profile january.parquet
  tidegate check --profile ./profile january/ --html january.html
  tidegate check --profile ./profile january.csv --json | jq .verdict
  tidegate check --profile ./profile s3://my-bucket/january/

Data in S3-compatible storage is found by the usual AWS_* variables: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL where it is not Amazon's.

Exits with 0 when nothing is in alarm, with 1 when something is, and with 2 when it cannot tell.")]
pub struct CheckArgs {
    /// The data: a CSV or Parquet file, or a folder of them; local, or s3://BUCKET/KEY
    pub data: PathBuf,
    /// The profile that the data is held against: a folder that `tidegate profile` made
    #[arg(long, value_name = "DIR")]
    pub profile: PathBuf,
    /// Write the whole report as one HTML page that can be mailed
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// The chance of any false alarm when nothing changed, over all features together
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    pub alpha: f64,
    /// The least change that matters, from 0 to 1: of distributions, their greatest distance; of
    /// categories, the share of rows that are elsewhere
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    pub min_effect: f64,
    /// Rows below which nothing is said
    #[arg(long, value_name = "ROWS", default_value_t = 200)]
    pub min_rows: u64,
    /// The rows are in the order of time, so that those that depend on the one before count for less
    #[arg(long)]
    pub ordered: bool,
    /// How CSV is read
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// How data is fetched
    #[command(flatten)]
    pub fetch: FetchArgs,
}

impl CheckArgs {
    /// As they are where only the data and the profile are given.
    #[must_use]
    pub fn new(data: PathBuf, profile: PathBuf) -> Self {
        Self {
            data,
            profile,
            html: None,
            json: false,
            alpha: 0.01,
            min_effect: 0.1,
            min_rows: 200,
            ordered: false,
            reading: ReadingArgs::default(),
            fetch: FetchArgs::default(),
        }
    }
}

/// Chance of a false warning, where `alpha` is smaller.
const WARNING_ALPHA: f64 = 0.05;

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a number between 0 and 1".to_owned())?;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err("above 0, at most 1".to_owned()) }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each field is
pub enum CheckError {
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Table(#[from] crate::table::error::TableError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(
        "{} has none of the profile's columns ({expected}); its own are {found}: is it the right \
         profile?",
        path.display()
    )]
    NoColumns { path: PathBuf, expected: String, found: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// Judges the data and says so on `out`.
///
/// # Errors
/// When the profile or the data cannot be fetched or read, or the report cannot be written.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> Result<Verdict, CheckError> {
    let profile = profile::load(&args.profile)?;
    let fetched = Fetched::of(slice::from_ref(&args.data), &args.fetch)?;
    let gathered = Gathered::read(&args.data, &fetched, &profile, &args.reading.reading()?)?;
    let rules = Rules {
        alpha: args.alpha,
        warning_alpha: WARNING_ALPHA.max(args.alpha),
        min_effect: MinEffect { data_drift: args.min_effect, ..Rules::default().min_effect },
        min_rows: args.min_rows,
        ordered: args.ordered,
        limits: limits(&profile.contract),
        effective_tests: gathered.sides.effective_tests(profile.document.effective_tests),
        ..Rules::default()
    };
    let report = Report::of(args, &profile, &gathered, &rules);
    if let Some(path) = &args.html {
        let page = page::of(&report, &gathered);
        let failed = |source| CheckError::Write { path: path.clone(), source };
        fs::write(path, page).map_err(failed)?;
    }
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let said = if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from);
        json.and_then(|json| writeln!(out, "{json}"))
    } else {
        out.write_all(text::of(&report, colours).as_bytes())
    };
    said.map_err(|source| CheckError::Write { path: PathBuf::from("standard output"), source })?;
    Ok(report.verdict)
}
