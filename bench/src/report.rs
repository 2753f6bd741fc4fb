//! Figures as they are printed: a row of a table, or a line of JSON. It does not know how they
//! came about.

use std::cell::Cell;
use std::env;

use serde_json::json;

/// Prints figures, one at a time, as soon as they are known.
#[derive(Debug)]
pub struct Report {
    json: bool,
    /// Whether a quality was not good enough.
    missed: Cell<bool>,
}

/// A speed: so many things for each CPU second of one thread.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rate<'a> {
    /// What was done.
    pub name: &'a str,
    /// How often, for each CPU second.
    pub rate: f64,
    /// What it should be at least.
    pub goal: Option<f64>,
    /// Whose rate stands beside ours.
    pub peer: Option<&'a str>,
    /// That rate, measured in the same run.
    pub peer_rate: Option<f64>,
}

/// What a request costs a proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost<'a> {
    /// What stands in the proxy's filter chain.
    pub variant: &'a str,
    /// What is sent.
    pub body: &'a str,
    /// The proxy's CPU time, over that of the proxy alone.
    pub ratio: f64,
    /// The proxy's CPU time.
    pub microseconds: f64,
}

/// A figure that has a goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure<'a> {
    /// What was measured.
    pub name: &'a str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'a str,
    /// What it should be.
    pub goal: f64,
    /// Whether less than the goal is better.
    pub lower_is_better: bool,
}

/// A quality: a figure and whether it is good enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality<'a> {
    /// What was measured.
    pub name: &'a str,
    /// The figure.
    pub value: f64,
    /// What it must be, in words such as `<= 0.05` or `0.03..0.05`.
    pub goal: &'a str,
    /// Whether it is.
    pub ok: bool,
}

impl Report {
    /// A report in the form that this process's arguments ask for: a table, or with `--json` lines.
    #[must_use]
    pub fn from_arguments() -> Self {
        Self { json: env::args().any(|argument| argument == "--json"), missed: Cell::new(false) }
    }

    /// Prints a speed of the bench of this name.
    pub fn rate(&self, bench: &str, rate: &Rate<'_>) {
        let Rate { name, rate, goal, peer, peer_rate } = rate;
        if self.json {
            let line = json!({"bench": bench, "name": name, "rate": rate, "goal": goal,
                "peer": peer, "peer_rate": peer_rate});
            println!("{line}");
            return;
        }
        let goal = goal.map(|goal| format!("goal {}", short(goal))).unwrap_or_default();
        let peer = match (peer, peer_rate) {
            (Some(peer), Some(rate)) => format!("{peer} {}", short(*rate)),
            _ => String::new(),
        };
        println!("{name:<56} {:>10}/s  {goal:<14} {peer}", short(*rate));
    }

    /// Prints what a request costs.
    pub fn cost(&self, cost: &Cost<'_>) {
        let Cost { variant, body, ratio, microseconds } = cost;
        if self.json {
            let line = json!({"bench": "filter", "variant": variant, "body": body,
                "ratio": ratio, "microseconds": microseconds});
            println!("{line}");
            return;
        }
        println!("{body:<16} {variant:<24} {microseconds:>9.1} us  x{ratio:.2}");
    }

    /// Prints a figure of the bench of this name.
    pub fn figure(&self, bench: &str, figure: &Figure<'_>) {
        let Figure { name, value, unit, goal, lower_is_better } = figure;
        if self.json {
            let line = json!({"bench": bench, "name": name, "value": value, "goal": goal,
                "lower_is_better": lower_is_better});
            println!("{line}");
            return;
        }
        let sign = if *lower_is_better { "at most" } else { "at least" };
        println!("{name:<64} {value:>10.4} {unit}  goal {sign} {goal} {unit}");
    }

    /// Whether all qualities so far were good enough.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.missed.get()
    }

    /// Prints a quality.
    pub fn quality(&self, quality: &Quality<'_>) {
        let Quality { name, value, goal, ok } = quality;
        self.missed.set(self.missed.get() || !ok);
        if self.json {
            println!("{}", json!({"quality": name, "value": value, "goal": goal, "ok": ok}));
            return;
        }
        let mark = if *ok { "✓" } else { "✗" };
        println!("{mark} {name:<72} {value:>12.6}  goal {goal}");
    }
}

/// A number with three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{:.2} G", value / 1e9),
        v if v >= 1e6 => format!("{:.2} M", value / 1e6),
        v if v >= 1e3 => format!("{:.1} k", value / 1e3),
        _ => format!("{value:.2}"),
    }
}
