//! The ledger: every decision as its events made it. Replaying the journal's events in order
//! gives the same ledger, which is how decisions survive a restart. It reads no clock and no file.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::decision::{Action, Decision, State, UnixMillis};
use crate::rollout::Rollout;

/// Decisions kept in memory; the journal keeps all of them.
const KEPT: usize = 1000;

/// Something that happened to a decision. One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A decision was made; `ends` says what becomes of the one it replaces.
    Decided {
        /// The decision, proposed or active.
        decision: Box<Decision>,
        /// What the decision that was in force becomes.
        ends: Option<Ends>,
    },
    /// A person approved a proposal; it is in force from now on.
    Approved {
        /// The decision.
        id: String,
        /// Who approved.
        author: String,
        /// When.
        at_unix_ms: UnixMillis,
    },
    /// A proposal ended before anyone approved it: its time ran out, or a person withdrew it.
    Withdrawn {
        /// The decision.
        id: String,
        /// `expiry`, or the person.
        author: String,
        /// When.
        at_unix_ms: UnixMillis,
    },
    /// The findings still hold: the decision ends later.
    Extended {
        /// The decision.
        id: String,
        /// Its new end.
        expires_unix_ms: UnixMillis,
    },
    /// Every connected Envoy acknowledged the configuration that carries the decision.
    Acknowledged {
        /// The decision.
        id: String,
        /// When.
        at_unix_ms: UnixMillis,
        /// From the window's close (or the decision) to now.
        seconds: f64,
    },
    /// An Envoy refused the configuration and kept its last good one.
    Refused {
        /// The decision.
        id: String,
        /// Envoy's own words.
        why: String,
    },
    /// A rollout began, went a step further, stands still, goes on or ended.
    Rollout {
        /// How it stands from now on.
        rollout: Box<Rollout>,
    },
}

/// What becomes of a decision that another one replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// The decision that ends.
    pub id: String,
    /// How: rolled back, expired or superseded.
    pub state: State,
}

/// All decisions, oldest first.
#[derive(Debug, Default)]
pub struct Ledger {
    decisions: VecDeque<Decision>,
    /// The highest number that a decision got; a line that a person took out of the journal must
    /// not give its successor's number away twice.
    made: u64,
    /// By model, the versions that were promoted and not undone, each with its decision; the last
    /// one is the primary.
    promoted: BTreeMap<String, Vec<(String, String)>>,
    /// By model, its latest rollout.
    rollouts: BTreeMap<String, Rollout>,
}

