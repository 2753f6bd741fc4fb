//! The clock: the one place where wall time is read.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::duration::millis;
use crate::decision::UnixMillis;

/// Now, in milliseconds since the Unix epoch; 0 on a machine whose clock is before it.
#[must_use]
pub fn unix_ms() -> UnixMillis {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
