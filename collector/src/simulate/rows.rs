//! A recording: rows with a time, in memory and in its order. It does not judge them.

use std::path::Path;

use tidegate_contract::columns::{Cell, Column, Columns};
use tidegate_contract::protocol::Side;

use crate::decision::UnixMillis;
use crate::meter::Meter;
use crate::sides::Sides;
use crate::simulate::SimulateError;
use crate::table::calendar::milliseconds;
use crate::table::{self, Kind, Reading, Table};

/// Cells that are held at most, of 24 bytes and their texts.
const MAX_CELLS: usize = 30_000_000;

/// The rows of a file that a model's features are in.
#[derive(Debug)]
pub(super) struct Recording {
    times: Vec<UnixMillis>,
    /// By side: a name and the cells in the order of the times.
    sides: [Vec<(String, Vec<Cell>)>; 2],
}

impl Recording {
    /// Reads a file; rows without a time are an error.
    pub fn read(
        data: &Path,
        time: &str,
        sides: &Sides,
        reading: &Reading,
    ) -> Result<Self, SimulateError> {
        let table = Table::open(data, reading)?;
        let names = table.names();
        let Some(clock) = names.iter().position(|name| name == time) else {
            let known = names.join(", ");
            return Err(SimulateError::NoTime {
                path: data.to_owned(),
                name: time.to_owned(),
                known,
            });
        };
        let wanted = |side| {
            let has = |name: &&str| names.iter().any(|known| known == name);
            sides.names(side).filter(has).map(str::to_owned).collect::<Vec<String>>()
        };
        let wanted = [wanted(Side::Request), wanted(Side::Response)];
        if wanted[0].is_empty() {
            return Err(SimulateError::NoColumns { path: data.to_owned() });
        }
        let place = |name: &String| names.iter().position(|known| known == name);
        let mut positions: Vec<usize> = wanted.iter().flatten().filter_map(place).collect();
        positions.push(clock);
        let mut columns = {
            let mut meter = Meter::start("finding types");
            table.columns(&positions, &mut |progress| meter.show(progress))?
        };
        // Levels may look like numbers and be none.
        let reference = sides.reference();
        for (at, column) in columns.iter_mut().enumerate() {
            let side = if at < wanted[0].len() { Side::Request } else { Side::Response };
            let feature = sides.position(side, &column.name).map(|at| &reference.features[at]);
            if table.format() == "csv" && feature.is_some_and(table::holds_texts) {
                column.kind = Kind::Text;
            }
        }
        let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); columns.len()];
        let mut held = 0_usize;
        {
            let mut meter = Meter::start("reading");
            let mut each = |at: usize, cell: table::Cell<'_>| {
                held += 1;
                if held <= MAX_CELLS {
                    cells[at].push(owned(cell));
                }
            };
            table.scan(&columns, &mut each, &mut |progress| meter.show(progress))?;
        }
        if held > MAX_CELLS {
            return Err(SimulateError::Large { path: data.to_owned(), most: MAX_CELLS });
        }
        let clock = cells.pop().unwrap_or_default();
        let bad = |row: usize, cell: &Cell| SimulateError::BadTime {
            path: data.to_owned(),
            row: row + 1,
            column: time.to_owned(),
            text: match cell {
                Cell::Text(text) => text.to_string(),
                Cell::Number(number) => number.to_string(),
                Cell::Bool(truth) => truth.to_string(),
                Cell::Null | Cell::Nested => "nothing".to_owned(),
            },
        };
        let mut order = Vec::with_capacity(clock.len());
        for (row, cell) in clock.iter().enumerate() {
            order.push((instant(cell).ok_or_else(|| bad(row, cell))?, row));
        }
        // Rows of one time stay in the order of the file.
        order.sort_unstable();
        let ordered = |cells: Vec<Cell>| {
            let mut cells: Vec<Option<Cell>> = cells.into_iter().map(Some).collect();
            let take = |(_, row): &(UnixMillis, usize)| cells[*row].take().unwrap_or(Cell::Null);
            order.iter().map(take).collect::<Vec<Cell>>()
        };
        let outputs = cells.split_off(wanted[0].len());
        let [inputs_named, outputs_named] = wanted;
        let inputs: Vec<_> = inputs_named.into_iter().zip(cells.into_iter().map(ordered)).collect();
        let outputs = outputs_named.into_iter().zip(outputs.into_iter().map(ordered)).collect();
        let times = order.iter().map(|(time, _)| *time).collect();
        Ok(Self { times, sides: [inputs, outputs] })
    }

    /// The times, none before the one ahead of it.
    pub fn times(&self) -> &[UnixMillis] {
        &self.times
    }

    /// One row of a side, as a sample would bring it.
    pub fn row(&self, side: Side, row: usize) -> Columns {
        let columns = match side {
            Side::Request => &self.sides[0],
            Side::Response => &self.sides[1],
        };
        let column = |(name, cells): &(String, Vec<Cell>)| Column {
            name: name.clone(),
            cells: vec![cells[row].clone()],
        };
        Columns { rows: 1, columns: columns.iter().map(column).collect() }
    }
}

fn owned(cell: table::Cell<'_>) -> Cell {
    match cell {
        table::Cell::Null => Cell::Null,
        table::Cell::Number(number) => Cell::Number(number),
        table::Cell::Boolean(truth) => Cell::Bool(truth),
        table::Cell::Text(text) => Cell::Text(text.into()),
    }
}

/// Seconds or milliseconds since 1970, or a text of ISO 8601. Before 1970 there is no time.
fn instant(cell: &Cell) -> Option<UnixMillis> {
    /// Seconds up to the year 5138 are less than this, and milliseconds from 1973 on are not.
    const FIRST_IN_MILLISECONDS: f64 = 1e11;
    match cell {
        Cell::Number(number) if *number >= 0.0 && *number < 1e16 => {
            let scale = if *number < FIRST_IN_MILLISECONDS { 1e3 } else { 1.0 };
            Some((number * scale) as u64)
        }
        Cell::Text(text) => milliseconds(text).and_then(|time| u64::try_from(time).ok()),
        _ => None,
    }
}
