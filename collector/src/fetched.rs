//! Data that a command was given, as local files: what lies in S3-compatible storage is copied to a
//! folder of its own, which is gone when the command ends. It does not read the files.
//!
//! A key is a file, or a folder of those below it. What is copied is bounded before the first byte
//! comes. Interrupted, the command takes its folder along; killed, it leaves it in the system's folder
//! for such files, under a name that begins with `tidegate-`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::meter::Meter;
use crate::store::shelf::{Bucket, Object, Refusal};
use crate::table::folder::{MAX_FILES, is_hidden, is_table};

/// What an address of S3-compatible storage begins with.
const SCHEME: &str = "s3://";
/// Objects that are looked at below a key.
const MAX_OBJECTS: usize = 100_000;
/// Bytes of one request.
const PART: u64 = 8 << 20;
/// What a shell says of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// How data is fetched.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct FetchArgs {
    /// Of data in S3-compatible storage (s3://BUCKET/KEY), the bytes that may be copied to a folder
    /// in TMPDIR while it is read
    #[arg(long, value_name = "BYTES", default_value_t = FetchArgs::default().max_download_bytes)]
    pub max_download_bytes: u64,
}

impl Default for FetchArgs {
    fn default() -> Self {
        Self { max_download_bytes: 10_000_000_000 }
    }
}

/// Why data could not be fetched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each field is
pub enum FetchError {
    #[error(
        "{data}: local files can be read, and s3://BUCKET/KEY; copy the data to one of them first"
    )]
    Foreign { data: String },
    #[error(
        "{data} names no bucket; write s3://BUCKET/KEY, such as s3://my-bucket/january.parquet"
    )]
    NoBucket { data: String },
    #[error(
        "s3://{bucket}/{key}: nothing is there, neither an object of this key nor a CSV or Parquet file \
         below it; see the spelling, and whether AWS_REGION and AWS_ENDPOINT_URL are the bucket's"
    )]
    Absent { bucket: String, key: String },
    #[error(
        "s3://{bucket}/{key}: access is refused; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and \
         AWS_SESSION_TOKEN, where there is one) of who may list and read it, or AWS_SKIP_SIGNATURE=true \
         where anybody may"
    )]
    Denied { bucket: String, key: String },
    #[error("s3://{bucket}/{key} changed while it was read: try again")]
    Changed { bucket: String, key: String },
    #[error("s3://{bucket}/{key}: there are more than {most} objects below it: name fewer")]
    Many { bucket: String, key: String, most: usize },
    #[error(
        "s3://{bucket}/{key} has {bytes} bytes, and {most} may be copied; name less of it, or raise \
         --max-download-bytes"
    )]
    Large { bucket: String, key: String, bytes: u64, most: u64 },
    #[error(
        "s3://{bucket}/{key}: the storage did not answer as it should; see AWS_ENDPOINT_URL, AWS_REGION and \
         the credentials in AWS_*: {why}"
    )]
    Failed { bucket: String, key: String, why: String },
    #[error("cannot copy data to {}: {source}; TMPDIR names another folder", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// What a command was given, and where it lies here.
#[derive(Debug)]
pub struct Fetched {
    paths: Vec<PathBuf>,
    copies: Option<Copies>,
}

/// The folder of copies, and who takes it away where the command is interrupted.
#[derive(Debug)]
struct Copies {
    folder: TempDir,
    /// Dropped last, so that the folder is watched until it is gone.
    _watching: Runtime,
}

impl Fetched {
    /// Local paths as they are, and copies of what is not local.
    ///
    /// # Errors
    /// When something is not there, too large, or cannot be copied; nothing is left of the copies then.
    pub fn of(data: &[PathBuf], args: &FetchArgs) -> Result<Self, FetchError> {
        let places: Vec<Option<Place>> =
            data.iter().map(|data| place(data)).collect::<Result<_, _>>()?;
        if places.iter().all(Option::is_none) {
            return Ok(Self { paths: data.to_vec(), copies: None });
        }
        let temporary = std::env::temp_dir();
        let cannot = |source| FetchError::Write { path: temporary.clone(), source };
        let folder = tempfile::Builder::new().prefix("tidegate-").tempdir().map_err(cannot)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(cannot)?;
        runtime.block_on(async { watch(folder.path()) }).map_err(cannot)?;
        let mut left = args.max_download_bytes;
        let mut paths = Vec::with_capacity(data.len());
        for (data, place) in data.iter().zip(places) {
            paths.push(match place {
                None => data.clone(),
                Some(place) => {
                    let (path, bytes) = runtime.block_on(place.copy(folder.path(), left))?;
                    left -= bytes;
                    path
                }
            });
        }
        Ok(Self { paths, copies: Some(Copies { folder, _watching: runtime }) })
    }

    /// Where the data lies, in the order it was given.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// What the one who typed calls a file below these paths.
    #[must_use]
    pub fn name(&self, file: &Path) -> PathBuf {
        let copies = self.copies.as_ref().map(|copies| copies.folder.path());
        match copies.and_then(|folder| file.strip_prefix(folder).ok()) {
            Some(below) => PathBuf::from(format!("{SCHEME}{}", below.display())),
            None => file.to_owned(),
        }
    }
}

