//! What a person wrote: each key with its place, each value of the right type, nothing decided.
//! It does not know ranges, defaults, or what fits together.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_contract::contract::Mode;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::finding::{Detector, Kind};

use super::mistake::{Mistakes, Place};
use super::model::{Role, TaskName};
use super::reader::{At, Field, Written};
use super::rollout::{MAX_STEPS, Promote};
use super::rule::{Approval, Severity};
use super::yaml::Node;

/// The most models of a file.
const MAX_MODELS: usize = 256;

/// The most versions of a model.
const MAX_VERSIONS: usize = 32;

/// The most metrics of a model's owner: each row is asked for each of them.
const MAX_METRICS: usize = 32;

/// The most rules of a model.
const MAX_RULES: usize = 64;

/// The most entries of an Envoy's metadata that a model asks for.
const MAX_METADATA: usize = 16;

/// The most times of maintenance in a week.
const MAX_MAINTENANCE: usize = 64;

/// The whole file.
pub(super) struct Config {
    pub(super) place: Place,
    pub(super) listen: Field<Listen>,
    pub(super) state: Field<String>,
    pub(super) envoy: Field<Envoy>,
    pub(super) telemetry: Field<Telemetry>,
    pub(super) samples: Field<Samples>,
    pub(super) defaults: Field<Defaults>,
    pub(super) models: Field<Vec<Model>>,
}

pub(super) struct Samples {
    pub(super) to: Field<String>,
    pub(super) retention: Field<Duration>,
    pub(super) max_bytes: Field<u64>,
    pub(super) part: Field<Duration>,
}

/// What holds for every model that does not say otherwise.
pub(super) struct Defaults {
    pub(super) metrics: Field<Vec<Metric>>,
    pub(super) policy: Field<Vec<Rule>>,
    pub(super) guard: Field<Guard>,
    pub(super) rollout: Field<Rollout>,
}

pub(super) struct Envoys {
    pub(super) id: Field<String>,
    pub(super) cluster: Field<String>,
    pub(super) metadata: Field<Vec<Written<String>>>,
}

pub(super) struct Guard {
    pub(super) changes_per_hour: Field<u32>,
    pub(super) max_models: Field<u32>,
    pub(super) maintenance: Field<Vec<Maintenance>>,
}

pub(super) struct Maintenance {
    pub(super) place: Place,
    pub(super) days: Field<Vec<Written<usize>>>,
    pub(super) from: Field<String>,
    pub(super) to: Field<String>,
    pub(super) utc_offset: Field<String>,
}

pub(super) struct Rollout {
    pub(super) shadow: Field<u8>,
    pub(super) steps: Field<Vec<Written<u8>>>,
    pub(super) hold: Field<Duration>,
    pub(super) lasts: Field<Duration>,
    pub(super) min_pairs: Field<u64>,
    pub(super) min_coverage: Field<f64>,
    pub(super) max_disagreement: Field<f64>,
    pub(super) max_shift: Field<f64>,
    pub(super) max_error_rise: Field<f64>,
    pub(super) max_slow: Field<f64>,
    pub(super) tolerance: Field<f64>,
    pub(super) slow_factor: Field<f64>,
    pub(super) promote: Field<Promote>,
}

pub(super) struct Listen {
    pub(super) grpc: Field<SocketAddr>,
    pub(super) http: Field<SocketAddr>,
}

pub(super) struct Envoy {
    pub(super) filter: Field<String>,
    pub(super) collector_cluster: Field<String>,
}

pub(super) struct Telemetry {
    pub(super) otlp_endpoint: Field<String>,
}

pub(super) struct Model {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    pub(super) protocol: Field<Protocol>,
    pub(super) mode: Field<Mode>,
    pub(super) route: Field<Route>,
    pub(super) envoys: Field<Envoys>,
    pub(super) sticky: Field<String>,
    pub(super) sample_rate: Field<f64>,
    pub(super) max_capture_bytes: Field<u32>,
    pub(super) max_sample_bytes_per_second: Field<u32>,
    pub(super) keep: Field<Keep>,
    pub(super) profile: Field<String>,
    pub(super) contract: Field<String>,
    pub(super) versions: Field<Vec<Version>>,
    pub(super) window: Field<Window>,
    pub(super) detectors: Field<Detectors>,
    pub(super) labels: Field<Labels>,
    pub(super) metrics: Field<Vec<Metric>>,
    pub(super) policy: Field<Vec<Rule>>,
    pub(super) guard: Field<Guard>,
    pub(super) rollout: Field<Rollout>,
}

