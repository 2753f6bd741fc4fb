//! `tidegate why`: how a model stands, and what led there: the decision, its rule, the findings, the
//! windows, the exchanges that weighed most, and what each rule waits for. In words; it decides nothing.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use tidegate_detectors::finding::Verdict;

use crate::api::answer::ModelStatus;
use crate::client::{action_text, ago, causes_text, decision_text, finding_text, verdict_text};
use crate::decision::{Decision, State, UnixMillis};

/// Windows told, the latest.
pub const WINDOWS: usize = 10;
/// Decisions told, the latest.
pub const DECISIONS: usize = 5;
/// Findings shown of a decision.
const FINDINGS_SHOWN: usize = 5;

/// All that explains how a model stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Why {
    /// How it stands.
    pub status: ModelStatus,
    /// The latest decisions about it, oldest first.
    pub decisions: Vec<Decision>,
    /// The latest windows, oldest first.
    pub windows: Vec<Seen>,
    /// Its rules, and how near each is to acting.
    pub rules: Vec<RuleStanding>,
    /// Whether it is a time of maintenance, in which nothing is decided.
    pub maintenance: bool,
}

/// A window, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When it closed.
    pub closed_unix_ms: UnixMillis,
    /// Its verdict.
    pub verdict: Verdict,
    /// Rows read from samples in it.
    pub rows: u64,
    /// Samples that arrived over exchanges seen.
    pub coverage: Option<f64>,
    /// The feature of its worst finding, where one is not healthy.
    pub worst: Option<String>,
}

/// How near a rule is to acting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleStanding {
    /// As it is written.
    pub rule: String,
    /// Windows in a row that met it.
    pub met: u32,
    /// Windows in a row that it waits for.
    pub needed: u32,
}

/// The same for people.
#[must_use]
pub fn text(why: &Why) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}");
    };
    let status = &why.status;
    let model = &status.model;
    let in_force = status.decision.as_ref();
    match in_force {
        None => {
            line(&format!(
                "{model}: {} serves, and nothing keeps requests from it",
                status.primary
            ));
        }
        Some(decision) => {
            let what = action_text(&decision.action);
            line(&format!("{model}: {what}, since {}", ago(decision.decided_unix_ms)));
        }
    }
    for decision in in_force.into_iter().chain(&status.proposed) {
        line(&format!("  decision  {} {}", decision.id, decision_text(decision)));
        line(&format!("  because   {}", decision.reason));
        if !decision.rule.is_empty() {
            line(&format!("  rule      {}", decision.rule));
        }
        for finding in decision.evidence.iter().take(FINDINGS_SHOWN) {
            line(&format!("  finding   {}", finding_text(finding, ago)));
        }
        for weighed in &decision.exchanges {
            let (id, row) = (&weighed.request_id, weighed.row);
            line(&format!("  exchange  {id}, row {row}: {} {}", weighed.feature, weighed.value));
        }
        let undo = match decision.state {
            State::Proposed => {
                format!("tidegate approve {}, or tidegate rollback {model}", decision.id)
            }
            _ => format!("tidegate rollback {model}"),
        };
        line(&format!("  to do     {undo}"));
    }
    if let Some(rollout) = status.rollout.as_ref().filter(|status| status.rollout.is_open()) {
        line(&format!("  rollout   {} {}: {}", rollout.rollout.to, rollout.told, rollout.next));
    }
    for told in causes_text(status) {
        line(&told);
    }
    for window in why.windows.iter().rev() {
        let coverage =
            window.coverage.map_or("unknown".to_owned(), |c| format!("{:.0} %", c * 100.0));
        let worst = window.worst.as_ref().map(|worst| format!(", worst {worst}"));
        line(&format!(
            "  window    {} {}, {} rows, coverage {coverage}{}",
            ago(window.closed_unix_ms),
            verdict_text(window.verdict),
            window.rows,
            worst.unwrap_or_default()
        ));
    }
    if why.rules.is_empty() {
        line("  rules     none: findings are told, and nothing follows from them");
    }
    for rule in &why.rules {
        line(&format!(
            "  rule      met in {} of {} windows: {}",
            rule.met.min(rule.needed),
            rule.needed,
            rule.rule
        ));
    }
    if why.maintenance {
        line("  quiet     it is a time of maintenance; nothing is decided");
    } else if status.quiet_until_unix_ms > crate::clock::unix_ms() {
        let left = status.quiet_until_unix_ms.saturating_sub(crate::clock::unix_ms()) / 1000;
        line(&format!("  quiet     the policy decides nothing for {left} s more"));
    }
    let shown = |decision: &&Decision| in_force.is_none_or(|now| now.id != decision.id);
    for decision in why.decisions.iter().rev().filter(shown) {
        line(&format!("  before    {} {}", decision.id, decision_text(decision)));
    }
    text
}
