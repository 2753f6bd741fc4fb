//! The real `tidegate` command, as it is typed: what it says, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tidegate_tests::client::{Client, Request};
use tidegate_tests::house::{House, Model, Plan};
use tidegate_tests::people::{self, Era};
use tidegate_tests::tools;
use xtask::stage::{Stage, port};
use xtask::tools::servers::Server;

fn tidegate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tools::tidegate());
    command.args(arguments).current_dir(folder).env_remove("TIDEGATE_API").env("NO_COLOR", "1");
    command.output().expect("the command runs")
}

fn stage(play: &str) -> Stage {
    Stage::open(&tools::stages(), play).expect("a folder for the play")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", out(output)))
}

/// Training data, its profile, and a good configuration for it.
fn prepared(play: &str) -> Stage {
    let stage = stage(play);
    let people = people::people(1994, 3000, Era::Training);
    stage.write("training.csv", &people::csv(&people)).expect("writable");
    let made = tidegate(stage.folder(), &["profile", "training.csv", "--out", "profile"]);
    assert_eq!(code(&made), 0, "{}", err(&made));
    stage.write("tidegate.yaml", GOOD).expect("writable");
    stage
}

const GOOD: &str = "\
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
      - {name: v2, cluster: census-v2, role: fallback}
    policy:
      - {on: data_drift, then: divert, to: v2, expires: 1h, cooldown: 5m}
";

#[test]
fn a_profile_is_a_folder_for_people_and_programs() {
    let stage = prepared("command-profile");
    let profile = stage.folder().join("profile");
    let read = |name: &str| std::fs::read_to_string(profile.join(name)).expect("it is written");
    let document: Value = serde_json::from_str(&read("profile.json")).expect("JSON");
    assert_eq!(
        (&document["format"], &document["rows"]),
        (&"tidegate-profile".into(), &3000.into())
    );
    let contract: Value = serde_json::from_str(&read("contract.json")).expect("JSON");
    let names: Vec<&str> = contract["inputs"]
        .as_array()
        .expect("inputs")
        .iter()
        .filter_map(|f| f["name"].as_str())
        .collect();
    assert_eq!(names, ["age", "wage", "gender", "work"]);
    assert!(read("SUMMARY.md").contains("wage"));
    let _: Value = serde_json::from_str(&read("reference.json")).expect("JSON");
}

#[test]
fn a_good_configuration_is_found_good_without_being_run() {
    let stage = prepared("command-check");
    let checked = tidegate(stage.folder(), &["serve", "-c", "tidegate.yaml", "--check"]);
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    assert!(out(&checked).contains("fine"), "{}", out(&checked));
    assert!(!stage.folder().join("state").exists(), "a check must leave nothing behind");
}

#[test]
fn a_bad_configuration_is_refused_with_every_mistake() {
    let stage = prepared("command-mistakes");
    let bad = GOOD
        .replace("7071", "none")
        .replace("state:", "stat:")
        .replace("protocol: oip", "protocol: opi")
        .replace("cluster: census-v1", "clutser: census-v1")
        .replace("to: v2", "to: v9")
        .replace("expires: 1h", "expires: soon")
        .replace("    profile: ./profile\n", "    sample_rate: 3\n");
    stage.write("bad.yaml", &bad).expect("writable");
    for arguments in [vec!["serve", "-c", "bad.yaml"], vec!["serve", "-c", "bad.yaml", "--check"]] {
        let refused = tidegate(stage.folder(), &arguments);
        assert_eq!(code(&refused), 2);
        let said = err(&refused);
        for mistake in [
            "bad.yaml:1:",
            "listen.http",
            "bad.yaml:2:",
            "stat",
            "did you mean `state`",
            "protocol",
            "did you mean `oip`",
            "did you mean `cluster`",
            "v9",
            "soon",
            "`profile` is missing",
            "sample_rate",
        ] {
            assert!(said.contains(mistake), "nothing of {mistake}:\n{said}");
        }
    }
}

#[test]
fn what_the_configuration_names_must_be_there() {
    let stage = prepared("command-profiles");
    let cases = [
        (GOOD.replace("./profile", "./nowhere"), "nowhere"),
        (GOOD.replace("    profile:", "    contract: ./none.json\n    profile:"), "none.json"),
    ];
    for (yaml, named) in cases {
        stage.write("missing.yaml", &yaml).expect("writable");
        let refused = tidegate(stage.folder(), &["serve", "-c", "missing.yaml", "--check"]);
        assert_eq!(code(&refused), 2);
        assert!(err(&refused).contains(named), "{}", err(&refused));
    }
    let refused = tidegate(stage.folder(), &["serve", "-c", "no-such.yaml"]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("no-such.yaml"), "{}", err(&refused));
}

