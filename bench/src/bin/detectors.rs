//! `cargo xtask bench detectors`: how fast the detectors are, beside their peers.

use tidegate_bench::report::Report;
use tidegate_bench::speed;

fn main() {
    let report = Report::from_arguments();
    speed::ks::print(&report);
}
