//! A snapshot: the two resources that every Envoy gets, runtime keys (RTDS) and the filter's
//! configuration (ECDS), each with a version that follows from its content. This file is the only
//! one that builds Envoy's messages. It does not know who is connected.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use envoy_types::pb::envoy::config::core::v3::{
    AsyncDataSource, BackoffStrategy, DataSource, TypedExtensionConfig, async_data_source,
    data_source,
};
use envoy_types::pb::envoy::extensions::dynamic_modules::v3::DynamicModuleConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::{
    FailurePolicy, PluginConfig, ReloadConfig, VmConfig, plugin_config,
};
use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::{
    Any, BoolValue, Duration, StringValue, Struct, Value, value,
};
use prost::{Message, Name};
use tidegate_contract::plugin::Plugin;

use crate::routing::Routing;

/// The name of the runtime layer and of the filter, as `envoy/bootstrap.yaml` asks for them.
pub const RESOURCE: &str = "tidegate";

/// The kinds of resource that are served, in the order in which they are pushed: the filter's
/// table goes out before the weights, though nothing waits for its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The filter's configuration.
    Extension,
    /// Runtime keys.
    Runtime,
}

impl Resource {
    /// Both, in the order in which they are pushed.
    pub const ALL: [Self; 2] = [Self::Extension, Self::Runtime];

    /// The type URL Envoy asks by.
    #[must_use]
    pub fn type_url(self) -> String {
        match self {
            Self::Extension => TypedExtensionConfig::type_url(),
            Self::Runtime => Runtime::type_url(),
        }
    }

    /// The resource behind a type URL.
    #[must_use]
    pub fn of_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.type_url() == url)
    }
}

/// Which fields an Envoy knows, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// Before 1.33, or unknown: a VM that died is not started anew by a field of ours.
    Old,
    /// From 1.33 on, which starts a VM that died anew.
    Reloads,
    /// From 1.35 on, in which a filter may hold a head back.
    Current,
}

impl Generation {
    /// Of a version; one that is not told knows the least.
    #[must_use]
    pub fn of(version: Option<(u32, u32)>) -> Self {
        match version {
            Some(version) if version >= (1, 35) => Self::Current,
            Some(version) if version >= (1, 33) => Self::Reloads,
            _ => Self::Old,
        }
    }
}

/// What the filter is, by its path as Envoy's own machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// WebAssembly.
    Wasm(PathBuf),
    /// A dynamic module.
    Module(PathBuf),
}

/// One resource as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned {
    /// Follows from the content: the same content has the same version after a restart.
    pub version: String,
    /// The resource, packed.
    pub any: Any,
}

/// What every Envoy should have.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    extension: Versioned,
    runtime: Versioned,
    /// What both are made of.
    routings: BTreeMap<String, Routing>,
    table: Plugin,
    filter: Filter,
    generation: Generation,
}

impl Snapshot {
    /// The resources for these routings (by model) and this table of the filter, in the fields that
    /// Envoys of this generation know.
    #[must_use]
    pub fn of(
        routings: &BTreeMap<String, Routing>,
        plugin: &Plugin,
        filter: &Filter,
        generation: Generation,
    ) -> Self {
        Self {
            extension: extension(plugin, filter, generation),
            runtime: runtime(routings),
            routings: routings.clone(),
            table: plugin.clone(),
            filter: filter.clone(),
            generation,
        }
    }

    /// The same for the same Envoys, with other routes of its models.
    #[must_use]
    pub fn with(&self, routings: &BTreeMap<String, Routing>) -> Self {
        let mut table = self.table.clone();
        for model in &mut table.models {
            if let Some(routing) = routings.get(&model.model) {
                model.block.clone_from(&routing.block);
                model.divert.clone_from(&routing.divert);
            }
        }
        Self::of(routings, &table, &self.filter, self.generation)
    }

    /// The routes that it carries, by model.
    #[must_use]
    pub fn routings(&self) -> &BTreeMap<String, Routing> {
        &self.routings
    }