#[test]
fn a_taken_port_is_named() {
    let stage = prepared("command-port");
    let held = std::net::TcpListener::bind(("127.0.0.1", port::free_port())).expect("free");
    let taken = held.local_addr().expect("bound").to_string();
    stage.write("tidegate.yaml", &GOOD.replace("127.0.0.1:7070", &taken)).expect("writable");
    let refused = tidegate(stage.folder(), &["serve"]);
    assert_eq!(code(&refused), 2);
    assert!(
        err(&refused).contains("listen.grpc") && err(&refused).contains(&taken),
        "{}",
        err(&refused)
    );
}

#[test]
fn misuse_ends_with_2_and_a_way_out() {
    let stage = stage("command-misuse");
    let no_collector = format!("http://127.0.0.1:{}", port::free_port());
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage"),
        (&["stauts"], "status"),
        (&["rollback"], "MODEL"),
        (&["profile", "none.csv", "--out", "p"], "none.csv"),
        (&["status", "--api", &no_collector], "is `tidegate serve` running?"),
        (&["decisions", "--api", &no_collector], "no collector answers"),
        (&["rollback", "census", "--api", &no_collector], "no collector answers"),
        (&["approve", "d-000001", "--api", &no_collector], "no collector answers"),
    ];
    for (arguments, says) in cases {
        let output = tidegate(stage.folder(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(err(&output).contains(says), "{arguments:?}: {}", err(&output));
    }
    let version = tidegate(stage.folder(), &["version"]);
    assert_eq!(code(&version), 0);
    assert!(out(&version).starts_with("tidegate 0."), "{}", out(&version));
}

fn house() -> House {
    Plan::of("command-asks").model(Model::census().mode("enforce")).raise()
}

#[test]
fn a_running_collector_answers_people_and_programs() {
    let house = house();
    let status = house.tidegate(&["status"]);
    assert_eq!(code(&status), 0, "{}", err(&status));
    assert!(out(&status).contains("census"), "{}", out(&status));
    assert!(out(&status).contains("1 Envoy follows"), "{}", out(&status));
    let status = json(&house.tidegate(&["status", "--json"]));
    let model = &status["models"][0];
    assert_eq!((&model["model"], &model["mode"]), (&"census".into(), &"enforce".into()));
    assert_eq!((&model["envoys"], &model["acknowledged"]), (&1.into(), &true.into()));
    assert_eq!(model["weights"]["census-v1"], 100);

    let decisions = house.tidegate(&["decisions"]);
    assert_eq!((code(&decisions), out(&decisions).as_str()), (0, "no decisions yet\n"));
    assert_eq!(json(&house.tidegate(&["decisions", "--json"])), Value::Array(Vec::new()));

    for (arguments, says) in [
        (["rollback", "consus"], "configured are: census"),
        (["rollback", "../census"], "configured are: census"),
        (["rollback", "census"], "serves already"),
        (["approve", "d-000099"], "d-000099"),
    ] {
        let refused = house.tidegate(&arguments);
        assert_eq!(code(&refused), 2, "{arguments:?}");
        assert!(err(&refused).contains(says), "{arguments:?}: {}", err(&refused));
        assert_eq!(out(&refused), "");
    }
}

#[test]
fn health_metrics_and_unknown_paths_are_answered() {
    let house = house();
    let client = xtask::stage::http::Client::new(std::time::Duration::from_secs(5));
    let url = house.collector.as_ref().expect("there is one").url();
    let get = |path: &str| client.get(&format!("{url}{path}")).expect("an answer");
    for path in
        ["/livez", "/readyz", "/metrics", "/api/v1/status", "/api/v1/findings", "/api/v1/decisions"]
    {
        assert_eq!(get(path).status, 200, "{path}");
    }
    let metrics = get("/metrics").text();
    assert!(metrics.contains("tidegate_") && metrics.trim_end().ends_with("# EOF"), "{metrics}");
    assert_eq!(get("/api/v1/nothing").status, 404);
    assert_eq!(get("/api/v1/decisions?modle=census").status, 400);
    let broken =
        client.post(&format!("{url}/api/v1/models/census/rollback"), b"{").expect("an answer");
    assert_eq!(broken.status, 400);
    let large = vec![b' '; 1 << 20];
    let port = house.collector.as_ref().expect("there is one").http;
    let refused = Client::to(port).ask(&Request::post("/api/v1/models/census/rollback", large));
    assert!(matches!(refused.status, 400 | 413), "{}", refused.text());
    assert_eq!(get("/livez").status, 200);
}

#[test]
fn an_api_that_is_something_else_is_told_from_a_collector() {
    let house = house();
    let model_server = format!("http://127.0.0.1:{}", house.v1.port());
    let folder = tools::root();
    let asked = tidegate(&folder, &["status", "--api", &model_server]);
    assert_eq!(code(&asked), 2);
    assert!(err(&asked).contains("not a Tidegate collector"), "{}", err(&asked));
}

/// What `export` prints of a house, for whom it is asked, as Python reads it.
fn exported(house: &House, arguments: &[&str]) -> Value {
    let all = [&["export", "-c", "tidegate.yaml"], arguments].concat();
    let output = tidegate(house.folder(), &all);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let file = house.folder().join("exported.yaml");
    std::fs::write(&file, &output.stdout).expect("a folder to write to");
    let script =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    // MLflow's Python has a reader of YAML.
    let mut python = Command::new(tools::server(Server::MLflow));
    let read = python.args(["-c", script]).arg(&file).output().expect("Python");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).expect("JSON")
}

