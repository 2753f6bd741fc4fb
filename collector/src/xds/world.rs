//! The world: what all Envoys should have, and which part of it each gets. A model may be some Envoys'
//! only, by their id, their cluster and their metadata; and an Envoy gets no field that its version does
//! not know. Envoys that get the same share one snapshot, which is made when the first of them asks.
//!
//! It does not know who is connected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::google::protobuf::value::Kind;
use tidegate_contract::plugin::Plugin;

use super::snapshot::{Filter, Generation, Resource, Snapshot, Versioned};
use crate::config::Envoy;
use crate::config::model::Envoys;
use crate::routing::Routing;

/// Characters kept of what an Envoy says of itself.
const MAX_CHARS: usize = 256;
/// Entries kept of its metadata.
const MAX_METADATA: usize = 64;
/// Snapshots that are kept; Envoys of more kinds get theirs made anew each time.
const MAX_KEPT: usize = 1024;
/// The entry of its metadata by which an Envoy says that its filter is a dynamic module, and where it
/// has it.
const MODULE: &str = "tidegate_module";

/// What an Envoy says of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Asker {
    /// Its node id; empty where it has none.
    pub id: String,
    /// Its cluster.
    pub cluster: String,
    /// Its metadata, as far as they are texts.
    pub metadata: BTreeMap<String, String>,
    /// Its version, where it says one: the first two numbers.
    pub version: Option<(u32, u32)>,
}

impl Asker {
    /// What a node says.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let cut = |text: &str| text.chars().take(MAX_CHARS).collect::<String>();
        let fields = node.metadata.iter().flat_map(|metadata| &metadata.fields);
        let texts = fields.filter_map(|(key, value)| match &value.kind {
            Some(Kind::StringValue(text)) => Some((cut(key), cut(text))),
            _ => None,
        });
        let version = match &node.user_agent_version_type {
            Some(UserAgentVersionType::UserAgentBuildVersion(build)) => {
                build.version.as_ref().map(|version| (version.major_number, version.minor_number))
            }
            _ => None,
        };
        Self {
            id: cut(&node.id),
            cluster: cut(&node.cluster),
            metadata: texts.take(MAX_METADATA).collect(),
            version,
        }
    }

    /// Whether an Envoy is one of these.
    #[must_use]
    pub fn is_of(&self, envoys: &Envoys) -> bool {
        let fits = |pattern: &Option<String>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| matches(pattern, text))
        };
        fits(&envoys.id, &self.id)
            && fits(&envoys.cluster, &self.cluster)
            && envoys.metadata.iter().all(|(key, value)| self.metadata.get(key) == Some(value))
    }

    fn generation(&self) -> Generation {
        Generation::of(self.version)
    }

    /// Its filter, where it is a dynamic module: that cannot ask for the node's id, so each Envoy has a
    /// snapshot of its own.
    fn module(&self) -> Option<(String, String)> {
        self.metadata.get(MODULE).map(|path| (path.clone(), self.id.clone()))
    }
}

/// Whether a text is what a pattern says, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Who gets the same: which models, in which words, and of those whose filter is a module, where it is
/// and which node has it.
type Audience = (Vec<bool>, Generation, Option<(String, String)>);

/// Everything, from which each gets its part.
#[derive(Debug)]
pub struct World {
    routings: BTreeMap<String, Routing>,
    table: Plugin,
    /// By model of the table, whose it is.
    envoys: Vec<Envoys>,
    filter: Filter,
    whole: Snapshot,
    kept: Mutex<BTreeMap<Audience, Arc<Snapshot>>>,
}

impl World {
    /// The world of these routings (by model) and this table, of whose models each is of some Envoys.
    #[must_use]
    pub fn of(
        routings: BTreeMap<String, Routing>,
        table: Plugin,
        envoys: Vec<Envoys>,
        envoy: &Envoy,
    ) -> Self {
        let table = sparing(table);
        let filter = Filter::Wasm(envoy.filter.clone());
        let whole = Snapshot::of(&routings, &table, &filter, Generation::Current);
        Self { routings, table, envoys, filter, whole, kept: Mutex::default() }
    }

    /// The routes of each model.
    #[must_use]
    pub fn routings(&self) -> &BTreeMap<String, Routing> {
        &self.routings
    }

