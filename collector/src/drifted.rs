//! Drifted: the segment that findings point to, so that a decision need not be about a whole model. It
//! does not know the rule that asks.

use tidegate_contract::segment::{Bound, Condition, Range, Segment};
use tidegate_detectors::finding::{Excess, Finding};

/// The exchanges that a drift is of: by the worst finding that can tell. `None` where none can, such as
/// where values are missing less often than they were.
pub fn segment<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Segment> {
    findings.into_iter().find_map(|finding| {
        let input = finding.feature.clone()?;
        let condition = match finding.excess.clone()? {
            Excess::Range { above, upto } => Condition::Range {
                input,
                range: Range {
                    least: above.map(|value| Bound { value, included: false }),
                    greatest: upto.map(|value| Bound { value, included: true }),
                },
            },
            Excess::Levels(levels) => Condition::Levels { input, levels },
            Excess::Missing => Condition::Null { input },
        };
        Segment::of([condition]).ok()
    })
}

#[cfg(test)]
mod tests {
    use tidegate_detectors::finding::{Excess, Finding, Verdict};

    use super::segment;
    use crate::fixture::judgement;

    fn with(excess: Option<Excess>) -> Finding {
        let mut finding = judgement(Verdict::Alarm).findings.remove(0);
        finding.excess = excess;
        finding
    }

    #[test]
    fn each_kind_of_excess_is_a_segment_in_words() {
        for (excess, words) in [
            (Excess::Range { above: Some(60.0), upto: None }, "age > 60"),
            (Excess::Range { above: Some(3.5), upto: Some(7.0) }, "age > 3.5 and age <= 7"),
            (Excess::Levels(vec!["a".into(), "b c".into()]), "age in [a, \"b c\"]"),
            (Excess::Missing, "age is null"),
        ] {
            assert_eq!(segment(&[with(Some(excess))]).unwrap().to_string(), words);
        }
    }

    #[test]
    fn the_worst_finding_that_can_tell_counts() {
        let findings = [with(None), with(Some(Excess::Missing))];
        assert_eq!(segment(&findings).unwrap().to_string(), "age is null");
        assert_eq!(segment(&[with(None)]), None);
        assert_eq!(segment(&[with(Some(Excess::Range { above: None, upto: None }))]), None);
    }
}
