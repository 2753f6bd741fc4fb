//! `tidegate export`: the weights, mirrors and the filter's configuration of models as fragments for a
//! control plane of the user's own: Envoy, Istio, or the Gateway API. It sends nothing anywhere.
//!
//! Fields: Envoy's `config.route.v3.Route`; Istio's VirtualService (`networking.istio.io/v1`) and
//! WasmPlugin (`extensions.istio.io/v1alpha1`), <https://istio.io/latest/docs/reference/config/>; the
//! Gateway API's HTTPRoute (`gateway.networking.k8s.io/v1`, `percent` of a mirror by GEP-3171).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use tidegate_contract::plugin::{BUCKET_HEADER, Collector, Plugin};

use crate::client::{Client, ClientError};
use crate::config::Config;
use crate::config::mistake::ConfigError;
use crate::mind::Subject;
use crate::mind::orders::plugin_model;
use crate::routing::Routing;
use crate::serve::{self, ServeError};
use crate::xds::snapshot::RESOURCE;

/// Print weights, mirrors and the filter's configuration for a control plane of your own.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Examples:
  tidegate export -c tidegate.yaml
  tidegate export -c tidegate.yaml --as gateway-api --api http://127.0.0.1:7071 | kubectl apply -f -

Without --api the primary versions serve; with it, what is decided now holds. The key of sensitive values is
never printed: without it each proxy hashes by a key of its own.")]
pub struct ExportArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "tidegate.yaml")]
    pub config: PathBuf,
    /// Of this model only
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// For whom: envoy, istio or gateway-api
    #[arg(long = "as", value_name = "WHOM", default_value = "envoy", value_parser = whom)]
    pub whom: Whom,
    /// A running collector, whose decisions hold
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// The hosts of a VirtualService
    #[arg(long, value_name = "HOST", default_value = "*")]
    pub host: String,
    /// The gateway that an HTTPRoute belongs to
    #[arg(long, value_name = "NAME", default_value = "gateway")]
    pub gateway: String,
    /// The port of the versions' services in Kubernetes
    #[arg(long, value_name = "PORT", default_value_t = 80)]
    pub port: u16,
}

/// For whom the fragments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Routes and the filter of an Envoy.
    Envoy,
    /// A VirtualService, and a WasmPlugin.
    Istio,
    /// HTTPRoutes.
    GatewayApi,
}

