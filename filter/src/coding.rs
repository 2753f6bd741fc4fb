//! Coding: whether a body's bytes may be something else than its text. Clients may say that they
//! are compressed; a server that does not look at what they say reads the bytes as they are.

use tidegate_contract::inflate::Coding;

/// The codings that some server undoes.
const UNDONE: [&str; 9] =
    ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "dcb", "dcz"];

/// Whether a value of `content-encoding` names a coding that some server undoes; of several the
/// last one is on the outside. A coding that nobody knows hides nothing.
pub fn may_hide(content_encoding: &str) -> bool {
    let mut codings = content_encoding.rsplit(',').map(str::trim);
    let outside = codings.find(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"));
    let outside = outside.unwrap_or_default();
    UNDONE.iter().any(|coding| outside.eq_ignore_ascii_case(coding))
}

/// Whether a body says of itself that it is a form. Some clients say so of all they send.
pub fn is_form(content_type: &str) -> bool {
    let form = "application/x-www-form-urlencoded";
    content_type.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form))
}

/// Whether a body can be compressed that begins with this byte. What begins as JSON does is taken for
/// that, although deflate without an envelope could begin so.
pub fn begins_packed(coding: Coding, first: u8) -> bool {
    match coding {
        Coding::Gzip => first == 0x1f,
        Coding::Deflate => !matches!(first, b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_known_by_its_first_byte() {
        assert!(begins_packed(Coding::Gzip, 0x1f) && !begins_packed(Coding::Gzip, b'{'));
        assert!(begins_packed(Coding::Deflate, 0x78) && begins_packed(Coding::Deflate, 0xab));
        assert!(!begins_packed(Coding::Deflate, b'{') && !begins_packed(Coding::Deflate, b'\n'));
    }

    #[test]
    fn only_codings_that_servers_undo_may_hide_a_body() {
        for (said, hides) in [
            ("", false),
            ("identity", false),
            ("x", false),
            ("GZIP", true),
            ("br, gzip", true),
            ("gzip, identity", true),
            ("x, identity,", false),
            ("br,", true),
            ("deflate", true),
        ] {
            assert_eq!(may_hide(said), hides, "{said}");
        }
    }
}
