//! The fleet: which Envoys are connected and which version of each resource they have put into
//! effect. Pure; it hears from `server` through the mind.

use std::collections::BTreeMap;

use super::session::Heard;
use super::snapshot::{Resource, Snapshot};

/// Something that happened on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which stream; unique in the life of this process.
    pub stream: u64,
    /// Envoy's node id, empty where it has none.
    pub node: String,
    /// What happened; `None` when the stream ended.
    pub heard: Option<Heard>,
}

/// One connected Envoy.
#[derive(Debug, Default)]
struct Member {
    node: String,
    /// What it asked for, and the version it has in effect.
    has: BTreeMap<Resource, String>,
}

/// The connected Envoys.
#[derive(Debug, Default)]
pub struct Fleet {
    members: BTreeMap<u64, Member>,
}

impl Fleet {
    /// Takes a report in.
    pub fn hear(&mut self, report: &Report) {
        let Some(heard) = &report.heard else {
            self.members.remove(&report.stream);
            return;
        };
        let member = self.members.entry(report.stream).or_default();
        member.node.clone_from(&report.node);
        match heard {
            Heard::Subscribed { resource, version } | Heard::Acknowledged { resource, version } => {
                member.has.insert(*resource, version.clone());
            }
            Heard::Refused { .. } | Heard::Nothing => {}
        }
    }

    /// Envoys connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no Envoy is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether at least one Envoy is connected and every one has all it asked for of `snapshot` in
    /// effect. An Envoy that asked for nothing of ours yet counts as one that has not.
    #[must_use]
    pub fn follows(&self, snapshot: &Snapshot) -> bool {
        !self.is_empty()
            && self.members.values().all(|member| {
                !member.has.is_empty()
                    && member
                        .has
                        .iter()
                        .all(|(resource, version)| *version == snapshot.get(*resource).version)
            })
    }

    /// The node ids of the connected Envoys.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.members.values().map(|member| member.node.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidegate_contract::plugin::Plugin;

    use super::{Fleet, Heard, Report, Resource, Snapshot};
    use crate::fixture::{DIVERT, config};

    fn snapshot() -> Snapshot {
        let plugin = Plugin { collector: None, models: Vec::new() };
        Snapshot::of(&BTreeMap::new(), &plugin, &config(DIVERT).envoy)
    }

    fn report(stream: u64, heard: Option<Heard>) -> Report {
        Report { stream, node: format!("envoy-{stream}"), heard }
    }

    fn asked(stream: u64, resource: Resource) -> Report {
        report(stream, Some(Heard::Subscribed { resource, version: String::new() }))
    }

    fn follows(stream: u64, resource: Resource) -> Report {
        let version = snapshot().get(resource).version.clone();
        report(stream, Some(Heard::Acknowledged { resource, version }))
    }

    fn after(reports: &[Report]) -> Fleet {
        let mut fleet = Fleet::default();
        reports.iter().for_each(|report| fleet.hear(report));
        fleet
    }

    #[test]
    fn nobody_follows_while_nobody_is_connected() {
        assert!(!Fleet::default().follows(&snapshot()));
    }

    #[test]
    fn an_envoy_follows_when_it_has_all_it_asked_for() {
        let (runtime, extension) = (Resource::Runtime, Resource::Extension);
        let half = [asked(1, runtime), asked(1, extension), follows(1, runtime)];
        assert!(!after(&half).follows(&snapshot()));
        let whole = [half.as_slice(), &[follows(1, extension)]].concat();
        assert!(after(&whole).follows(&snapshot()));
    }

    #[test]
    fn every_envoy_must_follow_and_one_that_left_counts_no_more() {
        let two = [follows(1, Resource::Runtime), asked(2, Resource::Runtime)];
        assert!(!after(&two).follows(&snapshot()));
        let left = [two.as_slice(), &[report(2, None)]].concat();
        assert!(after(&left).follows(&snapshot()));
        assert_eq!(after(&left).nodes().collect::<Vec<_>>(), ["envoy-1"]);
    }
}
