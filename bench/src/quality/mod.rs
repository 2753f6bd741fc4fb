//! What the statistics are held to, one file a topic. It does not print: [`crate::report`] does.

pub mod ks;
