//! The variants: what stands in Envoy's filter chain before the router. It does not know how they
//! are measured.

use std::path::Path;

use serde_json::{Value, json};

use super::body::Kind;

/// The cluster of [`super::peers`].
pub const PEERS: &str = "peers";

/// The files of what is measured.
#[derive(Debug, Clone, Copy)]
pub struct Modules<'a> {
    /// The WebAssembly filter that does nothing.
    pub empty: &'a Path,
    /// The WebAssembly filter that takes what ours takes, and does nothing with it.
    pub touch: &'a Path,
    /// Ours in WebAssembly.
    pub filter: &'a Path,
    /// Ours as a dynamic module.
    pub native: &'a Path,
}

/// What is measured side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The router alone.
    Plain,
    /// A WebAssembly filter that does nothing.
    EmptyWasm,
    /// A WebAssembly filter that takes heads and bodies out of Envoy and does nothing with them: what no
    /// filter that looks at bodies costs less than.
    TouchWasm,
    /// Ours in `observe`, a tenth of the exchanges kept.
    Observe,
    /// Ours in `enforce`, with every check, all exchanges kept.
    Enforce,
    /// The same with nothing kept.
    EnforceUnkept,
    /// The same as [`Variant::Enforce`] without the ranges of numbers.
    EnforceUnranged,
    /// Ours as a dynamic module, as in [`Variant::Observe`].
    NativeObserve,
    /// Ours as a dynamic module, as in [`Variant::Enforce`].
    NativeEnforce,
    /// A Lua script that takes the body into its hands.
    Lua,
    /// An external processor that gets the body.
    ExternalProcessor,
}

impl Variant {
    /// Every variant; the first is what the others are held against.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::EmptyWasm,
        Self::TouchWasm,
        Self::Observe,
        Self::Enforce,
        Self::EnforceUnkept,
        Self::EnforceUnranged,
        Self::NativeObserve,
        Self::NativeEnforce,
        Self::Lua,
        Self::ExternalProcessor,
    ];

    /// What it is called in the figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::EmptyWasm => "empty-wasm",
            Self::TouchWasm => "touch-wasm",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
            Self::EnforceUnkept => "enforce-unkept",
            Self::EnforceUnranged => "enforce-unranged",
            Self::NativeObserve => "dynamic-module-observe",
            Self::NativeEnforce => "dynamic-module",
            Self::Lua => "lua",
            Self::ExternalProcessor => "ext-proc",
        }
    }

    /// Its filter, where it has one.
    #[must_use]
    pub fn http_filter(self, modules: &Modules<'_>) -> Option<Value> {
        let (name, &Modules { empty, touch, filter, native }) = (self.name(), modules);
        match self {
            Self::Plain => None,
            Self::EmptyWasm => Some(wasm(name, empty, "")),
            Self::TouchWasm => Some(wasm(name, touch, "")),
            Self::Observe => Some(wasm(name, filter, &table("observe", 0.1, true))),
            Self::Enforce => Some(wasm(name, filter, &table("enforce", 1.0, true))),
            Self::EnforceUnkept => Some(wasm(name, filter, &table("enforce", 0.0, true))),
            Self::EnforceUnranged => Some(wasm(name, filter, &table("enforce", 1.0, false))),
            Self::NativeObserve => Some(dynamic(name, native, &table("observe", 0.1, true))),
            Self::NativeEnforce => Some(dynamic(name, native, &table("enforce", 1.0, true))),
            Self::Lua => Some(lua()),
            Self::ExternalProcessor => Some(external_processor()),
        }
    }
}

/// The table of the filter: both models in this mode.
fn table(mode: &str, sample_rate: f64, ranges: bool) -> String {
    let models = Kind::ALL.map(|kind| {
        json!({
            "model": kind.name(),
            "route": {"path_prefix": kind.path().rsplit_once('/').map(|(start, _)| start)},
            "protocol": kind.protocol(),
            "mode": mode,
            "sample_rate": sample_rate,
            "versions": [{"version": "v1", "cluster": "model"}],
            "contract": kind.contract(ranges),
        })
    });
    json!({"collector": {"cluster": PEERS}, "models": models}).to_string()
}

fn wasm(name: &str, module: &Path, configuration: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                "failure_policy": "FAIL_CLOSED",
                "allow_on_headers_stop_iteration": true,
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration,
                },
            },
        },
    })
}

fn dynamic(name: &str, module: &Path, configuration: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.\
                      DynamicModuleFilter",
            "dynamic_module_config": {
                "module": {"local": {"filename": module}},
                "do_not_close": true,
            },
            "filter_name": name,
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration,
            },
        },
    })
}

fn lua() -> Value {
    let script = "function envoy_on_request(handle)\n  local body = handle:body()\n  if body then\n    \
                  local bytes = body:getBytes(0, body:length())\n  end\nend\n";
    json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    })
}

fn external_processor() -> Value {
    json!({
        "name": "ext-proc",
        "typed_config": {
            "@type":
                "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": PEERS}},
            "message_timeout": "10s",
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": "BUFFERED",
                "response_header_mode": "SKIP",
                "response_body_mode": "NONE",
            },
        },
    })
}
