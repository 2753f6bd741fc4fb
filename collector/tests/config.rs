//! tidegate.yaml as its writers see it: what it means, and what is said when it is wrong.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tidegate_collector::config::guard::{Guard, Maintenance};
use tidegate_collector::config::metric::{Metric, Origin};
use tidegate_collector::config::mistake::{ConfigError, Place};
use tidegate_collector::config::model::{
    Detectors, Envoys, Labels, Model, Role, Task, Version, Window,
};
use tidegate_collector::config::rollout::{Plan, Promote};
use tidegate_collector::config::rule::{Action, Approval, Least, Part, Rule, Severity};
use tidegate_collector::config::samples::{Samples, Shelf};
use tidegate_collector::config::state::State;
use tidegate_collector::config::{Config, Envoy, Listen, MAX_FILE_BYTES, Telemetry};
use tidegate_contract::contract::Mode;
use tidegate_contract::plugin::{Keep, LowConfidence, Route, Sticky};
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::finding::{Detector, Kind};
use tidegate_detectors::paired::Limits;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

fn parse(bytes: &[u8]) -> Result<Config, ConfigError> {
    Config::parse(bytes, Path::new("tidegate.yaml"), Path::new("/etc/tidegate"))
}

/// The full configuration with one part of it replaced.
fn changed(from: &str, to: &str) -> String {
    let text = fs::read_to_string(fixture("full.yaml")).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// The messages for the full configuration in which one part is replaced.
fn check(from: &str, to: &str, expected: &[&str]) {
    let messages = match parse(changed(from, to).as_bytes()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert_eq!(messages.lines().collect::<Vec<_>>(), expected, "{from} -> {to}");
}

#[test]
fn the_whole_file_means_what_it_says() {
    let path = fixture("full.yaml");
    let folder = path.parent().unwrap();
    let origin = |at: usize, [name, expression, condition]: [(usize, usize); 3], narrowed| {
        let place = |(line, column), key: &str| {
            let path = format!("models[0].metrics[{at}].{key}");
            Place { line, column, path }
        };
        Origin {
            file: path.clone(),
            name: place(name, "name"),
            expression: place(expression, "expression"),
            condition: place(condition, if narrowed { "where" } else { "expression" }),
        }
    };
    let version = |name: &str, cluster: &str, role| Version {
        name: name.to_owned(),
        cluster: cluster.to_owned(),
        role,
    };
    let expected = Config {
        listen: Listen {
            grpc: "127.0.0.1:7070".parse().unwrap(),
            http: "127.0.0.1:7071".parse().unwrap(),
        },
        state: State::Folder(folder.join("state")),
        envoy: Envoy {
            filter: "/etc/tidegate/tidegate_filter.wasm".into(),
            collector_cluster: "tidegate_collector".to_owned(),
        },
        telemetry: Telemetry { otlp_endpoint: Some("http://127.0.0.1:4317".to_owned()) },
        samples: Some(Samples {
            to: Shelf::Folder(folder.join("samples")),
            retention: Duration::from_secs(7 * 86_400),
            max_bytes: 2_000_000_000,
            part: Duration::from_secs(30),
        }),
        models: vec![Model {
            name: "census".to_owned(),
            protocol: Protocol::Oip,
            mode: Mode::Enforce,
            route: Route { name: None, path_prefix: Some("/v2/models/census".to_owned()) },
            envoys: Envoys {
                id: Some("edge-*".to_owned()),
                cluster: None,
                metadata: [("zone".to_owned(), "eu".to_owned())].into(),
            },
            sticky: Some(Sticky::Header("x-user".to_owned())),
            sample_rate: 1.0,
            max_capture_bytes: 65536,
            max_sample_bytes_per_second: Some(1_000_000),
            keep: Keep {
                violations: true,
                errors: true,
                slower_than_milliseconds: Some(500),
                low_confidence: Some(LowConfidence { output: "score".to_owned(), below: 0.6 }),
            },
            profile: folder.join("profile"),
            contract: Some(folder.join("contract.json")),
            versions: vec![
                version("v1", "census-v1", Role::Primary),
                version("v2", "census-v2", Role::Fallback),
            ],
            window: Window {
                length: Duration::from_secs(10),
                hop: Duration::from_secs(2),
                min_rows: 200,
                rows: None,
                time: None,
            },
            detectors: Detectors { min_effect: 0.1, false_alarms_per_month: 1.0, volume: true },
            labels: Some(Labels {
                output: "score".to_owned(),
                task: Task::Binary { positive: ">50K".to_owned(), threshold: 0.4 },
                reference_error: Some(0.12),
                horizon: Duration::from_secs(2 * 86_400),
                max_rows: 50_000,
                window_rows: 1_000,
            }),
            metrics: vec![
                Metric {
                    name: "approval_rate".to_owned(),
                    expression: "outputs.score > 0.5".parse().unwrap(),
                    condition: Some("inputs.region == \"EU\"".parse().unwrap()),
                    min: Some(0.2),
                    max: Some(0.4),
                    origin: origin(0, [(25, 15), (26, 21), (27, 16)], true),
                },
                Metric {
                    name: "misses".to_owned(),
                    expression: "abs(outputs.score - label)".parse().unwrap(),
                    condition: None,
                    min: None,
                    max: Some(0.3),
                    origin: origin(1, [(30, 16), (30, 36), (30, 36)], false),
                },
            ],
            policy: vec![Rule {
                on: Kind::DataDrift,
                verdict: Severity::Alarm,
                detector: Some(Detector::KolmogorovSmirnov),
                feature: Some("age".to_owned()),
                least: Least { effect: 0.2, coverage: 0.5, rows: 300 },
                windows: 1,
                holds: Severity::Alarm,
                then: Action::Divert { to: "v2".to_owned(), of: Part::All },
                expires: Duration::from_secs(3600),
                cooldown: Duration::from_secs(300),
                approval: Approval::Automatic,
            }],
            guard: Guard {
                changes_per_hour: 3,
                max_models: 2,
                maintenance: vec![Maintenance {
                    days: [true, false, false, false, false, false, true],
                    from: 22 * 60 + 30,
                    to: 4 * 60,
                    utc_offset: 120,
                }],
            },
            rollout: Plan {
                shadow: 30,
                steps: vec![10, 50],
                hold: Duration::from_secs(60),
                lasts: Duration::from_secs(7200),
                min_pairs: 100,
                min_coverage: 0.8,
                limits: Limits { disagreement: 0.2, shift: 0.1, errors: 0.01, slow: 0.3 },
                tolerance: 0.01,
                slow_factor: 3.0,
                promote: Promote::Automatic,
            },
        }],
    };
    assert_eq!(Config::read(&path).unwrap(), expected);
}

#[test]
fn what_is_left_out_is_on_loopback_and_harmless() {
    let config = Config::read(&fixture("smallest.yaml")).unwrap();
    assert!(config.listen.grpc.ip().is_loopback() && config.listen.http.ip().is_loopback());
    assert_eq!(config.telemetry.otlp_endpoint, None);
    let model = &config.models[0];
    assert_eq!(model.mode, Mode::Observe);
    assert_eq!(model.sample_rate, 0.1);
    assert_eq!(model.window.length, model.window.hop * 5);
    assert_eq!(model.primary().name, "1.0");
    assert!(model.policy.is_empty());
}

#[test]
fn paths_do_not_depend_on_where_the_collector_was_started() {
    let config = parse(&fs::read(fixture("full.yaml")).unwrap()).unwrap();
    assert_eq!(config.state, State::Folder("/etc/tidegate/state".into()));
    assert_eq!(config.models[0].profile.to_str(), Some("/etc/tidegate/profile"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = fs::read(fixture("many_mistakes.yaml")).unwrap();
    let told = parse(&text).unwrap_err().to_string();
    let expected = fs::read_to_string(fixture("many_mistakes.txt")).unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_mistake_says_where_it_stands_what_is_wrong_and_the_cure() {
    check(
        "hop: 2s",
        "hopp: 2s",
        &["tidegate.yaml:17:27: models[0].window.hopp: unknown key; did you mean `hop`?"],
    );
    check(
        "role: fallback",
        "role: primary",
        &[
            "tidegate.yaml:15:7: models[0].versions: 2 versions have `role: primary`; exactly one must",
            "tidegate.yaml:20:72: models[0].policy[0].to: `divert` needs a version with `role: fallback`, and this model has none; add one",
        ],
    );
    check(
        "http: 127.0.0.1:7071",
        "http: 127.0.0.1:7070",
        &[
            "tidegate.yaml:1:38: listen.http: 127.0.0.1:7070 is also `listen.grpc`; give each its own port",
        ],
    );
    check(
        "path_prefix: /v2/models/census",
        "path_prefix: v2/models/census",
        &[
            "tidegate.yaml:9:26: models[0].route.path_prefix: `v2/models/census` is not the start of a path such as /v2/models/census, without a query",
        ],
    );
    check(
        "state: ./state ",
        "state: rediss://redis ",
        &[
            "tidegate.yaml:2:8: state: `rediss://redis` is not a Redis such as redis://127.0.0.1:6379/0 or redis://:PASSWORD@redis:6379/0?prefix=tidegate&name=collector-1",
        ],
    );
    check(
        "state: ./state ",
        "state: ",
        &["tidegate.yaml:2:6: state: expected a folder such as ./state, found nothing"],
    );
    check(
        "min_effect: 0.1",
        "min_effect: .nan",
        &[
            "tidegate.yaml:18:29: models[0].detectors.min_effect: `.nan` is not a number such as 0.1",
        ],
    );
    check(
        "min_effect: 0.1",
        "min_effect: nan",
        &[
            "tidegate.yaml:18:29: models[0].detectors.min_effect: `NaN` is out of range; give more than 0 and at most 1",
        ],
    );
}

#[test]
fn windows_go_by_count_and_by_the_rows_own_time() {
    let written = "hop: 2s, min_rows: 500, rows: 2000, time: {input: created_at, lateness: 5m}";
    let text = String::from_utf8(fs::read(fixture("full.yaml")).unwrap()).unwrap();
    let window = |written: &str| {
        let text = text.replace("hop: 2s, min_rows: 200", written);
        assert!(text.contains(written));
        parse(text.as_bytes()).map(|config| config.models[0].window.clone())
    };
    let found = window(written).unwrap();
    assert_eq!((found.rows, found.min_rows), (Some(2_000), 500));
    let time = found.time.unwrap();
    assert_eq!((time.input.as_str(), time.lateness), ("created_at", Duration::from_secs(300)));
    assert_eq!(time.max_late_rate, 0.01);
    let refused = |written: &str, says: &str| {
        let told = window(written).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    };
    refused(
        "hop: 2s, min_rows: 500, rows: 400",
        "`400` is out of range; give from 500 to 10000000",
    );
    refused("hop: 2s, min_rows: 500, time: {lateness: 5m}", "window.time: `input` is missing");
    refused("hop: 2s, min_rows: 500, time: {input: a, latenes: 5m}", "did you mean `lateness`?");
    refused("hop: 2s, min_rows: 500, time: {input: a, lateness: 25h}", "out of range");
    let shared = text.replace("hop: 2s, min_rows: 200", written);
    let shared = shared.replace("state: ./state", "state: redis://127.0.0.1:6379");
    let told = parse(shared.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("window.time: collectors that share their state"), "{told}");
}

#[test]
fn labels_that_do_not_fit_their_task_are_refused() {
    let labels = "task: binary, positive: \">50K\", threshold: 0.4, reference_error: 0.12";
    let at = "tidegate.yaml:23";
    check(
        labels,
        "task: regression, threshold: 0.4, reference_error: 0.12",
        &[
            &format!(
                "{at}:58: models[0].labels.threshold: means nothing with `task: regression`; remove it"
            ),
            &format!(
                "{at}:80: models[0].labels.reference_error: means nothing with `task: regression`; remove it"
            ),
        ],
    );
    check(
        labels,
        "task: binery",
        &[&format!(
            "{at}:35: models[0].labels.task: `binery` is not known; did you mean `binary`?"
        )],
    );
    check(
        "max_rows: 50000",
        "max_rows: 500",
        &[&format!(
            "{at}:141: models[0].labels.window_rows: `1000` is out of range; give from 100 to 500"
        )],
    );
    check(
        "output: score, task",
        "task",
        &[&format!("{at}:13: models[0].labels: `output` is missing; add `output: score`")],
    );
    check(labels, "task: multiclass", &[]);
}

#[test]
fn a_metric_that_cannot_be_is_told_with_its_place_and_the_cure() {
    let line = "{name: misses, expression: \"abs(outputs.score - label)\", max: 0.3}";
    let at = "tidegate.yaml:30";
    let metric = "models[0].metrics[1]";
    check(
        line,
        "{name: misses, expression: \"asb(label)\"}",
        &[&format!(
            "{at}:36: {metric}.expression: character 1: `asb` is not known; did you mean `abs`?"
        )],
    );
    check(
        line,
        "{name: approval_rate, expression: \"label >\", where: \"inputs.a = 1\", minn: 1}",
        &[
            &format!(
                "{at}:16: {metric}.name: `approval_rate` is already used by models[0].metrics[0].name; choose another"
            ),
            &format!(
                "{at}:43: {metric}.expression: character 8: expected a column such as `outputs.score`, or a value, found the end"
            ),
            &format!("{at}:61: {metric}.where: character 10: expected `==`, found `=`"),
            &format!("{at}:77: {metric}.minn: unknown key; did you mean `min`?"),
        ],
    );
    check(
        line,
        "{name: mis.ses, expression: label, min: 0.5, max: 0.3}",
        &[
            &format!(
                "{at}:16: {metric}.name: `mis.ses` is not a name; use letters, digits, `_` and `-`, at most 64 characters"
            ),
            &format!(
                "{at}:59: {metric}.max: `0.3` is out of range; give 0.5 or more, which `min` says"
            ),
        ],
    );
    check(
        line,
        "{name: misses, max: .inf}",
        &[
            &format!(
                "{at}:9: {metric}: `expression` is missing; add `expression: outputs.score > 0.5`"
            ),
            &format!("{at}:29: {metric}.max: `.inf` is not a number such as 0.2"),
        ],
    );
}

#[test]
fn metrics_are_inherited_by_models_that_say_nothing_of_them() {
    let defaults = "defaults:\n  metrics: [{name: high, expression: outputs.score > 0.5}]";
    let names = |config: &Config, model: usize| {
        let metrics = &config.models[model].metrics;
        metrics.iter().map(|metric| metric.name.clone()).collect::<Vec<_>>()
    };
    let config = with(defaults, "    metrics: [{name: own, expression: label}]").unwrap();
    assert_eq!((names(&config, 0), names(&config, 1)), (vec!["own".into()], vec!["high".into()]));
    let none = with(defaults, "    metrics: []").unwrap();
    assert!(none.models[0].metrics.is_empty());
    let wrong = defaults.replace("outputs.score", "output.score");
    let told = with(&wrong, "").unwrap_err().to_string();
    let expected = "tidegate.yaml:2:38: defaults.metrics[0].expression: character 1: `output` is not known; did you mean `outputs`?";
    assert_eq!(told, expected);
}

#[test]
fn a_rule_may_be_about_a_segment() {
    let rule = "then: divert, to: v2, expires: 1h, cooldown: 5m, approval: automatic";
    let at = "tidegate.yaml:20";
    let then = |written: &str| {
        parse(changed(rule, written).as_bytes()).unwrap().models[0].policy[0].then.clone()
    };
    let segment = "age >= 55 and work in [Private]";
    let of = Part::Where(segment.parse().unwrap());
    let to = || "v2".to_owned();
    assert_eq!(
        then(&format!("then: divert, to: v2, where: '{segment}'")),
        Action::Divert { to: to(), of: of.clone() }
    );
    assert_eq!(
        then("then: divert, to: v2, segment: drifted"),
        Action::Divert { to: to(), of: Part::Drifted }
    );
    assert_eq!(
        then(&format!("then: block, expires: 10m, retry_after: 30s, where: '{segment}'")),
        Action::Block { of, retry_after_seconds: Some(30) }
    );
    check(
        rule,
        "then: divert, to: v2, where: 'age >= old'",
        &[&format!(
            "{at}:83: models[0].policy[0].where: character 8: expected a number, found `old`; \
             conditions are `age >= 55`, `work in [Private, \"Self emp\"]`, `age is null`, \
             `header:x-client = acme` or `client:address in [10.0.0.0/8]`, joined by `and`"
        )],
    );
    check(
        rule,
        "then: divert, to: v2, where: 'age > 3', segment: drifted",
        &[&format!(
            "{at}:103: models[0].policy[0].segment: a decision is about one segment; keep `where` \
             or `segment: drifted`"
        )],
    );
    check(
        rule,
        "then: shadow, to: v2, segment: drifted, retry_after: 30s",
        &[
            &format!(
                "{at}:85: models[0].policy[0].segment: means nothing with `then: shadow`; remove it"
            ),
            &format!(
                "{at}:107: models[0].policy[0].retry_after: means nothing with `then: shadow`; \
                 remove it"
            ),
        ],
    );
    let output = changed(rule, "then: divert, to: v2, segment: drifted")
        .replace("on: data_drift", "on: output_drift");
    let told = parse(output.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("tell which requests drifted; write the segment out"), "{told}");
}

#[test]
fn whatever_exposes_more_or_lasts_for_ever_is_refused() {
    let rule = "then: divert, to: v2, expires: 1h, cooldown: 5m, approval: automatic";
    let at = "tidegate.yaml:20";
    check(
        rule,
        "then: block",
        &[&format!("{at}:9: models[0].policy[0]: `expires` is missing; add `expires: 10m`")],
    );
    check(
        rule,
        "then: block, to: v2, expires: 10m",
        &[&format!("{at}:71: models[0].policy[0].to: means nothing with `then: block`; remove it")],
    );
    check(
        rule,
        "then: divert, to: v1",
        &[&format!(
            "{at}:72: models[0].policy[0].to: `divert` may not go to a primary; name one of: v2"
        )],
    );
    check(
        rule,
        "then: divert, to: v2, expires: 0s",
        &[&format!(
            "{at}:85: models[0].policy[0].expires: `0s` is out of range; give from 1s to 30d"
        )],
    );
    check(
        rule,
        "then: shadow, to: v2, share: 101",
        &[&format!(
            "{at}:83: models[0].policy[0].share: `101` is out of range; give from 1 to 100"
        )],
    );
    check(rule, "then: shadow, to: v2", &[]);
    check(rule, "then: block, expires: 10m", &[]);
    let canary = "then: canary, to: v2, share: 10";
    let text = changed(rule, canary).replace("role: fallback", "role: candidate");
    let told = parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        told,
        format!("{at}:9: models[0].policy[0]: `approval` is missing; add `approval: required`")
    );
    let text = text.replace(canary, &format!("{canary}, approval: required"));
    let rule = &parse(text.as_bytes()).unwrap().models[0].policy[0];
    assert_eq!(rule.then, Action::Canary { to: "v2".to_owned(), share: 10 });
    assert_eq!(rule.approval, Approval::Required);
}

#[test]
fn what_follows_a_warning_waits_for_a_person() {
    let full = fs::read_to_string(fixture("full.yaml")).unwrap();
    let rule = "{on: completeness, verdict: warning, windows: 7, then: divert, to: v2}";
    let with =
        |rule: &str| full.replacen("    policy:\n", &format!("    policy:\n      - {rule}\n"), 1);
    let config = parse(with(rule).as_bytes()).unwrap();
    assert_eq!(config.models[0].policy[0].approval, Approval::Required);
    let told =
        parse(with(&rule.replace("v2}", "v2, approval: automatic}")).as_bytes()).unwrap_err();
    assert!(told.to_string().contains("no budget of false alarms bounds warnings"), "{told}");
}

#[test]
fn a_canary_is_never_all_of_the_traffic() {
    let rule = "then: divert, to: v2";
    let canary = "then: canary, to: v2, share: 100, approval: required";
    let text = changed(rule, canary).replace("role: fallback", "role: candidate");
    let told = parse(text.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("models[0].policy[0].share"), "{told}");
}

#[test]
fn a_rule_behind_one_with_the_same_trigger_is_refused() {
    check(
        "    policy:\n",
        "    policy:\n      - {on: data_drift, then: divert, to: v2, detector: kolmogorov_smirnov, feature: age, min_effect: 0.2, min_coverage: 0.5, min_rows: 300}\n",
        &[
            "tidegate.yaml:21:9: models[0].policy[1]: models[0].policy[0] looks at the same findings with the same `approval`, and only the more protective of the two counts; remove one of them",
        ],
    );
}

/// What is said about a text that is wrong before any key is looked at.
fn refused(bytes: &[u8], expected: &str) {
    let told = parse(bytes).unwrap_err().to_string();
    assert_eq!(told, expected, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
}

#[test]
fn what_is_not_one_yaml_document_is_refused_in_words() {
    refused(b"", "tidegate.yaml:1:1: nothing is configured; start with `models:` and one model");
    refused(
        b"# only this\n",
        "tidegate.yaml:1:1: nothing is configured; start with `models:` and one model",
    );
    refused(b"state: x\nmodels: \xff", "tidegate.yaml:2:9: not UTF-8 text; save the file as UTF-8");
    refused(
        b"models: []\n---\nmodels: []\n",
        "tidegate.yaml:2:1: a second document begins here; keep one document in the file",
    );
    refused(
        b"state: !env HOME\n",
        "tidegate.yaml:1:8: tags such as `!word` mean nothing here; remove it",
    );
    refused(
        b"? [a]\n: b\n",
        "tidegate.yaml:1:3: a key must be a word; check the indentation and the brackets",
    );
    refused(b"- models\n", "tidegate.yaml:1:1: expected a mapping (`key: value`), found a list");
    refused(
        b"models: &a [*a]\n",
        "tidegate.yaml:1:13: this alias refers to something that contains it; write the value out",
    );
    let told = parse(b"models: [\n").unwrap_err().to_string();
    assert!(told.starts_with("tidegate.yaml:2:1: not YAML: "), "{told}");
    let told = parse(b"models: *nobody\n").unwrap_err().to_string();
    assert!(told.starts_with("tidegate.yaml:1:9: not YAML: "), "{told}");
}

#[test]
fn aliases_are_shared_and_merge_keys_explained() {
    let text = changed("contract: ./contract.json", "contract: &p ./profile")
        .replace("profile: ./profile ", "profile: ./q ")
        .replace("state: ./state", "state: ./s");
    assert!(parse(text.as_bytes()).is_ok());
    let text = text.replace("otlp_endpoint: \"http://127.0.0.1:4317\"", "<<: {a: b}");
    let told = parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        told,
        "tidegate.yaml:4:13: telemetry.<<: `<<` merges nothing here; write the keys out"
    );
    let versions = "  - {name: v1, cluster: a, role: primary}\n";
    let two = format!(
        "models:\n- {{name: a, protocol: oip, route: {{name: a}}, profile: p, versions: &v [\n{}]}}\n\
         - {{name: b, protocol: oip, route: {{name: b}}, profile: p, versions: *v}}\n",
        versions.replace("- ", "")
    );
    let config = parse(two.as_bytes()).unwrap();
    assert_eq!(config.models[0].versions, config.models[1].versions);
}

#[test]
fn depth_size_and_aliases_are_bounded() {
    let deep = format!("models: {}", "[".repeat(100));
    refused(
        deep.as_bytes(),
        "tidegate.yaml:1:24: nested more than 16 deep, where nothing is expected; check the brackets",
    );

    let deeper = format!("models: {}", "[".repeat(100_000));
    let told = parse(deeper.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("not YAML: recursion limit exceeded"), "{told}");

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let uses = format!("*a{}, ", i - 1).repeat(10);
        writeln!(bomb, "a{i}: &a{i} [{uses}]").unwrap();
    }
    let told = parse(bomb.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("more than 100000 values once aliases are expanded"), "{told}");

    let mut tower = "a0: &a0 [x]\n".to_owned();
    for i in 1..40 {
        writeln!(tower, "a{i}: &a{i} [*a{}]", i - 1).unwrap();
    }
    let told = parse(tower.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("nested more than 16 deep"), "{told}");

    let large = vec![b'#'; MAX_FILE_BYTES as usize + 1];
    assert!(matches!(parse(&large), Err(ConfigError::TooLarge { .. })));
}

/// A file with these lines before the models, and one model of three versions with these lines.
fn with(defaults: &str, model: &str) -> Result<Config, ConfigError> {
    let yaml = format!(
        "{defaults}
models:
  - name: census
    route: {{path_prefix: /census}}
    profile: ./profile
    versions:
      - {{name: v1, cluster: c1, role: primary}}
      - {{name: v2, cluster: c2, role: fallback}}
      - {{name: v3, cluster: c3, role: candidate}}
{model}
  - name: alone
    route: {{path_prefix: /alone}}
    profile: ./profile
    versions: [{{name: v1, cluster: a1, role: primary}}]
"
    );
    parse(yaml.as_bytes())
}

#[test]
fn without_rules_a_person_is_asked_whether_the_fallback_should_answer() {
    let config = with("", "").unwrap();
    let rules = &config.models[0].policy;
    assert_eq!(rules.len(), 3);
    for rule in rules {
        assert_eq!(rule.then, Action::Divert { to: "v2".to_owned(), of: Part::All });
        assert_eq!((rule.approval, rule.windows), (Approval::Required, 2));
    }
    assert_eq!(config.models[1].policy, [], "there is nothing to divert to");
    assert_eq!(with("", "    policy: []").unwrap().models[0].policy, []);
}

#[test]
fn models_inherit_what_they_do_not_say() {
    let defaults = "defaults:
  policy: [{on: data_drift, then: divert, to: fallback}]
  guard: {changes_per_hour: 2, maintenance: [{from: \"01:00\", to: \"02:00\"}]}
  rollout: {steps: [1, 10], promote: automatic}";
    let own = "    guard: {max_models: 1}
    rollout: {steps: []}";
    let config = with(defaults, own).unwrap();
    let [census, alone] = &config.models[..] else { panic!("two models") };
    assert_eq!(census.policy[0].then, Action::Divert { to: "v2".to_owned(), of: Part::All });
    assert_eq!(alone.policy, [], "a rule for a role that it has not is not its");
    assert_eq!((census.guard.changes_per_hour, census.guard.max_models), (2, 1));
    assert_eq!(census.guard.maintenance.len(), 1);
    assert_eq!((census.rollout.steps.len(), census.rollout.promote), (0, Promote::Automatic));
    assert_eq!(alone.rollout.steps, [1, 10]);
}

#[test]
fn what_guards_and_rollouts_cannot_be_is_told_with_its_cure() {
    let told = |defaults: &str| with(defaults, "").unwrap_err().to_string();
    for (written, expected) in [
        (
            "rollout: {steps: [5, 5]}",
            "`5` is out of range; give from 6 to 99, more than the step before",
        ),
        ("rollout: {steps: [100]}", "`100` is out of range"),
        ("rollout: {promote: always}", "`always` is not known; known here: person, automatic"),
        ("guard: {changes_per_hour: 0}", "`0` is out of range; give from 1 to 3600"),
        (
            "guard: {maintenance: [{from: \"2:00\", to: \"04:00\"}]}",
            "`2:00` is not a time of the day",
        ),
        ("guard: {maintenance: [{from: \"02:00\"}]}", "`to` is missing"),
        ("guard: {maintenance: [{from: \"24:00\", to: \"04:00\"}]}", "`24:00` is not a time"),
        (
            "guard: {maintenance: [{days: [noday], from: \"02:00\", to: \"04:00\"}]}",
            "`noday` is not known",
        ),
        (
            "guard: {maintenance: [{from: \"02:00\", to: \"04:00\", utc_offset: \"2\"}]}",
            "`2` is not an offset from UTC",
        ),
        (
            "policy: [{on: data_drift, then: divert, to: v9}]",
            "no version of this model is called `v9`",
        ),
    ] {
        let told = told(&format!("defaults:\n  {written}"));
        assert!(told.contains(expected), "{written}: {told}");
    }
}

#[test]
fn a_model_whose_name_begins_with_anothers_is_no_part_of_it() {
    let with = |second: &str| {
        let model = |name: &str, path: &str| {
            format!(
                "  - {{name: {name}, route: {{path_prefix: {path}}}, profile: ./p, \
                 versions: [{{name: v1, cluster: {name}, role: primary}}]}}\n"
            )
        };
        parse(format!("models:\n{}{}", model("a", "/m/a-1"), model("b", second)).as_bytes())
    };
    assert!(with("/m/a-19").is_ok());
    for inside in ["/m/a-1", "/m/a-1/infer", "/m/a-1:predict"] {
        assert!(with(inside).is_err(), "{inside}");
    }
}

#[test]
fn samples_go_to_a_folder_or_a_bucket() {
    let to = |samples: &str| with(&format!("samples: {samples}"), "").map(|config| config.samples);
    let shelf = |samples: &str| to(samples).unwrap().unwrap().to;
    assert_eq!(to("{to: ./s, retention: 1h}").unwrap().unwrap().max_bytes, 10_000_000_000);
    assert_eq!(shelf("{to: ./s}"), Shelf::Folder("/etc/tidegate/s".into()));
    let bucket = |bucket: &str, prefix: &str| Shelf::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    assert_eq!(shelf("{to: \"s3://my-bucket/a/b/\"}"), bucket("my-bucket", "a/b"));
    assert_eq!(shelf("{to: \"s3://my-bucket\"}"), bucket("my-bucket", ""));
    for (samples, expected) in [
        ("{}", "`to` is missing; add `to: ./samples`"),
        ("{to: \"gs://b/x\"}", "is not a folder such as ./samples, or s3://BUCKET/PREFIX"),
        ("{to: \"s3://B\"}", "is not a bucket such as s3://my-bucket/samples"),
        ("{to: ./s, max_bytes: 10}", "`10` is out of range; give from 1000000"),
        ("{to: ./s, part: 2h}", "`2h` is out of range; give from 100ms to 1h"),
    ] {
        let told = to(samples).unwrap_err().to_string();
        assert!(told.contains(expected), "{samples}: {told}");
    }
}

#[test]
fn a_flood_of_mistakes_is_cut_to_a_hundred_lines_of_bounded_length() {
    let flood: String = (0..1000).fold(String::new(), |mut text, i| {
        writeln!(text, "\"\\n{}{i}\": 1", "x".repeat(200)).unwrap();
        text
    });
    let told = parse(flood.as_bytes()).unwrap_err().to_string();
    assert_eq!(told.lines().count(), 100);
    assert!(told.lines().all(|line| line.len() < 300), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let missing = fixture("nowhere.yaml");
    let told = Config::read(&missing).unwrap_err().to_string();
    assert!(told.contains("nowhere.yaml: cannot be read: "), "{told}");
    assert!(told.contains("name another file with -c"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1912),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_has_an_answer(text in "[\\[\\]{}:,&*!?|>'\"# \nab0-9~<-]{0,120}") {
        let _ = parse(text.as_bytes());
    }

    /// A file with one stretch of it taken out or overwritten is read or refused, never a panic,
    /// and what is read keeps the promises that others rely on.
    #[test]
    fn a_garbled_file_is_refused_or_keeps_its_promises(
        start in 0usize..2600,
        length in 0usize..40,
        put in "[a-z0-9:{},\\[\\] \n-]{0,8}",
    ) {
        let mut text = fs::read(fixture("full.yaml")).unwrap();
        let start = start.min(text.len());
        let end = (start + length).min(text.len());
        text.splice(start..end, put.bytes());
        if let Ok(config) = parse(&text) {
            for model in &config.models {
                prop_assert_eq!(model.primary().role, Role::Primary);
                prop_assert!(model.window.hop > Duration::ZERO);
                prop_assert!(model.window.length.as_nanos().is_multiple_of(model.window.hop.as_nanos()));
                for rule in &model.policy {
                    prop_assert!(rule.expires > Duration::ZERO);
                    if let Action::Divert { to, .. } = &rule.then {
                        prop_assert_eq!(model.version(to).map(|to| to.role), Some(Role::Fallback));
                    }
                }
            }
        }
    }
}
