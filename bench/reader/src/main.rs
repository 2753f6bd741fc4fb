//! `cargo xtask bench reader`: gigabytes of a body that are read in a second, in V8 (as Envoy runs the
//! filter; here by Node.js) and natively, by CPU time. The first argument is the module.

use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tidegate_bench_reader::body;
use tidegate_bench_reader::reading::{self, Reading};

/// Runs the module: for each body and way of reading, the least nanoseconds for a byte.
const SCRIPT: &str = r#"
const fs = require('fs');
const module = new WebAssembly.Module(fs.readFileSync(process.argv[1]));
const imports = {};
for (const {module: from, name} of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = () => 0;
}
const {exports} = new WebAssembly.Instance(module, imports);
if (exports._initialize) exports._initialize();
const bodies = exports.prepare();
const table = [];
for (let body = 0; body < bodies; body++) {
    const row = [];
    for (let reading = 0; reading < 4; reading++) {
        exports.read(body, reading, 30);
        let least = Infinity;
        for (let round = 0; round < 15; round++) {
            const begun = process.cpuUsage();
            exports.read(body, reading, 10);
            const {user, system} = process.cpuUsage(begun);
            const took = (user + system) * 1000 / 10 / exports.length(body);
            if (took < least) least = took;
        }
        row.push(least);
    }
    table.push(row);
}
console.log(JSON.stringify(table));
"#;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(module) = arguments.next() else {
        eprintln!("the first argument is the module; `cargo xtask bench reader` gives it");
        return ExitCode::FAILURE;
    };
    let json = arguments.any(|argument| argument == "--json");
    let v8 = Command::new("node").args(["-e", SCRIPT, &module]).output();
    let v8: Option<Vec<Vec<f64>>> = match v8 {
        Ok(output) if output.status.success() => serde_json::from_slice(&output.stdout).ok(),
        Ok(output) => {
            eprintln!("V8: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            eprintln!("no Node.js here, so nothing is said of V8: {error}");
            None
        }
    };
    for (at, body) in body::all().iter().enumerate() {
        if !json {
            println!("{} ({} bytes): GB/s", body.name, body.bytes.len());
        }
        for (place, (name, reading)) in Reading::ALL.into_iter().enumerate() {
            let rate = |nanos: f64| 1.0 / nanos;
            let native = rate(native(body, reading));
            let v8 = v8.as_ref().map(|table| rate(table[at][place]));
            if json {
                let line: Value = json!({"bench": "reader", "body": body.name, "reading": name,
                    "native_gb_per_s": native, "v8_gb_per_s": v8});
                println!("{line}");
            } else {
                let v8 = v8.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"));
                println!("  {name:<24} V8 {v8:>7}   native {native:>7.3}");
            }
        }
    }
    ExitCode::SUCCESS
}

/// The least nanoseconds for a byte.
fn native(body: &body::Body, reading: Reading) -> f64 {
    let round = |_| {
        let begun = cpu();
        let _ = reading::read(body, reading, 10);
        (cpu() - begun).as_nanos() as f64 / 10.0 / body.bytes.len() as f64
    };
    (0..15).map(round).fold(f64::INFINITY, f64::min)
}

/// CPU time that this thread has used.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
