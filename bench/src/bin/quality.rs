//! `cargo xtask quality`: what the statistics are held to. Exits with 1 where one is not good enough,
//! and with 2 where there is no such topic.

use std::process::ExitCode;

use tidegate_bench::report::Report;
use tidegate_bench::{quality, sequential, sketch, speed};

/// Prints, and says whether all is good where the report does not.
type Topic = fn(&Report) -> bool;

const TOPICS: [(&str, Topic); 13] = [
    ("ks", quality::ks::print),
    ("clusters", quality::clusters::print),
    ("series", quality::series::print),
    ("outliers", quality::outliers::print),
    ("tables", |report| {
        quality::tables::print(report);
        true
    }),
    ("joint", |report| {
        quality::joint_law::print(report);
        true
    }),
    ("month", |report| {
        quality::month::print(report);
        true
    }),
    ("correlations", |report| {
        quality::correlations::print(report);
        true
    }),
    ("distances", |report| {
        quality::distances::print(report);
        true
    }),
    ("estimates", |report| {
        quality::estimates::print(report);
        true
    }),
    ("sketch", |report| {
        sketch::quality(report);
        true
    }),
    ("profile", |report| {
        speed::profile::size(report);
        true
    }),
    ("sequential", |report| {
        sequential::quality(report);
        true
    }),
];

fn main() -> ExitCode {
    let report = Report::from_arguments();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| word != "--json").collect();
    if let Some(unknown) = wanted.iter().find(|word| TOPICS.iter().all(|(name, _)| name != word)) {
        let names = TOPICS.map(|(name, _)| name).join(", ");
        eprintln!("there is no topic {unknown}; there are {names}");
        return ExitCode::from(2);
    }
    let mut good = true;
    for (name, print) in TOPICS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            good &= print(&report);
        }
    }
    if good && report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
