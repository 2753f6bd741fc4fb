//! `rows.parquet`: the rows that were drawn of a shard, kept where that was asked for, and the draw among
//! those of all shards, so that a merged profile learns what features do together. It does not know what
//! is learned of them.
//!
//! A shard's rows are drawn alike. So those of the whole are, when of each shard as many are taken as it
//! has of all rows. Of a column whose texts have no names, a row says only whether there was one.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use tidegate_detectors::forest::random::Random;
use tidegate_detectors::reference::{Feature, Observation, Values};
use tidegate_detectors::resampling::{KEPT, KeptColumn};

use crate::profile::Profile;
use crate::profile::error::ProfileError;
use crate::profile::survey::observed;
use crate::table::error::TableError;
use crate::table::{Cell, Column, Kind, Reading, Table, written};
use crate::wording::grouped;

/// The file in a profile's folder.
pub(super) const ROWS: &str = "rows.parquet";

/// The file's content: a column for each of the inputs, in their order.
///
/// # Errors
/// When the library refuses.
pub(super) fn content(inputs: &[Feature], drawn: &[KeptColumn]) -> io::Result<Vec<u8>> {
    let columns = inputs.iter().zip(drawn);
    let columns = columns.map(|(feature, kept)| (feature.name.clone(), cells(feature, kept)));
    written::parquet(&columns.collect::<Vec<_>>()).map_err(io::Error::other)
}

fn cells(feature: &Feature, kept: &KeptColumn) -> written::Values {
    let number = |value| match value {
        Observation::Number(number) => Some(number),
        _ => None,
    };
    let level = |value| match value {
        Observation::Category(level) => Some(level.into()),
        _ => None,
    };
    match kind(feature) {
        Kind::Number | Kind::Integer => {
            written::Values::Number(kept.values().map(number).collect())
        }
        Kind::Text => written::Values::Text(kept.values().map(level).collect()),
        Kind::Boolean => {
            let present = |value| level(value).map(|_: Box<str>| true);
            written::Values::Boolean(kept.values().map(present).collect())
        }
    }
}

/// What a feature's cells are in the file.
fn kind(feature: &Feature) -> Kind {
    match &feature.values {
        Values::Number(_) => Kind::Number,
        Values::Category(levels) if levels.counts().is_empty() => Kind::Boolean,
        Values::Category(_) => Kind::Text,
    }
}

/// Whether a profile's folder holds rows.
pub(super) fn is_in(dir: &Path) -> bool {
    dir.join(ROWS).exists()
}

/// Rows of all profiles' data together, drawn among those in their folders: the same ones for the same
/// folders in the same order.
///
/// # Errors
/// When a folder's rows cannot be read, or are not of its profile.
pub(super) fn among(parts: &[(&Path, Profile)]) -> Result<Vec<KeptColumn>, ProfileError> {
    // Opened anew to be read: shards may be more than the files that a process may hold open.
    let counts = parts
        .iter()
        .map(|(dir, profile)| Shard::open(dir, profile).map(|shard| (shard.drawn, shard.rows)));
    let counts: Vec<(u64, u64)> = counts.collect::<Result<_, _>>()?;
    let inputs = parts.first().map_or(0, |(_, profile)| profile.reference.features.len());
    let mut union = vec![KeptColumn::default(); inputs];
    for (at, ((dir, profile), count)) in parts.iter().zip(shares(&counts)).enumerate() {
        let mut random = Random::seeded(at as u64);
        Shard::open(dir, profile)?.draw(&mut random, count, &mut union)?;
    }
    Ok(union)
}

