//! Passing over a value that nobody looks into, with all that stands in it. It does not know where the value
//! stands.

use crate::json::Event;

/// How deep in such a value we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skip(u32);

impl Skip {
    /// The value that this event begins is passed over; a scalar already is.
    pub(crate) fn value(&mut self, event: &Event<'_>) {
        self.0 = u32::from(matches!(event, Event::ObjectStart | Event::ArrayStart));
    }

    /// The object or list that has just begun is passed over.
    pub(crate) fn rest(&mut self) {
        self.0 = 1;
    }

    /// Whether a value is being passed over.
    pub(crate) fn is_on(self) -> bool {
        self.0 > 0
    }

    /// Whether this event belongs to a value that is passed over.
    #[inline]
    pub(crate) fn takes(&mut self, event: &Event<'_>) -> bool {
        if self.0 == 0 {
            return false;
        }
        match event {
            Event::ObjectStart | Event::ArrayStart => self.0 += 1,
            Event::ObjectEnd | Event::ArrayEnd => self.0 -= 1,
            Event::Key(_) | Event::Scalar(_) => {}
        }
        true
    }
}
