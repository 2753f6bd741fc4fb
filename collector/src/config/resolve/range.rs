//! Values that must lie in a range. It does not know which values those are.

use std::time::Duration;

use crate::config::duration;
use crate::config::mistake::{Mistakes, Problem};
use crate::config::reader::{Field, Written};

/// A field that must lie between two values, both allowed.
pub(super) fn within<T: Copy + PartialOrd + std::fmt::Display>(
    field: Field<T>,
    least: T,
    most: T,
    mistakes: &mut Mistakes,
) -> Field<T> {
    let range = format!("from {least} to {most}");
    field.check(|written| {
        let good = least <= written.value && written.value <= most;
        good.then_some(()).or_else(|| outside(written, written.value.to_string(), range, mistakes))
    })
}

/// A field that must be more than 0 and at most `most`.
pub(super) fn positive(field: Field<f64>, most: f64, mistakes: &mut Mistakes) -> Field<f64> {
    field.check(|written| {
        let good = 0.0 < written.value && written.value <= most;
        let range = format!("more than 0 and at most {most}");
        good.then_some(()).or_else(|| outside(written, written.value.to_string(), range, mistakes))
    })
}

/// A duration that must lie between two, both allowed.
pub(super) fn lasting(
    field: Field<Duration>,
    least: Duration,
    most: Duration,
    mistakes: &mut Mistakes,
) -> Field<Duration> {
    field.check(|written| {
        let good = least <= written.value && written.value <= most;
        let range = format!("from {} to {}", duration::show(least), duration::show(most));
        let got = duration::show(written.value);
        good.then_some(()).or_else(|| outside(written, got, range, mistakes))
    })
}

fn outside<T>(
    written: &Written<T>,
    got: String,
    range: String,
    mistakes: &mut Mistakes,
) -> Option<()> {
    mistakes.add(written.place.clone(), Problem::OutOfRange { got, range });
    None
}
