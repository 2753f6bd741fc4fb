//! What a watch measures a model by beside its features: the metrics of the model's owner. It does not
//! know expressions, nor where labels come from.

use std::collections::BTreeMap;

use tidegate_contract::columns::Columns;
use tidegate_detectors::custom_metric::Values;

use super::Watch;
use crate::custom_metrics::CustomMetrics;

impl Watch {
    /// Measures by these metrics, too.
    #[must_use]
    pub fn measuring(mut self, metrics: CustomMetrics) -> Self {
        self.rules.metrics = metrics.judged();
        self.metrics = metrics;
        self
    }

    /// Measures an exchange that a version answered, by what can be read of either side.
    pub fn exchange(&mut self, asked: Option<&Columns>, answered: Option<&Columns>) {
        let pane = self.panes.newest();
        self.metrics.exchange(asked, answered, |metric, value| pane.measure(metric, value));
    }

    /// Takes what metrics are of the latest rows that a label has joined, for the windows to come.
    pub fn labelled(&mut self, values: BTreeMap<String, Values>) {
        self.labelled = values;
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_detectors::custom_metric::{MetricStatus, Value, Values};
    use tidegate_detectors::finding::{Detector, Direction, Finding, Kind, Verdict};
    use tidegate_detectors::reference::{Feature, Observation, Reference};

    use super::Watch;
    use crate::custom_metrics::CustomMetrics;
    use crate::fixture::{DIVERT, config};
    use crate::judgement::Judgement;
    use crate::sides::Sides;

    fn watch(metrics: &str) -> Watch {
        let labels = "labels: {output: score, task: regression}";
        let model =
            config(&format!("{DIVERT}\n    {labels}\n    metrics:{metrics}")).models.remove(0);
        let (mut age, mut score) = (Feature::number("age"), Feature::number("score"));
        for row in 0..9_000_u32 {
            let mixed = mixed(row);
            age.observe(Observation::Number(f64::from(mixed % 90)));
            score.observe(Observation::Number(f64::from(mixed % 100) / 100.0));
        }
        let (inputs, outputs) =
            (Reference::of(9_000, vec![age]), Reference::of(9_000, vec![score]));
        let sides = Sides::of(&inputs, &outputs);
        let contract = Contract::default();
        let metrics = CustomMetrics::of(&model, &contract, &sides).expect("they fit");
        Watch::new(&model, &contract, sides, None).measuring(metrics)
    }

    /// Mixed, so that no row depends on the one before.
    fn mixed(row: u32) -> u32 {
        row.wrapping_mul(2_654_435_761) >> 8
    }

    fn exchanges(watch: &mut Watch, rows: impl Iterator<Item = u32>, bonus: f64) {
        let table = |name: &str, cell| Columns {
            rows: 1,
            columns: vec![Column { name: name.to_owned(), cells: vec![Cell::Number(cell)] }],
        };
        for row in rows {
            let asked = table("age", f64::from(mixed(row) % 90));
            let answered = table("score", f64::from(mixed(row) % 100) / 100.0 + bonus);
            watch.exchange(Some(&asked), Some(&answered));
        }
    }

    fn found<'a>(judgement: &'a Judgement, metric: &str) -> Option<&'a Finding> {
        let of_metric =
            |f: &&Finding| f.detector == Detector::Metric && f.feature.as_deref() == Some(metric);
        judgement.findings.iter().find(of_metric)
    }

    fn status<'a>(judgement: &'a Judgement, metric: &str) -> &'a MetricStatus {
        judgement.metrics.iter().find(|of| of.name == metric).expect("each is shown")
    }

    const METRICS: &str = "
      - {name: high, expression: outputs.score > 0.5, max: 0.55}
      - {name: amount, expression: outputs.score * 1000, min: 400, max: 600}
      - {name: shown, expression: 1 / (inputs.age - 3), where: inputs.age < 45}
      - {name: missed, expression: abs(outputs.score - label), max: 0.1}";

    #[test]
    fn a_metric_within_its_limits_is_healthy_and_one_beyond_them_alarms() {
        let mut watch = watch(METRICS);
        exchanges(&mut watch, 0..4_000, 0.0);
        let judgement = watch.close(0);
        for metric in ["high", "amount"] {
            let finding = found(&judgement, metric).expect("it has limits");
            assert_eq!((finding.verdict, finding.kind), (Verdict::Healthy, Kind::ConceptDrift));
        }
        assert_eq!(found(&judgement, "shown"), None, "it is only shown");
        assert_eq!(found(&judgement, "missed"), None, "no label came yet");
        let shown = status(&judgement, "shown");
        assert!(shown.value.is_some() && shown.rows < 2_100, "{shown:?}");
        assert!(shown.undefined_rows > 20 && shown.missing_rows == 0, "{shown:?}");

        exchanges(&mut watch, 0..4_000, 0.3);
        let judgement = watch.close(0);
        let high = found(&judgement, "high").expect("it has a limit");
        assert_eq!((high.verdict, high.direction), (Verdict::Alarm, Some(Direction::Higher)));
        assert_eq!(high.was, "at most 0.55 allowed");
        assert!(high.effect > 0.05 && high.effect_interval.0 > 0.0, "{high:?}");
        let amount = found(&judgement, "amount").expect("it has limits");
        assert_eq!(amount.verdict, Verdict::Alarm, "{amount:?}");
    }

    #[test]
    fn a_metric_without_rows_is_inconclusive_but_one_that_waits_for_labels_is_silent() {
        let mut watch = watch(METRICS);
        let judgement = watch.close(0);
        assert_eq!(found(&judgement, "high").map(|f| f.verdict), Some(Verdict::Inconclusive));
        assert_eq!(found(&judgement, "missed"), None);
        let mut values = Values::default();
        (0..500).for_each(|row| values.observe(Value::Known(f64::from(mixed(row) % 100) / 100.0)));
        let missed = "missed: abs(outputs.score - label)".to_owned();
        watch.labelled([(missed, values)].into());
        let judgement = watch.close(0);
        assert_eq!(found(&judgement, "missed").map(|f| f.verdict), Some(Verdict::Alarm));
        assert_eq!(status(&judgement, "missed").rows, 500);
    }

    #[test]
    fn three_collectors_measure_as_one_does() {
        let mut one = watch(METRICS);
        exchanges(&mut one, 0..3_000, 0.3);
        let alone = one.close(2_000);
        let mut three = [watch(METRICS), watch(METRICS), watch(METRICS)];
        for (of, watch) in (0..).zip(&mut three) {
            watch.share();
            exchanges(watch, (0..3_000).filter(|row| row % 3 == of), 0.3);
        }
        let parcels = three.each_mut().map(|watch| {
            let sent = serde_json::to_string(&watch.cut()).expect("JSON");
            serde_json::from_str(&sent).expect("what was sent")
        });
        let together = three[0].join(1, &parcels, 2_000);
        assert_eq!(together, three[1].join(1, &parcels, 2_000));
        for metric in ["high", "amount"] {
            let (one, all) = (status(&alone, metric), status(&together, metric));
            assert_eq!((one.rows, all.rows), (3_000, 3_000));
            assert!((one.value.expect("a mean") - all.value.expect("a mean")).abs() < 1e-9);
            let verdict = |judgement| found(judgement, metric).map(|finding| finding.verdict);
            assert_eq!(verdict(&alone), verdict(&together));
        }
    }
}
