//! The bootstrap of `envoy/` with its addresses exchanged for those of a play. It knows no YAML:
//! it replaces whole texts, so that what is tested is the very file users are given.

use super::Error;

/// One text of the bootstrap and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The text, exactly as the file has it.
    pub from: String,
    /// What replaces each occurrence.
    pub to: String,
}

/// Replaces every text in `bootstrap`. All happen at once: what one puts in, none replaces again.
/// Where two begin at the same place, the longer wins.
///
/// # Errors
/// A text that does not occur, or is empty: the file and its readers no longer agree.
pub fn adapt(bootstrap: &str, replacements: &[Replacement]) -> Result<String, Error> {
    for Replacement { from, .. } in replacements {
        if from.is_empty() || !bootstrap.contains(from.as_str()) {
            return Err(Error::Replacement { missing: from.clone() });
        }
    }
    let mut adapted = String::with_capacity(bootstrap.len());
    let mut rest = bootstrap;
    while let Some(first) = rest.chars().next() {
        let hit = replacements
            .iter()
            .filter(|one| rest.starts_with(one.from.as_str()))
            .max_by_key(|one| one.from.len());
        if let Some(hit) = hit {
            adapted.push_str(&hit.to);
            rest = &rest[hit.from.len()..];
        } else {
            adapted.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(adapted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bootstrap: &str, replacements: &[(&str, &str)]) -> Result<String, String> {
        let replacements: Vec<Replacement> = replacements
            .iter()
            .map(|(from, to)| Replacement { from: (*from).into(), to: (*to).into() })
            .collect();
        adapt(bootstrap, &replacements).map_err(|error| error.to_string())
    }

    #[test]
    fn every_occurrence_is_replaced() {
        assert_eq!(check("a: 1\nb: 1", &[("1", "20")]).expect("fits"), "a: 20\nb: 20");
    }

    #[test]
    fn what_one_puts_in_no_other_replaces() {
        assert_eq!(check("8081 8082", &[("8081", "8082"), ("8082", "9")]).expect("fits"), "8082 9");
    }

    #[test]
    fn a_text_that_is_not_there_is_an_error_that_names_it() {
        let message = check("port_value: 10000", &[("9901", "1")]).expect_err("missing");
        assert!(message.contains("`9901`"), "{message}");
    }

    #[test]
    fn an_empty_text_is_an_error() {
        assert!(check("x", &[("", "y")]).is_err());
    }
}
