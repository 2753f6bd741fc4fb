//! Routing: what a decision means in Envoy's words, weights, mirrored shares and blocks.
//! It does not know how they travel (`xds`).

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_contract::order;

use crate::config::model::{Model, Role};
use crate::decision::{Action, Decision};

/// The routes of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Routing {
    /// Percent of requests for each cluster. Always sums to 100: Envoy answers 404 to a sum of zero.
    pub weights: BTreeMap<String, u32>,
    /// Percent of requests mirrored to each cluster that may be one.
    pub mirrors: BTreeMap<String, u32>,
    /// A block for the filter to carry out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<order::Block>,
    /// A divert of a segment for the filter to carry out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divert: Option<order::Divert>,
}

impl Routing {
    /// Whether the configuration has what an action needs: a version that is not the primary, and for a
    /// segment one that Envoy's own route for diverts goes to.
    #[must_use]
    pub fn can(model: &Model, action: &Action) -> bool {
        match action {
            Action::Serve | Action::Block { .. } => true,
            Action::Divert { to, segment: Some(_) } => {
                model.version(to).is_some_and(|version| version.role == Role::Fallback)
            }
            Action::Shadow { to, .. }
            | Action::Canary { to, .. }
            | Action::Promote { to }
            | Action::Divert { to, .. } => {
                model.version(to).is_some_and(|version| version.role != Role::Primary)
            }
        }
    }

    /// The routes of `model` under the decision in force, if any, and the version that was promoted.
    /// What names a version that the configuration no longer has leaves the primary in charge.
    #[must_use]
    pub fn of(model: &Model, decision: Option<&Decision>, promoted: Option<&str>) -> Self {
        let mut weights: BTreeMap<String, u32> =
            model.versions.iter().map(|version| (version.cluster.clone(), 0)).collect();
        let mut mirrors: BTreeMap<String, u32> = model
            .versions
            .iter()
            .filter(|version| version.role != Role::Primary)
            .map(|version| (version.cluster.clone(), 0))
            .collect();
        let (mut block, mut divert) = (None, None);
        let cluster = |name: &str| model.version(name).map(|version| version.cluster.clone());
        let promoted = promoted.and_then(|promoted| model.version(promoted));
        let primary_cluster = &promoted.unwrap_or_else(|| model.primary()).cluster;
        let mut primary = 100;
        if let Some(decision) = decision {
            match &decision.action {
                Action::Serve | Action::Promote { .. } => {}
                Action::Shadow { to, share } => {
                    if let Some(cluster) = cluster(to) {
                        mirrors.insert(cluster, u32::from(*share).min(100));
                    }
                }
                Action::Canary { to, share, shadow } => {
                    if let Some(cluster) = cluster(to).filter(|to| to != primary_cluster) {
                        let share = u32::from(*share).min(100);
                        if *shadow > 0 {
                            mirrors.insert(cluster.clone(), u32::from(*shadow).min(100));
                        }
                        weights.insert(cluster, share);
                        primary = 100 - share;
                    }
                }
                Action::Divert { to, segment } => {
                    let cluster = cluster(to).filter(|to| to != primary_cluster);
                    match (cluster, segment) {
                        (None, _) => {}
                        (Some(cluster), None) => {
                            weights.insert(cluster, 100);
                            primary = 0;
                        }
                        (Some(cluster), Some(segment)) => {
                            divert = Some(order::Divert {
                                decision: decision.id.clone(),
                                cluster,
                                until_unix_seconds: until(decision),
                                segment: segment.clone(),
                            });
                        }
                    }
                }
                Action::Block { segment, retry_after_seconds, answer } => {
                    block = Some(order::Block {
                        decision: decision.id.clone(),
                        reason: decision.reason.clone(),
                        until_unix_seconds: until(decision),
                        segment: segment.clone(),
                        retry_after_seconds: *retry_after_seconds,
                        answer: answer.clone(),
                    });
                }
            }
        }
        weights.insert(primary_cluster.clone(), primary);
        Self { weights, mirrors, block, divert }
    }

    /// Whether the filter has anything to carry out.
    #[must_use]
    pub fn has_orders(&self) -> bool {
        self.block.is_some() || self.divert.is_some()
    }

    /// Whether the filter is to carry out the same as by the other one.
    #[must_use]
    pub fn orders_as(&self, other: &Self) -> bool {
        (&self.block, &self.divert) == (&other.block, &other.divert)
    }

