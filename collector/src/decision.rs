//! Decisions: what Envoy should do for a model, since when, by whom and why.
//! It does not know how a decision is reached (`policy`) or carried out (`routing`, `xds`).

use serde::{Deserialize, Serialize};
use tidegate_contract::order::FixedAnswer;
use tidegate_contract::segment::Segment;
use tidegate_detectors::finding::Finding;

use crate::examples::Weighed;

/// Milliseconds since the Unix epoch.
pub type UnixMillis = u64;

/// What Envoy should do for a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    /// The primary version answers everything. What a rollback and an expiry return to.
    Serve,
    /// The primary answers; a share of the requests is mirrored to another version.
    Shadow {
        /// The version that gets the mirrored requests.
        to: String,
        /// Percent of requests, 1 to 100.
        share: u8,
    },
    /// Another version answers a share of the requests.
    Canary {
        /// The version that answers them.
        to: String,
        /// Percent of requests, 1 to 99.
        share: u8,
        /// Percent of requests that are mirrored to it beside, so that its answers can be held
        /// against the primary's; 0 to 100.
        #[serde(default)]
        shadow: u8,
    },
    /// A version is the primary from now on, until it is undone or another one is promoted.
    Promote {
        /// The version.
        to: String,
    },
    /// Another version answers everything, or one segment.
    Divert {
        /// The version that answers.
        to: String,
        /// Which exchanges; `None` for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segment: Option<Segment>,
    },
    /// Nobody answers: the filter refuses requests, all or those of one segment, with 503 and a reason,
    /// or gives a fixed answer.
    Block {
        /// Which exchanges; `None` for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segment: Option<Segment>,
        /// After how long clients may ask again, in seconds; `None` for the filter's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
        /// What is answered instead of an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<FixedAnswer>,
    },
}

impl Action {
    /// The word people and metrics use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Shadow { .. } => "shadow",
            Self::Canary { .. } => "canary",
            Self::Promote { .. } => "promote",
            Self::Divert { .. } => "divert",
            Self::Block { .. } => "block",
        }
    }

    /// A block of everything, in the filter's own words.
    #[must_use]
    pub fn block() -> Self {
        Self::Block { segment: None, retry_after_seconds: None, answer: None }
    }

    /// The segment that it is about; `None` where it is about all exchanges.
    #[must_use]
    pub fn segment(&self) -> Option<&Segment> {
        match self {
            Self::Divert { segment, .. } | Self::Block { segment, .. } => segment.as_ref(),
            Self::Serve | Self::Shadow { .. } | Self::Canary { .. } | Self::Promote { .. } => None,
        }
    }

    /// Whether the filter carries it out, not Envoy's weights.
    #[must_use]
    pub fn is_the_filters(&self) -> bool {
        matches!(self, Self::Block { .. } | Self::Divert { segment: Some(_), .. })
    }

    /// How far it keeps traffic from the primary version, in order.
    #[must_use]
    pub fn protection(&self) -> u8 {
        match self {
            Self::Serve | Self::Promote { .. } => 0,
            Self::Shadow { .. } => 1,
            Self::Canary { .. } => 2,
            Self::Divert { segment: Some(_), .. } => 3,
            Self::Block { segment: Some(_), .. } => 4,
            Self::Divert { segment: None, .. } => 5,
            Self::Block { segment: None, .. } => 6,
        }
    }

    /// Whether the primary version would get traffic under this action that it does not get under the
    /// other one.
    #[must_use]
    pub fn spares_less_than(&self, other: &Self) -> bool {
        let segments = self.segment().zip(other.segment());
        self.protection() < other.protection()
            || segments.is_some_and(|(ours, theirs)| ours != theirs)
    }

    /// Whether it may take the place of the other one by itself: it keeps more traffic from the primary
    /// version, and none less.
    #[must_use]
    pub fn outdoes(&self, other: &Self) -> bool {
        self.protection() > other.protection() && !self.spares_less_than(other)
    }
}

/// Where a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for a person to approve it.
    Proposed,
    /// It is in force.
    Active,
    /// A person undid it.
    RolledBack,
    /// Its time ran out.
    Expired,
    /// Another decision took its place.
    Superseded,
    /// Nobody approved it in time, or a person said no.
    Withdrawn,
}

