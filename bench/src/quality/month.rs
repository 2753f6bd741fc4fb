//! A month of real rows in which nothing changes, replayed by `tidegate simulate` with rules that act by
//! themselves: how often an alarm begins, and how often something is decided. Profile and traffic are
//! disjoint halves of a table in a random order; the traffic's rows come again until the month is over.

use std::error::Error;
use std::fmt::Write;
use std::fs;

use serde_json::Value;
use tidegate_collector::fetched::FetchArgs;
use tidegate_collector::profile::{self, ProfileArgs, ReadingArgs};
use tidegate_collector::simulate::{self, SimulateArgs};
use tidegate_detectors::forest::random::Random;

use super::table::{self, Cell, Table};
use crate::report::{Quality, Report};

/// Tables that are replayed: the first ones, as long as they have so many rows.
const TABLES: usize = 3;
const LEAST_ROWS: usize = 40_000;
/// Rows an hour, and hours of a month.
const ROWS: usize = 300;
const HOURS: usize = 720;

const CONFIG: &str = "
state: ./state
models:
  - name: census
    protocol: oip
    route: {path_prefix: /v2/models/census}
    profile: ./profile
    versions:
      - {name: v1, cluster: census-v1, role: primary}
      - {name: v2, cluster: census-v2, role: fallback}
    window: {length: 2h, hop: 20m, min_rows: 200}
    policy:
      - {on: data_drift, windows: 1, then: divert, to: v2, expires: 1h, approval: automatic}
      - {on: completeness, windows: 1, then: divert, to: v2, expires: 1h, approval: automatic}
      - {on: outliers, windows: 1, then: divert, to: v2, expires: 1h, approval: automatic}
";

/// Prints alarms and decisions of each table's month.
///
/// # Panics
/// Where a temporary folder cannot be written.
pub fn print(report: &Report) {
    for table in table::all().iter().filter(|table| table.rows() >= LEAST_ROWS).take(TABLES) {
        let (alarms, decisions) = replay(table).expect("a replay of a table that was read");
        let features = table.columns.len();
        for (what, value) in [("alarms", alarms), ("decisions", decisions)] {
            let name = format!(
                "month: {what} in 2,160 looks at {} without a change, {features} features",
                table.name
            );
            // One alarm a month is the budget.
            let goal = if what == "alarms" { "<= 1" } else { "0" };
            let ok = value <= if what == "alarms" { 1.0 } else { 0.0 };
            report.quality(&Quality { name: &name, value, goal, ok });
        }
    }
}

fn replay(table: &Table) -> Result<(f64, f64), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let mut order: Vec<usize> = (0..table.rows()).collect();
    let mut random = Random::seeded(31);
    let all = order.len();
    random.choose_first(&mut order, all);
    let (training, others) = order.split_at(all / 2);
    fs::write(path("training.csv"), lines(table, training.iter().map(|row| (None, *row)))?)?;
    let seconds = 3_600 / ROWS;
    let month = (0..ROWS * HOURS).map(|at| (Some(at * seconds), others[at % others.len()]));
    fs::write(path("month.csv"), lines(table, month)?)?;
    fs::write(path("tidegate.yaml"), CONFIG)?;
    let args = ProfileArgs {
        created: Some(0),
        ..ProfileArgs::new(vec![path("training.csv")], path("profile"))
    };
    profile::run(&args, &mut Vec::new())?;
    let args = SimulateArgs {
        data: path("month.csv"),
        time: "at".to_owned(),
        config: path("tidegate.yaml"),
        model: None,
        json: true,
        reading: ReadingArgs::default(),
        fetch: FetchArgs::default(),
    };
    let mut told = Vec::new();
    simulate::run(&args, &mut told)?;
    let told = String::from_utf8(told)?;
    let sum: Value = serde_json::from_str(told.lines().last().ok_or("a sum")?)?;
    let of =
        |name: &str| sum["summary"][name].as_f64().ok_or_else(|| format!("no {name} in {sum}"));
    Ok((of("alarms")?, of("decisions")?))
}

/// CSV of these rows; where they have a time, it is the first column.
fn lines(
    table: &Table,
    rows: impl Iterator<Item = (Option<usize>, usize)>,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (at, (time, row)) in rows.enumerate() {
        let timed = time.is_some();
        if at == 0 {
            let names: Vec<String> = (0..table.columns.len()).map(|at| format!("c{at}")).collect();
            writeln!(text, "{}{}", if timed { "at," } else { "" }, names.join(","))?;
        }
        if let Some(time) = time {
            write!(text, "{time},")?;
        }
        for (at, column) in table.columns.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match &column[row] {
                Cell::Missing => write!(text, "{comma}")?,
                Cell::Number(number) => write!(text, "{comma}{number}")?,
                Cell::Text(level) => write!(text, "{comma}{level}")?,
            }
        }
        text.push('\n');
    }
    Ok(text)
}
