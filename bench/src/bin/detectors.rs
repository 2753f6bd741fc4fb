//! `cargo xtask bench detectors`: how fast the detectors are, beside their peers.

use tidegate_bench::report::Report;
use tidegate_bench::{sequential, sketch, speed};

fn main() {
    let report = Report::from_arguments();
    speed::ks::print(&report);
    sketch::speed(&report);
    sequential::speed(&report);
    speed::correlations::print(&report);
    speed::together::print(&report);
    speed::clusters::print(&report);
    speed::ecod::print(&report);
    speed::forest::print(&report);
    speed::profile::print(&report);
    speed::check::print(&report);
}
