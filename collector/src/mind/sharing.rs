//! The mind among others: what collectors that share their state do in step. Each sends its panes,
//! judges those of all, and gives its own Envoys what the log says; the one that holds the lease
//! decides. With a state of its own a collector always decides.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Mind;
use crate::api::answer::CrewStatus;
use crate::api::ask::Refusal;
use crate::clock;
use crate::config::duration::millis;
use crate::decision::UnixMillis;
use crate::ledger::{Event, Ledger};
use crate::state::{Hop, News, Standing};

/// By how much a timer may be early, or our idea of the shared clock wrong.
const EARLY_MS: u64 = 5;

impl Mind {
    /// Whether this collector decides.
    pub(super) fn leads(&self) -> bool {
        self.store.standing() == Standing::Leads
    }

    /// Whether others share the state.
    pub(super) fn shares(&mut self) -> bool {
        self.store.sharing().is_some()
    }

    /// Takes up what the one who decides has to do, when that is this collector from now on.
    pub(super) fn stand(&mut self) {
        let leads = self.leads();
        if let Some(sharing) = self.store.sharing() {
            self.metrics.crew(&sharing.crew());
        }
        if leads && !self.led {
            self.led = true;
            self.pushed.clear();
            if let Err(error) = self.resume() {
                warn!(%error, "what is decided could not be taken up");
            }
            (0..self.watched.len()).for_each(|at| self.follow_rollout(at));
        } else if !leads && self.led {
            self.led = false;
            // Whoever decides now sees to it that it is followed.
            self.pushed.clear();
        }
    }

    /// Whether wishes are granted here.
    pub(super) fn here(&self) -> Result<(), Refusal> {
        match self.store.standing() {
            Standing::Leads => Ok(()),
            Standing::Follows { leader } => Err(Refusal::Elsewhere { leader }),
            Standing::Lost { why } => Err(Refusal::Undecided { why }),
        }
    }

    /// What keeps this collector, and all others, from deciding.
    pub(super) fn lost(&self) -> Option<String> {
        match self.store.standing() {
            Standing::Lost { why } => Some(format!("nothing is decided here: {why}")),
            Standing::Leads | Standing::Follows { .. } => None,
        }
    }

    pub(super) fn crew_status(&mut self) -> Option<CrewStatus> {
        let crew = self.store.sharing()?.crew();
        let (role, leader, trouble) = match crew.standing {
            Standing::Leads => ("leader", None, None),
            Standing::Follows { leader } => ("follower", Some(leader), None),
            Standing::Lost { why } => ("lost", None, Some(why)),
        };
        Some(CrewStatus { role: role.to_owned(), leader, members: crew.members, trouble })
    }

    /// Takes in what others did.
    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::Standing => self.settle(),
            News::Lines { events, length } => self.catch_up(&events, length),
            News::Rewritten { events, length } => {
                self.ledger = Ledger::replay(&events);
                self.store.took(length);
                self.follow_log();
            }
            News::Hop(hop) => self.join(&hop),
        }
        self.stand();
    }

    /// Applies lines of the log; those that are this collector's own are known already.
    fn catch_up(&mut self, events: &[Event], length: u64) {
        let first = length.saturating_sub(events.len() as u64);
        let known = self.store.length();
        if first > known {
            error!(first, known, "lines of the decision log are missing");
            return;
        }
        let new = events.get((known - first) as usize..).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        for event in new {
            if let Event::Decided { decision, .. } = event {
                info!(
                    model = %decision.model,
                    decision = %decision.id,
                    action = decision.action.name(),
                    author = %decision.author,
                    "decided by another collector"
                );
            }
            self.ledger.apply(event);
        }
        self.store.took(length);
        self.follow_log();
        // Even who decides meets lines here whose answer was lost: they are taken up like any other's.
        self.led = false;
    }

    /// Gives the Envoys what the log says now.
    fn follow_log(&mut self) {
        for watched in &self.watched {
            let name = &watched.model.name;
            self.metrics.in_force(name, self.ledger.active(name));
        }
        (0..self.watched.len()).for_each(|at| self.follow_rollout(at));
        self.push();
        self.settle();
    }

    /// When a model's window closes next: with others, when the clock's next hop is full.
    pub(super) fn next_close(
        &mut self,
        hop: Duration,
        instant: Instant,
        now: UnixMillis,
    ) -> Instant {
        let Some(sharing) = self.store.sharing() else { return instant + hop };
        let now = now.saturating_add_signed(sharing.ahead_ms());
        let hop = millis(hop).max(1);
        instant + Duration::from_millis(hop - (now + EARLY_MS) % hop + EARLY_MS)
    }

    /// Sends the pane of a model to all.
    pub(super) fn send(&mut self, at: usize, now: UnixMillis) {
        let Some(watched) = self.watched.get_mut(at) else { return };
        let hop = watched.model.window.hop;
        let Some(sharing) = self.store.sharing() else { return };
        // The hop that is full now, by the clock that all share.
        let number =
            (now.saturating_add_signed(sharing.ahead_ms()) + EARLY_MS) / millis(hop).max(1);
        if matches!(sharing.crew().standing, Standing::Lost { .. }) {
            watched.watch.lose();
            return;
        }
        let parcel = watched.watch.cut();
        if !sharing.publish(&watched.model.name, hop, number, parcel) {
            warn!(model = %watched.model.name, "a pane could not be shared; it is lost");
        }
    }

    /// Judges what all saw of a model.
    fn join(&mut self, hop: &Hop) {
        let of_model = |watched: &super::Watched| watched.model.name == hop.model;
        let Some(at) = self.watched.iter().position(of_model) else { return };
        let now = clock::unix_ms();
        let closed_ms = hop.number.saturating_mul(millis(self.watched[at].model.window.hop).max(1));
        let ahead_ms = self.store.sharing().map_or(0, |sharing| sharing.ahead_ms());
        let shared = now.saturating_add_signed(ahead_ms);
        let ago = Duration::from_millis(shared.saturating_sub(closed_ms).min(60_000));
        let instant = Instant::now();
        let closed = instant.checked_sub(ago).unwrap_or(instant);
        self.watched[at].take_labelled();
        let judgement = self.watched[at].watch.join(hop.number, &hop.parcels, closed_ms);
        self.judge(at, judgement, closed, now);
        self.roll(at, instant, now);
    }

    /// Whether the Envoys of all collectors follow the log up to this length, and there are any.
    pub(super) fn all_follow(&mut self, length: u64) -> bool {
        let own = self.fleet.follows(&self.worlds.borrow());
        let none = self.fleet.is_empty();
        match self.store.sharing() {
            None => own,
            Some(sharing) => {
                let others = sharing.others_follow();
                (own || none)
                    && others.is_none_or(|others| others >= length)
                    && !(none && others.is_none())
            }
        }
    }

    /// Tells the others how far this collector's Envoys are.
    pub(super) fn tell_followed(&mut self) {
        let follows = self.fleet.follows(&self.worlds.borrow());
        let (length, none) = (self.store.length(), self.fleet.is_empty());
        if let Some(sharing) = self.store.sharing() {
            if none {
                sharing.follow(None);
            } else if follows {
                sharing.follow(Some(length));
            }
        }
    }
}
