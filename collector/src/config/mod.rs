//! tidegate.yaml: what a person wrote, resolved into a configuration that cannot be wrong.
//! It does not know whether the files and clusters that it names exist.

pub mod duration;
pub mod guard;
pub mod metric;
pub mod mistake;
pub mod model;
mod raw;
mod reader;
mod resolve;
pub mod rollout;
pub mod rule;
pub mod samples;
pub mod state;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mistake::{ConfigError, Mistakes};
use model::Model;
use samples::Samples;
use state::State;

/// The text of a scalar in a YAML file, by the keys that lead to it; `None` where there is none.
///
/// # Errors
/// In words, when the file is no YAML.
pub(crate) fn text_at(bytes: &[u8], keys: &[&str]) -> Result<Option<String>, String> {
    let mut mistakes = Mistakes::default();
    let Some(mut node) = yaml::parse(bytes, &mut mistakes) else {
        return Err("it is not readable as YAML".to_owned());
    };
    for key in keys {
        let yaml::NodeKind::Mapping(entries) = &node.kind else { return Ok(None) };
        let Some(entry) = entries.iter().find(|entry| entry.key == **key) else { return Ok(None) };
        node = Rc::clone(&entry.value);
    }
    match &node.kind {
        yaml::NodeKind::Scalar { text, plain }
            if !(*plain && matches!(&**text, "" | "null" | "~")) =>
        {
            Ok(Some(text.clone()))
        }
        _ => Ok(None),
    }
}

/// The most bytes that a configuration may have.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The whole configuration of a collector. One that [`Config::read`] or [`Config::parse`] returned
/// keeps every promise that its fields' documentation makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the collector listens.
    pub listen: Listen,
    /// Where decisions are kept.
    pub state: State,
    /// What Envoy must know of us.
    pub envoy: Envoy,
    /// Where the collector's own traces go.
    pub telemetry: Telemetry,
    /// Where samples are kept, if anywhere.
    pub samples: Option<Samples>,
    /// The models behind the gate, in the order in which the filter tries their routes; at least
    /// one, with names and routes that tell them apart.
    pub models: Vec<Model>,
}

/// The two doors of the collector. On loopback unless somebody wrote otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Samples in, xDS out.
    pub grpc: SocketAddr,
    /// API, metrics, health.
    pub http: SocketAddr,
}

/// What the configuration that is pushed to Envoy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envoy {
    /// The filter's module, as Envoy's own machine sees it; absolute.
    pub filter: PathBuf,
    /// Envoy's cluster for the collector.
    pub collector_cluster: String,
}

/// The collector's own telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// An OTLP receiver (`http://` or `https://`); without it no span leaves the process.
    pub otlp_endpoint: Option<String>,
}

impl Config {
    /// Reads and resolves a file. Relative paths in it are taken from the file's own folder.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], or holds mistakes: then all
    /// of them are in the error, in the order of the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { file: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        let whole = std::path::absolute(path).map_err(unreadable)?;
        let folder = whole.parent().unwrap_or(&whole);
        Self::parse(&bytes, path, folder)
    }

    /// Resolves the bytes of a configuration. `file` is only named in messages; relative paths are
    /// taken from `folder`.
    ///
    /// # Errors
    /// When there are more than [`MAX_FILE_BYTES`], or mistakes: then all of them are in the error.
    pub fn parse(bytes: &[u8], file: &Path, folder: &Path) -> Result<Self, ConfigError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ConfigError::TooLarge { file: file.to_owned(), limit: MAX_FILE_BYTES });
        }
        let mut mistakes = Mistakes::default();
        let config = yaml::parse(bytes, &mut mistakes)
            .and_then(|root| raw::Config::read(&root, &mut mistakes))
            .and_then(|raw| resolve::config(raw, file, folder, &mut mistakes));
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError::Mistaken { file: file.to_owned(), mistakes: mistakes.sorted() }),
        }
    }
}
