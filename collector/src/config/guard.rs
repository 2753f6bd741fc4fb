//! The guard: how much automation may do at all, and when it may do nothing. It does not know what
//! is decided.

use crate::decision::UnixMillis;

/// What bounds the policy of a model, whatever its rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Decisions of the policy that may change a model's routes in an hour; what comes beyond waits
    /// for a person.
    pub changes_per_hour: u32,
    /// Models that the policy may keep from their primary version at once; for another one a person
    /// must agree: a cause that all have in common is rarely cured by diverting all.
    pub max_models: u32,
    /// When the policy decides nothing.
    pub maintenance: Vec<Maintenance>,
}

impl Default for Guard {
    fn default() -> Self {
        Self { changes_per_hour: 6, max_models: u32::MAX, maintenance: Vec::new() }
    }
}

impl Guard {
    /// Whether somebody works on the systems just now, so that findings lead to nothing.
    #[must_use]
    pub fn in_maintenance(&self, now: UnixMillis) -> bool {
        self.maintenance.iter().any(|window| window.covers(now))
    }
}

/// A stretch of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// On which days it begins, Sunday first.
    pub days: [bool; 7],
    /// The minute of the day at which it begins.
    pub from: u16,
    /// The minute at which it ends; of the next day where it is not after `from`.
    pub to: u16,
    /// Minutes that the clock it is written by is ahead of UTC.
    pub utc_offset: i16,
}

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

impl Maintenance {
    /// Whether it is then.
    #[must_use]
    pub fn covers(&self, now: UnixMillis) -> bool {
        let minutes = i64::try_from(now / 60_000).unwrap_or(i64::MAX / 2);
        let local = minutes + i64::from(self.utc_offset);
        let day_minutes = i64::from(DAY);
        let minute = local.rem_euclid(day_minutes);
        // 1 January 1970 was a Thursday.
        let weekday = |days: i64| usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
        let day = local.div_euclid(day_minutes);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            return self.days[weekday(day)] && (from..to).contains(&minute);
        }
        (self.days[weekday(day)] && minute >= from) || (self.days[weekday(day - 1)] && minute < to)
    }
}

#[cfg(test)]
mod tests {
    use super::Maintenance;

    /// Friday, 27 November 2026, 12:00 UTC.
    const NOON: u64 = 1_795_780_800_000;
    const HOUR: u64 = 3_600_000;

    fn on(day: usize, from: u16, to: u16) -> Maintenance {
        let mut days = [false; 7];
        days[day] = true;
        Maintenance { days, from: from * 60, to: to * 60, utc_offset: 0 }
    }

    #[test]
    fn a_window_holds_its_first_minute_and_not_its_last() {
        let friday = on(5, 12, 13);
        assert!(friday.covers(NOON) && friday.covers(NOON + HOUR - 1));
        assert!(!friday.covers(NOON - 1) && !friday.covers(NOON + HOUR));
        assert!(!on(4, 12, 13).covers(NOON));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = on(5, 22, 4);
        assert!(night.covers(NOON + 10 * HOUR) && night.covers(NOON + 15 * HOUR));
        assert!(!night.covers(NOON + 16 * HOUR), "Saturday, 4:00");
        assert!(!night.covers(NOON - 9 * HOUR), "the night to Friday is Thursday's");
        let whole = on(5, 0, 0);
        assert!(whole.covers(NOON - 12 * HOUR) && whole.covers(NOON + 12 * HOUR - 1));
        assert!(!whole.covers(NOON + 12 * HOUR));
    }

    #[test]
    fn clocks_ahead_of_utc_are_there_earlier() {
        let mut friday = on(5, 12, 13);
        friday.utc_offset = 120;
        assert!(friday.covers(NOON - 2 * HOUR) && !friday.covers(NOON));
        friday.utc_offset = -60;
        assert!(friday.covers(NOON + HOUR));
    }
}
