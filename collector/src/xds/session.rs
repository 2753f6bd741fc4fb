//! A session: one Envoy's stream of the aggregated discovery service, state of the world, as a
//! pure machine. It does not know the network; `server` carries its words.
//!
//! An Envoy that refuses keeps what it has, and so do we: it is offered the same thing once.
//!
//! Protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use super::snapshot::{RESOURCE, Resource, Snapshot};
use super::step::{self, Known};

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
    /// It does not want the resource any more.
    Unsubscribed {
        /// What it wanted.
        resource: Resource,
    },
    /// It put the version into effect.
    Acknowledged {
        /// What was sent.
        resource: Resource,
        /// In which version.
        version: String,
    },
    /// It put a version into effect that leaves out what it refused before.
    Spared {
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
        /// The version that all of what it should have would have had then.
        whole: String,
        /// Envoy's own words.
        why: String,
    },
    /// Nothing of ours: another type, another name, or an answer to a push that a newer one overtook.
    Nothing,
}

/// Longest refusal that is kept of what Envoy says.
const MAX_WHY_BYTES: usize = 2048;

/// How an Envoy answered what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Awaited,
    Taken,
    Refused,
}

/// What was sent last for one resource.
#[derive(Debug, Clone)]
struct Sent {
    nonce: String,
    /// The snapshot that it is a part of.
    of: Arc<Snapshot>,
    /// The version of the resource in what the Envoy should have had then.
    whole: String,
    answer: Answer,
    known: Known,
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
    /// Takes a request; gives what it means, and what must be sent at once.
    pub fn hear(
        &mut self,
        request: &DiscoveryRequest,
        snapshot: &Arc<Snapshot>,
    ) -> (Heard, Vec<DiscoveryResponse>) {
        let nothing = (Heard::Nothing, Vec::new());
        let Some(resource) = Resource::of_type_url(&request.type_url) else { return nothing };
        let names = &request.resource_names;
        if !names.is_empty() && !names.iter().any(|name| name == RESOURCE) {
            return nothing;
        }
        let Some(sent) = self.sent.get_mut(&resource) else {
            let version = request.version_info.clone();
            let whole = snapshot.get(resource).version.clone();
            if version == whole {
                // It has this already, from before a restart of ours: saying so is enough.
                let (nonce, of, answer) = (String::new(), Arc::clone(snapshot), Answer::Taken);
                let known = Known { has: Some(Arc::clone(snapshot)), ..Known::default() };
                self.sent.insert(resource, Sent { nonce, of, whole, answer, known });
                return (Heard::Subscribed { resource, version }, Vec::new());
            }
            let push = self.push(resource, &self.next(snapshot), snapshot);
            return (Heard::Subscribed { resource, version }, vec![push]);
        };
        if request.response_nonce != sent.nonce {
            return nothing;
        }
        let version = sent.of.get(resource).version.clone();
        let heard = match &request.error_detail {
            None => {
                sent.answer = Answer::Taken;
                sent.known.has = Some(Arc::clone(&sent.of));
                sent.known.forget(resource, snapshot);
                if sent.known.refused.is_empty() {
                    Heard::Acknowledged { resource, version }
                } else {
                    Heard::Spared { resource, version }
                }
            }
            Some(status) => {
                sent.answer = Answer::Refused;
                sent.known.refuse(resource, &sent.of);
                let mut why = status.message.clone();
                why.truncate(why.floor_char_boundary(MAX_WHY_BYTES));
                Heard::Refused { resource, version, whole: sent.whole.clone(), why }
            }
        };
        (heard, self.advance(snapshot))
    }

    /// Whether something of a resource was sent, or is there from before.
    pub(super) fn has_sent(&self, resource: Resource) -> bool {
        self.sent.contains_key(&resource)
    }

    /// Forgets that the Envoy ever asked for a resource.
    pub(super) fn forget(&mut self, resource: Resource) {
        self.sent.remove(&resource);
    }

    /// What a new snapshot means on this stream.
    pub fn turn(&mut self, snapshot: &Arc<Snapshot>) -> Turn {
        let pushes = self.advance(snapshot);
        let has = self.sent.iter().filter_map(|(resource, sent)| {
            let (resource, version) = (*resource, &sent.of.get(*resource).version);
            let has = sent.answer == Answer::Taken && *version == snapshot.get(resource).version;
            has.then(|| Heard::Acknowledged { resource, version: version.clone() })
        });
        Turn { pushes, has: has.collect() }
    }

