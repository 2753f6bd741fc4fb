//! The mind of Tidegate and the `tidegate` command: samples in, findings, decisions, Envoy's routes
//! out. `serve` wires the parts; the judgement itself lives in `tidegate-detectors`.

pub mod api;
pub mod breaches;
mod causes;
pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod custom_metrics;
mod deadline;
pub mod decision;
pub mod drifted;
pub mod examples;
pub mod export;
pub mod expression;
pub mod fetched;
#[cfg(test)]
mod fixture;
pub mod init;
pub mod intake;
pub mod journal;
pub mod judgement;
pub mod labels;
pub mod ledger;
pub mod manual;
mod meter;
pub mod metrics;
pub mod mind;
mod nearest;
pub mod policy;
pub mod profile;
pub mod rollout;
pub mod routing;
pub mod sensitive_key;
pub mod serve;
pub mod sides;
pub mod simulate;
pub mod state;
pub mod store;
pub mod table;
pub mod telemetry;
pub mod watch;
pub mod why;
mod wording;
pub mod xds;
