//! `tidegate rollout`: starts, shows and steers the way of a candidate on a running collector.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use tidegate_detectors::finding::Verdict;

use super::{Phase, in_words};
use crate::api::answer::RolloutStatus;
use crate::api::ask::RolloutWish;
use crate::client::{Client, ClientError, verdict_text};
use crate::config::duration;
use crate::config::rollout::Promote;

/// Exchanges shown of those that are farthest apart.
const FARTHEST_SHOWN: usize = 5;
/// Segments shown.
const SEGMENTS_SHOWN: usize = 3;

/// Try a candidate beside the primary, and take it to all of the traffic step by step, or back.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  tidegate rollout start census --to v3 --shadow 20 --steps 5,25,50 --hold 10m
  tidegate rollout status census
  tidegate rollout promote census

What is not given is taken from `rollout:` in tidegate.yaml. Only `--promote automatic`, or the same in
writing there, lets it go on by itself. A candidate that does worse goes back at once in any case.")]
pub struct RolloutArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Mirror a share of the requests to a candidate and hold its answers against the primary's
    Start {
        #[command(flatten)]
        of: Of,
        /// The candidate; the only one, where it is not named
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        /// Percent of the requests that are mirrored
        #[arg(long, value_name = "PERCENT")]
        shadow: Option<u8>,
        /// Percent of the requests that it answers, step by step, such as 5,25,50
        #[arg(long, value_name = "PERCENT", value_delimiter = ',')]
        steps: Option<Vec<u8>>,
        /// How long each step lasts at least, such as 10m
        #[arg(long, value_name = "DURATION", value_parser = lasting)]
        hold: Option<Duration>,
        /// Exchanges answered by both that a step needs
        #[arg(long, value_name = "PAIRS")]
        min_pairs: Option<u64>,
        /// Who takes it a step further: person, or automatic
        #[arg(long, value_name = "WHO", value_parser = who)]
        promote: Option<Promote>,
    },
    /// Show how it stands; exits with 1 where the candidate does worse
    Status {
        #[command(flatten)]
        of: Of,
    },
    /// Let it stand still; it is still judged, and taken back where it does worse
    Pause {
        #[command(flatten)]
        of: Of,
        /// Why, for the log
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let it go on
    Resume {
        #[command(flatten)]
        of: Of,
    },
    /// Give the model back to its primary version
    Abort {
        #[command(flatten)]
        of: Of,
        /// Why, for the log
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Take it a step further; the last one makes the candidate the primary version
    Promote {
        #[command(flatten)]
        of: Of,
        /// Even where too little is known
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct Of {
    /// The model
    model: String,
    /// The collector's HTTP address
    #[arg(long, env = "TIDEGATE_API", default_value = "http://127.0.0.1:7071", value_name = "URL")]
    api: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Who, for the log
    #[arg(long, env = "USER", default_value = "operator")]
    author: String,
}

fn lasting(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .ok_or_else(|| "not a duration such as 500ms, 5s, 10m, 1h or 2d".to_owned())
}

fn who(text: &str) -> Result<Promote, String> {
    match text {
        "person" => Ok(Promote::Person),
        "automatic" => Ok(Promote::Automatic),
        _ => Err("neither person nor automatic".to_owned()),
    }
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum RolloutError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("no rollout of {0} so far; `tidegate rollout start {0}` starts one")]
    None(String),
    #[error("cannot write to standard output: {0}")]
    Write(#[from] std::io::Error),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Does what was asked; gives `alarm` where the candidate does worse than it may.
///
/// # Errors
/// When the collector does not answer, or says no.
pub fn run(args: &RolloutArgs, out: &mut dyn Write) -> Result<Verdict, RolloutError> {
    let (of, wish) = match args.what.clone() {
        What::Status { of } => (of, None),
        What::Start { of, to, shadow, steps, hold, min_pairs, promote } => {
            (of, Some(RolloutWish::Start { to, shadow, steps, hold, min_pairs, promote }))
        }
        What::Pause { of, reason } => (of, Some(RolloutWish::Pause { reason })),
        What::Resume { of } => (of, Some(RolloutWish::Resume)),
        What::Abort { of, reason } => (of, Some(RolloutWish::Abort { reason })),
        What::Promote { of, force } => (of, Some(RolloutWish::Promote { force })),
    };
    let client = Client::new(&of.api);
    let status = match &wish {
        Some(wish) => client.rollout(&of.model, wish, &of.author)?,
        None => {
            let models = client.status()?.models;
            let found = models.into_iter().find(|model| model.model == of.model);
            found.and_then(|model| model.rollout).ok_or(RolloutError::None(of.model.clone()))?
        }
    };
    if of.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&status).as_bytes())?;
    }
    // A wish that was granted is no finding.
    let verdict = status.comparison.map_or(Verdict::Inconclusive, |comparison| comparison.verdict);
    Ok(if wish.is_some() { Verdict::Healthy } else { verdict })
}

/// A rollout for people.
#[must_use]
pub fn text(status: &RolloutStatus) -> String {
    let rollout = &status.rollout;
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}");
    };
    line(&format!(
        "{}: {} {}, started by {}",
        rollout.model, rollout.to, status.told, rollout.author
    ));
    if let Some(decision) = rollout.decision.as_ref().filter(|_| rollout.phase != Phase::Aborted) {
        line(&format!("  decision     {decision}"));
    }
    line(&format!("  next         {}", status.next));
    let Some(comparison) = &status.comparison else { return text };
    let coverage = comparison.coverage.map_or("none expected yet".to_owned(), |c| {
        format!("{:.0} % of those expected", c * 100.0)
    });
    line(&format!("  pairs        {} ({coverage})", comparison.pairs));
    for compared in &comparison.compared {
        line(&format!("  {:<12} {}", verdict_text(compared.verdict), in_words(compared)));
    }
    if let Some(errors) = &comparison.canary_errors {
        let words = in_words(errors);
        line(&format!("  {:<12} of clients: {words}", verdict_text(errors.verdict)));
    }
    for segment in comparison.segments.iter().take(SEGMENTS_SHOWN) {
        if segment.disagreement > 0.0 {
            let (share, pairs) = (segment.disagreement * 100.0, segment.pairs);
            line(&format!("  where        {}: {share:.1} % ({pairs} pairs)", segment.segment));
        }
    }
    for differing in comparison.farthest.iter().take(FARTHEST_SHOWN) {
        let (apart, id) = (&differing.apart, &differing.request_id);
        line(&format!(
            "  apart        {id}, row {}: {} {} became {}",
            apart.row, apart.output, apart.old, apart.new
        ));
    }
    text
}
