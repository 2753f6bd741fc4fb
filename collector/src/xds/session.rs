//! A session: one Envoy's stream of the aggregated discovery service, state of the world, as a
//! pure machine. It does not know the network; `server` carries its words.
//!
//! Protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use super::snapshot::{RESOURCE, Resource, Snapshot};

/// What a request told us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The Envoy wants this resource from now on; it has the version that it names, if any.
    Subscribed {
        /// What it wants.
        resource: Resource,
        /// What it has.
        version: String,
    },
    /// It put the version into effect.
    Acknowledged {
        /// What was sent.
        resource: Resource,
        /// In which version.
        version: String,
    },
    /// It refused the version and stays with the last good one.
    Refused {
        /// What was sent.
        resource: Resource,
        /// In which version.
        version: String,
        /// Envoy's own words.
        why: String,
    },
    /// Nothing of ours: another type, another name, or an answer to a push that a newer one overtook.
    Nothing,
}

/// Longest refusal that is kept of what Envoy says.
const MAX_WHY_BYTES: usize = 2048;

/// What was sent last for one resource.
#[derive(Debug, Clone, Default)]
struct Sent {
    nonce: String,
    version: String,
    acknowledged: bool,
}

/// What a new snapshot means for one stream.
#[derive(Debug, Default, PartialEq)]
pub struct Turn {
    /// What must be sent.
    pub pushes: Vec<DiscoveryResponse>,
    /// What the Envoy has in effect already, because the snapshot came back to it.
    pub has: Vec<Heard>,
}

/// One stream.
#[derive(Debug, Default)]
pub struct Session {
    sent: BTreeMap<Resource, Sent>,
    nonces: u64,
}

impl Session {
    /// Takes a request; gives what it means, and the answer it needs at once.
    pub fn hear(
        &mut self,
        request: &DiscoveryRequest,
        snapshot: &Snapshot,
    ) -> (Heard, Option<DiscoveryResponse>) {
        let Some(resource) = Resource::of_type_url(&request.type_url) else {
            return (Heard::Nothing, None);
        };
        let names = &request.resource_names;
        if !names.is_empty() && !names.iter().any(|name| name == RESOURCE) {
            return (Heard::Nothing, None);
        }
        let Some(sent) = self.sent.get_mut(&resource) else {
            let version = request.version_info.clone();
            if version == snapshot.get(resource).version {
                // It has this already, from before a restart of ours: saying so is enough.
                let (nonce, has) = (String::new(), version.clone());
                self.sent.insert(resource, Sent { nonce, version: has, acknowledged: true });
                return (Heard::Subscribed { resource, version }, None);
            }
            let push = self.push(resource, snapshot);
            return (Heard::Subscribed { resource, version }, Some(push));
        };
        if request.response_nonce != sent.nonce {
            return (Heard::Nothing, None);
        }
        let version = sent.version.clone();
        let heard = match &request.error_detail {
            None => {
                sent.acknowledged = true;
                Heard::Acknowledged { resource, version }
            }
            Some(status) => {
                let mut why = status.message.clone();
                why.truncate(why.floor_char_boundary(MAX_WHY_BYTES));
                Heard::Refused { resource, version, why }
            }
        };
        (heard, None)
    }

    /// What a new snapshot means on this stream.
    pub fn turn(&mut self, snapshot: &Snapshot) -> Turn {
        let mut turn = Turn::default();
        for resource in Resource::ALL {
            let Some(sent) = self.sent.get(&resource) else { continue };
            let version = sent.version.clone();
            if version != snapshot.get(resource).version {
                turn.pushes.push(self.push(resource, snapshot));
            } else if sent.acknowledged {
                turn.has.push(Heard::Acknowledged { resource, version });
            }
        }
        turn
    }