impl Ledger {
    /// The ledger that these events made.
    #[must_use]
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut ledger = Self::default();
        for event in events {
            ledger.apply(event);
        }
        ledger
    }

    /// Takes one more event. An event about a decision that is not known changes nothing.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Decided { decision, ends } => {
                if let Some(ends) = ends {
                    self.change(&ends.id, |ended| ended.state = ends.state);
                    if ends.state == State::RolledBack
                        && let Some(promoted) = self.promoted.get_mut(&decision.model)
                    {
                        promoted.retain(|(_, by)| *by != ends.id);
                    }
                }
                if self.find(&decision.id).is_none() {
                    if let (Action::Promote { to }, State::Active) =
                        (&decision.action, decision.state)
                    {
                        let promoted = self.promoted.entry(decision.model.clone()).or_default();
                        promoted.push((to.clone(), decision.id.clone()));
                    }
                    self.made = self.made.max(number(&decision.id));
                    self.decisions.push_back((**decision).clone());
                    self.forget();
                }
            }
            Event::Approved { id, author, at_unix_ms } => {
                let model = self.find(id).map(|decision| decision.model.clone());
                if let Some(model) = model {
                    for standing in self.decisions.iter_mut().filter(|d| d.model == model) {
                        if standing.state == State::Active {
                            standing.state = State::Superseded;
                        }
                    }
                }
                self.change(id, |decision| {
                    let lasts = decision
                        .expires_unix_ms
                        .map(|end| end.saturating_sub(decision.decided_unix_ms));
                    decision.state = State::Active;
                    decision.author.clone_from(author);
                    decision.decided_unix_ms = *at_unix_ms;
                    decision.expires_unix_ms = lasts.map(|lasts| at_unix_ms + lasts);
                    // What counts from here is how soon Envoy follows the person.
                    decision.window_closed_unix_ms = None;
                });
            }
            Event::Withdrawn { id, .. } => self.change(id, |d| d.state = State::Withdrawn),
            Event::Extended { id, expires_unix_ms } => {
                self.change(id, |decision| decision.expires_unix_ms = Some(*expires_unix_ms));
            }
            Event::Acknowledged { id, at_unix_ms, seconds } => self.change(id, |decision| {
                decision.acknowledged_unix_ms = Some(*at_unix_ms);
                decision.seconds_to_acknowledgement = Some(*seconds);
                decision.refused = None;
            }),
            Event::Refused { id, why } => {
                self.change(id, |decision| decision.refused = Some(why.clone()));
            }
            Event::Rollout { rollout } => {
                self.rollouts.insert(rollout.model.clone(), (**rollout).clone());
            }
        }
    }

    /// The id that the next decision gets.
    #[must_use]
    pub fn next_id(&self) -> String {
        format!("d-{:06}", self.made + 1)
    }

    /// A decision by its id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.id == id)
    }

    /// The decision in force for a model; `None` before the first one.
    #[must_use]
    pub fn active(&self, model: &str) -> Option<&Decision> {
        self.newest(model, State::Active)
    }

    /// The version that was promoted last and not undone, and the decision that did it.
    #[must_use]
    pub fn promoted(&self, model: &str) -> Option<(&str, &str)> {
        let (version, decision) = self.promoted.get(model)?.last()?;
        Some((version, decision))
    }

    /// The latest rollout of a model.
    #[must_use]
    pub fn rollout(&self, model: &str) -> Option<&Rollout> {
        self.rollouts.get(model)
    }

    /// The decision for a model that waits for a person.
    #[must_use]
    pub fn proposed(&self, model: &str) -> Option<&Decision> {
        self.newest(model, State::Proposed)
    }

    /// Until when the policy should decide nothing for a model, by all that was decided for it.
    #[must_use]
    pub fn quiet_until(&self, model: &str) -> UnixMillis {
        let of_model = self.decisions.iter().filter(|decision| decision.model == model);
        of_model.map(|decision| decision.quiet_until_unix_ms).max().unwrap_or(0)
    }

    /// When the next decision ends by itself.
    #[must_use]
    pub fn next_end(&self) -> Option<UnixMillis> {
        self.due(UnixMillis::MAX).filter_map(|decision| decision.expires_unix_ms).min()
    }

    /// Decisions whose time has run out.
    pub fn due(&self, now: UnixMillis) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(move |decision| {
            matches!(decision.state, State::Active | State::Proposed)
                && decision.action != Action::Serve
                && decision.expires_unix_ms.is_some_and(|end| end <= now)
        })
    }

    /// All decisions kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.decisions.iter()
    }

    fn newest(&self, model: &str, state: State) -> Option<&Decision> {
        self.decisions.iter().rev().find(|d| d.model == model && d.state == state)
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Decision)) {
        if let Some(decision) = self.decisions.iter_mut().find(|decision| decision.id == id) {
            change(decision);
        }
    }

    /// Drops the oldest decision that shapes nothing any more.
    fn forget(&mut self) {
        if self.decisions.len() > KEPT {
            let ended = |d: &Decision| !matches!(d.state, State::Active | State::Proposed);
            if let Some(oldest) = self.decisions.iter().position(ended) {
                self.decisions.remove(oldest);
            }
        }
    }
}

