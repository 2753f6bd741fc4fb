//! `tidegate profile` on twenty mixed columns: rows each CPU second, from memory, CSV and Parquet,
//! and how large the profile is. It does not know whether the profile is right.

use std::fs;
use std::path::Path;

use tidegate_collector::profile::survey::Survey;
use tidegate_collector::profile::{self, ProfileArgs};
use tidegate_collector::table::{Cell, Column, Kind};
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::resampling::KeptColumn;

use crate::clock;
use crate::mixed::{self, Cells};
use crate::peers;
use crate::report::{Quality, Rate, Report};

const ROWS: usize = 500_000;

/// Where the files are written and the profile.
const FOLDER: &str = "target/tidegate-bench/profile";

/// Prints the rates, and those of whylogs and pandas where they are there.
///
/// # Panics
/// When the files cannot be written below `target/`.
pub fn print(report: &Report) {
    let table = mixed::table(ROWS);
    let say = |name: &str, goal: Option<f64>, seconds: f64| {
        let rate = ROWS as f64 / seconds;
        report.rate("detectors", &Rate { name, rate, goal, ..Rate::default() });
    };
    say("profile, 20 mixed columns in memory", Some(1e6), clock::least(3, || columns(&table)));
    say("profile, 20 mixed columns, row by row", Some(2e5), clock::least(3, || rows(&table)));
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).expect("a folder below target");
    let csv = mixed::as_csv(&table, folder).expect("written");
    let parquet = mixed::as_parquet(&table, folder).expect("written");
    drop(table);
    for (name, file) in [("CSV", &csv), ("Parquet", &parquet)] {
        let name = format!("profile, 20 mixed columns, {name} file");
        say(&name, None, clock::least_of_process(3, || make(file)));
    }
    for line in peers::ask("profile.py", [&csv]) {
        let (Some(name), Some(rate)) = (line["name"].as_str(), line["rate"].as_f64()) else {
            continue;
        };
        report.rate("detectors", &Rate { name, rate, ..Rate::default() });
    }
}

/// Prints how large the profile of such a table is.
///
/// # Panics
/// When the files cannot be written below `target/`.
pub fn size(report: &Report) {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).expect("a folder below target");
    let csv = mixed::as_csv(&mixed::table(ROWS), folder).expect("written");
    let out = folder.join("profile");
    profile::run(&args(&csv, &out), &mut std::io::sink()).expect("a profile");
    let files = fs::read_dir(&out).expect("the profile").map(|file| file.expect("a file"));
    let bytes: u64 = files.map(|file| file.metadata().expect("a size").len()).sum();
    let name = "profile: bytes of the whole folder, 20 mixed columns";
    let value = bytes as f64;
    report.quality(&Quality { name, value, goal: "<= 60000", ok: bytes <= 60_000 });
}

pub(super) fn args(data: &Path, out: &Path) -> ProfileArgs {
    ProfileArgs {
        protocol: Protocol::Auto,
        threads: std::num::NonZeroUsize::new(1),
        created: Some(0),
        ..ProfileArgs::new(vec![data.to_owned()], out.to_owned())
    }
}

fn make(file: &Path) {
    let profile = profile::make(&args(file, Path::new("")), 0).expect("a profile");
    assert_eq!(profile.document.rows, ROWS as u64);
}

fn blank(column: &mixed::Column, position: usize) -> Survey {
    let kind = match column.cells {
        Cells::Whole(_) => Kind::Integer,
        Cells::Number(_) => Kind::Number,
        Cells::Text(_) => Kind::Text,
    };
    let column = Column { position, name: column.name.clone(), kind };
    Survey::new(&column, false, false, KeptColumn::default())
}

fn cell(column: &mixed::Column, row: usize) -> Cell<'_> {
    match &column.cells {
        Cells::Whole(cells) => cells[row].map_or(Cell::Null, |value| Cell::Number(value as f64)),
        Cells::Number(cells) => cells[row].map_or(Cell::Null, Cell::Number),
        Cells::Text(cells) => cells[row].as_deref().map_or(Cell::Null, Cell::Text),
    }
}

/// One column after the other.
fn columns(table: &[mixed::Column]) {
    for (at, column) in table.iter().enumerate() {
        let mut survey = blank(column, at);
        let number = |value: f64| Cell::Number(value);
        match &column.cells {
            Cells::Whole(cells) => {
                let cells = cells.iter().map(|cell| cell.map(|value| value as f64));
                cells.for_each(|cell| survey.take(cell.map_or(Cell::Null, number)));
            }
            Cells::Number(cells) => {
                cells.iter().for_each(|cell| survey.take(cell.map_or(Cell::Null, number)));
            }
            Cells::Text(cells) => {
                let cells = cells.iter().map(Option::as_deref);
                cells.for_each(|cell| survey.take(cell.map_or(Cell::Null, Cell::Text)));
            }
        }
        assert_eq!(survey.learned().feature.rows, ROWS as u64);
    }
}

/// One row after the other.
fn rows(table: &[mixed::Column]) {
    let mut surveys: Vec<_> =
        table.iter().enumerate().map(|(at, column)| blank(column, at)).collect();
    for row in 0..mixed::rows_of(table) {
        for (survey, column) in surveys.iter_mut().zip(table) {
            survey.take(cell(column, row));
        }
    }
    for survey in surveys {
        assert_eq!(survey.learned().feature.rows, ROWS as u64);
    }
}
