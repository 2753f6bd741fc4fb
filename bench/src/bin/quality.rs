//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough.

use tidegate_bench::report::Report;
use tidegate_bench::{sequential, sketch};

fn main() {
    let report = Report::from_arguments();
    sketch::quality(&report);
    sequential::quality(&report);
}
