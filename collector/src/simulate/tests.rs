//! `tidegate simulate` on a recording with drift in the middle.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tidegate_detectors::finding::Verdict;

use super::{SimulateArgs, SimulateError, run};
use crate::fetched::FetchArgs;
use crate::profile::{self, ProfileArgs, ReadingArgs};

const CONFIG: &str = "
listen: {grpc: 127.0.0.1:7070, http: 127.0.0.1:7071}
state: ./state
envoy: {filter: ./filter.wasm, collector_cluster: tidegate_collector}
models:
  - name: people
    route: {path_prefix: /people}
    profile: ./profile
    versions:
      - {name: v1, cluster: people-v1, role: primary}
      - {name: v2, cluster: people-v2, role: fallback}
    window: {length: 10m, hop: 5m, min_rows: 200}
    policy:
      - {on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 20m, cooldown: 1h, approval: automatic}
";

/// A row a second from noon on: an age that is older in the third quarter of `rows`.
fn recording(rows: u32) -> String {
    let mut csv = String::from("at,age,class\n");
    for row in 0..rows {
        let (minute, second) = (row / 60, row % 60);
        let older = if (rows / 2..rows / 4 * 3).contains(&row) { 30 } else { 0 };
        let (age, class) = (20 + row * 37 % 41 + older, ["a", "b", "c"][row as usize * 7 % 5 % 3]);
        csv.push_str(&format!(
            "2026-03-01 {:02}:{:02}:{second:02},{age},{class}\n",
            12 + minute / 60,
            minute % 60
        ));
    }
    csv
}

struct Stage(TempDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(TempDir::new().expect("a folder"));
        stage.write("filter.wasm", "");
        stage.write("tidegate.yaml", CONFIG);
        let training: String = (0..5_000_u32)
            .map(|row| {
                format!("{},{}\n", 20 + row * 37 % 41, ["a", "b", "c"][row as usize * 7 % 5 % 3])
            })
            .collect();
        let data = stage.write("training.csv", &format!("age,class\n{training}"));
        let args = ProfileArgs {
            protocol: tidegate_contract::protocol::Protocol::Auto,
            created: Some(0),
            ..ProfileArgs::new(vec![data], stage.0.path().join("profile"))
        };
        profile::run(&args, &mut Vec::new()).expect("a profile");
        stage
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("writable");
        path
    }

    fn simulate(
        &self,
        data: &str,
        time: &str,
        json: bool,
    ) -> Result<(Verdict, String), SimulateError> {
        let args = SimulateArgs {
            data: self.write("recording.csv", data),
            time: time.to_owned(),
            config: self.0.path().join("tidegate.yaml"),
            model: None,
            json,
            reading: ReadingArgs::default(),
            fetch: FetchArgs::default(),
        };
        let mut said = Vec::new();
        let verdict = run(&args, &mut said)?;
        Ok((verdict, String::from_utf8(said).expect("text")))
    }
}

#[test]
fn drift_in_the_middle_is_found_acted_upon_and_undone() {
    let stage = Stage::new();
    let (verdict, said) = stage.simulate(&recording(14_400), "at", true).expect("a story");
    assert_eq!(verdict, Verdict::Alarm);
    let lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let decisions: Vec<&Value> =
        lines.iter().map(|line| &line["decision"]).filter(|decision| !decision.is_null()).collect();
    assert_eq!(decisions[0]["action"], "divert", "{said}");
    // The older people come from 14:00 on, which is 1772373600000.
    let decided = decisions[0]["decided_unix_ms"].as_u64().expect("a time");
    assert!((1_772_373_600_000..=1_772_373_600_000 + 600_000).contains(&decided), "{decided}");
    let last = decisions.last().expect("a decision");
    assert_eq!((&last["action"], &last["author"]), (&"serve".into(), &"expiry".into()));
    let sum = &lines.last().expect("a sum")["summary"];
    assert_eq!((&sum["alarms"], sum["windows"].as_u64()), (&1.into(), Some(48)));
}

#[test]
fn a_metric_beyond_its_limit_is_found_in_a_replay() {
    let stage = Stage::new();
    let metrics = "    metrics:
      - {name: old, expression: inputs.age > 60, where: 'inputs.class in [\"a\", \"b\"]', max: 0.05}
      - {name: missed, expression: label, max: 1}
    labels: {output: score, task: regression}
    policy: []
";
    let (models, _) = CONFIG.split_once("    policy:").expect("a policy");
    stage.write("tidegate.yaml", &format!("{models}{metrics}"));
    let (verdict, said) = stage.simulate(&recording(14_400), "at", false).expect("a story");
    assert_eq!(verdict, Verdict::Alarm);
    assert!(said.contains("old: at most 0.05 allowed became 0."), "{said}");
    assert!(said.contains("(metric, effect 0."), "{said}");
    let wrong = format!("{models}{}", metrics.replace("inputs.age", "inputs.agee"));
    stage.write("tidegate.yaml", &wrong);
    let said = stage.simulate(&recording(10), "at", false).expect_err("a mistake").to_string();
    let expected = "models[0].metrics[0].expression: character 1: the model has no input `agee`; did you mean `age`?";
    assert!(said.contains("tidegate.yaml:14:33: ") && said.ends_with(expected), "{said}");
}

#[test]
fn the_order_of_the_file_does_not_matter_and_people_can_read_it() {
    let stage = Stage::new();
    let recording = recording(14_400);
    let (header, rows) = recording.split_once('\n').expect("a header");
    let mut backwards: Vec<&str> = rows.lines().collect();
    backwards.reverse();
    let (_, forth) = stage.simulate(&recording, "at", false).expect("a story");
    let back = format!("{header}\n{}\n", backwards.join("\n"));
    let (_, back) = stage.simulate(&back, "at", false).expect("a story");
    assert_eq!(forth, back);
    for expected in [
        "14,400 rows from 2026-03-01 12:00:00 to 2026-03-01 15:59:59",
        "d-000001 divert to v2",
        "by the rule: on data_drift",
        "age: median 40 became median",
        "48 windows: ",
    ] {
        assert!(forth.contains(expected), "{expected}: {forth}");
    }
}

#[test]
fn a_gap_closes_no_more_windows_than_have_rows() {
    let stage = Stage::new();
    let late = recording(1_200).replace("2026-03-01 12:1", "2029-03-01 12:1");
    let (_, said) = stage.simulate(&late, "at", true).expect("a story");
    let sum: Value = serde_json::from_str(said.lines().last().expect("a sum")).expect("JSON");
    assert!(sum["summary"]["windows"].as_u64().expect("a count") < 10, "{said}");
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_place() {
    let stage = Stage::new();
    let refused = |data: &str, time| stage.simulate(data, time, false).expect_err("no").to_string();
    let said = refused(&recording(10), "when");
    assert!(said.contains("no column `when`") && said.contains("at, age, class"), "{said}");
    let said = refused(&recording(10).replace("2026-03-01 12:00:03", "noon"), "at");
    assert!(said.contains("row 4, column `at`: `noon` is no time"), "{said}");
    let said = refused("at,height\n2026-03-01,1\n", "at");
    assert!(said.contains("none of the model's columns"), "{said}");
}
