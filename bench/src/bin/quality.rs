//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough.

use std::process::ExitCode;

use tidegate_bench::report::Report;
use tidegate_bench::{quality, sequential, sketch};

fn main() -> ExitCode {
    let report = Report::from_arguments();
    quality::ks::print(&report);
    quality::clusters::print(&report);
    quality::series::print(&report);
    quality::outliers::print(&report);
    sketch::quality(&report);
    sequential::quality(&report);
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
