//! A real model server, MLServer with scikit-learn, in an environment of ours. It does not know
//! the models.

use std::path::PathBuf;

use super::python::{Python, environment, pip};
use super::{Error, Tools, given};

/// The version the demo and the tests were seen with.
pub const VERSION: &str = "1.7.1";

impl Tools {
    /// The Python that has MLServer, scikit-learn, pandas and joblib: `TIDEGATE_MLSERVER`, or ours.
    ///
    /// # Errors
    /// It cannot be installed.
    pub fn mlserver(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_MLSERVER") {
            return Ok(given);
        }
        let python = Python::find()?;
        let name = format!("mlserver-{VERSION}-python-3.{}", python.minor);
        let title = format!("MLServer {VERSION} with scikit-learn (about 700 MB)");
        let folder = self.on_shelf(&title, &name, "bin/python", |folder, work| {
            let inside = environment(&python, folder, work)?;
            let mut install = pip(&inside, &["install", "--only-binary=:all:"]);
            if python.minor > 12 {
                // It declares less than 3.13 and was seen running there.
                install.arg("--ignore-requires-python");
            }
            install.arg(format!("mlserver=={VERSION}")).arg(format!("mlserver-sklearn=={VERSION}"));
            install.args(["pandas<3", "pyarrow"]);
            work.run(install)
        })?;
        Ok(folder.join("bin/python"))
    }
}
