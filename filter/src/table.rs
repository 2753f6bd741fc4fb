//! The table: which route serves which model, resolved from the plugin's configuration. It does
//! not know how bodies are checked, nor what is done about a breach.

use std::sync::Arc;

use tidegate_contract::contract::Mode;
use tidegate_contract::mistake::Mistake;
use tidegate_contract::plugin::{Collector, Keep, Model, Plugin, Route, Sticky};
use tidegate_contract::protocol::{Call, Protocol, Side, unescaped};
use tidegate_contract::rules::Rules;
use tidegate_contract::sensitive::Key;

use crate::head::RequestHead;
use crate::order::Order;

/// Everything one configuration says. An exchange keeps to the table it began with.
#[derive(Debug, Default)]
pub struct Table {
    /// Where samples go; without it nothing is sampled.
    pub collector: Option<Collector>,
    /// The id of the Envoy, where the configuration says it.
    pub node: String,
    /// Whether it is of a filter before a version, that keeps only the answers of shadows.
    pub shadow: bool,
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
    /// Whether something may be done to a request that breaks the contract: then each one is read.
    pub acts: bool,
    /// Whether a head may have to wait for the verdict on its body.
    pub holds: bool,
    /// The share of exchanges kept.
    pub sample_rate: f64,
    /// Which exchanges are kept whatever the rate.
    pub keep: Keep,
    /// Bytes kept of each body.
    pub max_capture_bytes: usize,
    /// Bytes of samples kept in a second; past it the rate falls.
    pub max_sample_bytes_per_second: Option<u32>,
    /// The key of the hash of sensitive values, where the contract has any.
    pub sensitive: Option<Key>,
    /// What its bodies are held against; without it they are only read.
    pub rules: Option<Arc<Rules>>,
    /// Whether the contract says anything of responses.
    pub checks_responses: bool,
    /// A decision in force that is carried out here, until its end.
    pub order: Option<Order>,
    /// By what a client gets the same version each time.
    pub sticky: Option<Sticky>,
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
        let key = plugin.sensitive_key.as_deref().map(Key::of).unwrap_or_else(Key::random);
        Self {
            collector: plugin.collector,
            node: plugin.node,
            shadow: plugin.shadow,
            asks_route_name: plugin.models.iter().any(|model| model.route.name.is_some()),
            models: plugin.models.into_iter().map(|it| Arc::new(Served::of(it, key))).collect(),
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
    fn of(model: Model, key: Key) -> Self {
        let rules = model.contract.as_ref().map(|contract| Arc::new(Rules::of(contract)));
        let any = |what: fn(Mode) -> bool| {
            rules.as_ref().is_some_and(|rules| rules.modes(model.mode).any(what))
        };
        Self {
            name: model.model.into(),
            acts: any(|mode| mode != Mode::Observe),
            holds: any(|mode| matches!(mode, Mode::Tag | Mode::Divert)),
            sensitive: rules.as_ref().filter(|rules| rules.has_sensitive()).map(|_| key),
            keep: model.keep,
            max_sample_bytes_per_second: model.max_sample_bytes_per_second,
            protocol: model.protocol,
            mode: model.mode,
            sample_rate: model.sample_rate,
            max_capture_bytes: usize::try_from(model.max_capture_bytes).unwrap_or(usize::MAX),
            checks_responses: model.contract.as_ref().is_some_and(|c| !c.outputs.is_empty()),
            rules,
            order: Order::of(model.block, model.divert, model.contract.as_ref()),
            sticky: model.sticky,
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

    /// What a request on this model's route asks; `None` where it asks the model nothing, as
    /// metadata and health do.
    pub fn call(&self, head: &RequestHead) -> Option<Call> {
        self.protocol.call(&head.asks())
    }

    /// The name of a request's field, by its place in the contract.
    pub fn field_name(&self, place: usize) -> &str {
        self.rules.as_ref().map_or("", |rules| rules.field_name(Side::Request, place))
    }

    /// The version that a cluster serves; empty for a cluster that the table does not name.
    pub fn version_of(&self, cluster: Option<&[u8]>) -> Arc<str> {
        self.versions
            .iter()
            .find(|(known, _)| Some(known.as_bytes()) == cluster)
            .map_or_else(|| "".into(), |(_, version)| Arc::clone(version))
    }
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
