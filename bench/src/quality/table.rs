//! Real tables, and one that is made up, as columns of cells. It does not know what is measured on them.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_detectors::forest::random::Random;
use tidegate_detectors::reference::{Feature, Observation};

use crate::labelled;

/// Levels that make a column of texts a category; more are no feature.
const MAX_LEVELS: usize = 60;

/// A cell: a number, a text, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Missing,
    Number(f64),
    Text(Box<str>),
}

impl Cell {
    fn of(text: &str) -> Self {
        match text.trim() {
            "" | "NA" => Self::Missing,
            text => text.parse().map_or_else(|_| Self::Text(text.into()), Self::Number),
        }
    }

    /// What it is as a value of this feature.
    pub(super) fn observation(&self, feature: &Feature) -> Observation<'_> {
        match (self, &feature.values) {
            (Self::Missing, _) => Observation::Missing,
            (Self::Number(number), _) => Observation::Number(*number),
            (Self::Text(text), _) => Observation::Category(text),
        }
    }
}

/// A table: columns of cells.
pub(super) struct Table {
    /// What it is called.
    pub(super) name: String,
    /// Its cells, by column.
    pub(super) columns: Vec<Vec<Cell>>,
}

impl Table {
    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// A table of a file of lines with cells between commas, none of which holds one.
    fn of_lines(name: &str, path: &Path, header: bool) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let mut columns: Vec<Vec<Cell>> = Vec::new();
        for line in text.lines().skip(usize::from(header)) {
            for (at, cell) in line.split(',').enumerate() {
                if columns.len() == at {
                    columns.push(Vec::new());
                }
                columns[at].push(Cell::of(cell));
            }
        }
        Ok(Self { name: name.to_owned(), columns }.usable())
    }

    /// A feature without values for this column.
    pub(super) fn feature(&self, column: usize) -> Feature {
        let text = self.columns[column].iter().any(|cell| matches!(cell, Cell::Text(_)));
        let name = format!("c{column}");
        if text { Feature::category(name) } else { Feature::number(name) }
    }

    /// Without columns that are neither numbers nor categories.
    fn usable(mut self) -> Self {
        self.columns.retain(|column| {
            let mut texts: Vec<&str> = column
                .iter()
                .filter_map(|cell| if let Cell::Text(text) = cell { Some(&**text) } else { None })
                .collect();
            texts.sort_unstable();
            texts.dedup();
            texts.len() <= MAX_LEVELS
        });
        // A code among texts is one of them.
        for column in &mut self.columns {
            let any_text = column.iter().any(|cell| matches!(cell, Cell::Text(_)));
            for cell in column.iter_mut().filter(|_| any_text) {
                if let Cell::Number(number) = cell {
                    *cell = Cell::Text(number.to_string().into());
                }
            }
        }
        self
    }

    /// Numbers with a common part, so that features depend on each other; some are whole.
    fn synthetic(rows: usize) -> Self {
        let mut random = Random::seeded(11);
        let mut columns = vec![Vec::new(); 12];
        for _ in 0..rows {
            let common = normal(&mut random);
            for (at, column) in columns.iter_mut().enumerate() {
                let value = 0.6 * common + 0.8 * normal(&mut random);
                column.push(Cell::Number(match at % 3 {
                    0 => value,
                    1 => value.exp(),
                    _ => (value * 2.0).floor().max(0.0),
                }));
            }
        }
        Self { name: "synthetic".to_owned(), columns }
    }
}

/// The sum of twelve uniform numbers, less six.
pub(super) fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// Census and flights; what is not there is passed over, and said so.
pub(super) fn large() -> Vec<Table> {
    let at = |variable: &str, file: &str| {
        std::env::var_os(variable).map(|path| PathBuf::from(path).join(file)).unwrap_or_default()
    };
    let census = at("TIDEGATE_CENSUS", "census_income_1994_1995_train.csv");
    let flights = std::env::var_os("TIDEGATE_FLIGHTS").map(PathBuf::from).unwrap_or_default();
    let read =
        [Table::of_lines("Census", &census, false), Table::of_lines("flights", &flights, true)];
    let passed =
        |table: Result<Table, String>| table.map_err(|why| eprintln!("passed over: {why}"));
    read.into_iter().filter_map(|table| passed(table).ok()).collect()
}

/// These, the labelled sets, and the one that is made up.
pub(super) fn all() -> Vec<Table> {
    let mut tables = large();
    for set in labelled::all() {
        let width = set.rows.first().map_or(0, Vec::len);
        let column = |at: usize| set.rows.iter().map(|row| Cell::Number(row[at])).collect();
        tables.push(Table { name: set.name.clone(), columns: (0..width).map(column).collect() });
    }
    tables.push(Table::synthetic(40_000));
    tables
}
