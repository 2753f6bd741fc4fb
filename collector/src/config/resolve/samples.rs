//! The samples that are kept: where, how long, how many bytes. It does not know whether the place exists.

use std::path::Path;
use std::time::Duration;

use super::range::{lasting, within};
use super::{absolute, is_visible, unreadable};
use crate::config::mistake::Mistakes;
use crate::config::raw;
use crate::config::reader::Written;
use crate::config::samples::{Samples, Shelf};

const RETENTION: Duration = Duration::from_hours(30 * 24);
const RETENTIONS: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(3650 * 24)];
const MAX_BYTES: u64 = 10_000_000_000;
const BYTES: [u64; 2] = [1_000_000, 1_000_000_000_000_000];
const PART: Duration = Duration::from_mins(1);
const PARTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_hours(1)];

pub(super) fn one(
    raw: Written<raw::Samples>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Samples> {
    let Written { value: raw, place } = raw;
    let to = raw.to.required("to", "./samples", &place, mistakes);
    let to = to.and_then(|to| shelf(&to, folder, mistakes));
    let retention = lasting(raw.retention, RETENTIONS[0], RETENTIONS[1], mistakes);
    let max_bytes = within(raw.max_bytes, BYTES[0], BYTES[1], mistakes);
    let part = lasting(raw.part, PARTS[0], PARTS[1], mistakes);
    Some(Samples {
        to: to?,
        retention: retention.or(RETENTION)?,
        max_bytes: max_bytes.or(MAX_BYTES)?,
        part: part.or(PART)?,
    })
}

fn shelf(to: &Written<String>, folder: &Path, mistakes: &mut Mistakes) -> Option<Shelf> {
    let Some(rest) = to.value.strip_prefix("s3://") else {
        if to.value.contains("://") {
            return unreadable(to, "a folder such as ./samples, or s3://BUCKET/PREFIX", mistakes);
        }
        return Some(Shelf::Folder(absolute(&to.value, folder)));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let good = (3..=63).contains(&bucket.len())
        && bucket.chars().all(letter)
        && prefix.len() <= 512
        && prefix.chars().all(is_visible);
    let prefix = prefix.trim_matches('/').to_owned();
    if good {
        return Some(Shelf::Bucket { bucket: bucket.to_owned(), prefix });
    }
    unreadable(to, "a bucket such as s3://my-bucket/samples", mistakes)
}
