//! A profile of made-up training data in a play's folder, by the real command. It does not know the data.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use xtask::stage::Stage;

/// Makes `profile` in the play's folder of this CSV text.
///
/// # Errors
/// The data cannot be written, or the command refuses it.
pub fn from_csv(stage: &Stage, tidegate: &Path, csv: &str) -> Result<(), Box<dyn Error>> {
    let data = stage.write("training.csv", csv)?;
    let profile = stage.folder().join("profile");
    let made =
        Command::new(tidegate).arg("profile").arg(data).arg("--out").arg(profile).output()?;
    if made.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&made.stderr).into_owned().into())
    }
}
