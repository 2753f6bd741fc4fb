//! The incremental variant of the discovery service: the same session in other words. An Envoy names
//! what it wants and what it has, and gets each resource with a version of its own. It does not know the
//! network.
//!
//! Protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds>.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource as Named,
};

use super::session::{Heard, Session};
use super::snapshot::{RESOURCE, Resource, Snapshot};

/// Names that are not ours of one request that are told to be nobody's.
const MAX_UNKNOWN: usize = 64;

/// One stream.
#[derive(Debug, Default)]
pub struct DeltaSession {
    session: Session,
    /// Types that were asked for on this stream.
    asked: BTreeSet<Resource>,
    /// Answers about names that are not ours.
    strangers: u64,
}

impl DeltaSession {
    /// Takes a request, which may be an answer and a wish at once; gives what it means, and the answers
    /// that it needs at once.
    pub fn hear(
        &mut self,
        request: &DeltaDiscoveryRequest,
        snapshot: &Arc<Snapshot>,
    ) -> (Vec<Heard>, Vec<DeltaDiscoveryResponse>) {
        let (mut heard, mut answers) = (Vec::new(), Vec::new());
        let Some(resource) = Resource::of_type_url(&request.type_url) else {
            return (heard, answers);
        };
        let plain = |version_info: &str| DiscoveryRequest {
            type_url: request.type_url.clone(),
            resource_names: vec![RESOURCE.to_owned()],
            version_info: version_info.to_owned(),
            ..DiscoveryRequest::default()
        };
        if !request.response_nonce.is_empty() && self.session.has_sent(resource) {
            let answer = DiscoveryRequest {
                response_nonce: request.response_nonce.clone(),
                error_detail: request.error_detail.clone(),
                ..plain("")
            };
            let (said, pushes) = self.session.hear(&answer, snapshot);
            heard.push(said);
            answers.extend(pushes.into_iter().map(in_its_words));
        }
        let (wanted, unwanted) =
            (&request.resource_names_subscribe, &request.resource_names_unsubscribe);
        let first = self.asked.insert(resource);
        // A first request without names wants all there is.
        let all = first && wanted.is_empty() && unwanted.is_empty();
        let ours = |name: &String| name == RESOURCE || name == "*";
        if unwanted.iter().any(ours) {
            self.session.forget(resource);
            heard.push(Heard::Unsubscribed { resource });
        }
        if all || wanted.iter().any(ours) {
            let has = request.initial_resource_versions.get(RESOURCE);
            self.session.forget(resource);
            let (subscribed, pushes) =
                self.session.hear(&plain(has.map_or("", String::as_str)), snapshot);
            heard.push(subscribed);
            answers.extend(pushes.into_iter().map(in_its_words));
        }
        let strangers: Vec<String> =
            wanted.iter().filter(|name| !ours(name)).take(MAX_UNKNOWN).cloned().collect();
        if !strangers.is_empty() {
            // An Envoy waits for a name until it is told that there is no such thing.
            self.strangers += 1;
            answers.push(DeltaDiscoveryResponse {
                type_url: request.type_url.clone(),
                removed_resources: strangers,
                nonce: format!("none-{}", self.strangers),
                ..DeltaDiscoveryResponse::default()
            });
        }
        (heard, answers)
    }

    /// What a new snapshot means on this stream.
    pub fn turn(&mut self, snapshot: &Arc<Snapshot>) -> (Vec<DeltaDiscoveryResponse>, Vec<Heard>) {
        let turn = self.session.turn(snapshot);
        (turn.pushes.into_iter().map(in_its_words).collect(), turn.has)
    }
}

