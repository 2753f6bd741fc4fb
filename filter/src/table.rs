//! The table: which route serves which model, resolved from the plugin's configuration. It does
//! not know how bodies are checked, nor what is done about a breach.

use std::sync::Arc;

use tidegate_contract::mistake::Mistake;
use tidegate_contract::plugin::{Block, Collector, Mode, Model, Plugin, Route};
use tidegate_contract::protocol::{Protocol, infer_target, unescaped};
use tidegate_contract::rules::Rules;

use crate::head::RequestHead;

/// Everything one configuration says. An exchange keeps to the table it began with.
#[derive(Debug, Default)]
pub struct Table {
    /// Where samples go; without it nothing is sampled.
    pub collector: Option<Collector>,
    models: Vec<Arc<Served>>,
    asks_route_name: bool,
}

/// One model as the filter serves it.
#[derive(Debug)]
pub struct Served {
    /// The model's name.
    pub name: Arc<str>,
    /// How its bodies are written.
    pub protocol: Protocol,
    /// What is done about a breach.
    pub mode: Mode,
    /// The share of exchanges kept.
    pub sample_rate: f64,
    /// Bytes kept of each body.
    pub max_capture_bytes: usize,
    /// What its bodies are held against; without it they are only read.
    pub rules: Option<Arc<Rules>>,
    /// Whether the contract says anything of responses.
    pub checks_responses: bool,
    /// A block in force, until its end.
    pub block: Option<Block>,
    route: Route,
    /// Cluster and version.
    versions: Vec<(String, Arc<str>)>,
}

impl Table {
    /// Reads a configuration. Nothing but blanks is the table without models.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Mistake>> {
        let json = String::from_utf8_lossy(json);
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        Plugin::parse(&json).map(Self::of)
    }

    fn of(plugin: Plugin) -> Self {
        Self {
            collector: plugin.collector,
            asks_route_name: plugin.models.iter().any(|model| model.route.name.is_some()),
            models: plugin.models.into_iter().map(|model| Arc::new(Served::of(model))).collect(),
        }
    }

    /// Whether no exchange can be a model's.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Whether [`Table::find`] needs the name of Envoy's route.
    pub fn asks_route_name(&self) -> bool {
        self.asks_route_name
    }

    /// The first model whose route matches.
    pub fn find(&self, path: &str, route_name: Option<&[u8]>) -> Option<&Arc<Served>> {
        self.models.iter().find(|model| model.matches(path, route_name))
    }
}

impl Served {
    fn of(model: Model) -> Self {
        Self {
            name: model.model.into(),
            protocol: model.protocol,
            mode: model.mode,
            sample_rate: model.sample_rate,
            max_capture_bytes: usize::try_from(model.max_capture_bytes).unwrap_or(usize::MAX),
            checks_responses: model.contract.as_ref().is_some_and(|c| !c.outputs.is_empty()),
            rules: model.contract.as_ref().map(|contract| Arc::new(Rules::of(contract))),
            block: model.block,
            route: model.route,
            versions: model.versions.into_iter().map(|v| (v.cluster, v.version.into())).collect(),
        }
    }

    fn matches(&self, path: &str, route_name: Option<&[u8]>) -> bool {
        let name = self.route.name.as_ref();
        let prefix = self.route.path_prefix.as_ref();
        name.is_none_or(|name| route_name == Some(name.as_bytes()))
            && prefix.is_none_or(|prefix| {
                // By either reading: a contract must not be avoided by an escaped slash.
                is_under(path, prefix)
                    || unescaped(path).is_some_and(|path| is_under(&path, prefix))
            })
    }

    /// Whether a request on this model's route asks the model something. Metadata and health do
    /// not.
    pub fn is_inference(&self, head: &RequestHead) -> bool {
        match self.protocol {
            Protocol::Oip => infer_target(&head.method, &head.path).is_some(),
            // gRPC and forms come by POST too, and are not JSON.
            Protocol::Json => {
                matches!(head.method.as_str(), "POST" | "PUT" | "PATCH")
                    && !foreign(&head.content_type)
            }
        }
    }

    /// The version that a cluster serves; empty for a cluster that the table does not name.
    pub fn version_of(&self, cluster: Option<&[u8]>) -> Arc<str> {
        self.versions
            .iter()
            .find(|(known, _)| Some(known.as_bytes()) == cluster)
            .map_or_else(|| "".into(), |(_, version)| Arc::clone(version))
    }
}

/// Whether a body says of itself that it is written in another way than JSON.
fn foreign(content_type: &str) -> bool {
    let starts = |with: &str| {
        content_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    starts("application/grpc") || starts("multipart/")
}

/// Whether the path is the prefix or lies below it; `/a/census2` is not below `/a/census`, but
/// `/a/census:predict` is.
fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| {
        prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?', '#', ':'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(models: &str) -> Table {
        Table::parse(format!(r#"{{"models":[{models}]}}"#).as_bytes()).unwrap()
    }

    fn model(name: &str, route: &str) -> String {
        format!(
            r#"{{"model":"{name}","route":{route},"protocol":"oip","mode":"observe",
                "sample_rate":1.0,"versions":[{{"version":"v1","cluster":"c-1"}}]}}"#
        )
    }

    fn found<'a>(table: &'a Table, path: &str, route: Option<&str>) -> Option<&'a str> {
        table.find(path, route.map(str::as_bytes)).map(|model| &*model.name)
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let table = table(&model("census", r#"{"path_prefix":"/v2/models/census"}"#));
        assert_eq!(found(&table, "/v2/models/census/infer", None), Some("census"));
        assert_eq!(found(&table, "/v2/models/census?x", None), Some("census"));
        assert_eq!(found(&table, "/v2/models/census2/infer", None), None);
    }

    #[test]
    fn name_and_prefix_must_both_match_and_the_first_match_wins() {
        let table = table(&format!(
            "{},{}",
            model("a", r#"{"name":"r","path_prefix":"/v2"}"#),
            model("b", r#"{"path_prefix":"/v2"}"#)
        ));
        assert!(table.asks_route_name());
        assert_eq!(found(&table, "/v2/x", Some("r")), Some("a"));
        assert_eq!(found(&table, "/v2/x", Some("other")), Some("b"));
        assert_eq!(found(&table, "/v2/x", None), Some("b"));
    }

    #[test]
    fn a_cluster_names_its_version_and_a_stranger_none() {
        let table = table(&model("m", "{}"));
        let served = table.find("/", None).unwrap();
        assert_eq!(&*served.version_of(Some(b"c-1")), "v1");
        assert_eq!(&*served.version_of(Some(b"c-2")), "");
        assert_eq!(&*served.version_of(None), "");
    }

    #[test]
    fn no_configuration_means_no_models() {
        assert!(Table::parse(b" ").unwrap().is_empty());
        assert!(Table::parse(b"{}").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_configuration_says_why() {
        assert!(!Table::parse(br#"{"modells":[]}"#).unwrap_err().is_empty());
        assert!(!Table::parse(&[0xff]).unwrap_err().is_empty());
    }
}
