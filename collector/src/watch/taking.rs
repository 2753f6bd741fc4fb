//! Rows into a pane, feature by feature: what a window is made of, what bets are made on, and what is seen of
//! the features together. It does not know which pane they belong to.

use std::ops::Range;

use tidegate_contract::columns::{Cell, Column, Columns};
use tidegate_contract::protocol::Side;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::reference::{Observation, Values};
use tidegate_detectors::vigil::Vigil;
use tidegate_detectors::window::Pane;

use super::together::Together;
use crate::profile::survey::code;
use crate::sides::Sides;

/// Rows that are taken in together.
const BLOCK: usize = 256;

/// What takes rows in, once it is known which pane they go into.
pub(super) struct Taking<'a> {
    pub(super) sides: &'a Sides,
    pub(super) lenses: &'a [Lens],
    pub(super) vigil: &'a mut Vigil,
    /// Where others share the watch, who bets later on the rows of all.
    pub(super) together: Option<&'a mut Together>,
}

impl Taking<'_> {
    /// Takes in the rows of requests.
    pub(super) fn inputs(&mut self, pane: &mut Pane, tables: &[&Columns]) {
        for block in blocks(tables) {
            self.values(pane, Side::Request, &block);
            pane.count(count(&block) as u64);
        }
    }

    /// Takes in the rows of answers. One that has none of the outputs says nothing of them.
    pub(super) fn outputs(&mut self, pane: &mut Pane, tables: &[&Columns]) {
        let named = |column: &Column| self.sides.position(Side::Response, &column.name).is_some();
        let tells = |table: &&Columns| table.columns.iter().any(named);
        let telling: Vec<&Columns> = tables.iter().copied().filter(tells).collect();
        for block in blocks(&telling) {
            self.values(pane, Side::Response, &block);
        }
    }

    /// Takes in the values of some rows, feature by feature; what a table lacks is missing in each of its
    /// rows.
    fn values(&mut self, pane: &mut Pane, side: Side, block: &[Part<'_>]) {
        let range = self.sides.range(side);
        let of_side = self.lenses.iter().filter(|lens| range.contains(&lens.span().start));
        let mut seen: Vec<_> = of_side.map(|lens| (lens, lens.rows(count(block)))).collect();
        let features = &self.sides.reference().features;
        let columns_of = |part: &Part<'_>| {
            let mut columns = vec![None; features.len()];
            for (place, column) in part.table.columns.iter().enumerate() {
                if let Some(at) = self.sides.position(side, &column.name) {
                    columns[at] = Some(place);
                }
            }
            columns
        };
        let columns: Vec<Vec<Option<usize>>> = block.iter().map(columns_of).collect();
        for at in range {
            let cells = || {
                block.iter().zip(&columns).flat_map(move |(part, columns)| {
                    let column = columns[at].map(|place| &part.table.columns[place]);
                    let cell = move |row| column.and_then(|column| column.cells.get(row));
                    part.rows.clone().map(move |row| cell(row).unwrap_or(&Cell::Null))
                })
            };
            let values = &features[at].values;
            let codes = codes(values, cells());
            let code = |place: usize| codes.get(place).and_then(Option::as_deref);
            let column = cells().enumerate();
            let column: Vec<Observation<'_>> =
                column.map(|(place, cell)| observed(values, cell, code(place))).collect();
            pane.observe_all(at, &column);
            match &mut self.together {
                Some(shared) => shared.rows.observe(at, &column),
                None => self.vigil.observe(at, &column),
            }
            for (lens, rows) in &mut seen {
                lens.see(rows, at, 0, &column);
            }
        }
        for (lens, rows) in &seen {
            pane.together(lens, rows);
        }
    }
}

fn count(block: &[Part<'_>]) -> usize {
    block.iter().map(|part| part.rows.len()).sum()
}

/// Some rows of a table.
struct Part<'a> {
    table: &'a Columns,
    rows: Range<usize>,
}

/// The rows of tables, so many at once that what is made of them stays near the processor, whether a
/// request has one row or thousands.
fn blocks<'a>(tables: &[&'a Columns]) -> Vec<Vec<Part<'a>>> {
    let (mut blocks, mut room) = (Vec::new(), 0);
    for table in tables {
        let mut from = 0;
        while from < table.rows {
            if room == 0 {
                blocks.push(Vec::new());
                room = BLOCK;
            }
            let upto = table.rows.min(from + room);
            room -= upto - from;
            if let Some(block) = blocks.last_mut() {
                block.push(Part { table, rows: from..upto });
            }
            from = upto;
        }
    }
    blocks
}

/// For each cell of a category that is a number, what that is as a level; empty where none is.
fn codes<'a>(
    values: &Values,
    cells: impl Iterator<Item = &'a Cell> + Clone,
) -> Vec<Option<String>> {
    let number = |cell: &Cell| match cell {
        Cell::Number(number) => Some(*number),
        _ => None,
    };
    match values {
        Values::Category(_) if cells.clone().any(|cell| number(cell).is_some()) => {
            cells.map(|cell| number(cell).map(code)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a cell is as a value of this column; a number, such as an industry's, that the profile was told to
/// treat as a category is the level `code`.
fn observed<'a>(values: &Values, cell: &'a Cell, code: Option<&'a str>) -> Observation<'a> {
    match (values, cell) {
        (_, Cell::Null) => Observation::Missing,
        (Values::Number(_), Cell::Number(number)) => Observation::Number(*number),
        (Values::Category(_), Cell::Text(text)) => Observation::Category(text),
        (Values::Category(_), Cell::Bool(true)) => Observation::Category("true"),
        (Values::Category(_), Cell::Bool(false)) => Observation::Category("false"),
        (Values::Category(_), Cell::Number(_)) => {
            code.map_or(Observation::Foreign, Observation::Category)
        }
        (Values::Number(_), Cell::Text(_) | Cell::Bool(_)) | (_, Cell::Nested) => {
            Observation::Foreign
        }
    }
}
