//! How well a thresholded series finds what is strange in made-up series, beside a bare forest on
//! shingles of the same length. It says nothing of a public benchmark: its series are not here.

use tidegate_detectors::forest::series::{Look, Series};
use tidegate_detectors::forest::{Forest, Plan};
use tidegate_detectors::outlier::Scorer;

use super::nab::{self, Scored};
use super::stream::{self, STEPS, Stream};
use crate::report::{Quality, Report};

/// Series of each kind.
const EACH: u64 = 3;
/// How much better than a bare forest it must be.
const BETTER: f64 = 1.12;

/// Prints the benchmark's score; says whether it is good enough.
#[must_use]
pub fn print(report: &Report) -> bool {
    let streams = stream::all(EACH);
    let score = |detector: fn(&Stream) -> Vec<f64>| {
        let scored: Vec<Scored> = streams
            .iter()
            .map(|stream| Scored {
                scores: detector(stream),
                windows: stream.windows.clone(),
                // As the benchmark has it.
                probation: (STEPS * 15 / 100).min(750),
            })
            .collect();
        nab::score(&scored)
    };
    let (value, least) = (score(thresholded), BETTER * score(bare));
    let goal = format!(">= {least:.1}, 12 % above a bare forest");
    let name = "thresholded series, NAB score of made-up series";
    report.quality(&Quality { name, value, goal: &goal, ok: value >= least });
    value >= least
}

fn thresholded(stream: &Stream) -> Vec<f64> {
    let mut series = Series::begin(1, Look::default(), 1).expect("a usual size");
    let mut said = |&value: &f64| {
        let step = series.step(&[value]).expect("one value");
        if step.anomaly { step.strength } else { 0.0 }
    };
    stream.values.iter().map(&mut said).collect()
}

fn bare(stream: &Stream) -> Vec<f64> {
    let steps = Look::default().steps;
    let mut forest = Forest::plant(steps, Plan::default(), 1).expect("a usual size");
    let mut scores = vec![0.0; steps - 1];
    scores.extend(stream.values.windows(steps).map(|shingle| {
        let score = forest.score(shingle).expect("a finite shingle");
        forest.learn(shingle);
        score
    }));
    scores
}
