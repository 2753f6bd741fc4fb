//! The report on a terminal. It does not know how the findings came about.

use std::fmt::Write;

use tidegate_detectors::finding::{Finding, Verdict};

use crate::causes;
use crate::check::report::Report;
use crate::wording::{about, counted, grouped, painted, short};

/// Healthy features that are named.
const HEALTHY_SHOWN: usize = 12;
/// Rows that are named, and bytes of a text that are shown.
const ROWS_SHOWN: usize = 5;
const TEXT_SHOWN: usize = 60;
/// Columns that are named.
const COLUMNS_SHOWN: usize = 8;

/// The report in words.
pub(super) fn of(report: &Report, colours: bool) -> String {
    let mut text = String::new();
    // A String takes whatever is written to it.
    let _ = write(&mut text, report, colours);
    text
}

fn write(text: &mut String, report: &Report, colours: bool) -> std::fmt::Result {
    let (data, rows) = (report.data_name(), grouped(report.data.rows));
    let model = report.profile.model.as_deref().map_or(String::new(), |name| format!("{name}, "));
    let day = report.profile.created.split('T').next().unwrap_or_default();
    writeln!(text, "{data}: {rows} rows")?;
    let hours = report
        .profile
        .hours
        .map_or(String::new(), |hours| format!(" of the same {}", counted(hours, "hour")));
    writeln!(
        text,
        "against {}: {model}{} rows of training{hours}, made {day}",
        report.profile.path,
        grouped(report.profile.rows)
    )?;
    writeln!(text)?;
    causes(text, report)?;
    for verdict in [Verdict::Alarm, Verdict::Warning, Verdict::Inconclusive] {
        for finding in report.findings.iter().filter(|finding| finding.verdict == verdict) {
            line(text, finding, colours)?;
        }
    }
    strangest(text, report)?;
    let healthy: Vec<&str> = {
        let of = |finding: &&Finding| finding.verdict == Verdict::Healthy;
        let mut names: Vec<&str> =
            report.findings.iter().filter(of).filter_map(|f| f.feature.as_deref()).collect();
        names.retain(|name| {
            let same = |finding: &&Finding| finding.feature.as_deref() == Some(name);
            report.findings.iter().filter(same).all(|f| f.verdict == Verdict::Healthy)
        });
        names.sort_unstable();
        names.dedup();
        names
    };
    if !healthy.is_empty() {
        let named = listed(&healthy, HEALTHY_SHOWN);
        writeln!(text, "  {} {named}", painted(Verdict::Healthy, colours))?;
    }
    let columns = |names: &[String]| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        listed(&names, COLUMNS_SHOWN)
    };
    if !report.data.missing_columns.is_empty() {
        let named = columns(&report.data.missing_columns);
        writeln!(text, "\nthe data lacks columns of the profile: {named}")?;
    }
    if !report.data.ignored_columns.is_empty() {
        let named = columns(&report.data.ignored_columns);
        writeln!(text, "\nthe profile does not know, and nothing is said of: {named}")?;
    }
    writeln!(text)?;
    let counts: Vec<String> = [Verdict::Alarm, Verdict::Warning, Verdict::Inconclusive]
        .into_iter()
        .map(|verdict| (verdict, report.count(verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| match (verdict, count) {
            (Verdict::Alarm, _) => counted(count, "alarm"),
            (Verdict::Warning, _) => counted(count, "warning"),
            _ => format!("{count} inconclusive"),
        })
        .collect();
    let tests = counted(report.findings.len(), "test");
    let verdict = painted(report.verdict, colours);
    let verdict = verdict.trim_end();
    match counts.as_slice() {
        [] => writeln!(text, "{verdict}: {tests}, nothing that matters has changed"),
        counts => writeln!(text, "{verdict}: {} in {tests}", counts.join(", ")),
    }
}

fn causes(text: &mut String, report: &Report) -> std::fmt::Result {
    let told = report.told();
    if !told.is_empty() {
        writeln!(text, "{}:", causes::how_many(&report.causes))?;
        told.iter().try_for_each(|told| writeln!(text, "  {told}"))?;
        writeln!(text)?;
    }
    Ok(())
}

/// The rows that stand out most, where more do than did in training.
fn strangest(text: &mut String, report: &Report) -> std::fmt::Result {
    if !report.has_outliers() || report.strangest.is_empty() {
        return Ok(());
    }
    let drawn = grouped(report.data.drawn as u64);
    writeln!(text, "\n  of {drawn} rows that were drawn these stand out most:")?;
    for strange in report.strangest.iter().take(ROWS_SHOWN) {
        let file = match report.data.files.len() {
            1 => String::new(),
            _ => format!(" of {}", strange.file),
        };
        let (row, does) = (grouped(strange.row), strange.does());
        let (seldom, made_by) = (strange.seldom(), strange.made_by());
        writeln!(text, "    row {row}{file} {does}, as {seldom} did: {made_by}")?;
    }
    writeln!(text)
}

/// A text as far as it is shown.
pub(super) fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_SHOWN);
    if end < text.len() { format!("{}\u{2026}", &text[..end]) } else { text.to_owned() }
}

fn line(text: &mut String, finding: &Finding, colours: bool) -> std::fmt::Result {
    let feature = finding.subject("rows");
    writeln!(
        text,
        "  {} {feature}, {}: {} became {}",
        painted(finding.verdict, colours),
        about(finding),
        finding.was,
        finding.now,
    )?;
    let why = match finding.verdict {
        Verdict::Inconclusive => {
            format!(
                "{} rows could have shown {} at least",
                grouped(finding.rows),
                short(finding.detectable)
            )
        }
        _ => format!("adjusted p {}", p_text(finding.adjusted_p_value)),
    };
    let (effect, least) = (short(round(finding.effect)), short(finding.min_effect));
    writeln!(text, "               effect {effect} ({least} matters), {why}")
}

/// To two digits that matter.
fn round(effect: f64) -> f64 {
    (effect * 1_000.0).round() / 1_000.0
}

/// A p-value as people read it.
pub(super) fn p_text(p: f64) -> String {
    match p {
        p if p >= 0.001 => format!("{p:.3}"),
        p if p < 1e-300 => "< 1e-300".to_owned(),
        p => format!("{p:.0e}"),
    }
}

fn listed(names: &[&str], most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let shown = names.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
