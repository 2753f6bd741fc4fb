//! A column by the hour of its rows, where a column says when they were: what windows of traffic of
//! the same hour are held against. It does not know what else is learned of the column.

use tidegate_detectors::reference::{Feature, Values};
use tidegate_detectors::season::{Period, Seasons};
use tidegate_detectors::summary::CategorySummary;

use crate::profile::survey::{Learned, observed};
use crate::table::Cell;

/// Bytes of the sketch that a profile stores of an hour of a column of numbers, before base64.
const SKETCH_BYTES: usize = 500;

/// What was seen of a column at each hour of a period.
#[derive(Debug, Clone, PartialEq)]
pub struct ByHour {
    period: Period,
    blank: Feature,
    hours: Vec<Option<Feature>>,
}

impl ByHour {
    /// Nothing seen yet, of a column of numbers or of one of categories.
    pub(super) fn new(period: Period, name: &str, numeric: bool) -> Self {
        let blank = if numeric { Feature::number(name) } else { Feature::category(name) };
        Self { period, blank, hours: vec![None; period.hours()] }
    }

    /// Takes a cell in whose row was at this hour of the period.
    pub(super) fn take(&mut self, hour: usize, cell: Cell<'_>) {
        let Some(feature) = self.hours.get_mut(hour) else { return };
        let feature = feature.get_or_insert_with(|| self.blank.clone());
        observed(&self.blank.values, cell, |observation| feature.observe(observation));
    }

    /// Adds the rows that come after these.
    pub(super) fn merge(&mut self, other: ByHour) {
        for (here, there) in self.hours.iter_mut().zip(other.hours) {
            match (here, there) {
                (Some(here), Some(there)) => here.merge(&there),
                (here @ None, there) => *here = there,
                (Some(_), None) => {}
            }
        }
    }
}

/// All columns by the hour; `None` where one of them is not known by it.
pub(super) fn seasons(columns: &[&Learned]) -> Option<Seasons> {
    let by_hour: Vec<&ByHour> =
        columns.iter().map(|learned| learned.by_hour.as_ref()).collect::<Option<_>>()?;
    let mut seasons = Seasons::empty(by_hour.first()?.period);
    for (hour, features) in seasons.hours.iter_mut().enumerate() {
        if by_hour.iter().all(|column| column.hours[hour].is_none()) {
            continue;
        }
        let of_hour = |(learned, column): (&&Learned, &&ByHour)| {
            let mut feature = column.hours[hour].clone().unwrap_or_else(|| column.blank.clone());
            // Free text is counted without its names, as it is of all rows.
            if let Values::Category(levels) = &mut feature.values
                && learned.levels().is_none()
            {
                *levels = CategorySummary::nameless(levels.count());
            }
            feature
        };
        *features = columns.iter().zip(&by_hour).map(of_hour).collect();
    }
    seasons.condense(SKETCH_BYTES);
    Some(seasons)
}

/// Adds what another profile has by the hour; `false` where the two do not fit.
pub(super) fn add(sum: &mut Option<Seasons>, part: Option<&Seasons>) -> bool {
    match (sum, part) {
        (Some(sum), Some(part)) => {
            let fits = sum.merge(part);
            sum.condense(SKETCH_BYTES);
            fits
        }
        (None, None) => true,
        _ => false,
    }
}
