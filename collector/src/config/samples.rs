//! Where samples are kept, and how much of them. It does not know what they look like.

use std::path::PathBuf;
use std::time::Duration;

/// Samples as Parquet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Where.
    pub to: Shelf,
    /// How old they may get.
    pub retention: Duration,
    /// How many bytes all of them may have; past it the oldest go.
    pub max_bytes: u64,
    /// How long a file is added to before it is written.
    pub part: Duration,
}

/// A place for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shelf {
    /// A folder; absolute.
    Folder(PathBuf),
    /// A bucket of S3-compatible storage, and what the names of all files in it begin with.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The beginning of the names; may be empty.
        prefix: String,
    },
}
