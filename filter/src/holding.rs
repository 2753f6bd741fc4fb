//! Holding: which requests wait for the verdict on their body, and whether the host can do that at
//! all. It does not know why they wait.
//!
//! A host that is not told `allow_on_headers_stop_iteration` (Istio and Envoy Gateway cannot tell
//! theirs) keeps the body back together with the head, for ever, and does not say so. So nothing is
//! held for long, and a host whose bodies never come while heads are held is not trusted again.

use std::collections::BTreeMap;

/// Nanoseconds a request is held at most, up to the next tick.
const MAX_NANOS: u64 = 200_000_000;
/// Requests held at once.
const MAX_HELD: usize = 256;
/// Heads in a row whose body did not come, after which no more are held.
const MAX_DOUBTS: u32 = 3;

/// Requests that wait, by the host's id.
#[derive(Debug, Default)]
pub struct Holding {
    held: BTreeMap<u32, Wait>,
    doubts: u32,
    /// A body came while its head was held: this host can.
    proven: bool,
}

#[derive(Debug)]
struct Wait {
    since_nanos: u64,
    body_came: bool,
}

impl Holding {
    /// Whether one more may be held.
    pub fn may_hold(&self) -> bool {
        (self.proven || self.doubts < MAX_DOUBTS) && self.held.len() < MAX_HELD
    }

    /// Holds a request, or goes on holding it.
    pub fn hold(&mut self, id: u32, now_nanos: u64) {
        self.held.entry(id).or_insert(Wait { since_nanos: now_nanos, body_came: false });
    }

    /// Says that bytes of its body came.
    pub fn body_came(&mut self, id: u32) {
        if let Some(wait) = self.held.get_mut(&id) {
            wait.body_came = true;
            self.proven = true;
        }
    }

    /// Says that it is held no more.
    pub fn released(&mut self, id: u32) {
        self.held.remove(&id);
    }

    /// Those that have waited long enough; they are held no more.
    pub fn overdue(&mut self, now_nanos: u64) -> Vec<u32> {
        let late = |wait: &Wait| now_nanos.saturating_sub(wait.since_nanos) >= MAX_NANOS;
        let doubtful = self.held.values().filter(|wait| late(wait) && !wait.body_came).count();
        self.doubts = self.doubts.saturating_add(u32::try_from(doubtful).unwrap_or(u32::MAX));
        let overdue = self.held.iter().filter(|(_, wait)| late(wait)).map(|(id, _)| *id).collect();
        self.held.retain(|_, wait| !late(wait));
        overdue
    }

    /// Forgets what was learnt: the host may have been told otherwise.
    pub fn start_over(&mut self) {
        self.doubts = 0;
        self.proven = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_too_long_goes_on() {
        let mut holding = Holding::default();
        holding.hold(1, 0);
        holding.hold(2, 100);
        holding.hold(1, 150);
        assert_eq!(holding.overdue(MAX_NANOS), [1]);
        assert_eq!(holding.overdue(MAX_NANOS), Vec::<u32>::new());
        holding.released(2);
        assert_eq!(holding.overdue(u64::MAX), Vec::<u32>::new());
    }

    #[test]
    fn a_host_whose_bodies_never_come_is_not_trusted_again() {
        let mut holding = Holding::default();
        for id in 0..3 {
            assert!(holding.may_hold());
            holding.hold(id, 0);
            holding.overdue(u64::MAX);
        }
        assert!(!holding.may_hold());
        holding.start_over();
        assert!(holding.may_hold());
    }

    #[test]
    fn slow_clients_raise_no_doubt_in_a_host_that_has_shown_that_it_can() {
        let mut holding = Holding::default();
        holding.hold(0, 0);
        holding.body_came(0);
        holding.released(0);
        for id in 1..10 {
            holding.hold(id, 0);
            assert_eq!(holding.overdue(u64::MAX), [id]);
        }
        assert!(holding.may_hold());
    }

    #[test]
    fn only_so_many_are_held_at_once() {
        let mut holding = Holding::default();
        for id in 0..256 {
            assert!(holding.may_hold());
            holding.hold(id, 0);
        }
        assert!(!holding.may_hold());
    }
}
