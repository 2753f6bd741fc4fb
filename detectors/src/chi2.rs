//! The χ² test of homogeneity on categories, both samples random.
//!
//! It does not know which column it looks at, nor how large a distance matters. Taking the
//! reference as exact, as a test of fit does, would alarm on identical distributions.
//!
//! χ² = Σ (observed − expected)² / expected over groups × samples (Pearson 1900), expected counts
//! from the pooled shares. Groups expected to have fewer than five members in either sample are
//! pooled (Cochran, "Some methods for strengthening the common χ² tests", Biometrics 1954);
//! the choice looks only at both samples together, so it favours neither.
//!
//! Levels that the reference never saw are a group of their own. Even without drift some rows
//! of a column with many rare levels are new; Good (Biometrika 1953) estimates their
//! share by that of the levels seen once. So a reference row whose level occurs only once counts
//! as unseen too: without that row, it would be.

use crate::gamma::upper_regularised;
use crate::proportion::{self, Rate};
use crate::summary::CategorySummary;

/// Expected members of a group in either sample below which it is pooled.
const LEAST_EXPECTED: f64 = 5.0;

/// What levels too rare to be compared have in common.
const RARE: &str = "rare levels";

/// What the test of a table says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homogeneity {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom: groups less one.
    pub degrees: u64,
    /// Probability of a χ² at least as large without a difference.
    pub p_value: f64,
}

/// A group of levels and its share of either sample, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The level, or what its levels have in common.
    pub name: String,
    /// Share of the reference.
    pub was: f64,
    /// Share of the window.
    pub now: f64,
}

/// What a comparison of two columns says.
#[derive(Debug, Clone, PartialEq)]
pub struct Chi2 {
    /// The test over all groups large enough.
    pub test: Homogeneity,
    /// Probability of differences at least as large without drift. Where unseen levels are too
    /// few for χ² they are tested apart (Fisher), and this is twice the smaller of both.
    pub p_value: f64,
    /// Total variation distance between the groups, 0 to 1: the share of rows that moved.
    pub total_variation: f64,
    /// The group whose share moved most; `None` without values on both sides.
    pub moved: Option<Group>,
}

/// Tests whether the counts of two samples, given per group, have the same shares. Groups that
/// are empty in both samples are left out.
#[must_use]
pub fn homogeneity(counts: &[(u64, u64)]) -> Homogeneity {
    let (m, n) = totals(counts.iter().copied());
    let groups = counts.iter().filter(|(was, now)| was + now > 0).count() as u64;
    if m == 0 || n == 0 || groups < 2 {
        return Homogeneity { statistic: 0.0, degrees: 0, p_value: 1.0 };
    }
    let (m, n) = (m as f64, n as f64);
    // With two samples Σ (o − e)²/e over a group's row comes to this.
    let statistic = counts
        .iter()
        .filter(|(was, now)| was + now > 0)
        .map(|&(was, now)| {
            let apart = was as f64 / m - now as f64 / n;
            apart * apart * m * n / (was + now) as f64
        })
        .sum();
    let degrees = groups - 1;
    let p_value = upper_regularised(degrees as f64 / 2.0, statistic / 2.0);
    Homogeneity { statistic, degrees, p_value }
}

/// Compares two columns of categories. The window must name every level that the reference
/// names, as [`CategorySummary::knowing`] provides. So many of its rows are worth an independent one
/// as `time` says, at least 1: χ² is divided by it.
#[must_use]
pub fn compare(reference: &CategorySummary, window: &CategorySummary, time: f64) -> Chi2 {
    let time = time.max(1.0);
    let (m, n) = (reference.count(), window.count());
    if m == 0 || n == 0 {
        let test = Homogeneity { statistic: 0.0, degrees: 0, p_value: 1.0 };
        return Chi2 { test, p_value: 1.0, total_variation: 0.0, moved: None };
    }
    let Grouped { mut groups, rare, unseen, unseen_name } = Grouped::of(reference, window);
    pool(&mut groups, rare, (m, n));
    let large = |counts| is_large(counts, (m, n));
    let tested_apart = !large(unseen) && unseen != (0, 0);
    if large(unseen) {
        groups.push((unseen_name, unseen));
    }
    let mut test = homogeneity(&groups.iter().map(|(_, counts)| *counts).collect::<Vec<_>>());
    if time > 1.0 && test.degrees > 0 {
        test.statistic /= time;
        test.p_value = upper_regularised(test.degrees as f64 / 2.0, test.statistic / 2.0);
    }
    let mut p_value = test.p_value;
    if tested_apart {
        let worth = |count: u64| (count as f64 / time).round() as u64;
        let now = Rate::new(worth(unseen.1), worth(n));
        let apart = proportion::compare(Rate::new(unseen.0, m), now);
        p_value = (2.0 * p_value.min(apart.p_value)).min(1.0);
        groups.push((unseen_name, unseen));
    }

    let shares = |(was, now): (u64, u64)| (was as f64 / m as f64, now as f64 / n as f64);
    let apart = |counts| {
        let (was, now) = shares(counts);
        (now - was).abs()
    };
    let total_variation = (groups.iter().map(|(_, c)| apart(*c)).sum::<f64>() / 2.0).min(1.0);
    let moved = groups
        .iter()
        .reduce(|most, group| if apart(group.1) > apart(most.1) { group } else { most })
        .map(|(name, counts)| {
            let (was, now) = shares(*counts);
            Group { name: (*name).to_owned(), was, now }
        });
    Chi2 { test, p_value, total_variation, moved }
}

