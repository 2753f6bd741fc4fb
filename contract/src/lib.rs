//! What the filter, the collector and the command line share: the contract of a model, the
//! configuration of the filter, and push parsers that read payloads into rows.
//!
//! It deliberately knows no host: no Envoy, no file, no network, no clock.

mod body;
mod byte_order;
pub mod check;
mod cloudevent;
pub mod columns;
mod confidence;
pub mod contract;
mod csv;
pub mod dates;
mod described;
pub mod format;
mod grpc;
pub mod held;
mod infer;
pub mod inflate;
mod interval;
pub mod json;
mod judge;
pub mod lone;
pub mod mistake;
mod oip;
pub mod order;
pub mod plugin;
mod protobuf;
pub mod protocol;
mod raw;
mod record;
pub mod rows;
pub mod rules;
pub mod segment;
pub mod sensitive;
mod serving;
mod skip;
mod split;
mod sse;
mod transcript;
pub mod violation;
mod words;
