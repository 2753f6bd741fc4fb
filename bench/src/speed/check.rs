//! `tidegate check` on twenty mixed columns: what 100,000 rows against the profile of as many others
//! cost, in memory, from a Parquet file, and with the page. It does not know whether the verdict is
//! right.

use std::fs;
use std::path::Path;

use tidegate_collector::check::{self, CheckArgs};
use tidegate_collector::profile::{self, Profile};
use tidegate_collector::watch::limits;
use tidegate_detectors::finding::Verdict;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::judge::{Rules, judge};
use tidegate_detectors::reference::{Observation, Values};
use tidegate_detectors::resampling::KeptColumn;
use tidegate_detectors::window::{Pane, Window};

use super::profile::args;
use crate::clock;
use crate::mixed::{self, Cells, Column};
use crate::report::{Figure, Report};

/// Rows of the data, and of what the profile was made from.
const ROWS: usize = 100_000;
/// CPU seconds; Evidently needs 5.1 for its drift report of such tables.
const GOAL: f64 = 0.25;
/// Where the files are written and the profile.
const FOLDER: &str = "target/tidegate-bench/check";

/// Prints the CPU seconds.
///
/// # Panics
/// When the files cannot be written below `target/`.
pub fn print(report: &Report) {
    let folder = Path::new(FOLDER);
    let out = folder.join("profile");
    fs::create_dir_all(folder).expect("a folder below target");
    let known = mixed::as_parquet(&mixed::table(ROWS), folder).expect("written");
    profile::run(&args(&known, &out), &mut std::io::sink()).expect("a profile");
    let profile = profile::load(&out).expect("the profile");
    let table = mixed::drawn(ROWS, 21);
    let say = |name: &str, seconds: f64| {
        let name = &format!("check, 100,000 rows of 20 columns against 100,000, {name}");
        let (value, unit, goal) = (seconds, "CPU s", GOAL);
        report.figure("detectors", &Figure { name, value, unit, goal, lower_is_better: true });
    };
    say("in memory", clock::least(3, || in_memory(&profile, &table)));
    let data = mixed::as_parquet(&table, folder).expect("written");
    drop((table, profile));
    let mut args = CheckArgs { json: true, ..CheckArgs::new(data, out) };
    say("Parquet file", clock::least_of_process(3, || from_file(&args)));
    args.html = Some(folder.join("page.html"));
    say("and the page", clock::least_of_process(3, || from_file(&args)));
}

fn from_file(args: &CheckArgs) {
    let verdict = check::run(args, &mut std::io::sink()).expect("a verdict");
    assert_eq!(verdict, Verdict::Healthy);
}

/// One column after the other, as a file's are read.
fn in_memory(profile: &Profile, table: &[Column]) {
    let reference = &profile.reference;
    let mut pane = Pane::new(reference);
    let lens = Lens::all_of(reference).pop();
    let mut kept = vec![KeptColumn::default(); reference.features.len()];
    for column in table {
        let at = reference.position(&column.name).expect("a column of the profile");
        let number = matches!(reference.features[at].values, Values::Number(_));
        let mut take = |observation: Observation<'_>| {
            pane.observe(at, observation);
            kept[at].take(observation);
        };
        match &column.cells {
            Cells::Whole(cells) if number => cells.iter().for_each(|cell| {
                take(cell.map_or(Observation::Missing, |cell| Observation::Number(cell as f64)));
            }),
            Cells::Number(cells) if number => {
                cells.iter().for_each(|cell| {
                    take(cell.map_or(Observation::Missing, Observation::Number));
                });
            }
            Cells::Text(cells) => cells.iter().for_each(|cell| {
                take(cell.as_deref().map_or(Observation::Missing, Observation::Category));
            }),
            Cells::Whole(_) | Cells::Number(_) => panic!("{} became a category", column.name),
        }
    }
    pane.count(ROWS as u64);
    if let Some(lens) = &lens {
        pane.together(lens, &lens.rows_of(&kept));
    }
    let window = Window::of(reference, [&pane]);
    let rules = Rules {
        alpha: 0.01,
        limits: limits(&profile.contract),
        effective_tests: profile.document.effective_tests,
        ..Rules::default()
    };
    assert!(!judge(reference, &window, &rules).is_empty());
}
