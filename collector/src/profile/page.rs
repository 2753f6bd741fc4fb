//! `SUMMARY.md`: the profile as a page for people. It decides nothing and computes nothing.

use tidegate_contract::contract::{Contract, Field, TextFormat};
use tidegate_detectors::resampling::KeptColumn;
use tidegate_detectors::season::Period;

use crate::profile::Profile;
use crate::profile::document::{Document, Summary, SummaryKind};
use crate::profile::drawn::ROWS;
use crate::profile::together::{Clusters, Correlations};
use crate::wording::{counted, grouped, percent, protocol, short, size};

/// Levels shown of a category.
const SHOWN_LEVELS: usize = 3;

/// Pairs of numbers shown, and from which coefficient on.
const SHOWN_PAIRS: usize = 6;
const LEAST_RHO: f64 = 0.3;

/// Clusters shown.
const SHOWN_CLUSTERS: usize = 6;

/// Characters shown of a text.
const SHOWN_CHARACTERS: usize = 32;

/// The page.
pub(super) fn of(profile: &Profile) -> String {
    let document = &profile.document;
    let mut page = opening(document);
    page += &rows(profile.drawn.as_deref());
    for (title, part) in [("Inputs", &document.features), ("Outputs", &document.outputs)] {
        if !part.is_empty() {
            page += &format!("\n## {title}\n");
            page += &columns(part);
        }
    }
    page += &together("Numbers that move together", document.correlations.as_ref());
    page += &clusters("Clusters", document.clusters.as_ref());
    page += &together("Outputs that move together", document.output_correlations.as_ref());
    page += &clusters("Clusters of outputs", document.output_clusters.as_ref());
    page += &notes(document);
    page += &asked(&profile.contract);
    page += &certainty(document);
    page
}

fn opening(document: &Document) -> String {
    let source = &document.source;
    let name = document.model.as_deref().unwrap_or(&source.file);
    let (day, _) = document.created.split_once('T').unwrap_or((&document.created, ""));
    let mut text = format!(
        "# Profile of {}\n\n{} rows of {}, read from {} ({}, {}) on {day}.\n",
        quoted(name),
        grouped(document.rows),
        counted(document.features.len() + document.outputs.len(), "column"),
        quoted(&source.file),
        if source.format == "csv" { "CSV" } else { "Parquet" },
        size(source.bytes),
    );
    if !source.excluded.is_empty() {
        let names: Vec<_> = source.excluded.iter().map(|name| quoted(name)).collect();
        text += &format!("Left out: {}.\n", names.join(", "));
    }
    text += "\nThis is what the model learned from. Live traffic is held against it: `contract.json` \
             says what each\nrequest must look like, `reference.json` holds the distributions that \
             windows of traffic are compared with.\n";
    if let (Some(season), Some(time)) = (document.season, &document.time) {
        let (each, of) = match season {
            Period::Day => ("day", 24),
            Period::Week => ("week", 168),
        };
        text += &format!(
            "\nTraffic of an hour is held against the rows of the same hour of the {each}, by {} in UTC \
             ({of} references in\n`seasons.json`). What features do together is not judged then.\n",
            quoted(time),
        );
    }
    text
}

/// What the folder keeps of the data itself.
fn rows(drawn: Option<&[KeptColumn]>) -> String {
    let Some(first) = drawn.and_then(<[_]>::first) else { return String::new() };
    format!(
        "\n`{ROWS}` holds {} rows of the data for `tidegate profile --merge`: treat this folder like the \
         data, or delete\nthe file.\n",
        grouped(first.len() as u64),
    )
}

