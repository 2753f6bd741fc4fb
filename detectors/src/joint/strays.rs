//! Rows that are in no cluster: a few of them, drawn at random and whoever saw them, to tell where many of
//! them lie together. It tests nothing: that there are more such rows than there were is for
//! [`crate::cluster::mass`] to say; this one says where.

use serde::{Deserialize, Serialize};

use crate::cluster::map::Map;
use crate::forest::random::Random;

/// Rows that are kept at most.
const KEPT: usize = 128;
/// Rows that lie together, at least.
const LEAST: usize = 8;

/// A sample of such rows: those whose draws are the smallest, so that samples of parts make a sample of
/// the whole (bottom-k; Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Strays {
    /// Rows that were seen.
    seen: u64,
    /// The draw of each row that is kept; of a full sample the largest stands first, so that most rows
    /// cost one comparison.
    draws: Vec<u64>,
    /// Where they stand, row by row.
    stands: Vec<f32>,
}

impl Strays {
    /// Takes in a row.
    pub(crate) fn row(&mut self, stands: &[f64]) {
        self.seen = self.seen.wrapping_add(1);
        // By what it is and when it came: rows that are the same are as many in the sample as they are.
        let mixed = stands
            .iter()
            .fold(self.seen, |mixed, stand| Random::seeded(mixed ^ stand.to_bits()).bits());
        self.keep(mixed, stands.iter().map(|stand| *stand as f32));
    }

    /// Adds those of other rows, seen through the same lens.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.seen = self.seen.wrapping_add(other.seen);
        let width = other.width();
        for (at, draw) in other.draws.iter().enumerate() {
            self.keep(*draw, other.stands[at * width..(at + 1) * width].iter().copied());
        }
    }

    fn keep(&mut self, draw: u64, stands: impl ExactSizeIterator<Item = f32>) {
        if self.draws.len() < KEPT {
            self.draws.push(draw);
            self.stands.extend(stands);
            if self.draws.len() == KEPT {
                self.put_largest_first();
            }
            return;
        }
        // What comes from elsewhere may be of another width; it is no row of this sample.
        if draw < self.draws[0] && stands.len() == self.width() {
            self.draws[0] = draw;
            self.stands.iter_mut().zip(stands).for_each(|(here, stand)| *here = stand);
            self.put_largest_first();
        }
    }

    fn put_largest_first(&mut self) {
        let width = self.width();
        let largest = self.draws.iter().enumerate().max_by_key(|(_, draw)| **draw);
        let Some((place, _)) = largest else { return };
        self.draws.swap(0, place);
        (0..width).for_each(|column| self.stands.swap(column, place * width + column));
    }

    fn width(&self) -> usize {
        self.stands.len() / self.draws.len().max(1)
    }

    /// The middle of the rows that lie together, where these are at least half of what is too many: this
    /// share of all. They lie together where they are as near to one of them as rows of a known cluster are to its
    /// middle.
    pub(crate) fn together(&self, map: &Map, too_many: f64) -> Option<Vec<f64>> {
        let balls = map.clusters.iter().flat_map(|cluster| &cluster.balls);
        let mut radii: Vec<f64> = balls.map(|ball| ball.radius).collect();
        radii.sort_by(f64::total_cmp);
        let reach = radii.get(radii.len() / 2)?.powi(2);
        let rows: Vec<&[f32]> = self.stands.chunks_exact(self.width().max(1)).collect();
        let near = |from: &[f32]| -> Vec<&[f32]> {
            let away = |row: &[f32]| {
                row.iter().zip(from).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            };
            rows.iter().copied().filter(|row| away(row) <= reach).collect()
        };
        let members = rows.iter().map(|row| near(row)).max_by_key(Vec::len)?;
        let enough = (rows.len() as f64 * too_many / 2.0).max(LEAST as f64);
        let mean = |at: usize| {
            members.iter().map(|row| f64::from(row[at])).sum::<f64>() / members.len() as f64
        };
        let middle: Vec<f64> = (0..self.width()).map(mean).collect();
        // At the rim of a known cluster rows lie close as well.
        let apart = map.fits(middle.len()) && map.cluster(&middle).is_none();
        (members.len() as f64 >= enough && apart).then_some(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rows: impl Iterator<Item = [f64; 2]>) -> Strays {
        let mut strays = Strays::default();
        rows.for_each(|row| strays.row(&row));
        strays
    }

    #[test]
    fn samples_of_parts_are_one_of_the_whole() {
        let value = |row: u32| [f64::from(row), f64::from(row % 7)];
        let (mut first, second) = (sample((0..500).map(value)), sample((500..1_000).map(value)));
        assert_eq!((first.draws.len(), first.stands.len()), (KEPT, 2 * KEPT));
        let mut draws = [first.draws.clone(), second.draws.clone()].concat();
        draws.sort_unstable();
        first.merge(&second);
        let mut merged = first.draws.clone();
        merged.sort_unstable();
        assert_eq!(merged, draws[..KEPT]);
        // Every row goes with its own draw, and both parts have about as many.
        let of_first = first.stands.chunks(2).filter(|row| row[0] < 500.0).count();
        assert!((KEPT / 3..=2 * KEPT / 3).contains(&of_first), "{of_first}");
        assert!(first.stands.chunks(2).all(|row| row[1] == row[0] % 7.0));
    }

    #[test]
    fn a_sample_of_another_width_does_no_harm() {
        let mut strays = sample((0..500).map(|row| [f64::from(row), 0.0]));
        let mut other = Strays::default();
        (0..500).for_each(|row| other.row(&[f64::from(row)]));
        strays.merge(&other);
        assert_eq!((strays.draws.len(), strays.stands.len()), (KEPT, 2 * KEPT));
    }
}
