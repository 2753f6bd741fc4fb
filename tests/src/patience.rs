//! Waiting for what other processes do, with a deadline. It does not know what is awaited.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `seen` finds something, and gives it.
///
/// # Panics
/// When `within` passes first; `what` says what did not come.
pub fn eventually<T>(what: &str, within: Duration, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(Instant::now() < deadline, "within {within:?} this did not come: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Looks for a whole while whether something stays as it is.
///
/// # Panics
/// When it changes.
pub fn throughout<T: PartialEq + Debug>(
    what: &str,
    lasting: Duration,
    expected: &T,
    mut now: impl FnMut() -> T,
) {
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        assert_eq!(&now(), expected, "{what}");
        thread::sleep(LOOK_EVERY);
    }
}
