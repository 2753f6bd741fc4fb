//! How many rows belong to each hour of the week, where a column says when: the volume that traffic
//! of such an hour may be held against. It does not know time zones: all hours are of UTC, and a
//! time without a zone counts as UTC.

use serde::{Deserialize, Serialize};
use tidegate_contract::dates;

use crate::table::Cell;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: usize = 168;

/// Rows by hour of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Rows of each hour, from Monday 00:00 UTC on: 168 counts.
    pub rows: Vec<u64>,
    /// How often each hour of the week came between the first and the last row, these among them:
    /// 168 counts. The expected volume of an hour is its rows over this.
    pub met: Vec<u64>,
    /// The first and the last row's hour, in hours since 1970.
    span: Option<(i64, i64)>,
    /// Rows whose time cannot be read.
    pub untimed: u64,
}

impl Default for Hours {
    fn default() -> Self {
        Self { rows: vec![0; WEEK], met: vec![0; WEEK], span: None, untimed: 0 }
    }
}

impl Hours {
    /// Takes in a row of this time, in seconds since 1970; `None` for one that has none.
    pub(super) fn take(&mut self, seconds: Option<i64>) {
        let Some(seconds) = seconds else {
            self.untimed += 1;
            return;
        };
        let hour = seconds.div_euclid(HOUR);
        self.rows[of_week(hour)] += 1;
        self.reach(hour, hour);
    }

    fn reach(&mut self, first: i64, last: i64) {
        let (low, high) = self.span.unwrap_or((first, last));
        self.span = Some((low.min(first), high.max(last)));
    }

    /// Adds everything that `other` saw.
    pub(super) fn merge(&mut self, other: &Hours) {
        for (here, there) in self.rows.iter_mut().zip(&other.rows) {
            *here += there;
        }
        self.untimed += other.untimed;
        if let Some((first, last)) = other.span {
            self.reach(first, last);
        }
    }

    /// Counts how often each hour came, once all rows are there.
    pub(super) fn settled(mut self) -> Self {
        let Some((first, last)) = self.span else { return self };
        let hours = last.saturating_sub(first).saturating_add(1);
        let whole = (hours / WEEK as i64) as u64;
        self.met = vec![whole; WEEK];
        for after in 0..hours % WEEK as i64 {
            self.met[of_week(first.saturating_add(after))] += 1;
        }
        self
    }

    /// Whether this can have been written by us.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.len() == WEEK && self.met.len() == WEEK
    }
}

/// 1970 began on a Thursday.
fn of_week(hour: i64) -> usize {
    (hour.rem_euclid(WEEK as i64) as usize + 3 * 24) % WEEK
}

/// The time that a cell tells, in seconds since 1970.
pub(crate) fn of_cell(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Text(text) => of_text(text.trim_ascii()),
        Cell::Number(value) => of_number(value),
        Cell::Null | Cell::Boolean(_) => None,
    }
}

/// The time that a text tells, in seconds since 1970: RFC 3339, the same with a blank for the `T` or
/// without a zone, or a day alone, which is its midnight.
pub(crate) fn of_text(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let days = days(date)?;
    if time.is_empty() {
        return Some(days * DAY);
    }
    let rest = time.strip_prefix(['T', 't', ' '])?;
    let zoned = rest.ends_with(['Z', 'z'])
        || rest
            .len()
            .checked_sub(6)
            .and_then(|at| rest.get(at..at + 1))
            .is_some_and(|sign| matches!(sign, "+" | "-"));
    let written = if zoned { format!("{date}T{rest}") } else { format!("{date}T{rest}Z") };
    if !dates::is_date_time(&written) {
        return None;
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let clock = two(0)? * HOUR + two(3)? * 60 + two(6)?;
    let offset = match rest.len().checked_sub(6).and_then(|at| rest.get(at..)) {
        Some(zone) if zone.starts_with(['+', '-']) => {
            let ahead =
                zone[1..3].parse::<i64>().ok()? * HOUR + zone[4..6].parse::<i64>().ok()? * 60;
            if zone.starts_with('-') { -ahead } else { ahead }
        }
        _ => 0,
    };
    Some(days * DAY + clock - offset)
}

/// The time that a number tells: seconds since 1970 up to 10^11, then milliseconds, microseconds,
/// nanoseconds, each a thousand times as many.
pub(crate) fn of_number(value: f64) -> Option<i64> {
    let size = value.abs();
    let seconds = match size {
        _ if size < 1e11 => value,
        _ if size < 1e14 => value / 1e3,
        _ if size < 1e17 => value / 1e6,
        _ if size < 1e20 => value / 1e9,
        _ => return None,
    };
    Some(seconds.floor() as i64)
}

/// Days since 1970 of an ISO 8601 date, after Howard Hinnant's `days_from_civil`.
fn days(date: &str) -> Option<i64> {
    if !dates::is_date(date) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Hours, of_number, of_text};
    use crate::table::calendar::instant;

    #[test]
    fn times_are_read_as_they_are_written() {
        let check = |text, seconds| assert_eq!(of_text(text), seconds, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-02", Some(86_400));
        check("2026-11-23 18:30:00", Some(1_795_458_600));
        check("2026-11-23T18:30:00.25Z", Some(1_795_458_600));
        check("2026-11-23T20:00:00+01:30", Some(1_795_458_600));
        check("2026-11-23T17:30:00-01:00", Some(1_795_458_600));
        for text in ["", "soon", "2026-11-31", "2026-11-23T25:00:00Z", "2026-11-23T", "é2026-11-23"]
        {
            check(text, None);
        }
        let numbers = [1.0, 1_795_458_600.0, 1_795_458_600_000.0, 1_795_458_600e9, f64::NAN];
        let seconds =
            [Some(1), Some(1_795_458_600), Some(1_795_458_600), Some(1_795_458_600), None];
        assert_eq!(numbers.map(of_number), seconds);
    }

    #[test]
    fn the_week_begins_on_monday_and_hours_without_rows_count_too() {
        let mut hours = Hours::default();
        // Monday 2026-11-23 18:30 UTC, and a week and two hours later.
        hours.take(Some(1_795_458_600));
        hours.take(Some(1_795_458_600 + 7 * 86_400 + 7_200));
        hours.take(None);
        let hours = hours.settled();
        assert_eq!((hours.rows[18], hours.rows[20], hours.untimed), (1, 1, 1));
        assert_eq!((hours.met[17], hours.met[18], hours.met[20], hours.met[21]), (1, 2, 2, 1));
        assert_eq!(Hours::default().settled().met, vec![0; 168]);
    }

    proptest! {
        #[test]
        fn every_instant_comes_back(seconds in -60_000_000_000_i64..250_000_000_000) {
            prop_assert_eq!(of_text(&instant(seconds, 1, true)), Some(seconds));
        }

        #[test]
        fn shards_add_up(times in prop::collection::vec(any::<i32>(), 0..50), cut in 0..50_usize) {
            let of = |times: &[i32]| {
                let mut hours = Hours::default();
                times.iter().for_each(|&time| hours.take(Some(i64::from(time) * 100)));
                hours
            };
            let (one, two) = times.split_at(cut.min(times.len()));
            let mut merged = of(one);
            merged.merge(&of(two));
            prop_assert_eq!(merged.settled(), of(&times).settled());
        }
    }
}
