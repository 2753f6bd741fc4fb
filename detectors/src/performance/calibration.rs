//! What a score is worth as a probability, learned from rows that a label has joined. It does not
//! know where the rows come from, nor whether the model's scores are probabilities already.

use super::Scored;

/// The share of positives at each score, never falling: isotonic regression, by pooling adjacent
/// violators (Barlow, Bartholomew, Bremner & Brunk, "Statistical inference under order
/// restrictions", 1972), linear between steps and flat beyond them, as scikit-learn's
/// `IsotonicRegression(out_of_bounds="clip")` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    steps: Vec<Step>,
}

/// Scores between which the share is the same.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    low: f64,
    high: f64,
    positives: f64,
    rows: f64,
}

impl Step {
    fn level(&self) -> f64 {
        self.positives / self.rows
    }

    /// The variance of the level by the rows it was learned from. A level of 0 or 1 is no certainty:
    /// two rows of each kind are added first (Agresti & Coull, Am. Stat. 52, 1998).
    fn variance(&self) -> f64 {
        let rows = self.rows + 4.0;
        let level = (self.positives + 2.0) / rows;
        level * (1.0 - level) / rows
    }
}

/// Where a score lies: the step it is on or above, and how far on the way to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct On {
    pub(super) step: usize,
    pub(super) further: f64,
}

impl Calibration {
    /// Learns from rows with a finite score; `None` without any.
    #[must_use]
    pub fn fit(rows: &[Scored]) -> Option<Self> {
        let mut sorted: Vec<Scored> =
            rows.iter().filter(|row| row.score.is_finite()).copied().collect();
        sorted.sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
        let mut steps: Vec<Step> = Vec::new();
        for tied in sorted.chunk_by(|a, b| a.score == b.score) {
            let positives = tied.iter().filter(|row| row.positive).count() as f64;
            let (low, rows) = (tied[0].score, tied.len() as f64);
            let mut step = Step { low, high: low, positives, rows };
            // One that is no higher than the one before is one with it.
            while let Some(before) = steps.last().filter(|before| before.level() >= step.level()) {
                step.low = before.low;
                step.positives += before.positives;
                step.rows += before.rows;
                steps.pop();
            }
            steps.push(step);
        }
        (!steps.is_empty()).then_some(Self { steps })
    }

    /// The probability that a row of this score is positive. NaN is like the lowest score.
    #[must_use]
    pub fn probability(&self, score: f64) -> f64 {
        let On { step, further } = self.on(score);
        let level = self.steps[step].level();
        match self.steps.get(step + 1) {
            Some(next) => level + further * (next.level() - level),
            None => level,
        }
    }

    /// Where a score lies.
    pub(super) fn on(&self, score: f64) -> On {
        let above = self.steps.partition_point(|step| step.low <= score);
        let step = above.saturating_sub(1);
        let from = self.steps[step].high;
        let further = match self.steps.get(step + 1) {
            Some(next) if above > 0 && score > from => (score - from) / (next.low - from),
            _ => 0.0,
        };
        On { step, further }
    }

    /// By step, the variance of its level.
    pub(super) fn variances(&self) -> Vec<f64> {
        self.steps.iter().map(Step::variance).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::specimen;

    #[test]
    fn probabilities_are_those_of_scikit_learn() {
        let calibration = Calibration::fit(&specimen()).unwrap();
        // scikit-learn 1.9.1: IsotonicRegression(out_of_bounds="clip").
        let expected = [
            (-1.0, 0.166_666_666_666_666_66),
            (0.0, 0.166_666_666_666_666_66),
            (0.05, 0.187_5),
            (0.11, 0.208_333_333_333_333_34),
            (0.333, 0.358_974_358_974_359),
            (0.5, 0.541_666_666_666_666_6),
            (0.617, 0.622_159_090_909_090_9),
            (0.87, 0.833_333_333_333_333_4),
            (1.0, 1.0),
            (7.0, 1.0),
        ];
        for (score, probability) in expected {
            let found = calibration.probability(score);
            assert!((found - probability).abs() < 1e-12, "{score}: {found}, not {probability}");
        }
    }

    #[test]
    fn rows_of_one_kind_and_of_one_score_have_an_answer() {
        assert_eq!(Calibration::fit(&[]), None);
        assert_eq!(Calibration::fit(&[Scored { score: f64::NAN, positive: true }]), None);
        let one = Calibration::fit(&[Scored { score: 0.3, positive: true }]).unwrap();
        assert!(
            [f64::NEG_INFINITY, 0.0, 0.3, 1.0, f64::INFINITY, f64::NAN]
                .iter()
                .all(|score| one.probability(*score) == 1.0)
        );
        assert!(one.variances()[0] > 0.03, "one row is no certainty");
    }

    #[test]
    fn more_score_is_never_less_probable() {
        let mut random = crate::forest::random::Random::seeded(3);
        for rows in [2, 10, 500] {
            let row = |_| Scored { score: random.unit().powi(2), positive: random.unit() < 0.4 };
            let calibration = Calibration::fit(&(0..rows).map(row).collect::<Vec<_>>()).unwrap();
            let grid: Vec<f64> =
                (0..=1_000).map(|at| calibration.probability(f64::from(at) / 1_000.0)).collect();
            assert!(grid.iter().all(|p| (0.0..=1.0).contains(p)));
            assert!(grid.windows(2).all(|pair| pair[0] <= pair[1] + 1e-15));
        }
    }
}
