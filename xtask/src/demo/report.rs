//! What is written down of a demo, as JSON: counted at the clients, told by the API, nothing made
//! up. It does not know how it came about.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Error;
use super::traffic::Tally;

/// Format of the report; raised when a key changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// The parts of the story that windows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The people of 1995.
    Stable,
    /// The same, and three clients with mistakes.
    Mistakes,
    /// The shifted population.
    Drifted,
    /// After the command.
    RolledBack,
    /// Until the windows are calm.
    Recovery,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Mistakes => "mistakes",
            Self::Drifted => "drifted",
            Self::RolledBack => "rolled_back",
            Self::Recovery => "recovery",
        }
    }
}

/// What the healthy act showed.
#[derive(Debug, Clone)]
pub struct Stable {
    /// Decisions at its end.
    pub decisions: usize,
    /// Alarms and warnings of its windows.
    pub findings: Vec<Value>,
    /// How long it took.
    pub seconds: f64,
    /// Windows judged in it.
    pub windows: usize,
}

/// What the shifted population led to.
#[derive(Debug, Clone)]
pub struct Drifted {
    /// From the first drifted request to the first answer of the fallback, at the client.
    pub seconds_to_route: f64,
    /// The window's length.
    pub window_seconds: u64,
    /// The finding that weighed most.
    pub finding: Value,
    /// The decision, as the API told it.
    pub decision: Value,
}

/// One request that was refused, or should have been.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The field that was wrong.
    pub field: String,
    /// What was sent in it.
    pub sent: Value,
    /// The HTTP status that came.
    pub status: u16,
    /// The body that came.
    pub answer: Value,
}

/// Everything noted.
#[derive(Debug, Clone)]
pub struct Notes {
    /// What the clients counted.
    pub tally: Tally,
    /// The healthy act, if it was reached.
    pub stable: Option<Stable>,
    /// The clients with mistakes.
    pub refusals: Vec<Refusal>,
    /// The shift, if it led to another route.
    pub drifted: Option<Drifted>,
    /// Whether one command brought v1 back.
    pub rolled_back: bool,
    /// Whether the windows calmed down after it.
    pub recovered: bool,
    /// When each act began, in milliseconds since the epoch.
    pub phases: Vec<(Phase, u64)>,
    /// Every decision, as the API told them.
    pub decisions: Vec<Value>,
    windows: BTreeMap<u64, Value>,
    window_seconds: u64,
    training: Value,
}

impl Notes {
    /// An empty page.
    #[must_use]
    pub fn new(training: Value, window_seconds: u64) -> Self {
        Self {
            tally: Tally::default(),
            stable: None,
            refusals: Vec::new(),
            drifted: None,
            rolled_back: false,
            recovered: false,
            phases: Vec::new(),
            decisions: Vec::new(),
            windows: BTreeMap::new(),
            window_seconds,
            training,
        }
    }

    /// Keeps the judged windows that the API told; it forgets old ones, the report does not.
    pub fn keep_windows(&mut self, windows: &[Value]) {
        for window in windows {
            if let Some(closed) = window["closed_unix_ms"].as_u64() {
                self.windows.insert(closed, window.clone());
            }
        }
    }

    /// The windows that closed during a phase.
    #[must_use]
    pub fn windows_of(&self, phase: Phase) -> Vec<Value> {
        let during = |closed: u64| self.phase_at(closed) == Some(phase);
        let windows = self.windows.iter().filter(|(closed, _)| during(**closed));
        windows.map(|(_, window)| window.clone()).collect()
    }

    fn phase_at(&self, unix_ms: u64) -> Option<Phase> {
        let begun = self.phases.iter().rev().find(|(_, from)| *from <= unix_ms)?;
        Some(begun.0)
    }

    fn refused(&self) -> u64 {
        self.tally.answered(400..401)
    }
}

