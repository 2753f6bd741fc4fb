//! Coding: whether a body's bytes may be something else than its text. Clients may say that they
//! are compressed; a server that does not look at what they say reads the bytes as they are.

/// The codings that some server undoes.
const UNDONE: [&str; 9] =
    ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "dcb", "dcz"];

/// Whether a value of `content-encoding` names a coding that some server undoes; of several the
/// last one is on the outside. A coding that nobody knows hides nothing.
pub fn may_hide(content_encoding: &str) -> bool {
    let outside = content_encoding.rsplit(',').next().unwrap_or_default().trim();
    UNDONE.iter().any(|coding| outside.eq_ignore_ascii_case(coding))
}

#[cfg(test)]
mod tests {
    use super::may_hide;

    #[test]
    fn only_codings_that_servers_undo_may_hide_a_body() {
        for (said, hides) in [
            ("", false),
            ("identity", false),
            ("x", false),
            ("GZIP", true),
            ("br, gzip", true),
            ("gzip, identity", false),
            ("deflate", true),
        ] {
            assert_eq!(may_hide(said), hides, "{said}");
        }
    }
}