    fn push(&mut self, resource: Resource, snapshot: &Snapshot) -> DiscoveryResponse {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        let versioned = snapshot.get(resource);
        let version = versioned.version.clone();
        self.sent.insert(
            resource,
            Sent { nonce: nonce.clone(), version: version.clone(), acknowledged: false },
        );
        DiscoveryResponse {
            version_info: version,
            resources: vec![versioned.any.clone()],
            type_url: resource.type_url(),
            nonce,
            ..DiscoveryResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
    use envoy_types::pb::google::rpc::Status;
    use tidegate_contract::plugin::Plugin;

    use super::{Heard, RESOURCE, Resource, Session, Snapshot};
    use crate::decision::Action;
    use crate::fixture::{DIVERT, config, decision};
    use crate::routing::Routing;

    fn snapshot(action: Action) -> Snapshot {
        let config = config(DIVERT);
        let routing = Routing::of(&config.models[0], Some(&decision("d-000001", action)), None);
        let mut plugin = Plugin::default();
        if routing.block.is_some() {
            plugin.collector = Some(tidegate_contract::plugin::Collector::default());
        }
        let routings = BTreeMap::from([("census".to_owned(), routing)]);
        Snapshot::of(&routings, &plugin, &config.envoy)
    }

    fn serving() -> Snapshot {
        snapshot(Action::Serve)
    }

    fn diverting() -> Snapshot {
        snapshot(Action::Divert { to: "v2".to_owned(), segment: None })
    }

    fn asks(resource: Resource, version: &str, nonce: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: resource.type_url(),
            resource_names: vec![RESOURCE.to_owned()],
            version_info: version.to_owned(),
            response_nonce: nonce.to_owned(),
            ..DiscoveryRequest::default()
        }
    }

    /// A session that has got and acknowledged the runtime of `snapshot`.
    fn following(snapshot: &Snapshot) -> Session {
        let mut session = Session::default();
        let (_, push) = session.hear(&asks(Resource::Runtime, "", ""), snapshot);
        let push = push.expect("a new Envoy gets the resource");
        let (heard, _) =
            session.hear(&asks(Resource::Runtime, &push.version_info, &push.nonce), snapshot);
        assert!(matches!(heard, Heard::Acknowledged { .. }), "{heard:?}");
        session
    }

    #[test]
    fn a_new_envoy_gets_what_it_asks_for() {
        let snapshot = serving();
        let (heard, push) = Session::default().hear(&asks(Resource::Extension, "", ""), &snapshot);
        let version = String::new();
        assert_eq!(heard, Heard::Subscribed { resource: Resource::Extension, version });
        assert_eq!(push.unwrap().version_info, snapshot.get(Resource::Extension).version);
    }

    #[test]
    fn an_envoy_that_has_it_from_before_a_restart_is_left_alone() {
        let snapshot = serving();
        let has = snapshot.get(Resource::Runtime).version.clone();
        let mut session = Session::default();
        let (heard, push) = session.hear(&asks(Resource::Runtime, &has, ""), &snapshot);
        assert_eq!(heard, Heard::Subscribed { resource: Resource::Runtime, version: has });
        assert_eq!(push, None);
        assert_eq!(session.turn(&snapshot).pushes, []);
        assert_eq!(session.turn(&diverting()).pushes.len(), 1);
    }

    #[test]
    fn a_new_snapshot_pushes_only_what_changed() {
        let mut session = following(&serving());
        session.hear(&asks(Resource::Extension, "", ""), &serving());
        let pushes = session.turn(&diverting()).pushes;
        let urls: Vec<&str> = pushes.iter().map(|push| push.type_url.as_str()).collect();
        assert_eq!(urls, [Resource::Runtime.type_url()]);
        assert_eq!(session.turn(&diverting()).pushes, [], "and only once");
    }

    #[test]
    fn a_refusal_keeps_envoys_words() {
        let mut session = following(&serving());
        let push = session.turn(&diverting()).pushes.pop().unwrap();
        let mut refusal = asks(Resource::Runtime, "old", &push.nonce);
        refusal.error_detail = Some(Status { message: "bad key".to_owned(), ..Status::default() });
        let (heard, answer) = session.hear(&refusal, &diverting());
        let (resource, version) = (Resource::Runtime, push.version_info);
        assert_eq!(heard, Heard::Refused { resource, version, why: "bad key".to_owned() });
        assert_eq!(answer, None, "the same is not pushed again for ever");
    }

    #[test]
    fn an_answer_to_an_overtaken_push_means_nothing() {
        let mut session = following(&serving());
        let first = session.turn(&diverting()).pushes.pop().unwrap();
        session.turn(&serving());
        let late = asks(Resource::Runtime, &first.version_info, &first.nonce);
        assert_eq!(session.hear(&late, &serving()), (Heard::Nothing, None));
    }

    #[test]
    fn an_envoy_that_has_what_the_snapshot_came_back_to_says_so_without_a_push() {
        let mut session = following(&serving());
        let version = serving().get(Resource::Runtime).version.clone();
        let has = vec![Heard::Acknowledged { resource: Resource::Runtime, version }];
        assert_eq!(session.turn(&serving()), super::Turn { pushes: Vec::new(), has });

        // What is still on its way does not count yet.
        session.turn(&diverting());
        assert_eq!(session.turn(&diverting()), super::Turn::default());
    }

    #[test]
    fn other_types_and_names_are_not_ours() {
        let mut session = Session::default();
        let mut other = asks(Resource::Runtime, "", "");
        other.resource_names = vec!["another".to_owned()];
        assert_eq!(session.hear(&other, &serving()), (Heard::Nothing, None));
        other.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
        assert_eq!(session.hear(&other, &serving()), (Heard::Nothing, None));
    }
}