fn whom(text: &str) -> Result<Whom, String> {
    match text {
        "envoy" => Ok(Whom::Envoy),
        "istio" => Ok(Whom::Istio),
        "gateway-api" => Ok(Whom::GatewayApi),
        _ => Err("neither envoy nor istio nor gateway-api".to_owned()),
    }
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum ExportError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the configuration has no model {wanted}; there are {known}")]
    NoModel { wanted: String, known: String },
    #[error(
        "models.{0}.route has a name and no path_prefix, and {1} needs one; add `path_prefix` to the route"
    )]
    NoPath(String, &'static str),
    #[error("cannot write to standard output: {0}")]
    Write(#[from] std::io::Error),
}

/// One model and its routes.
struct Routed {
    subject: Subject,
    routing: Routing,
}

/// Prints the fragments.
///
/// # Errors
/// When the configuration, the profiles or the collector cannot be read.
pub fn run(args: &ExportArgs, out: &mut dyn Write) -> Result<(), ExportError> {
    let config = Config::read(&args.config)?;
    let now = args.api.as_deref().map(|api| Client::new(api).status()).transpose()?;
    let asked = |name: &str| args.model.as_ref().is_none_or(|model| model == name);
    let mut routed = Vec::new();
    for subject in serve::subjects(&config)? {
        if !asked(&subject.model.name) {
            continue;
        }
        let status = now.as_ref().and_then(|status| {
            status.models.iter().find(|model| model.model == subject.model.name)
        });
        let decision = status.and_then(|status| status.decision.as_ref());
        let promoted = status.map(|status| status.primary.as_str());
        let routing = Routing::of(&subject.model, decision, promoted);
        routed.push(Routed { subject, routing });
    }
    if let (Some(wanted), true) = (&args.model, routed.is_empty()) {
        let known: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
        let (wanted, known) = (wanted.clone(), known.join(", "));
        return Err(ExportError::NoModel { wanted, known });
    }
    let documents = match args.whom {
        Whom::Envoy => vec![envoy(&config, &routed)],
        Whom::Istio => istio(args, &config, &routed)?,
        Whom::GatewayApi => gateway(args, &routed)?,
    };
    for document in documents {
        writeln!(out, "---\n{}", yaml(&document))?;
    }
    Ok(())
}

/// The filter's table of these models.
fn table(config: &Config, routed: &[Routed]) -> Plugin {
    let cluster = config.envoy.collector_cluster.clone();
    let models = routed.iter().map(|Routed { subject, routing }| {
        plugin_model(&subject.model, &subject.contract, routing)
    });
    Plugin {
        collector: Some(Collector { cluster, ..Collector::default() }),
        models: models.collect(),
        ..Plugin::default()
    }
}

fn envoy(config: &Config, routed: &[Routed]) -> Value {
    let routes = routed.iter().map(|Routed { subject, routing }| {
        let model = &subject.model;
        let matched = match model.route.path_prefix.as_deref() {
            None => json!({"prefix": "/"}),
            Some(path) if path.ends_with('/') => json!({"prefix": path}),
            Some(path) => json!({"path_separated_prefix": path}),
        };
        let weights = routing.weights.iter();
        let clusters: Vec<Value> =
            weights.map(|(name, weight)| json!({"name": name, "weight": weight})).collect();
        let mut weighted = json!({
            "runtime_key_prefix": format!("{RESOURCE}.{}", model.name),
            "clusters": clusters,
        });
        if model.sticky.is_some() {
            weighted["header_name"] = json!(BUCKET_HEADER);
        }
        let mirrors: Vec<Value> = routing
            .mirrors
            .iter()
            .map(|(cluster, percent)| {
                json!({"cluster": cluster, "runtime_fraction": {
                    "default_value": {"numerator": percent, "denominator": "HUNDRED"},
                    "runtime_key": format!("{RESOURCE}.{}.mirror.{cluster}", model.name)}})
            })
            .collect();
        let name = model.route.name.as_ref().unwrap_or(&model.name);
        json!({"name": name, "match": matched,
            "route": {"weighted_clusters": weighted, "request_mirror_policies": mirrors}})
    });
    let routes: Vec<Value> = routes.collect();
    let table = serde_json::to_string(&table(config, routed)).unwrap_or_default();
    let filter = json!({"name": RESOURCE, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": RESOURCE,
            "root_id": RESOURCE,
            "failure_policy": "FAIL_RELOAD",
            "reload_config": {"backoff": {"base_interval": "0.01s", "max_interval": "0.1s"}},
            "allow_on_headers_stop_iteration": true,
            "vm_config": {
                "vm_id": RESOURCE,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": config.envoy.filter.display().to_string()}}},
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": table}}}});
    json!({"routes": routes, "http_filters": [filter]})
}

/// Versions that get any of the requests, with their percent.
fn shares(weights: &BTreeMap<String, u32>) -> impl Iterator<Item = (&String, &u32)> {
    weights.iter().filter(|(_, percent)| **percent > 0)
}

fn path<'a>(routed: &'a Routed, whom: &'static str) -> Result<&'a str, ExportError> {
    let model = &routed.subject.model;
    let path = model.route.path_prefix.as_deref();
    path.ok_or_else(|| ExportError::NoPath(model.name.clone(), whom))
}

fn istio(args: &ExportArgs, config: &Config, routed: &[Routed]) -> Result<Vec<Value>, ExportError> {
    let destination = |host: &String| json!({"host": host, "port": {"number": args.port}});
    let mut http = Vec::new();
    for one in routed {
        let route: Vec<Value> = shares(&one.routing.weights)
            .map(|(host, weight)| json!({"destination": destination(host), "weight": weight}))
            .collect();
        let mut rule = json!({
            "name": one.subject.model.name,
            "match": [{"uri": {"prefix": path(one, "Istio")?}}],
            "route": route,
        });
        let mirrors: Vec<Value> = shares(&one.routing.mirrors)
            .map(|(host, percent)| {
                json!({"destination": destination(host), "percentage": {"value": percent}})
            })
            .collect();
        if !mirrors.is_empty() {
            rule["mirrors"] = json!(mirrors);
        }
        http.push(rule);
    }
    let service = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": RESOURCE},
        "spec": {"hosts": [args.host], "http": http},
    });
    let plugin = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": RESOURCE},
        // Without this Istio answers 503 for ever once a VM died.
        "spec": {"url": format!("file://{}", config.envoy.filter.display()),
            "failStrategy": "FAIL_OPEN", "pluginName": RESOURCE, "pluginConfig": table(config, routed)},
    });
    Ok(vec![service, plugin])
}

