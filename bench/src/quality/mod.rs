//! What the statistics are held to, one file a topic. It does not print: [`crate::report`] does.

pub mod clusters;
pub mod correlations;
pub mod distances;
pub mod estimates;
pub mod joint_law;
pub mod ks;
pub mod month;
pub mod nab;
pub mod outliers;
pub mod series;
pub mod stream;
mod table;
pub mod tables;
