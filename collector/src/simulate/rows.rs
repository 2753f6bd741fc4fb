//! A recording: rows with a time, in memory and in its order. It does not judge them.

use std::collections::BTreeSet;
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
    /// Reads a file, or a folder of them; rows without a time are an error. Of samples that the store
    /// kept, those that reached a version and were not a shadow's count, as they do in a collector. Of each
    /// side the columns `beside` its features are read, too.
    pub fn read(
        data: &Path,
        time: &str,
        sides: &Sides,
        beside: &[BTreeSet<&str>; 2],
        reading: &Reading,
    ) -> Result<Self, SimulateError> {
        let files = table::folder::files(&[data.to_owned()])?;
        let tables: Vec<Table> =
            files.iter().map(|file| Table::open(file, reading)).collect::<Result<_, _>>()?;
        let has = |name: &str| tables.iter().any(|table| table.names().iter().any(|n| n == name));
        let wanted = [Side::Request, Side::Response].map(|side| {
            let more = beside[side as usize].iter().copied();
            let more = more.filter(|name| sides.position(side, name).is_none());
            let names = sides.names(side).chain(more).filter(|name| has(name));
            names.map(str::to_owned).collect::<Vec<String>>()
        });
        if wanted[0].is_empty() {
            return Err(SimulateError::NoColumns { path: data.to_owned() });
        }
        let names: Vec<(Side, &String)> = [Side::Request, Side::Response]
            .into_iter()
            .zip(&wanted)
            .flat_map(|(side, names)| names.iter().map(move |name| (side, name)))
            .collect();
        let mut gathered =
            Gathered { held: 0, times: Vec::new(), cells: vec![Vec::new(); names.len()] };
        for (file, table) in files.iter().zip(&tables) {
            gathered.add(file, table, time, &names, sides)?;
        }
        let Gathered { times, cells, .. } = gathered;
        let mut order: Vec<(UnixMillis, usize)> = times.into_iter().zip(0..).collect();
        // Rows of one time stay in the order of the file.
        order.sort_unstable();
        let ordered = |cells: Vec<Cell>| {
            let mut cells: Vec<Option<Cell>> = cells.into_iter().map(Some).collect();
            let take = |(_, row): &(UnixMillis, usize)| cells[*row].take().unwrap_or(Cell::Null);
            order.iter().map(take).collect::<Vec<Cell>>()
        };
        let mut inputs: Vec<Vec<Cell>> = cells.into_iter().map(ordered).collect();
        let outputs = inputs.split_off(wanted[0].len());
        let [inputs_named, outputs_named] = wanted;
        let inputs = inputs_named.into_iter().zip(inputs).collect();
        let outputs = outputs_named.into_iter().zip(outputs).collect();
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

/// The rows of some files, one after the other.
struct Gathered {
    /// Cells so far.
    held: usize,
    times: Vec<UnixMillis>,
    /// By column.
    cells: Vec<Vec<Cell>>,
}

impl Gathered {
    /// Adds the rows of a file; a column that it has not is null in them.
    fn add(
        &mut self,
        file: &Path,
        table: &Table,
        time: &str,
        names: &[(Side, &String)],
        sides: &Sides,
    ) -> Result<(), SimulateError> {
        let place = |name: &str| table.names().iter().position(|known| known == name);
        let Some(clock) = place(time) else {
            let (name, known) = (time.to_owned(), table.names().join(", "));
            return Err(SimulateError::NoTime { path: file.to_owned(), name, known });
        };
        // Where each column that is wanted stands among those that are read.
        let mut positions: Vec<usize> = vec![clock];
        let mut read = |position: Option<usize>| {
            position.map(|position| {
                positions.push(position);
                positions.len() - 1
            })
        };
        let from: Vec<Option<usize>> = names.iter().map(|(_, name)| read(place(name))).collect();
        let ours = place("sampling_rate").is_some();
        let outcome = read(place("outcome").filter(|_| ours));
        let shadow = read(place("shadow").filter(|_| ours));
        let mut columns = {
            let mut meter = Meter::start("finding types");
            table.columns(&positions, &mut |progress| meter.show(progress))?
        };
        // Levels may look like numbers and be none.
        let reference = sides.reference();
        for (at, (side, name)) in from.iter().zip(names) {
            let feature = sides.position(*side, name).map(|at| &reference.features[at]);
            if let Some(at) = at
                && table.format() == "csv"
                && feature.is_some_and(table::holds_texts)
            {
                columns[*at].kind = Kind::Text;
            }
        }
        let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); columns.len()];
        {
            let mut meter = Meter::start("reading");
            let held = &mut self.held;
            let mut each = |at: usize, cell: table::Cell<'_>| {
                *held += 1;
                if *held <= MAX_CELLS {
                    cells[at].push(owned(cell));
                }
            };
            table.scan(&columns, &mut each, &mut |progress| meter.show(progress))?;
        }
        if self.held > MAX_CELLS {
            return Err(SimulateError::Large { path: file.to_owned(), most: MAX_CELLS });
        }
        let counts = |row: usize| {
            let served = outcome.is_none_or(
                |at| matches!(&cells[at][row], Cell::Text(text) if **text == *"served"),
            );
            served && shadow.is_none_or(|at| cells[at][row] != Cell::Bool(true))
        };
        let bad = |row: usize| SimulateError::BadTime {
            path: file.to_owned(),
            row: row + 1,
            column: time.to_owned(),
            text: match &cells[0][row] {
                Cell::Text(text) => text.to_string(),
                Cell::Number(number) => number.to_string(),
                Cell::Bool(truth) => truth.to_string(),
                Cell::Null | Cell::Nested => "nothing".to_owned(),
            },
        };
        for row in (0..cells[0].len()).filter(|row| counts(*row)) {
            self.times.push(instant(&cells[0][row]).ok_or_else(|| bad(row))?);
            for (to, at) in self.cells.iter_mut().zip(&from) {
                to.push(at.map_or(Cell::Null, |at| cells[at][row].clone()));
            }
        }
        Ok(())
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