pub(super) struct Labels {
    pub(super) place: Place,
    pub(super) output: Field<String>,
    pub(super) task: Field<TaskName>,
    pub(super) positive: Field<String>,
    pub(super) threshold: Field<f64>,
    pub(super) reference_error: Field<f64>,
    pub(super) horizon: Field<Duration>,
    pub(super) max_rows: Field<usize>,
    pub(super) window_rows: Field<usize>,
}

#[derive(Clone)]
pub(super) struct Metric {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    pub(super) expression: Field<String>,
    pub(super) condition: Field<String>,
    pub(super) min: Field<f64>,
    pub(super) max: Field<f64>,
}

pub(super) struct Keep {
    pub(super) violations: Field<bool>,
    pub(super) errors: Field<bool>,
    pub(super) slower_than: Field<Duration>,
    pub(super) low_confidence: Field<LowConfidence>,
}

pub(super) struct LowConfidence {
    pub(super) place: Place,
    pub(super) output: Field<String>,
    pub(super) below: Field<f64>,
}

#[derive(Clone)]
pub(super) struct Route {
    pub(super) name: Field<String>,
    pub(super) path_prefix: Field<String>,
}

pub(super) struct Version {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    pub(super) cluster: Field<String>,
    pub(super) role: Field<Role>,
}

pub(super) struct Window {
    pub(super) length: Field<Duration>,
    pub(super) hop: Field<Duration>,
    pub(super) min_rows: Field<u64>,
    pub(super) rows: Field<u64>,
    pub(super) time: Field<OwnTime>,
}

pub(super) struct OwnTime {
    pub(super) place: Place,
    pub(super) input: Field<String>,
    pub(super) lateness: Field<Duration>,
    pub(super) max_late_rate: Field<f64>,
}

pub(super) struct Detectors {
    pub(super) min_effect: Field<f64>,
    pub(super) false_alarms_per_month: Field<f64>,
    pub(super) volume: Field<bool>,
}

#[derive(Clone)]
pub(super) struct Rule {
    pub(super) place: Place,
    pub(super) on: Field<Kind>,
    pub(super) verdict: Field<Severity>,
    pub(super) detector: Field<Detector>,
    pub(super) feature: Field<String>,
    pub(super) min_effect: Field<f64>,
    pub(super) min_coverage: Field<f64>,
    pub(super) min_rows: Field<u64>,
    pub(super) windows: Field<u32>,
    pub(super) holds: Field<Severity>,
    pub(super) then: Field<Then>,
    pub(super) to: Field<String>,
    pub(super) part: Field<String>,
    pub(super) segment: Field<Drifted>,
    pub(super) retry_after: Field<Duration>,
    pub(super) share: Field<u8>,
    pub(super) expires: Field<Duration>,
    pub(super) cooldown: Field<Duration>,
    pub(super) approval: Field<Approval>,
}

/// The only word after `segment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drifted;

/// The word after `then`, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Shadow,
    Canary,
    Divert,
    Block,
}

const THEN: [(&str, Then); 4] = [
    ("shadow", Then::Shadow),
    ("canary", Then::Canary),
    ("divert", Then::Divert),
    ("block", Then::Block),
];
const SEVERITIES: [(&str, Severity); 2] =
    [("warning", Severity::Warning), ("alarm", Severity::Alarm)];
const APPROVALS: [(&str, Approval); 2] =
    [("automatic", Approval::Automatic), ("required", Approval::Required)];
const MODES: [(&str, Mode); 4] = [
    ("observe", Mode::Observe),
    ("tag", Mode::Tag),
    ("divert", Mode::Divert),
    ("enforce", Mode::Enforce),
];
const TASKS: [(&str, TaskName); 3] = [
    ("binary", TaskName::Binary),
    ("multiclass", TaskName::Multiclass),
    ("regression", TaskName::Regression),
];
const YES_OR_NO: [(&str, bool); 2] = [("true", true), ("false", false)];
const DAYS: [(&str, usize); 7] =
    [("sun", 0), ("mon", 1), ("tue", 2), ("wed", 3), ("thu", 4), ("fri", 5), ("sat", 6)];
