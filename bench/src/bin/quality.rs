//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough.

use std::process::ExitCode;

use tidegate_bench::report::Report;
use tidegate_bench::{quality, sequential, sketch};

fn main() -> ExitCode {
    let report = Report::from_arguments();
    let mut good = quality::ks::print(&report);
    good &= quality::clusters::print(&report);
    good &= quality::series::print(&report);
    good &= quality::outliers::print(&report);
    sketch::quality(&report);
    sequential::quality(&report);
    if good && report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
