//! Findings about how rows come: how many, how late, and whether their values stand still. It does not
//! know the values' distribution.

use super::{DOUBT, Evidence, counted, percent, short};
use crate::finding::{Detector, Direction, Finding, Kind, Verdict};
use crate::ks;
use crate::limit;
use crate::proportion::Rate;
use crate::reference::{Feature, Values};
use crate::volume::Usual;

/// By how much of all rows one value has to have grown for a feature to be called stuck.
const STUCK: f64 = 0.5;

/// How many exchanges there were, where it is known how many there should have been.
pub(super) fn volume(usual: Usual) -> Evidence {
    let seen = usual.seen as f64;
    // One standard deviation is so much of the mean.
    let scatter = (usual.dispersion / usual.expected.max(1.0)).sqrt();
    let exchanges = |count: f64| format!("{} exchanges", short(count.round()));
    Evidence {
        detector: Detector::Volume,
        kind: Kind::Completeness,
        feature: None,
        features: Vec::new(),
        statistic: seen - usual.expected,
        effect: usual.effect(),
        doubt: (2.0 * scatter).min(1.0),
        p_value: usual.p_value(),
        detectable: 0.0,
        at_stake: 1.0,
        rows: usual.expected.round().max(seen) as u64,
        reference_rows: 0,
        direction: Direction::of(seen - usual.expected),
        was: format!("{} usual at this hour", exchanges(usual.expected)),
        now: exchanges(seen),
    }
}

/// How many rows came later than they may, of those that say when they were.
pub(super) fn late(late: Rate, most: f64, alpha: f64) -> Evidence {
    let excess = late.share() - most;
    Evidence {
        detector: Detector::LateRate,
        kind: Kind::Timeliness,
        feature: None,
        features: Vec::new(),
        statistic: excess,
        effect: excess.max(0.0),
        doubt: ks::detectable(u64::MAX, late.of(), DOUBT),
        p_value: limit::exceeds(late, most),
        detectable: limit::detectable(most, late.of(), alpha),
        at_stake: 1.0,
        rows: late.of(),
        reference_rows: 0,
        direction: (excess > 0.0).then_some(Direction::Higher),
        was: format!("late {} allowed", percent(most)),
        now: counted("late", late),
    }
}

/// That one number has taken the place of many, beside a finding that the numbers are distributed
/// otherwise: what stands behind it is a source that no longer moves. The evidence is that of the finding.
pub(super) fn stuck(finding: &Finding, was: &Feature, now: &Feature) -> Option<Finding> {
    let (Values::Number(was), Values::Number(now)) = (&was.values, &now.values) else {
        return None;
    };
    if finding.detector != Detector::KolmogorovSmirnov || finding.verdict < Verdict::Warning {
        return None;
    }
    // What more than half of the rows have is the median, too.
    let value = now.sketch().quantile(0.5)?;
    let (before, after) = (width(was.sketch().ranks(value)), width(now.sketch().ranks(value)));
    let effect = after - before;
    (effect >= STUCK).then(|| Finding {
        detector: Detector::Stuck,
        kind: Kind::Timeliness,
        statistic: effect,
        effect,
        effect_interval: (
            (effect - (finding.effect_interval.1 - finding.effect)).max(0.0),
            (effect + (finding.effect_interval.1 - finding.effect)).min(1.0),
        ),
        min_effect: STUCK,
        was: format!("{} in {}", short(value), percent(before)),
        now: format!("{} in {}", short(value), percent(after)),
        excess: None,
        ..finding.clone()
    })
}

fn width((below, upto): (f64, f64)) -> f64 {
    upto - below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Rules, judge};
    use crate::reference::{Observation, Reference};
    use crate::window::{Exchanges, Pane, Window};

    fn reference() -> Reference {
        let mut price = Feature::number("price");
        (0..5_000_u32)
            .for_each(|row| price.observe(Observation::Number(f64::from(row * 37 % 911))));
        Reference::of(5_000, vec![price])
    }

    /// A window of 1,000 rows, of which the first so many all have one price.
    fn window(reference: &Reference, stuck: u32) -> Window {
        let mut pane = Pane::new(reference);
        for row in 0..1_000 {
            pane.count(1);
            let price = if row < stuck { 500 } else { row * 41 % 911 };
            pane.observe(0, Observation::Number(f64::from(price)));
        }
        pane.exchanges(Exchanges { seen: 1_000, sampled: 1_000, ..Exchanges::default() });
        Window::of(reference, [&pane])
    }

    fn of(findings: &[Finding], detector: Detector) -> Option<&Finding> {
        findings.iter().find(|finding| finding.detector == detector)
    }

    #[test]
    fn a_number_that_stands_still_is_told_apart_from_drift() {
        let reference = reference();
        let found = |stuck| judge(&reference, &window(&reference, stuck), &Rules::default());
        let stuck = found(950);
        let stuck = of(&stuck, Detector::Stuck).unwrap();
        assert_eq!((stuck.kind, stuck.verdict), (Kind::Timeliness, Verdict::Alarm));
        assert_eq!(stuck.feature.as_deref(), Some("price"));
        assert!((0.94..0.96).contains(&stuck.effect), "{}", stuck.effect);
        assert!(stuck.now.starts_with("500 in 95"), "{}", stuck.now);
        assert!(of(&found(950), Detector::KolmogorovSmirnov).unwrap().verdict == Verdict::Alarm);
        assert!(of(&found(0), Detector::Stuck).is_none());
        assert!(of(&found(300), Detector::Stuck).is_none(), "less than half is drift alone");
    }

    #[test]
    fn fewer_exchanges_than_usual_are_an_alarm_even_without_a_row() {
        let reference = reference();
        let verdict = |seen: u64, expected: f64| {
            let mut window = Window::of(&reference, []);
            window.usual = Some(Usual { seen, expected, dispersion: 4.0 });
            let findings = judge(&reference, &window, &Rules::default());
            let found = of(&findings, Detector::Volume).unwrap();
            (found.verdict, found.direction)
        };
        assert_eq!(verdict(0, 1_000.0), (Verdict::Alarm, Some(Direction::Lower)));
        assert_eq!(verdict(300, 1_000.0), (Verdict::Alarm, Some(Direction::Lower)));
        assert_eq!(verdict(3_000, 1_000.0), (Verdict::Alarm, Some(Direction::Higher)));
        assert_eq!(verdict(900, 1_000.0).0, Verdict::Healthy);
        assert_eq!(
            verdict(600, 1_000.0).0,
            Verdict::Healthy,
            "half as many are the least that matters"
        );
        assert_eq!(verdict(0, 50.0).0, Verdict::Inconclusive);
    }

    #[test]
    fn more_late_rows_than_allowed_are_an_alarm() {
        let reference = reference();
        let verdict = |late: u64, rows: u64| {
            let mut window = window(&reference, 0);
            window.late = Some(Rate::new(late, rows));
            let rules = Rules { max_late_rate: Some(0.01), ..Rules::default() };
            let findings = judge(&reference, &window, &rules);
            of(&findings, Detector::LateRate).unwrap().verdict
        };
        assert_eq!(verdict(5, 1_000), Verdict::Healthy);
        assert_eq!(verdict(200, 1_000), Verdict::Alarm);
        assert_eq!(verdict(20, 20), Verdict::Inconclusive);
        assert_eq!(verdict(0, 0), Verdict::Inconclusive);
    }
}
