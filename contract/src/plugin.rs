//! The filter's configuration, as the collector writes it and the filter reads it: which route
//! serves which model, by which contract, and what is done about a breach. It does not act on it.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::mistake::Mistake;
use crate::protocol::Protocol;

/// The whole table one filter works by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Where samples go; without it nothing is shipped.
    #[serde(default)]
    pub collector: Option<Collector>,
    /// The models, tried in order; the first whose route matches takes the exchange.
    #[serde(default)]
    pub models: Vec<Model>,
}

impl Plugin {
    /// Reads the configuration from JSON and checks it.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(_json: &str) -> Result<Self, Vec<Mistake>> {
        todo!()
    }
}

/// How batches reach the collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collector {
    /// Envoy's cluster for the collector's gRPC intake.
    pub cluster: String,
    /// After how long a batch counts as lost.
    pub timeout_milliseconds: u32,
    /// Batches in flight for each worker.
    pub max_batches_in_flight: u32,
    /// Bytes of one batch.
    pub max_batch_bytes: u32,
    /// Bytes of samples that wait in one worker; past it the oldest are dropped and counted.
    pub max_buffer_bytes: u32,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            cluster: "tidegate_collector".to_owned(),
            timeout_milliseconds: 1000,
            max_batches_in_flight: 2,
            max_batch_bytes: 1 << 20,
            max_buffer_bytes: 4 << 20,
        }
    }
}

/// One model behind one or more routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name in Tidegate.
    pub model: String,
    /// How its exchanges are recognised.
    pub route: Route,
    /// How its bodies are written.
    pub protocol: Protocol,
    /// What is done about a breach.
    pub mode: Mode,
    /// The share of exchanges that are kept, from 0 to 1.
    pub sample_rate: f64,
    /// Bytes kept of each body.
    #[serde(default = "capture_bytes")]
    pub max_capture_bytes: u32,
    /// Which Envoy cluster is which version.
    #[serde(default)]
    pub versions: Vec<Version>,
    /// What requests and responses must look like; without it nothing is checked.
    #[serde(default)]
    pub contract: Option<Contract>,
    /// A block in force: requests are answered without asking the model.
    #[serde(default)]
    pub block: Option<Block>,
}

/// How an exchange is recognised as a model's. What is given must match; nothing given matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name of Envoy's route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The start of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
}

/// One version of a model: the cluster that serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The version's name.
    pub version: String,
    /// Envoy's cluster.
    pub cluster: String,
}

/// What the filter does when a request breaks the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing but counting it.
    Observe,
    /// It goes through with a header that names the breach.
    Tag,
    /// It is answered with 400 and never reaches the model whole.
    Enforce,
}

/// A block decision, as the filter carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The decision's id.
    pub decision: String,
    /// Why, for the one who is refused.
    pub reason: String,
    /// When the block ends by itself, in seconds since the epoch.
    pub until_unix_seconds: u64,
}

fn capture_bytes() -> u32 {
    64 << 10
}
