//! Coding: whether a body's bytes are its text. Clients may say that it is compressed; a server
//! that does not look at what they say reads the bytes as they are, and so must the contract.

/// What `content-encoding` tells of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The bytes are the text. So is every coding that nobody knows.
    Plain,
    /// gzip or zstd, if the first byte agrees: no such body begins like JSON.
    ByFirstByte,
    /// A coding whose bodies may begin with any byte.
    Opaque,
}

impl Coding {
    /// Reads the value of `content-encoding`; of several codings the last one is on the outside.
    pub fn of(content_encoding: &str) -> Self {
        let outside = content_encoding.rsplit(',').next().unwrap_or_default().trim();
        let is = |names: &[&str]| names.iter().any(|name| outside.eq_ignore_ascii_case(name));
        if is(&["gzip", "x-gzip", "zstd"]) {
            Self::ByFirstByte
        } else if is(&["deflate", "br", "compress", "x-compress", "dcb", "dcz"]) {
            Self::Opaque
        } else {
            Self::Plain
        }
    }

    /// The coding, once the body's first byte is known: plain or opaque.
    pub fn settled(self, first: u8) -> Self {
        let json = first.is_ascii_whitespace() || matches!(first, b'{' | b'[');
        match self {
            Self::ByFirstByte if json => Self::Plain,
            Self::ByFirstByte | Self::Opaque => Self::Opaque,
            Self::Plain => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Coding;

    #[test]
    fn only_codings_that_servers_undo_hide_a_body() {
        for (said, coding) in [
            ("", Coding::Plain),
            ("identity", Coding::Plain),
            ("x", Coding::Plain),
            ("GZIP", Coding::ByFirstByte),
            ("br, gzip", Coding::ByFirstByte),
            ("gzip, br", Coding::Opaque),
            ("deflate", Coding::Opaque),
        ] {
            assert_eq!(Coding::of(said), coding, "{said}");
        }
    }

    #[test]
    fn a_body_that_is_only_said_to_be_gzip_is_read() {
        assert_eq!(Coding::ByFirstByte.settled(b'{'), Coding::Plain);
        assert_eq!(Coding::ByFirstByte.settled(0x1f), Coding::Opaque);
        assert_eq!(Coding::Opaque.settled(b'{'), Coding::Opaque);
    }
}
