//! A model as the configuration resolves it: its route, versions, windows and thresholds.
//! It does not know how any of this was written down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tidegate_contract::contract::Mode;
use tidegate_contract::plugin::{Keep, Route, Sticky};
use tidegate_contract::protocol::Protocol;

use super::guard::Guard;
use super::metric::Metric;
use super::rollout::Plan;
use super::rule::Rule;

/// One model behind the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name: letters, digits, `_` and `-`, at most 64, so that it fits runtime keys and labels.
    pub name: String,
    /// How its bodies are written.
    pub protocol: Protocol,
    /// What the filter does about a breach of the contract.
    pub mode: Mode,
    /// How its exchanges are recognised: by at least one of route name and path prefix, and by no
    /// route that an earlier model already takes whole.
    pub route: Route,
    /// By what a client gets the same version each time while several answer.
    pub sticky: Option<Sticky>,
    /// Which Envoys serve it.
    pub envoys: Envoys,
    /// The share of exchanges that are kept, from 0 to 1; above 0 where there are rules.
    pub sample_rate: f64,
    /// Bytes kept of each body.
    pub max_capture_bytes: u32,
    /// Bytes of samples that each worker of an Envoy keeps in a second.
    pub max_sample_bytes_per_second: Option<u32>,
    /// Which exchanges are kept whatever the rate.
    pub keep: Keep,
    /// The folder that `tidegate profile` wrote; absolute.
    pub profile: PathBuf,
    /// The contract, where it is not the profile's own; absolute.
    pub contract: Option<PathBuf>,
    /// The versions, exactly one of them primary; names and clusters unique within the model.
    pub versions: Vec<Version>,
    /// What is judged together.
    pub window: Window,
    /// From when on a difference counts.
    pub detectors: Detectors,
    /// What labels are held against, where some come.
    pub labels: Option<Labels>,
    /// What its owner measures it by; names are unique.
    pub metrics: Vec<Metric>,
    /// The rules, tried in order.
    pub policy: Vec<Rule>,
    /// What bounds them.
    pub guard: Guard,
    /// How a candidate becomes the primary version.
    pub rollout: Plan,
}

impl Model {
    /// The version that serves when no decision is in force.
    #[must_use]
    pub fn primary(&self) -> &Version {
        self.versions
            .iter()
            .find(|version| version.role == Role::Primary)
            .expect("a resolved model has exactly one primary")
    }

    /// The version of that name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }
}

/// Some Envoys, by what they say of themselves; all of them where nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envoys {
    /// Their node ids, with `*` for any characters.
    pub id: Option<String>,
    /// Their clusters, with `*` for any characters.
    pub cluster: Option<String>,
    /// Texts of their metadata, by key; all must be so.
    pub metadata: BTreeMap<String, String>,
}

/// One version of a model: one cluster of Envoy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name: letters, digits, `_`, `-` and `.`, at most 64.
    pub name: String,
    /// Envoy's cluster: letters, digits, `_` and `-`, at most 64.
    pub cluster: String,
    /// What it is there for.
    pub role: Role,
}

/// What a version is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It serves when nothing is wrong.
    Primary,
    /// It is known good, and takes over when the primary is in doubt.
    Fallback,
    /// It is new, and must earn its place.
    Candidate,
}

/// What is judged together: the last `length` of traffic, every `hop`.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// How much time a window covers; a whole multiple of `hop`, at most 60 of them.
    pub length: Duration,
    /// How often one is judged.
    pub hop: Duration,
    /// Rows below which a window is inconclusive.
    pub min_rows: u64,
    /// A window goes no further back than it takes to have so many rows, where that is wanted.
    pub rows: Option<u64>,
    /// Whether rows go by when they were, instead of when they arrived.
    pub time: Option<OwnTime>,
}

impl Window {
    /// How many hops a window covers; at least 1.
    #[must_use]
    pub fn panes(&self) -> usize {
        let panes = self.length.as_millis() / self.hop.as_millis().max(1);
        usize::try_from(panes).unwrap_or(1).max(1)
    }
}

/// When rows were.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnTime {
    /// The input that says it.
    pub input: String,
    /// How long a window waits for rows that come late.
    pub lateness: Duration,
    /// The share of rows that may come later than that, 0 to 1.
    pub max_late_rate: f64,
}

/// From when on a difference counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detectors {
    /// The least effect that matters, above 0 and at most 1 (the largest distance between
    /// distribution functions for numbers, the total variation distance for categories). It is of
    /// data drift; null rates matter from 0.05 on, contract violations from 0.02.
    pub min_effect: f64,
    /// False alarms that the model's owner accepts, per 30 days; above 0.
    pub false_alarms_per_month: f64,
    /// Whether the number of exchanges is held against what is usual at this hour of the week, where the
    /// profile knows.
    pub volume: bool,
}

/// What labels are held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// The output that they tell the truth of.
    pub output: String,
    /// What kind of truth it is.
    pub task: Task,
    /// The error rate that training promised, 0 to 1; without it the first labels tell.
    pub reference_error: Option<f64>,
    /// How long an answer waits for its label.
    pub horizon: Duration,
    /// Rows that wait for one, at most.
    pub max_rows: usize,
    /// The latest rows with a label, that performance is measured on; at most `max_rows`.
    pub window_rows: usize,
}

/// What kind of truth a label tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Yes or no.
    Binary {
        /// The label of a yes.
        positive: String,
        /// The score from which on the model says yes.
        threshold: f64,
    },
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

/// A task without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskName {
    Binary,
    Multiclass,
    Regression,
}
