//! `cargo xtask bench detectors`: how fast the detectors are, beside their peers.

use tidegate_bench::report::Report;

fn main() {
    let _report = Report::from_arguments();
}