fn columns(part: &[Summary]) -> String {
    let of = |kinds: &[SummaryKind]| -> Vec<&Summary> {
        part.iter().filter(|summary| kinds.contains(&summary.kind)).collect()
    };
    let mut text = String::new();
    let numbers = of(&[SummaryKind::Integer, SummaryKind::Number]);
    if !numbers.is_empty() {
        let header = ["numbers", "nulls", "min", "p05", "median", "p95", "max", "mean", "sd"];
        text += &table(&header, 8, &numbers.into_iter().map(number_row).collect::<Vec<_>>());
    }
    let categories = of(&[SummaryKind::Category, SummaryKind::Boolean]);
    if !categories.is_empty() {
        let header = ["categories", "nulls", "levels", "most frequent"];
        text += &table(&header, 2, &categories.into_iter().map(category_row).collect::<Vec<_>>());
    }
    let texts = of(&[SummaryKind::Date, SummaryKind::DateTime, SummaryKind::Text]);
    if !texts.is_empty() {
        let rows: Vec<_> = texts
            .into_iter()
            .map(|summary| {
                let kind = match summary.kind {
                    SummaryKind::Date => "date",
                    SummaryKind::DateTime => "date and time",
                    _ => "any text",
                };
                let nulls = percent(summary.nulls, summary.rows);
                vec![quoted(&summary.name), nulls, kind.to_owned()]
            })
            .collect();
        text += &table(&["text", "nulls", "kind"], 1, &rows);
    }
    text
}

fn number_row(summary: &Summary) -> Vec<String> {
    let mut row = vec![quoted(&summary.name), percent(summary.nulls, summary.rows)];
    let numbers = summary.numbers.clone().unwrap_or_default();
    let q = &numbers.quantiles;
    let values = [numbers.min, q.p05, q.p50, q.p95, numbers.max, numbers.mean, numbers.sd];
    row.extend(values.map(|value| value.map_or_else(String::new, short)));
    row
}

fn category_row(summary: &Summary) -> Vec<String> {
    let nulls = percent(summary.nulls, summary.rows);
    let (mut levels, mut top) = (String::new(), String::new());
    if let Some(categories) = &summary.categories {
        levels = grouped(categories.levels);
        let filled = summary.rows - summary.nulls;
        let shown = categories.top.iter().take(SHOWN_LEVELS);
        let shown: Vec<_> = shown
            .map(|level| format!("{} {}", quoted(&level.value), percent(level.count, filled)))
            .collect();
        top = shown.join(", ");
        if categories.levels > SHOWN_LEVELS as u64 {
            top += ", ...";
        }
    }
    vec![quoted(&summary.name), nulls, levels, top]
}

fn together(title: &str, correlations: Option<&Correlations>) -> String {
    let Some(correlations) = correlations else { return String::new() };
    let strong = |(_, _, rho): &(&str, &str, f64)| rho.abs() >= LEAST_RHO;
    let pairs = correlations.strongest().into_iter().filter(strong).take(SHOWN_PAIRS);
    let row = |(one, other, rho): (&str, &str, f64)| {
        vec![quoted(one), format!("{rho:.2}"), quoted(other)]
    };
    let rows: Vec<Vec<String>> = pairs.map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n## {title}\n\nSpearman's \u{3c1} in {} rows that were drawn; `profile.json` has all pairs of {}. \
         Windows of traffic are\nheld against it, too.\n{}",
        grouped(correlations.rows),
        counted(correlations.columns.len(), "column"),
        table(&["one", "\u{3c1}", "the other"], 1, &rows),
    )
}

fn clusters(title: &str, clusters: Option<&Clusters>) -> String {
    let Some(clusters) = clusters else { return String::new() };
    let mut order: Vec<usize> = (0..clusters.shares.len()).collect();
    order.sort_by(|&a, &b| clusters.shares[b].total_cmp(&clusters.shares[a]));
    let row = |at: usize| {
        let numbers = clusters.columns.iter().zip(&clusters.centres[at]);
        let numbers = numbers.map(|(name, value)| format!("{} {}", quoted(name), short(*value)));
        let share = format!("{:.1} %", clusters.shares[at] * 100.0);
        vec![share, numbers.collect::<Vec<_>>().join(", ")]
    };
    let rows: Vec<Vec<String>> = order.into_iter().take(SHOWN_CLUSTERS).map(row).collect();
    format!(
        "\n## {title}\n\nOf {} rows {:.1} % are in none of {}; what the rest have in their \
         midst:\n{}",
        grouped(clusters.rows),
        clusters.noise * 100.0,
        counted(clusters.shares.len(), "cluster"),
        table(&["rows", "centre"], 0, &rows),
    )
}

