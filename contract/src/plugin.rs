//! The filter's configuration, as the collector writes it and the filter reads it: which route
//! serves which model, by which contract, and what is done about a breach. It does not act on it.

use std::collections::HashSet;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{Contract, Mode, join};
use crate::mistake::{Fault, Mistake};
use crate::order::{Block, Divert};
use crate::protocol::Protocol;

/// The request header in which the filter says which percent a client is in, where a model is
/// sticky; Envoy's weighted clusters take it instead of a random number.
pub const BUCKET_HEADER: &str = "x-tidegate-bucket";

/// The whole table one filter works by.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Where samples go; without it nothing is shipped.
    #[serde(default)]
    pub collector: Option<Collector>,
    /// The key of the hash that takes the place of sensitive values. Proxies that share it hash
    /// alike; without it, hashes of different proxies cannot be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive_key: Option<String>,
    /// The id of the Envoy that it is for, where its filter cannot ask for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Whether the filter stands in a cluster, before a version, instead of before the routes: then
    /// it only keeps the answers to mirrored requests, by the table of the filter before the
    /// routes, and has no collector and no models of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shadow: bool,
    /// The models, tried in order; the first whose route matches takes the exchange.
    #[serde(default)]
    pub models: Vec<Model>,
}

impl Plugin {
    /// Reads the configuration from JSON and checks it.
    ///
    /// # Errors
    /// All mistakes at once. A model that cannot be read at all tells only its first, and those of
    /// its contract.
    pub fn parse(json: &str) -> Result<Self, Vec<Mistake>> {
        let value = serde_json::from_str(json).map_err(|error| vec![unreadable("", &error)])?;
        let Value::Object(keys) = value else {
            return Err(vec![unreadable("", &"is not an object")]);
        };
        let mut mistakes = Vec::new();
        let mut plugin = Self::default();
        for (key, value) in keys {
            match (key.as_str(), value) {
                ("collector" | "models" | "sensitive_key", Value::Null) => {}
                ("sensitive_key", Value::String(key)) => {
                    if key.is_empty() {
                        mistakes.push(Mistake::new("sensitive_key", Fault::Empty));
                    }
                    plugin.sensitive_key = Some(key);
                }
                ("sensitive_key", _) => {
                    mistakes.push(unreadable("sensitive_key", &"is not a text"));
                }
                ("node", Value::String(node)) => plugin.node = node,
                ("node", _) => mistakes.push(unreadable("node", &"is not a text")),
                ("shadow", Value::Bool(shadow)) => plugin.shadow = shadow,
                ("shadow", _) => mistakes.push(unreadable("shadow", &"is neither true nor false")),
                ("collector", value @ Value::Object(_)) => {
                    match serde_json::from_value::<Collector>(value) {
                        Ok(collector) => {
                            collector.mistakes(&mut mistakes);
                            plugin.collector = Some(collector);
                        }
                        Err(error) => mistakes.push(unreadable("collector", &error)),
                    }
                }
                ("models", Value::Array(values)) => {
                    plugin.models = models(values, &mut mistakes);
                }
                ("collector", _) => mistakes.push(unreadable("collector", &"is not an object")),
                ("models", _) => mistakes.push(unreadable("models", &"is not a list")),
                _ => mistakes.push(Mistake::new(
                    key,
                    Fault::UnknownKey("`collector`, `models`, `node`, `sensitive_key`, `shadow`"),
                )),
            }
        }
        if mistakes.is_empty() { Ok(plugin) } else { Err(mistakes) }
    }
}

fn unreadable(place: &str, why: &dyn Display) -> Mistake {
    Mistake::new(place, Fault::Unreadable(why.to_string()))
}

fn models(values: Vec<Value>, mistakes: &mut Vec<Mistake>) -> Vec<Model> {
    let mut names = HashSet::new();
    let mut models = Vec::new();
    for (index, mut value) in values.into_iter().enumerate() {
        let place = format!("models[{index}]");
        // Serde would read a list as the keys in their order.
        if !value.is_object() {
            mistakes.push(unreadable(&place, &"is not an object"));
            continue;
        }
        // The contract is read by itself, so that its mistakes have places.
        let contract = value.as_object_mut().and_then(|keys| keys.remove("contract"));
        let contract = contract.filter(|contract| !contract.is_null()).and_then(|contract| {
            Contract::from_value(contract, &join(&place, "contract"))
                .map_err(|found| mistakes.extend(found))
                .ok()
        });
        match serde_json::from_value::<Model>(value) {
            Ok(model) => {
                model.mistakes(&place, mistakes);
                if !names.insert(model.model.clone()) {
                    let fault = Fault::Twice(model.model.clone());
                    mistakes.push(Mistake::new(join(&place, "model"), fault));
                }
                models.push(Model { contract, ..model });
            }
            Err(error) => mistakes.push(unreadable(&place, &error)),
        }
    }
    models
}

