//! Peers in Python: a script of `bench/peers/` runs and prints lines of JSON. It does not install
//! them: `TIDEGATE_PEERS_PYTHON` names a Python that has them; without it they are passed over,
//! and that is said.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The lines that a script prints with these arguments; none where there is no such Python.
///
/// # Panics
/// The Python that was named does not run, or the script fails.
pub fn ask<A: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = A>) -> Vec<Value> {
    let Some(python) = std::env::var_os("TIDEGATE_PEERS_PYTHON") else {
        eprintln!(
            "passed over: {script}, because TIDEGATE_PEERS_PYTHON names no Python with peers"
        );
        return vec![];
    };
    let mut command = Command::new(python);
    command.arg(format!("bench/peers/{script}")).args(arguments).stderr(Stdio::inherit());
    let output = command.output().expect("the Python that was named runs");
    assert!(output.status.success(), "{script} ends well");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
