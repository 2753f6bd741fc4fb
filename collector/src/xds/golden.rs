//! What Envoys are sent, word by word, in a few situations: each is a file of `tests/golden/`, so that a
//! change of what goes out is seen where it is reviewed.

use std::collections::BTreeMap;
use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::async_data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, data_source,
};
use envoy_types::pb::envoy::extensions::dynamic_modules::v3::DynamicModuleConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::plugin_config::Vm;
use envoy_types::pb::envoy::extensions::wasm::v3::{
    FailurePolicy, PluginConfig, ReloadConfig, VmConfig,
};
use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Duration, StringValue};
use prost::{Message, Name};
use serde_json::{Value, json};
use tidegate_contract::contract::Contract;
use tidegate_contract::order::FixedAnswer;
use tidegate_contract::plugin::{Collector, Plugin};

use super::snapshot::{Resource, Snapshot};
use super::world::{Asker, World};
use crate::config::model::{Envoys, Model};
use crate::decision::{Action, Decision};
use crate::fixture::{DIVERT, config, decision};
use crate::mind::orders::plugin_model;
use crate::routing::Routing;

/// Set to `renew`, it has the files written as they are now.
const VARIABLE: &str = "TIDEGATE_GOLDEN";

fn iris(census: &Model) -> Model {
    let mut iris = Model { name: "iris".to_owned(), ..census.clone() };
    iris.route.path_prefix = Some("/v2/models/iris".to_owned());
    for version in &mut iris.versions {
        version.cluster = version.cluster.replace("census", "iris");
    }
    iris
}

/// What an Envoy of a version is sent while these are in force, one decision a model.
fn sent(decisions: &[Option<Decision>], promoted: Option<&str>, version: (u32, u32)) -> Value {
    sent_to(&Asker { version: Some(version), ..Asker::default() }, decisions, promoted)
}

fn sent_to(asker: &Asker, decisions: &[Option<Decision>], promoted: Option<&str>) -> Value {
    let config = config(DIVERT);
    let census = config.models[0].clone();
    let models = [census.clone(), iris(&census)];
    let contract = Contract::parse(
        r#"{"inputs": [{"name": "age", "type": "integer", "min": 0},
            {"name": "work", "type": "text", "sensitive": "hash"}]}"#,
    );
    let contract = contract.expect("a contract");
    let (mut routings, mut told) = (BTreeMap::new(), Vec::new());
    for (model, decision) in models.iter().zip(decisions) {
        let routing = Routing::of(model, decision.as_ref(), promoted);
        told.push(plugin_model(model, &contract, &routing));
        routings.insert(model.name.clone(), routing);
    }
    let envoys = vec![Envoys::default(); told.len()];
    let table = Plugin {
        collector: Some(Collector::default()),
        sensitive_key: Some("0badc0de".to_owned()),
        models: told,
        ..Plugin::default()
    };
    let world = World::of(routings, table, envoys, &config.envoy);
    in_json(&world.snapshot(asker))
}

fn in_force(action: Action) -> Option<Decision> {
    Some(decision("d-000001", action))
}

/// What an Envoy of today is sent while this is in force for its only model.
fn under(action: Action) -> Value {
    sent(&[in_force(action)], None, (1, 40))
}

fn in_json(snapshot: &Snapshot) -> Value {
    let any = |resource| &snapshot.get(resource).any;
    json!({
        "runtime": runtime(any(Resource::Runtime)),
        "extension": extension(any(Resource::Extension)),
    })
}

fn unpacked<M: Message + Name + Default>(any: &Any) -> M {
    assert_eq!(any.type_url, M::type_url());
    M::decode(any.value.as_slice()).expect("it is what its type says")
}

fn runtime(any: &Any) -> Value {
    let Runtime { name, layer } = unpacked(any);
    let fields = layer.expect("a layer").fields.into_iter().map(|(key, value)| {
        let Some(Kind::NumberValue(number)) = value.kind else { panic!("{key} is no number") };
        (key, number as u32)
    });
    json!({"name": name, "layer": fields.collect::<BTreeMap<String, u32>>()})
}

fn extension(any: &Any) -> Value {
    let TypedExtensionConfig { name, typed_config } = unpacked(any);
    let filter = typed_config.expect("a filter");
    let mut said = if filter.type_url == DynamicModuleFilter::type_url() {
        module(&filter)
    } else {
        wasm(&filter)
    };
    said["name"] = json!(name);
    said
}

fn filename(source: AsyncDataSource) -> String {
    let Some(Specifier::Local(DataSource {
        specifier: Some(data_source::Specifier::Filename(filename)),
        watched_directory: None,
    })) = source.specifier
    else {
        panic!("no file: {source:?}")
    };
    filename
}

fn table(packed: Option<Any>) -> Value {
    let StringValue { value } = unpacked(&packed.expect("a table"));
    serde_json::from_str(&value).expect("a table is JSON")
}

