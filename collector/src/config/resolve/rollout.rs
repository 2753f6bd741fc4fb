//! The plan of a rollout: its steps and its limits. It does not know which candidate goes it.

use std::time::Duration;

use super::range::{lasting, positive, within};
use crate::config::mistake::{Mistakes, Problem};
use crate::config::raw;
use crate::config::reader::{Field, Written};
use crate::config::rollout::{Misstep, Plan, SHADOW};

const HOLDS: [Duration; 2] = [Duration::from_millis(100), Duration::from_hours(7 * 24)];
const LASTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(30 * 24)];
const MOST_PAIRS: u64 = 10_000_000;
const MOST_FACTOR: f64 = 1000.0;

/// What is written, or as `inherited`.
pub(super) fn one(
    raw: Field<raw::Rollout>,
    inherited: &Plan,
    mistakes: &mut Mistakes,
) -> Option<Plan> {
    let raw = match raw {
        Field::Absent => return Some(inherited.clone()),
        Field::Mistaken => return None,
        Field::Given(written) => written.value,
    };
    let shadow = within(raw.shadow, *SHADOW.start(), *SHADOW.end(), mistakes);
    let steps = match raw.steps {
        Field::Absent => Some(inherited.steps.clone()),
        Field::Mistaken => None,
        Field::Given(written) => steps(&written.value, mistakes),
    };
    let hold = lasting(raw.hold, HOLDS[0], HOLDS[1], mistakes);
    let lasts = lasting(raw.lasts, LASTS[0], LASTS[1], mistakes);
    let min_pairs = within(raw.min_pairs, 1, MOST_PAIRS, mistakes);
    let min_coverage = within(raw.min_coverage, 0.0, 1.0, mistakes);
    let disagreement = within(raw.max_disagreement, 0.0, 1.0, mistakes);
    let shift = within(raw.max_shift, 0.0, 1.0, mistakes);
    let errors = within(raw.max_error_rise, 0.0, 1.0, mistakes);
    let slow = within(raw.max_slow, 0.0, 1.0, mistakes);
    let tolerance = within(raw.tolerance, 0.0, 1.0, mistakes);
    let factor = positive(raw.slow_factor, MOST_FACTOR, mistakes);
    let mut limits = inherited.limits;
    limits.disagreement = disagreement.or(limits.disagreement)?;
    limits.shift = shift.or(limits.shift)?;
    limits.errors = errors.or(limits.errors)?;
    limits.slow = slow.or(limits.slow)?;
    Some(Plan {
        shadow: shadow.or(inherited.shadow)?,
        steps: steps?,
        hold: hold.or(inherited.hold)?,
        lasts: lasts.or(inherited.lasts)?,
        min_pairs: min_pairs.or(inherited.min_pairs)?,
        min_coverage: min_coverage.or(inherited.min_coverage)?,
        limits,
        tolerance: tolerance.or(inherited.tolerance)?,
        slow_factor: factor.or(inherited.slow_factor)?,
        promote: raw.promote.or(inherited.promote)?,
    })
}

/// Percent of the requests, step by step; each is more than the one before.
fn steps(raw: &[Written<u8>], mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let steps: Vec<u8> = raw.iter().map(|step| step.value).collect();
    if let Some(misstep) = Misstep::of(&steps) {
        let (got, range) = (steps[misstep.at].to_string(), misstep.to_string());
        mistakes.add(raw[misstep.at].place.clone(), Problem::OutOfRange { got, range });
        return None;
    }
    Some(steps)
}