    /// A resource as it is where all of it is wanted: another one for some Envoy is another one here.
    #[must_use]
    pub fn whole(&self, resource: Resource) -> &Versioned {
        self.whole.get(resource)
    }

    /// What an Envoy should have.
    #[must_use]
    pub fn snapshot(&self, asker: &Asker) -> Arc<Snapshot> {
        let all = || self.table.models.iter().enumerate();
        let of = |at: usize| self.envoys.get(at).is_none_or(|envoys| asker.is_of(envoys));
        let audience: Audience =
            (all().map(|(at, _)| of(at)).collect(), asker.generation(), asker.module());
        // Held for no longer than it takes to make one; a thread that panicked left it whole.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&audience) {
            return Arc::clone(known);
        }
        let models: Vec<_> =
            all().filter(|(at, _)| of(*at)).map(|(_, model)| model.clone()).collect();
        let names: Vec<&str> = models.iter().map(|model| model.model.as_str()).collect();
        let routings = self.routings.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let routings = routings.map(|(name, routing)| (name.clone(), routing.clone())).collect();
        let table = sparing(Plugin { models, ..self.table.clone() });
        let (table, filter) = match &audience.2 {
            Some((module, node)) => {
                (Plugin { node: node.clone(), ..table }, Filter::Module(module.into()))
            }
            None => (table, self.filter.clone()),
        };
        let made = Arc::new(Snapshot::of(&routings, &table, &filter, audience.1));
        if kept.len() < MAX_KEPT {
            kept.insert(audience, Arc::clone(&made));
        }
        made
    }
}

