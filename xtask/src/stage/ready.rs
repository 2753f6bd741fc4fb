//! Waiting until something on stage is ready, with a deadline, and never longer than it lives. It
//! does not know what readiness means.

use std::thread;
use std::time::{Duration, Instant};

use super::Error;
use super::process::Process;

/// How often is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Asks `ready` until it says yes.
///
/// # Errors
/// The process ended, or `within` passed; both with the last lines of its log.
pub fn wait(
    process: &mut Process,
    within: Duration,
    mut ready: impl FnMut() -> bool,
) -> Result<(), Error> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(status) = process.ended() {
            return Err(Error::Ended {
                name: process.name().to_owned(),
                status: status.to_string(),
                log: process.last_words(),
            });
        }
        if ready() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::NotReady {
                name: process.name().to_owned(),
                seconds: within.as_secs(),
                log: process.last_words(),
            });
        }
        thread::sleep(ASK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;
    use crate::stage::process::exists;
    use std::process::Command;

    fn check(script: &str, within: Duration) -> (String, i32) {
        let stage = Stage::open(&std::env::temp_dir().join("tidegate-xtask-tests"), "ready")
            .expect("opens");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut process =
            Process::start("actor", command, &stage.folder().join("actor.log")).expect("starts");
        let pid = i32::try_from(process.pid()).expect("small");
        (wait(&mut process, within, || false).expect_err("never ready").to_string(), pid)
    }

    #[test]
    fn an_end_before_readiness_shows_the_last_words() {
        let (message, _) = check("echo no such option; exit 3", Duration::from_secs(30));
        assert!(message.contains("actor ended") && message.contains("no such option"), "{message}");
    }

    #[test]
    fn a_deadline_that_passed_is_named_and_the_failed_start_leaves_nothing() {
        let (message, pid) = check("exec sleep 600", Duration::from_millis(200));
        assert!(message.contains("was not ready"), "{message}");
        assert!(!exists(pid));
    }
}