impl Collector {
    fn mistakes(&self, mistakes: &mut Vec<Mistake>) {
        not_empty("collector.cluster", &self.cluster, mistakes);
        not_zero("collector.timeout_milliseconds", self.timeout_milliseconds, mistakes);
        not_zero("collector.max_batches_in_flight", self.max_batches_in_flight, mistakes);
        not_zero("collector.max_batch_bytes", self.max_batch_bytes, mistakes);
        not_zero("collector.max_buffer_bytes", self.max_buffer_bytes, mistakes);
    }
}

impl Model {
    fn mistakes(&self, place: &str, mistakes: &mut Vec<Mistake>) {
        not_empty(&join(place, "model"), &self.model, mistakes);
        if !(0.0..=1.0).contains(&self.sample_rate) {
            let fault = Fault::OutOfRange { value: self.sample_rate, least: 0.0, most: 1.0 };
            mistakes.push(Mistake::new(join(place, "sample_rate"), fault));
        }
        not_zero(&join(place, "max_capture_bytes"), self.max_capture_bytes, mistakes);
        if let Some(bytes) = self.max_sample_bytes_per_second {
            not_zero(&join(place, "max_sample_bytes_per_second"), bytes, mistakes);
        }
        if let Some(confidence) = &self.keep.low_confidence {
            not_empty(&join(place, "keep.low_confidence.output"), &confidence.output, mistakes);
        }
        if let Some(block) = &self.block {
            block.mistakes(&join(place, "block"), mistakes);
        }
        if let Some(divert) = &self.divert {
            not_empty(&join(place, "divert.cluster"), &divert.cluster, mistakes);
        }
        let mut names = HashSet::new();
        for (index, version) in self.versions.iter().enumerate() {
            let place = format!("{place}.versions[{index}]");
            not_empty(&join(&place, "version"), &version.version, mistakes);
            not_empty(&join(&place, "cluster"), &version.cluster, mistakes);
            if !names.insert(&version.version) {
                let fault = Fault::Twice(version.version.clone());
                mistakes.push(Mistake::new(join(&place, "version"), fault));
            }
        }
    }
}

fn not_empty(place: &str, name: &str, mistakes: &mut Vec<Mistake>) {
    if name.is_empty() {
        mistakes.push(Mistake::new(place, Fault::Empty));
    }
}

fn not_zero(place: &str, bound: u32, mistakes: &mut Vec<Mistake>) {
    if bound == 0 {
        let fault = Fault::OutOfRange { value: 0.0, least: 1.0, most: u32::MAX.into() };
        mistakes.push(Mistake::new(place, fault));
    }
}

/// How batches reach the collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collector {
    /// Envoy's cluster for the collector's gRPC intake.
    pub cluster: String,
    /// After how long a batch counts as lost.
    pub timeout_milliseconds: u32,
    /// Batches in flight for each worker.
    pub max_batches_in_flight: u32,
    /// Bytes of one batch.
    pub max_batch_bytes: u32,
    /// Bytes of samples that wait in one worker; past it the oldest are dropped and counted.
    pub max_buffer_bytes: u32,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            cluster: "tidegate_collector".to_owned(),
            timeout_milliseconds: 1000,
            max_batches_in_flight: 2,
            max_batch_bytes: 1 << 20,
            max_buffer_bytes: 4 << 20,
        }
    }
}

/// Bytes of a header's name.
const MAX_HEADER_BYTES: usize = 128;

/// One model behind one or more routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name in Tidegate.
    pub model: String,
    /// How its exchanges are recognised.
    pub route: Route,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// What is done about a breach.
    pub mode: Mode,
    /// The share of exchanges that are kept, from 0 to 1.
    pub sample_rate: f64,
    /// Bytes kept of each body.
    #[serde(default = "capture_bytes")]
    pub max_capture_bytes: u32,
    /// Bytes of samples that each worker keeps in a second; past it the rate falls until they are
    /// met. Without it, as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sample_bytes_per_second: Option<u32>,
    /// Exchanges that are kept whatever the rate.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: Keep,
    /// By what a client gets the same version each time while several answer; without it, chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Which Envoy cluster is which version.
    #[serde(default)]
    pub versions: Vec<Version>,
    /// What requests and responses must look like; without it nothing is checked.
    #[serde(default)]
    pub contract: Option<Contract>,
    /// A block in force: requests are answered without asking the model.
    #[serde(default)]
    pub block: Option<Block>,
    /// A divert of a segment in force: its requests go to another version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divert: Option<Divert>,
}

/// Which exchanges are kept whatever the rate. Their weight is 1, so that nothing is biased by it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Those that broke the contract, in the request or in the response.
    pub violations: bool,
    /// Those answered with a status of 500 or more, or not at all.
    pub errors: bool,
    /// Those that took longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slower_than_milliseconds: Option<u32>,
    /// Those whose model was not sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_confidence: Option<LowConfidence>,
}

/// When a model was not sure: the largest value of an output, in one of the rows, is small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowConfidence {
    /// The output's name.
    pub output: String,
    /// Below which value.
    pub below: f64,
}

