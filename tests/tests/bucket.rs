//! Data in S3-compatible storage, given to the commands that read files: the real `tidegate` and a
//! real server of the protocol, moto, which keeps objects in memory and looks at no signature unless it is strict.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tidegate_tests::client::{Client, Request};
use tidegate_tests::people::{self, Era};
use tidegate_tests::tools;
use xtask::stage::moto::Moto;
use xtask::stage::{Stage, port};

/// A bucket, and a folder of its own for what the command copies.
struct Play {
    stage: Stage,
    moto: Moto,
}

impl Play {
    fn of(name: &str, strict: bool) -> Self {
        let stage = Stage::open(&tools::stages(), name).expect("a folder for the play");
        fs::create_dir(stage.folder().join("copies")).expect("a folder");
        let moto = Moto::start(&stage, &tools::moto(), strict).expect("moto runs");
        Self { stage, moto }
    }

    /// With a bucket called `data`.
    fn with_bucket(name: &str) -> Self {
        let play = Self::of(name, false);
        play.put("/data", "");
        play
    }

    fn put(&self, path: &str, body: &str) {
        let request = Request::new("PUT", path).with_body(body);
        assert_eq!(Client::to(self.moto.port).ask(&request).status, 200, "{path}");
    }

    fn people(&self, key: &str, seed: u64, rows: usize, era: Era) {
        self.put(&format!("/data/{key}"), &people::csv(&people::people(seed, rows, era)));
    }

    fn tidegate(&self, arguments: &[&str]) -> Output {
        self.asking(&self.moto.url(), arguments)
    }

    fn asking(&self, endpoint: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(tools::tidegate());
        command.args(arguments).current_dir(self.stage.folder());
        command.env("NO_COLOR", "1").env("TMPDIR", self.stage.folder().join("copies"));
        for (name, value) in [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ] {
            command.env(name, value);
        }
        let output = command.output().expect("the command runs");
        // Whatever came of it, nothing is left of what was copied.
        let left: Vec<_> =
            fs::read_dir(self.stage.folder().join("copies")).expect("a folder").collect();
        assert!(left.is_empty(), "{arguments:?}: {left:?}");
        output
    }

    /// What it says when it refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        refusal(&self.tidegate(arguments))
    }
}

fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

fn fine(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_profile_of_an_object_is_that_of_the_file_and_a_folder_is_checked_against_it() {
    let play = Play::with_bucket("bucket-check");
    play.people("2026/training.csv", 1994, 3_000, Era::Training);
    play.people("2026/january/a.csv", 7, 500, Era::Training);
    play.people("2026/january/day=2/b%20%231.csv", 8, 400, Era::Training);
    for none in ["_SUCCESS", "_temporary/c.csv", "notes.txt", "d.csv.crc"] {
        play.put(&format!("/data/2026/january/{none}"), "not, data");
    }
    play.put("/data/2026/january-too.csv", "not, data");
    let of = ["profile", "s3://data/2026/training.csv", "--out", "profile", "--created", "0"];
    fine(&play.tidegate(&of));
    let text = people::csv(&people::people(1994, 3_000, Era::Training));
    play.stage.write("training.csv", &text).expect("writable");
    let of = ["profile", "training.csv", "--out", "local", "--created", "0"];
    fine(&play.tidegate(&of));
    for name in ["profile.json", "reference.json", "contract.json"] {
        let read = |profile: &str| fs::read(play.stage.folder().join(profile).join(name));
        assert_eq!(read("profile").expect(name), read("local").expect(name), "{name}");
    }
    let check = ["check", "--profile", "profile", "--json", "s3://data/2026/january/"];
    let report: Value = serde_json::from_str(&fine(&play.tidegate(&check))).expect("JSON");
    assert_eq!(report["data"]["rows"], 900);
    let files = ["s3://data/2026/january/a.csv", "s3://data/2026/january/day=2/b #1.csv"];
    assert_eq!(report["data"]["files"], serde_json::json!(files));
}

#[test]
fn a_recording_is_replayed_from_a_bucket() {
    let play = Play::with_bucket("bucket-simulate");
    let csv = people::csv(&people::people(1994, 3_000, Era::Training));
    let mut lines = csv.lines();
    let mut timed = format!("at,{}\n", lines.next().expect("a header"));
    for (row, line) in lines.enumerate() {
        timed.push_str(&format!("{},{line}\n", 1_700_000_000 + row));
    }
    play.stage.write("training.csv", &csv).expect("writable");
    fine(&play.tidegate(&["profile", "training.csv", "--out", "profile"]));
    play.stage.write("tidegate.yaml", CONFIGURATION).expect("writable");
    play.put("/data/recording.csv", &timed);
    let said = fine(&play.tidegate(&["simulate", "--time", "at", "s3://data/recording.csv"]));
    assert!(said.contains("s3://data/recording.csv: 3,000 rows"), "{said}");
}

const CONFIGURATION: &str = "\
listen: {grpc: 127.0.0.1:7070, http: 127.0.0.1:7071}
state: ./state
envoy: {filter: /etc/tidegate/tidegate_filter.wasm, collector_cluster: tidegate_collector}
models:
  - name: census
    protocol: oip
    route: {path_prefix: /v2/models/census}
    profile: ./profile
    versions:
      - {name: v1, cluster: census-v1, role: primary}
";

#[test]
fn what_cannot_be_had_is_said_with_bucket_key_and_cure() {
    let play = Play::with_bucket("bucket-refusals");
    play.people("training.csv", 1994, 3_000, Era::Training);
    fine(&play.tidegate(&["profile", "s3://data/training.csv", "--out", "profile"]));
    let check = |data: &str| play.refused(&["check", "--profile", "profile", data]);
    let absent = check("s3://data/2026/none.csv");
    assert!(absent.contains("s3://data/2026/none.csv: nothing is there"), "{absent}");
    assert!(absent.contains("AWS_ENDPOINT_URL"), "{absent}");
    let absent = check("s3://other/training.csv");
    assert!(absent.contains("s3://other/training.csv: nothing is there"), "{absent}");
    let large = play.refused(&[
        "check",
        "--profile",
        "profile",
        "s3://data/training.csv",
        "--max-download-bytes",
        "1000",
    ]);
    assert!(large.contains("1000 may be copied") && large.contains("--max-download-bytes"));
    assert!(check("s3:///training.csv").contains("names no bucket"));
    assert!(check("gs://data/training.csv").contains("s3://BUCKET/KEY"));
    // What was copied and cannot be read is named by bucket and key, too, and goes all the same.
    play.put("/data/broken.parquet", "PAR1, and nothing else");
    let broken = check("s3://data/broken.parquet");
    assert!(broken.contains("data/broken.parquet"), "{broken}");
    let nobody = format!("http://127.0.0.1:{}", port::free_port());
    let arguments = ["check", "--profile", "profile", "s3://data/training.csv"];
    let unanswered = refusal(&play.asking(&nobody, &arguments));
    assert!(unanswered.contains("s3://data/training.csv"), "{unanswered}");
    assert!(unanswered.contains("AWS_ENDPOINT_URL"), "{unanswered}");
}

#[test]
fn who_is_not_known_to_the_storage_is_told_what_to_set() {
    let play = Play::of("bucket-denied", true);
    // An object is asked for by its key, and a folder by a list.
    for data in ["s3://data/training.csv", "s3://data/"] {
        let said = play.refused(&["profile", data, "--out", "profile"]);
        assert!(said.contains(&format!("{data}: access is refused")), "{said}");
        assert!(said.contains("AWS_ACCESS_KEY_ID"), "{said}");
    }
}
