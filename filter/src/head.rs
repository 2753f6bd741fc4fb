//! Heads: what the filter keeps of the headers of a request and of a response. Texts that a
//! stranger can choose are cut at a bound, and bytes that are not text do no harm. It does not
//! know what follows from them.

use std::net::IpAddr;

use tidegate_contract::protocol::Head;

/// Bytes kept of a header's value, where the filter passes it on to the collector.
const MAX_VALUE_BYTES: usize = 256;
/// The headers that only the filter may set.
pub const OWN_PREFIX: &[u8] = b"x-tidegate-";

/// The headers of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHead {
    /// `:method`.
    pub method: String,
    /// `:path`, with its query.
    pub path: String,
    /// `x-request-id`; empty where there is none.
    pub request_id: String,
    /// `traceparent`; empty where there is none.
    pub traceparent: String,
    /// Whether `:authority` says that this is a copy for a shadow.
    pub mirrored: bool,
    /// `content-type`.
    pub content_type: String,
    /// `content-encoding`; empty for identity.
    pub content_encoding: String,
    /// `grpc-encoding`; empty for identity.
    pub grpc_encoding: String,
    /// `content-length`, where it is a number.
    pub content_length: Option<u64>,
    /// Bytes of JSON that come before tensors as raw bytes (Open Inference Protocol's binary
    /// extension), where the request says so.
    pub json_bytes: Option<u64>,
    /// Names of headers that only the filter may set, and the client did. Envoy bounds their number.
    pub forged: Vec<String>,
    /// Headers that an order in force asks for, by their names in lower case.
    pub named: Vec<(String, Vec<u8>)>,
    /// The client's address, where an order in force asks for it and the host knows it.
    pub client: Option<IpAddr>,
}

/// The headers of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseHead {
    /// `:status`, 0 where there is none.
    pub status: u32,
    /// `content-type`.
    pub content_type: String,
    /// `content-encoding`; empty for identity.
    pub content_encoding: String,
    /// `grpc-encoding`; empty for identity.
    pub grpc_encoding: String,
    /// Bytes of JSON that come before tensors as raw bytes, as in [`RequestHead`].
    pub json_bytes: Option<u64>,
}

impl RequestHead {
    /// What it says of what is asked and how.
    pub fn asks(&self) -> Head<'_> {
        Head {
            method: &self.method,
            path: &self.path,
            content_type: &self.content_type,
            json_bytes: self.json_bytes,
        }
    }

    /// Picks what matters from a request's headers.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut head = Self::default();
        for (name, value) in pairs {
            match name {
                b":method" => head.method = text(value),
                // Not cut: a long query must not hide an inference request from the contract.
                b":path" => head.path = String::from_utf8_lossy(value).into_owned(),
                b":authority" => head.mirrored = is_mirrored(value),
                b"x-request-id" => head.request_id = text(value),
                b"traceparent" => head.traceparent = text(value),
                b"content-type" => head.content_type = text(value),
                b"content-encoding" => add_encoding(&mut head.content_encoding, value),
                // Of a gRPC message, whose frames say whether they are compressed.
                b"grpc-encoding" => head.grpc_encoding = encoding(value),
                b"content-length" => head.content_length = number(value),
                // Triton reads what is no number as 0.
                b"inference-header-content-length" => {
                    head.json_bytes = Some(number(value).unwrap_or(0));
                }
                name if name.starts_with(OWN_PREFIX) => {
                    head.forged.push(String::from_utf8_lossy(name).into_owned());
                }
                _ => {}
            }
        }
        head
    }
}

impl ResponseHead {
    /// Picks what matters from a response's headers.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut head = Self::default();
        for (name, value) in pairs {
            match name {
                b":status" => head.status = number(value).unwrap_or(0),
                b"content-type" => head.content_type = text(value),
                b"content-encoding" => add_encoding(&mut head.content_encoding, value),
                b"inference-header-content-length" => head.json_bytes = number(value),
                b"grpc-encoding" => head.grpc_encoding = encoding(value),
                _ => {}
            }
        }
        head
    }
}