fn notes(document: &Document) -> String {
    let all = document.features.iter().chain(&document.outputs);
    let lines: Vec<_> = all
        .flat_map(|summary| {
            summary.notes.iter().map(|note| format!("- {} {note}.\n", quoted(&summary.name)))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n## Worth a look\n\n{}", lines.concat())
}

fn asked(contract: &Contract) -> String {
    let mut text = String::from(
        "\n## What the contract asks\n\nInferred from the rows above, and lenient on purpose: \
         ranges are wider than the data by their own span on each\nside, a text is held to its \
         levels only where they are few and frequent. Every field is required. Read it, then\nmend \
         `contract.json` by hand where you know better; keep a mended one beside this folder, \
         because making the\nprofile again replaces it.\n",
    );
    for (title, fields) in [("request", &contract.inputs), ("response", &contract.outputs)] {
        if !fields.is_empty() {
            let rows: Vec<_> = fields.iter().map(field_row).collect();
            text += &table(&[title, "type", "null", "values"], 0, &rows);
        }
    }
    text
}

fn field_row(field: &Field) -> Vec<String> {
    let kind = field.kind.name();
    let values = match (field.min, field.max, field.format) {
        (Some(min), Some(max), _) => format!("{} to {}", exact(min), exact(max)),
        (_, _, Some(TextFormat::Date)) => "a date, as 2026-11-23".to_owned(),
        (_, _, Some(TextFormat::DateTime)) => "a date and time, as 2026-11-23T08:30:00Z".to_owned(),
        (_, _, Some(TextFormat::Number)) => "a number written as text".to_owned(),
        (_, _, Some(TextFormat::Uuid)) => "a UUID".to_owned(),
        _ if field.categories.is_empty() => "any".to_owned(),
        _ => {
            let shown: Vec<_> =
                field.categories.iter().take(SHOWN_LEVELS).map(|level| quoted(level)).collect();
            let more = field.categories.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
    };
    let null = if field.nullable { "allowed" } else { "refused" };
    vec![quoted(&field.name), kind.to_owned(), null.to_owned(), values]
}

fn certainty(document: &Document) -> String {
    let all = document.features.iter().chain(&document.outputs);
    let errors = all.filter_map(|summary| summary.numbers.as_ref()).map(|n| n.rank_error);
    let worst = errors.fold(0.0, f64::max);
    let sketch = if worst == 0.0 {
        "Every quantile above is exact: no column of numbers has more distinct values than a \
         sketch keeps."
            .to_owned()
    } else {
        format!(
            "Quantiles are read from sketches that certify their error: no rank is further from \
             the truth than\n{} % of the rows. Tests take that error into account.",
            short(100.0 * worst)
        )
    };
    format!(
        "\n## How sure\n\n{sketch} Counts, nulls, minima and maxima are exact.\n\n\
         The model is asked with {}.\n",
        protocol(document.protocol)
    )
}

/// A Markdown table whose columns align as plain text too; `right` columns after the first are
/// numbers.
fn table(header: &[&str], right: usize, rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len(), 4]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let numeric = |column: usize| (1..=right).contains(&column);
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if numeric(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| {
            let dashes = "-".repeat(width + 1);
            if numeric(column) { format!("{dashes}:") } else { format!("{dashes}-") }
        })
        .collect();
    let body: String = rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect();
    format!("\n{}|{}|\n{body}", line(&mut header.iter().copied()), rule.join("|"))
}

/// A number as the contract has it.
fn exact(value: f64) -> String {
    if value.abs() < 1e15 { format!("{value}") } else { format!("{value:e}") }
}

/// A name or level of the data, which may hold anything, as code in a table's cell.
fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .map(|c| match c {
            '|' => '\u{2758}',
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown += "...";
    }
    format!("`{shown}`")
}
