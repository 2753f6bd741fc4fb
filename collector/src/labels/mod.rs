//! Labels: what turned out to be true of a model's answers, joined with them by request id.
//!
//! Answers wait for a bounded time (`kept`), labels come as JSON (`reading`) and are held against what a
//! model says (`label`); what they make of each version is in `outcomes`. `memory` tells a collector that
//! starts what the one before it was told. `post` is the command that sends them.

pub mod kept;
pub mod label;
pub mod memory;
pub mod outcomes;
pub mod post;
pub mod reading;
