//! What Tidegate is measured by. `cargo xtask bench detectors` prints speeds, ours beside those of
//! peers; `cargo xtask quality` prints what the statistics are held to. Both print a table, or with
//! `--json` a line of JSON for each figure.
//!
//! Nothing here is a test: a speed depends on the machine. It does not know who reads the figures.

pub mod clock;
pub mod fleet;
pub mod intake;
pub mod labelled;
pub mod mixed;
pub mod peers;
pub mod profiled;
pub mod quality;
pub mod reaction;
pub mod report;
pub mod resident;
pub mod sequential;
pub mod sketch;
pub mod speed;
pub mod traffic;
pub mod training;