fn in_its_words(push: DiscoveryResponse) -> DeltaDiscoveryResponse {
    let DiscoveryResponse { version_info, resources, type_url, nonce, .. } = push;
    let named = resources.into_iter().map(|any| Named {
        name: RESOURCE.to_owned(),
        version: version_info.clone(),
        resource: Some(any),
        ..Named::default()
    });
    DeltaDiscoveryResponse {
        resources: named.collect(),
        system_version_info: version_info,
        type_url,
        nonce,
        ..DeltaDiscoveryResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use envoy_types::pb::google::rpc::Status;
    use tidegate_contract::plugin::Plugin;

    use super::*;
    use crate::decision::Action;
    use crate::fixture::{DIVERT, config, decision};
    use crate::routing::Routing;
    use crate::xds::snapshot::{Filter, Generation};

    fn snapshot(to: Option<&str>) -> Arc<Snapshot> {
        let config = config(DIVERT);
        let to = to.map(|to| Action::Divert { to: to.to_owned(), segment: None });
        let decision = to.map(|action| decision("d-000001", action));
        let routing = Routing::of(&config.models[0], decision.as_ref(), None);
        let routings = BTreeMap::from([("census".to_owned(), routing)]);
        let filter = Filter::Wasm(config.envoy.filter);
        Arc::new(Snapshot::of(&routings, &Plugin::default(), &filter, Generation::Current))
    }

    fn request(subscribe: &[&str]) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: Resource::Runtime.type_url(),
            resource_names_subscribe: subscribe.iter().map(|name| (*name).to_owned()).collect(),
            ..DeltaDiscoveryRequest::default()
        }
    }

    fn answer(nonce: &str) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest { response_nonce: nonce.to_owned(), ..request(&[]) }
    }

    /// A session that has the snapshot's runtime and said so.
    fn following(snapshot: &Arc<Snapshot>) -> DeltaSession {
        let mut session = DeltaSession::default();
        let (_, mut pushes) = session.hear(&request(&[RESOURCE]), snapshot);
        let push = pushes.pop().expect("a new Envoy gets the resource");
        let version = snapshot.get(Resource::Runtime).version.clone();
        assert_eq!((&push.resources[0].name[..], &push.resources[0].version), (RESOURCE, &version));
        let (heard, more) = session.hear(&answer(&push.nonce), snapshot);
        assert_eq!(heard, [Heard::Acknowledged { resource: Resource::Runtime, version }]);
        assert_eq!(more, []);
        session
    }

    #[test]
    fn an_envoy_gets_what_it_names_and_then_only_what_changed() {
        let mut session = following(&snapshot(None));
        assert_eq!(session.turn(&snapshot(None)).0, []);
        let (pushes, _) = session.turn(&snapshot(Some("v2")));
        assert_eq!(pushes.len(), 1);
        assert_eq!(session.turn(&snapshot(Some("v2"))).0, [], "and only once");
    }

    #[test]
    fn a_first_request_without_names_and_a_star_want_all() {
        for wanted in [request(&[]), request(&["*"])] {
            let (heard, pushes) = DeltaSession::default().hear(&wanted, &snapshot(None));
            assert!(matches!(heard[..], [Heard::Subscribed { .. }]), "{heard:?}");
            assert_eq!(pushes.len(), 1);
        }
        let mut session = following(&snapshot(None));
        assert_eq!(session.hear(&request(&[]), &snapshot(None)), (vec![], vec![]));
    }

    #[test]
    fn what_an_envoy_has_from_before_a_restart_is_not_sent_again() {
        let version = snapshot(None).get(Resource::Runtime).version.clone();
        let mut again = request(&[RESOURCE]);
        again.initial_resource_versions.insert(RESOURCE.to_owned(), version.clone());
        let (heard, pushes) = DeltaSession::default().hear(&again, &snapshot(None));
        assert_eq!(heard, [Heard::Subscribed { resource: Resource::Runtime, version }]);
        assert_eq!(pushes, []);
        let (_, pushes) = DeltaSession::default().hear(&again, &snapshot(Some("v2")));
        assert_eq!(pushes.len(), 1);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_pushed_and_comes_back_when_it_is() {
        let mut session = following(&snapshot(None));
        let unsubscribe = DeltaDiscoveryRequest {
            resource_names_unsubscribe: vec![RESOURCE.to_owned()],
            ..request(&[])
        };
        let (heard, _) = session.hear(&unsubscribe, &snapshot(None));
        assert_eq!(heard, [Heard::Unsubscribed { resource: Resource::Runtime }]);
        assert_eq!(session.turn(&snapshot(Some("v2"))).0, []);
        assert_eq!(session.hear(&request(&[RESOURCE]), &snapshot(Some("v2"))).1.len(), 1);
    }

    #[test]
    fn a_refusal_keeps_envoys_words_and_is_not_answered_for_ever() {
        let mut session = following(&snapshot(None));
        let push = session.turn(&snapshot(Some("v2"))).0.remove(0);
        let mut refusal = answer(&push.nonce);
        refusal.error_detail = Some(Status { message: "bad key".to_owned(), ..Status::default() });
        let (heard, answers) = session.hear(&refusal, &snapshot(Some("v2")));
        assert!(
            matches!(&heard[..], [Heard::Refused { why, .. }] if why == "bad key"),
            "{heard:?}"
        );
        assert_eq!(answers, []);
        assert_eq!(session.turn(&snapshot(Some("v2"))).0, []);
    }

    #[test]
    fn names_that_are_not_ours_are_told_to_be_nobodys() {
        let mut session = following(&snapshot(None));
        let (heard, answers) = session.hear(&request(&["other"]), &snapshot(None));
        assert_eq!(heard, []);
        assert_eq!(answers[0].removed_resources, ["other"]);
        assert!(session.hear(&answer(&answers[0].nonce), &snapshot(None)).1.is_empty());
        let mut cluster = request(&["c"]);
        cluster.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
        assert_eq!(session.hear(&cluster, &snapshot(None)), (vec![], vec![]));
    }
}
