//! The clock of the benchmarks: CPU time of this thread or of a whole process, so that a busy
//! machine changes little. It does not know what is timed.

use std::fs;
use std::io;
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

/// CPU seconds that `work` takes on all threads of this process, the least of `tries`.
///
/// # Panics
/// Where the system has no such clock.
pub fn least_of_process(tries: u32, mut work: impl FnMut()) -> f64 {
    let used = || {
        let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
        Duration::from(used.expect("Linux has this clock"))
    };
    let once = |_| {
        let begun = used();
        work();
        (used() - begun).as_secs_f64()
    };
    (0..tries).map(once).fold(f64::INFINITY, f64::min)
}

/// CPU time that all threads of a process have used which still run, by the scheduler's own
/// nanoseconds (`/proc/PID/task/TID/schedstat`).
///
/// # Errors
/// There is no such process, or the system does not keep this time.
pub fn process_cpu(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = told.split_whitespace().next().and_then(|ran| ran.parse::<u64>().ok());
        nanos += ran.ok_or_else(|| io::Error::other("no CPU time in schedstat"))?;
    }
    Ok(Duration::from_nanos(nanos))
}
