//! Free loopback ports. It does not know who will listen there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Below the range from which Linux and macOS take the ports of outgoing connections, so that no
/// client can be given a port between our choice and the server's `bind`.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// A loopback port on which nobody listens and which this process never gave out before.
///
/// # Panics
/// When all 17,000 ports are taken.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Test processes that start together must not walk the range in step.
    let seed =
        std::process::id().wrapping_mul(2_654_435_761) ^ u32::try_from(given.len()).unwrap_or(0);
    let width = u32::from(RANGE.end - RANGE.start);
    for step in 0..width {
        let offset = seed.wrapping_add(step.wrapping_mul(127)) % width;
        let port = RANGE.start + u16::try_from(offset).unwrap_or(0);
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free loopback port between {} and {}", RANGE.start, RANGE.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_never_given_twice() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        let unique: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(unique.len(), ports.len());
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).expect("free");
        let taken = held.local_addr().expect("bound").port();
        assert!((0..50).all(|_| free_port() != taken));
    }
}
