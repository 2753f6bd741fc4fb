//! What the tests of this crate share: a small configuration and the things made from it.

use std::path::Path;

use tidegate_detectors::finding::{Detector, Finding, Kind, Verdict};
use tidegate_detectors::reference::Reference;
use tidegate_detectors::window::Exchanges;

use crate::config::Config;
use crate::config::model::Model;
use crate::decision::{Action, Decision, State};
use crate::judgement::Judgement;

/// A configuration with one model, `census`, whose policy is these YAML lines.
pub fn config(policy: &str) -> Config {
    let yaml = format!(
        "
listen: {{grpc: 127.0.0.1:7070, http: 127.0.0.1:7071}}
state: ./state
envoy: {{filter: /filter.wasm, collector_cluster: tidegate_collector}}
models:
  - name: census
    protocol: oip
    route: {{path_prefix: /v2/models/census}}
    profile: ./profile
    versions:
      - {{name: v1, cluster: census-v1, role: primary}}
      - {{name: v2, cluster: census-v2, role: fallback}}
      - {{name: v3, cluster: census-v3, role: candidate}}
    window: {{length: 10s, hop: 2s, min_rows: 100}}
    policy:{policy}
"
    );
    let folder = Path::new("/tidegate");
    Config::parse(yaml.as_bytes(), &folder.join("tidegate.yaml"), folder)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The model `census` with these `labels`.
pub fn labelled(labels: &str) -> Model {
    let policy = format!("{DIVERT}\n    labels: {labels}");
    config(&policy).models.remove(0)
}

/// A rule that diverts on drift at once.
pub const DIVERT: &str = "
      - {on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, cooldown: 5m, approval: automatic}";

/// An active decision of the policy.
pub fn decision(id: &str, action: Action) -> Decision {
    Decision {
        id: id.to_owned(),
        model: "census".to_owned(),
        action,
        state: State::Active,
        author: "policy".to_owned(),
        rule: String::new(),
        reason: "age moved".to_owned(),
        evidence: Vec::new(),
        exchanges: Vec::new(),
        decided_unix_ms: 1_000,
        expires_unix_ms: Some(11_000),
        quiet_until_unix_ms: 6_000,
        window_closed_unix_ms: Some(990),
        acknowledged_unix_ms: None,
        seconds_to_acknowledgement: None,
        refused: None,
    }
}

/// A judgement whose worst finding is drift of `age` with this verdict.
pub fn judgement(verdict: Verdict) -> Judgement {
    let finding = Finding {
        detector: Detector::KolmogorovSmirnov,
        kind: Kind::DataDrift,
        feature: Some("age".to_owned()),
        features: Vec::new(),
        verdict,
        statistic: 0.4,
        effect: 0.4,
        effect_interval: (0.0, 1.0),
        min_effect: 0.1,
        p_value: 1e-20,
        adjusted_p_value: 1e-18,
        alpha: 1e-6,
        evidence: None,
        detectable: 0.2,
        rows: 500,
        reference_rows: 100_000,
        coverage: Some(1.0),
        direction: None,
        was: "median 34".to_owned(),
        now: "median 61".to_owned(),
        excess: None,
    };
    let exchanges = Exchanges { seen: 500, sampled: 500, ..Exchanges::default() };
    Judgement::of("census", 1_000_000, 500, exchanges, vec![finding], &Reference::default())
}
