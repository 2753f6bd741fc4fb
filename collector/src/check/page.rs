//! The report as one HTML page without anything outside it: it can be mailed and opened anywhere.
//! It does not judge.

use std::fmt::Write;

use tidegate_detectors::distance::binned::Binned;
use tidegate_detectors::distance::{Distance, wasserstein};
use tidegate_detectors::finding::{Finding, Verdict};
use tidegate_detectors::reference::{Feature, Values};

use crate::causes;
use crate::check::data::Gathered;
use crate::check::plot::{self, escaped};
use crate::check::report::Report;
use crate::check::text::p_text;
use crate::wording::{about, counted, grouped, percent, short, verdict};

const STYLE: &str = include_str!("page.css");
/// Features that are drawn: the worst ones.
const MAX_DRAWN: usize = 500;

/// The page.
pub(super) fn of(report: &Report, gathered: &Gathered) -> String {
    let mut page = String::new();
    // A String takes whatever is written to it.
    let _ = write(&mut page, report, gathered);
    page
}

fn write(page: &mut String, report: &Report, gathered: &Gathered) -> std::fmt::Result {
    let model = report.profile.model.as_deref().unwrap_or("this model");
    let title = format!("{}: {}", escaped(model), verdict(report.verdict).to_lowercase());
    write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>"
    )?;
    head(page, report)?;
    told(page, report)?;
    table(page, report)?;
    strangest(page, report)?;
    columns(page, report)?;
    page.push_str("<section class=\"cards\">");
    for feature in drawn(report, gathered) {
        card(
            page,
            report,
            &gathered.reference.features[feature],
            &gathered.window.features[feature],
        )?;
    }
    let more = gathered.reference.features.len().saturating_sub(MAX_DRAWN);
    page.push_str("</section>");
    if more > 0 {
        write!(page, "<p>{} more are not drawn; --json has them.</p>", counted(more, "feature"))?;
    }
    write!(
        page,
        "<footer>Made by tidegate {}. An alarm needs a change that matters and evidence for it: the \
         chance of any false one, over all features, is {}. Effects are from 0 to 1: the greatest \
         distance of two distributions, the share of rows in other categories, or the difference \
         of two rates.</footer></main></body></html>",
        env!("CARGO_PKG_VERSION"),
        short(report.alpha),
    )
}

fn head(page: &mut String, report: &Report) -> std::fmt::Result {
    let class = class(report.verdict);
    let alarms = report.count(Verdict::Alarm);
    let headline = match report.verdict {
        Verdict::Alarm => format!("{} in alarm", counted(alarms, "finding")),
        Verdict::Warning => "Something may have changed".to_owned(),
        Verdict::Inconclusive => "Too little to tell".to_owned(),
        Verdict::Healthy => "Nothing that matters has changed".to_owned(),
    };
    let model = report.profile.model.as_deref().unwrap_or("Data");
    let day = report.profile.created.split('T').next().unwrap_or_default();
    write!(
        page,
        "<header class=\"{class}\"><p class=\"badge\">{}</p><h1>{headline}</h1>\
         <p><b>{}</b>, {} rows of <code>{}</code>, against {} rows of training \
         (<code>{}</code>, {})</p>\
         <p class=\"key\"><i class=\"was\"></i> training <i class=\"now\"></i> this data</p></header>",
        verdict(report.verdict).to_lowercase(),
        escaped(model),
        grouped(report.data.rows),
        escaped(&report.data_name()),
        grouped(report.profile.rows),
        escaped(&report.profile.path),
        escaped(day),
    )
}

fn told(page: &mut String, report: &Report) -> std::fmt::Result {
    let told = report.told();
    if !told.is_empty() {
        write!(
            page,
            "<section class=\"causes\"><h2>{}</h2><ol>",
            causes::how_many(&report.causes)
        )?;
        told.iter().try_for_each(|told| write!(page, "<li>{}</li>", escaped(told)))?;
        page.push_str("</ol></section>");
    }
    Ok(())
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Warning => "warning",
        Verdict::Alarm => "alarm",
    }
}

fn table(page: &mut String, report: &Report) -> std::fmt::Result {
    let quiet = |finding: &&Finding| finding.verdict == Verdict::Healthy;
    let healthy = report.findings.iter().filter(quiet).count();
    let loud: Vec<_> = report.findings.iter().filter(|finding| !quiet(finding)).collect();
    if !loud.is_empty() {
        page.push_str(
            "<table class=\"findings\"><thead><tr><th>verdict<th>feature<th>what<th>training\
             <th>this data<th>effect<th>adjusted p<th>rows</tr></thead><tbody>",
        );
        for finding in loud {
            row(page, finding)?;
        }
        page.push_str("</tbody></table>");
    }
    if healthy > 0 {
        write!(page, "<details><summary>{} healthy</summary>", counted(healthy, "test"))?;
        page.push_str("<table class=\"findings\"><tbody>");
        for finding in report.findings.iter().filter(quiet) {
            row(page, finding)?;
        }
        page.push_str("</tbody></table></details>");
    }
    Ok(())
}

