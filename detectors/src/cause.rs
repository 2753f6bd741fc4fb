//! Which findings of a window share a cause, so that whoever is woken by ten of them reads one line.
//!
//! It does not know what caused anything: it says which finding explains which others best, by what
//! they are about and by what moved together in training. Verdicts and decisions stay those of each
//! finding.
//!
//! Findings at warning or worse form groups:
//!
//! - Those of one feature are one group.
//! - Two numbers that drifted are one where they moved together in training, and now the same ways:
//!   |r| of their scores in [`crate::joint::Joint::known`] is at least [`TOGETHER`], and its sign is
//!   that of both shifts.
//! - A finding about several features belongs to the strongest finding about one of them, and never
//!   makes one group of two: rows stand out by whatever moved, however many things did. Where none of
//!   its features has a finding of its own, it is one with those like it that share a feature.
//! - Broken contracts, which name no feature, belong to the strongest finding of a feature, at least as
//!   bad, that can break one: values that are missing or not listed, or a drift of at least as many
//!   rows as there are broken exchanges.
//!
//! The strongest is the worst by verdict, then the one with the largest effect in units of the effect
//! that matters. It leads its group, but for two things: of equal verdicts one feature explains several,
//! and values that are missing, or beyond what the contract allows, explain their feature's drift.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::association::pairs;
use crate::finding::{Detector, Direction, Finding, Kind, Verdict};
use crate::reference::Reference;

/// From which correlation of scores on two numbers are expected to drift together: a quarter of what
/// one varies is the other's.
pub const TOGETHER: f64 = 0.5;

/// Findings that one of them explains best.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The finding that leads, by its place among all.
    pub leads: usize,
    /// The features of all of them, those of the one that leads first.
    pub features: Vec<String>,
    /// Since when the earliest of them seems to last, in Unix milliseconds; `None` where no evidence
    /// is enough to say.
    pub since_unix_ms: Option<i64>,
    /// The others, by their places, in this order.
    pub consequences: Vec<usize>,
}

/// The groups of these findings, the one with the strongest first; empty where nothing is at warning or
/// worse. Of findings that are equally strong the one that comes first counts as stronger.
#[must_use]
pub fn causes(findings: &[Finding], reference: &Reference) -> Vec<Cause> {
    let mut groups = Groups::of(findings);
    groups.share_a_feature();
    groups.drifted_together(reference);
    groups.explained();
    let mut causes: Vec<Cause> = groups.members().iter().map(|of| cause(findings, of)).collect();
    causes.sort_by(|a, b| {
        strength(&findings[b.leads])
            .total_cmp(&strength(&findings[a.leads]))
            .then(a.leads.cmp(&b.leads))
    });
    causes
}

/// How strong a finding is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Strength {
    verdict: Verdict,
    /// Times the effect that matters, 0 or more.
    excess: f64,
}

impl Strength {
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.verdict.cmp(&other.verdict).then(self.excess.total_cmp(&other.excess))
    }
}

fn strength(finding: &Finding) -> Strength {
    let excess = finding.effect / finding.min_effect.max(f64::MIN_POSITIVE);
    // An effect that is no number is none.
    Strength { verdict: finding.verdict, excess: if excess.is_nan() { 0.0 } else { excess } }
}

/// Whether it is about values that are missing, stand still, or are beyond what the contract allows.
fn is_of_format(finding: &Finding) -> bool {
    matches!(finding.kind, Kind::Completeness | Kind::Timeliness | Kind::DataFormatDrift)
}

/// The group that each finding belongs to.
struct Groups<'a> {
    findings: &'a [Finding],
    /// By place: the place of a finding of the same group; `None` where it is not loud.
    group: Vec<Option<usize>>,
    /// The strongest finding of each feature.
    strongest: BTreeMap<&'a str, usize>,
}

impl<'a> Groups<'a> {
    /// Each loud finding by itself.
    fn of(findings: &'a [Finding]) -> Self {
        let loud =
            |(at, finding): (usize, &Finding)| (finding.verdict >= Verdict::Warning).then_some(at);
        let group = findings.iter().enumerate().map(loud).collect();
        let mut groups = Groups { findings, group, strongest: BTreeMap::new() };
        for (at, finding) in groups.loud() {
            let Some(feature) = &finding.feature else { continue };
            let strongest = groups.strongest.entry(feature.as_str()).or_insert(at);
            if strength(&findings[*strongest]).total_cmp(&strength(finding)).is_lt() {
                *strongest = at;
            }
        }
        groups
    }