const PROMOTE: [(&str, Promote); 2] =
    [("person", Promote::Person), ("automatic", Promote::Automatic)];
const ROLES: [(&str, Role); 3] =
    [("primary", Role::Primary), ("fallback", Role::Fallback), ("candidate", Role::Candidate)];

impl Then {
    /// The word as it is written.
    pub(super) fn word(self) -> &'static str {
        word_of(&THEN, self)
    }
}

/// The words for detectors as findings have them.
fn kinds() -> [(&'static str, Kind); Kind::ALL.len()] {
    Kind::ALL.map(|kind| (kind.name(), kind))
}

fn detectors() -> [(&'static str, Detector); Detector::ALL.len()] {
    Detector::ALL.map(|detector| (detector.name(), detector))
}

/// The role of that name, where a rule goes to a role instead of a version.
pub(super) fn role_named(word: &str) -> Option<Role> {
    ROLES.iter().find(|(known, _)| *known == word).map(|(_, role)| *role)
}

/// The word for a role as it is written.
pub(super) fn role_word(role: Role) -> &'static str {
    word_of(&ROLES, role)
}

/// The word for a task as it is written.
pub(super) fn task_word(task: TaskName) -> &'static str {
    word_of(&TASKS, task)
}

fn word_of<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

impl Config {
    /// Reads the root of a file.
    pub(super) fn read(root: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &["listen", "state", "envoy", "telemetry", "samples", "defaults", "models"];
        let map = At::root(root).mapping(keys, mistakes)?;
        Some(Self {
            listen: map.field("listen", mistakes, |at, m| whole(&at, Listen::read(&at, m))),
            state: map.field("state", mistakes, |at, m| at.text("a folder such as ./state", m)),
            envoy: map.field("envoy", mistakes, |at, m| whole(&at, Envoy::read(&at, m))),
            telemetry: map
                .field("telemetry", mistakes, |at, m| whole(&at, Telemetry::read(&at, m))),
            samples: map.field("samples", mistakes, |at, m| whole(&at, Samples::read(&at, m))),
            defaults: map.field("defaults", mistakes, |at, m| whole(&at, Defaults::read(&at, m))),
            models: map.field("models", mistakes, |at, m| at.list(1..=MAX_MODELS, m, Model::read)),
            place: map.place,
        })
    }
}

impl Listen {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["grpc", "http"], mistakes)?;
        Some(Self {
            grpc: map.field("grpc", mistakes, |at, m| at.address(m)),
            http: map.field("http", mistakes, |at, m| at.address(m)),
        })
    }
}

impl Envoy {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["filter", "collector_cluster"], mistakes)?;
        Some(Self {
            filter: map.field("filter", mistakes, |at, m| at.text("the path of the filter", m)),
            collector_cluster: map
                .field("collector_cluster", mistakes, |at, m| at.text("an Envoy cluster", m)),
        })
    }
}

impl Telemetry {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["otlp_endpoint"], mistakes)?;
        let expected = "a URL such as http://127.0.0.1:4317";
        Some(Self {
            otlp_endpoint: map.field("otlp_endpoint", mistakes, |at, m| at.text(expected, m)),
        })
    }
}

