//! The house for one play: two model servers of ours, a real Envoy with the bootstrap that users
//! are given, and a real collector with a profile that the real command made. Everything ends with
//! it. It does not know what is played.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::stage::bootstrap::Replacement;
use xtask::stage::collector::Collector;
use xtask::stage::envoy::{Addresses, Envoy};
use xtask::stage::http;
use xtask::stage::{Stage, port};

use crate::client::{Client, Request, Response};
use crate::patience::eventually;
use crate::people::{self, Era};
use crate::recorder::Recorder;
use crate::tools;

/// Where inference requests of the model of the bootstrap go.
pub const INFER: &str = "/v2/models/census/infer";
/// How long a process may take to follow.
pub const SOON: Duration = Duration::from_secs(20);

/// One model of `tidegate.yaml`, written as people write it.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    protocol: &'static str,
    mode: &'static str,
    prefix: String,
    window: String,
    rules: Vec<String>,
    more: Vec<String>,
    candidate: bool,
}

impl Model {
    /// The model of the bootstrap: Open Inference Protocol, mode `observe`, no rules.
    #[must_use]
    pub fn census() -> Self {
        Self {
            name: "census".to_owned(),
            protocol: "oip",
            mode: "observe",
            prefix: "/v2/models/census".to_owned(),
            window: "{length: 2s, hop: 500ms, min_rows: 100}".to_owned(),
            rules: Vec::new(),
            more: Vec::new(),
            candidate: false,
        }
    }

    /// Another one, below this path; the house must have [`Plan::every_path`].
    #[must_use]
    pub fn at(name: &str, protocol: &'static str, prefix: &str) -> Self {
        Self { name: name.to_owned(), protocol, prefix: prefix.to_owned(), ..Self::census() }
    }

    /// With this mode.
    #[must_use]
    pub fn mode(mut self, mode: &'static str) -> Self {
        self.mode = mode;
        self
    }

    /// With this window.
    #[must_use]
    pub fn window(mut self, window: &str) -> Self {
        window.clone_into(&mut self.window);
        self
    }

    /// With one more rule.
    #[must_use]
    pub fn rule(mut self, rule: &str) -> Self {
        self.rules.push(rule.to_owned());
        self
    }

    /// With a candidate `v3` beside the primary instead of a fallback.
    #[must_use]
    pub fn candidate(mut self) -> Self {
        self.candidate = true;
        self
    }

    /// With one more line, such as `sample_rate: 0.5`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    fn yaml(&self) -> String {
        let Self { name, protocol, mode, prefix, window, rules, more, candidate } = self;
        let mut yaml = format!(
            "  - name: {name}\n    protocol: {protocol}\n    mode: {mode}\n    \
             route: {{path_prefix: {prefix}}}\n    profile: ./profile\n    \
             contract: ./contract.json\n    window: {window}\n    versions:\n"
        );
        // A cluster serves a version of one model; other models share the server, not the name.
        for (version, role) in [("v1", "primary"), ("v2", "fallback"), ("v3", "candidate")] {
            // Of the bootstrap's two clusters the second is both, by the rule that is played.
            let cluster = match version {
                "v1" => "census-v1",
                _ => "census-v2",
            };
            let candidate = *candidate || rules.iter().any(|rule| rule.contains("to: v3"));
            if (version == "v2" && candidate) || (version == "v3" && !candidate) {
                continue;
            }
            yaml.push_str(&format!(
                "      - {{name: {version}, cluster: {cluster}, role: {role}}}\n"
            ));
        }
        for line in more {
            yaml.push_str(&format!("    {line}\n"));
        }
        if !more.iter().any(|line| line.starts_with("sample_rate")) {
            yaml.push_str("    sample_rate: 1.0\n");
        }
        if !rules.is_empty() {
            yaml.push_str("    policy:\n");
        }
        for rule in rules {
            yaml.push_str(&format!("      - {rule}\n"));
        }
        yaml
    }
}

/// A house before it stands.
#[derive(Debug)]
pub struct Plan {
    play: String,
    models: Vec<Model>,
    lines: Vec<String>,
    replacements: Vec<Replacement>,
    collector: Option<u16>,
    otlp: Option<u16>,
    v1: Option<u16>,
    contract: Option<Value>,
    answers: bool,
    /// Where the collector listens, and where Envoy looks for it.
    tap: Option<(u16, u16)>,
    /// What `state:` says.
    state: String,
    /// Whether the filter is a file of the play's own.
    own_filter: bool,
}

