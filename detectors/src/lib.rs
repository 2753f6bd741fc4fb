//! The judgement: from a reference and a window of rows to findings. Pure arithmetic.
//!
//! Here live the sketches that remember a column, the tests of hypotheses that compare two of
//! them, and the rules that turn statistics into verdicts. Deliberately absent: a clock, files,
//! the network, threads and unseeded randomness (`clippy.toml` beside this crate bans them).
//! The caller decides when a pane begins, which panes make a window and what a verdict leads to.
//!
//! The way of a value: [`window::Pane::observe`] → [`window::Window::of`] → [`judge::judge`] →
//! [`finding::Finding`].

pub mod anderson_darling;
pub mod association;
pub mod autocorrelation;
pub mod cardinality;
pub mod cause;
pub mod chi2;
pub mod cluster;
pub mod compact;
pub mod confidence;
pub mod copula;
pub mod correction;
pub mod correlation;
pub mod custom_metric;
pub mod distance;
pub mod ecod;
pub mod excess;
pub mod finding;
pub mod forest;
pub mod frequent;
mod gamma;
pub mod joint;
pub mod judge;
mod kolmogorov;
pub mod ks;
mod latest;
mod letters;
pub mod limit;
pub mod mmd;
pub mod moments;
pub mod outlier;
mod packing;
pub mod paired;
pub mod parcel;
pub mod performance;
pub mod proportion;
pub mod qq;
pub mod quantile;
mod radix;
pub mod reference;
pub mod resampling;
pub mod scores;
pub mod season;
pub mod sequential;
mod series;
mod smirnov;
pub mod summary;
pub mod tally;
pub mod thinning;
pub mod vigil;
pub mod volume;
pub mod window;