impl Keep {
    /// Whether any exchange may be kept that the rate does not keep.
    pub fn is_any(&self) -> bool {
        self.violations
            || self.errors
            || self.slower_than_milliseconds.is_some()
            || self.low_confidence.is_some()
    }
}

fn is_default<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

/// How an exchange is recognised as a model's. What is given must match; nothing given matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name of Envoy's route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The start of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
}

/// By what a client is known, where it should get the same version each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// The value of this header, in lower case.
    Header(String),
    /// Its address.
    Client,
}

impl std::str::FromStr for Sticky {
    type Err = ();

    /// Reads `client`, or `header:` and a name.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "client" {
            return Ok(Self::Client);
        }
        let name = text.strip_prefix("header:").ok_or(())?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let good = (1..=MAX_HEADER_BYTES).contains(&name.len()) && name.bytes().all(token);
        if good { Ok(Self::Header(name.to_ascii_lowercase())) } else { Err(()) }
    }
}

/// One version of a model: the cluster that serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The version's name.
    pub version: String,
    /// Envoy's cluster.
    pub cluster: String,
}

fn capture_bytes() -> u32 {
    64 << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "collector": {"cluster": "c"},
        "models": [{
            "model": "census", "route": {"path_prefix": "/v2/models/census"}, "protocol": "oip",
            "mode": "enforce", "sample_rate": 0.5,
            "versions": [{"version": "v1", "cluster": "census-v1"}],
            "contract": {"inputs": [{"name": "age", "type": "integer"}]}
        }]
    }"#;

    fn places(json: &str) -> Vec<String> {
        Plugin::parse(json)
            .map_or_else(|found| found.into_iter().map(|it| it.place).collect(), |_| Vec::new())
    }

    #[test]
    fn what_the_collector_writes_is_what_the_filter_reads() {
        let plugin = Plugin::parse(GOOD).expect("good");
        assert_eq!(plugin.models[0].contract.as_ref().map(|it| it.inputs.len()), Some(1));
        assert_eq!(plugin.models[0].max_capture_bytes, 64 << 10);
        let written = serde_json::to_string(&plugin).expect("writes");
        assert_eq!(Plugin::parse(&written), Ok(plugin));
        assert!(Plugin::parse("{}").is_ok());
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_places() {
        let found = places(
            r#"{
            "collector": {"cluster": "", "max_batch_bytes": 0},
            "models": [
                {"model": "a", "route": {}, "protocol": "oip", "mode": "tag", "sample_rate": 1.5,
                 "max_capture_bytes": 0,
                 "versions": [{"version": "1", "cluster": "x"}, {"version": "1", "cluster": ""}],
                 "contract": {"inputs": [{"name": "n", "type": "text", "max": 3}]}},
                {"model": "a", "route": {}, "protocol": "json", "mode": "observe",
                 "sample_rate": 0},
                {"model": "b", "route": {}, "protocol": "grpc", "mode": "observe",
                 "sample_rate": 0}
            ],
            "more": 1
        }"#,
        );
        assert_eq!(
            found,
            [
                "collector.cluster",
                "collector.max_batch_bytes",
                "models[0].contract.inputs[0].max",
                "models[0].sample_rate",
                "models[0].max_capture_bytes",
                "models[0].versions[1].cluster",
                "models[0].versions[1].version",
                "models[1].model",
                "models[2]",
                "more",
            ]
        );
    }

    #[test]
    fn orders_are_bounded_and_written_as_they_are_read() {
        let with = |orders: &str| GOOD.replace("\"mode\"", &format!("{orders}, \"mode\""));
        let plugin = Plugin::parse(&with(
            r#""block": {"decision": "d", "reason": "r", "until_unix_seconds": 9,
                "segment": "age >= 55", "retry_after_seconds": 30,
                "answer": {"status": 200, "content_type": "text/plain", "body": "later"}},
              "divert": {"decision": "e", "cluster": "c2", "until_unix_seconds": 9,
                "segment": "header:x-client = acme"}"#,
        ))
        .expect("good");
        let written = serde_json::to_string(&plugin).expect("writes");
        assert_eq!(Plugin::parse(&written), Ok(plugin));
        let long = "x".repeat(17_000);
        let bad = with(&format!(
            r#""block": {{"decision": "d", "reason": "r", "until_unix_seconds": 9,
                "retry_after_seconds": 0,
                "answer": {{"status": 99, "content_type": "a\nb", "body": "{long}"}}}}"#
        ));
        assert_eq!(
            places(&bad),
            [
                "models[0].block.retry_after_seconds",
                "models[0].block.answer.status",
                "models[0].block.answer.content_type",
                "models[0].block.answer.body",
            ]
        );
        let crossed = with(
            r#""divert": {"decision": "e", "cluster": "c2", "until_unix_seconds": 9,
                "segment": "age >"}"#,
        );
        assert_eq!(places(&crossed), ["models[0]"]);
    }

    #[test]
    fn what_is_no_configuration_says_so() {
        for json in ["", "[]", "3", r#"{"models": {}}"#, r#"{"collector": []}"#] {
            assert!(Plugin::parse(json).is_err(), "{json}");
        }
    }
}