    /// Whether Envoy's routes are the same as by the other one.
    #[must_use]
    pub fn shares_as(&self, other: &Self) -> bool {
        (&self.weights, &self.mirrors) == (&other.weights, &other.mirrors)
    }
}

/// When the filter lets go by itself, whether a collector is there or not.
fn until(decision: &Decision) -> u64 {
    decision.expires_unix_ms.unwrap_or(0) / 1000
}

#[cfg(test)]
mod tests {
    use super::Routing;
    use crate::decision::Action;
    use crate::fixture::{DIVERT, config, decision};

    fn under(action: Action) -> Routing {
        let model = &config(DIVERT).models[0];
        Routing::of(model, Some(&decision("d-000001", action)), None)
    }

    #[test]
    fn without_a_decision_the_primary_serves() {
        let routing = Routing::of(&config(DIVERT).models[0], None, None);
        assert_eq!(routing.weights["census-v1"], 100);
        assert_eq!(routing.mirrors["census-v2"], 0);
        assert_eq!(routing.block, None);
    }

    fn divert(to: &str, segment: Option<&str>) -> Action {
        let segment = segment.map(|segment| segment.parse().expect("a segment"));
        Action::Divert { to: to.to_owned(), segment }
    }

    #[test]
    fn weights_sum_to_100_whatever_is_decided() {
        let to = |name: &str| name.to_owned();
        for action in [
            Action::Serve,
            Action::Shadow { to: to("v2"), share: 30 },
            Action::Canary { to: to("v3"), share: 5, shadow: 20 },
            Action::Canary { to: to("v3"), share: 255, shadow: 255 },
            Action::Promote { to: to("v3") },
            divert("v2", None),
            divert("v2", Some("age >= 55")),
            divert("gone", None),
            divert("v1", None),
            Action::block(),
        ] {
            let routing = under(action.clone());
            assert_eq!(routing.weights.values().sum::<u32>(), 100, "{action:?}");
        }
    }

    #[test]
    fn what_was_promoted_is_the_primary_that_everything_returns_to() {
        let model = &config(DIVERT).models[0];
        let weights = |action: Option<Action>, promoted: Option<&str>| {
            let decision = action.map(|action| decision("d-000001", action));
            let weights = Routing::of(model, decision.as_ref(), promoted).weights;
            ["v1", "v2", "v3"].map(|version| weights[&format!("census-{version}")])
        };
        assert_eq!(weights(None, Some("v3")), [0, 0, 100]);
        assert_eq!(weights(Some(Action::Serve), Some("v3")), [0, 0, 100]);
        assert_eq!(weights(None, Some("gone")), [100, 0, 0]);
        assert_eq!(weights(Some(divert("v2", None)), Some("v3")), [0, 100, 0]);
        let canary = Action::Canary { to: "v3".to_owned(), share: 5, shadow: 0 };
        assert_eq!(weights(Some(canary), Some("v3")), [0, 0, 100]);
    }

    #[test]
    fn a_canary_of_a_rollout_goes_on_to_be_mirrored() {
        let routing = under(Action::Canary { to: "v3".to_owned(), share: 5, shadow: 20 });
        assert_eq!((routing.weights["census-v3"], routing.mirrors["census-v3"]), (5, 20));
    }

    #[test]
    fn a_divert_to_a_version_that_is_gone_leaves_the_primary_in_charge() {
        assert_eq!(under(divert("gone", None)).weights["census-v1"], 100);
        assert_eq!(under(divert("gone", Some("age >= 55"))).divert, None);
    }

    #[test]
    fn a_divert_of_a_segment_leaves_the_weights_alone_and_is_the_filters() {
        let routing = under(divert("v2", Some("age >= 55")));
        assert_eq!((routing.weights["census-v1"], routing.block), (100, None));
        let divert = routing.divert.unwrap();
        assert_eq!((divert.cluster.as_str(), divert.until_unix_seconds), ("census-v2", 11));
        assert_eq!(divert.segment.to_string(), "age >= 55");
    }

    #[test]
    fn only_a_fallback_takes_a_segment() {
        let model = &config(DIVERT).models[0];
        assert!(Routing::can(model, &divert("v2", Some("age >= 55"))));
        assert!(!Routing::can(model, &divert("v3", Some("age >= 55"))));
        assert!(Routing::can(model, &divert("v3", None)));
    }

    #[test]
    fn a_block_carries_its_reason_and_its_end() {
        let block = under(Action::block()).block.unwrap();
        assert_eq!(block.reason, "age moved");
        assert_eq!(block.until_unix_seconds, 11);
    }
}
