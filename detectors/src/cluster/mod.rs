//! Density clusters of rows: found on training data, assigned to new rows, and whether their
//! masses have changed. It does not scale features: rows must come in comparable units.

pub mod dbscan;
pub mod hdbscan;
pub mod map;
pub mod mass;
#[cfg(test)]
mod oracle;
mod points;
mod spanning;

/// Why rows cannot be clustered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A radius that is not positive and finite.
    #[error("a cluster's radius is a positive number, not {0}")]
    Radius(f64),
    /// A count below its least.
    #[error("a cluster needs at least {least} {what}, not {given}")]
    Least {
        /// What is counted.
        what: &'static str,
        /// The least allowed.
        least: usize,
        /// What was given.
        given: usize,
    },
    /// More rows than places have numbers.
    #[error("{0} rows are too many to cluster at once: the most is {MOST_ROWS}; take a sample")]
    Rows(usize),
    /// A saved clustering that does not hold together.
    #[error("the saved clustering is damaged: its rows, labels and clusters do not agree")]
    Damaged,
}

/// Rows that may be clustered at once.
pub const MOST_ROWS: usize = 1 << 24;

/// The rows that can be clustered: all values finite, all of the width of the first row.
struct Whole<'r> {
    features: usize,
    rows: Vec<&'r [f64]>,
    /// Where each stood among all rows.
    places: Vec<usize>,
    all: usize,
}

impl<'r> Whole<'r> {
    fn of(rows: &[&'r [f64]]) -> Result<Self, Error> {
        if rows.len() > MOST_ROWS {
            return Err(Error::Rows(rows.len()));
        }
        let features = rows.first().map_or(0, |row| row.len());
        let whole =
            |row: &[f64]| row.len() == features && row.iter().all(|value| value.is_finite());
        let places: Vec<usize> = (0..rows.len()).filter(|&place| whole(rows[place])).collect();
        let kept = places.iter().map(|&place| rows[place]).collect();
        Ok(Whole { features, rows: kept, places, all: rows.len() })
    }

    /// Labels of whole rows as labels of all.
    fn spread(&self, labels: &[Option<u32>]) -> Vec<Option<u32>> {
        let mut all = vec![None; self.all];
        for (&place, &label) in self.places.iter().zip(labels) {
            all[place] = label;
        }
        all
    }
}
