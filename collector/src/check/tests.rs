//! `tidegate check` on data that is the same, drifted, and broken.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use tidegate_detectors::finding::Verdict;

use super::{CheckArgs, CheckError, run};
use crate::profile::{self, ProfileArgs};

/// `rows` people: an age from 20 on, a class that now and then looks like a number, and how often of five.
fn people(rows: u32, first_age: u32, martians: u32) -> String {
    let mut csv = String::from("age,class,often\n");
    for row in 0..rows {
        let class = match row % 10 {
            digit if digit < martians => "<script>alert(1)</script>",
            digit if digit < 6 => "007",
            _ => "none",
        };
        let often = if row % 50 == 0 { String::new() } else { (row % 5).to_string() };
        csv.push_str(&format!("{},{class},{often}\n", first_age + row * 7 % 40));
    }
    csv
}

struct Stage(TempDir);

impl Stage {
    /// With a profile of 3,000 people.
    fn new() -> Self {
        let stage = Self(TempDir::new().expect("a folder"));
        let data = stage.write("training.csv", &people(3_000, 20, 0));
        profile::run(&stage.profiling(data), &mut Vec::new()).expect("a profile");
        stage
    }

    fn profiling(&self, data: PathBuf) -> ProfileArgs {
        ProfileArgs {
            model: Some("census".to_owned()),
            category: vec!["often".to_owned()],
            protocol: tidegate_contract::protocol::Protocol::Auto,
            created: Some(0),
            ..ProfileArgs::new(vec![data], self.path("profile"))
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("writable");
        path
    }

    fn check(&self, data: &Path, json: bool) -> Result<(Verdict, String), CheckError> {
        let args = CheckArgs {
            html: Some(self.path("report.html")),
            json,
            ..CheckArgs::new(data.to_owned(), self.path("profile"))
        };
        let mut said = Vec::new();
        let verdict = run(&args, &mut said)?;
        Ok((verdict, String::from_utf8(said).expect("text")))
    }
}

#[test]
fn arguments_that_are_not_given_are_those_of_the_command_line() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: CheckArgs,
    }
    let typed = Command::parse_from(["check", "--profile", "profile", "data.csv"]).args;
    assert_eq!(CheckArgs::new("data.csv".into(), "profile".into()), typed);
}

/// People and two answers to each, which move against each other, or with.
fn answered(rows: std::ops::Range<u32>, with: bool) -> String {
    let row = |row: u32| {
        let yes = f64::from(row * 7_919 % 1_009) / 1_009.0;
        let noise = f64::from(row * 104_729 % 997) / 9_970.0;
        let no = noise + if with { yes } else { 1.0 - yes };
        format!("{},{yes},{no}\n", row * 31 % 90)
    };
    format!("age,yes,no\n{}", rows.map(row).collect::<String>())
}

#[test]
fn answers_that_change_only_together_are_output_drift() {
    let stage = Stage(TempDir::new().expect("a folder"));
    let data = stage.write("training.csv", &answered(0..3_000, false));
    let outputs = vec!["yes".to_owned(), "no".to_owned()];
    let args = ProfileArgs { outputs, ..ProfileArgs::new(vec![data], stage.path("profile")) };
    profile::run(&args, &mut Vec::new()).expect("a profile");
    let found = |with: bool| {
        let data = stage.write("data.csv", &answered(3_000..4_000, with));
        let (verdict, said) = stage.check(&data, true).expect("a verdict");
        let report: Value = serde_json::from_str(&said).expect("JSON");
        let findings = report["findings"].as_array().expect("findings").clone();
        let alarms = findings.into_iter().filter(|finding| finding["verdict"] == "alarm");
        let told = alarms.map(|of| (of["kind"].clone(), of["detector"].clone()));
        (verdict, told.collect::<Vec<_>>())
    };
    assert_eq!(found(false), (Verdict::Healthy, Vec::new()));
    let (verdict, alarms) = found(true);
    assert_eq!(verdict, Verdict::Alarm);
    assert!(alarms.contains(&("output_drift".into(), "correlation".into())), "{alarms:?}");
    assert!(alarms.iter().all(|(kind, _)| kind == "output_drift"), "{alarms:?}");
    // Where some outputs are not there, the others are judged one by one.
    let alone = answered(3_000..4_000, true).lines().fold(String::new(), |csv, line| {
        let (rest, _) = line.rsplit_once(',').expect("three columns");
        format!("{csv}{rest}\n")
    });
    let data = stage.write("alone.csv", &alone);
    assert_eq!(stage.check(&data, true).expect("a verdict").0, Verdict::Healthy);
}

