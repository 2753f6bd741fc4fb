//! What a person wishes, as it travels to the collector, and what it means. It does not know the model
//! that it is about.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_contract::mistake::Mistake;
use tidegate_contract::order::{FixedAnswer, MAX_RETRY_AFTER_SECONDS};
use tidegate_contract::segment::Segment;

use crate::config::duration;
use crate::decision::Action;

/// How long a decision by hand may last: 30 days, as those of rules.
const LONGEST: Duration = Duration::from_hours(30 * 24);
const SECOND: Duration = Duration::from_secs(1);
/// Bytes of a reason, which clients are told too.
const MAX_REASON_BYTES: usize = 1024;
/// Bytes of a name.
const MAX_AUTHOR_BYTES: usize = 256;

/// The wish to block a model, or a segment: the body of the API's `block`. A key that is not known makes
/// it none, so that a slip of the pen never widens it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Who wishes it.
    #[serde(default)]
    pub author: String,
    /// Why; empty for our own words.
    #[serde(default)]
    pub reason: String,
    /// How long, such as `10m`. There is no decision without an end.
    #[serde(rename = "for")]
    pub lasts: String,
    /// For which requests; without it all.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// After how long clients may ask again, such as `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// What they are answered instead of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<FixedAnswer>,
}

/// The wish to divert a model, or a segment: the body of the API's `divert`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divert {
    /// Who wishes it.
    #[serde(default)]
    pub author: String,
    /// Why; empty for our own words.
    #[serde(default)]
    pub reason: String,
    /// How long, such as `10m`. There is no decision without an end.
    #[serde(rename = "for")]
    pub lasts: String,
    /// For which requests; without it all.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// The version that answers instead.
    pub to: String,
}

/// A wish that can be granted, if the model is as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What is done.
    pub action: Action,
    /// Who wishes it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// How long; 1 s to 30 days.
    pub lasts: Duration,
}

/// Why a wish means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WishError {
    /// Not a duration, or too short or long a one.
    #[error("`{key}`: `{got}` is no duration from 1s to {most}, such as 10m")]
    Duration {
        /// The key.
        key: &'static str,
        /// What was written.
        got: String,
        /// The longest.
        most: &'static str,
    },
    /// A text longer than is kept.
    #[error("`{key}` is longer than {most} bytes; shorten it")]
    TooLong {
        /// The key.
        key: &'static str,
        /// The bound in bytes.
        most: usize,
    },
    /// An answer that cannot be given.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Answer(Vec<Mistake>),
}

fn lasting(
    key: &'static str,
    text: &str,
    longest: Duration,
    most: &'static str,
) -> Result<Duration, WishError> {
    let duration = duration::parse(text).filter(|it| (SECOND..=longest).contains(it));
    let shown = || text.chars().take(32).collect::<String>();
    duration.ok_or_else(|| WishError::Duration { key, got: shown(), most })
}

impl Order {
    fn of(
        action: Action,
        mut author: String,
        mut reason: String,
        lasts: &str,
    ) -> Result<Self, WishError> {
        let lasts = lasting("for", lasts, LONGEST, "30d")?;
        for (key, text, most) in
            [("reason", &reason, MAX_REASON_BYTES), ("author", &author, MAX_AUTHOR_BYTES)]
        {
            if text.len() > most {
                return Err(WishError::TooLong { key, most });
            }
        }
        if author.is_empty() {
            "api".clone_into(&mut author);
        }
        if reason.is_empty() {
            reason = format!("{author} decided it");
        }
        Ok(Self { action, author, reason, lasts })
    }
}

impl TryFrom<Block> for Order {
    type Error = WishError;

    fn try_from(wish: Block) -> Result<Self, WishError> {
        let day = Duration::from_secs(MAX_RETRY_AFTER_SECONDS.into());
        let retry_after = wish.retry_after.as_deref();
        let retry_after =
            retry_after.map(|it| lasting("retry_after", it, day, "1d")).transpose()?;
        let mistakes = wish.answer.as_ref().map(|answer| answer.mistakes("answer"));
        if let Some(mistakes) = mistakes.filter(|mistakes| !mistakes.is_empty()) {
            return Err(WishError::Answer(mistakes));
        }
        let seconds = |it: Duration| u32::try_from(it.as_secs()).unwrap_or(u32::MAX);
        let action = Action::Block {
            segment: wish.segment,
            retry_after_seconds: retry_after.map(seconds),
            answer: wish.answer,
        };
        Self::of(action, wish.author, wish.reason, &wish.lasts)
    }
}

impl TryFrom<Divert> for Order {
    type Error = WishError;

    fn try_from(wish: Divert) -> Result<Self, WishError> {
        let action = Action::Divert { to: wish.to, segment: wish.segment };
        Self::of(action, wish.author, wish.reason, &wish.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Divert, Order};

    fn block(json: &str) -> Result<Order, String> {
        let wish: Block = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Order::try_from(wish).map_err(|error| error.to_string())
    }

    #[test]
    fn a_wish_is_an_order_with_an_end() {
        let order = block(
            r#"{"for": "10m", "where": "age >= 55", "retry_after": "30s", "author": "ann",
                "answer": {"status": 200, "content_type": "text/plain", "body": "later"}}"#,
        )
        .unwrap();
        assert_eq!((order.lasts.as_secs(), order.author.as_str()), (600, "ann"));
        assert_eq!(order.reason, "ann decided it");
        let json = serde_json::to_value(&order.action).unwrap();
        assert_eq!(
            (&json["segment"], &json["retry_after_seconds"]),
            (&"age >= 55".into(), &30.into())
        );
        let wish: Divert = serde_json::from_str(r#"{"for": "1h", "to": "v2"}"#).unwrap();
        assert_eq!(Order::try_from(wish).unwrap().author, "api");
    }

    #[test]
    fn what_means_nothing_says_why() {
        for (json, told) in [
            (r#"{"for": "1h", "wher": "age > 3"}"#, "unknown field `wher`"),
            (r#"{"author": "ann"}"#, "missing field `for`"),
            (r#"{"for": "soon"}"#, "`for`: `soon` is no duration from 1s to 30d"),
            (r#"{"for": "31d"}"#, "`for`: `31d` is no duration"),
            (r#"{"for": "0s"}"#, "`for`: `0s`"),
            (r#"{"for": "1h", "retry_after": "2d"}"#, "`retry_after`: `2d`"),
            (r#"{"for": "1h", "where": "age"}"#, "expected `>=`"),
            (
                r#"{"for": "1h", "answer": {"status": 99, "content_type": "a/b", "body": ""}}"#,
                "answer.status: is 99",
            ),
        ] {
            let error = block(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
        let long = format!(r#"{{"for": "1h", "reason": "{}"}}"#, "x".repeat(2000));
        assert!(block(&long).unwrap_err().contains("`reason` is longer than 1024 bytes"));
    }
}
