//! The fleet: which Envoys are connected and which version of each resource they have put into
//! effect. Pure; it hears from `server` through the mind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::session::Heard;
use super::snapshot::Resource;
use super::world::{Asker, World};
use crate::config::model::Envoys;

/// Something that happened on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which stream; unique in the life of this process.
    pub stream: u64,
    /// Who speaks there.
    pub asker: Arc<Asker>,
    /// What happened; `None` when the stream ended.
    pub heard: Option<Heard>,
}

/// One connected Envoy that asked for something of ours.
#[derive(Debug, Default)]
struct Member {
    asker: Arc<Asker>,
    /// What it asked for, and the version that it says it has in effect; `None` from the moment
    /// another one is pushed until it answers.
    has: BTreeMap<Resource, Option<String>>,
    /// What it refuses, in its own words, until it takes what it should have.
    refused: BTreeMap<Resource, String>,
}

/// The connected Envoys.
#[derive(Debug, Default)]
pub struct Fleet {
    members: BTreeMap<u64, Member>,
}

impl Fleet {
    /// Takes a report in.
    pub fn hear(&mut self, report: &Report) {
        let heard = match &report.heard {
            None => {
                self.members.remove(&report.stream);
                return;
            }
            Some(Heard::Nothing) => return,
            Some(heard) => heard,
        };
        let member = self.members.entry(report.stream).or_default();
        member.asker = Arc::clone(&report.asker);
        match heard {
            Heard::Subscribed { resource, version } => {
                member.has.insert(*resource, Some(version.clone()));
            }
            Heard::Acknowledged { resource, version } => {
                member.has.insert(*resource, Some(version.clone()));
                member.refused.remove(resource);
            }
            Heard::Spared { resource, version } => {
                member.has.insert(*resource, Some(version.clone()));
            }
            Heard::Unsubscribed { resource } => {
                member.has.remove(resource);
                member.refused.remove(resource);
            }
            Heard::Refused { resource, why, .. } => {
                member.refused.insert(*resource, why.clone());
            }
            Heard::Nothing => {}
        }
    }

    /// Says that another version of a resource goes out: what the Envoys had counts no more, even
    /// where it comes back.
    pub fn expect(&mut self, resource: Resource) {
        for member in self.members.values_mut() {
            if let Some(has) = member.has.get_mut(&resource) {
                *has = None;
            }
        }
    }

    /// Envoys connected that asked for something of ours.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no Envoy is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether at least one Envoy is connected and every one has all it asked for, of what it should
    /// have, in effect.
    #[must_use]
    pub fn follows(&self, world: &World) -> bool {
        let follows = |member: &Member| {
            let snapshot = world.snapshot(&member.asker);
            let current = |(resource, version): (&Resource, &Option<String>)| {
                version.as_ref() == Some(&snapshot.get(*resource).version)
            };
            member.has.iter().all(current)
        };
        !self.is_empty() && self.members.values().all(follows)
    }

    /// Envoys that serve a model of these Envoys.
    #[must_use]
    pub fn serving(&self, envoys: &Envoys) -> usize {
        self.members.values().filter(|member| member.asker.is_of(envoys)).count()
    }

    /// Whether some Envoy asked for a resource, so that a decision which needs it can be carried out.
    #[must_use]
    pub fn asks_for(&self, resource: Resource) -> bool {
        self.members.values().any(|member| member.has.contains_key(&resource))
    }

    /// What Envoys refuse now, each with the node that does.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.values().flat_map(|member| {
            member.refused.values().map(|why| (member.asker.id.as_str(), why.as_str()))
        })
    }

    /// Envoys that refuse something now, and stay with the last that they took.
    #[must_use]
    pub fn refusing(&self) -> usize {
        self.members.values().filter(|member| !member.refused.is_empty()).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidegate_contract::plugin::Plugin;

    use super::{Arc, Asker, Fleet, Heard, Report, Resource, World};
    use crate::fixture::{DIVERT, config};

    fn world() -> World {
        let plugin = Plugin::default();
        World::of(BTreeMap::new(), plugin, Vec::new(), &config(DIVERT).envoy)
    }

    fn report(stream: u64, heard: Option<Heard>) -> Report {
        let version = Some((1, 40));
        let asker = Asker { id: format!("envoy-{stream}"), version, ..Asker::default() };
        Report { stream, asker: Arc::new(asker), heard }
    }

    fn asked(stream: u64, resource: Resource) -> Report {
        report(stream, Some(Heard::Subscribed { resource, version: String::new() }))
    }

    fn follows(stream: u64, resource: Resource) -> Report {
        let version = world().whole(resource).version.clone();
        report(stream, Some(Heard::Acknowledged { resource, version }))
    }

    fn after(reports: &[Report]) -> Fleet {
        let mut fleet = Fleet::default();
        reports.iter().for_each(|report| fleet.hear(report));
        fleet
    }

    #[test]
    fn nobody_follows_while_nobody_is_connected() {
        assert!(!Fleet::default().follows(&world()));
    }

    #[test]
    fn an_envoy_follows_when_it_has_all_it_asked_for() {
        let (runtime, extension) = (Resource::Runtime, Resource::Extension);
        let half = [asked(1, runtime), asked(1, extension), follows(1, runtime)];
        assert!(!after(&half).follows(&world()));
        let whole = [half.as_slice(), &[follows(1, extension)]].concat();
        assert!(after(&whole).follows(&world()));
    }

    #[test]
    fn every_envoy_must_follow_and_one_that_left_counts_no_more() {
        let two = [follows(1, Resource::Runtime), asked(2, Resource::Runtime)];
        assert!(!after(&two).follows(&world()));
        let left = [two.as_slice(), &[report(2, None)]].concat();
        assert!(after(&left).follows(&world()));
        assert_eq!(after(&left).len(), 1);
    }

    #[test]
    fn what_an_envoy_had_before_a_push_counts_no_more_even_where_it_comes_back() {
        let mut fleet = after(&[follows(1, Resource::Runtime)]);
        fleet.expect(Resource::Runtime);
        assert!(!fleet.follows(&world()));
        fleet.hear(&follows(1, Resource::Runtime));
        assert!(fleet.follows(&world()));
    }

    #[test]
    fn a_stream_that_asks_for_nothing_of_ours_is_no_member() {
        assert!(after(&[report(1, Some(Heard::Nothing))]).is_empty());
    }

    #[test]
    fn a_refusal_stands_until_the_envoy_takes_something() {
        let (resource, version) = (Resource::Runtime, "1".to_owned());
        let (whole, why) = (version.clone(), "bad key".to_owned());
        let spared = Heard::Spared { resource, version: "0".to_owned() };
        let refused = Heard::Refused { resource, version, whole, why };
        let mut fleet = after(&[asked(1, resource), report(1, Some(refused))]);
        // What it takes without that, or of the other resource, changes nothing.
        for other in [report(1, Some(spared)), follows(1, Resource::Extension)] {
            fleet.hear(&other);
            assert_eq!(fleet.refusals().collect::<Vec<_>>(), [("envoy-1", "bad key")]);
            assert_eq!((fleet.refusing(), fleet.follows(&world())), (1, false));
        }
        fleet.hear(&follows(1, resource));
        assert_eq!((fleet.refusals().count(), fleet.refusing()), (0, 0));
    }
}
