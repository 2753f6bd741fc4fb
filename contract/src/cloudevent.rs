//! A CloudEvent in structured mode (CloudEvents 1.0, JSON event format): the body proper stands under
//! `data`, and nothing else of the event is looked at. It does not know what `data` holds.

use crate::json::Event;
use crate::rows::Broken;

/// Picks the events of `data`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Envelope {
    at: At,
    came: bool,
    /// How deep in the value of a key.
    depth: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Root,
    Members,
    /// In the value of a key; true for that of `data`.
    Member(bool),
}

impl Envelope {
    /// Whether this event is for the reader of `data`.
    pub(crate) fn event(&mut self, event: &Event<'_>) -> Result<bool, Broken> {
        match (self.at, event) {
            (At::Root, Event::ObjectStart) => self.at = At::Members,
            (At::Root, _) => {
                return Err(Broken::Envelope { place: "the event", expected: "an object" });
            }
            (At::Members, Event::Key(key)) => {
                let data = key.text == "data" && !key.cut;
                if data && self.came {
                    return Err(Broken::Twice("data"));
                }
                self.came |= data;
                self.depth = 0;
                self.at = At::Member(data);
            }
            (At::Members, _) if !self.came => return Err(Broken::Missing("data")),
            (At::Members, _) => {}
            (At::Member(data), event) => {
                match event {
                    Event::ObjectStart | Event::ArrayStart => self.depth += 1,
                    Event::ObjectEnd | Event::ArrayEnd => self.depth -= 1,
                    Event::Key(_) | Event::Scalar(_) => {}
                }
                if self.depth == 0 {
                    self.at = At::Members;
                }
                return Ok(data);
            }
        }
        Ok(false)
    }
}