/// Whether Envoy made this authority for a copy: it adds `-shadow` to the host, before the port.
fn is_mirrored(authority: &[u8]) -> bool {
    let port = authority.iter().rposition(|byte| *byte == b':').filter(|colon| {
        let port = authority.get(colon.saturating_add(1)..).unwrap_or_default();
        !port.is_empty() && port.iter().all(u8::is_ascii_digit)
    });
    authority.get(..port.unwrap_or(authority.len())).is_some_and(|host| host.ends_with(b"-shadow"))
}

fn text(value: &[u8]) -> String {
    let cut = value.get(..MAX_VALUE_BYTES).unwrap_or(value);
    String::from_utf8_lossy(cut).into_owned()
}

/// Adds one header's codings to those of the headers before it: several are one list (RFC 9110, 5.3).
fn add_encoding(all: &mut String, value: &[u8]) {
    let more = encoding(value);
    if !all.is_empty() && !more.is_empty() && all.len() < MAX_VALUE_BYTES {
        all.push(',');
        all.push_str(&more);
    } else if all.is_empty() {
        *all = more;
    }
}

fn encoding(value: &[u8]) -> String {
    if value.trim_ascii().eq_ignore_ascii_case(b"identity") { String::new() } else { text(value) }
}

fn number<N: std::str::FromStr>(value: &[u8]) -> Option<N> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &[u8])]) -> RequestHead {
        RequestHead::read(pairs.iter().map(|(name, value)| (name.as_bytes(), *value)))
    }

    #[test]
    fn what_matters_is_picked() {
        let head = read(&[
            (":method", b"POST"),
            (":path", b"/a?b=c"),
            ("content-length", b"12"),
            ("content-encoding", b" Identity"),
            ("x-request-id", b"id-1"),
            ("accept", b"*/*"),
        ]);
        assert_eq!(
            head,
            RequestHead {
                method: "POST".into(),
                path: "/a?b=c".into(),
                request_id: "id-1".into(),
                content_length: Some(12),
                ..RequestHead::default()
            }
        );
    }

    #[test]
    fn codings_of_several_headers_are_one_list() {
        let coded = |values: &[&[u8]]| {
            let pairs: Vec<(&str, &[u8])> =
                values.iter().map(|value| ("content-encoding", *value)).collect();
            read(&pairs).content_encoding
        };
        assert_eq!(coded(&[b"identity", b"gzip"]), "gzip");
        assert_eq!(coded(&[b"gzip", b"Identity"]), "gzip");
        assert_eq!(coded(&[b"gzip", b"br"]), "gzip,br");
        assert!(coded(&[&[b'x'; 300][..]; 9]).len() <= 2 * MAX_VALUE_BYTES + 1);
    }

    #[test]
    fn bytes_that_are_not_text_do_no_harm() {
        let head = read(&[("x-request-id", &[0xff, b'a']), ("content-length", &[0xff])]);
        assert_eq!(head.request_id, "\u{fffd}a");
        assert_eq!(head.content_length, None);
    }

    #[test]
    fn long_values_are_cut_but_not_the_path() {
        let long = vec![b'a'; 10_000];
        let head = read(&[("traceparent", &long), (":path", &long)]);
        assert_eq!((head.traceparent.len(), head.path.len()), (MAX_VALUE_BYTES, 10_000));
    }

    #[test]
    fn a_copy_is_known_by_its_host() {
        for (authority, mirrored) in [
            ("model-shadow", true),
            ("model-shadow:8080", true),
            ("[::1]-shadow:8080", true),
            ("model:8080", false),
            ("model-shadow.example", false),
            (":", false),
            ("", false),
        ] {
            assert_eq!(
                read(&[(":authority", authority.as_bytes())]).mirrored,
                mirrored,
                "{authority}"
            );
        }
    }

    #[test]
    fn headers_that_are_ours_alone_are_named() {
        let head = read(&[("x-tidegate-violations", b"none"), ("x-tide", b"")]);
        assert_eq!(head.forged, ["x-tidegate-violations"]);
    }
}
