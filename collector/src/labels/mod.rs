//! Labels: what turned out to be true of a model's answers, joined with them by request id.
//!
//! Answers wait in memory for a bounded time (`kept`), labels come as JSON (`reading`) and are held
//! against what a model says (`label`); what they make of each version is in `outcomes`. Nothing of
//! it outlives the collector. `post` is the command that sends them.

pub mod kept;
pub mod label;
pub mod outcomes;
pub mod post;
pub mod reading;
