//! The samples as Parquet: what real Envoy sampled is there for pandas and for our own commands, and
//! nothing of what is sensitive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people};
use tidegate_tests::recorder::Reply;
use tidegate_tests::samples::{SAMPLES, python};
use tidegate_tests::tools;

fn house(play: &str, samples: &str) -> House {
    Plan::of(play)
        .line(samples)
        .answers()
        .model(Model::census().line("keep: {violations: true}"))
        .raise()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let inside =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    inside.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

const PANDAS: &str = "
import json, pandas as pd
rows = pd.read_parquet('samples')
print(json.dumps({
    'rows': len(rows),
    'exchanges': int(rows.request_id.nunique()),
    'ages': int(rows.age.sum()),
    'types': {name: str(kind) for name, kind in rows.dtypes.items()},
    'broken': int(rows[rows.violations > 0].request_id.nunique()),
    'predict': sorted(set(int(x) for x in rows.predict.dropna())),
    'version': sorted(str(v) for v in rows.version.unique()),
    'outcome': sorted(rows.outcome.unique()),
    'rate': sorted(rows.sampling_rate.unique()),
}))
";

#[test]
fn pandas_reads_what_was_sampled_and_so_does_check() {
    let house = house("store-reads", SAMPLES);
    // An answer a row, half of them 1, as in training.
    house.v1.script(|seen| {
        let asked: Value = serde_json::from_slice(&seen.body.bytes).unwrap_or_default();
        let ages = asked["inputs"][0]["data"].as_array().cloned().unwrap_or_default();
        let data: Vec<i64> = ages.iter().filter_map(|age| Some(age.as_i64()? % 2)).collect();
        let body = json!({"model_name": "census", "outputs": [
            {"name": "predict", "shape": [data.len(), 1], "datatype": "INT64", "data": data}]});
        Reply::whole(200, &[("content-type", "application/json")], body.to_string().as_bytes())
    });
    let mut client = house.client();
    let mut ages = 0;
    for seed in 0..100 {
        let people = people(seed, 5, Era::Training);
        ages += people.iter().map(|one| one.age).sum::<i64>();
        assert_eq!(client.ask(&Request::post(INFER, oip(&people).to_string())).status, 200);
    }
    let mut broken = oip(&people(1, 1, Era::Training));
    broken["inputs"][0]["data"] = json!([500]);
    ages += 500;
    assert_eq!(client.ask(&Request::post(INFER, broken.to_string())).status, 200);
    let told = eventually("all samples are on the disk", SOON, || {
        (!files(&house.folder().join("samples")).is_empty()).then_some(())?;
        let told = python(&house, PANDAS);
        (told["exchanges"] == 101).then_some(told)
    });
    assert_eq!((&told["rows"], &told["ages"]), (&json!(501), &json!(ages)), "{told:#}");
    assert_eq!(told["broken"], 1);
    assert_eq!((&told["version"], &told["outcome"]), (&json!(["v1"]), &json!(["served"])));
    assert_eq!((&told["predict"], &told["rate"]), (&json!([0, 1]), &json!([1.0])));
    let types: BTreeMap<String, String> =
        serde_json::from_value(told["types"].clone()).expect("names and types");
    assert_eq!((types["age"].as_str(), types["wage"].as_str()), ("int64", "float64"));
    assert!(types["time"].starts_with("datetime64"), "{types:?}");

    let (profile, samples) = (house.folder().join("profile"), house.folder().join("samples"));
    let checked = Command::new(tools::tidegate())
        .arg("check")
        .arg("--profile")
        .args([profile, samples])
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert!(said.contains("501 rows"), "{said}");
}

#[test]
fn nothing_sensitive_is_on_the_disk_and_a_killed_collector_leaves_whole_files() {
    let contract = json!({"inputs": [
        {"name": "age", "type": "integer"},
        {"name": "wage", "type": "number", "sensitive": "drop"},
        {"name": "gender", "type": "text"},
        {"name": "work", "type": "text", "sensitive": "hash"}]});
    let mut house = Plan::of("store-sensitive")
        .line(SAMPLES)
        .contract(&contract)
        .model(Model::census())
        .raise();
    let samples = house.folder().join("samples");
    for round in 0..5 {
        let mut client = house.client();
        for seed in 0..40 {
            let mut asked = oip(&people(seed, 2, Era::Training));
            asked["inputs"][1]["data"] = json!([6_543_210.125, 6_543_211.125]);
            asked["inputs"][3]["data"] = json!(["Zookeeper-Secret", "Zookeeper-Secret"]);
            assert_eq!(client.ask(&Request::post(INFER, asked.to_string())).status, 200);
        }
        let before = files(&samples).len();
        eventually("another part is written", SOON, || {
            (files(&samples).len() > before || round == 0 && before > 0).then_some(())
        });
        house.collector().process.kill();
        house.start_collector();
        house.await_acknowledged();
    }
    let told = python(
        &house,
        "
import json, pandas as pd
rows = pd.read_parquet('samples')
print(json.dumps({'columns': list(rows.columns), 'rows': len(rows),
                  'hashes': int(rows.work.nunique())}))",
    );
    assert!(told["rows"].as_u64() >= Some(100), "{told:#}");
    assert_eq!(told["hashes"], 1, "equal values stay equal, after a restart too");
    let columns = told["columns"].as_array().cloned().unwrap_or_default();
    assert!(!columns.contains(&json!("wage")) && columns.contains(&json!("work")), "{told:#}");
    let written = files(&samples);
    assert!(!written.is_empty());
    let secret = 6_543_210.125_f64.to_le_bytes();
    for file in written {
        let whole = file.extension().is_some_and(|end| end == "parquet");
        let bytes = std::fs::read(&file).expect("a file");
        for secret in [&b"Zookeeper"[..], b"6543210", &secret] {
            assert!(!bytes.windows(secret.len()).any(|seen| seen == secret), "{}", file.display());
        }
        // What a kill left half done lies beside, and no reader takes it.
        assert!(
            !whole || (bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1")),
            "{}",
            file.display()
        );
    }
}

#[test]
fn what_is_too_old_goes_and_what_is_not_ours_stays() {
    let house = house("store-retention", "samples: {to: ./samples, retention: 2s, part: 200ms}");
    let mut client = house.client();
    let stranger = house.folder().join("samples/model=census/version=v1/notes.txt");
    let ask = |client: &mut tidegate_tests::client::Client, seed| {
        let body = oip(&people(seed, 1, Era::Training)).to_string();
        assert_eq!(client.ask(&Request::post(INFER, body)).status, 200);
    };
    ask(&mut client, 0);
    let samples = house.folder().join("samples");
    let first = eventually("a part is written", SOON, || files(&samples).pop());
    std::fs::write(&stranger, "mine").expect("a note");
    eventually("the first part went", SOON, || {
        ask(&mut client, 1);
        (!first.exists()).then_some(())
    });
    assert!(stranger.exists());
}

#[test]
fn a_policy_is_tried_on_what_was_recorded_beside_what_was_decided() {
    let rule = "{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";
    let house = Plan::of("store-backtest").line(SAMPLES).model(Model::census().rule(rule)).raise();
    let mut client = house.client();
    let mut ask = |seed, era| {
        let body = oip(&people(seed, 5, era)).to_string();
        assert_eq!(client.ask(&Request::post(INFER, body)).status, 200);
    };
    (0..60).for_each(|seed| ask(seed, Era::Training));
    let mut seed = 60;
    eventually("the drift is diverted", SOON, || {
        ask(seed, Era::Later);
        seed += 1;
        house.decisions().iter().any(|decision| decision["action"] == "divert").then_some(())
    });
    // What came after the decision belongs to the recording, too.
    (0..20).for_each(|more| ask(seed + more, Era::Later));
    let folder = house.folder().to_owned();
    let samples = folder.join("samples");
    let rows = "import json, pandas as pd\nprint(json.dumps(len(pd.read_parquet('samples'))))";
    eventually("all samples are on the disk", SOON, || {
        let enough =
            !files(&samples).is_empty() && python(&house, rows).as_u64() >= Some((seed + 20) * 5);
        enough.then_some(())
    });
    let backtest = |more: &[&str]| {
        let mut command = Command::new(tools::tidegate());
        command.arg("backtest").arg("--policy").arg(folder.join("tidegate.yaml"));
        command.arg("--from").arg(&samples).args(more);
        let output = command.output().expect("the command runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let state = folder.join("state");
    let state = state.to_string_lossy();
    let (code, said) = backtest(&["--state", &state, "--max-decisions", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Beside what was: 1 decision then, 1 decision by this policy"), "{said}");
    assert!(said.contains("would be     d-000001 divert to v2, by policy"), "{said}");
    let (code, said) = backtest(&["--max-decisions", "0"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED: 1 decision, and at most 0 were expected"), "{said}");
    // A policy that wants more evidence would have done nothing.
    let yaml = std::fs::read_to_string(folder.join("tidegate.yaml")).expect("the configuration");
    std::fs::write(folder.join("strict.yaml"), yaml.replace("windows: 1", "windows: 900"))
        .expect("a folder to write to");
    let strict = folder.join("strict.yaml");
    let (code, said) = backtest(&["--policy", &strict.to_string_lossy(), "--max-decisions", "0"]);
    assert_eq!(code, Some(2), "an argument that is given twice: {said}");
    let mut command = Command::new(tools::tidegate());
    command.arg("backtest").arg("--policy").arg(strict).arg("--from").arg(&samples);
    let output = command.args(["--max-decisions", "0"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let (code, said) = backtest(&["--model", "other"]);
    assert_eq!(code, Some(2), "{said}");
}
