//! The clock of the benchmarks: CPU time of this thread, so that a busy machine changes little.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used.
///
/// # Panics
/// Where the system has no such clock.
#[must_use]
pub fn cpu() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock"))
}

/// CPU seconds that `work` takes, the least of `tries`.
pub fn least(tries: u32, mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let begun = cpu();
        work();
        (cpu() - begun).as_secs_f64()
    };
    (0..tries).map(once).fold(f64::INFINITY, f64::min)
}
