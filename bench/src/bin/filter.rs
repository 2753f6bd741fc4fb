//! `cargo xtask bench filter`: what a request costs Envoy with our filter and with others, beside
//! Envoy alone. Words on the command line choose the bodies whose names begin with one of
//! them, and the variants of such names beside plain.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_bench::clock;
use tidegate_bench::report::{Cost, Report};
use tidegate_bench::traffic::body::{self, Body};
use tidegate_bench::traffic::client::Client;
use tidegate_bench::traffic::proxy::{Parts, Proxy};
use tidegate_bench::traffic::variant::Variant;
use tidegate_bench::traffic::{peers, upstream};
use xtask::stage::Stage;
use xtask::terminal::Terminal;
use xtask::tools::Tools;

/// How often each variant has its turn with each body; the median counts.
const ROUNDS: usize = 11;
/// How long each variant is used before anything counts: V8 compiles what runs often once more.
const WARM_UP: Duration = Duration::from_millis(1000);
/// Samples leave within a tenth of a second; a turn ends when they have.
const SETTLE: Duration = Duration::from_millis(220);

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench filter: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let report = Report::from_arguments();
    let tools = Tools::find(Terminal::plain())?;
    let (envoy, filter, native) = (tools.envoy()?, tools.filter()?, tools.dynamic_module()?);
    let stage = Stage::open(&tools.stages(), "bench-filter")?;
    let parts = Parts {
        envoy: &envoy,
        filter: &filter,
        native: &native,
        upstream: upstream::start()?,
        peers: peers::start()?,
    };
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let mut bodies = body::all();
    let mut variants = Variant::ALL.to_vec();
    let begins = |name: &str| words.iter().any(|word| name.starts_with(word.as_str()));
    if bodies.iter().any(|body| begins(&body.name)) {
        bodies.retain(|body| begins(&body.name));
    }
    if variants.iter().any(|variant| begins(variant.name())) {
        variants.retain(|variant| *variant == Variant::Plain || begins(variant.name()));
    }
    let proxy = Proxy::start(&stage, parts, &variants)?;
    let pid = proxy.process.pid();
    let mut clients = Vec::new();
    for (variant, port) in &proxy.listeners {
        clients.push((*variant, Client::to(*port)?));
    }
    for body in bodies {
        for (_, client) in &mut clients {
            warm_up(client, &body)?;
        }
        let mut turns = vec![Vec::new(); clients.len()];
        for _ in 0..ROUNDS {
            for ((_, client), turns) in clients.iter_mut().zip(&mut turns) {
                turns.push(turn(client, &body, pid)?);
            }
        }
        let plain = turns.first().cloned().unwrap_or_default();
        for ((variant, _), turns) in clients.iter().zip(&turns) {
            // Neighbours in time are compared, so that a machine that is slow for a while changes
            // little.
            let ratios = turns.iter().zip(&plain).map(|(turn, plain)| turn / plain).collect();
            report.cost(&Cost {
                variant: variant.name(),
                body: &body.name,
                ratio: median(ratios),
                microseconds: median(turns.clone()),
            });
        }
    }
    Ok(())
}

fn warm_up(client: &mut Client, body: &Body) -> std::io::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        client.send(body, requests(body) / 8)?;
    }
    Ok(())
}

/// Microseconds of Envoy's CPU for a request.
fn turn(client: &mut Client, body: &Body, pid: u32) -> std::io::Result<f64> {
    let before = clock::process_cpu(pid)?;
    let sent = client.send(body, requests(body))?;
    thread::sleep(SETTLE);
    let spent = clock::process_cpu(pid)? - before;
    Ok(spent.as_secs_f64() * 1e6 / sent as f64)
}

/// Requests of a turn: about a tenth of a second.
fn requests(body: &Body) -> usize {
    (60_000_000 / (60_000 + body.bytes.len())).clamp(48, 1000)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
