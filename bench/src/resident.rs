//! How much memory this process has. It does not know what for.

use std::fs;
use std::io;

/// Bytes of this process that are in memory (`VmRSS` of `/proc/self/status`).
///
/// # Errors
/// The system does not say.
pub fn bytes() -> io::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("no VmRSS"))
}