/// Takes the folder away and ends the process where it is interrupted or told to end.
fn watch(folder: &Path) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let folder = folder.to_owned();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
        // Whoever is about to end can do no more about it.
        let _ = fs::remove_dir_all(folder);
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// A place in S3-compatible storage.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    key: String,
}

/// Whether data lies in S3-compatible storage, by its address.
#[must_use]
pub fn is_remote(data: &Path) -> bool {
    data.to_string_lossy().starts_with(SCHEME)
}

/// The place that was named; `None` for what is local.
fn place(data: &Path) -> Result<Option<Place>, FetchError> {
    let text = data.to_string_lossy().into_owned();
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return if text.contains("://") {
            Err(FetchError::Foreign { data: text })
        } else {
            Ok(None)
        };
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(FetchError::NoBucket { data: text });
    }
    Ok(Some(Place { bucket: bucket.to_owned(), key: key.trim_matches('/').to_owned() }))
}

impl Place {
    /// Copies what is there below `folder`, at most so many bytes: where it lies now, and the bytes.
    async fn copy(&self, folder: &Path, most: u64) -> Result<(PathBuf, u64), FetchError> {
        let refused = |refusal| self.refused(refusal);
        let bucket = Bucket::open(&self.bucket).map_err(refused)?;
        let objects = self.objects(&bucket).await.map_err(refused)?;
        let bytes = objects.iter().fold(0_u64, |sum, object| sum.saturating_add(object.bytes));
        let Place { bucket: name, key } = self.clone();
        if objects.is_empty() {
            return Err(FetchError::Absent { bucket: name, key });
        }
        if objects.len() > MAX_FILES {
            return Err(FetchError::Many { bucket: name, key, most: MAX_FILES });
        }
        if bytes > most {
            return Err(FetchError::Large { bucket: name, key, bytes, most });
        }
        let of_bucket = folder.join(name);
        let mut meter = Meter::start("copying");
        let mut copied = 0;
        for object in &objects {
            let path = of_bucket.join(&object.key);
            self.write(&bucket, object, &path, &mut |part| {
                copied += part;
                meter.copied(copied, bytes);
            })
            .await?;
        }
        Ok((of_bucket.join(key), bytes))
    }

    /// The object of this key, or the tables below it.
    async fn objects(&self, bucket: &Bucket) -> Result<Vec<Object>, Refusal> {
        if !self.key.is_empty() {
            match bucket.find(&self.key).await {
                Ok(object) => return Ok(vec![object]),
                Err(Refusal::Absent) => (),
                Err(refusal) => return Err(refusal),
            }
        }
        let mut objects = bucket.below(&self.key, MAX_OBJECTS).await?;
        objects.retain(|object| {
            let below = object.key.strip_prefix(&self.key).unwrap_or(&object.key);
            is_table(Path::new(below)) && !below.split('/').any(is_hidden)
        });
        Ok(objects)
    }

    /// Writes an object to a file, and says how far it came after each part.
    async fn write(
        &self,
        bucket: &Bucket,
        object: &Object,
        path: &Path,
        each: &mut dyn FnMut(u64),
    ) -> Result<(), FetchError> {
        let cannot = |source| FetchError::Write { path: path.to_owned(), source };
        let of_object = Self { bucket: self.bucket.clone(), key: object.key.clone() };
        fs::create_dir_all(path.parent().unwrap_or(path)).map_err(cannot)?;
        let mut file = fs::File::create_new(path).map_err(cannot)?;
        let mut from = 0;
        while from < object.bytes {
            let upto = object.bytes.min(from + PART);
            let part = bucket.part(object, from..upto).await;
            let part = part.map_err(|refusal| of_object.refused(refusal))?;
            file.write_all(&part).map_err(cannot)?;
            each(upto - from);
            from = upto;
        }
        Ok(())
    }

    fn refused(&self, refusal: Refusal) -> FetchError {
        let Place { bucket, key } = self.clone();
        match refusal {
            Refusal::Absent => FetchError::Absent { bucket, key },
            Refusal::Denied => FetchError::Denied { bucket, key },
            Refusal::Changed => FetchError::Changed { bucket, key },
            Refusal::Many(most) => FetchError::Many { bucket, key, most },
            Refusal::Other(why) => FetchError::Failed { bucket, key, why },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_a_key_and_a_path_is_none() {
        let of = |text: &str| place(Path::new(text));
        let found = |text: &str| of(text).expect("a place").map(|place| (place.bucket, place.key));
        let pair = |bucket: &str, key: &str| Some((bucket.to_owned(), key.to_owned()));
        assert_eq!(found("s3://data/2026/january.parquet"), pair("data", "2026/january.parquet"));
        assert_eq!(found("s3://data/2026/"), pair("data", "2026"));
        assert_eq!(found("s3://data"), pair("data", ""));
        assert_eq!(found("./s3/january.csv"), None);
        assert!(matches!(of("s3:///january.csv"), Err(FetchError::NoBucket { .. })));
        assert!(matches!(of("gs://data/january.csv"), Err(FetchError::Foreign { .. })));
    }

    #[test]
    fn local_data_stays_where_it_is() {
        let data = [PathBuf::from("january.csv"), PathBuf::from("february")];
        let fetched = Fetched::of(&data, &FetchArgs::default()).expect("nothing to fetch");
        assert_eq!(fetched.paths(), data);
        assert_eq!(fetched.name(&data[0]), data[0]);
    }
}
