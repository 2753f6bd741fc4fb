//! From statistics to verdicts: every test of a window, corrected together, held against the rules.
//!
//! It does not know time, the model's name or what a verdict leads to.

use crate::finding::Finding;
use crate::reference::Reference;
use crate::window::Window;

/// Seconds of the month over which false alarms are budgeted: 30 days.
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

/// The largest level that [`alpha_per_look`] returns, however generous the budget.
const LARGEST_ALPHA: f64 = 0.05;

/// From which effect on a change matters, by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinEffect {
    /// For D of numbers and the total variation distance of categories, 0 to 1.
    pub data_drift: f64,
    /// For the difference of null rates, 0 to 1.
    pub completeness: f64,
    /// For the difference of violation rates, 0 to 1.
    pub data_format_drift: f64,
}

/// When a change counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Level of the alarm, for all tests of a window together; see [`alpha_per_look`].
    pub alpha: f64,
    /// Level of the warning, for all tests of a window together.
    pub warning_alpha: f64,
    /// From which effect on a change matters.
    pub min_effect: MinEffect,
    /// Observations below which a window is inconclusive.
    pub min_rows: u64,
    /// A window that could not have shown an effect of this many `min_effect` is inconclusive.
    pub max_detectable: f64,
}

impl Default for Rules {
    /// One false alarm a month at a look every two seconds.
    fn default() -> Self {
        Rules {
            alpha: alpha_per_look(1.0, 2.0),
            warning_alpha: 0.01,
            min_effect: MinEffect { data_drift: 0.1, completeness: 0.05, data_format_drift: 0.02 },
            min_rows: 200,
            max_detectable: 3.0,
        }
    }
}

/// The level each look may spend so that a month of 30 days has at most
/// `false_alarms_per_month` expected looks with a false alarm, when a look is made every
/// `hop_seconds`: the budget divided by the looks (Bonferroni).
///
/// The bound needs no independence: it holds for overlapping windows too, since expectations
/// add whatever the dependence (Dunn, "Multiple comparisons among means", JASA 1961). It does
/// assume that rows within a window are independent. The result is at most 0.05, and 0 (no
/// alarm, ever) where an argument is not a positive number.
#[must_use]
pub fn alpha_per_look(false_alarms_per_month: f64, hop_seconds: f64) -> f64 {
    let alpha = false_alarms_per_month * hop_seconds / MONTH_SECONDS;
    if false_alarms_per_month > 0.0 && hop_seconds > 0.0 { alpha.min(LARGEST_ALPHA) } else { 0.0 }
}

/// Makes every test that `reference` and `window` allow: per feature its values and its null
/// rate, and once the rate of contract violations. Findings come in the order of the
/// features, the violation rate last.
#[must_use]
pub fn judge(reference: &Reference, window: &Window, rules: &Rules) -> Vec<Finding> {
    let _ = (reference, window, rules);
    todo!()
}
