//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough.

use std::process::ExitCode;

use tidegate_bench::quality;
use tidegate_bench::report::Report;

fn main() -> ExitCode {
    let report = Report::from_arguments();
    let mut ok = true;
    ok &= quality::ks::print(&report);
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
