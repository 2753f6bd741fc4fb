//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough.

use tidegate_bench::report::Report;

fn main() {
    let _report = Report::from_arguments();
}
