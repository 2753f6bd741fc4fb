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

/// Milliseconds since 1970 of an ISO 8601 date, or of a date and time with `T` or a blank between;
/// without a zone it is UTC. `None` for any other text.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    let (day, time) = match text.get(10..11) {
        None => (text, None),
        Some("T" | "t" | " ") => (&text[..10], Some(&text[11..])),
        Some(_) => return None,
    };
    let mut parts = day.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let midnight = days(year, month, day).checked_mul(SECONDS_A_DAY * 1_000)?;
    let Some(time) = time else { return Some(midnight) };
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        None => (time, 0),
        Some(at) => (&time[..at], zone_minutes(&time[at..])?),
    };
    let mut parts = clock.trim_end().splitn(3, ':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second: f64 = parts.next().map_or(Some(0.0), |second| second.parse().ok())?;
    if hour > 23 || minute > 59 || !(0.0..61.0).contains(&second) {
        return None;
    }
    let minutes = hour * 60 + minute - zone;
    midnight.checked_add(minutes * 60_000 + (second * 1_000.0) as i64)
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// `Z`, `+01:00`, `-0530` or `+01`, in minutes east.
fn zone_minutes(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'-' => -1,
        _ => 1,
    };
    let digits = zone[1..].replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        _ => return None,
    };
    Some(sign * (hours * 60 + minutes))
}

/// Days from 1970-01-01, after Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{date, instant, milliseconds};

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        let check = |text, expected| assert_eq!(milliseconds(text), expected, "{text}");
        check("1970-01-01", Some(0));
        check("2000-02-29", Some(11_016 * 86_400_000));
        check("2026-11-23T18:30:00.250Z", Some(1_795_458_600_250));
        check("2026-11-23 18:30", Some(1_795_458_600_000));
        check("2026-11-23T19:30:00.25+01:00", Some(1_795_458_600_250));
        check("2026-11-23 13:00:00-0530", Some(1_795_458_600_000));
        check("1969-12-31T23:59:59Z", Some(-1_000));
        for wrong in ["", "noon", "2026-13-01", "2026-11-23T25:00", "2026-11-23X10:00", "1-2", "é"]
        {
            check(wrong, None);
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
