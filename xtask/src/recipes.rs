//! `cargo xtask filter`, `test`, `bench` and `quality`. They do not know what the tests show or the
//! benchmarks measure.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::stage::process::attached;
use crate::terminal::Terminal;
use crate::tools::servers::Server;
use crate::tools::{Error, Tools, crates};

/// Builds the filter, in WebAssembly or as a dynamic module, and prints where it is and how large.
///
/// # Errors
/// It cannot be built.
pub fn filter(terminal: Terminal, module: bool) -> Result<(), Error> {
    let tools = Tools::find(terminal)?;
    let path = if module { tools.dynamic_module()? } else { tools.filter()? };
    let bytes = std::fs::metadata(&path)
        .map_err(|source| Error::File { path: path.clone(), source })?
        .len();
    terminal.say(&format!("{} ({} KB)", path.display(), bytes / 1000));
    Ok(())
}

/// Gets every tool, builds filter and command, runs `cargo test --workspace` with `arguments`, and
/// gives its exit code. The tests are told by environment variables where the tools are. A server in
/// Python that this machine cannot have is said here; its tests fail, and all others run.
///
/// # Errors
/// A tool that most tests need cannot be had, or cargo cannot be started.
pub fn test(terminal: Terminal, arguments: &[String]) -> Result<u8, Error> {
    let tools = Tools::find(terminal)?;
    let mut given = vec![
        ("TIDEGATE_ENVOY", tools.envoy()?),
        ("TIDEGATE_REDIS", tools.redis()?),
        ("TIDEGATE_MLSERVER", tools.mlserver()?),
        ("TIDEGATE_CENSUS", tools.census()?),
        ("TIDEGATE_FILTER", tools.filter()?),
        ("TIDEGATE_MODULE", tools.dynamic_module()?),
        ("TIDEGATE_BIN", tools.tidegate()?),
    ];
    let servers = Server::ALL.map(|server| (server.variable(), tools.server(server)));
    for (variable, python) in servers.into_iter().chain([("TIDEGATE_MOTO", tools.moto())]) {
        match python {
            Ok(python) => given.push((variable, python)),
            Err(error) => terminal.failure(&error.to_string()),
        }
    }
    let mut command = Command::new(crates::cargo());
    command.arg("test");
    // Whoever names packages means those.
    if !arguments.iter().any(|argument| argument == "-p" || argument.starts_with("--package")) {
        command.arg("--workspace");
    }
    command.args(arguments).current_dir(tools.root()).envs(given);
    command.stdin(Stdio::null());
    let status = attached("cargo test", command)?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The same with the data sets and the peers that statistics are measured on and beside. What this
/// machine cannot have is said here, and what needs it is passed over.
///
/// # Errors
/// Cargo cannot be started.
pub fn measure_statistics(
    terminal: Terminal,
    program: &str,
    topics: &[String],
    json: bool,
) -> Result<u8, Error> {
    let tools = Tools::find(terminal)?;
    let wanted = [
        ("TIDEGATE_CENSUS", tools.census()),
        ("TIDEGATE_FLIGHTS", tools.flights()),
        ("TIDEGATE_SHUTTLE", tools.shuttle()),
        ("TIDEGATE_PEERS_PYTHON", tools.peers()),
    ];
    let mut given = Vec::new();
    for (variable, path) in wanted {
        match path {
            Ok(path) => given.push((variable, path)),
            Err(error) => terminal.failure(&error.to_string()),
        }
    }
    let mut arguments = vec!["-p", "tidegate-bench", "--bin", program, "--"];
    arguments.extend(topics.iter().map(String::as_str));
    bench(&tools, &arguments, json, &given)
}

/// Builds a program of `bench/` for speed, runs it, and gives its exit code.
///
/// # Errors
/// Cargo cannot be started.
pub fn measure(terminal: Terminal, program: &str, json: bool) -> Result<u8, Error> {
    let tools = Tools::find(terminal)?;
    bench(&tools, &["-p", "tidegate-bench", "--bin", program, "--"], json, &[])
}

/// The same for the reader, which is given its own module in WebAssembly as well.
///
/// # Errors
/// The module cannot be built, or cargo cannot be started.
pub fn measure_reader(terminal: Terminal, json: bool) -> Result<u8, Error> {
    let tools = Tools::find(terminal)?;
    let module = tools.reader()?;
    let module = module.to_string_lossy();
    bench(&tools, &["-p", "tidegate-bench-reader", "--", &module], json, &[])
}

fn bench(
    tools: &Tools,
    arguments: &[&str],
    json: bool,
    given: &[(&str, PathBuf)],
) -> Result<u8, Error> {
    let mut command = Command::new(crates::cargo());
    command.args(["run", "--quiet", "--release"]).args(arguments).args(json.then_some("--json"));
    command.current_dir(tools.root()).stdin(Stdio::null()).envs(given.iter().cloned());
    let status = attached("the benchmark", command)?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
