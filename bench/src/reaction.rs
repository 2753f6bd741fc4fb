//! How soon a drift changes the route: clients ask through a real Envoy, their rows begin to drift, and the
//! clock runs from the first drifted request to the first answer by the other version. It does not know what
//! was decided.

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_detectors::forest::random::Random;
use xtask::stage::collector::Collector;
use xtask::stage::envoy::{Addresses, Envoy};
use xtask::stage::http::Client;
use xtask::stage::{Stage, port};
use xtask::tools::Tools;

use crate::profiled;
use crate::report::{Figure, Report};
use crate::speed::forest::normal;
use crate::traffic::upstream;

/// Clients, and how long each pauses between two requests.
const CLIENTS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(40);
/// Rows of a request.
const ROWS: usize = 5;
/// How long all is well first, and how long a drift is waited for.
const HEALTHY: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(120);
/// Over which time the slow drift grows.
const SLOWLY: Duration = Duration::from_secs(60);
const TRAINING: usize = 20_000;

/// How rows drift.
#[derive(Debug, Clone, Copy)]
enum Drift {
    /// All at once, by two standard deviations.
    Sharp,
    /// Further and further, to two standard deviations after [`SLOWLY`].
    Slow,
    /// Those of one region, which three of ten rows are of, at once by two standard deviations.
    Segment,
}

impl Drift {
    /// By how much a row has moved so long after the drift began.
    fn shift(self, region: &str, since: Option<Duration>) -> f64 {
        match (self, since) {
            (_, None) => 0.0,
            (Self::Sharp, _) => 20.0,
            (Self::Slow, Some(since)) => {
                20.0 * (since.as_secs_f64() / SLOWLY.as_secs_f64()).min(1.0)
            }
            (Self::Segment, _) => {
                if region == "eu" {
                    20.0
                } else {
                    0.0
                }
            }
        }
    }
}

/// An age of 40 ± 10, a wage, and a region.
fn person(random: &mut Random) -> (f64, f64, &'static str) {
    let region = match random.unit() {
        share if share < 0.3 => "eu",
        share if share < 0.8 => "us",
        _ => "asia",
    };
    (40.0 + 10.0 * normal(random), (8.0 + 0.5 * normal(random)).exp(), region)
}

/// Prints the seconds for each kind of drift.
///
/// # Errors
/// Something cannot be started, or a drift changes nothing in two minutes.
pub fn print(report: &Report, tools: &Tools) -> Result<(), Box<dyn Error>> {
    let kinds = [
        (Drift::Sharp, "sharp drift, window of 10 s: first drifted request to route changed", 10.0),
        (Drift::Segment, "drift of a segment of 30 %, the same", 10.0),
        (Drift::Slow, "drift that grows for 60 s, the same", 60.0),
    ];
    for (drift, name, goal) in kinds {
        let value = play(tools, drift)?.as_secs_f64();
        let figure = Figure { name, value, unit: "s", goal, lower_is_better: true };
        report.figure("loop", &figure);
    }
    Ok(())
}

fn play(tools: &Tools, drift: Drift) -> Result<Duration, Box<dyn Error>> {
    let (envoy, filter, tidegate) = (tools.envoy()?, tools.filter()?, tools.tidegate()?);
    let stage = Stage::open(&tools.stages(), "bench-loop-reaction")?;
    let (grpc, http) = (port::free_port(), port::free_port());
    let _collector = collector(&stage, &tidegate, &filter, grpc, http)?;
    let addresses =
        Addresses { v1: upstream::saying("v1")?, v2: upstream::saying("v2")?, collector: grpc };
    let envoy = Envoy::start(&stage, &envoy, &tools.bootstrap()?, &filter, &addresses, &[])?;
    let url = format!("http://127.0.0.1:{}/v2/models/census/infer", envoy.listener);
    let (begins, stop) = (Instant::now() + HEALTHY, AtomicBool::new(false));
    // When the first drifted request was sent, and when v2 first answered.
    let (first, changed) = (Mutex::new(None::<Instant>), Mutex::new(None::<Instant>));
    let earliest = |of: &Mutex<Option<Instant>>, at: Instant| {
        if let Ok(mut of) = of.lock() {
            *of = Some(of.map_or(at, |before| before.min(at)));
        }
    };
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (stop, first, changed, url) = (&stop, &first, &changed, &url);
            scope.spawn(move || {
                let client = Client::new(Duration::from_secs(5));
                let mut random = Random::seeded(100 + number);
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    let since = sent.checked_duration_since(begins);
                    if since.is_some() {
                        earliest(first, sent);
                    }
                    let body = request(&mut random, drift, since);
                    if client.post(url, body.as_bytes()).is_ok_and(|answer| answer.body == b"v2") {
                        earliest(changed, Instant::now());
                    }
                    thread::sleep(PAUSE);
                }
            });
        }
        let seen = |of: &Mutex<Option<Instant>>| of.lock().ok().and_then(|of| *of);
        while seen(&changed).is_none() && begins.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        match (seen(&first), seen(&changed)) {
            (Some(first), Some(changed)) => {
                changed.checked_duration_since(first).ok_or_else(|| {
                    format!("{drift:?}: the route changed before anything drifted").into()
                })
            }
            _ => Err(format!("{drift:?}: the route did not change within {PATIENCE:?}").into()),
        }
    })
}

fn request(random: &mut Random, drift: Drift, since: Option<Duration>) -> String {
    let (mut ages, mut wages, mut regions) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let (age, wage, region) = person(random);
        ages.push(age + drift.shift(region, since));
        wages.push(wage);
        regions.push(region);
    }
    let tensor = |name: &str, datatype: &str, data: serde_json::Value| serde_json::json!({"name": name, "shape": [ROWS, 1], "datatype": datatype, "data": data});
    let inputs = [
        tensor("age", "FP64", ages.into()),
        tensor("wage", "FP64", wages.into()),
        tensor("region", "BYTES", regions.into()),
    ];
    serde_json::json!({ "inputs": inputs }).to_string()
}

/// A collector whose model goes to v2 at the first alarm.
fn collector(
    stage: &Stage,
    tidegate: &Path,
    filter: &Path,
    grpc: u16,
    http: u16,
) -> Result<Collector, Box<dyn Error>> {
    let mut random = Random::seeded(7);
    let mut csv = "age,wage,region\n".to_owned();
    for _ in 0..TRAINING {
        let (age, wage, region) = person(&mut random);
        csv.push_str(&format!("{age},{wage},{region}\n"));
    }
    profiled::from_csv(stage, tidegate, &csv)?;
    let yaml = format!(
        "listen: {{grpc: 127.0.0.1:{grpc}, http: 127.0.0.1:{http}}}\nstate: ./state\n\
         envoy: {{filter: {}, collector_cluster: tidegate_collector}}\nmodels:\n  \
         - name: census\n    route: {{path_prefix: /v2/models/census}}\n    profile: ./profile\n    \
         sample_rate: 1.0\n    window: {{length: 10s, hop: 1s, min_rows: 200}}\n    versions:\n      \
         - {{name: v1, cluster: census-v1, role: primary}}\n      \
         - {{name: v2, cluster: census-v2, role: fallback}}\n    policy:\n      \
         - {{on: data_drift, verdict: alarm, windows: 1, then: divert, to: v2, expires: 1h, \
         approval: automatic}}\n",
        filter.display()
    );
    Ok(Collector::start(stage, tidegate, &yaml, http)?)
}
