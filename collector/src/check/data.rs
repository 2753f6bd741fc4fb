//! The data to be checked, as one window of a profile's columns. It does not judge.

use std::path::{Path, PathBuf};

use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::reference::{Observation, Reference};
use tidegate_detectors::resampling::KeptColumn;
use tidegate_detectors::season::Hours;
use tidegate_detectors::window::{Pane, Window};

use crate::check::CheckError;
use crate::check::strange::{Place, Strange};
use crate::fetched::Fetched;
use crate::meter::Meter;
use crate::profile::survey::observed;
use crate::profile::{Profile, hours};
use crate::sides::Sides;
use crate::table::{Cell, Kind, Reading, Table, folder, holds_texts};

/// Names that an error lists.
const NAMES_SHOWN: usize = 8;

/// What was read.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Inputs, then outputs, as the profile has them.
    pub sides: Sides,
    /// What the columns looked like in training, at the hours that the data is of.
    pub reference: Reference,
    /// The hours that the data is of; `None` where all are alike, or nobody says when rows were.
    pub hours: Option<Hours>,
    /// The same columns of the data.
    pub window: Window,
    /// The rows that stand out most, of those that were drawn.
    pub strangest: Vec<Strange>,
    /// How many were drawn to look at what features do together.
    pub drawn: usize,
    /// The files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Columns of the profile that no file has; of those of outputs none need be there.
    pub missing: Vec<String>,
    /// Columns that the profile does not know.
    pub ignored: Vec<String>,
}

impl Gathered {
    /// Reads a file or a folder of them, wherever it was fetched to.
    pub fn read(
        data: &Path,
        fetched: &Fetched,
        profile: &Profile,
        reading: &Reading,
    ) -> Result<Self, CheckError> {
        let files = folder::files(fetched.paths())?;
        let tables: Vec<Table> =
            files.iter().map(|file| Table::open(file, reading)).collect::<Result<_, _>>()?;
        let has = |name: &str| tables.iter().any(|table| table.names().iter().any(|n| n == name));
        // Inputs were given by whoever asked; answers are there only where somebody kept them.
        let is_there = |at: &usize| has(&profile.outputs.features[*at].name);
        let there: Vec<usize> = (0..profile.outputs.features.len()).filter(is_there).collect();
        let outputs = if there.len() == profile.outputs.features.len() {
            profile.outputs.clone()
        } else {
            let outputs = there.iter().map(|&at| profile.outputs.features[at].clone());
            Reference::of(profile.outputs.rows, outputs.collect())
        };
        let sides = Sides::of(&profile.reference, &outputs);
        let reference = sides.reference();
        let time = profile.document.time.as_deref().filter(|time| has(time));
        let by_hour = profile.seasons.as_ref().zip(time);
        let known = |name: &String| {
            reference.position(name).is_some() || by_hour.is_some_and(|(_, time)| time == name)
        };
        let mut ignored: Vec<String> = Vec::new();
        for name in tables.iter().flat_map(Table::names) {
            if !name.is_empty() && !known(name) && !ignored.contains(name) {
                ignored.push(name.clone());
            }
        }
        let names = || reference.features.iter().map(|feature| feature.name.as_str());
        let missing: Vec<String> = names().filter(|name| !has(name)).map(str::to_owned).collect();
        if missing.len() == reference.features.len() {
            return Err(CheckError::NoColumns {
                path: data.to_owned(),
                expected: listed(names()),
                found: listed(ignored.iter().map(String::as_str)),
            });
        }
        let mut when =
            by_hour.map(|(seasons, time)| When { time, hours: Hours::none(seasons.period) });
        let mut pane = Pane::new(reference);
        let lenses = Lens::all_of(reference);
        let whole = lenses.iter().map(|lens| lens.span().end).max().unwrap_or(0);
        let mut kept = vec![KeptColumn::default(); whole];
        let names = files.iter().map(|file| fetched.name(file));
        let mut files: Vec<(PathBuf, u64)> = Vec::new();
        for (table, name) in tables.iter().zip(names) {
            files.push((name, fill(&mut pane, &mut kept, when.as_mut(), reference, table)?));
        }
        for lens in &lenses {
            pane.together(lens, &lens.rows_of(&kept));
        }
        let place = Place { files: &files, reference, contract: &profile.contract };
        let strangest = place.strangest(&lenses, &kept);
        let drawn = kept.first().map_or(0, KeptColumn::len);
        let window = Window::of(reference, [&pane]);
        let hours = when.map(|when| when.hours);
        let reference = match (&profile.seasons, &hours) {
            (Some(seasons), Some(hours)) if !hours.are_all() => {
                let inputs = profile.reference.features.len();
                let here = |at: usize| at < inputs || there.contains(&(at - inputs));
                seasons.clone().only(here).reference(reference, hours)
            }
            _ => Reference::clone(reference),
        };
        let files = files.into_iter().map(|(name, _)| name).collect();
        Ok(Self { sides, reference, hours, window, strangest, drawn, files, missing, ignored })
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Which hours the rows are of.
struct When<'a> {
    /// The column that says it.
    time: &'a str,
    hours: Hours,
}

/// Adds a file's rows, and says how many. What it has no column for is missing in each of them. Of the columns
/// in `kept`, the first ones, some whole rows are kept, of which it is judged what they say together.
fn fill(
    pane: &mut Pane,
    kept: &mut [KeptColumn],
    mut when: Option<&mut When<'_>>,
    reference: &Reference,
    table: &Table,
) -> Result<u64, CheckError> {
    let mut take = |at: usize, observation: Observation<'_>| {
        pane.observe(at, observation);
        if let Some(column) = kept.get_mut(at) {
            column.take(observation);
        }
    };
    let place = |name: &String| reference.position(name);
    let found = table.names().iter().enumerate().filter_map(|(at, name)| Some((at, place(name)?)));
    let (mut positions, features): (Vec<usize>, Vec<usize>) = found.unzip();
    let time = when.as_ref().and_then(|when| table.names().iter().position(|n| n == when.time));
    // It may be a feature, too.
    let time = time.map(|time| {
        positions.iter().position(|at| *at == time).unwrap_or_else(|| {
            positions.push(time);
            positions.len() - 1
        })
    });
    let mut columns = {
        let mut meter = Meter::start("finding types");
        table.columns(&positions, &mut |progress| meter.show(progress))?
    };
    for (column, &at) in columns.iter_mut().zip(&features) {
        if table.format() == "csv" && holds_texts(&reference.features[at]) {
            column.kind = Kind::Text;
        }
    }
    let mut meter = Meter::start("reading");
    let mut each = |at: usize, cell: Cell<'_>| {
        if time == Some(at)
            && let Some(when) = &mut when
            && let Some(seconds) = hours::of_cell(cell)
        {
            when.hours.take(seconds.saturating_mul(1_000));
        }
        let Some(&at) = features.get(at) else { return };
        observed(&reference.features[at].values, cell, |observation| take(at, observation));
    };
    let rows = table.scan(&columns, &mut each, &mut |progress| meter.show(progress))?;
    for at in (0..reference.features.len()).filter(|at| !features.contains(at)) {
        for _ in 0..rows {
            take(at, Observation::Missing);
        }
    }
    pane.count(rows);
    Ok(rows)
}
