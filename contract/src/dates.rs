//! Dates and times as texts. It only says whether a text is one, and does not know what day it is.

/// Whether a text is a calendar date of ISO 8601, such as `2026-11-23`.
#[must_use]
pub fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return false };
    let (Some(year), Some(month), Some(day)) =
        (digits(&[*y1, *y2, *y3, *y4]), digits(&[*m1, *m2]), digits(&[*d1, *d2]))
    else {
        return false;
    };
    (1..=days(year, month)).contains(&day)
}

/// Whether a text is a date and time of RFC 3339, such as `2026-11-23T08:30:00.5+01:00`.
#[must_use]
pub fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    let bytes = time.as_bytes();
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = bytes else { return false };
    // 60 is a leap second, which RFC 3339 allows.
    let clock = within(&[*h1, *h2], 23) && within(&[*m1, *m2], 59) && within(&[*s1, *s2], 60);
    is_date(date) && clock && is_zone(after_fraction(rest))
}

/// What follows a fraction of seconds; nothing, and so no zone, if the fraction has no digits.
fn after_fraction(bytes: &[u8]) -> &[u8] {
    let [b'.', fraction @ ..] = bytes else { return bytes };
    match fraction.iter().position(|byte| !byte.is_ascii_digit()) {
        Some(end) if end > 0 => &fraction[end..],
        _ => &[],
    }
}

fn is_zone(bytes: &[u8]) -> bool {
    match bytes {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => within(&[*h1, *h2], 23) && within(&[*m1, *m2], 59),
        _ => false,
    }
}

fn within(bytes: &[u8], most: u32) -> bool {
    digits(bytes).is_some_and(|value| value <= most)
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value, byte| Some(value * 10 + char::from(*byte).to_digit(10)?))
}

/// How many days a month of the Gregorian calendar has; none for a month that does not exist.
fn days(year: u32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for good in ["2026-11-23", "2024-02-29", "2000-02-29", "0001-12-31"] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-31",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "2026-1-01",
            "26-01-01",
            "2026/01/01",
            "2026-01-01 ",
            "2026-01-0\u{661}",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn times_need_seconds_and_a_zone() {
        for good in [
            "2026-11-23T08:30:00Z",
            "2026-11-23t08:30:00z",
            "2026-11-23T08:30:00.123456-08:00",
            "2026-12-31T23:59:60Z",
        ] {
            assert!(is_date_time(good), "{good}");
        }
        for bad in [
            "2026-11-23",
            "2026-11-23T08:30Z",
            "2026-11-23T08:30:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T08:30:00.Z",
            "2026-11-23T08:30:00.5",
            "2026-11-23T08:30:00+0100",
            "2026-02-30T08:30:00Z",
        ] {
            assert!(!is_date_time(bad), "{bad}");
        }
    }
}
