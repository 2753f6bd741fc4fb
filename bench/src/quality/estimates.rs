//! How well estimated performance is calibrated: before any label has come, what is said of accuracy
//! and its like, held against what the labels say in the end. Rows are made up, so that it is
//! known what a score is worth; no model is trained.

use tidegate_detectors::forest::random::Random;
use tidegate_detectors::performance::calibration::Calibration;
use tidegate_detectors::performance::estimate::estimate;
use tidegate_detectors::performance::{Measured, Metric, Scored, binary};

use super::table::normal;
use crate::report::{Quality, Report};

/// Windows for each figure; a coverage is exact to about ±.01.
const PLAYS: usize = 500;
/// Labelled rows that the calibration learns from.
const LEARNED: usize = 2_000;
/// Labelled rows from which all is learned that there is to learn.
const ALL_THERE_IS: usize = 100_000;
/// Rows that are estimated.
const SIZE: usize = 500;
const THRESHOLD: f64 = 0.5;
const METRICS: [Metric; 7] = [
    Metric::Accuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::F1,
    Metric::LogLoss,
    Metric::Brier,
    Metric::RocAuc,
];

/// Where the input of a row lies, and what is true of it.
#[derive(Clone, Copy)]
struct World {
    /// Mean and deviation of the input, which is normal.
    input: (f64, f64),
    /// A row of input x is positive with the probability σ(slope·x − 0.5).
    slope: f64,
}

const TRAINING: World = World { input: (0.0, 1.0), slope: 2.0 };

/// How far the log-odds of a model's scores are from those that are right: as they are, or doubled.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    confidence: f64,
}

fn odds(log: f64) -> f64 {
    1.0 / (1.0 + (-log).exp())
}

impl World {
    fn row(self, model: Model, random: &mut Random) -> Scored {
        let x = self.input.0 + self.input.1 * normal(random);
        let score = odds(model.confidence * (TRAINING.slope * x - 0.5));
        Scored { score, positive: random.unit() < odds(self.slope * x - 0.5) }
    }

    fn rows(self, count: usize, model: Model, random: &mut Random) -> Vec<Scored> {
        (0..count).map(|_| self.row(model, random)).collect()
    }
}

fn value(found: &[Measured], metric: Metric) -> Option<Measured> {
    found.iter().find(|measured| measured.metric == metric).copied()
}

/// What came of one metric.
#[derive(Clone, Copy, Default)]
struct Told {
    plays: usize,
    /// How often the interval held what was realised.
    held: usize,
    /// Sums of how far off the estimate was; that of who has learned all there is, which leaves
    /// chance; and who takes it that nothing changes.
    off: f64,
    chance: f64,
    standing: f64,
}

impl Told {
    fn coverage(&self) -> f64 {
        self.held as f64 / self.plays as f64
    }
}

/// Estimates beside what is realised, in windows of this world; each with a calibration of its own.
fn play(world: World, model: Model) -> [Told; METRICS.len()] {
    let mut random = Random::seeded(41);
    let whole = Calibration::fit(&TRAINING.rows(ALL_THERE_IS, model, &mut random));
    let whole = whole.expect("there are rows");
    let mut told = [Told::default(); METRICS.len()];
    for _ in 0..PLAYS {
        let learned = TRAINING.rows(LEARNED, model, &mut random);
        let calibration = Calibration::fit(&learned).expect("there are rows");
        let rows = world.rows(SIZE, model, &mut random);
        let scores: Vec<f64> = rows.iter().map(|row| row.score).collect();
        let estimated = estimate(&scores, THRESHOLD, &calibration);
        let by_whole = estimate(&scores, THRESHOLD, &whole);
        let realised = binary::measure(&rows, THRESHOLD);
        let before = binary::measure(&learned, THRESHOLD);
        for (told, metric) in told.iter_mut().zip(METRICS) {
            let of = |found: &[Measured]| value(found, metric);
            let (Some(said), Some(best), Some(was), Some(before)) =
                (of(&estimated), of(&by_whole), of(&realised), of(&before))
            else {
                continue;
            };
            told.plays += 1;
            told.held += usize::from(said.interval.0 <= was.value && was.value <= said.interval.1);
            told.off += (said.value - was.value).abs();
            told.chance += (best.value - was.value).abs();
            told.standing += (before.value - was.value).abs();
        }
    }
    told
}

/// Prints coverages and errors.
pub fn print(report: &Report) {
    let right = Model { name: "right scores", confidence: 1.0 };
    let sure = Model { name: "scores that are too sure", confidence: 2.0 };
    let moved = |input| World { input, ..TRAINING };
    for model in [right, sure] {
        for (what, world) in [
            ("nothing changed", TRAINING),
            ("inputs shifted", moved((1.0, 1.0))),
            ("inputs near the threshold", moved((0.25, 0.3))),
            ("inputs spread", moved((0.0, 1.8))),
        ] {
            let told = play(world, model);
            let far = |told: &Told| (told.coverage() - 0.95).abs();
            let worst = (0..METRICS.len()).max_by(|&a, &b| far(&told[a]).total_cmp(&far(&told[b])));
            let worst = worst.expect("there are metrics");
            let (name, value) = (METRICS[worst].name(), told[worst].coverage());
            let name = format!(
                "estimates: interval of 95 % holds what is realised, {what}, {} (worst of 7: {name})",
                model.name
            );
            let ok = (0.92..=0.98).contains(&value);
            report.quality(&Quality { name: &name, value, goal: "0.92..0.98", ok });
            // A calibration does not see how scores are spaced: the errors of both models are one.
            if model.confidence != right.confidence {
                continue;
            }
            for at in [0, 4, 6] {
                let told = told[at];
                let mean = |sum: f64| sum / told.plays as f64;
                let value = told.off / told.chance;
                let name = format!(
                    "estimates: error of {} over what chance leaves, {what}, {} ({:.4}; of who expects no change {:.4})",
                    METRICS[at].name(),
                    model.name,
                    mean(told.off),
                    mean(told.standing),
                );
                report.quality(&Quality { name: &name, value, goal: "<= 1.25", ok: value <= 1.25 });
            }
        }
    }
    // What no estimate without labels can see: the same inputs, and another truth.
    let value = play(World { slope: 0.7, ..TRAINING }, right)[0].coverage();
    let name =
        "estimates: interval of accuracy holds where the truth came to depend otherwise on inputs";
    report.quality(&Quality { name, value, goal: "<= 0.5, it is blind", ok: value <= 0.5 });
}