#[test]
fn rows_that_stand_out_most_are_named_with_what_makes_them() {
    let stage = Stage(TempDir::new().expect("a folder"));
    let data = stage.write("training.csv", &answered(0..3_000, false));
    let args = ProfileArgs::new(vec![data], stage.path("profile"));
    profile::run(&args, &mut Vec::new()).expect("a profile");
    // Of the second file each fourth row has two numbers that move with each other, and should not.
    let (usual, contrary) = (answered(3_000..4_000, false), answered(3_000..4_000, true));
    let rows = usual.lines().zip(contrary.lines()).enumerate();
    let mixed = rows.map(|(at, (usual, other))| if at > 0 && at % 4 == 0 { other } else { usual });
    let mixed: String = mixed.map(|line| format!("{line}\n")).collect();
    let folder = stage.path("data");
    stage.write("data/a.csv", &answered(4_000..4_600, false));
    stage.write("data/b.csv", &mixed);
    let (verdict, said) = stage.check(&folder, false).expect("a verdict");
    assert_eq!(verdict, Verdict::Alarm, "{said}");
    assert!(said.contains("of 1,600 rows that were drawn these stand out most"), "{said}");
    assert!(said.contains("contradicts itself, as at most one row of"), "{said}");
    let page = fs::read_to_string(stage.path("report.html")).expect("a page");
    assert!(page.contains("contradicts itself") && page.contains("b.csv"), "{page}");
    let strangest = || {
        let (_, said) = stage.check(&folder, true).expect("a verdict");
        let report: Value = serde_json::from_str(&said).expect("JSON");
        report["strangest"].as_array().expect("rows").clone()
    };
    let found = strangest();
    assert_eq!(found.len(), 10);
    for row in &found {
        assert!(row["file"].as_str().expect("a file").ends_with("b.csv"), "{row}");
        assert_eq!(row["row"].as_u64().expect("a row") % 4, 0, "{row}");
        assert_eq!(row["detector"], "copula", "{row}");
        assert!(row["tail"].as_f64().expect("a tail") <= 0.01, "{row}");
    }
    let line = mixed.lines().nth(found[0]["row"].as_u64().expect("a row") as usize);
    for feature in found[0]["features"].as_array().expect("features") {
        let told = feature["value"].as_f64().expect("a number");
        let values = line.expect("a line").split(',').map(str::parse::<f64>);
        assert!(values.flatten().any(|value| value == told), "{line:?} {feature}");
    }
    // What is sensitive is named, and not told.
    let path = stage.path("profile").join("contract.json");
    let contract = fs::read_to_string(&path).expect("a contract");
    let mut contract: Value = serde_json::from_str(&contract).expect("JSON");
    for field in contract["inputs"].as_array_mut().expect("inputs") {
        field["sensitive"] = "drop".into();
    }
    fs::write(&path, contract.to_string()).expect("writable");
    let hidden = strangest();
    assert_eq!(hidden[0]["row"], found[0]["row"]);
    assert!(hidden.iter().all(|row| row["features"][0].get("value").is_none()), "{hidden:?}");
}

#[test]
fn the_same_people_are_healthy() {
    let stage = Stage::new();
    let data = stage.write("same.csv", &people(1_000, 20, 0));
    let (verdict, said) = stage.check(&data, false).expect("a verdict");
    assert_eq!(verdict, Verdict::Healthy, "{said}");
    assert!(said.contains("age, class, often"), "{said}");
    assert!(said.contains("made 1970-01-01"), "{said}");
}

#[test]
fn data_of_an_hour_is_held_against_that_hour() {
    let stage = Stage::new();
    // A thousand rows of each hour, older by the hour.
    let rows = |hours: std::ops::Range<u32>| {
        let mut csv = String::from("at,age\n");
        for hour in hours {
            for row in 0..1_000 {
                csv.push_str(&format!("{},{}\n", hour * 3_600 + row, hour + row * 7 % 10));
            }
        }
        csv
    };
    let data = stage.write("hours.csv", &rows(0..24));
    let mut args = stage.profiling(data);
    args.category = Vec::new();
    args.exclude = vec!["at".to_owned()];
    args.time = Some("at".to_owned());
    profile::run(&args, &mut Vec::new()).expect("a profile");
    let night = stage.write("night.csv", &rows(2..4));
    assert_eq!(stage.check(&night, false).expect("a verdict").0, Verdict::Alarm);
    args.season = Some(profile::Season::Day);
    profile::run(&args, &mut Vec::new()).expect("a profile");
    let (verdict, said) = stage.check(&night, false).expect("a verdict");
    assert_eq!(verdict, Verdict::Healthy, "{said}");
    assert!(said.contains("2,000 rows of training of the same 2 hours"), "{said}");
    // Noon's people by night: 43,200 seconds become 7,200.
    let late = rows(12..13)
        .lines()
        .skip(1)
        .map(|line| {
            let (at, age) = line.split_once(',').expect("two cells");
            format!("{},{age}\n", at.parse::<u32>().expect("seconds") - 36_000)
        })
        .collect::<String>();
    let wrong = stage.write("wrong.csv", &format!("at,age\n{late}"));
    assert_eq!(stage.check(&wrong, false).expect("a verdict").0, Verdict::Alarm);
    let all = stage.write("all.csv", &rows(0..24));
    let (verdict, said) = stage.check(&all, false).expect("a verdict");
    assert_eq!(verdict, Verdict::Healthy, "{said}");
}