/// A house that stands.
pub struct House {
    /// Envoy.
    pub envoy: Envoy,
    /// The collector, where one was wanted.
    pub collector: Option<Collector>,
    /// The primary version.
    pub v1: Recorder,
    /// The other version.
    pub v2: Recorder,
    addresses: Addresses,
    yaml: String,
    http: u16,
    replacements: Vec<Replacement>,
    filter: PathBuf,
    stage: Stage,
}

impl Plan {
    /// A house for a play of this name.
    #[must_use]
    pub fn of(play: &str) -> Self {
        Self {
            play: play.to_owned(),
            models: Vec::new(),
            lines: Vec::new(),
            replacements: Vec::new(),
            collector: None,
            otlp: None,
            v1: None,
            contract: None,
            answers: false,
            tap: None,
            state: "./state".to_owned(),
            own_filter: false,
        }
    }

    /// With one more model.
    #[must_use]
    pub fn model(mut self, model: Model) -> Self {
        self.models.push(model);
        self
    }

    /// With one more line for every model so far.
    #[must_use]
    pub fn each_model(mut self, line: &str) -> Self {
        self.models = self.models.into_iter().map(|model| model.line(line)).collect();
        self
    }

    /// With one more line of `tidegate.yaml`, beside the models.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// With a route for every path, not only for that of the bootstrap's model.
    #[must_use]
    pub fn every_path(self) -> Self {
        self.replace("{path_separated_prefix: /v2/models/census}", "{prefix: /}")
    }

    /// With model servers that speak HTTP/2, as gRPC needs it.
    #[must_use]
    pub fn over_grpc(self) -> Self {
        self.replace("{http_protocol_options: {}}", "{http2_protocol_options: {}}")
    }