/// The number in `d-000001`.
fn number(id: &str) -> u64 {
    id.strip_prefix("d-").and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Ends, Event, Ledger};
    use crate::decision::{Action, State};
    use crate::fixture::decision;

    fn divert(id: &str) -> Event {
        let action = Action::Divert { to: "v2".to_owned(), segment: None };
        Event::Decided { decision: Box::new(decision(id, action)), ends: None }
    }

    fn proposed(id: &str) -> Event {
        let mut decision =
            decision(id, Action::Canary { to: "v3".to_owned(), share: 5, shadow: 0 });
        decision.state = State::Proposed;
        Event::Decided { decision: Box::new(decision), ends: None }
    }

    fn serve(id: &str, ends: &str) -> Event {
        let mut decision = decision(id, Action::Serve);
        decision.expires_unix_ms = None;
        let ends = Ends { id: ends.to_owned(), state: State::RolledBack };
        Event::Decided { decision: Box::new(decision), ends: Some(ends) }
    }

    #[test]
    fn a_rollback_ends_the_decision_it_undoes() {
        let ledger = Ledger::replay(&[divert("d-000001"), serve("d-000002", "d-000001")]);
        assert_eq!(ledger.find("d-000001").unwrap().state, State::RolledBack);
        assert_eq!(ledger.active("census").unwrap().action, Action::Serve);
        assert_eq!(ledger.next_id(), "d-000003");
    }

    #[test]
    fn an_approval_puts_the_proposal_in_force_and_ends_what_was() {
        let approved = Event::Approved {
            id: "d-000002".to_owned(),
            author: "ada".to_owned(),
            at_unix_ms: 5_000,
        };
        let ledger = Ledger::replay(&[divert("d-000001"), proposed("d-000002"), approved]);
        assert_eq!(ledger.find("d-000001").unwrap().state, State::Superseded);
        let active = ledger.active("census").unwrap();
        assert_eq!((active.id.as_str(), active.author.as_str()), ("d-000002", "ada"));
        assert_eq!(active.expires_unix_ms, Some(15_000), "its time counts from the approval");
    }

    #[test]
    fn what_was_promoted_stays_until_it_is_undone() {
        let promoted = |id: &str, to: &str| {
            let mut decision = decision(id, Action::Promote { to: to.to_owned() });
            decision.expires_unix_ms = None;
            Event::Decided { decision: Box::new(decision), ends: None }
        };
        let version = |events: &[Event]| {
            Ledger::replay(events).promoted("census").map(|(version, _)| version.to_owned())
        };
        let two = [promoted("d-000001", "v2"), promoted("d-000002", "v3")];
        assert_eq!(version(&[]), None);
        assert_eq!(version(&two).as_deref(), Some("v3"));
        let diverted = [&two[..], &[divert("d-000003"), serve("d-000004", "d-000003")]].concat();
        assert_eq!(version(&diverted).as_deref(), Some("v3"), "a divert undone is only that");
        let undone = [&two[..], &[serve("d-000003", "d-000002")]].concat();
        assert_eq!(version(&undone).as_deref(), Some("v2"));
    }

    #[test]
    fn only_what_shapes_routes_or_waits_can_run_out() {
        let ledger = Ledger::replay(&[divert("d-000001"), serve("d-000002", "d-000001")]);
        assert_eq!(ledger.due(u64::MAX).count(), 0);
        let ledger = Ledger::replay(&[divert("d-000001")]);
        assert_eq!(ledger.due(10_999).count(), 0);
        assert_eq!(ledger.due(11_000).count(), 1);
    }

    #[test]
    fn an_extension_moves_the_end() {
        let later = Event::Extended { id: "d-000001".to_owned(), expires_unix_ms: 99_000 };
        let ledger = Ledger::replay(&[divert("d-000001"), later]);
        assert_eq!(ledger.due(50_000).count(), 0);
    }

    #[test]
    fn what_shapes_the_routes_is_never_forgotten() {
        let mut ledger = Ledger::replay(&[divert("first")]);
        for n in 0..3_000 {
            ledger.apply(&serve(&format!("s-{n}"), &format!("s-{}", n as i64 - 1)));
        }
        assert!(ledger.iter().count() <= super::KEPT + 1);
        assert!(ledger.find("first").is_some());
    }

    #[test]
    fn a_line_taken_out_of_the_journal_gives_no_number_away_twice() {
        let ledger = Ledger::replay(&[divert("d-000001"), serve("d-000003", "d-000001")]);
        assert_eq!(ledger.next_id(), "d-000004");
        let ledger = Ledger::replay(&[divert("d-000001"), divert("d-000001")]);
        assert_eq!(ledger.iter().count(), 1);
    }

    #[test]
    fn the_next_end_is_the_earliest_of_what_can_end() {
        let later = Event::Extended { id: "d-000001".to_owned(), expires_unix_ms: 99_000 };
        let ledger = Ledger::replay(&[divert("d-000001"), later, proposed("d-000002")]);
        assert_eq!(ledger.next_end(), Some(11_000));
        assert_eq!(Ledger::default().next_end(), None);
    }

    #[test]
    fn an_event_about_an_unknown_decision_changes_nothing() {
        let ledger = Ledger::replay(&[Event::Extended { id: "x".to_owned(), expires_unix_ms: 1 }]);
        assert_eq!(ledger.iter().count(), 0);
    }
}
