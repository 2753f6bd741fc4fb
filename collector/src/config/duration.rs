//! Durations as people write them: `500ms`, `5s`, `10m`, `1h`, `2d`. It knows no calendar: a day
//! has 24 hours.

use std::time::Duration;

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads one whole number with one unit. Nothing else is a duration: no sign, no fraction, no sum,
/// and no bare number, whose unit each reader would guess differently.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    number.checked_mul(*milliseconds).map(Duration::from_millis)
}

/// Writes a duration in the largest unit that needs no fraction; what is finer than a millisecond
/// is dropped.
#[must_use]
pub fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (unit, size) = UNITS
        .iter()
        .find(|(_, size)| milliseconds != 0 && milliseconds.is_multiple_of(u128::from(*size)))
        .unwrap_or(&("s", 1000));
    format!("{}{unit}", milliseconds / u128::from(*size))
}

/// A duration in whole milliseconds, as times are told; the most there is where it is longer.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration in JSON, as text.
pub mod text {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::show(*duration))
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not a duration such as 500ms, 5s, 10m, 1h or 2d"))
        })
    }
}

/// A duration in JSON that may be left out.
pub mod maybe {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Whole(#[serde(with = "super::text")] Duration);

    /// Writes it, or null.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::text::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    /// Reads it, or null.
    ///
    /// # Errors
    /// Where there is a text that is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Whole>::deserialize(from)?.map(|whole| whole.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, milliseconds: Option<u64>) {
        assert_eq!(parse(text), milliseconds.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn a_number_and_a_unit_are_a_duration() {
        check("500ms", Some(500));
        check("5s", Some(5000));
        check("10m", Some(600_000));
        check("1h", Some(3_600_000));
        check("2d", Some(172_800_000));
        check("0s", Some(0));
    }

    #[test]
    fn nothing_else_is_one() {
        for text in ["", "5", "s", "-5s", "+5s", "1.5h", "5 s", "1h30m", "5S", "5sec", "५s"] {
            check(text, None);
        }
        check("18446744073709551615d", None);
        check("99999999999999999999s", None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1912),
            failure_persistence: None,
            ..Default::default()
        })]

        #[test]
        fn what_is_shown_reads_back(milliseconds: u64) {
            let duration = Duration::from_millis(milliseconds);
            proptest::prop_assert_eq!(parse(&show(duration)), Some(duration));
        }

        #[test]
        fn any_text_has_an_answer(text: String) {
            let _ = parse(&text);
        }
    }
}