    /// With a text of the bootstrap replaced.
    #[must_use]
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        self.replacements.push(Replacement { from: from.to_owned(), to: to.to_owned() });
        self
    }

    /// With an Envoy that has the filter as a dynamic module, by `envoy/module.yaml`, both before the
    /// routes and before the second version.
    ///
    /// # Panics
    /// When that file and the bootstrap no longer agree.
    #[must_use]
    pub fn native(self) -> Self {
        let read = |path| std::fs::read_to_string(tools::root().join(path)).expect("it is there");
        let (bootstrap, module) = (read("envoy/bootstrap.yaml"), read("envoy/module.yaml"));
        let module = module
            .replace("/etc/tidegate/libtidegate_filter.so", &tools::module().display().to_string());
        let [metadata, filter, shadow] =
            module.split("---\n").collect::<Vec<_>>().try_into().expect("three parts");
        let indented = |part: &str, by: usize| {
            part.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<String>()
        };
        let between = |from: &str, until: &str| {
            let from = bootstrap.find(from).expect("the bootstrap has a filter");
            let length = bootstrap[from..].find(until).expect("another comes after it");
            bootstrap[from..from + length].to_owned()
        };
        let node = "  cluster: tidegate\n";
        let router = "                  - name: envoy.filters.http.router\n";
        let codec = "            - name: envoy.filters.http.upstream_codec\n";
        self.replace(node, &(node.to_owned() + &indented(metadata, 2)))
            .replace(
                &between("                  - name: tidegate\n", router),
                &indented(filter, 18),
            )
            .replace(
                &between("            - name: tidegate_shadow\n", codec),
                &indented(shadow, 12),
            )
    }

    /// With this contract instead of that of the people.
    #[must_use]
    pub fn contract(mut self, contract: &Value) -> Self {
        self.contract = Some(contract.clone());
        self
    }

    /// With answers in the training data: a column `predict`, 0 and 1 as often.
    #[must_use]
    pub fn answers(mut self) -> Self {
        self.answers = true;
        self
    }

    /// With the collector at this port, and something before it at another, which Envoy talks to.
    #[must_use]
    pub fn tapped(mut self, collector: u16, tap: u16) -> Self {
        self.tap = Some((collector, tap));
        self
    }

    /// With the collector's state there, instead of in a folder of its own.
    #[must_use]
    pub fn state(mut self, state: &str) -> Self {
        state.clone_into(&mut self.state);
        self
    }

    /// With a copy of the filter that the play may do away with.
    #[must_use]
    pub fn own_filter(mut self) -> Self {
        self.own_filter = true;
        self
    }

    /// Without a collector of ours; Envoy looks for one at this port.
    #[must_use]
    pub fn collector_at(mut self, port: u16) -> Self {
        self.collector = Some(port);
        self
    }

    /// With a model server of its own as the primary version; [`House::v1`] is then not asked.
    #[must_use]
    pub fn v1_at(mut self, port: u16) -> Self {
        self.v1 = Some(port);
        self
    }

    /// With an OTLP receiver at this port.
    #[must_use]
    pub fn otlp_at(mut self, port: u16) -> Self {
        self.otlp = Some(port);
        self
    }

    /// Puts the house up. With a collector it stands when Envoy has acknowledged its configuration.
    ///
    /// # Panics
    /// When something does not start.
    #[must_use]
    pub fn raise(self) -> House {
        let stage = Stage::open(&tools::stages(), &self.play).expect("a folder for the play");
        let (v1, v2) = (Recorder::start("v1"), Recorder::start("v2"));
        let grpc = self.collector.or(self.tap.map(|(collector, _)| collector));
        let grpc = grpc.unwrap_or_else(port::free_port);
        let http = port::free_port();
        let filter = match self.own_filter {
            true => stage.folder().join("filter.wasm"),
            false => tools::filter(),
        };
        if self.own_filter {
            std::fs::copy(tools::filter(), &filter).expect("the filter is copied");
        }
        let yaml = self.yaml(grpc, http, &filter);
        let collector = (self.collector.is_none()).then(|| {
            profile(&stage, self.contract.as_ref(), self.answers);
            Collector::start(&stage, &tools::tidegate(), &yaml, http).expect("the collector starts")
        });
        let primary = self.v1.unwrap_or_else(|| v1.port());
        let addresses = Addresses {
            v1: primary,
            v2: v2.port(),
            collector: self.tap.map_or(grpc, |(_, tap)| tap),
        };
        let envoy = start_envoy(&stage, &addresses, &filter, &self.replacements);
        let replacements = self.replacements;
        let house =
            House { envoy, collector, v1, v2, addresses, yaml, http, replacements, filter, stage };
        if house.collector.is_some() {
            house.await_acknowledged();
        }
        house
    }

    /// The text of `tidegate.yaml`.
    fn yaml(&self, grpc: u16, http: u16, filter: &Path) -> String {
        let mut yaml = format!(
            "listen: {{grpc: 127.0.0.1:{grpc}, http: 127.0.0.1:{http}}}\nstate: {}\n\
             envoy: {{filter: {}, collector_cluster: tidegate_collector}}\n",
            self.state,
            filter.display()
        );
        if let Some(port) = self.otlp {
            yaml.push_str(&format!("telemetry: {{otlp_endpoint: \"http://127.0.0.1:{port}\"}}\n"));
        }
        self.lines.iter().for_each(|line| yaml.push_str(&format!("{line}\n")));
        yaml.push_str("models:\n");
        yaml.extend(self.models.iter().map(Model::yaml));
        yaml
    }
}

/// Makes the profile of 5000 people with the real command, and writes the contract by hand.
fn profile(stage: &Stage, contract: Option<&Value>, answers: bool) {
    let people = people::people(1994, 5000, Era::Training);
    let mut csv = people::csv(&people);
    if answers {
        let mut lines = csv.lines();
        let mut answered = format!("{},predict\n", lines.next().expect("a header"));
        for (at, line) in lines.enumerate() {
            answered.push_str(&format!("{line},{}\n", at % 2));
        }
        csv = answered;
    }
    let data = stage.write("training.csv", &csv).expect("the stage is writable");
    let contract = contract.cloned().unwrap_or_else(people::contract).to_string();
    stage.write("contract.json", &contract).expect("the stage is writable");
    let mut command = Command::new(tools::tidegate());
    command.arg("profile").arg(data).arg("--out").arg(stage.folder().join("profile"));
    if answers {
        command.args(["--outputs", "predict"]);
    }
    let made = command.output().expect("the command runs");
    assert!(made.status.success(), "tidegate profile: {}", String::from_utf8_lossy(&made.stderr));
}

fn start_envoy(
    stage: &Stage,
    addresses: &Addresses,
    filter: &Path,
    replacements: &[Replacement],
) -> Envoy {
    let bootstrap = std::fs::read_to_string(tools::root().join("envoy/bootstrap.yaml"));
    let bootstrap = bootstrap.expect("the bootstrap is there");
    Envoy::start(stage, &tools::envoy(), &bootstrap, filter, addresses, replacements)
        .expect("Envoy starts")
}