fn gateway(args: &ExportArgs, routed: &[Routed]) -> Result<Vec<Value>, ExportError> {
    let route = |one: &Routed| {
        let back = |name: &String| json!({"name": name, "port": args.port});
        let backends: Vec<Value> = shares(&one.routing.weights)
            .map(|(name, weight)| json!({"name": name, "port": args.port, "weight": weight}))
            .collect();
        let filters: Vec<Value> = shares(&one.routing.mirrors)
            .map(|(name, percent)| {
                json!({"type": "RequestMirror",
                    "requestMirror": {"backendRef": back(name), "percent": percent}})
            })
            .collect();
        let matched =
            json!({"path": {"type": "PathPrefix", "value": path(one, "the Gateway API")?}});
        let mut rule = json!({"matches": [matched], "backendRefs": backends});
        if !filters.is_empty() {
            rule["filters"] = json!(filters);
        }
        // Names in Kubernetes have no underscores and no capitals.
        let name = one.subject.model.name.to_ascii_lowercase().replace('_', "-");
        Ok(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {"parentRefs": [{"name": args.gateway}], "rules": [rule]},
        }))
    };
    routed.iter().map(route).collect()
}

/// A value as YAML: mappings and lists in blocks, texts in quotes as in JSON, which YAML reads alike.
fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text.trim_end().to_owned()
}

fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    // Writing to a String cannot fail.
    match value {
        Value::Object(keys) if !keys.is_empty() => {
            for (key, value) in keys {
                let key = if key.starts_with('@') { format!("\"{key}\"") } else { key.clone() };
                let _ = write!(text, "{indent}{key}:");
                inner(value, depth, text);
            }
        }
        Value::Array(entries) if !entries.is_empty() => {
            for entry in entries {
                let mut inside = String::new();
                block(entry, depth + 1, &mut inside);
                // The first line of an entry stands behind its dash.
                let inside = inside.strip_prefix(&"  ".repeat(depth + 1)).unwrap_or(&inside);
                let _ = write!(text, "{indent}- {inside}");
            }
        }
        plain => {
            let _ = writeln!(text, "{indent}{plain}");
        }
    }
}

fn inner(value: &Value, depth: usize, text: &mut String) {
    let nested = match value {
        Value::Object(keys) => !keys.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        _ => false,
    };
    if nested {
        text.push('\n');
        block(value, depth + 1, text);
    } else {
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::yaml;

    #[test]
    fn values_are_blocks_that_yaml_reads() {
        let value = json!({"a": [{"b": 1, "c": []}, ["x: y", null]], "@type": "t", "d": {}});
        let expected =
            "\"@type\": \"t\"\na:\n  - b: 1\n    c: []\n  - - \"x: y\"\n    - null\nd: {}";
        assert_eq!(yaml(&value), expected);
    }
}
