//! `cargo xtask bench loop`: what a collector takes in, and how soon a decision is in effect: with one real
//! Envoy, and with a hundred simulated ones that follow twenty models each. With the word `intake` only what
//! it takes in, which needs no Envoy.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tidegate_bench::report::{Figure, Report};
use tidegate_bench::{fleet, intake, profiled, reaction};
use xtask::stage::collector::Collector;
use xtask::stage::envoy::{Addresses, Envoy};
use xtask::stage::{Stage, port};
use xtask::terminal::Terminal;
use xtask::tools::Tools;

/// Decisions that are timed, each a divert or what undoes it.
const DECISIONS: usize = 200;
/// Envoys that are simulated, and models that each serves.
const NODES: usize = 100;
const MODELS: usize = 20;
/// How long a decision may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let report = Report::from_arguments();
    intake::print(&report)?;
    if std::env::args().any(|word| word == "intake") {
        return Ok(());
    }
    let tools = Tools::find(Terminal::plain())?;
    let (envoy, filter, tidegate) = (tools.envoy()?, tools.filter()?, tools.tidegate()?);

    let stage = Stage::open(&tools.stages(), "bench-loop-envoy")?;
    let (grpc, http) = (port::free_port(), port::free_port());
    let collector = start(&stage, &tidegate, &filter, 1, grpc, http)?;
    let addresses = Addresses { v1: port::free_port(), v2: port::free_port(), collector: grpc };
    let bootstrap = tools.bootstrap()?;
    let _envoy = Envoy::start(&stage, &envoy, &bootstrap, &filter, &addresses, &[])?;
    let real = decisions(&collector, 1, DECISIONS)?;
    report.figure("loop", &figure("one Envoy: decided to acknowledged, p50", &real, 0.5, 0.05));
    report.figure("loop", &figure("one Envoy: decided to acknowledged, p99", &real, 0.99, 0.5));
    let busy = while_busy(|| decisions(&collector, 1, DECISIONS))?;
    let name = "one Envoy, all cores busy: decided to acknowledged, p50";
    report.figure("loop", &figure(name, &busy, 0.5, 0.05));
    let name = "one Envoy, all cores busy: decided to acknowledged, p99";
    report.figure("loop", &figure(name, &busy, 0.99, 0.5));
    drop(collector);
    reaction::print(&report, &tools)?;

    let stage = Stage::open(&tools.stages(), "bench-loop-nodes")?;
    let (grpc, http) = (port::free_port(), port::free_port());
    let collector = start(&stage, &tidegate, &filter, MODELS, grpc, http)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The clients live on a thread of their own, as Envoys do on machines of theirs.
    let (ready, joined) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let mut clients = Vec::new();
            for number in 0..NODES {
                clients.push(fleet::join(grpc, number).await);
            }
            let all: Result<Vec<_>, _> = clients.into_iter().collect();
            let failed = all.as_ref().err().map(ToString::to_string);
            let _ = ready.send(failed);
            for client in all.into_iter().flatten() {
                let _ = client.await;
            }
        });
    });
    if let Some(failed) = joined.recv()? {
        return Err(failed.into());
    }
    let nodes = decisions(&collector, NODES, DECISIONS / 4)?;
    let name = "100 nodes of 20 models: decided to acknowledged by all, p50";
    report.figure("loop", &figure(name, &nodes, 0.5, 1.0));
    let name = "100 nodes of 20 models: decided to acknowledged by all, most";
    report.figure("loop", &figure(name, &nodes, 1.0, 1.0));
    Ok(())
}

/// Does something while a thread on each core does nothing else than be busy.
fn while_busy<T>(work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

fn figure<'a>(name: &'a str, seconds: &[f64], share: f64, goal: f64) -> Figure<'a> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    let value = sorted.get(at).copied().unwrap_or(f64::NAN);
    Figure { name, value, unit: "s", goal, lower_is_better: true }
}

/// A collector for so many models, with the profile of a small table.
fn start(
    stage: &Stage,
    tidegate: &std::path::Path,
    filter: &std::path::Path,
    models: usize,
    grpc: u16,
    http: u16,
) -> Result<Collector, Failure> {
    let mut csv = "age,wage,work\n".to_owned();
    for row in 0..2000 {
        let work = ["Private", "Government", "None"][row % 3];
        csv.push_str(&format!("{},{}.5,{work}\n", 20 + row * 37 % 60, row * 61 % 4000));
    }
    profiled::from_csv(stage, tidegate, &csv)?;
    let mut yaml = format!(
        "listen: {{grpc: 127.0.0.1:{grpc}, http: 127.0.0.1:{http}}}\nstate: ./state\n\
         envoy: {{filter: {}, collector_cluster: tidegate_collector}}\nmodels:\n",
        filter.display()
    );
    for model in 0..models {
        // The first is the bootstrap's own.
        let (name, path) = match model {
            0 => ("census".to_owned(), "census".to_owned()),
            other => (format!("model-{other}"), format!("model-{other}")),
        };
        yaml.push_str(&format!(
            "  - name: {name}\n    route: {{path_prefix: /v2/models/{path}}}\n    profile: ./profile\n    \
             policy: []\n    versions:\n      - {{name: v1, cluster: census-v1, role: primary}}\n      \
             - {{name: v2, cluster: census-v2, role: fallback}}\n"
        ));
    }
    Ok(Collector::start(stage, tidegate, &yaml, http)?)
}

/// Diverts and rolls back in turn, and gives the seconds from each decision to the last Envoy's
/// acknowledgement, by the collector's own clock.
fn decisions(collector: &Collector, envoys: usize, count: usize) -> Result<Vec<f64>, Failure> {
    let status = || -> Result<Value, Failure> { Ok(collector.get("status")?["models"][0].clone()) };
    let begun = std::time::Instant::now();
    loop {
        let status = status()?;
        if status["envoys"] == envoys && status["acknowledged"] == true {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not all Envoys follow: {status}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut seconds = Vec::with_capacity(count);
    for number in 0..count {
        let divert = ["divert", "census", "--to", "v2", "--for", "1h", "--json"];
        let back = ["rollback", "census", "--json"];
        let wish: &[&str] = if number % 2 == 0 { &divert } else { &back };
        let output = collector.command(wish)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let decision: Value = serde_json::from_slice(&output.stdout)?;
        let took = decision["seconds_to_acknowledgement"].as_f64();
        seconds.push(took.ok_or_else(|| format!("not acknowledged: {decision}"))?);
    }
    Ok(seconds)
}