    fn loud(&self) -> impl Iterator<Item = (usize, &'a Finding)> + use<'a> {
        let findings = self.findings.iter().enumerate();
        findings.filter(|(_, finding)| finding.verdict >= Verdict::Warning)
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.group[one], self.group[other]);
        for group in self.group.iter_mut().filter(|group| **group == other) {
            *group = one;
        }
    }

    fn share_a_feature(&mut self) {
        for (at, finding) in self.loud() {
            let of = finding.feature.as_deref().and_then(|of| self.strongest.get(of).copied());
            if let Some(strongest) = of {
                self.join(strongest, at);
            }
        }
    }

    fn drifted_together(&mut self, reference: &Reference) {
        let mut shifts: BTreeMap<&str, (usize, Direction)> = BTreeMap::new();
        for (at, finding) in self.loud().filter(|(_, f)| f.detector == Detector::KolmogorovSmirnov)
        {
            if let (Some(feature), Some(direction)) = (&finding.feature, finding.direction) {
                shifts.insert(feature, (at, direction));
            }
        }
        for joint in &reference.joints {
            let shift = |column: usize| {
                let feature = reference.features.get(*joint.columns.get(column)?)?;
                shifts.get(feature.name.as_str()).copied()
            };
            for ((one, other), pair) in pairs(joint.columns.len()).zip(&joint.known.pairs) {
                let (Some(pair), Some((one, up)), Some((other, as_well))) =
                    (pair, shift(one), shift(other))
                else {
                    continue;
                };
                if pair.r.abs() >= TOGETHER && (up == as_well) == (pair.r > 0.0) {
                    self.join(one, other);
                }
            }
        }
    }

    /// Gives findings that are not about one feature to what explains them.
    fn explained(&mut self) {
        let mut alone: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, finding) in self.loud().filter(|(_, finding)| finding.feature.is_none()) {
            let of_one = |feature: &String| self.strongest.get(feature.as_str()).copied();
            let explains = if finding.features.is_empty() {
                self.breaks_contracts(finding)
            } else {
                self.strongest_of(finding.features.iter().filter_map(of_one))
            };
            if let Some(explains) = explains {
                self.join(explains, at);
                continue;
            }
            for feature in &finding.features {
                let first = *alone.entry(feature).or_insert(at);
                self.join(first, at);
            }
        }
    }

    /// The strongest finding that can have broken as many contracts as this one says.
    fn breaks_contracts(&self, broken: &Finding) -> Option<usize> {
        let of_one = self.loud().filter(|(_, finding)| {
            let can = is_of_format(finding) || finding.effect >= broken.effect;
            finding.feature.is_some() && finding.verdict >= broken.verdict && can
        });
        (broken.detector == Detector::ViolationRate)
            .then(|| self.strongest_of(of_one.map(|(at, _)| at)))
            .flatten()
    }

    fn strongest_of(&self, places: impl Iterator<Item = usize>) -> Option<usize> {
        let of = |at: usize| strength(&self.findings[at]);
        places.max_by(|&a, &b| of(a).total_cmp(&of(b)).then(b.cmp(&a)))
    }

    /// The places of each group, in order.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, group) in self.group.iter().enumerate() {
            if let Some(group) = group {
                members.entry(*group).or_default().push(at);
            }
        }
        members.into_values().collect()
    }
}

