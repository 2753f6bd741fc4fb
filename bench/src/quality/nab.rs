//! The scoring of the Numenta Anomaly Benchmark, standard profile. It does not know the series.
//!
//! Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015: the first
//! detection in a labelled window earns more the earlier it comes, a missed window costs 1, a
//! detection outside costs up to 0.11, less just behind a window. One threshold serves all series; the
//! best one counts. 0 is the score of silence, 100 that of perfection.

/// What a detection outside all windows costs.
const FALSE: f64 = 0.11;

/// A scored series: a score for each step, windows that hold anomalies, and the steps at the
/// beginning that do not count.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The detector's score of each step.
    pub scores: Vec<f64>,
    /// First and last step of each window, in order.
    pub windows: Vec<(usize, usize)>,
    /// Steps that are not judged.
    pub probation: usize,
}

/// 1 far to the left, 0 at 0, −1 far to the right.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// The benchmark's score, 100 at most, at its best threshold.
#[must_use]
pub fn score(series: &[Scored]) -> f64 {
    let windows: usize = series.iter().map(|series| series.windows.len()).sum();
    // Each step changes the sum when the threshold falls to its score: go down through all.
    let mut steps: Vec<(f64, usize, usize)> = vec![];
    for (which, series) in series.iter().enumerate() {
        let judged = series.scores.iter().enumerate().skip(series.probation);
        steps.extend(judged.map(|(at, &score)| (score, which, at)));
    }
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut found: Vec<Vec<Option<f64>>> =
        series.iter().map(|series| vec![None; series.windows.len()]).collect();
    let mut raw = -(windows as f64);
    let mut best = raw;
    for tied in steps.chunk_by(|a, b| a.0 == b.0) {
        for &(_, which, at) in tied {
            let series = &series[which];
            let window =
                series.windows.iter().position(|&(first, last)| (first..=last).contains(&at));
            if let Some(window) = window {
                let (first, last) = series.windows[window];
                let position = -((last - at + 1) as f64) / (last - first + 1) as f64;
                let earned = sigmoid(position) / sigmoid(-1.0);
                let best = &mut found[which][window];
                let before = best.unwrap_or(-1.0);
                *best = Some(earned.max(before));
                raw += earned.max(before) - before;
            } else {
                let behind = series.windows.iter().rev().find(|&&(_, last)| last < at);
                raw += FALSE
                    * behind.map_or(-1.0, |&(first, last)| {
                        // The window's last step is at 0, its width is 1.
                        sigmoid((at - last) as f64 / ((last - first) as f64).max(1.0))
                    });
            }
        }
        best = best.max(raw);
    }
    let (silence, perfect) = (-(windows as f64), windows as f64);
    100.0 * (best - silence) / (perfect - silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(at: &[usize]) -> Scored {
        let mut scores = vec![0.0; 100];
        for &at in at {
            scores[at] = 1.0;
        }
        Scored { scores, windows: vec![(50, 59)], probation: 15 }
    }

    #[test]
    fn silence_is_0_and_the_first_step_of_the_window_is_100() {
        assert!(score(&[series(&[])]).abs() < 1e-12);
        assert!((score(&[series(&[50])]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_false_alarm_costs_and_probation_is_free() {
        let with_false = score(&[series(&[50, 30])]);
        assert!((with_false - (100.0 - 5.5)).abs() < 1e-9, "{with_false}");
        assert!((score(&[series(&[50, 3])]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn late_is_worth_less_and_twice_is_once() {
        assert!(score(&[series(&[58])]) < score(&[series(&[51])]));
        assert!((score(&[series(&[50, 55])]) - 100.0).abs() < 1e-9);
    }
}
