//! The format of one body: how its bytes are written. Every reader of a body is chosen by it, in the
//! filter and, for the copy that was shipped, in the collector. It does not know how it was found
//! out, which is the matter of `protocol`.

use std::fmt;
use std::str::FromStr;

use crate::protocol::Side;

/// How the bytes of one body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// What holds the rows.
    pub layout: Layout,
    /// Whether a CloudEvent stands around it (structured mode: `data` holds the layout).
    pub cloud_event: bool,
}

/// What holds the rows of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Open Inference Protocol, REST: JSON around tensors.
    Oip,
    /// The same with its binary tensor extension: so many bytes of JSON, then tensors as raw bytes.
    OipBinary {
        /// What `Inference-Header-Content-Length` says.
        json_bytes: u64,
    },
    /// The same without any JSON: all bytes are those of the one tensor that there is.
    OipRaw,
    /// Open Inference Protocol, gRPC: length-prefixed `ModelInferRequest` or `ModelInferResponse`.
    OipGrpc,
    /// The same in a stream of answers: `ModelStreamInferResponse`.
    OipGrpcStream,
    /// KServe and TensorFlow Serving V1: `instances`, `inputs`, `predictions`, `outputs`.
    V1,
    /// MLflow's `/invocations` as JSON: `dataframe_split`, `dataframe_records`, and V1's keys.
    Mlflow,
    /// A table with a header line.
    Csv,
    /// JSON: one object of named fields, or an array of such objects.
    Record,
    /// An OpenAI-compatible request or answer.
    Openai,
    /// The same as a stream of server-sent events.
    OpenaiStream,
    /// What a reader told, written down.
    Transcript,
}

/// The layouts that are one word.
const WORDS: [(&str, Layout); 11] = [
    ("oip", Layout::Oip),
    ("oip-raw", Layout::OipRaw),
    ("oip-grpc", Layout::OipGrpc),
    ("oip-grpc-stream", Layout::OipGrpcStream),
    ("v1", Layout::V1),
    ("mlflow", Layout::Mlflow),
    ("csv", Layout::Csv),
    ("json", Layout::Record),
    ("openai", Layout::Openai),
    ("openai-stream", Layout::OpenaiStream),
    ("transcript", Layout::Transcript),
];
const BINARY: &str = "oip-binary:";
const EVENT: &str = "cloudevent+";

impl Format {
    /// A format without a CloudEvent around it.
    pub const fn plain(layout: Layout) -> Self {
        Self { layout, cloud_event: false }
    }

    /// What the bytes should be, in words.
    pub fn expected(self, side: Side) -> &'static str {
        match (self.layout, side) {
            (Layout::Oip | Layout::OipBinary { .. }, Side::Request) => {
                "an inference request of the V2 protocol"
            }
            (Layout::Oip | Layout::OipBinary { .. }, Side::Response) => {
                "an inference response of the V2 protocol"
            }
            (Layout::OipRaw, _) => "the bytes of the one tensor that the contract names",
            (Layout::OipGrpc | Layout::OipGrpcStream, Side::Request) => {
                "a ModelInferRequest of the V2 protocol"
            }
            (Layout::OipGrpc | Layout::OipGrpcStream, Side::Response) => {
                "a ModelInferResponse of the V2 protocol"
            }
            (Layout::V1, Side::Request) => "JSON with `instances` or `inputs`",
            (Layout::V1, Side::Response) => "JSON with `predictions` or `outputs`",
            (Layout::Mlflow, Side::Request) => {
                "JSON with `dataframe_split`, `dataframe_records`, `instances` or `inputs`"
            }
            (Layout::Mlflow, Side::Response) => "JSON with `predictions`",
            (Layout::Csv, _) => "CSV with a header line",
            (Layout::Record, _) => "JSON: one object of named fields, or an array of such",
            (Layout::Openai, Side::Request) => "an OpenAI-compatible request",
            (Layout::Openai, Side::Response) => "an OpenAI-compatible answer",
            (Layout::OpenaiStream, _) => "server-sent events of OpenAI's form",
            (Layout::Transcript, _) => "a transcript of rows",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cloud_event {
            f.write_str(EVENT)?;
        }
        if let Layout::OipBinary { json_bytes } = self.layout {
            return write!(f, "{BINARY}{json_bytes}");
        }
        f.write_str(WORDS.iter().find(|(_, it)| *it == self.layout).map_or("", |(word, _)| word))
    }
}

/// A format that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no format of a body")]
pub struct Unknown(pub String);

impl FromStr for Format {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let (cloud_event, word) = match text.strip_prefix(EVENT) {
            Some(word) => (true, word),
            None => (false, text),
        };
        let layout = match word.strip_prefix(BINARY) {
            Some(bytes) => bytes.parse().ok().map(|json_bytes| Layout::OipBinary { json_bytes }),
            None => WORDS.iter().find(|(known, _)| *known == word).map(|(_, layout)| *layout),
        };
        let layout = layout.ok_or_else(|| Unknown(text.chars().take(64).collect()))?;
        Ok(Self { layout, cloud_event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_as_it_is_written() {
        let binary = Layout::OipBinary { json_bytes: 171 };
        for layout in WORDS.into_iter().map(|(_, layout)| layout).chain([binary]) {
            for cloud_event in [false, true] {
                let format = Format { layout, cloud_event };
                assert_eq!(format.to_string().parse(), Ok(format));
            }
        }
        for wrong in ["", "oip-binary:", "oip-binary:-1", "cloudevent+", "OIP"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