/// How many rows to take of each shard that has drawn so many of so many: as many as can be while each has
/// its share, and no more than are kept of one table.
fn shares(shards: &[(u64, u64)]) -> Vec<usize> {
    let wide = shards.iter().map(|&(drawn, rows)| (u128::from(drawn), u128::from(rows)));
    let all = wide.clone().map(|(_, rows)| rows).sum();
    let sparser = |a: &(u128, u128), b: &(u128, u128)| (a.0 * b.1).cmp(&(b.0 * a.1));
    let sparsest = wide.clone().chain([(KEPT as u128, all)]).min_by(sparser);
    let (drawn, of) = sparsest.filter(|(_, of)| *of > 0).unwrap_or((0, 1));
    let (mut before, mut taken) = (0, 0);
    // The sum is rounded, not each share: of many small shards some give a row, and not all or none.
    let share = |(_, rows)| {
        before += rows;
        let upto = (before * drawn / of) as usize;
        upto - std::mem::replace(&mut taken, upto)
    };
    wide.map(share).collect()
}

/// The rows in a profile's folder, not read yet.
struct Shard<'a> {
    inputs: &'a [Feature],
    table: Table,
    columns: Vec<Column>,
    drawn: u64,
    /// Rows of the data.
    rows: u64,
}

impl<'a> Shard<'a> {
    fn open(dir: &Path, profile: &'a Profile) -> Result<Self, ProfileError> {
        let path = dir.join(ROWS);
        let inputs = &profile.reference.features;
        let rows = profile.document.rows;
        let broken = |why| Err(ProfileError::Broken { path: path.clone(), why });
        let table = Table::open(&path, &Reading::default()).map_err(of_rows)?;
        let places: Vec<usize> = (0..table.names().len()).collect();
        let columns = table.columns(&places, &mut |_| {}).map_err(of_rows)?;
        if let Some(why) = unlike(inputs, &columns) {
            return broken(why);
        }
        match table.rows() {
            None => broken("it is not Parquet".to_owned()),
            Some(drawn) if drawn > rows.min(KEPT as u64) => {
                let [drawn, rows] = [drawn, rows].map(grouped);
                broken(format!("it holds {drawn} rows of {rows}, where {KEPT} are kept at most"))
            }
            Some(drawn) => Ok(Shard { inputs, table, columns, drawn, rows }),
        }
    }

    /// Adds so many of the rows to those of the shards before.
    fn draw(
        &self,
        random: &mut Random,
        count: usize,
        union: &mut [KeptColumn],
    ) -> Result<(), ProfileError> {
        let mut order: Vec<usize> = (0..self.drawn as usize).collect();
        random.choose_first(&mut order, count);
        let mut chosen = vec![false; order.len()];
        order.iter().take(count).for_each(|row| chosen[*row] = true);
        let mut next = vec![0; self.columns.len()];
        let mut take = |at: usize, cell: Cell<'_>| {
            if chosen.get(next[at]) == Some(&true) {
                observed(&self.inputs[at].values, cell, |value| union[at].take(value));
            }
            next[at] += 1;
        };
        self.table.scan(&self.columns, &mut take, &mut |_| {}).map_err(of_rows)?;
        Ok(())
    }
}

/// What is wrong with the file's columns, where they are not those of the profile.
fn unlike(inputs: &[Feature], columns: &[Column]) -> Option<String> {
    if inputs.len() != columns.len() {
        return Some(format!("it has {} columns and not {}", columns.len(), inputs.len()));
    }
    let differs = |(feature, column): (&Feature, &Column)| {
        let (found, name) = (&column.name, &feature.name);
        if found != name {
            return Some(format!("`{found}` stands where the profile has `{name}`"));
        }
        (column.kind != kind(feature)).then(|| format!("column `{name}` is of another type"))
    };
    inputs.iter().zip(columns).find_map(differs)
}

/// A fault of the file, with the cure that is one for a file of ours.
fn of_rows(fault: TableError) -> ProfileError {
    match fault {
        TableError::Parquet { path, why } => ProfileError::Broken { path, why },
        TableError::NoRows { path } => {
            ProfileError::Broken { path, why: "it has no rows".to_owned() }
        }
        TableError::Unsupported { path, column, what } => {
            ProfileError::Broken { path, why: format!("column `{column}` is {what}") }
        }
        fault => fault.into(),
    }
}
