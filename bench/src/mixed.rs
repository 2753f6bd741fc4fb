//! A table of twenty mixed columns, as cells in memory, as CSV and as Parquet: ten of numbers, seven
//! of categories, three of free text. It does not know what is measured on it.

use std::fmt::Write;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tidegate_detectors::forest::random::Random;

use crate::speed::forest::normal;

/// Columns of the table.
pub const COLUMNS: usize = 20;

/// A row group of the Parquet file.
const GROUP: usize = 100_000;

/// A column's cells; `None` is null.
#[derive(Debug, Clone)]
pub enum Cells {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

/// A column and its name.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub cells: Cells,
}

/// The table with so many rows.
#[must_use]
pub fn table(rows: usize) -> Vec<Column> {
    drawn(rows, 20)
}

/// Other rows of the same table: those of this seed.
#[must_use]
pub fn drawn(rows: usize, seed: u64) -> Vec<Column> {
    let mut random = Random::seeded(seed);
    (0..COLUMNS)
        .map(|at| Column { name: format!("c{at}"), cells: cells(at, rows, &mut random) })
        .collect()
}

fn cells(column: usize, rows: usize, random: &mut Random) -> Cells {
    let mut each = |cell: &mut dyn FnMut(&mut Random) -> f64| -> Vec<Option<f64>> {
        // One cell of fifty is null in every third column.
        let nulls = if column.is_multiple_of(3) { 0.02 } else { 0.0 };
        (0..rows).map(|_| (random.unit() >= nulls).then(|| cell(random))).collect()
    };
    let texts = |numbers: Vec<Option<f64>>, text: &dyn Fn(f64) -> String| {
        Cells::Text(numbers.into_iter().map(|number| number.map(text)).collect())
    };
    match column {
        0..3 => Cells::Number(each(&mut |r| normal(r) * 10.0)),
        3..5 => Cells::Number(each(&mut |r| normal(r).exp())),
        // Amounts with two digits, of which a third is zero.
        5 => Cells::Number(each(&mut |r| {
            if r.unit() < 0.3 { 0.0 } else { (normal(r).exp() * 1e4).round() / 100.0 }
        })),
        6..10 => {
            let span = [1e2, 1e4, 1e6, 1e9][column - 6];
            let numbers = each(&mut |r| (r.unit() * span).floor());
            Cells::Whole(numbers.into_iter().map(|n| n.map(|n| n as i64)).collect())
        }
        10..17 => {
            let levels = [2.0, 5.0, 9.0, 16.0, 30.0, 50.0, 60.0][column - 10];
            texts(each(&mut |r| (r.unit() * r.unit() * levels).floor()), &|n| format!("level {n}"))
        }
        17 => texts(each(&mut |r| (r.unit() * 1e5).floor()), &|n| format!("user{n}@example.org")),
        18 => texts(each(&mut |r| (r.unit() * 1e9).floor()), &|n| {
            format!("{:08x}-0000-4000-8000-{:012x}", n as u64, n as u64 * 77)
        }),
        _ => {
            texts(each(&mut |r| (r.unit().powi(3) * 3e4).floor()), &|n| format!("{n} High Street"))
        }
    }
}

/// Writes the table as `mixed.csv`.
///
/// # Errors
/// When the file cannot be written.
pub fn as_csv(table: &[Column], dir: &Path) -> io::Result<PathBuf> {
    let names: Vec<_> = table.iter().map(|column| column.name.as_str()).collect();
    let mut text = names.join(",");
    for row in 0..rows_of(table) {
        for (at, column) in table.iter().enumerate() {
            text.push(if at == 0 { '\n' } else { ',' });
            match &column.cells {
                Cells::Whole(cells) => write_some(&mut text, cells[row]),
                Cells::Number(cells) => write_some(&mut text, cells[row]),
                Cells::Text(cells) => write_some(&mut text, cells[row].as_deref()),
            }
        }
    }
    text.push('\n');
    let path = dir.join("mixed.csv");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn write_some(text: &mut String, cell: Option<impl std::fmt::Display>) {
    if let Some(cell) = cell {
        write!(text, "{cell}").expect("a string takes all");
    }
}

/// Rows of the table.
#[must_use]
pub fn rows_of(table: &[Column]) -> usize {
    table.first().map_or(0, |column| match &column.cells {
        Cells::Whole(cells) => cells.len(),
        Cells::Number(cells) => cells.len(),
        Cells::Text(cells) => cells.len(),
    })
}

/// Writes the table as `mixed.parquet`, with Snappy, as pandas does.
///
/// # Errors
/// When the file cannot be written.
pub fn as_parquet(table: &[Column], dir: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = dir.join("mixed.parquet");
    let fields = table.iter().map(|column| {
        let (kind, meaning) = match column.cells {
            Cells::Whole(_) => ("INT64", ""),
            Cells::Number(_) => ("DOUBLE", ""),
            Cells::Text(_) => ("BYTE_ARRAY", " (STRING)"),
        };
        format!("OPTIONAL {kind} {}{meaning};", column.name)
    });
    let schema = format!("message mixed {{ {} }}", fields.collect::<Vec<_>>().join(" "));
    let schema = Arc::new(parse_message_type(&schema)?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(File::create(&path)?, schema, Arc::new(properties))?;
    let rows = rows_of(table);
    for from in (0..rows).step_by(GROUP) {
        let range = from..rows.min(from + GROUP);
        let mut group = writer.next_row_group()?;
        for column in table {
            let mut to = group.next_column()?.ok_or("a column too many")?;
            match &column.cells {
                Cells::Whole(cells) => {
                    let (levels, values) = filled(&cells[range.clone()], |value| *value);
                    to.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                Cells::Number(cells) => {
                    let (levels, values) = filled(&cells[range.clone()], |value| *value);
                    to.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
                }
                Cells::Text(cells) => {
                    let (levels, values) =
                        filled(&cells[range.clone()], |value| ByteArray::from(value.as_str()));
                    to.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
            }
            to.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(path)
}

fn filled<T, V>(cells: &[Option<T>], value: impl Fn(&T) -> V) -> (Vec<i16>, Vec<V>) {
    let levels = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    (levels, cells.iter().flatten().map(value).collect())
}
