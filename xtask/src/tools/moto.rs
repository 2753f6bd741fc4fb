//! A server of S3's protocol, moto, from the Python package of that name. It keeps objects in memory.

use std::path::PathBuf;

use super::python::{Python, environment, pip};
use super::{Error, Tools, given};

/// The version the tests were seen with.
pub const VERSION: &str = "5.2.1";

impl Tools {
    /// The Python that has moto: `TIDEGATE_MOTO`, or ours.
    ///
    /// # Errors
    /// It cannot be installed.
    pub fn moto(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_MOTO") {
            return Ok(given);
        }
        let python = Python::find()?;
        let name = format!("moto-{VERSION}-python-3.{}", python.minor);
        let title = format!("moto {VERSION}, a server of S3's protocol");
        let folder = self.on_shelf(&title, &name, "bin/python", |folder, work| {
            let inside = environment(&python, folder, work)?;
            let mut install = pip(&inside, &["install", "--only-binary=:all:"]);
            install.arg(format!("moto[s3,server]=={VERSION}"));
            work.run(install)
        })?;
        Ok(folder.join("bin/python"))
    }
}
