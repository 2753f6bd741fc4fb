//! Plots as SVG text: two distributions over each other, quantiles against quantiles, and shares of
//! categories side by side. It does not know verdicts, nor the page around it.

use std::fmt::Write;

use tidegate_detectors::qq;
use tidegate_detectors::quantile::QuantileSketch;
use tidegate_detectors::summary::CategorySummary;

use crate::wording::short;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 150.0;
/// Of the plot of quantiles against quantiles, which is square.
const SIDE: f64 = 150.0;
/// Room for the numbers below.
const FOOT: f64 = 16.0;
const BINS: u32 = 48;
/// The distributions are drawn between these quantiles; beyond lies what is rare.
const ENDS: (f64, f64) = (0.002, 0.998);
/// Points of the plot of quantiles.
const POINTS: u32 = 60;
/// The band around the diagonal leaves so large a share of windows without a change outside.
pub(super) const OUTSIDE: f64 = 0.05;
/// Levels that are drawn.
const LEVELS: usize = 12;
/// Characters of a level's name.
const NAME_CHARS: usize = 28;

/// Text for HTML and SVG.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Nothing that could move the cursor or turn the direction of the text.
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// The share of values at most `x`, and below it.
fn shares(sketch: &QuantileSketch, x: f64) -> f64 {
    let (low, high) = sketch.cdf(x);
    (low + high) / 2.0
}

/// Two distributions of numbers over each other; nothing where either has no values.
pub(super) fn distributions(was: &QuantileSketch, now: &QuantileSketch) -> Option<String> {
    let ends = |q| Some((was.quantile(q)?, now.quantile(q)?));
    let (low, high) = (ends(ENDS.0)?, ends(ENDS.1)?);
    let (mut low, mut high) = (low.0.min(low.1), high.0.max(high.1));
    if low >= high {
        let about = low.abs().max(1.0) * 0.5;
        (low, high) = (low - about, high + about);
    }
    // Half first, so that the greatest numbers there are do not overflow.
    let width = (high / 2.0 - low / 2.0) * 2.0;
    if !width.is_finite() {
        return None;
    }
    let edge = |bin: u32| low + width * f64::from(bin) / f64::from(BINS);
    let bars = |sketch: &QuantileSketch| -> Vec<f64> {
        let upto =
            |bin: u32| shares(sketch, if bin == BINS { high } else { edge(bin).next_down() });
        (0..BINS).map(|bin| (upto(bin + 1) - upto(bin)).max(0.0)).collect()
    };
    let (was, now) = (bars(was), bars(now));
    let most = was.iter().chain(&now).copied().fold(f64::MIN_POSITIVE, f64::max);
    let steps = |bars: &[f64]| {
        let mut path = String::new();
        for (bin, bar) in (0_u32..).zip(bars) {
            let (left, right) = (f64::from(bin), f64::from(bin + 1));
            let scale = WIDTH / f64::from(BINS);
            let y = HEIGHT - bar / most * (HEIGHT - 6.0);
            let _ = write!(path, "L{:.1} {y:.1}L{:.1} {y:.1}", left * scale, right * scale);
        }
        path
    };
    let (area, line) = (steps(&was), steps(&now));
    let foot = HEIGHT + FOOT - 3.0;
    Some(format!(
        "<svg viewBox=\"0 0 {WIDTH} {total}\" role=\"img\" aria-label=\"distributions\">\
         <path class=\"was\" d=\"M0 {HEIGHT}{area}L{WIDTH} {HEIGHT}Z\"/>\
         <path class=\"now\" d=\"M0 {HEIGHT}{line}L{WIDTH} {HEIGHT}\"/>\
         <path class=\"axis\" d=\"M0 {HEIGHT}H{WIDTH}\"/>\
         <text x=\"0\" y=\"{foot}\">{}</text>\
         <text x=\"{WIDTH}\" y=\"{foot}\" text-anchor=\"end\">{}</text></svg>",
        short(low),
        short(high),
        total = HEIGHT + FOOT,
    ))
}

