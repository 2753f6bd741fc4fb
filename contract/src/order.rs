//! Orders: decisions in force that the filter carries out itself, until their end and no longer. It does
//! not know who decided, nor how an exchange is found to be one of a segment.

use serde::{Deserialize, Serialize};

use crate::contract::join;
use crate::mistake::{Fault, Mistake};
use crate::segment::Segment;

/// Bytes of a fixed answer's body.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;
/// Bytes of a fixed answer's content type.
const MAX_CONTENT_TYPE_BYTES: usize = 256;
/// Seconds that a client may be asked to wait: a day.
pub const MAX_RETRY_AFTER_SECONDS: u32 = 86_400;

/// A block: exchanges are answered without asking the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The decision's id.
    pub decision: String,
    /// Why, for the one who is refused.
    pub reason: String,
    /// When the block ends by itself, in seconds since the epoch.
    pub until_unix_seconds: u64,
    /// Which exchanges; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// After how long the client may ask again; without it a minute, or less where the block ends
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// What is answered, instead of 503 and an error of the protocol's own shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<FixedAnswer>,
}

/// A divert of a segment: its exchanges go to another version. That of a whole model is a matter of
/// weights, which the filter has no part in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divert {
    /// The decision's id.
    pub decision: String,
    /// The cluster of the version that answers. Envoy's route finds it by the header that the filter
    /// sets to this.
    pub cluster: String,
    /// When the divert ends by itself, in seconds since the epoch.
    pub until_unix_seconds: u64,
    /// Which exchanges.
    pub segment: Segment,
}

/// An answer that is always the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedAnswer {
    /// The status, 200 to 599.
    pub status: u16,
    /// The `content-type`.
    pub content_type: String,
    /// The body, at most [`MAX_ANSWER_BYTES`].
    pub body: String,
}

impl FixedAnswer {
    /// All that is wrong with it, at this place.
    pub fn mistakes(&self, place: &str) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if !(200..=599).contains(&self.status) {
            let value = self.status.into();
            let fault = Fault::OutOfRange { value, least: 200.0, most: 599.0 };
            mistakes.push(Mistake::new(join(place, "status"), fault));
        }
        let visible = |byte: u8| (0x20..0x7f).contains(&byte);
        if self.content_type.is_empty() {
            mistakes.push(Mistake::new(join(place, "content_type"), Fault::Empty));
        } else if !self.content_type.bytes().all(visible) {
            let fault = Fault::Unreadable("is no content type such as application/json".to_owned());
            mistakes.push(Mistake::new(join(place, "content_type"), fault));
        }
        for (key, text, most) in [
            ("content_type", &self.content_type, MAX_CONTENT_TYPE_BYTES),
            ("body", &self.body, MAX_ANSWER_BYTES),
        ] {
            if text.len() > most {
                let told = format!("is {} bytes long; give at most {most}", text.len());
                let fault = Fault::Unreadable(told);
                mistakes.push(Mistake::new(join(place, key), fault));
            }
        }
        mistakes
    }
}

impl Block {
    pub(crate) fn mistakes(&self, place: &str, mistakes: &mut Vec<Mistake>) {
        if let Some(seconds) = self.retry_after_seconds
            && !(1..=MAX_RETRY_AFTER_SECONDS).contains(&seconds)
        {
            let most = MAX_RETRY_AFTER_SECONDS.into();
            let fault = Fault::OutOfRange { value: seconds.into(), least: 1.0, most };
            mistakes.push(Mistake::new(join(place, "retry_after_seconds"), fault));
        }
        if let Some(answer) = &self.answer {
            mistakes.extend(answer.mistakes(&join(place, "answer")));
        }
    }
}
