//! Faults of what lies around a collector: its disk is full, its configuration is edited into nonsense. What
//! is decided stays, nothing is done that is not written down, and all goes on when the fault is mended.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::house::{House, Model, Plan, SOON};
use tidegate_tests::patience::{eventually, throughout};
use tidegate_tests::people::Era;
use tidegate_tests::stream::Flow;
use tidegate_tests::tools;
use xtask::stage::http;

const RULE: &str =
    "{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";

fn house(play: &str) -> House {
    Plan::of(play).model(Model::census().rule(RULE)).raise()
}

fn await_version(house: &House, wanted: &str) {
    eventually(&format!("{wanted} answers"), SOON, || (house.version() == wanted).then_some(()));
}

/// The decisions, each as `id action state`.
fn told(house: &House) -> Vec<String> {
    let words = |decision: &Value| {
        let word = |key: &str| decision[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", word("id"), word("action"), word("state"))
    };
    house.decisions().iter().map(words).collect()
}

fn get(house: &House, path: &str) -> String {
    let answer = http::Client::new(SOON).get(&format!("{}/{path}", house.api()));
    answer.expect("the collector answers").text()
}

fn ready(house: &House) -> bool {
    http::answers_ok(&format!("{}/readyz", house.api()))
}

fn divert(house: &House) -> Output {
    let wish = ["divert", "census", "--to", "v2", "--for", "1h", "--reason", "a play"];
    house.tidegate(&wish)
}

/// Bounds how long any file of the collector may become: a disk that is full, for one process.
fn room(house: &House, bytes: &str) {
    let pid = house.collector.as_ref().expect("there").process.pid().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.expect("prlimit of util-linux is there").success());
}

#[test]
fn a_full_disk_keeps_a_decision_from_being_made_and_nothing_else() {
    let mut house = house("faults-disk");
    assert!(divert(&house).status.success());
    await_version(&house, "v2");
    house.await_acknowledged();
    let log = house.folder().join("state/decisions.jsonl");
    let before = std::fs::read(&log).expect("the decision log");
    let known = ["d-000001 divert active"].map(str::to_owned).to_vec();

    // Room for half a line, then for nothing: not even the collector's own log can be written.
    for bytes in [(before.len() + 100).to_string(), "1".to_owned()] {
        room(&house, &bytes);
        let refused = house.tidegate(&["rollback", "census"]);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("decisions.jsonl: cannot write to it"), "{words}");
        assert!(!ready(&house), "who cannot decide says that it is ready");
        assert!(get(&house, "readyz").contains("decisions.jsonl"));
        let failures = "tidegate_journal_failures_total ";
        let metrics = get(&house, "metrics");
        let count = metrics.lines().find_map(|line| line.strip_prefix(failures)?.parse().ok());
        assert!(count > Some(0_u64), "{metrics}");
        assert_eq!((told(&house), house.version()), (known.clone(), "v2".to_owned()));
        let now = std::fs::read(&log).expect("the decision log");
        assert_eq!(now, before, "half a line is left");
    }
    // Traffic is judged as before, and who asks is answered.
    let drifted = Flow::of(Era::Later).begin(&house);
    eventually("drift is seen", SOON, || (house.status()["verdict"] == "alarm").then_some(()));
    drop(drifted);

    room(&house, "unlimited");
    eventually("it is ready again by itself", SOON, || ready(&house).then_some(()));
    assert!(house.tidegate(&["rollback", "census"]).status.success());
    await_version(&house, "v1");
    house.await_acknowledged();
    let known = ["d-000001 divert rolled_back", "d-000002 serve active"].map(str::to_owned);
    assert_eq!(told(&house), known);
    house.collector().process.kill();
    house.start_collector();
    assert_eq!(told(&house), known, "nothing is lost");
}

fn serve(configuration: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(tools::tidegate());
    command.arg("serve").arg("-c").arg(configuration).args(more).env("NO_COLOR", "1");
    command.output().expect("the command runs")
}

#[test]
fn a_configuration_edited_into_nonsense_changes_nothing_until_a_restart_and_then_neither() {
    let mut house = house("faults-nonsense");
    let file: PathBuf = house.folder().join("tidegate.yaml");
    let good = std::fs::read_to_string(&file).expect("the configuration");
    let nonsense =
        good.replace("verdict: alarm", "verdict: loud").replace("hop: 500ms", "hop: often");
    let line = |part: &str| 1 + nonsense.lines().position(|line| line.contains(part)).unwrap_or(0);
    let mistakes = [("loud", line("verdict: loud")), ("often", line("hop: often"))];
    std::fs::write(&file, &nonsense).expect("writable");

    // The one that runs goes on with what it read: it acts by its rule.
    let drifted = Flow::of(Era::Later).begin(&house);
    await_version(&house, "v2");
    drop(drifted);
    house.await_acknowledged();
    let known = vec!["d-000001 divert active".to_owned()];
    assert_eq!(told(&house), known);
    assert!(ready(&house));

    for more in [&["--check"][..], &[]] {
        if more.is_empty() {
            house.collector().process.kill();
        }
        let refused = serve(&file, more);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        for (mistake, line) in mistakes {
            let place = format!("tidegate.yaml:{line}:");
            let told = |said: &str| said.contains(&place) && said.contains(mistake);
            assert!(words.lines().any(told), "no `{place}` with `{mistake}`:\n{words}");
        }
    }
    let stays = "Envoy keeps its last routes".to_owned();
    throughout(&stays, Duration::from_secs(1), &"v2".to_owned(), || house.version());

    // This writes the good one back.
    house.start_collector();
    house.await_acknowledged();
    assert_eq!((told(&house), house.version()), (known, "v2".to_owned()));
    assert!(house.tidegate(&["rollback", "census"]).status.success());
    await_version(&house, "v1");
}
