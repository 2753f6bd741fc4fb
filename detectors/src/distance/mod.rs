//! Distances between two columns that people know by name, each with what it is by chance alone:
//! Wasserstein's, Jensen and Shannon's divergence, and the population stability index.
//!
//! It does not know which column it looks at, nor how large a distance matters. None of them is what
//! an alarm rests on: they are for those who compare with other tools, and a threshold such as
//! "PSI above 0.1" is worth nothing without the distance that chance makes at these sizes.

pub mod binned;
mod redrawn;
pub mod wasserstein;

/// A distance and what chance makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// The distance, 0 or more.
    pub value: f64,
    /// Its mean where nothing has changed, at these sizes.
    pub expected: f64,
    /// Probability of a distance at least as large where nothing has changed.
    pub p_value: f64,
}

/// Shares of either sample below a place as near to each other as what is known of them lets them be:
/// the error of a sketch may hide a distance, and never makes one.
fn nearest(was: (f64, f64), now: (f64, f64)) -> (f64, f64) {
    if was.1 < now.0 {
        (was.1, now.0)
    } else if now.1 < was.0 {
        (was.0, now.1)
    } else {
        let both = (was.0.max(now.0) + was.1.min(now.1)) / 2.0;
        (both, both)
    }
}

/// What the tests of both kinds draw from.
#[cfg(test)]
mod specimen {
    use crate::forest::random::Random;
    use crate::quantile::QuantileSketch;
    use crate::scores::normal_quantile;

    pub(super) fn normal(random: &mut Random) -> f64 {
        normal_quantile(random.unit().clamp(1e-12, 1.0 - 1e-12))
    }

    pub(super) fn sketch(values: impl IntoIterator<Item = f64>) -> QuantileSketch {
        let mut sketch = QuantileSketch::default();
        for value in values {
            sketch.insert(value);
        }
        sketch
    }
}
