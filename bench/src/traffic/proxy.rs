//! One Envoy with one worker and a listener for each variant. It does not know what is sent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use xtask::stage::http::answers_ok;
use xtask::stage::process::Process;
use xtask::stage::{Error, Stage, port, ready};

use super::variant::{Modules, PEERS, Variant};

/// Bytes that Envoy holds of a body, the same for every variant: those that want a whole body
/// would refuse one of a mebibyte with the default.
const BUFFER_BYTES: u32 = 4 << 20;

/// A running Envoy.
#[derive(Debug)]
pub struct Proxy {
    /// The process.
    pub process: Process,
    /// Each variant's port.
    pub listeners: Vec<(Variant, u16)>,
}

/// What Envoy is given.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Envoy itself.
    pub envoy: &'a Path,
    /// Our filter in WebAssembly.
    pub filter: &'a Path,
    /// Our filter as a dynamic module.
    pub native: &'a Path,
    /// The port of the model server.
    pub upstream: u16,
    /// The port of [`super::peers`].
    pub peers: u16,
}

impl Proxy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// A file cannot be written, or Envoy does not become ready within 60 s.
    pub fn start(stage: &Stage, parts: Parts<'_>, variants: &[Variant]) -> Result<Self, Error> {
        let empty = written(stage, "empty.wasm", include_str!("empty.wat"))?;
        let touch = written(stage, "touch.wasm", include_str!("touch.wat"))?;
        let listeners: Vec<_> =
            variants.iter().map(|variant| (*variant, port::free_port())).collect();
        let admin = port::free_port();
        let Parts { filter, native, .. } = parts;
        let modules = Modules { empty: &empty, touch: &touch, filter, native };
        let listening: Vec<Value> =
            listeners.iter().map(|(variant, port)| listener(*variant, *port, &modules)).collect();
        let bootstrap = json!({
            "node": {"id": "bench", "cluster": "bench"},
            "admin": {"address": address(admin)},
            "static_resources": {
                "listeners": listening,
                "clusters": [
                    cluster("model", parts.upstream, json!({"http_protocol_options": {}})),
                    cluster(PEERS, parts.peers, json!({"http2_protocol_options": {}})),
                ],
            },
        });
        let config = stage.write("envoy.json", &bootstrap.to_string())?;
        let mut command = Command::new(parts.envoy);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        command.arg("-c").arg(&config);
        let mut process = Process::start("envoy", command, &stage.folder().join("envoy.log"))?;
        let url = format!("http://127.0.0.1:{admin}/ready");
        // Every module is compiled first.
        ready::wait(&mut process, Duration::from_secs(60), || answers_ok(&url))?;
        Ok(Self { process, listeners })
    }
}

/// A WebAssembly module, written as text, as a file.
fn written(stage: &Stage, name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = stage.folder().join(name);
    let module = wat::parse_str(text).map_err(std::io::Error::other);
    match module.and_then(|bytes| std::fs::write(&path, bytes)) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::File { path, source }),
    }
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn listener(variant: Variant, port: u16, modules: &Modules<'_>) -> Value {
    let mut filters: Vec<Value> = variant.http_filter(modules).into_iter().collect();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    json!({
        "name": variant.name(),
        "address": address(port),
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                          http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": variant.name(),
                "use_remote_address": true,
                "normalize_path": true,
                "merge_slashes": true,
                "route_config": {
                    "name": "models",
                    "virtual_hosts": [{
                        "name": "models",
                        "domains": ["*"],
                        "routes": [{
                            "match": {"prefix": "/"},
                            "route": {"cluster": "model", "timeout": "60s"},
                        }],
                    }],
                },
                "http_filters": filters,
            },
        }]}],
    })
}

fn cluster(name: &str, port: u16, http: Value) -> Value {
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    });
    options["explicit_http_config"] = http;
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}