    /// One of the resources.
    #[must_use]
    pub fn get(&self, resource: Resource) -> &Versioned {
        match resource {
            Resource::Extension => &self.extension,
            Resource::Runtime => &self.runtime,
        }
    }
}

fn runtime(routings: &BTreeMap<String, Routing>) -> Versioned {
    let mut keys = BTreeMap::new();
    for (model, routing) in routings {
        for (cluster, weight) in &routing.weights {
            keys.insert(format!("{RESOURCE}.{model}.{cluster}"), *weight);
        }
        for (cluster, share) in &routing.mirrors {
            keys.insert(format!("{RESOURCE}.{model}.mirror.{cluster}"), *share);
        }
    }
    let version = version(&keys);
    let fields = keys.into_iter().map(|(key, percent)| {
        (key, Value { kind: Some(value::Kind::NumberValue(f64::from(percent))) })
    });
    let layer = Struct { fields: fields.collect() };
    let runtime = Runtime { name: RESOURCE.to_owned(), layer: Some(layer) };
    Versioned { version, any: pack(&runtime) }
}

fn extension(plugin: &Plugin, filter: &Filter, generation: Generation) -> Versioned {
    let table = serde_json::to_string(plugin).expect("a plugin's table has only string keys");
    let table = pack(&StringValue { value: table });
    let typed_config = match filter {
        Filter::Wasm(path) => pack(&wasm(table, path, generation)),
        Filter::Module(path) => pack(&module(table, path)),
    };
    let named =
        TypedExtensionConfig { name: RESOURCE.to_owned(), typed_config: Some(typed_config) };
    let any = pack(&named);
    Versioned { version: version(&any.value), any }
}

fn wasm(table: Any, path: &Path, generation: Generation) -> Wasm {
    let backoff = BackoffStrategy {
        base_interval: Some(milliseconds(10)),
        max_interval: Some(milliseconds(100)),
    };
    let (reloads, holds) = (generation >= Generation::Reloads, generation >= Generation::Current);
    // All but the table must be as in `envoy/bootstrap.yaml`: only then does the configuration find
    // the VM that runs already, with the samples that wait in it.
    Wasm {
        config: Some(PluginConfig {
            name: RESOURCE.to_owned(),
            root_id: RESOURCE.to_owned(),
            configuration: Some(table),
            failure_policy: if reloads {
                FailurePolicy::FailReload.into()
            } else {
                FailurePolicy::Unspecified.into()
            },
            reload_config: reloads.then_some(ReloadConfig { backoff: Some(backoff) }),
            allow_on_headers_stop_iteration: holds.then_some(BoolValue { value: true }),
            vm: Some(plugin_config::Vm::VmConfig(VmConfig {
                vm_id: RESOURCE.to_owned(),
                runtime: "envoy.wasm.runtime.v8".to_owned(),
                code: Some(local(path)),
                ..VmConfig::default()
            })),
            ..PluginConfig::default()
        }),
    }
}

fn module(table: Any, path: &Path) -> DynamicModuleFilter {
    DynamicModuleFilter {
        dynamic_module_config: Some(DynamicModuleConfig {
            module: Some(local(path)),
            // Its code is there for as long as a thread of its own may run.
            do_not_close: true,
            ..DynamicModuleConfig::default()
        }),
        filter_name: RESOURCE.to_owned(),
        filter_config: Some(table),
        ..DynamicModuleFilter::default()
    }
}

fn local(path: &Path) -> AsyncDataSource {
    let file = data_source::Specifier::Filename(path.display().to_string());
    let source = DataSource { specifier: Some(file), ..DataSource::default() };
    AsyncDataSource { specifier: Some(async_data_source::Specifier::Local(source)) }
}

fn milliseconds(milliseconds: i32) -> Duration {
    Duration { seconds: 0, nanos: milliseconds * 1_000_000 }
}

fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A version that follows from the content. Not a secret and not a promise across builds: a new
/// build that hashes differently only costs one push of the same content.
fn version(content: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
