//! From what was seen of a column to what the contract asks of it: lenient on purpose, because
//! training data never holds all that is right. It refuses what cannot be right.
//!
//! - Numbers: the range seen, wider by its own span on each side, and not below zero where nothing
//!   was. Ages from 0 to 90 allow 0 to 180 and refuse 1986. A constant allows everything.
//! - Text: its levels, where there are at most 64 and each was met 20 times on average; otherwise
//!   a date, an instant or a UUID, where all texts are; otherwise anything.
//! - Codes (numbers the caller calls categories): any number, because a range of codes means
//!   nothing and the detectors see new ones.
//! - Null is allowed where one was seen. Every column is required.

use tidegate_contract::contract::{Contract, Field, FieldType};
use tidegate_detectors::reference::Values;

use crate::profile::survey::{Learned, MAX_CATEGORIES};
use crate::table::Kind;

/// What the contract asks, as far as the columns tell.
pub(super) fn contract(inputs: &[Learned], outputs: &[Learned]) -> Contract {
    let fields = |learned: &[Learned]| learned.iter().map(field).collect();
    Contract { inputs: fields(inputs), outputs: fields(outputs), allow_unknown: false }
}

fn field(learned: &Learned) -> Field {
    let kind = match learned.kind {
        Kind::Integer => FieldType::Integer,
        Kind::Number => FieldType::Number,
        Kind::Boolean => FieldType::Boolean,
        Kind::Text => FieldType::Text,
    };
    let range = match &learned.feature.values {
        Values::Number(numbers) => numbers.min().zip(numbers.max()),
        Values::Category(_) => None,
    };
    let range = range.and_then(|(min, max)| widened(min, max, kind == FieldType::Integer));
    let categories = match learned.levels() {
        Some(levels) if kind == FieldType::Text && levels.counts().len() <= MAX_CATEGORIES => {
            levels.counts().keys().cloned().collect()
        }
        _ => Vec::new(),
    };
    Field {
        nullable: learned.feature.missing() > 0,
        min: range.map(|(min, _)| min),
        max: range.map(|(_, max)| max),
        format: if categories.is_empty() { learned.format() } else { None },
        categories,
        ..Field::of(&learned.name, kind)
    }
}

/// The range wider by its span on each side. `None` where the span is nothing, or too large to add.
fn widened(min: f64, max: f64, whole: bool) -> Option<(f64, f64)> {
    let span = max - min;
    let (mut low, mut high) = (min - span, max + span);
    if span <= 0.0 || !low.is_finite() || !high.is_finite() {
        return None;
    }
    if !whole {
        (low, high) =
            (short(low, span, f64::floor).min(min), short(high, span, f64::ceil).max(max));
    }
    // Adding zero turns negative zero into zero.
    Some((if min >= 0.0 { low.max(0.0) } else { low } + 0.0, high + 0.0))
}

/// Rounds a bound to a hundredth of the span's own magnitude, away from the data, so that people
/// can read it.
fn short(bound: f64, span: f64, away: fn(f64) -> f64) -> f64 {
    let digits = 2 - span.log10().floor() as i32;
    // Scaling by a whole power of ten gives the double nearest to the short decimal.
    let scale = 10f64.powi(digits.abs());
    let scaled = if digits > 0 { bound * scale } else { bound / scale };
    // The last bits of 0.4 + 0.3 are no reason to go up to 0.701.
    let near = scaled.round();
    let scaled = if (scaled - near).abs() < 1e-6 { near } else { away(scaled) };
    let rounded = if digits > 0 { scaled / scale } else { scaled * scale };
    if rounded.is_finite() { rounded } else { bound }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::widened;

    #[test]
    fn ages_from_0_to_90_allow_180_and_refuse_1986() {
        assert_eq!(widened(0.0, 90.0, true), Some((0.0, 180.0)));
    }

    #[test]
    fn a_range_with_negatives_grows_on_both_sides() {
        assert_eq!(widened(-10.0, 10.0, true), Some((-30.0, 30.0)));
        assert_eq!(widened(-0.25, 0.5, false), Some((-1.0, 1.25)));
    }

    #[test]
    fn what_was_never_negative_stays_so() {
        assert_eq!(widened(5.0, 100.0, true), Some((0.0, 195.0)));
    }

    #[test]
    fn bounds_of_fractions_are_short_to_read() {
        assert_eq!(widened(37.87, 18_656.3, false), Some((0.0, 37_300.0)));
        assert_eq!(widened(0.1, 0.4, false), Some((0.0, 0.7)));
    }

    #[test]
    fn a_constant_and_an_endless_span_ask_nothing() {
        assert_eq!(widened(7.0, 7.0, true), None);
        assert_eq!(widened(f64::MIN, f64::MAX, false), None);
    }

    proptest! {
        #[test]
        fn the_widened_range_holds_the_data(a in any::<f64>(), b in any::<f64>(), whole: bool) {
            prop_assume!(a.is_finite() && b.is_finite());
            let (min, max) = (a.min(b), a.max(b));
            if let Some((low, high)) = widened(min, max, whole) {
                prop_assert!(low <= min && max <= high);
                prop_assert!(min < 0.0 || low >= 0.0);
            }
        }
    }
}