    /// Pushes what comes next, where that is neither in effect, nor on its way, nor refused.
    fn advance(&mut self, snapshot: &Arc<Snapshot>) -> Vec<DiscoveryResponse> {
        for (resource, sent) in &mut self.sent {
            sent.known.forget(*resource, snapshot);
            let back = sent.known.has.as_ref().filter(|_| sent.known.refused.is_empty());
            if let (Answer::Refused, Some(has)) = (sent.answer, back) {
                // What it refused is wanted no more, and may be tried again when it is.
                (sent.of, sent.answer) = (Arc::clone(has), Answer::Taken);
            }
        }
        let next = self.next(snapshot);
        let mut pushes = Vec::new();
        for resource in Resource::ALL {
            let Some(sent) = self.sent.get(&resource) else { continue };
            let version =
                |snapshot: &Snapshot| snapshot.get(resource).version == next.get(resource).version;
            let kept = sent.answer == Answer::Refused
                && sent.known.has.as_ref().is_some_and(|has| version(has));
            if !version(&sent.of) && !kept {
                pushes.push(self.push(resource, &next, snapshot));
            }
        }
        pushes
    }

    /// What the Envoy is given next.
    fn next(&self, snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
        let known = self.sent.iter().map(|(resource, sent)| (*resource, &sent.known));
        step::next(&known.collect(), snapshot)
    }

