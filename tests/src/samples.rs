//! What a collector wrote of the traffic of a play, as pandas reads it.

use std::process::Command;

use serde_json::{Value, json};

use crate::house::{House, SOON};
use crate::patience::eventually;
use crate::people::Person;
use crate::tools;

/// The line of `tidegate.yaml` that has samples written, every half second.
pub const SAMPLES: &str = "samples: {to: ./samples, retention: 1h, part: 500ms}";

/// The rows of each exchange, in the order of time.
const ROWS: &str = "
import glob, json, pandas as pd
# A file that is still being written has another ending.
parts = glob.glob('samples/**/*.parquet', recursive=True)
if parts:
    rows = pd.concat(map(pd.read_parquet, parts)).reset_index(drop=True)
    rows = rows.sort_values('time', kind='stable')
    cells = rows[['age', 'wage', 'gender', 'work']].astype({'age': float}).astype(object)
    cells = cells.where(cells.notna(), None)
    print(json.dumps([part.values.tolist() for _, part in cells.groupby(rows.request_id, sort=False)]))
else:
    print('[]')
";

/// What a script of Python says in the play's folder, as JSON.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn python(house: &House, script: &str) -> Value {
    let mut command = Command::new(tools::mlserver());
    let said = command.args(["-c", script]).current_dir(house.folder()).output().expect("Python");
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{words}");
    serde_json::from_slice(&said.stdout).unwrap_or_else(|why| panic!("{why}: {words}"))
}

/// Waits until exchanges about these people, one after another, were read by a collector that writes
/// [`SAMPLES`], each whole and with every value as it was sent. Exchanges about nobody are not looked for.
///
/// # Panics
/// When they are not there in time.
pub fn read(house: &House, exchanges: &[Vec<Person>]) {
    let row = |one: &Person| json!([one.age as f64, one.wage, one.gender, one.work]);
    let sent = exchanges.iter().filter(|people| !people.is_empty());
    let sent: Vec<Value> = sent.map(|people| people.iter().map(row).collect()).collect();
    if sent.is_empty() {
        return;
    }
    eventually("the people whom requests are about are read as they are", SOON, || {
        let read = python(house, ROWS);
        let exchanges = read.as_array()?;
        exchanges.windows(sent.len()).any(|read| read == sent).then_some(())
    });
}