/// The cause of a group, which has a member.
fn cause(findings: &[Finding], members: &[usize]) -> Cause {
    let strongest = |places: &mut dyn Iterator<Item = usize>| {
        let of_one = |at: usize| (findings[at].verdict, findings[at].feature.is_some());
        places.max_by(|&a, &b| {
            let as_strong = strength(&findings[a]).total_cmp(&strength(&findings[b]));
            of_one(a).cmp(&of_one(b)).then(as_strong).then(b.cmp(&a))
        })
    };
    let first = strongest(&mut members.iter().copied()).unwrap_or_default();
    let of_format = |at: &usize| {
        let (finding, first) = (&findings[*at], &findings[first]);
        let same = first.feature.is_some() && finding.feature == first.feature;
        same && finding.verdict == first.verdict && is_of_format(finding)
    };
    let leads = strongest(&mut members.iter().copied().filter(of_format)).unwrap_or(first);
    let consequences: Vec<usize> = members.iter().copied().filter(|at| *at != leads).collect();
    let all = || std::iter::once(leads).chain(consequences.iter().copied()).map(|at| &findings[at]);
    let (mut features, mut named) = (Vec::new(), BTreeSet::new());
    for feature in all().flat_map(|finding| finding.feature.iter().chain(&finding.features)) {
        if named.insert(feature) {
            features.push(feature.clone());
        }
    }
    let enough = all().filter_map(|finding| finding.evidence.filter(|e| e.value >= e.enough));
    let since_unix_ms = enough.filter_map(|evidence| evidence.since_unix_ms).min();
    Cause { leads, features, since_unix_ms, consequences }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::association::{Column, Known, Pair};
    use crate::finding::Evidence;
    use crate::joint::Joint;
    use crate::reference::Feature;

    const AGE: &str = "age";
    const WAGE: &str = "wage";
    const WORK: &str = "work";

    /// Three numbers, of which the first two move together as `r` says.
    fn reference(r: f64) -> Reference {
        let mut reference = Reference::of(1_000, [AGE, WAGE, WORK].map(Feature::number).into());
        let pair = |r: f64| Some(Pair::from((1_000, r, 0.0, 1.0)));
        let known = Known {
            columns: vec![Column::from([0.0, 1.0, -2.5, 2.5]); 3],
            pairs: vec![pair(r), pair(0.1), None],
        };
        reference.joints = vec![Joint { columns: vec![0, 1, 2], known, ..Joint::default() }];
        reference
    }

    fn finding(detector: Detector, kind: Kind, features: &[&str], effect: f64) -> Finding {
        let names: Vec<String> = features.iter().map(|name| (*name).to_owned()).collect();
        let (feature, features) = match names.as_slice() {
            [one] => (Some(one.clone()), Vec::new()),
            _ => (None, names),
        };
        Finding {
            detector,
            kind,
            feature,
            features,
            verdict: Verdict::Alarm,
            statistic: effect,
            effect,
            effect_interval: (0.0, 1.0),
            min_effect: 0.1,
            p_value: 0.0,
            adjusted_p_value: 0.0,
            alpha: 1e-6,
            evidence: None,
            detectable: 0.1,
            rows: 500,
            reference_rows: 1_000,
            coverage: Some(1.0),
            direction: None,
            was: String::new(),
            now: String::new(),
            excess: None,
        }
    }

    fn drift(feature: &str, effect: f64, direction: Direction) -> Finding {
        let of = finding(Detector::KolmogorovSmirnov, Kind::DataDrift, &[feature], effect);
        Finding { direction: Some(direction), ..of }
    }

    fn missing(feature: &str, effect: f64) -> Finding {
        finding(Detector::NullRate, Kind::Completeness, &[feature], effect)
    }

    fn correlation(one: &str, other: &str, effect: f64) -> Finding {
        finding(Detector::Correlation, Kind::DataDrift, &[one, other], effect)
    }

    fn violations(effect: f64) -> Finding {
        finding(Detector::ViolationRate, Kind::DataFormatDrift, &[], effect)
    }

    fn leads(causes: &[Cause]) -> Vec<usize> {
        causes.iter().map(|cause| cause.leads).collect()
    }

    #[test]
    fn a_field_that_broke_is_one_cause_and_its_missing_values_lead() {
        let broken = [
            drift(AGE, 0.6, Direction::Higher),
            violations(0.4),
            correlation(WAGE, AGE, 0.7),
            missing(AGE, 0.38),
            finding(Detector::OutlierRate, Kind::Outliers, &[AGE, WORK, WAGE], 0.9),
            finding(Detector::ClusterMass, Kind::DataDrift, &[AGE, WAGE], 0.3),
        ];
        let found = causes(&broken, &reference(0.0));
        assert_eq!(leads(&found), [3]);
        assert_eq!(found[0].consequences, [0, 1, 2, 4, 5]);
        assert_eq!(found[0].features, [AGE, WAGE, WORK]);
    }

    #[test]
    fn missing_values_that_are_less_certain_do_not_lead() {
        let few = Finding { verdict: Verdict::Warning, ..missing(AGE, 0.06) };
        let found = causes(&[few, drift(AGE, 0.6, Direction::Higher)], &reference(0.0));
        assert_eq!((leads(&found), &found[0].consequences[..]), (vec![1], &[0][..]));
    }

    #[test]
    fn two_drifts_that_have_nothing_to_do_with_each_other_are_two_causes() {
        let both = [
            drift(AGE, 0.2, Direction::Higher),
            drift(WORK, 0.4, Direction::Higher),
            finding(Detector::OutlierRate, Kind::Outliers, &[AGE, WORK], 0.9),
        ];
        let found = causes(&both, &reference(0.9));
        assert_eq!(leads(&found), [1, 0], "the stronger one first");
        assert_eq!(found[0].consequences, [2], "what both explain is not what makes them one");
    }

    #[test]
    fn a_pair_that_drifts_as_it_moved_together_is_one_cause() {
        let pair = |of_wage| [drift(AGE, 0.2, Direction::Higher), drift(WAGE, 0.3, of_wage)];
        let causes_of = |r: f64, of_wage| leads(&causes(&pair(of_wage), &reference(r)));
        assert_eq!(causes_of(0.8, Direction::Higher), [1]);
        assert_eq!(causes_of(-0.8, Direction::Lower), [1]);
        assert_eq!(causes_of(0.8, Direction::Lower), [1, 0], "they part company");
        assert_eq!(causes_of(-0.8, Direction::Higher), [1, 0]);
        assert_eq!(causes_of(TOGETHER, Direction::Higher), [1]);
        assert_eq!(causes_of(0.49, Direction::Higher), [1, 0]);
        let unknown = Reference::of(0, Vec::new());
        assert_eq!(causes(&pair(Direction::Higher), &unknown).len(), 2);
    }

    #[test]
    fn what_no_single_feature_shows_leads_by_itself() {
        let together = [
            correlation(AGE, WAGE, 0.3),
            finding(Detector::ClusterMass, Kind::DataDrift, &[WAGE, WORK], 0.4),
            violations(0.2),
        ];
        let found = causes(&together, &reference(0.8));
        assert_eq!(leads(&found), [1, 2]);
        assert_eq!(found[0].features, [WAGE, WORK, AGE]);
        // A weak drift of one of them is told beside it, and does not lead.
        let weak = Finding { verdict: Verdict::Warning, ..drift(AGE, 0.11, Direction::Lower) };
        let found = causes(&[correlation(AGE, WAGE, 0.3), weak], &reference(0.8));
        assert_eq!((leads(&found), &found[0].consequences[..]), (vec![0], &[1][..]));
    }

    #[test]
    fn broken_contracts_belong_to_what_can_break_them() {
        let of = |other: Finding| leads(&causes(&[violations(0.3), other], &reference(0.0)));
        assert_eq!(of(missing(AGE, 0.1)), [1]);
        assert_eq!(of(drift(AGE, 0.5, Direction::Higher)), [1]);
        assert_eq!(of(drift(AGE, 0.2, Direction::Higher)), [0, 1]);
        assert_eq!(of(Finding { verdict: Verdict::Warning, ..missing(AGE, 0.1) }), [0, 1]);
    }

    #[test]
    fn a_cause_lasts_since_the_earliest_evidence_that_is_enough() {
        let since = |value, since_unix_ms| Some(Evidence { value, enough: 100.0, since_unix_ms });
        let of = |evidence| Finding { evidence, ..missing(AGE, 0.3) };
        let all = [of(since(200.0, Some(70))), of(since(300.0, Some(50))), of(since(9.0, Some(1)))];
        assert_eq!(causes(&all, &reference(0.0))[0].since_unix_ms, Some(50));
        assert_eq!(causes(&all[2..], &reference(0.0))[0].since_unix_ms, None);
    }

    #[test]
    fn where_nothing_is_loud_there_is_no_cause() {
        assert_eq!(causes(&[], &reference(0.5)), []);
        let quiet = [Verdict::Healthy, Verdict::Inconclusive]
            .map(|verdict| Finding { verdict, ..missing(AGE, 0.9) });
        assert_eq!(causes(&quiet, &reference(0.5)), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_loud_finding_has_one_cause_whatever_was_found(
            all in prop::collection::vec((0usize..6, 0usize..3, 0usize..3, prop_oneof![
                Just(f64::NAN), Just(f64::INFINITY), Just(0.0), 0.0..1.0f64]), 0..30),
            r in -1.0..1.0f64,
        ) {
            let names = [AGE, WAGE, WORK];
            let findings: Vec<Finding> = all.iter().map(|&(what, one, other, effect)| {
                let found = match what {
                    0 => drift(names[one], effect, Direction::Higher),
                    1 => drift(names[one], effect, Direction::Lower),
                    2 => missing(names[one], effect),
                    3 => correlation(names[one], names[other], effect),
                    4 => violations(effect),
                    _ => finding(Detector::OutlierRate, Kind::Outliers, &names, effect),
                };
                let verdicts = [Verdict::Alarm, Verdict::Warning, Verdict::Healthy];
                Finding { verdict: verdicts[other], min_effect: effect.min(0.1), ..found }
            }).collect();
            let found = causes(&findings, &reference(r));
            let mut explained: Vec<usize> =
                found.iter().flat_map(|of| of.consequences.iter().copied().chain([of.leads])).collect();
            explained.sort_unstable();
            let loud: Vec<usize> = (0..findings.len())
                .filter(|at| findings[*at].verdict >= Verdict::Warning).collect();
            prop_assert_eq!(explained, loud);
            prop_assert_eq!(causes(&findings, &reference(r)), found);
        }
    }
}