/// Levels of two columns, sorted by whether they can be compared.
struct Grouped<'a> {
    /// Levels that are, each a group.
    groups: Vec<(&'a str, (u64, u64))>,
    /// All that are too rare, together.
    rare: (u64, u64),
    /// All that the reference never saw, or as good as never.
    unseen: (u64, u64),
    unseen_name: &'static str,
}

impl<'a> Grouped<'a> {
    fn of(reference: &'a CategorySummary, window: &CategorySummary) -> Self {
        let sizes = (reference.count(), window.count());
        // Where the reference has unnamed levels nobody can tell unseen from unnamed.
        let unseen_name = if reference.other() > 0 { "other levels" } else { "unseen levels" };
        let mut unseen = (reference.other(), window.other());
        let mut rare = (0, 0);
        let mut groups: Vec<(&str, (u64, u64))> = vec![];
        for (level, &was) in reference.counts() {
            let now = window.counts().get(level).copied().unwrap_or(0);
            match was {
                0 => unseen.1 += now,
                1 => {
                    unseen.0 += 1;
                    rare.1 += now;
                }
                _ if is_large((was, now), sizes) => groups.push((level, (was, now))),
                _ => rare = (rare.0 + was, rare.1 + now),
            }
        }
        let known = reference.counts();
        unseen.1 += window
            .counts()
            .iter()
            .filter(|(level, _)| !known.contains_key(*level))
            .map(|(_, now)| now)
            .sum::<u64>();
        Self { groups, rare, unseen, unseen_name }
    }
}

/// Whether a group is expected to have members enough in either sample of these sizes, at least one
/// of which has values.
pub(crate) fn is_large((was, now): (u64, u64), (m, n): (u64, u64)) -> bool {
    let expected_least = m.min(n) as f64 / (m + n) as f64;
    (was + now) as f64 * expected_least >= LEAST_EXPECTED
}

/// Adds what is too rare: as a group of its own where it is large together, else to the smallest.
fn pool(groups: &mut Vec<(&str, (u64, u64))>, rare: (u64, u64), sizes: (u64, u64)) {
    if is_large(rare, sizes) || groups.is_empty() {
        groups.push((RARE, rare));
    } else if let Some((_, smallest)) = groups.iter_mut().min_by_key(|(_, (was, now))| was + now) {
        *smallest = (smallest.0 + rare.0, smallest.1 + rare.1);
    }
}

/// The counts of both columns in groups that all are large enough to be compared, unless there is
/// but one. Levels that the reference never saw are one where they are many, else among the rare.
pub(crate) fn pooled(reference: &CategorySummary, window: &CategorySummary) -> Vec<(u64, u64)> {
    let sizes = (reference.count(), window.count());
    let Grouped { mut groups, mut rare, unseen, unseen_name } = Grouped::of(reference, window);
    if is_large(unseen, sizes) {
        groups.push((unseen_name, unseen));
    } else {
        rare = (rare.0 + unseen.0, rare.1 + unseen.1);
    }
    pool(&mut groups, rare, sizes);
    groups.into_iter().map(|(_, counts)| counts).collect()
}