impl Model {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &[
            "name",
            "protocol",
            "mode",
            "route",
            "envoys",
            "sticky",
            "sample_rate",
            "max_capture_bytes",
            "max_sample_bytes_per_second",
            "keep",
            "profile",
            "contract",
            "versions",
            "window",
            "detectors",
            "labels",
            "metrics",
            "policy",
            "guard",
            "rollout",
        ];
        let map = at.mapping(keys, mistakes)?;
        Some(Self {
            name: map.field("name", mistakes, |at, m| at.text("a name such as census", m)),
            protocol: map.field("protocol", mistakes, |at, m| at.word(&Protocol::NAMES, m)),
            mode: map.field("mode", mistakes, |at, m| at.word(&MODES, m)),
            route: map.field("route", mistakes, |at, m| whole(&at, Route::read(&at, m))),
            envoys: map.field("envoys", mistakes, |at, m| whole(&at, Envoys::read(&at, m))),
            sticky: map.field("sticky", mistakes, |at, m| at.text("header:NAME, or client", m)),
            sample_rate: map
                .field("sample_rate", mistakes, |at, m| at.number("a number such as 0.1", m)),
            max_capture_bytes: map.field("max_capture_bytes", mistakes, |at, m| {
                at.number("a whole number such as 65536", m)
            }),
            max_sample_bytes_per_second: map.field(
                "max_sample_bytes_per_second",
                mistakes,
                |at, m| at.number("a whole number such as 1000000", m),
            ),
            keep: map.field("keep", mistakes, |at, m| whole(&at, Keep::read(&at, m))),
            profile: map.field("profile", mistakes, |at, m| at.text("a folder such as ./p", m)),
            contract: map
                .field("contract", mistakes, |at, m| at.text("a file such as ./c.json", m)),
            versions: map
                .field("versions", mistakes, |at, m| at.list(1..=MAX_VERSIONS, m, Version::read)),
            window: map.field("window", mistakes, |at, m| whole(&at, Window::read(&at, m))),
            detectors: map
                .field("detectors", mistakes, |at, m| whole(&at, Detectors::read(&at, m))),
            labels: map.field("labels", mistakes, |at, m| whole(&at, Labels::read(&at, m))),
            metrics: map
                .field("metrics", mistakes, |at, m| at.list(0..=MAX_METRICS, m, Metric::read)),
            policy: map.field("policy", mistakes, |at, m| at.list(0..=MAX_RULES, m, Rule::read)),
            guard: map.field("guard", mistakes, |at, m| whole(&at, Guard::read(&at, m))),
            rollout: map.field("rollout", mistakes, |at, m| whole(&at, Rollout::read(&at, m))),
            place: map.place,
        })
    }
}

impl Samples {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["to", "retention", "max_bytes", "part"], mistakes)?;
        let place = "a folder such as ./samples, or s3://BUCKET/PREFIX";
        Some(Self {
            to: map.field("to", mistakes, |at, m| at.text(place, m)),
            retention: map.field("retention", mistakes, |at, m| at.duration(m)),
            max_bytes: map
                .field("max_bytes", mistakes, |at, m| at.number("a whole number of bytes", m)),
            part: map.field("part", mistakes, |at, m| at.duration(m)),
        })
    }
}

impl Defaults {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["metrics", "policy", "guard", "rollout"], mistakes)?;
        Some(Self {
            metrics: map
                .field("metrics", mistakes, |at, m| at.list(0..=MAX_METRICS, m, Metric::read)),
            policy: map.field("policy", mistakes, |at, m| at.list(0..=MAX_RULES, m, Rule::read)),
            guard: map.field("guard", mistakes, |at, m| whole(&at, Guard::read(&at, m))),
            rollout: map.field("rollout", mistakes, |at, m| whole(&at, Rollout::read(&at, m))),
        })
    }
}

impl Guard {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["changes_per_hour", "max_models", "maintenance"], mistakes)?;
        let number = "a whole number such as 6";
        Some(Self {
            changes_per_hour: map.field("changes_per_hour", mistakes, |at, m| at.number(number, m)),
            max_models: map.field("max_models", mistakes, |at, m| at.number(number, m)),
            maintenance: map.field("maintenance", mistakes, |at, m| {
                at.list(0..=MAX_MAINTENANCE, m, Maintenance::read)
            }),
        })
    }
}

impl Maintenance {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["days", "from", "to", "utc_offset"], mistakes)?;
        let time = "a time of the day such as \"02:00\"";
        Some(Self {
            days: map.field("days", mistakes, |at, m| at.list(1..=7, m, |at, m| at.word(&DAYS, m))),
            from: map.field("from", mistakes, |at, m| at.text(time, m)),
            to: map.field("to", mistakes, |at, m| at.text(time, m)),
            utc_offset: map
                .field("utc_offset", mistakes, |at, m| at.text("an offset such as \"+02:00\"", m)),
            place: map.place,
        })
    }
}