    fn push(
        &mut self,
        resource: Resource,
        next: &Arc<Snapshot>,
        snapshot: &Snapshot,
    ) -> DiscoveryResponse {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        let known = self.sent.remove(&resource).map(|sent| sent.known).unwrap_or_default();
        let sent = Sent {
            nonce: nonce.clone(),
            of: Arc::clone(next),
            whole: snapshot.get(resource).version.clone(),
            answer: Answer::Awaited,
            known,
        };
        self.sent.insert(resource, sent);
        let versioned = next.get(resource);
        DiscoveryResponse {
            version_info: versioned.version.clone(),
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
    use std::sync::Arc;

    use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
    use envoy_types::pb::google::rpc::Status;
    use tidegate_contract::plugin::Plugin;

    use super::{Heard, RESOURCE, Resource, Session, Snapshot, Turn};
    use crate::decision::Action;
    use crate::fixture::{DIVERT, config, decision};
    use crate::routing::Routing;
    use crate::xds::snapshot::{Filter, Generation};

    /// What an Envoy should have while these are in force for the models `a` and `b`.
    fn both(a: Action, b: Action) -> Arc<Snapshot> {
        let config = config(DIVERT);
        let routing =
            |action| Routing::of(&config.models[0], Some(&decision("d-000001", action)), None);
        let routings = BTreeMap::from(
            [("a", a), ("b", b)].map(|(name, action)| (name.to_owned(), routing(action))),
        );
        let models = ["a", "b"].map(|name| {
            let json =
                format!(r#"{{"model":"{name}","route":{{}},"mode":"observe","sample_rate":1.0}}"#);
            serde_json::from_str(&json).expect("a model")
        });
        let table = Plugin { models: models.into(), ..Plugin::default() };
        let filter = Filter::Wasm(config.envoy.filter);
        let empty = Snapshot::of(&routings, &table, &filter, Generation::Current);
        Arc::new(empty.with(&routings))
    }

    fn snapshot(action: Action) -> Arc<Snapshot> {
        both(action, Action::Serve)
    }

    fn serving() -> Arc<Snapshot> {
        snapshot(Action::Serve)
    }

    fn divert() -> Action {
        Action::Divert { to: "v2".to_owned(), segment: None }
    }

    fn diverting() -> Arc<Snapshot> {
        snapshot(divert())
    }

    fn blocking() -> Arc<Snapshot> {
        snapshot(Action::block())
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

    fn refusal(resource: Resource, nonce: &str) -> DiscoveryRequest {
        let status = Status { message: "bad key".to_owned(), ..Status::default() };
        DiscoveryRequest { error_detail: Some(status), ..asks(resource, "old", nonce) }
    }

    /// An Envoy on its stream: what it has in effect, and how many pushes it got.
    #[derive(Default)]
    struct Envoy {
        session: Session,
        has: BTreeMap<Resource, String>,
        pushes: usize,
        heard: Vec<Heard>,
    }

    impl Envoy {
        /// One that has asked for both and has this in effect.
        fn following(snapshot: &Arc<Snapshot>) -> Self {
            let mut envoy = Self::default();
            for resource in Resource::ALL {
                let (_, pushes) = envoy.session.hear(&asks(resource, "", ""), snapshot);
                envoy.answer(pushes, snapshot, &|_| false);
            }
            assert_eq!(envoy.has, versions(snapshot));
            Self { pushes: 0, heard: Vec::new(), ..envoy }
        }

        /// Answers pushes, and those that follow from the answers, until nothing comes any more.
        fn answer(
            &mut self,
            pushes: Vec<DiscoveryResponse>,
            snapshot: &Arc<Snapshot>,
            refuses: &dyn Fn(Resource) -> bool,
        ) {
            let mut waiting: std::collections::VecDeque<_> = pushes.into();
            while let Some(push) = waiting.pop_front() {
                self.pushes += 1;
                assert!(self.pushes < 1_000, "it is pushed for ever");
                let resource = Resource::of_type_url(&push.type_url).expect("ours");
                let request = if refuses(resource) {
                    refusal(resource, &push.nonce)
                } else {
                    self.has.insert(resource, push.version_info.clone());
                    asks(resource, &push.version_info, &push.nonce)
                };
                let (heard, more) = self.session.hear(&request, snapshot);
                self.heard.push(heard);
                waiting.extend(more);
            }
        }

        fn turn(&mut self, snapshot: &Arc<Snapshot>, refuses: &dyn Fn(Resource) -> bool) {
            let pushes = self.session.turn(snapshot).pushes;
            self.answer(pushes, snapshot, refuses);
        }
    }

    fn versions(snapshot: &Snapshot) -> BTreeMap<Resource, String> {
        Resource::ALL.map(|resource| (resource, snapshot.get(resource).version.clone())).into()
    }

    fn types(pushes: &[DiscoveryResponse]) -> Vec<Resource> {
        pushes.iter().filter_map(|push| Resource::of_type_url(&push.type_url)).collect()
    }

    #[test]
    fn a_new_envoy_gets_what_it_asks_for() {
        let snapshot = serving();
        let (heard, pushes) =
            Session::default().hear(&asks(Resource::Extension, "", ""), &snapshot);
        let version = String::new();
        assert_eq!(heard, Heard::Subscribed { resource: Resource::Extension, version });
        assert_eq!(pushes[0].version_info, snapshot.get(Resource::Extension).version);
    }

    #[test]
    fn an_envoy_that_has_it_from_before_a_restart_is_left_alone() {
        let snapshot = serving();
        let has = snapshot.get(Resource::Runtime).version.clone();
        let mut session = Session::default();
        let (heard, pushes) = session.hear(&asks(Resource::Runtime, &has, ""), &snapshot);
        assert_eq!(heard, Heard::Subscribed { resource: Resource::Runtime, version: has });
        assert_eq!(pushes, []);
        assert_eq!(session.turn(&snapshot).pushes, []);
        assert_eq!(session.turn(&diverting()).pushes.len(), 1);
    }

    #[test]
    fn a_new_snapshot_pushes_only_what_changed() {
        let mut envoy = Envoy::following(&serving());
        let pushes = envoy.session.turn(&diverting()).pushes;
        assert_eq!(types(&pushes), [Resource::Runtime]);
        assert_eq!(envoy.session.turn(&diverting()).pushes, [], "and only once");
    }

    #[test]
    fn a_refusal_keeps_envoys_words() {
        let mut session = Envoy::following(&serving()).session;
        let push = session.turn(&diverting()).pushes.pop().unwrap();
        let (heard, pushes) = session.hear(&refusal(Resource::Runtime, &push.nonce), &diverting());
        let (resource, version) = (Resource::Runtime, push.version_info);
        let (whole, why) = (version.clone(), "bad key".to_owned());
        assert_eq!(heard, Heard::Refused { resource, version, whole, why });
        assert_eq!(pushes, [], "the same is not pushed again for ever");
        assert_eq!(session.turn(&diverting()).pushes, []);
    }

    #[test]
    fn an_answer_to_an_overtaken_push_means_nothing() {
        let mut session = Envoy::following(&serving()).session;
        let first = session.turn(&diverting()).pushes.pop().unwrap();
        session.turn(&serving());
        let late = asks(Resource::Runtime, &first.version_info, &first.nonce);
        assert_eq!(session.hear(&late, &serving()), (Heard::Nothing, Vec::new()));
    }

    #[test]
    fn an_envoy_that_has_what_the_snapshot_came_back_to_says_so_without_a_push() {
        let mut session = Envoy::following(&serving()).session;
        let has = versions(&serving()).into_iter();
        let has: Vec<Heard> =
            has.map(|(resource, version)| Heard::Acknowledged { resource, version }).collect();
        assert_eq!(session.turn(&serving()), Turn { pushes: Vec::new(), has: has.clone() });

        // What is still on its way does not count yet.
        session.turn(&diverting());
        assert_eq!(session.turn(&diverting()), Turn { pushes: Vec::new(), has: has[..1].to_vec() });
    }

    #[test]
    fn other_types_and_names_are_not_ours() {
        let mut session = Session::default();
        let mut other = asks(Resource::Runtime, "", "");
        other.resource_names = vec!["another".to_owned()];
        assert_eq!(session.hear(&other, &serving()), (Heard::Nothing, Vec::new()));
        other.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
        assert_eq!(session.hear(&other, &serving()), (Heard::Nothing, Vec::new()));
    }

    #[test]
    fn what_takes_hold_goes_out_first_and_what_lets_go_once_it_is_in_effect() {
        let (extension, runtime) = (Resource::Extension, Resource::Runtime);
        for (before, after, first, then) in [
            (diverting(), blocking(), extension, runtime),
            (blocking(), diverting(), runtime, extension),
        ] {
            let mut session = Envoy::following(&before).session;
            let pushes = session.turn(&after).pushes;
            assert_eq!(types(&pushes), [first]);
            assert_eq!(session.turn(&after).pushes, [], "it waits");
            let taken = asks(first, &pushes[0].version_info, &pushes[0].nonce);
            let (heard, pushes) = session.hear(&taken, &after);
            assert!(matches!(heard, Heard::Acknowledged { .. }), "{heard:?}");
            assert_eq!(types(&pushes), [then]);
            assert_eq!(pushes[0].version_info, after.get(then).version);
        }
    }

    #[test]
    fn an_envoy_that_refuses_either_half_of_a_decision_keeps_its_model_as_far_from_the_primary() {
        let (extension, runtime) = (Resource::Extension, Resource::Runtime);
        for (before, after, took_hold) in
            [(diverting(), blocking(), extension), (blocking(), diverting(), runtime)]
        {
            for refused in Resource::ALL {
                let mut envoy = Envoy::following(&before);
                envoy.turn(&after, &|resource| resource == refused);
                let mut expected = versions(&before);
                if took_hold != refused {
                    // Both hold now; what should let go does not.
                    expected.insert(took_hold, after.get(took_hold).version.clone());
                }
                assert_eq!(envoy.has, expected, "{took_hold:?} takes hold, {refused:?} is refused");
                envoy.turn(&before, &|_| false);
                assert_eq!(
                    envoy.has,
                    versions(&before),
                    "and all is as it was when that is undone"
                );
                envoy.turn(&after, &|_| false);
                assert_eq!(envoy.has, versions(&after), "and tried again when it is decided again");
            }
        }
    }

    #[test]
    fn an_envoy_that_refuses_for_ever_is_pushed_each_decision_once_and_keeps_what_it_has() {
        let mut envoy = Envoy::following(&diverting());
        let actions = [Action::block, divert, || Action::Serve];
        for round in 0..60 {
            let [a, b] = [round % 3, round / 3 % 3].map(|at| actions[at]());
            let (snapshot, pushes) = (both(a, b), envoy.pushes);
            for _ in 0..5 {
                envoy.turn(&snapshot, &|_| true);
            }
            assert!(envoy.pushes <= pushes + 2, "round {round}");
            assert_eq!(envoy.has, versions(&diverting()));
        }
        assert!(envoy.pushes > 30, "new decisions are tried");
        assert!(!envoy.heard.contains(&Heard::Nothing), "{:?}", envoy.heard);
        let shadow = Action::Shadow { to: "v2".to_owned(), share: 30 };
        let last = both(shadow, Action::block());
        envoy.turn(&last, &|_| false);
        assert_eq!(envoy.has, versions(&last), "what it never refused it is given");
    }

    #[test]
    fn what_an_envoy_refuses_of_one_model_holds_up_nothing_of_another() {
        let mut envoy = Envoy::following(&serving());
        envoy.turn(&blocking(), &|_| true);
        let and_b = both(Action::block(), Action::block());
        envoy.turn(&and_b, &|_| false);
        let without = both(Action::Serve, Action::block());
        assert_eq!(envoy.has, versions(&without), "a's block is left out");
        let (resource, version) = (Resource::Extension, envoy.has[&Resource::Extension].clone());
        assert_eq!(envoy.heard.last(), Some(&Heard::Spared { resource, version }));
        assert!(envoy.session.turn(&and_b).has.len() == 1, "and it does not count as all of it");
        // Decided anew, it is another one.
        let segment = "age > 3".parse().ok();
        let anew = Action::Block { segment, retry_after_seconds: None, answer: None };
        let anew = both(anew, Action::block());
        envoy.turn(&anew, &|_| false);
        assert_eq!(envoy.has, versions(&anew));
    }
}
