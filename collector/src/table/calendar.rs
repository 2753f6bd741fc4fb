//! Dates and instants as texts: written from a count, and recognised. It does not know what day it
//! is, and computes with neither.

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

/// `2026-11-23`: ISO 8601, a day that exists.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *bytes else { return false };
    let (Some(year), Some(month), Some(day)) =
        (number(&[y1, y2, y3, y4]), number(&[m1, m2]), number(&[d1, d2]))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `2026-11-23T08:30:00Z`: RFC 3339, with a zone.
pub(crate) fn is_date_time(text: &str) -> bool {
    let Some((day, time)) = text.split_once(['T', 't']) else { return false };
    let Some((clock, rest)) = time.split_at_checked(8) else { return false };
    let fraction = rest.strip_prefix('.').map(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| &rest[digits..])
    });
    let Some(zone) = fraction.unwrap_or(Some(rest)) else { return false };
    let zoned = match zone.as_bytes() {
        b"Z" | b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => below(&[*h1, *h2], 24) && below(&[*m1, *m2], 60),
        _ => false,
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock.as_bytes() else { return false };
    // RFC 3339 allows a leap second.
    zoned && is_date(day) && below(&[h1, h2], 24) && below(&[m1, m2], 60) && below(&[s1, s2], 61)
}

fn below(digits: &[u8], limit: u32) -> bool {
    number(digits).is_some_and(|value| value < limit)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::{date, instant, is_date, is_date_time};

    #[test]
    fn only_days_that_exist_are_dates() {
        for text in ["2026-11-23", "2024-02-29", "2000-02-29", "0001-01-01"] {
            assert!(is_date(text), "{text}");
        }
        for text in
            ["2023-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "26-11-23", "2026/11/23"]
        {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn instants_need_a_zone() {
        for text in ["2026-11-23T08:30:00Z", "2026-11-23t08:30:60.125+02:00"] {
            assert!(is_date_time(text), "{text}");
        }
        for text in [
            "2026-11-23T08:30:00",
            "2026-11-23 08:30:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T08:30:00.Z",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

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