/// The report. `failure` is why the story did not happen, if it did not.
#[must_use]
pub fn text(notes: &Notes, failure: Option<&Error>, took: Duration) -> String {
    let windows: Vec<Value> = notes
        .windows
        .iter()
        .map(|(closed, window)| {
            json!({
                "phase": notes.phase_at(*closed).map(Phase::name),
                "closed_unix_ms": closed,
                "rows": window["rows"],
                "exchanges": window["exchanges"],
                "coverage": window["coverage"],
                "verdict": window["verdict"],
            })
        })
        .collect();
    let findings: Vec<Value> = notes
        .windows
        .iter()
        .flat_map(|(closed, window)| {
            let all = window["findings"].as_array().cloned().unwrap_or_default();
            let loud = all
                .into_iter()
                .filter(|one| one["verdict"] == "alarm" || one["verdict"] == "warning");
            loud.map(move |finding| json!({"closed_unix_ms": closed, "finding": finding}))
        })
        .collect();
    let refusals: Vec<Value> = notes
        .refusals
        .iter()
        .map(|one| json!({"field": one.field, "sent": one.sent, "status": one.status, "answer": one.answer}))
        .collect();
    let report = json!({
        "format": "tidegate-demo-report",
        "format_version": FORMAT_VERSION,
        "happened": failure.is_none(),
        "failure": failure.map(ToString::to_string),
        "requests": notes.tally.requests,
        "rows": notes.tally.rows,
        "answered_200": notes.tally.answered(200..201),
        "answered_5xx": notes.tally.answered(500..600),
        "unanswered": notes.tally.unanswered,
        "surprises": notes.tally.surprises,
        "refused": notes.refused(),
        "refusals": refusals,
        "stable": notes.stable.as_ref().map(|stable| json!({
            "decisions": stable.decisions,
            "findings": stable.findings,
            "seconds": rounded(stable.seconds),
            "windows": stable.windows,
        })),
        "drifted": notes.drifted.as_ref().map(|drifted| json!({
            "seconds_to_route": rounded(drifted.seconds_to_route),
            "window_seconds": drifted.window_seconds,
            "finding": drifted.finding,
            "decision": drifted.decision,
        })),
        "rolled_back": notes.rolled_back,
        "recovered": notes.recovered,
        "window_seconds": notes.window_seconds,
        "windows": windows,
        "findings": findings,
        "decisions": notes.decisions,
        "versions": notes.tally.versions,
        "training": notes.training,
        "seconds_total": rounded(took.as_secs_f64()),
    });
    format!("{report:#}\n")
}

/// The whole story in one line.
#[must_use]
pub fn closing_line(notes: &Notes, took: Duration) -> String {
    let route = notes.drifted.as_ref().map_or(f64::NAN, |drifted| drifted.seconds_to_route);
    format!(
        "{} requests, {} refused, {} answered with 5xx; route changed after {route:.1} s, rolled back, \
         recovered; {:.0} s in all, everything is stopped",
        notes.tally.requests,
        notes.refused(),
        notes.tally.answered(500..600),
        took.as_secs_f64()
    )
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> Notes {
        let mut notes = Notes::new(Value::Null, 10);
        notes.phases = vec![(Phase::Stable, 1_000), (Phase::Drifted, 2_000)];
        notes.keep_windows(&[
            json!({"closed_unix_ms": 1_500, "rows": 9, "verdict": "healthy", "findings": []}),
            json!({"closed_unix_ms": 2_500, "rows": 9, "verdict": "alarm",
                   "findings": [{"verdict": "alarm"}, {"verdict": "healthy"}]}),
        ]);
        notes
    }

    fn report(failure: Option<&Error>) -> Value {
        serde_json::from_str(&text(&notes(), failure, Duration::from_secs(60))).expect("JSON")
    }

    #[test]
    fn a_window_belongs_to_the_phase_in_which_it_closed() {
        assert_eq!(notes().windows_of(Phase::Stable).len(), 1);
        assert_eq!(report(None)["windows"][1]["phase"], "drifted");
    }

    #[test]
    fn only_alarms_and_warnings_are_listed_as_findings() {
        assert_eq!(report(None)["findings"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn a_story_that_stopped_early_says_why_and_invents_nothing() {
        let failure = Error::Story { what: "no alarm".into(), logs: "logs".into() };
        let told = report(Some(&failure));
        assert_eq!(told["happened"], false);
        assert!(told["failure"].as_str().is_some_and(|why| why.contains("no alarm")));
        assert!(told["drifted"].is_null() && told["rolled_back"] == false);
    }

    #[test]
    fn the_keys_that_readers_rely_on_are_there() {
        let told = report(None);
        for key in ["requests", "answered_5xx", "refused", "stable", "drifted", "rolled_back"] {
            assert!(told.get(key).is_some(), "{key}");
        }
    }
}