/// One decision, with all that is needed to explain it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Unique in this collector's log, in order: `d-000001`.
    pub id: String,
    /// The model it is about.
    pub model: String,
    /// What Envoy should do.
    #[serde(flatten)]
    pub action: Action,
    /// Where it stands.
    pub state: State,
    /// Who decided: `policy`, `expiry`, or a person's name.
    pub author: String,
    /// The rule that led here, as it is written; empty when a person decided.
    pub rule: String,
    /// Why, in words.
    pub reason: String,
    /// The findings it rests on.
    pub evidence: Vec<Finding>,
    /// Some of the exchanges that weighed most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Weighed>,
    /// When it was decided.
    pub decided_unix_ms: UnixMillis,
    /// When it ends by itself; `None` for `serve`.
    pub expires_unix_ms: Option<UnixMillis>,
    /// Until when the policy decides nothing else for the model.
    pub quiet_until_unix_ms: UnixMillis,
    /// When the window it rests on closed.
    pub window_closed_unix_ms: Option<UnixMillis>,
    /// When every connected Envoy had acknowledged it.
    pub acknowledged_unix_ms: Option<UnixMillis>,
    /// From the window's close (or, without one, from the decision) to the acknowledgement.
    pub seconds_to_acknowledgement: Option<f64>,
    /// What Envoy said if it refused the configuration.
    pub refused: Option<String>,
}

impl Decision {
    /// The decision that gives a model back to its primary version.
    #[must_use]
    pub fn serve(
        id: String,
        model: &str,
        author: &str,
        reason: String,
        quiet_until_unix_ms: UnixMillis,
        now: UnixMillis,
    ) -> Self {
        Self {
            id,
            model: model.to_owned(),
            action: Action::Serve,
            state: State::Active,
            author: author.to_owned(),
            rule: String::new(),
            reason,
            evidence: Vec::new(),
            exchanges: Vec::new(),
            decided_unix_ms: now,
            expires_unix_ms: None,
            quiet_until_unix_ms,
            window_closed_unix_ms: None,
            acknowledged_unix_ms: None,
            seconds_to_acknowledgement: None,
            refused: None,
        }
    }

    /// The one that follows when another's time ran out.
    #[must_use]
    pub fn expiry(id: String, expired: &Self, now: UnixMillis) -> Self {
        let reason = format!("{} of {} ran out", expired.action.name(), expired.id);
        Self::serve(id, &expired.model, "expiry", reason, 0, now)
    }

    /// Whether it keeps requests, or copies of them, from going to the primary version alone.
    #[must_use]
    pub fn changes_routes(&self) -> bool {
        let alone = matches!(self.action, Action::Serve | Action::Promote { .. });
        self.state == State::Active && !alone
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::order::FixedAnswer;

    use super::{Action, Decision};
    use crate::fixture::decision;

    #[test]
    fn a_decision_is_read_back_as_it_was_written_and_so_are_those_of_before() {
        let answer =
            FixedAnswer { status: 200, content_type: "a/b".to_owned(), body: "é".to_owned() };
        for action in [
            Action::block(),
            Action::Divert { to: "v2".to_owned(), segment: None },
            Action::Block {
                segment: Some("age > 3.5 and work in [a, \"b c\"]".parse().expect("a segment")),
                retry_after_seconds: Some(30),
                answer: Some(answer),
            },
        ] {
            let decision = decision("d-000001", action);
            let written = serde_json::to_string(&decision).expect("JSON");
            assert_eq!(serde_json::from_str::<Decision>(&written).expect(&written), decision);
        }
        let before = r#"{"action": "block"}"#;
        assert_eq!(serde_json::from_str::<Action>(before).expect("known"), Action::block());
    }

    #[test]
    fn what_keeps_more_from_the_primary_outdoes_the_rest_and_another_segment_never_does() {
        let segment = |text: &str| Some(text.parse().expect("a segment"));
        let divert = |segment| Action::Divert { to: "v2".to_owned(), segment };
        let block = |segment| Action::Block { segment, retry_after_seconds: None, answer: None };
        let in_order = [
            Action::Serve,
            Action::Shadow { to: "v2".to_owned(), share: 10 },
            Action::Canary { to: "v3".to_owned(), share: 10, shadow: 0 },
            divert(segment("age > 3")),
            block(segment("age > 3")),
            divert(None),
            block(None),
        ];
        for (at, weaker) in in_order.iter().enumerate() {
            assert!(!weaker.outdoes(weaker));
            for stronger in &in_order[at + 1..] {
                assert!(stronger.outdoes(weaker), "{stronger:?} {weaker:?}");
                assert!(weaker.spares_less_than(stronger), "{stronger:?} {weaker:?}");
            }
        }
        assert!(!block(segment("age > 4")).outdoes(&divert(segment("age > 3"))));
        assert!(divert(None).outdoes(&block(segment("age > 3"))));
    }
}
