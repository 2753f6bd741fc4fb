//! Who is on stage: two model servers, the collector, Envoy. It does not know the story.

use serde_json::Value;

use super::Error;
use super::props::Props;
use crate::stage::Stage;
use crate::stage::collector::Collector;
use crate::stage::envoy::{Addresses, Envoy};
use crate::stage::model_server::ModelServer;
use crate::stage::port::free_port;
use crate::terminal::Terminal;

/// The model's name in every place.
pub const MODEL: &str = "census";
/// Seconds of traffic that are judged together.
pub const WINDOW_SECONDS: u64 = 10;
/// Seconds between two judgements.
pub const HOP_SECONDS: u64 = 1;

/// Everybody who runs. The order of the fields is the order of leaving: clients' side first.
pub struct Cast {
    /// In front of the models.
    pub envoy: Envoy,
    /// Behind it, judging.
    pub collector: Collector,
    /// The primary version.
    pub v1: ModelServer,
    /// The fallback.
    pub v2: ModelServer,
    /// Where the logs are.
    pub folder: std::path::PathBuf,
}

impl Cast {
    /// Starts them all and waits until each says that it is ready.
    ///
    /// # Errors
    /// One of them does not come up; those that did are ended.
    pub fn start(
        stage: &Stage,
        props: &Props,
        terminal: Terminal,
        otlp: Option<&str>,
    ) -> Result<Self, Error> {
        let server = |version: &str| {
            ModelServer::start(stage, &props.mlserver, version, &props.models.join(version))
        };
        let step = terminal.step("MLServer with v1, MLServer with v2");
        let (mut v1, mut v2) = (server("v1")?, server("v2")?);
        v1.wait(MODEL)?;
        v2.wait(MODEL)?;
        step.done(&format!("127.0.0.1:{} and 127.0.0.1:{}", v1.http, v2.http));

        let step = terminal.step("Collector");
        let (grpc, http) = (free_port(), free_port());
        let yaml = yaml(props, grpc, http, otlp);
        let collector = Collector::start(stage, &props.tidegate, &yaml, http)?;
        step.done(&format!("samples and xDS on 127.0.0.1:{grpc}, API on 127.0.0.1:{http}"));

        let step = terminal.step("Envoy with the filter");
        let addresses = Addresses { v1: v1.http, v2: v2.http, collector: grpc };
        let (binary, bootstrap) = (&props.envoy, &props.bootstrap);
        let envoy = Envoy::start(stage, binary, bootstrap, &props.filter, &addresses, &[])?;
        step.done(&format!("clients on 127.0.0.1:{}", envoy.listener));
        Ok(Self { envoy, collector, v1, v2, folder: stage.folder().to_owned() })
    }

    /// Where clients ask the model.
    pub fn infer_url(&self) -> String {
        format!("{}/v2/models/{MODEL}/infer", self.envoy.url())
    }

    /// How the model stands, as the API tells it; null when it tells nothing.
    ///
    /// # Errors
    /// The API does not answer.
    pub fn status(&self) -> Result<Value, Error> {
        let told = self.collector.get("status")?;
        Ok(told.pointer("/models/0").cloned().unwrap_or(Value::Null))
    }

    /// The names of those who ended although nobody asked them to.
    pub fn gone(&mut self) -> Vec<String> {
        let Self { envoy, collector, v1, v2, .. } = self;
        let all = [&mut envoy.process, &mut collector.process, &mut v1.process, &mut v2.process];
        all.into_iter()
            .filter_map(|process| process.ended().map(|_| process.name().to_owned()))
            .collect()
    }

    /// The list that `what` names in the API's answer to the question `path`.
    ///
    /// # Errors
    /// The API does not answer.
    pub fn list(&self, path: &str, what: &str) -> Result<Vec<Value>, Error> {
        let told = self.collector.get(path)?;
        Ok(told.get(what).and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// The collector's configuration, as a user of one model would write it.
fn yaml(props: &Props, grpc: u16, http: u16, otlp: Option<&str>) -> String {
    let telemetry = otlp.map_or_else(String::new, |endpoint| {
        format!("telemetry: {{otlp_endpoint: {}}}\n", Value::from(endpoint))
    });
    let text = |path: &std::path::Path| Value::from(path.display().to_string());
    let (filter, profile) = (text(&props.filter), text(&props.profile));
    format!(
        "\
listen: {{grpc: 127.0.0.1:{grpc}, http: 127.0.0.1:{http}}}
state: ./state
envoy: {{filter: {filter}, collector_cluster: tidegate_collector}}
{telemetry}models:
  - name: {MODEL}
    protocol: oip
    mode: enforce
    route: {{path_prefix: /v2/models/{MODEL}}}
    sample_rate: 1.0
    profile: {profile}
    versions:
      - {{name: v1, cluster: census-v1, role: primary}}
      - {{name: v2, cluster: census-v2, role: fallback}}
    window: {{length: {WINDOW_SECONDS}s, hop: {HOP_SECONDS}s, min_rows: 200}}
    detectors: {{min_effect: 0.1, false_alarms_per_month: 1}}
    policy:
      - {{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 5m, approval: automatic}}
"
    )
}