/// The smallest total variation distance that surely is significant at level `alpha`, for
/// sizes `m` and `n`; at most 1.
///
/// A distance t has χ² ≥ 4·t²·m·n/(m + n) however it is spread over the groups
/// (Cauchy-Schwarz), so t = √(c·(m + n)/(4·m·n)) with the critical value c.
#[must_use]
pub fn detectable(m: u64, n: u64, degrees: u64, alpha: f64) -> f64 {
    let (m, n, half) = (m as f64, n as f64, degrees.max(1) as f64 / 2.0);
    let mut low = 0.0;
    // χ² never exceeds m + n.
    let mut high = m + n;
    if high == 0.0 || upper_regularised(half, high / 2.0) > alpha {
        return 1.0;
    }
    while high - low > 1e-6 * high {
        let middle = (low + high) / 2.0;
        if upper_regularised(half, middle / 2.0) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    let distance = (high * (m + n) / (4.0 * m * n)).sqrt();
    if distance.is_nan() { 1.0 } else { distance.min(1.0) }
}

fn totals(counts: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    counts.fold((0, 0), |(m, n), (was, now)| (m + was, n + now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(counts: &[(&str, u64)]) -> CategorySummary {
        let mut summary = CategorySummary::default();
        for (level, count) in counts {
            for _ in 0..*count {
                summary.insert(level);
            }
        }
        summary
    }

    #[test]
    fn the_test_agrees_with_scipys_chi2_contingency() {
        for (table, statistic, degrees, p_value) in [
            (vec![(120, 90), (30, 60), (50, 50)], 14.285714285714285, 2, 0.0007904903231199671),
            (
                vec![(1000, 10), (2000, 40), (0, 0), (500, 30), (20_000, 150)],
                153.02673420931262,
                3,
                5.8587007048843106e-33,
            ),
        ] {
            let got = homogeneity(&table);
            assert!((got.statistic - statistic).abs() < 1e-9, "{got:?}");
            assert_eq!(got.degrees, degrees);
            assert!((got.p_value - p_value).abs() <= 1e-9 * p_value, "{got:?}");
        }
    }

    #[test]
    fn the_level_that_moved_most_is_named() {
        let was = levels(&[("Private", 380), ("State", 320), ("None", 300)]);
        let now = levels(&[("Private", 90), ("State", 410), ("None", 500)]);
        let found = compare(&was, &now, 1.0);
        let moved = found.moved.unwrap();
        assert_eq!((moved.name.as_str(), moved.was, moved.now), ("Private", 0.38, 0.09));
        assert!((found.total_variation - 0.29).abs() < 1e-12);
        assert!(found.p_value < 1e-20);
    }

    #[test]
    fn constants_and_nothing_have_an_answer() {
        let (one, none) = (levels(&[("a", 500)]), levels(&[]));
        for (was, now) in [(&one, &one), (&one, &none), (&none, &one), (&none, &none)] {
            let found = compare(was, now, 1.0);
            assert_eq!((found.p_value, found.total_variation), (1.0, 0.0));
        }
        assert_eq!(compare(&one, &levels(&[("b", 500)]), 1.0).total_variation, 1.0);
        assert_eq!(detectable(0, 0, 3, 0.05), 1.0);
        assert_eq!(detectable(10, 0, 3, 0.05), 1.0);
        assert_eq!(detectable(10, 10, 3, 0.0), 1.0);
    }

    #[test]
    fn a_new_level_is_seen_however_large_the_reference() {
        let was = levels(&[("a", 60_000), ("b", 40_000)]);
        let now = levels(&[("a", 110), ("b", 80), ("c", 30)]);
        let found = compare(&was, &now, 1.0);
        assert!(found.p_value < 1e-50, "{found:?}");
        assert_eq!(found.moved.unwrap().name, "unseen levels");
    }

    #[test]
    fn one_row_of_a_new_level_is_no_evidence() {
        let was = levels(&[("a", 60_000), ("b", 40_000)]);
        let now = levels(&[("a", 120), ("b", 80), ("c", 1)]);
        assert!(compare(&was, &now, 1.0).p_value > 1e-3);
    }

    #[test]
    fn a_column_that_is_different_in_every_row_does_not_drift() {
        let names = |from: u64, to: u64| {
            let mut summary = CategorySummary::default();
            (from..to).for_each(|id| summary.insert(&format!("user-{id}")));
            summary
        };
        for rows in [300, 800, 4_000] {
            let found = compare(&names(0, rows), &names(10_000, 10_500), 1.0);
            assert_eq!((found.p_value, found.total_variation), (1.0, 0.0), "{rows}: {found:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn answers_are_probabilities_and_equal_columns_do_not_differ(
            was in prop::collection::vec(0u64..80, 0..9), now in prop::collection::vec(0u64..80, 0..9)
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
            let column = |counts: &[u64]| {
                levels(&names.into_iter().zip(counts.iter().copied()).collect::<Vec<_>>())
            };
            let found = compare(&column(&was), &column(&now), 1.0);
            prop_assert!((0.0..=1.0).contains(&found.p_value), "{found:?}");
            prop_assert!((0.0..=1.0).contains(&found.total_variation), "{found:?}");
            // Twice, since what was seen once counts as unseen.
            let twice: Vec<u64> = was.iter().map(|count| count * 2).collect();
            let same = compare(&column(&twice), &column(&twice), 1.0);
            prop_assert!(same.p_value > 0.01, "{same:?}");
        }

        #[test]
        fn the_detectable_distance_is_significant_wherever_it_falls(
            share in 0.01..0.6f64, n in 300u64..2_000
        ) {
            let m = 50_000;
            let distance = detectable(m, n, 1, 1e-6);
            let (was, now) = ((share * m as f64) as u64, ((share + distance + 0.004) * n as f64).ceil() as u64);
            let found = homogeneity(&[(was, now), (m - was, n - now.min(n))]);
            prop_assert!(found.p_value <= 1e-6, "{found:?}");
        }
    }
}