impl Rollout {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &[
            "shadow",
            "steps",
            "hold",
            "lasts",
            "min_pairs",
            "min_coverage",
            "max_disagreement",
            "max_shift",
            "max_error_rise",
            "max_slow",
            "tolerance",
            "slow_factor",
            "promote",
        ];
        let map = at.mapping(keys, mistakes)?;
        let percent = "whole percent such as 20";
        let share = |key, mistakes: &mut Mistakes| {
            map.field(key, mistakes, |at, m| at.number("a number such as 0.1", m))
        };
        let [
            min_coverage,
            max_disagreement,
            max_shift,
            max_error_rise,
            max_slow,
            tolerance,
            slow_factor,
        ] = [
            "min_coverage",
            "max_disagreement",
            "max_shift",
            "max_error_rise",
            "max_slow",
            "tolerance",
            "slow_factor",
        ]
        .map(|key| share(key, mistakes));
        Some(Self {
            shadow: map.field("shadow", mistakes, |at, m| at.number(percent, m)),
            steps: map.field("steps", mistakes, |at, m| {
                at.list(0..=MAX_STEPS, m, |at, m| at.number(percent, m))
            }),
            hold: map.field("hold", mistakes, |at, m| at.duration(m)),
            lasts: map.field("lasts", mistakes, |at, m| at.duration(m)),
            min_pairs: map
                .field("min_pairs", mistakes, |at, m| at.number("a whole number such as 500", m)),
            min_coverage,
            max_disagreement,
            max_shift,
            max_error_rise,
            max_slow,
            tolerance,
            slow_factor,
            promote: map.field("promote", mistakes, |at, m| at.word(&PROMOTE, m)),
        })
    }
}

impl Keep {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &["violations", "errors", "slower_than", "low_confidence"];
        let map = at.mapping(keys, mistakes)?;
        Some(Self {
            violations: map.field("violations", mistakes, |at, m| at.word(&YES_OR_NO, m)),
            errors: map.field("errors", mistakes, |at, m| at.word(&YES_OR_NO, m)),
            slower_than: map.field("slower_than", mistakes, |at, m| at.duration(m)),
            low_confidence: map
                .field("low_confidence", mistakes, |at, m| whole(&at, LowConfidence::read(&at, m))),
        })
    }
}

impl LowConfidence {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["output", "below"], mistakes)?;
        Some(Self {
            output: map.field("output", mistakes, |at, m| at.text("the name of an output", m)),
            below: map.field("below", mistakes, |at, m| at.number("a number such as 0.6", m)),
            place: map.place,
        })
    }
}

impl Envoys {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["id", "cluster", "metadata"], mistakes)?;
        let (pattern, pair) = ("a text such as edge-*", "a text such as zone=eu");
        Some(Self {
            id: map.field("id", mistakes, |at, m| at.text(pattern, m)),
            cluster: map.field("cluster", mistakes, |at, m| at.text(pattern, m)),
            metadata: map.field("metadata", mistakes, |at, m| {
                at.list(1..=MAX_METADATA, m, |at, m| at.text(pair, m))
            }),
        })
    }
}

impl Route {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["name", "path_prefix"], mistakes)?;
        let expected = "a path such as /v2/models/census";
        Some(Self {
            name: map.field("name", mistakes, |at, m| at.text("the name of an Envoy route", m)),
            path_prefix: map.field("path_prefix", mistakes, |at, m| at.text(expected, m)),
        })
    }
}

impl Version {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["name", "cluster", "role"], mistakes)?;
        Some(Self {
            name: map.field("name", mistakes, |at, m| at.text("a name such as v1", m)),
            cluster: map.field("cluster", mistakes, |at, m| at.text("an Envoy cluster", m)),
            role: map.field("role", mistakes, |at, m| at.word(&ROLES, m)),
            place: map.place,
        })
    }
}

impl Window {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["length", "hop", "min_rows", "rows", "time"], mistakes)?;
        let expected = "a whole number such as 200";
        Some(Self {
            length: map.field("length", mistakes, |at, m| at.duration(m)),
            hop: map.field("hop", mistakes, |at, m| at.duration(m)),
            min_rows: map.field("min_rows", mistakes, |at, m| at.number(expected, m)),
            rows: map.field("rows", mistakes, |at, m| at.number("a whole number such as 1000", m)),
            time: map.field("time", mistakes, |at, m| whole(&at, OwnTime::read(&at, m))),
        })
    }
}

impl OwnTime {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["input", "lateness", "max_late_rate"], mistakes)?;
        Some(Self {
            input: map.field("input", mistakes, |at, m| at.text("an input such as created_at", m)),
            lateness: map.field("lateness", mistakes, |at, m| at.duration(m)),
            max_late_rate: map
                .field("max_late_rate", mistakes, |at, m| at.number("a number such as 0.01", m)),
            place: map.place,
        })
    }
}

