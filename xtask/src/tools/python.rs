//! A Python of the machine and environments of ours made from it. It names no package registry:
//! pip goes where the user's own configuration sends it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::work::Work;
use super::{Error, Tools, given};

/// Where to look, in this order; the first that fits is taken.
const NAMES: [&str; 5] = ["python3", "python3.12", "python3.11", "python3.13", "python3.10"];
/// The minor versions of Python 3 on which the model server was seen running.
const MINORS: std::ops::RangeInclusive<u32> = 10..=13;

/// A Python of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// How it is called.
    pub program: PathBuf,
    /// The minor version, 11 in 3.11.
    pub minor: u32,
}

impl Python {
    /// Finds one, or takes the one that `TIDEGATE_PYTHON` names.
    ///
    /// # Errors
    /// None fits.
    pub fn find() -> Result<Self, Error> {
        let named = given("TIDEGATE_PYTHON");
        let names: Vec<PathBuf> = match &named {
            Some(one) => vec![one.clone()],
            None => NAMES.iter().map(PathBuf::from).collect(),
        };
        let mut seen = Vec::new();
        for program in names {
            match minor_of(&program) {
                Some(minor) if MINORS.contains(&minor) => return Ok(Self { program, minor }),
                Some(minor) => seen.push(format!("{} is 3.{minor}", program.display())),
                None => {}
            }
        }
        let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
        Err(Error::NoPython { seen })
    }
}

/// The minor version of a Python 3 that can make environments.
pub(super) fn minor_of(program: &Path) -> Option<u32> {
    let script = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
    let output = Command::new(program).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    text.trim().strip_prefix("3 ")?.parse().ok()
}

/// Makes an environment in `folder` and gives its Python.
pub(super) fn environment(
    python: &Python,
    folder: &Path,
    work: &mut Work,
) -> Result<PathBuf, Error> {
    let mut command = quiet(&python.program);
    command.args(["-m", "venv"]).arg(folder);
    work.run(command)?;
    Ok(folder.join("bin/python"))
}

/// A pip command of an environment; `arguments` begin with pip's own subcommand.
pub(super) fn pip<I: AsRef<OsStr>>(python: &Path, arguments: &[I]) -> Command {
    let mut command = quiet(python);
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    command.args(arguments).args(["--progress-bar", "off"]);
    command
}

/// Python without what would send packages to other places than ours.
fn quiet(python: &Path) -> Command {
    let mut command = Command::new(python);
    for name in ["PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"] {
        command.env_remove(name);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command
}

impl Tools {
    /// A small environment that fetches packages; the machine's own Python need not have pip.
    pub(super) fn fetcher(&self) -> Result<PathBuf, Error> {
        let python = Python::find()?;
        let name = format!("python-3.{}", python.minor);
        let folder = self.on_shelf("Python environment", &name, "bin/python", |folder, work| {
            environment(&python, folder, work).map(|_| ())
        })?;
        Ok(folder.join("bin/python"))
    }
}
