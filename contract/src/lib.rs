//! What the filter, the collector and the command line share: the contract of a model, the
//! configuration of the filter, and push parsers that read payloads into rows.
//!
//! It deliberately knows no host: no Envoy, no file, no network, no clock.

pub mod check;
pub mod columns;
pub mod contract;
pub mod mistake;
pub mod plugin;
pub mod protocol;
pub mod rules;
pub mod violation;
