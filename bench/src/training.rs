//! What `tidegate profile` would leave of some rows of numbers, made in memory. It does not know what is
//! measured with it.

use tidegate_collector::profile::survey::SKETCH_BYTES;
use tidegate_detectors::joint::Joint;
use tidegate_detectors::reference::{Feature, Observation, Reference};
use tidegate_detectors::resampling::KeptColumn;

/// The reference of these rows, whose columns are called `x0`, `x1` and so on.
pub fn learned<const COLUMNS: usize>(rows: impl IntoIterator<Item = [f64; COLUMNS]>) -> Reference {
    let names = (0..COLUMNS).map(|at| Feature::number(format!("x{at}")));
    let mut reference = Reference::of(0, names.collect());
    let mut kept = vec![KeptColumn::default(); COLUMNS];
    for row in rows {
        reference.rows += 1;
        for ((feature, kept), value) in reference.features.iter_mut().zip(&mut kept).zip(row) {
            feature.observe(Observation::Number(value));
            kept.take(Observation::Number(value));
        }
    }
    reference.features.iter_mut().for_each(|feature| feature.condense(SKETCH_BYTES));
    reference.joints.extend(Joint::learn(&reference, &kept));
    reference
}
