//! The tag: violations as the value of a header, bounded and safe for HTTP. It does not know on
//! which message it is set.

use std::fmt::Write as _;

use tidegate_contract::check::Verdict;
use tidegate_contract::violation::Kind;

/// The header's name.
pub const HEADER: &str = "x-tidegate-violations";
/// The header that sends a request to the fallback version; routes match it.
pub const DIVERT: &str = "x-tidegate-divert";
/// Violations named in a tag.
const MAX_NAMED: usize = 4;
/// Characters of a field's name.
const MAX_FIELD_CHARS: usize = 64;

/// `KIND;field=NAME, KIND;field=NAME`, then how many there were where that is more; `None` when
/// nothing was found.
pub fn of(verdict: &Verdict) -> Option<String> {
    if verdict.count == 0 && verdict.violations.is_empty() && !verdict.unreadable {
        return None;
    }
    let mut tag = String::new();
    for violation in verdict.violations.iter().take(MAX_NAMED) {
        if !tag.is_empty() {
            tag.push_str(", ");
        }
        tag.push_str(violation.kind.name());
        if !violation.field.is_empty() {
            tag.push_str(";field=");
            tag.extend(violation.field.chars().take(MAX_FIELD_CHARS).map(safe));
        }
    }
    if tag.is_empty() {
        tag.push_str(Kind::BodyUnreadable.name());
    }
    if verdict.count > MAX_NAMED as u64 {
        let _ = write!(tag, ";count={}", verdict.count);
    }
    Some(tag)
}

/// What a token of HTTP may hold, and `_` for the rest.
fn safe(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "-._[]".contains(letter) { letter } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_contract::violation::Violation;

    fn verdict(fields: &[&str]) -> Verdict {
        Verdict {
            violations: fields
                .iter()
                .map(|field| Violation {
                    kind: Kind::SchemaMissingColumn,
                    field: (*field).to_owned(),
                    row: None,
                    expected: String::new(),
                    got: String::new(),
                })
                .collect(),
            count: fields.len() as u64,
            ..Verdict::default()
        }
    }

    #[test]
    fn a_good_verdict_has_no_tag() {
        assert_eq!(of(&Verdict::default()), None);
    }

    #[test]
    fn kinds_and_fields_are_named() {
        assert_eq!(
            of(&verdict(&["age", ""])).unwrap(),
            "SCHEMA_MISSING_COLUMN;field=age, SCHEMA_MISSING_COLUMN"
        );
        assert_eq!(
            of(&Verdict { unreadable: true, ..Verdict::default() }).unwrap(),
            "BODY_UNREADABLE"
        );
    }

    #[test]
    fn no_field_name_can_break_out_of_the_header() {
        let hostile = "a\r\nset-cookie: x=1, \u{1F30A};".repeat(100);
        let tag = of(&verdict(&[hostile.as_str(); 16])).unwrap();
        assert!(tag.len() < 500, "{}", tag.len());
        assert!(tag.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert!(!tag.contains('\n') && tag.ends_with(";count=16"));
    }
}
