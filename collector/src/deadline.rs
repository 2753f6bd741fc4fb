//! Deadlines: when what is decided ends by the time that has passed since, whatever the wall clock says.
//! A clock that is set back must not make a decision last longer than it was made for; one that is set
//! forward ends it as any clock would. It reads no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::duration::millis;
use crate::decision::{Decision, UnixMillis};
use crate::ledger::Ledger;

/// By decision, the end that it was seen with, and when that much time has passed.
#[derive(Debug, Default)]
pub struct Deadlines(BTreeMap<String, (UnixMillis, Option<Instant>)>);

impl Deadlines {
    /// Takes up what can end by itself now.
    pub fn look(&mut self, ledger: &Ledger, now: UnixMillis, instant: Instant) {
        let mut seen = std::mem::take(&mut self.0);
        for decision in ledger.due(UnixMillis::MAX) {
            let Some(end) = decision.expires_unix_ms else { continue };
            let known = seen.remove(&decision.id).filter(|(known, _)| *known == end);
            let deadline = known.unwrap_or_else(|| {
                // One of a day that has not come yet was made before the clock was set back.
                let lasts = end.checked_sub(decision.decided_unix_ms).filter(|lasts| *lasts > 0);
                let left = end.saturating_sub(now).min(lasts.unwrap_or(UnixMillis::MAX));
                (end, instant.checked_add(Duration::from_millis(left)))
            });
            self.0.insert(decision.id.clone(), deadline);
        }
    }

    /// When a decision ends, by the wall clock as it is now.
    #[must_use]
    pub fn end(
        &self,
        decision: &Decision,
        now: UnixMillis,
        instant: Instant,
    ) -> Option<UnixMillis> {
        let end = decision.expires_unix_ms?;
        let deadline = self.0.get(&decision.id).filter(|(known, _)| *known == end);
        let left = deadline.and_then(|(_, at)| *at).map(|at| at.saturating_duration_since(instant));
        Some(left.map_or(end, |left| end.min(now.saturating_add(millis(left)))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Deadlines;
    use crate::decision::{Action, UnixMillis};
    use crate::fixture::decision;
    use crate::ledger::{Event, Ledger};

    const DAY: UnixMillis = 86_400_000;

    /// When a divert ends that was decided on day 2 for ten seconds, first seen at one moment of the wall
    /// clock and looked at after so many milliseconds at another.
    fn end(seen: UnixMillis, after: u64, now: UnixMillis) -> Option<UnixMillis> {
        let mut divert =
            decision("d-000001", Action::Divert { to: "v2".to_owned(), segment: None });
        (divert.decided_unix_ms, divert.expires_unix_ms) = (2 * DAY, Some(2 * DAY + 10_000));
        let ledger =
            Ledger::replay(&[Event::Decided { decision: divert.clone().into(), ends: None }]);
        let (mut deadlines, instant) = (Deadlines::default(), Instant::now());
        deadlines.look(&ledger, seen, instant);
        let later = instant + Duration::from_millis(after);
        deadlines.look(&ledger, now, later);
        deadlines.end(&divert, now, later)
    }

    #[test]
    fn a_clock_that_runs_ends_a_decision_when_it_says() {
        assert_eq!(end(2 * DAY + 1_000, 2_000, 2 * DAY + 3_000), Some(2 * DAY + 10_000));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_it_after_the_time_that_was_left() {
        assert_eq!(end(2 * DAY + 1_000, 2_000, DAY), Some(DAY + 7_000));
        assert_eq!(end(2 * DAY + 1_000, 9_000, DAY), Some(DAY));
        assert_eq!(end(2 * DAY + 1_000, 20_000, 0), Some(0));
    }

    #[test]
    fn a_clock_that_is_set_forward_or_right_again_ends_it_when_it_says() {
        assert_eq!(end(2 * DAY + 1_000, 2_000, 3 * DAY), Some(2 * DAY + 10_000));
        // What was seen while the clock was a day behind lasts no longer than it was made for.
        assert_eq!(end(DAY, 0, DAY), Some(DAY + 10_000));
        assert_eq!(end(DAY, 1_000, 2 * DAY + 1_000), Some(2 * DAY + 10_000));
    }
}