/// Quantiles of the data against those of training, with the band in which 95 % of windows without
/// a change lie wholly; nothing without values.
pub(super) fn quantiles(was: &QuantileSketch, now: &QuantileSketch) -> Option<String> {
    let ends = |q| Some((was.quantile(q)?, now.quantile(q)?));
    let (low, high) = (ends(ENDS.0)?, ends(ENDS.1)?);
    let (low, high) = (low.0.min(low.1), high.0.max(high.1));
    let width = high - low;
    if !(width > 0.0 && width.is_finite()) {
        return None;
    }
    let place = |value: f64| ((value - low) / width).clamp(0.0, 1.0) * SIDE;
    let (mut upper, mut lower, mut points) = (String::new(), String::new(), String::new());
    for point in qq::points(was, now, POINTS, OUTSIDE) {
        let x = place(point.was);
        let _ = write!(upper, "L{x:.1} {:.1}", SIDE - point.high.map_or(SIDE, place));
        lower = format!("L{x:.1} {:.1}{lower}", SIDE - point.low.map_or(0.0, place));
        let y = SIDE - place(point.now);
        let _ = write!(points, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.8\"/>");
    }
    let band = upper.replacen('L', "M", 1);
    let foot = SIDE + FOOT - 3.0;
    Some(format!(
        "<svg viewBox=\"0 0 {SIDE} {total}\" role=\"img\" aria-label=\"quantiles\">\
         <path class=\"band\" d=\"{band}{lower}Z\"/>\
         <path class=\"axis\" d=\"M0 {SIDE}L{SIDE} 0M0 0V{SIDE}H{SIDE}\"/>\
         <g class=\"points\">{points}</g>\
         <text x=\"{SIDE}\" y=\"{foot}\" text-anchor=\"end\">training</text></svg>",
        total = SIDE + FOOT,
    ))
}

/// Shares of levels side by side, the greatest first; new ones are marked.
pub(super) fn levels(was: &CategorySummary, now: &CategorySummary) -> String {
    let (before, after) = (was.count().max(1) as f64, now.count().max(1) as f64);
    let mut names: Vec<&String> = was.counts().keys().chain(now.counts().keys()).collect();
    names.sort_unstable();
    names.dedup();
    let count = |side: &CategorySummary, name: &str| side.counts().get(name).copied().unwrap_or(0);
    let mut levels: Vec<(String, u64, u64)> = names
        .into_iter()
        .map(|name| (name.clone(), count(was, name), count(now, name)))
        .filter(|(_, was, now)| was + now > 0)
        .collect();
    let weight = |was: u64, now: u64| (was as f64 / before).max(now as f64 / after);
    levels.sort_by(|a, b| weight(b.1, b.2).total_cmp(&weight(a.1, a.2)).then(a.0.cmp(&b.0)));
    let rest = levels.split_off(levels.len().min(LEVELS));
    let sum = |of: fn(&(String, u64, u64)) -> u64| rest.iter().map(of).sum::<u64>();
    let others = (sum(|level| level.1) + was.other(), sum(|level| level.2) + now.other());
    let mut rows = String::new();
    let most = levels
        .iter()
        .map(|(_, was, now)| weight(*was, *now))
        .chain([weight(others.0, others.1)])
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut row = |name: &str, class: &str, was: u64, now: u64| {
        let (was, now) = (was as f64 / before, now as f64 / after);
        let bar = |share: f64| share / most * 100.0;
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let _ = write!(
            rows,
            "<tr><th{class}>{name}</th><td class=\"bars\"><i class=\"was\" style=\"width:{:.1}%\"></i>\
             <i class=\"now\" style=\"width:{:.1}%\"></i></td><td class=\"num\">{} → {}</td></tr>",
            bar(was),
            bar(now),
            percent(was),
            percent(now),
        );
    };
    for (name, before, after) in &levels {
        let cut: String = name.chars().take(NAME_CHARS).collect();
        let more = if cut.len() < name.len() { "…" } else { "" };
        let new = *before == 0;
        let mark = if new { " <b>new</b>" } else { "" };
        let name = if cut.is_empty() { "(empty)".to_owned() } else { escaped(&cut) };
        row(&format!("{name}{more}{mark}"), "", *before, *after);
    }
    if others.0 + others.1 > 0 {
        row("all others", " class=\"rest\"", others.0, others.1);
    }
    format!("<table class=\"levels\">{rows}</table>")
}
