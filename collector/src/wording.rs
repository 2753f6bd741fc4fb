//! Numbers, sizes, verdicts and names as people read them. It does not know where they stand.

use tidegate_contract::columns::Cell;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::finding::{Detector, Finding, Verdict};

/// Characters told of a value.
const MAX_CHARS: usize = 64;

/// A value of a request or an answer, in a few characters.
pub(crate) fn told(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.chars().take(MAX_CHARS).collect(),
        Cell::Bool(value) => value.to_string(),
        Cell::Nested => "an object or a list".to_owned(),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 columns`, `1 column`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count as u64))
}

/// At most four significant digits, or all digits before the point.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..15.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `12.5 %`; a share that is not nothing is never shown as nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if share < 0.01 => "< 0.01 %".to_owned(),
        _ if share < 1.0 => format!("{} %", short((share * 100.0).round() / 100.0)),
        _ => format!("{} %", short((share * 10.0).round() / 10.0)),
    }
}

/// `104.9 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A verdict as people read it.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Warning => "warning",
        Verdict::Alarm => "ALARM",
    }
}

/// A verdict in its column, coloured where the terminal can.
pub(crate) fn painted(of: Verdict, colours: bool) -> String {
    let padded = format!("{:<12}", verdict(of));
    let colour = match of {
        Verdict::Healthy => "32",
        Verdict::Inconclusive => "2",
        Verdict::Warning => "33",
        Verdict::Alarm => "1;31",
    };
    if colours { format!("\x1b[{colour}m{padded}\x1b[0m") } else { padded }
}

/// What a finding is about, where more than one can be of a feature.
pub(crate) fn about(finding: &Finding) -> &'static str {
    match finding.detector {
        Detector::NullRate => "missing values",
        Detector::ViolationRate => "contract",
        Detector::Limit => "the contract's limit",
        Detector::KolmogorovSmirnov | Detector::ChiSquared => "distribution",
        Detector::Correlation => "moving together",
        Detector::ClusterMass => "clusters",
        Detector::OutlierRate => "outliers",
        Detector::Copula => "contradictions",
        Detector::Mmd => "joint distribution",
        Detector::Volume => "traffic",
        Detector::LateRate => "late rows",
        Detector::Stuck => "standing still",
        Detector::RealisedError => "errors",
        Detector::Metric => "metric",
    }
}

/// The protocol's name in a sentence.
pub(crate) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Oip => "one tensor for each column (Open Inference Protocol)",
        Protocol::V1 => "one field of an instance for each column (V1 protocol)",
        Protocol::Mlflow => "one column of the data frame for each (MLflow)",
        Protocol::Json | Protocol::Openai => "one JSON field for each column",
        Protocol::Auto => "one field or tensor for each column, in whatever protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::{grouped, percent, short};

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn numbers_are_short_but_whole_before_the_point() {
        let check = |value, text: &str| assert_eq!(short(value), text);
        check(38.313_12, "38.31");
        check(199_523.0, "199523");
        check(-0.001_234_56, "-0.001235");
        check(2.0, "2");
        check(1e-9, "1.000e-9");
    }

    #[test]
    fn a_small_share_is_not_nothing() {
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(1, 1_000_000), "< 0.01 %");
        assert_eq!(percent(1, 8), "12.5 %");
    }
}
