//! What a watch holds rows against at a time of the day, where its profile says. It does not judge.

use std::sync::Arc;

use tidegate_detectors::reference::Reference;
use tidegate_detectors::season::Hours;
use tidegate_detectors::vigil::Vigil;

use crate::sides::Sides;

/// The hours that the references in use are of.
#[derive(Debug, Default)]
pub(super) struct Season {
    /// The hour that bets are made in.
    bets: Option<usize>,
    /// The hours that the last window touched.
    window: Option<(Hours, Arc<Reference>)>,
}

impl Season {
    /// Lets bets that are made from now on be against the rows of this hour.
    pub(super) fn turn(&mut self, vigil: &mut Vigil, sides: &Sides, now_ms: i64) {
        let Some(seasons) = sides.seasons() else { return };
        let hour = seasons.period.hour(now_ms);
        if self.bets != Some(hour) {
            self.bets = Some(hour);
            let hours = seasons.period.touched(now_ms, now_ms.saturating_add(1));
            vigil.turn(Arc::new(seasons.reference(sides.reference(), &hours)));
        }
    }

    /// What a window from `from_ms` on and before `to_ms` is held against.
    pub(super) fn reference(&mut self, sides: &Sides, from_ms: i64, to_ms: i64) -> Arc<Reference> {
        let Some(seasons) = sides.seasons() else { return Arc::clone(sides.reference()) };
        let hours = seasons.period.touched(from_ms, to_ms);
        match &self.window {
            Some((last, reference)) if *last == hours => Arc::clone(reference),
            _ => {
                let reference = Arc::new(seasons.reference(sides.reference(), &hours));
                self.window = Some((hours, Arc::clone(&reference)));
                reference
            }
        }
    }
}
