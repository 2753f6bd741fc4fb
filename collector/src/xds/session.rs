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
        let Some(sent) = self.sent.get(&resource) else {
            let version = request.version_info.clone();
            if version == snapshot.get(resource).version {
                // It has this already, from before a restart of ours: saying so is enough.
                self.sent.insert(resource, Sent { nonce: String::new(), version: version.clone() });
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
            None => Heard::Acknowledged { resource, version },
            Some(status) => {
                let mut why = status.message.clone();
                why.truncate(why.floor_char_boundary(MAX_WHY_BYTES));
                Heard::Refused { resource, version, why }
            }
        };
        (heard, None)
    }

    /// The pushes that a new snapshot makes necessary on this stream.
    pub fn turn(&mut self, snapshot: &Snapshot) -> Vec<DiscoveryResponse> {
        Resource::ALL
            .into_iter()
            .filter(|resource| {
                let sent = self.sent.get(resource);
                sent.is_some_and(|sent| sent.version != snapshot.get(*resource).version)
            })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|resource| self.push(resource, snapshot))
            .collect()
    }

    fn push(&mut self, resource: Resource, snapshot: &Snapshot) -> DiscoveryResponse {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        let versioned = snapshot.get(resource);
        let version = versioned.version.clone();
        self.sent.insert(resource, Sent { nonce: nonce.clone(), version: version.clone() });
        DiscoveryResponse {
            version_info: version,
            resources: vec![versioned.any.clone()],
            type_url: resource.type_url(),
            nonce,
            ..DiscoveryResponse::default()
        }
    }
}