/// Every field by name, so that one which is added cannot go unseen.
fn module(filter: &Any) -> Value {
    let DynamicModuleFilter { dynamic_module_config, filter_name, filter_config, terminal_filter } =
        unpacked(filter);
    let Some(DynamicModuleConfig {
        name,
        do_not_close,
        load_globally: false,
        metrics_namespace,
        module,
        nack_on_cache_miss: false,
    }) = dynamic_module_config
    else {
        panic!("another module: {dynamic_module_config:?}")
    };
    assert!(name.is_empty() && metrics_namespace.is_empty() && !terminal_filter);
    json!({
        "module": {"filename": filename(module.expect("a file")), "do_not_close": do_not_close},
        "filter_name": filter_name,
        "filter_config": table(filter_config),
    })
}

/// The same of the other filter.
#[expect(deprecated, reason = "a field that we must not send is looked at, too")]
fn wasm(filter: &Any) -> Value {
    let Wasm { config } = unpacked(filter);
    let PluginConfig {
        name: plugin,
        root_id,
        vm,
        configuration,
        fail_open,
        failure_policy,
        reload_config,
        capability_restriction_config,
        allow_on_headers_stop_iteration,
    } = config.expect("a plugin");
    let Some(Vm::VmConfig(VmConfig {
        vm_id,
        runtime,
        code: Some(code),
        configuration: None,
        allow_precompiled: false,
        nack_on_code_cache_miss: false,
        environment_variables: None,
        capability_restriction_config: None,
    })) = vm
    else {
        panic!("another VM: {vm:?}")
    };
    assert!(!fail_open && capability_restriction_config.is_none());
    let milliseconds =
        |of: Option<Duration>| of.map(|it| it.seconds * 1000 + i64::from(it.nanos) / 1_000_000);
    let reload = reload_config.map(|ReloadConfig { backoff }| {
        let backoff = backoff.expect("a backoff");
        json!({
            "base_milliseconds": milliseconds(backoff.base_interval),
            "max_milliseconds": milliseconds(backoff.max_interval),
        })
    });
    json!({
        "plugin": plugin,
        "root_id": root_id,
        "vm": {"vm_id": vm_id, "runtime": runtime, "filename": filename(code)},
        "failure_policy": FailurePolicy::try_from(failure_policy).expect("known").as_str_name(),
        "reload_config": reload,
        "allow_on_headers_stop_iteration": allow_on_headers_stop_iteration.map(|it| it.value),
        "configuration": table(configuration),
    })
}

/// Holds what is sent against the file of this name.
fn check(name: &str, sent: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format!("{name}.json"));
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "renew") {
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = serde_json::to_string_pretty(sent).expect("JSON");
        std::fs::write(&file, text + "\n").expect("a file");
    }
    let known = std::fs::read(&file).unwrap_or_default();
    let known: Value = serde_json::from_slice(&known).unwrap_or_default();
    assert!(
        known == *sent,
        "{name}: another configuration goes out than {} says; where that is meant, {VARIABLE}=renew \
         writes it anew, and `git diff` shows what changed. It is now:\n{sent:#}",
        file.display()
    );
}

#[test]
fn without_a_decision_the_primary_serves() {
    check("serve", &sent(&[None], None, (1, 40)));
    check("promoted", &sent(&[None], Some("v3"), (1, 40)));
}

#[test]
fn weights_and_mirrors_are_runtime_keys() {
    let to = |version: &str| version.to_owned();
    check("canary", &under(Action::Canary { to: to("v3"), share: 25, shadow: 20 }));
    check("shadow", &under(Action::Shadow { to: to("v3"), share: 30 }));
    check("divert", &under(Action::Divert { to: to("v2"), segment: None }));
}

#[test]
fn segments_and_blocks_are_the_filters() {
    let segment =
        || Some("age >= 55 and work in [Private, \"Self emp\"]".parse().expect("a segment"));
    check("divert-segment", &under(Action::Divert { to: "v2".to_owned(), segment: segment() }));
    let content_type = "application/json".to_owned();
    let answer = FixedAnswer { status: 200, content_type, body: r#"{"outputs": []}"#.to_owned() };
    let block = |segment, answer| Action::Block { segment, retry_after_seconds: Some(30), answer };
    check("block-segment", &under(block(segment(), Some(answer))));
}

#[test]
fn each_model_has_its_own() {
    let diverted = in_force(Action::Divert { to: "v2".to_owned(), segment: None });
    check("models", &sent(&[diverted, in_force(Action::block())], None, (1, 40)));
}

#[test]
fn an_old_envoy_gets_no_field_that_it_does_not_know() {
    for (name, version) in [("envoy-1-34", (1, 34)), ("envoy-1-32", (1, 32))] {
        check(name, &sent(&[None], None, version));
    }
}

#[test]
fn an_envoy_whose_filter_is_a_module_is_sent_one() {
    let path = "/etc/tidegate/libtidegate_filter.so".to_owned();
    let asker = Asker {
        id: "edge-1".to_owned(),
        metadata: BTreeMap::from([("tidegate_module".to_owned(), path)]),
        version: Some((1, 40)),
        ..Asker::default()
    };
    check("module", &sent_to(&asker, &[None], None));
}

#[test]
fn every_file_is_of_a_situation_that_is_checked() {
    let source = include_str!("golden.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(source.contains(&format!("(\"{name}\"")), "nobody looks at {name}.json");
    }
}
