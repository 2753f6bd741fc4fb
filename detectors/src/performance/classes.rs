//! Realised performance of a model that names one of several classes. It does not know how sure
//! the model was of them.

use std::collections::BTreeMap;

use super::interval::{normal, wilson};
use super::{Measured, Metric};

/// What was said of one class, and what was true.
#[derive(Debug, Clone, Copy, Default)]
struct Class {
    right: f64,
    said: f64,
    true_: f64,
}

impl Class {
    fn of(&self) -> f64 {
        self.said + self.true_
    }

    fn f1(&self) -> f64 {
        2.0 * self.right / self.of()
    }
}

/// Measures rows of what was said and what was true: the accuracy, with Wilson's interval, and the
/// mean of the F1 of all classes that were said or true, with that of the delta method (Takahashi
/// et al., "Confidence interval for micro-averaged F1 and macro-averaged F1 scores", Applied
/// Intelligence 52, 2022): rows are one multinomial draw, and what each moves adds up.
#[must_use]
pub fn measure<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Measured> {
    let mut counts: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1.0;
    }
    let mut classes: BTreeMap<&str, Class> = BTreeMap::new();
    let (mut of, mut right) = (0.0, 0.0);
    for (&(said, truth), &count) in &counts {
        of += count;
        classes.entry(said).or_default().said += count;
        let class = classes.entry(truth).or_default();
        class.true_ += count;
        if said == truth {
            class.right += count;
            right += count;
        }
    }
    if of == 0.0 {
        return Vec::new();
    }
    let many = classes.len() as f64;
    let macro_f1 = classes.values().map(Class::f1).sum::<f64>() / many;
    // How far one more row of a kind moves the mean of the F1.
    let moves = |said: &str, truth: &str| {
        let lost = |class: &Class| class.f1() / class.of();
        let won = if said == truth { 2.0 / classes[truth].of() } else { 0.0 };
        (won - lost(&classes[said]) - lost(&classes[truth])) / many
    };
    let variance: f64 =
        counts.iter().map(|(&(said, truth), count)| count * moves(said, truth).powi(2)).sum();
    let error = if of > 1.0 { (variance * of / (of - 1.0)).sqrt() } else { f64::INFINITY };
    let rows = of as u64;
    let accuracy = right / of;
    vec![
        Measured { metric: Metric::Accuracy, value: accuracy, interval: wilson(right, of), rows },
        Measured {
            metric: Metric::MacroF1,
            value: macro_f1,
            interval: normal(macro_f1, error, (0.0, 1.0)),
            rows,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_scikit_learn() {
        let names = ["a", "b", "c", "d"];
        let row = |at: usize| {
            let truth = at * 7 % 13 % 3;
            // One class is said that is never true.
            let said = if at * 11 % 17 < 11 { truth } else { at * 5 % 4 };
            (names[said], names[truth])
        };
        let found = measure((0..150).map(row));
        assert_eq!(found.len(), 2);
        for (measured, expected) in found.iter().zip(ORACLE) {
            assert!((measured.value - expected).abs() < 1e-12, "{measured:?}");
            assert!(measured.interval.0 < expected && expected < measured.interval.1);
        }
    }

    #[test]
    fn the_interval_of_the_mean_f1_holds_as_often_as_it_says() {
        let mut random = crate::forest::random::Random::seeded(5);
        let names = ["a", "b", "c"];
        let mut draw = |_| {
            let truth = [0, 0, 0, 1, 1, 2][random.below(6)];
            let said = if random.unit() < 0.7 { truth } else { random.below(3) };
            (names[said], names[truth])
        };
        let truth = measure((0..400_000).map(&mut draw))[1].value;
        let mut held = 0;
        for _ in 0..400 {
            let (low, high) = measure((0..300).map(&mut draw))[1].interval;
            held += i32::from(low <= truth && truth <= high);
        }
        // 95 % give or take four standard errors.
        assert!((362..=398).contains(&held), "{held} of 400");
    }

    #[test]
    fn nothing_one_row_and_one_class_have_an_answer() {
        assert_eq!(measure([]), []);
        let one = measure([("a", "b")]);
        assert_eq!((one[0].value, one[1].value), (0.0, 0.0));
        assert_eq!(one[1].interval, (0.0, 1.0));
        let same = measure([("a", "a"), ("a", "a")]);
        assert_eq!((same[0].value, same[1].value), (1.0, 1.0));
    }

    /// scikit-learn 1.9.1: `accuracy_score`, `f1_score(average="macro", zero_division=0)`.
    const ORACLE: [f64; 2] = [0.74, 0.579_192_150_866_462_8];
}
