//! Labels: they come after the answers, meet them by request id, and say what the model is worth. It
//! does not know how performance is measured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::house::{House, INFER, Model, Plan, SOON};
use tidegate_tests::patience::eventually;
use tidegate_tests::people::{Era, oip, people};
use tidegate_tests::recorder::Reply;

const RULE: &str = "{on: concept_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 1h}";
const LABELS: &str = "labels: {output: predict, reference_error: 0.1, window_rows: 1000}";

/// A model whose every tenth answer is wrong, or nine of ten once it is told to. It remembers by
/// request id what the truth was.
struct Oracle {
    house: House,
    wrong: Arc<AtomicBool>,
    truths: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Oracle {
    fn raise(play: &str) -> Self {
        let house = Plan::of(play).model(Model::census().line(LABELS).rule(RULE)).raise();
        let (wrong, truths) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (errs, known, asked) = (Arc::clone(&wrong), Arc::clone(&truths), AtomicU64::new(0));
        house.v1.script(move |seen| {
            let at = asked.fetch_add(1, Ordering::Relaxed);
            let (yes, tenth) = (at % 2 == 0, at % 10 == 3);
            let truth = if tenth == errs.load(Ordering::Relaxed) { yes } else { !yes };
            let id = seen.head.header("x-request-id").expect("Envoy gives an id");
            known.lock().expect("nobody panics with it").push((id, truth));
            let score = if yes { 0.8 } else { 0.2 };
            let body = json!({"model_name": "census", "outputs": [
                {"name": "predict", "shape": [1, 1], "datatype": "FP64", "data": [score]}]});
            let headers = [("content-type", "application/json")];
            Reply::whole(200, &headers, body.to_string().as_bytes())
        });
        Self { house, wrong, truths }
    }

    /// Asks so many times; gives a file with the labels of the answers.
    fn ask(&self, times: u64, file: &str) -> String {
        let mut client = self.house.client();
        for seed in 0..times {
            let body = oip(&people(seed, 1, Era::Training)).to_string();
            assert_eq!(client.ask(&Request::post(INFER, body)).status, 200);
        }
        let truths = std::mem::take(&mut *self.truths.lock().expect("nobody panics with it"));
        let lines = truths.iter().map(|(id, truth)| format!("{id},{}\n", u8::from(*truth)));
        let file = self.house.folder().join(file);
        let text = format!("request_id,label\n{}", lines.collect::<String>());
        std::fs::write(&file, text).expect("the play has a folder");
        file.to_string_lossy().into_owned()
    }

    /// Sends labels as a person would; gives what was said.
    fn send(&self, file: &str) -> Value {
        let sent = self.house.tidegate(&["labels", file, "--model", "census", "--json"]);
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        serde_json::from_slice(&sent.stdout).expect("JSON")
    }

    fn labels(&self) -> Value {
        self.house.status()["labels"].clone()
    }
}

#[test]
fn labels_say_what_the_answers_were_worth_and_a_model_that_errs_is_diverted() {
    let oracle = Oracle::raise("labels-concept");
    let first = oracle.ask(400, "first.csv");
    assert_eq!(oracle.send(&first)["accepted"], 400);
    let labels = eventually("all met their answers and were measured", SOON, || {
        let labels = oracle.labels();
        (labels["joined"] == 400 && labels["versions"][0]["labelled_rows"] == 400).then_some(labels)
    });
    assert_eq!(oracle.send(&first)["repeated"], 400, "the same again changes nothing");
    let of = &labels["versions"][0];
    assert_eq!(of["version"], "v1");
    let realised = of["realised"].as_array().expect("metrics");
    let accuracy = realised.iter().find(|it| it["metric"] == "accuracy").expect("accuracy");
    assert!((accuracy["value"].as_f64().expect("a number") - 0.9).abs() < 1e-9, "{accuracy:#}");
    let told = oracle.house.tidegate(&["status"]);
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("400 joined with predict"), "{told}");
    assert!(told.contains("accuracy 0.9"), "{told}");
    assert!(oracle.house.decisions().is_empty(), "one of ten was promised");

    oracle.wrong.store(true, Ordering::Relaxed);
    let second = oracle.ask(400, "second.csv");
    assert!(oracle.house.decisions().is_empty(), "nobody can know before labels come");
    oracle.send(&second);
    let decision = eventually("a decision", SOON, || oracle.house.decisions().pop());
    assert_eq!((&decision["action"], &decision["to"]), (&json!("divert"), &json!("v2")));
    let evidence = &decision["evidence"][0];
    assert_eq!(
        (&evidence["kind"], &evidence["feature"]),
        (&json!("concept_drift"), &json!("predict"))
    );
}

#[test]
fn answers_and_labels_outlive_a_collector_that_is_killed() {
    let mut oracle = Oracle::raise("labels-killed");
    let first = oracle.ask(50, "first.csv");
    let second = oracle.ask(50, "second.csv");
    let kept = |oracle: &Oracle, rows: u64| {
        let all = || (oracle.labels()["kept_rows"] == rows).then_some(());
        eventually("the answers were kept", SOON, all);
    };
    kept(&oracle, 100);
    assert_eq!(oracle.send(&first)["joined"], 50);
    oracle.house.collector().process.kill();
    oracle.house.start_collector();
    kept(&oracle, 100);
    assert_eq!(oracle.send(&first)["repeated"], 50, "labels of before are known");
    assert_eq!(oracle.send(&second)["joined"], 50, "and answers of before");
    eventually("all are measured", SOON, || {
        (oracle.labels()["versions"][0]["labelled_rows"] == 100).then_some(())
    });
}

#[test]
fn labels_that_cannot_be_taken_are_refused_whole_with_the_first_bad_one_named() {
    let oracle = Oracle::raise("labels-refused");
    let file = oracle.ask(3, "some.csv");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, format!("{text}some-id,maybe\n")).expect("the play has a folder");
    let sent = oracle.house.tidegate(&["labels", &file, "--model", "census"]);
    let told = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert_eq!(sent.status.code(), Some(2), "{told}");
    assert!(told.contains("label 4: label: expected 0, 1, true or false"), "{told}");
    let sent = oracle.house.tidegate(&["labels", &file, "--model", "cansus"]);
    let told = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(told.contains("no such model; configured are: census"), "{told}");
    assert_eq!(oracle.labels()["joined"], 0, "none of the good ones was taken");
}