/// A table that tells the key of sensitive values only where a model of it has some: who may see an
/// Envoy's configuration sees it.
fn sparing(table: Plugin) -> Plugin {
    let contracts = table.models.iter().filter_map(|model| model.contract.as_ref());
    let mut fields = contracts.flat_map(|contract| contract.inputs.iter().chain(&contract.outputs));
    let sensitive = fields.any(|field| field.sensitive.is_some());
    Plugin { sensitive_key: table.sensitive_key.filter(|_| sensitive), ..table }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decision::Action;
    use crate::fixture::{DIVERT, config, decision};

    fn asker(id: &str, zone: &str) -> Asker {
        Asker {
            id: id.to_owned(),
            cluster: "edge".to_owned(),
            metadata: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
            version: Some((1, 40)),
        }
    }

    fn envoys(id: Option<&str>, zone: Option<&str>) -> Envoys {
        let metadata = zone.map(|zone| ("zone".to_owned(), zone.to_owned()));
        Envoys {
            id: id.map(str::to_owned),
            cluster: None,
            metadata: metadata.into_iter().collect(),
        }
    }

    /// Two models, `a` of all Envoys and `b` of some; of `b` something is decided.
    fn world(of_b: Envoys, action: Action) -> World {
        let config = config(DIVERT);
        let model = &config.models[0];
        let mut routings = BTreeMap::new();
        routings.insert("a".to_owned(), Routing::of(model, None, None));
        let decision = decision("d-000001", action);
        routings.insert("b".to_owned(), Routing::of(model, Some(&decision), None));
        let named = |name: &str| {
            let json =
                format!(r#"{{"model":"{name}","route":{{}},"mode":"observe","sample_rate":1.0}}"#);
            serde_json::from_str(&json).expect("a model")
        };
        let table = Plugin { models: vec![named("a"), named("b")], ..Plugin::default() };
        World::of(routings, table, vec![Envoys::default(), of_b], &config.envoy)
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("edge-*", "edge-1", true),
            ("edge-*", "core-1", false),
            ("*", "", true),
            ("*-eu-*", "edge-eu-1", true),
            ("*-eu", "edge-eu-1", false),
            ("edge", "edge-1", false),
            ("a*a", "a", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn each_envoy_gets_its_own_models_and_equal_ones_share_a_snapshot() {
        let world = world(envoys(Some("edge-*"), Some("eu")), Action::Serve);
        let [eu, other_eu, us, core] =
            [("edge-1", "eu"), ("edge-2", "eu"), ("edge-3", "us"), ("core-1", "eu")]
                .map(|(id, zone)| world.snapshot(&asker(id, zone)));
        assert!(Arc::ptr_eq(&eu, &other_eu) && Arc::ptr_eq(&us, &core));
        let runtime = |snapshot: &Snapshot| snapshot.get(Resource::Runtime).version.clone();
        assert_ne!(runtime(&eu), runtime(&us));
        assert_eq!(runtime(&eu), world.whole(Resource::Runtime).version);
    }

    #[test]
    fn a_decision_about_a_model_changes_nothing_for_envoys_that_do_not_serve_it() {
        let before = world(envoys(Some("edge-*"), None), Action::Serve);
        let divert = Action::Divert { to: "v2".to_owned(), segment: None };
        let after = world(envoys(Some("edge-*"), None), divert);
        let differs = |id: &str| {
            let asker = asker(id, "eu");
            let version =
                |world: &World| world.snapshot(&asker).get(Resource::Runtime).version.clone();
            version(&before) != version(&after)
        };
        assert!(differs("edge-1") && !differs("core-1"));
    }

    #[test]
    fn only_an_envoy_whose_own_models_have_sensitive_fields_gets_their_key() {
        let config = config(DIVERT);
        let named = |name: &str, field: &str| {
            let json = format!(
                r#"{{"model":"{name}","route":{{}},"mode":"observe","sample_rate":1.0,
                    "contract":{{"inputs":[{field}]}}}}"#
            );
            serde_json::from_str(&json).expect("a model")
        };
        let plain = named("a", r#"{"name":"age","type":"integer"}"#);
        let sensitive = named("b", r#"{"name":"work","type":"text","sensitive":"hash"}"#);
        let key = Some("0badc0de".to_owned());
        let table =
            Plugin { sensitive_key: key, models: vec![plain, sensitive], ..Plugin::default() };
        let of_b = envoys(Some("edge-*"), None);
        let envoys = vec![Envoys::default(), of_b];
        let world = World::of(BTreeMap::new(), table, envoys, &config.envoy);
        let has_key = |id: &str| {
            let snapshot = world.snapshot(&asker(id, "eu"));
            let told = &snapshot.get(Resource::Extension).any.value;
            told.windows(8).any(|bytes| bytes == b"0badc0de")
        };
        assert!(has_key("edge-1"), "what it hashes is comparable");
        assert!(!has_key("core-1"), "it hashes nothing");
    }

    #[test]
    fn an_envoy_that_has_the_module_is_told_its_id_and_shares_with_none() {
        let world = world(Envoys::default(), Action::Serve);
        let of = |id: &str, module: Option<&str>| {
            let mut asker = asker(id, "eu");
            let module = module.map(|path| (MODULE.to_owned(), path.to_owned()));
            asker.metadata.extend(module);
            world.snapshot(&asker)
        };
        let says = |snapshot: &Snapshot, text: &str| {
            let told = &snapshot.get(Resource::Extension).any.value;
            told.windows(text.len()).any(|bytes| bytes == text.as_bytes())
        };
        let path = "/opt/libtidegate_filter.so";
        let [one, other] = ["edge-1", "edge-2"].map(|id| of(id, Some(path)));
        assert!(says(&one, path) && says(&one, r#""node":"edge-1""#) && !says(&one, "wasm"));
        assert!(says(&other, r#""node":"edge-2""#) && !Arc::ptr_eq(&one, &other));
        assert!(Arc::ptr_eq(&one, &of("edge-1", Some(path))));
        assert!(!says(&of("edge-1", None), "edge-1"), "the other filter asks Envoy");
    }

    #[test]
    fn an_envoy_gets_no_field_that_its_version_does_not_know() {
        let world = world(Envoys::default(), Action::Serve);
        let of = |version| world.snapshot(&Asker { version, ..asker("edge-1", "eu") });
        let known: Vec<_> = [Some((1, 30)), Some((1, 34)), Some((1, 35)), Some((2, 0)), None]
            .map(|version| of(version).get(Resource::Extension).any.value.len())
            .into();
        assert!(known[0] < known[1] && known[1] < known[2], "{known:?}");
        assert_eq!((known[3], known[4]), (known[2], known[0]), "who says nothing gets the least");
    }
}