#[test]
fn export_prints_what_other_control_planes_take() {
    let house =
        Plan::of("command-export").model(Model::census().candidate().mode("enforce")).raise();
    let started = house.tidegate(&["rollout", "start", "census", "--shadow", "30"]);
    assert_eq!(code(&started), 0, "{}", String::from_utf8_lossy(&started.stderr));
    let promoted = house.tidegate(&["rollout", "promote", "census", "--force"]);
    assert_eq!(code(&promoted), 0, "{}", String::from_utf8_lossy(&promoted.stderr));
    let api = house.api();

    let envoy = exported(&house, &["--api", &api]);
    let route = &envoy[0]["routes"][0];
    let weights = route["route"]["weighted_clusters"]["clusters"].as_array().expect("clusters");
    let sum: u64 = weights.iter().filter_map(|cluster| cluster["weight"].as_u64()).sum();
    assert_eq!((sum, &weights[1]["weight"]), (100, &5.into()), "{envoy:#}");
    let mirror = &route["route"]["request_mirror_policies"][0]["runtime_fraction"];
    assert_eq!(mirror["default_value"]["numerator"], 30, "{envoy:#}");
    // The real Envoy takes it, filter and all.
    let cluster =
        |name: &str| serde_json::json!({"name": name, "type": "STATIC", "connect_timeout": "1s"});
    let mut filters = envoy[0]["http_filters"].as_array().cloned().expect("filters");
    filters.push(serde_json::json!({"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}));
    let bootstrap = serde_json::json!({
        "node": {"id": "export", "cluster": "export"},
        "static_resources": {
            "clusters": [cluster("census-v1"), cluster("census-v2"), cluster("tidegate_collector")],
            "listeners": [{"name": "models",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port::free_port()}},
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "models",
                        "route_config": {"name": "models", "virtual_hosts": [
                            {"name": "models", "domains": ["*"], "routes": envoy[0]["routes"]}]},
                        "http_filters": filters}}]}]}]}});
    let file = house.folder().join("bootstrap.json");
    std::fs::write(&file, bootstrap.to_string()).expect("a folder to write to");
    let checked = Command::new(tools::envoy())
        .args(["--mode", "validate", "--log-level", "error", "-c"])
        .arg(&file)
        .output()
        .expect("Envoy runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let istio = exported(&house, &["--as", "istio", "--api", &api, "--host", "models.example"]);
    assert_eq!(
        (&istio[0]["kind"], &istio[1]["kind"]),
        (&"VirtualService".into(), &"WasmPlugin".into())
    );
    let rule = &istio[0]["spec"]["http"][0];
    assert_eq!(rule["match"][0]["uri"]["prefix"], "/v2/models/census");
    assert_eq!((&rule["route"][0]["weight"], &rule["route"][1]["weight"]), (&95.into(), &5.into()));
    assert_eq!(rule["mirrors"][0]["percentage"]["value"], 30);
    assert_eq!(istio[1]["spec"]["pluginConfig"]["models"][0]["model"], "census");

    let gateway = exported(&house, &["--as", "gateway-api", "--api", &api, "--port", "8080"]);
    let rule = &gateway[0]["spec"]["rules"][0];
    assert_eq!(gateway[0]["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(rule["filters"][0]["requestMirror"]["percent"], 30);
    let backend = &rule["backendRefs"][1];
    assert_eq!(
        (&backend["name"], &backend["port"], &backend["weight"]),
        (&"census-v2".into(), &8080.into(), &5.into())
    );

    // Without a collector the primary serves.
    let plain = exported(&house, &["--as", "gateway-api"]);
    let backends = plain[0]["spec"]["rules"][0]["backendRefs"].as_array().expect("backends");
    assert_eq!((backends.len(), &backends[0]["weight"]), (1, &100.into()));
    let unknown = tidegate(house.folder(), &["export", "--model", "other"]);
    assert_eq!(code(&unknown), 2);
}
