//! How a value is written in a file that has only text: whole number, number, boolean. It does not
//! know about nulls or columns.

/// What a text can be read as; the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `3`, `-3`, `007`: digits with a sign.
    Whole,
    /// `3.0`, `.5`, `1e9`, `-inf`: a number that is not written as a whole one.
    Number,
    /// `true`, `False`.
    Boolean,
    /// Anything else.
    Text,
}

/// Tells how a text is written. Grouped digits (`1,000`), hexadecimals and units are text.
pub fn of(text: &str) -> Spelling {
    if boolean(text).is_some() {
        return Spelling::Boolean;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned.as_bytes().first() {
        Some(b'0'..=b'9') if unsigned.bytes().all(|byte| byte.is_ascii_digit()) => Spelling::Whole,
        Some(b'0'..=b'9' | b'.' | b'i' | b'I') if text.parse::<f64>().is_ok() => Spelling::Number,
        _ => Spelling::Text,
    }
}

/// Reads a number, and whether it is written as a whole one. `None` for what [`of`] calls no number.
pub fn number(text: &str) -> Option<(f64, bool)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (first, rest) = unsigned.as_bytes().split_first()?;
    match first {
        b'0'..=b'9' if rest.len() < 15 && rest.iter().all(u8::is_ascii_digit) => {
            let digits = unsigned.bytes();
            // Up to fifteen digits are exact in a double.
            let value = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')) as f64;
            Some((if text.starts_with('-') { -value } else { value }, true))
        }
        b'0'..=b'9' | b'.' | b'i' | b'I' => {
            let whole = unsigned.bytes().all(|byte| byte.is_ascii_digit());
            Some((text.parse().ok()?, whole))
        }
        _ => None,
    }
}

/// Reads `true` and `false` in lower, upper and title case.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Spelling, number, of};

    fn check(spelling: Spelling, texts: &[&str]) {
        for text in texts {
            assert_eq!(of(text), spelling, "{text}");
        }
    }

    #[test]
    fn digits_with_a_sign_are_whole() {
        check(Spelling::Whole, &["0", "-3", "+3", "007", "123456789012345678901234567890"]);
    }

    #[test]
    fn fractions_exponents_and_infinities_are_numbers() {
        check(Spelling::Number, &["3.0", ".5", "5.", "1e9", "-1.5E-3", "inf", "-Infinity"]);
    }

    #[test]
    fn numbers_are_read_as_they_are_told() {
        let texts = [
            "0",
            "-0",
            "007",
            "-3",
            "+3",
            "999999999999999",
            "123456789012345678901234567890",
            "3.0",
            ".5",
            "5.",
            "-1.5E-3",
            "inf",
            "-Infinity",
            "1e",
            "-",
            "",
            "1-2",
            "nan",
            "true",
        ];
        for text in texts {
            let expected = match of(text) {
                Spelling::Whole => Some((text.parse::<f64>().expect("a number"), true)),
                Spelling::Number => Some((text.parse::<f64>().expect("a number"), false)),
                _ => None,
            };
            let bits =
                |read: Option<(f64, bool)>| read.map(|(value, whole)| (value.to_bits(), whole));
            assert_eq!(bits(number(text)), bits(expected), "{text}");
        }
    }

    #[test]
    fn only_the_words_of_python_and_json_are_booleans() {
        check(Spelling::Boolean, &["true", "False", "TRUE"]);
        check(Spelling::Text, &["yes", "t", "tRuE"]);
    }

    #[test]
    fn what_needs_interpretation_stays_text() {
        check(
            Spelling::Text,
            &["", "-", "1,000", "10k", "0x1f", "1e", "1986-01-02", "nan", "info"],
        );
    }
}
