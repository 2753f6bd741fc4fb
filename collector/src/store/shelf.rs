//! The shelf: where files lie, a folder or a bucket of S3-compatible storage; and a bucket to read from.
//! The only file that names the storage library. It does not know what is in the files.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig,
};
use tokio_stream::StreamExt;

use crate::config::samples::Shelf as Configured;
use crate::decision::UnixMillis;

/// How long the storage may take for one request.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a request is tried again.
const RETRIES: usize = 3;

/// Why the shelf cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("samples.to: {0}")]
pub struct ShelfError(String);

/// A file on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was written.
    pub written_unix_ms: UnixMillis,
}

/// A place for files.
#[derive(Debug, Clone)]
pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Shelf {
    /// The shelf that is configured. A folder is made where it is not there; credentials, region and
    /// endpoint of a bucket are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
    /// `AWS_ENDPOINT_URL` and so on).
    ///
    /// # Errors
    /// When the folder cannot be made, or the environment makes no sense.
    pub fn of(configured: &Configured) -> Result<Self, ShelfError> {
        let failed = |error: Error| ShelfError(error.to_string());
        match configured {
            Configured::Folder(folder) => {
                let cannot = |error: std::io::Error| {
                    ShelfError(format!("cannot make the folder {}: {error}", folder.display()))
                };
                std::fs::create_dir_all(folder).map_err(cannot)?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
                Ok(Self {
                    store: Arc::new(store.with_automatic_cleanup(true)),
                    prefix: String::new(),
                })
            }
            Configured::Bucket { bucket, prefix } => {
                let store = of_environment(bucket).map_err(failed)?;
                Ok(Self { store: Arc::new(store), prefix: prefix.clone() })
            }
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Puts a file there. It is there whole or not at all.
    ///
    /// # Errors
    /// In words, when the storage refuses.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        let put = self.store.put(&self.path(name), PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The files that lie there.
    ///
    /// # Errors
    /// In words, when the storage does not say.
    pub async fn list(&self) -> Result<Vec<Lying>, String> {
        let prefix = Path::from(self.prefix.as_str());
        let mut listed = self.store.list(Some(&prefix));
        let mut lying = Vec::new();
        while let Some(found) = listed.next().await {
            let found = found.map_err(|error| error.to_string())?;
            let name = found.location.as_ref();
            let name = name.strip_prefix(&self.prefix).unwrap_or(name).trim_start_matches('/');
            let written = found.last_modified.timestamp_millis();
            lying.push(Lying {
                name: name.to_owned(),
                bytes: found.size,
                written_unix_ms: u64::try_from(written).unwrap_or(0),
            });
        }
        Ok(lying)
    }

    /// Takes a file away.
    ///
    /// # Errors
    /// In words, when the storage refuses.
    pub async fn remove(&self, name: &str) -> Result<(), String> {
        let removed = self.store.delete(&self.path(name)).await;
        removed.map_err(|error| error.to_string())
    }
}

/// A bucket, with credentials, region and endpoint of the environment.
fn of_environment(bucket: &str) -> Result<AmazonS3, Error> {
    // The first that asks decides for the process; a second one changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ClientOptions::new().with_timeout(PATIENCE).with_allow_http(true);
    let retry =
        RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
    AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_retry(retry)
        .build()
}

/// Why a bucket gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such bucket or object.
    #[error("nothing is there")]
    Absent,
    /// Who asks is not known, or may not have it.
    #[error("access is refused")]
    Denied,
    /// The object is no longer what it was.
    #[error("it changed while it was read")]
    Changed,
    /// There are more objects than wanted.
    #[error("there are more than {0} objects")]
    Many(usize),
    /// Anything else, in the library's words.
    #[error("{0}")]
    Other(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Absent,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied,
            Error::Precondition { .. } => Self::Changed,
            other => Self::of_words(&other.to_string()),
        }
    }
}

impl Refusal {
    /// Of lists the library gives the storage's answer in words only. Where it was given no credentials
    /// it asks the machine for them (`/latest/api/token`), and most machines have none.
    fn of_words(words: &str) -> Self {
        let says = |part: &str| words.contains(part);
        if says("<Code>NoSuchBucket</Code>") {
            Self::Absent
        } else if says("401 Unauthorized") || says("403 Forbidden") || says("/latest/api/token") {
            Self::Denied
        } else {
            Self::Other(words.lines().collect::<Vec<_>>().join(" "))
        }
    }
}

/// An object of a bucket, as it was when it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub bytes: u64,
    version: Option<String>,
}

impl From<ObjectMeta> for Object {
    fn from(found: ObjectMeta) -> Self {
        Self { key: found.location.into(), bytes: found.size, version: found.e_tag }
    }
}

/// A bucket of S3-compatible storage that is read from.
#[derive(Debug)]
pub struct Bucket(AmazonS3);

impl Bucket {
    /// The bucket of this name, as [`Shelf::of`] finds it. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the environment makes no sense.
    pub fn open(name: &str) -> Result<Self, Refusal> {
        Ok(Self(of_environment(name)?))
    }

    /// The object of this key.
    ///
    /// # Errors
    /// When there is none, or the storage does not say.
    pub async fn find(&self, key: &str) -> Result<Object, Refusal> {
        Ok(self.0.head(&parsed(key)?).await?.into())
    }

    /// The objects whose keys go on below this one, as files do in a folder; all where it is empty.
    ///
    /// # Errors
    /// When there are more than `most`, or the storage does not say.
    pub async fn below(&self, key: &str, most: usize) -> Result<Vec<Object>, Refusal> {
        let mut listed = self.0.list(Some(&parsed(key)?));
        let mut objects = Vec::new();
        while let Some(found) = listed.next().await {
            if objects.len() == most {
                return Err(Refusal::Many(most));
            }
            objects.push(found?.into());
        }
        Ok(objects)
    }

    /// These bytes of an object, all of which it has.
    ///
    /// # Errors
    /// When it is not the one that was found any more, or the storage refuses.
    pub async fn part(&self, object: &Object, part: Range<u64>) -> Result<Vec<u8>, Refusal> {
        let options =
            GetOptions::new().with_range(Some(part)).with_if_match(object.version.clone());
        let found = self.0.get_opts(&parsed(&object.key)?, options).await?;
        Ok(found.bytes().await?.into())
    }
}

/// A key as it stands: nothing in it is escaped.
fn parsed(key: &str) -> Result<Path, Refusal> {
    Path::parse(key).map_err(|error| Refusal::Other(error.to_string()))
}
