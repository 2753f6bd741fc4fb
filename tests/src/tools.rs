//! Where the tools under test are. They are named by `cargo xtask test`, which fetches and builds
//! them; this file does not know how.

use std::path::PathBuf;

use xtask::tools::servers::Server;

/// Envoy's binary.
#[must_use]
pub fn envoy() -> PathBuf {
    named("TIDEGATE_ENVOY")
}

/// A Redis server's binary.
#[must_use]
pub fn redis() -> PathBuf {
    named("TIDEGATE_REDIS")
}

/// The filter, as WebAssembly.
#[must_use]
pub fn filter() -> PathBuf {
    named("TIDEGATE_FILTER")
}

/// The filter, as a dynamic module of Envoy.
#[must_use]
pub fn module() -> PathBuf {
    named("TIDEGATE_MODULE")
}

/// The `tidegate` command.
#[must_use]
pub fn tidegate() -> PathBuf {
    named("TIDEGATE_BIN")
}

/// The Python that has MLServer.
#[must_use]
pub fn mlserver() -> PathBuf {
    named("TIDEGATE_MLSERVER")
}

/// The Python that has moto, a server of S3's protocol.
#[must_use]
pub fn moto() -> PathBuf {
    named("TIDEGATE_MOTO")
}

/// The Python that has a model server.
#[must_use]
pub fn server(server: Server) -> PathBuf {
    named(server.variable())
}

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("tests/ lies in the checkout").to_owned()
}

/// Where the folders of plays go: beside what cargo built, wherever that is.
#[must_use]
pub fn stages() -> PathBuf {
    let program = std::env::current_exe().expect("a test knows its own program");
    let target = program.ancestors().nth(3).expect("tests are built in TARGET/PROFILE/deps");
    target.join("tidegate-stages")
}

/// A test without its tools fails: one that passed would say what it does not know.
fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    assert!(
        path.exists(),
        "{variable} names no file ({}); run `cargo xtask test`, which gets the tools and tells the \
         tests where they are, or you why it cannot",
        path.display()
    );
    path
}