#[test]
fn other_people_are_an_alarm_and_the_report_says_which() {
    let stage = Stage::new();
    let data = stage.write("other.csv", &people(1_000, 35, 3));
    let (verdict, said) = stage.check(&data, true).expect("a verdict");
    assert_eq!(verdict, Verdict::Alarm);
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&report["format"], &report["verdict"]),
        (&"tidegate-check".into(), &"alarm".into())
    );
    let worst: Vec<&str> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["verdict"] == "alarm")
        .filter_map(|finding| finding["feature"].as_str())
        .collect();
    assert_eq!(worst, ["age", "class"], "{said}");
    let causes = report["causes"].as_array().expect("causes");
    assert_eq!(causes.len(), 2, "{said}");
    for cause in causes {
        let leads = cause["leads"].as_u64().expect("a place") as usize;
        assert_eq!(report["findings"][leads]["feature"], cause["features"][0], "{said}");
    }
    let page = fs::read_to_string(stage.path("report.html")).expect("written");
    assert!(page.contains("&lt;script&gt;alert(1)"), "levels are shown as they are");
    assert!(page.contains("<h2>2 causes</h2><ol><li>"), "{page}");
    for foreign in ["<script", "http:", "https:", "src=", "url(", "@import"] {
        assert!(!page.contains(foreign), "the page has {foreign}");
    }
}

#[test]
fn columns_that_are_missing_foreign_or_of_another_type_are_told() {
    let stage = Stage::new();
    let rows: String = (0..1_000)
        .map(|row| format!("{},{}\n", if row % 2 == 0 { "many" } else { "30" }, row % 5))
        .collect();
    let data = stage.write("odd.csv", &format!("age,height\n{rows}"));
    let (verdict, said) = stage.check(&data, false).expect("a verdict");
    assert_eq!(verdict, Verdict::Alarm);
    for expected in [
        "3 causes:\n  class is missing in 100 % of rows, 0 % in training",
        "\n  age is missing in 50 % of rows, 0 % in training",
        "age, missing values: missing 0 % became missing 50 %",
        "class, missing values: missing 0 % became missing 100 %",
        "the data lacks columns of the profile: class, often",
        "nothing is said of: height",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("class, distribution"), "{said}");
}

#[test]
fn a_folder_is_all_its_files() {
    let stage = Stage::new();
    let (a, b) = (people(600, 20, 0), people(400, 20, 0));
    stage.write("days/b.csv", &b);
    stage.write("days/a.csv", &a);
    stage.write("days/notes.txt", "not data");
    let (verdict, said) = stage.check(&stage.path("days"), true).expect("a verdict");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((verdict, &report["data"]["rows"]), (Verdict::Healthy, &1_000.into()));
    assert!(report["data"]["files"][0].as_str().is_some_and(|file| file.ends_with("a.csv")));
}

#[test]
fn few_rows_are_too_few() {
    let stage = Stage::new();
    let data = stage.write("few.csv", &people(20, 60, 3));
    assert_eq!(stage.check(&data, false).expect("a verdict").0, Verdict::Inconclusive);
}

#[test]
fn what_cannot_be_judged_is_an_error_with_a_cure() {
    let stage = Stage::new();
    let refused = |data: &Path| stage.check(data, false).expect_err("an error").to_string();
    fs::create_dir(stage.path("empty")).expect("a folder");
    assert!(refused(&stage.path("empty")).contains("a folder without a CSV or Parquet file in it"));
    assert!(
        refused(Path::new("gs://bucket/january")).contains("copy the data to one of them first")
    );
    assert!(refused(&stage.path("none.csv")).contains("none.csv"));
    let strange = stage.write("strange.csv", "length,width\n1,2\n");
    let said = refused(&strange);
    assert!(said.contains("age, class, often") && said.contains("length, width"), "{said}");
}