impl Detectors {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["min_effect", "false_alarms_per_month", "volume"], mistakes)?;
        Some(Self {
            min_effect: map
                .field("min_effect", mistakes, |at, m| at.number("a number such as 0.1", m)),
            false_alarms_per_month: map
                .field("false_alarms_per_month", mistakes, |at, m| at.number("a number", m)),
            volume: map.field("volume", mistakes, |at, m| at.word(&YES_OR_NO, m)),
        })
    }
}

impl Labels {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &[
            "output",
            "task",
            "positive",
            "threshold",
            "reference_error",
            "horizon",
            "max_rows",
            "window_rows",
        ];
        let map = at.mapping(keys, mistakes)?;
        let rows = "a whole number such as 100000";
        Some(Self {
            output: map.field("output", mistakes, |at, m| at.text("the name of an output", m)),
            task: map.field("task", mistakes, |at, m| at.word(&TASKS, m)),
            positive: map.field("positive", mistakes, |at, m| at.text("a label such as 1", m)),
            threshold: map
                .field("threshold", mistakes, |at, m| at.number("a number such as 0.5", m)),
            reference_error: map
                .field("reference_error", mistakes, |at, m| at.number("a number such as 0.1", m)),
            horizon: map.field("horizon", mistakes, |at, m| at.duration(m)),
            max_rows: map.field("max_rows", mistakes, |at, m| at.number(rows, m)),
            window_rows: map.field("window_rows", mistakes, |at, m| at.number(rows, m)),
            place: map.place,
        })
    }
}

impl Metric {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let map = at.mapping(&["name", "expression", "where", "min", "max"], mistakes)?;
        let (value, condition) = ("outputs.score > 0.5", "inputs.region == \"EU\"");
        let number = "a number such as 0.2";
        Some(Self {
            name: map.field("name", mistakes, |at, m| at.text("a name such as approval_rate", m)),
            expression: map.field("expression", mistakes, |at, m| at.text(value, m)),
            condition: map.field("where", mistakes, |at, m| at.text(condition, m)),
            min: map.field("min", mistakes, |at, m| at.number(number, m)),
            max: map.field("max", mistakes, |at, m| at.number(number, m)),
            place: map.place,
        })
    }
}

impl Rule {
    fn read(at: &At<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let keys = &[
            "on",
            "verdict",
            "detector",
            "feature",
            "min_effect",
            "min_coverage",
            "min_rows",
            "windows",
            "holds",
            "then",
            "to",
            "where",
            "segment",
            "retry_after",
            "share",
            "expires",
            "cooldown",
            "approval",
        ];
        let map = at.mapping(keys, mistakes)?;
        let number = "a number such as 0.2";
        Some(Self {
            detector: map.field("detector", mistakes, |at, m| at.word(&detectors(), m)),
            feature: map.field("feature", mistakes, |at, m| at.text("the name of a feature", m)),
            min_effect: map.field("min_effect", mistakes, |at, m| at.number(number, m)),
            min_coverage: map.field("min_coverage", mistakes, |at, m| at.number(number, m)),
            min_rows: map.field("min_rows", mistakes, |at, m| at.number("a whole number", m)),
            holds: map.field("holds", mistakes, |at, m| at.word(&SEVERITIES, m)),
            on: map.field("on", mistakes, |at, m| at.word(&kinds(), m)),
            verdict: map.field("verdict", mistakes, |at, m| at.word(&SEVERITIES, m)),
            windows: map.field("windows", mistakes, |at, m| at.number("a whole number", m)),
            then: map.field("then", mistakes, |at, m| at.word(&THEN, m)),
            to: map.field("to", mistakes, |at, m| at.text("the name of a version", m)),
            part: map
                .field("where", mistakes, |at, m| at.text("a segment such as \"age >= 55\"", m)),
            segment: map.field("segment", mistakes, |at, m| at.word(&[("drifted", Drifted)], m)),
            retry_after: map.field("retry_after", mistakes, |at, m| at.duration(m)),
            share: map
                .field("share", mistakes, |at, m| at.number("whole percent from 1 to 100", m)),
            expires: map.field("expires", mistakes, |at, m| at.duration(m)),
            cooldown: map.field("cooldown", mistakes, |at, m| at.duration(m)),
            approval: map.field("approval", mistakes, |at, m| at.word(&APPROVALS, m)),
            place: map.place,
        })
    }
}

fn whole<T>(at: &At<'_>, value: Option<T>) -> Option<Written<T>> {
    value.map(|value| at.written(value))
}