impl House {
    /// A new connection to Envoy.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::to(self.envoy.listener)
    }

    /// One request on a connection of its own.
    #[must_use]
    pub fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }

    /// Which version of the bootstrap's model answers right now.
    #[must_use]
    pub fn version(&self) -> String {
        let one = people::oip(&people::people(7, 1, Era::Training)).to_string();
        let answer = self.ask(&Request::post(INFER, one));
        answer.json()["model_version"].as_str().unwrap_or_default().to_owned()
    }

    /// The running collector.
    ///
    /// # Panics
    /// When the play has none.
    pub fn collector(&mut self) -> &mut Collector {
        self.collector.as_mut().expect("this play has a collector")
    }

    /// Starts the collector again, with the same configuration and the same decision log.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_collector(&mut self) {
        // The old one goes first: it holds the ports.
        self.collector = None;
        let started = Collector::start(&self.stage, &tools::tidegate(), &self.yaml, self.http);
        self.collector = Some(started.expect("the collector starts again"));
    }

    /// Stops Envoy and starts it again, with the same bootstrap and new ports.
    pub fn restart_envoy(&mut self) {
        self.envoy.process.stop();
        self.envoy = start_envoy(&self.stage, &self.addresses, &self.filter, &self.replacements);
    }

    /// How the only, or the first, model stands; null when the collector does not answer.
    #[must_use]
    pub fn status(&self) -> Value {
        let collector = self.collector.as_ref().expect("this play has a collector");
        collector.get("status").map(|status| status["models"][0].clone()).unwrap_or_default()
    }

    /// All decisions, oldest first.
    #[must_use]
    pub fn decisions(&self) -> Vec<Value> {
        let collector = self.collector.as_ref().expect("this play has a collector");
        let decisions = collector.get("decisions").unwrap_or_default();
        decisions["decisions"].as_array().cloned().unwrap_or_default()
    }

    /// Where the collector's API is.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Where the play's files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.stage.folder()
    }

    /// Where the filter lies.
    #[must_use]
    pub fn filter(&self) -> &Path {
        &self.filter
    }

    /// Runs the command against the collector.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn tidegate(&self, arguments: &[&str]) -> Output {
        let collector = self.collector.as_ref().expect("this play has a collector");
        collector.command(arguments).expect("the command runs")
    }

    /// Waits until every Envoy has in effect what is decided.
    pub fn await_acknowledged(&self) {
        eventually("Envoy acknowledges the collector's configuration", SOON, || {
            (self.status()["acknowledged"] == true).then_some(())
        });
    }

    /// What Envoy's admin interface answers.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn admin(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.envoy.admin);
        let client = http::Client::new(Duration::from_secs(5));
        client.get(&url).expect("Envoy's admin interface answers").text()
    }

    /// Envoy's counters and gauges whose names contain `part`.
    #[must_use]
    pub fn stats(&self, part: &str) -> BTreeMap<String, u64> {
        let lines = self.admin("/stats?usedonly");
        let stat = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            name.contains(part).then(|| Some((name.to_owned(), value.parse().ok()?)))?
        };
        lines.lines().filter_map(stat).collect()
    }

    /// A counter of the filter's own, over all workers; it follows the traffic within a tick.
    #[must_use]
    pub fn filter_counter(&self, name: &str) -> u64 {
        self.stats(&format!("tidegate_filter_{name}_total")).values().sum()
    }

    /// Sends requests on new connections until each of Envoy's workers has got some of them, and
    /// asserts that all were answered 200.
    ///
    /// # Panics
    /// When one is not, or a worker gets none.
    pub fn serves_on_every_worker(&self, request: &Request) {
        let before = self.connections_by_worker();
        let deadline = Instant::now() + SOON;
        loop {
            let response = self.ask(request);
            assert_eq!(response.status, 200, "{}", response.text());
            let now = self.connections_by_worker();
            if now.len() >= 2 && now.iter().all(|(worker, n)| before.get(worker) < Some(n)) {
                return;
            }
            assert!(Instant::now() < deadline, "a worker takes no connection: {now:?}");
        }
    }

    fn connections_by_worker(&self) -> BTreeMap<String, u64> {
        let mut stats = self.stats(".worker_");
        let listener = format!("{}.worker_", self.envoy.listener);
        stats.retain(|name, _| name.contains(&listener) && name.ends_with("downstream_cx_total"));
        stats
    }
}
