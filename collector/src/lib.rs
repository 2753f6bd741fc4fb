//! The mind behind the gate: what it is told, what it remembers. It does not touch the traffic.

pub mod config;
pub mod journal;
