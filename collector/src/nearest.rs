//! The known word that is most like a mistyped one. It does not know what the words are for.

/// How alike a mistyped word must be (Jaro-Winkler, 0 to 1) to be suggested.
const LIKENESS: f64 = 0.8;

/// Characters of a word that are worth comparing.
pub(crate) const MAX_WORD_CHARS: usize = 64;

/// The word most like the one written, if any is like it.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.chars().count() > MAX_WORD_CHARS {
        return None;
    }
    let written = written.to_lowercase();
    let alike = |word: &'a str| {
        let lower = word.to_lowercase();
        let likeness = strsim::jaro_winkler(&written, &lower);
        // In short words one slip costs more likeness than that.
        let near = likeness >= LIKENESS || strsim::osa_distance(&written, &lower) <= 1;
        near.then_some((likeness, word))
    };
    known.into_iter().filter_map(alike).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}
