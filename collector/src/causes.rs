//! The causes of a judgement in words: one line for findings that one of them explains. It does not
//! know how they were grouped, nor judges.

use tidegate_detectors::cause::Cause;
use tidegate_detectors::finding::{Detector, Direction, Finding};

use crate::decision::UnixMillis;
use crate::wording::{about, counted};

/// Consequences that are named.
const CONSEQUENCES_TOLD: usize = 4;

/// `1 cause`, `3 causes`.
pub(crate) fn how_many(causes: &[Cause]) -> String {
    counted(causes.len(), "cause")
}

/// A line for each of these causes of these findings, in their order; `when` says a time. A place that
/// no finding has is passed over: what is read may come from another collector.
pub(crate) fn lines(
    causes: &[Cause],
    findings: &[Finding],
    when: impl Fn(UnixMillis) -> String,
) -> Vec<String> {
    let line = |cause: &Cause| {
        let leads = findings.get(cause.leads)?;
        let since = cause.since_unix_ms.and_then(|since| u64::try_from(since).ok());
        let since = since.map_or(String::new(), |since| format!(", since {}", when(since)));
        let others = cause.consequences.iter().filter_map(|at| findings.get(*at));
        let mut also: Vec<String> = Vec::new();
        for other in others.map(|other| beside(leads, other)) {
            if !also.contains(&other) {
                also.push(other);
            }
        }
        let more = also.len().saturating_sub(CONSEQUENCES_TOLD);
        also.truncate(CONSEQUENCES_TOLD);
        if more > 0 {
            also.push(format!("{more} more"));
        }
        let also =
            if also.is_empty() { String::new() } else { format!(" (also: {})", also.join("; ")) };
        Some(format!("{}{since}{also}", told(leads)))
    };
    causes.iter().filter_map(line).collect()
}

/// What happened, by the finding that leads.
fn told(leads: &Finding) -> String {
    let all = match leads.detector {
        Detector::ViolationRate => "requests",
        Detector::Volume => "traffic",
        _ => "rows",
    };
    let subject = leads.subject(all);
    let Finding { was, now, .. } = leads;
    let what = match (leads.detector, leads.direction) {
        (Detector::NullRate, _) => {
            let shares = was.strip_prefix("missing ").zip(now.strip_prefix("missing "));
            if let Some((was, now)) = shares {
                return format!("{subject} is missing in {now} of rows, {was} in training");
            }
            "is missing otherwise"
        }
        (Detector::Limit | Detector::Metric, _) => {
            return format!("{subject} is beyond its limit: {now}, {was}");
        }
        (Detector::KolmogorovSmirnov | Detector::Volume, Some(Direction::Higher)) => "is higher",
        (Detector::KolmogorovSmirnov | Detector::Volume, Some(Direction::Lower)) => "is lower",
        (Detector::Volume, None) => "is as usual",
        (Detector::KolmogorovSmirnov | Detector::ChiSquared, _) => "is distributed otherwise",
        (Detector::LateRate, _) => "come late",
        (Detector::Stuck, _) => "stands still",
        (Detector::ViolationRate, _) => "break the contract",
        (Detector::Correlation, _) => "move together otherwise",
        (Detector::Mmd, _) if leads.features.len() == 1 => {
            "is distributed otherwise together with others"
        }
        (Detector::Mmd, _) => "are distributed otherwise together",
        (Detector::ClusterMass, _) => "fall into clusters otherwise",
        (Detector::OutlierRate, _) => "lie further out",
        (Detector::Copula, _) => "contradict each other",
        (Detector::RealisedError, _) => "errs more",
    };
    format!("{subject} {what}: {was} became {now}")
}

/// What else shows it, beside the finding that leads.
fn beside(leads: &Finding, other: &Finding) -> String {
    match other.subject("") {
        subject
            if subject.is_empty() || other.feature == leads.feature && other.feature.is_some() =>
        {
            about(other).to_owned()
        }
        subject => format!("{} of {subject}", about(other)),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_detectors::finding::{Evidence, Kind, Verdict};

    use super::*;
    use crate::fixture::judgement;

    fn missing(was: &str, now: &str) -> Finding {
        Finding {
            detector: Detector::NullRate,
            kind: Kind::Completeness,
            was: was.to_owned(),
            now: now.to_owned(),
            effect: 0.9,
            ..judgement(Verdict::Alarm).findings.remove(0)
        }
    }

    fn said(more: Vec<Finding>) -> Vec<String> {
        let judged = judgement(Verdict::Alarm).with(more, &Default::default());
        lines(&judged.causes, &judged.findings, |since| format!("{since} ms"))
    }

    #[test]
    fn a_broken_field_is_told_in_one_line() {
        let since = Evidence { value: 10.0, enough: 5.0, since_unix_ms: Some(70) };
        let of_both = |detector| Finding {
            detector,
            feature: None,
            features: vec!["age".to_owned(), "wage".to_owned()],
            effect: 0.2,
            ..missing("", "")
        };
        let leads = Finding { evidence: Some(since), ..missing("missing 0 %", "missing 38 %") };
        let broken = vec![of_both(Detector::Correlation), of_both(Detector::OutlierRate), leads];
        assert_eq!(
            said(broken),
            ["age is missing in 38 % of rows, 0 % in training, since 70 ms (also: distribution; \
              moving together of age, wage; outliers of age, wage)"]
        );
    }

    #[test]
    fn what_changed_otherwise_is_told_as_it_was_and_is() {
        assert_eq!(said(Vec::new()), ["age is distributed otherwise: median 34 became median 61"]);
        let unknown = missing("missing: nothing to count", "missing 3 %");
        let told = "age is missing otherwise: missing: nothing to count became missing 3 %";
        assert_eq!(said(vec![unknown]), [format!("{told} (also: distribution)")]);
    }

    #[test]
    fn one_column_or_several_are_told_of_a_joint_law() {
        let of = |features: &[&str]| {
            let features = features.iter().map(|&feature| feature.to_owned()).collect();
            told(&Finding { detector: Detector::Mmd, feature: None, features, ..missing("a", "b") })
        };
        assert_eq!(of(&["age"]), "age is distributed otherwise together with others: a became b");
        let both = "age, wage are distributed otherwise together: a became b";
        assert_eq!(of(&["age", "wage"]), both);
    }

    #[test]
    fn many_consequences_are_counted_and_places_that_are_none_are_passed_over() {
        let many = |at: usize| Finding {
            detector: Detector::OutlierRate,
            feature: None,
            features: vec!["age".to_owned(), format!("other {at}")],
            ..missing("", "")
        };
        let said = said((0..7).map(many).collect());
        assert!(said[0].ends_with("outliers of age, other 3; 3 more)"), "{said:?}");
        let nowhere =
            Cause { leads: 9, features: Vec::new(), since_unix_ms: None, consequences: vec![10] };
        assert_eq!(lines(&[nowhere], &[], |_| String::new()), [""; 0]);
    }
}
