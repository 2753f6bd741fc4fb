//! Labelled series that are made up, of the kinds that operators watch. It does not know any
//! detector.

use tidegate_detectors::forest::random::Random;

use crate::speed::forest::normal;

/// Steps of a series: two weeks of five minutes.
pub const STEPS: usize = 4_032;
/// Steps of a day.
const DAY: f64 = 288.0;
/// The share of a series that its windows take together.
const WINDOWS: f64 = 0.1;

/// A series and where it is strange.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What kind it is.
    pub kind: &'static str,
    /// The values.
    pub values: Vec<f64>,
    /// First and last step of each window around an anomaly, in order.
    pub windows: Vec<(usize, usize)>,
}

/// Kinds of series.
const KINDS: [&str; 8] =
    ["load", "spiky load", "daily", "bursts", "duty cycle", "wandering", "latency", "steps"];

/// Series of every kind, `each` of them.
#[must_use]
pub fn all(each: u64) -> Vec<Stream> {
    (0..each).flat_map(|seed| KINDS.into_iter().map(move |kind| one(kind, seed))).collect()
}

/// Where an anomaly begins, how long it lasts, and how it looks: 0 to 1.
struct Strange {
    begin: usize,
    steps: usize,
    look: f64,
}

fn one(kind: &'static str, seed: u64) -> Stream {
    let mut random = Random::seeded(seed * 1_000 + kind.bytes().map(u64::from).sum::<u64>());
    let count = 1 + random.below(3);
    let strange: Vec<Strange> = (0..count)
        .map(|at| {
            // Behind the probation, one in each part of the rest, not at its end.
            let part = STEPS as f64 * 0.8 / count as f64;
            let begin = STEPS as f64 * 0.18 + part * (at as f64 + 0.8 * random.unit());
            let steps = 3 + random.below(50);
            Strange { begin: begin as usize, steps, look: random.unit() }
        })
        .collect();
    let (phase, noise) = (random.unit() * DAY, 0.5 + random.unit());
    let scale = 10f64.powf(3.0 * random.unit() - 1.0);
    let (mut wander, mut level) = (0.0, 0.0);
    let values = (0..STEPS)
        .map(|at| {
            let now = strange
                .iter()
                .find(|strange| (strange.begin..strange.begin + strange.steps).contains(&at));
            let look = now.map(|strange| strange.look);
            let z = normal(&mut random);
            let day = (std::f64::consts::TAU * (at as f64 + phase) / DAY).sin();
            let value = match kind {
                "load" => {
                    let base = 40.0 + 2.0 * noise * z;
                    match look {
                        Some(look) if look < 0.4 => base + 20.0,
                        Some(look) if look < 0.7 => base - 25.0,
                        Some(_) => 40.0 + 9.0 * noise * z,
                        None => base,
                    }
                }
                "spiky load" => {
                    let spike = if random.unit() < 0.01 { 15.0 + 6.0 * z.abs() } else { 0.0 };
                    10.0 + noise * z + spike + look.map_or(0.0, |look| 30.0 + 30.0 * look)
                }
                "daily" => {
                    let usual = 50.0 + 20.0 * day + 2.0 * noise * z;
                    match look {
                        Some(look) if look < 0.5 => 50.0 - 20.0 * day + 2.0 * noise * z,
                        Some(look) if look < 0.75 => usual + 35.0,
                        Some(_) => 5.0 + 0.2 * z,
                        None => usual,
                    }
                }
                "bursts" => {
                    let rate = (2.0 + 0.7 * day + 0.6 * noise * z).exp();
                    let burst = if random.unit() < 0.003 { 4.0 } else { 1.0 };
                    (rate * burst * look.map_or(1.0, |look| 6.0 + 10.0 * look)).floor()
                }
                "duty cycle" => {
                    let on = (at as f64 / 24.0).fract() < 0.5;
                    let stuck = look.map_or(on, |look| look < 0.5);
                    f64::from(u8::from(stuck)) * 50.0 + 20.0 + noise * z
                }
                "wandering" => {
                    wander += 0.3 * z;
                    let fall = look.map_or(0.0, |look| 12.0 + 10.0 * look);
                    70.0 + wander + 3.0 * day - fall
                }
                "latency" => {
                    let usual = 20.0 * (0.4 * noise * z).exp();
                    usual * look.map_or(1.0, |look| 2.5 + 3.0 * look)
                }
                _ => {
                    if now.is_some_and(|strange| strange.begin == at) {
                        level += if random.unit() < 0.5 { 8.0 } else { -8.0 };
                    }
                    30.0 + level + noise * z
                }
            };
            value * scale
        })
        .collect();
    let half = (STEPS as f64 * WINDOWS / count as f64 / 2.0) as usize;
    let windows = strange
        .iter()
        .map(|strange| (strange.begin.saturating_sub(half), (strange.begin + half).min(STEPS - 1)));
    let mut apart: Vec<(usize, usize)> = vec![];
    for (first, last) in windows {
        // Windows that would touch are cut where they meet.
        let first = apart.last().map_or(first, |&(_, before)| first.max(before + 1));
        apart.push((first, last));
    }
    Stream { kind, values, windows: apart }
}
