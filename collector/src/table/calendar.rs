//! Dates and instants written as texts from a count. It does not know what day it is; the contract
//! says what a date looks like.

const SECONDS_A_DAY: i64 = 86_400;

/// Days since 1970-01-01 as an ISO 8601 date, after Howard Hinnant's `civil_from_days`.
pub(crate) fn date(days: i64) -> String {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// An instant as RFC 3339 writes it; without `Z` where the file does not say that it is UTC.
pub(crate) fn instant(value: i64, units: i64, utc: bool) -> String {
    let (seconds, rest) = (value.div_euclid(units), value.rem_euclid(units));
    let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let digits = units.ilog10() as usize;
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:0digits$}") };
    let zone = if utc { "Z" } else { "" };
    format!("{}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}", date(days))
}

#[cfg(test)]
mod tests {
    use super::{date, instant};

    #[test]
    fn days_become_the_dates_of_the_calendar() {
        let check = |days, text: &str| assert_eq!(date(days), text);
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(11_016, "2000-02-29");
        check(20_780, "2026-11-23");
        check(-719_528, "0000-01-01");
    }

    #[test]
    fn instants_keep_their_fraction_and_say_utc_only_when_they_are() {
        assert_eq!(instant(0, 1_000, true), "1970-01-01T00:00:00Z");
        assert_eq!(instant(1_795_458_600_250, 1_000, true), "2026-11-23T18:30:00.250Z");
        assert_eq!(instant(-1, 1_000_000, false), "1969-12-31T23:59:59.999999");
    }
}
