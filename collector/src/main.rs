//! The `tidegate` command.

use std::process::ExitCode;

use clap::Parser;
use tidegate_collector::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
