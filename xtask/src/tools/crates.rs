//! What cargo builds of our own house: the filter and the `tidegate` command. It does not know
//! what they do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::work::Work;
use super::{Error, Tools, given};

/// The target that the filter is compiled to.
pub const WASM_TARGET: &str = "wasm32-wasip1";

/// The cargo that runs us, so that the pinned toolchain serves every step.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

impl Tools {
    /// The filter's module: `TIDEGATE_FILTER`, or built now (seconds when nothing changed).
    ///
    /// # Errors
    /// The target cannot be added, or the build fails.
    pub fn filter(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_FILTER") {
            return Ok(given);
        }
        self.wasm_target()?;
        let package = ["-p", "tidegate-filter", "--target", WASM_TARGET, "--profile", "filter"];
        self.build("Filter (WebAssembly)", "filter", &package)?;
        self.built(&self.target().join(WASM_TARGET).join("filter/tidegate_filter.wasm"))
    }

    /// The reader of bodies alone in WebAssembly, built now as the filter is.
    ///
    /// # Errors
    /// The target cannot be added, or the build fails.
    pub fn reader(&self) -> Result<PathBuf, Error> {
        self.wasm_target()?;
        let package = [
            "-p",
            "tidegate-bench-reader",
            "--lib",
            "--target",
            WASM_TARGET,
            "--profile",
            "filter",
        ];
        self.build("Reader (WebAssembly)", "reader", &package)?;
        self.built(&self.target().join(WASM_TARGET).join("filter/tidegate_bench_reader.wasm"))
    }

    /// The filter as a dynamic module: `TIDEGATE_MODULE`, or built now (seconds when nothing
    /// changed).
    ///
    /// # Errors
    /// The build fails.
    pub fn dynamic_module(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_MODULE") {
            return Ok(given);
        }
        let package =
            ["-p", "tidegate-filter", "--features", "dynamic-module", "--profile", "native"];
        self.build("Filter (dynamic module)", "dynamic-module", &package)?;
        self.built(&self.target().join("native/libtidegate_filter.so"))
    }

    /// The `tidegate` command: `TIDEGATE_BIN`, or built now (seconds when nothing changed).
    ///
    /// # Errors
    /// The build fails.
    pub fn tidegate(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_BIN") {
            return Ok(given);
        }
        let package = ["-p", "tidegate-collector", "--bin", "tidegate"];
        self.build("Collector and command line", "tidegate", &package)?;
        self.built(&self.target().join("debug/tidegate"))
    }

    /// Adds the WebAssembly target to the toolchain of this checkout when it lacks it.
    fn wasm_target(&self) -> Result<(), Error> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut ask = Command::new(rustc);
        ask.args(["--print", "sysroot"]).current_dir(self.root());
        let there = ask.output().is_ok_and(|told| {
            let sysroot = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim());
            sysroot.join("lib/rustlib").join(WASM_TARGET).join("lib").exists()
        });
        if there {
            return Ok(());
        }
        if Command::new("rustup").arg("--version").output().is_err() {
            return Err(Error::NoTarget { target: WASM_TARGET.to_owned() });
        }
        let title = format!("Rust target {WASM_TARGET}");
        let mut work = Work::begin(self.terminal(), &title, &self.logs(), "wasm-target")?;
        let mut add = Command::new("rustup");
        // In the checkout, so that the pinned toolchain gets it.
        add.args(["target", "add", WASM_TARGET]).current_dir(self.root());
        let added = work.run(add);
        work.finish(added.is_ok(), "");
        added
    }

    fn build(&self, title: &str, name: &str, arguments: &[&str]) -> Result<(), Error> {
        let mut work = Work::begin(self.terminal(), title, &self.logs(), name)?;
        let mut build = Command::new(cargo());
        build.args(["build", "--color", "never"]).args(arguments).current_dir(self.root());
        let built = work.run(build);
        work.finish(built.is_ok(), "");
        built
    }

    fn built(&self, path: &Path) -> Result<PathBuf, Error> {
        if path.exists() {
            return Ok(path.to_owned());
        }
        Err(Error::Incomplete { path: path.to_owned() })
    }
}