fn row(page: &mut String, finding: &Finding) -> std::fmt::Result {
    // What several features do together has no plot to go to.
    let mut name = escaped(&finding.subject("rows"));
    if let Some(feature) = &finding.feature {
        name = format!("<a href=\"#{}\">{name}</a>", anchor(feature));
    }
    let (effect, least) = (finding.effect.clamp(0.0, 1.0), finding.min_effect.clamp(0.0, 1.0));
    write!(
        page,
        "<tr class=\"{class}\"><td><span class=\"badge\">{}</span><td>{name}<td>{}\
         <td>{}<td>{}<td class=\"effect\"><span class=\"meter\" title=\"{} matters\">\
         <i style=\"width:{:.1}%\"></i><b style=\"left:{:.1}%\"></b></span>{effect:.3}\
         <td class=\"num\">{}<td class=\"num\">{}</tr>",
        verdict(finding.verdict).to_lowercase(),
        about(finding),
        escaped(&finding.was),
        escaped(&finding.now),
        short(least),
        effect * 100.0,
        least * 100.0,
        p_text(finding.adjusted_p_value),
        grouped(finding.rows),
        class = class(finding.verdict),
    )
}

/// The rows that stand out most: some always do.
fn strangest(page: &mut String, report: &Report) -> std::fmt::Result {
    if report.strangest.is_empty() {
        return Ok(());
    }
    let (open, drawn) =
        (if report.has_outliers() { " open" } else { "" }, grouped(report.data.drawn as u64));
    write!(
        page,
        "<details{open}><summary>Rows that stand out most, of {drawn} that were drawn (about one of a \
         hundred did in training)</summary><table class=\"findings\"><thead><tr><th>file<th>row<th>what\
         <th>in training<th>by</tr></thead><tbody>"
    )?;
    for strange in &report.strangest {
        write!(
            page,
            "<tr><td><code>{}</code><td class=\"num\">{}<td>{}<td>{}<td>{}</tr>",
            escaped(&strange.file),
            grouped(strange.row),
            strange.does(),
            strange.seldom(),
            escaped(&strange.made_by()),
        )?;
    }
    page.push_str("</tbody></table></details>");
    Ok(())
}

fn columns(page: &mut String, report: &Report) -> std::fmt::Result {
    let listed = |names: &[String]| {
        let names: Vec<String> =
            names.iter().map(|name| format!("<code>{}</code>", escaped(name))).collect();
        names.join(", ")
    };
    if !report.data.missing_columns.is_empty() {
        let names = listed(&report.data.missing_columns);
        write!(page, "<p>The data lacks columns of the profile: {names}.</p>")?;
    }
    if !report.data.ignored_columns.is_empty() {
        let names = listed(&report.data.ignored_columns);
        write!(page, "<p>Nothing is said of columns that the profile does not know: {names}.</p>")?;
    }
    Ok(())
}

/// Indices of features, the one with the worst finding first.
fn drawn(report: &Report, gathered: &Gathered) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let found = report.findings.iter().filter_map(|finding| finding.feature.as_deref());
    for at in found.filter_map(|name| gathered.reference.position(name)) {
        if !order.contains(&at) && order.len() < MAX_DRAWN {
            order.push(at);
        }
    }
    order
}

fn card(page: &mut String, report: &Report, was: &Feature, now: &Feature) -> std::fmt::Result {
    let of = |finding: &&Finding| finding.feature.as_deref() == Some(was.name.as_str());
    let worst = report.findings.iter().filter(of).map(|finding| finding.verdict).max();
    let worst = worst.unwrap_or(Verdict::Inconclusive);
    write!(
        page,
        "<article id=\"{}\" class=\"{}\"><h2>{}<span class=\"badge\">{}</span></h2>",
        anchor(&was.name),
        class(worst),
        escaped(&was.name),
        verdict(worst).to_lowercase(),
    )?;
    match (&was.values, &now.values) {
        (Values::Number(was), Values::Number(now)) => {
            let histogram = plot::distributions(was.sketch(), now.sketch());
            let quantiles = plot::quantiles(was.sketch(), now.sketch());
            let drawn = histogram.unwrap_or_else(|| "<p>no values to draw</p>".to_owned());
            let beside = quantiles.unwrap_or_default();
            write!(page, "<div class=\"plots\"><div>{drawn}</div><div>{beside}</div></div>")?;
            let side = |value: Option<f64>| value.map_or("none".to_owned(), short);
            write!(
                page,
                "<p class=\"small\">mean {} → {}, median {} → {}, ",
                side(was.mean()),
                side(now.mean()),
                side(was.sketch().quantile(0.5)),
                side(now.sketch().quantile(0.5)),
            )?;
            if let Some(moved) = wasserstein::distance(was.sketch(), now.sketch()) {
                page.push_str(&beside_chance("Wasserstein", moved));
            }
            if let Some(binned) = Binned::numbers(was.sketch(), now.sketch()) {
                page.push_str(&beside_chance("PSI", binned.stability_index()));
            }
        }
        (Values::Category(was), Values::Category(now)) if !was.counts().is_empty() => {
            write!(page, "{}<p class=\"small\">", plot::levels(was, now))?;
            if let Some(binned) = Binned::categories(was, now) {
                page.push_str(&beside_chance("PSI", binned.stability_index()));
            }
        }
        _ => page
            .push_str("<p>Free text: only whether it is missing is judged.</p><p class=\"small\">"),
    }
    let missing = |side: &Feature| percent(side.missing(), side.rows);
    write!(page, "missing {} → {}</p></article>", missing(was), missing(now))
}

/// A distance that people know, beside what chance makes of it.
fn beside_chance(name: &str, distance: Distance) -> String {
    let plain = |value: f64| match value {
        value if value < 0.000_5 => "0".to_owned(),
        value => short((value * 1_000.0).round() / 1_000.0),
    };
    format!("{name} {} (by chance {}), ", plain(distance.value), plain(distance.expected))
}

/// A name that an address can hold.
fn anchor(name: &str) -> String {
    let safe = |character: char| if character.is_alphanumeric() { character } else { '-' };
    format!("f-{}", name.chars().map(safe).collect::<String>())
}
