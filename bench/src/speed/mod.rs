//! How fast things are, one file a topic. It does not print: [`crate::report`] does.

pub mod check;
pub mod clusters;
pub mod correlations;
pub mod ecod;
pub mod forest;
pub mod ks;
pub mod profile;
pub mod together;
