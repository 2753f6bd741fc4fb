//! The recipes a person and CI run, and the stage that the demo and the end-to-end tests stand on.
//! It names no crate of ours: it builds them with cargo and meets them as processes.

pub mod demo;
pub mod recipes;
pub mod stage;
pub mod terminal;
pub mod tools;
