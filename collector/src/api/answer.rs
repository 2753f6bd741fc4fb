//! What the API answers, as JSON. The command line reads the same types back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_contract::contract::Mode;
use tidegate_detectors::cause::Cause;
use tidegate_detectors::custom_metric::MetricStatus;
use tidegate_detectors::finding::{Finding, Verdict};

use crate::breaches::{Broken, Deeds};
use crate::decision::{Decision, UnixMillis};
use crate::labels::outcomes::LabelStatus;
use crate::rollout::Rollout;
use crate::rollout::pairs::Comparison;

/// How every model stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// In the order of the configuration.
    pub models: Vec<ModelStatus>,
    /// How the collectors that share their state stand; `None` where it is this one's own.
    #[serde(default)]
    pub crew: Option<CrewStatus>,
}

/// How the collectors that share their state stand, as one of them sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrewStatus {
    /// This one's part: `leader` decides, `follower` follows the log, `lost` cannot reach it.
    pub role: String,
    /// The name of the one that decides, where it is another one.
    pub leader: Option<String>,
    /// Collectors that were heard lately, this one among them.
    pub members: usize,
    /// What keeps this one from following.
    pub trouble: Option<String>,
}

/// How one model stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name.
    pub model: String,
    /// What the filter does about a breach of the contract.
    pub mode: Mode,
    /// Of the last window.
    pub verdict: Verdict,
    /// The decision that shapes its routes; `None` while the primary serves.
    pub decision: Option<Decision>,
    /// A decision that waits for a person.
    pub proposed: Option<Decision>,
    /// Until when the policy decides nothing.
    pub quiet_until_unix_ms: UnixMillis,
    /// Percent of requests by cluster.
    pub weights: BTreeMap<String, u32>,
    /// Percent of requests mirrored, by cluster.
    pub mirrors: BTreeMap<String, u32>,
    /// The last window.
    pub window: Option<WindowStatus>,
    /// What the contract did with requests since the collector started.
    pub contract: ContractStatus,
    /// Of the last window, worst first.
    pub findings: Vec<Finding>,
    /// What the metrics of its owner came to in the last window.
    #[serde(default)]
    pub metrics: Vec<MetricStatus>,
    /// Which of the findings share a cause, by their places from 0; the worst cause first.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// What labels say; `None` where none are awaited.
    #[serde(default)]
    pub labels: Option<LabelStatus>,
    /// The version that serves where no decision is in force.
    pub primary: String,
    /// The latest rollout; `None` where there was none.
    #[serde(default)]
    pub rollout: Option<RolloutStatus>,
    /// Envoys connected.
    pub envoys: usize,
    /// Whether every one of them has in effect what is decided.
    pub acknowledged: bool,
    /// What Envoys refuse, each as `node: its words`.
    pub refusals: Vec<String>,
}

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// The rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
    /// Its phase, in words.
    pub told: String,
    /// Whether it could go a step further.
    pub ready: bool,
    /// What it waits for, or why it ended, in words.
    pub next: String,
    /// What pairs say of the candidate since the phase began; `None` once it is over.
    pub comparison: Option<Comparison>,
}

/// What the contract did with a model's requests, over all Envoys that were heard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContractStatus {
    /// Counts.
    #[serde(flatten)]
    pub deeds: Deeds,
    /// Which fields were broken how, the most frequent first.
    pub broken: Vec<Broken>,
}

/// The last window of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowStatus {
    /// Rows read from samples.
    pub rows: u64,
    /// Exchanges that the filter saw.
    pub exchanges: u64,
    /// Samples that arrived over exchanges seen.
    pub coverage: Option<f64>,
    /// Samples known to be lost on the way or unreadable.
    pub dropped: u64,
    /// When it closed.
    pub closed_unix_ms: UnixMillis,
}
