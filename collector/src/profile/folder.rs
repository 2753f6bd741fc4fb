//! The profile's folder: written whole or not at all, read back with its version checked. It does
//! not know how a profile comes about.
//!
//! | file | holds | for |
//! |---|---|---|
//! | `SUMMARY.md` | a page | people |
//! | `profile.json` | each column in figures ([`Document`]) | people and programs; its JSON Schema is `profile.schema.json` beside this code |
//! | `contract.json` | what requests and responses must look like | Envoy's filter; people mend it |
//! | `reference.json` | the distributions that windows are held against ([`Reference`]) | detectors |
//! | `columns.json` | what merging needs beside ([`Memory`]) | `tidegate profile --merge` |
//! | `seasons.json` | with `--season`, the distributions by the hour ([`Seasons`]) | detectors |
//! | `rows.parquet` | with `--keep-rows`, the rows that were drawn | `tidegate profile --merge` |
//!
//! All texts keep their order, and the last ones have a line for each column, so that two profiles can be
//! compared with `diff`. A folder whose rows are deleted is a profile all the same.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_contract::contract::Contract;
use tidegate_detectors::joint::Joint;
use tidegate_detectors::reference::Reference;
use tidegate_detectors::season::Seasons;

use crate::profile::document::{Document, FORMAT, FORMAT_VERSION};
use crate::profile::error::ProfileError;
use crate::profile::hours::Hours;
use crate::profile::survey::Remembered;
use crate::profile::{Profile, drawn, lines, page};

const DOCUMENT: &str = "profile.json";
const REFERENCE: &str = "reference.json";
const CONTRACT: &str = "contract.json";
const SUMMARY: &str = "SUMMARY.md";
pub(super) const MEMORY: &str = "columns.json";
const SEASONS: &str = "seasons.json";
const FILES: [&str; 7] = [DOCUMENT, REFERENCE, CONTRACT, SUMMARY, MEMORY, SEASONS, drawn::ROWS];

/// `columns.json`: what merging needs beside document and reference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The inputs, in the order of the reference.
    pub inputs: Vec<Remembered>,
    /// The outputs.
    pub outputs: Vec<Remembered>,
    /// Where a column says when a row was: rows by hour of the week.
    pub time: Option<Timed>,
}

/// When rows were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// The column that says it.
    pub column: String,
    /// The rows.
    pub hours: Hours,
}

/// `reference.json`: the inputs as [`Reference`] has them, and the outputs beside. Whoever reads it
/// as a [`Reference`] gets the inputs.
#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    inputs: Reference,
    #[serde(default)]
    outputs: Reference,
}

/// What a file must say to be a profile of ours.
#[derive(Deserialize)]
struct Mark {
    format: String,
    format_version: u64,
}

/// Makes sure that `out` may be written: absent, empty, or a profile of ours and nothing else.
///
/// # Errors
/// [`ProfileError::Occupied`] or [`ProfileError::NoFolder`] otherwise.
pub(super) fn claim(out: &Path) -> Result<(), ProfileError> {
    if out.file_name().is_none() {
        return Err(ProfileError::NoFolder { out: out.to_owned() });
    }
    let occupied = |why| Err(ProfileError::Occupied { out: out.to_owned(), why });
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return occupied("it is a file".to_owned());
        }
        Err(source) => return Err(ProfileError::Read { path: out.to_owned(), source }),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| ProfileError::Read { path: out.to_owned(), source })?;
        names.push(entry.file_name());
    }
    if names.is_empty() {
        return Ok(());
    }
    let ours = fs::read(out.join(DOCUMENT))
        .is_ok_and(|text| serde_json::from_slice::<Mark>(&text).is_ok_and(|m| m.format == FORMAT));
    if !ours {
        return occupied(format!("it has no {DOCUMENT} of the format {FORMAT}"));
    }
    match names.iter().find(|name| !FILES.iter().any(|file| *name == *file)) {
        Some(foreign) => occupied(format!("it also holds {}", foreign.display())),
        None => Ok(()),
    }
}

/// Writes the folder beside `out`, then puts it in place. What `out` was stays until the new one is
/// whole; nothing is left behind when something fails.
///
/// # Errors
/// When `out` may not be written, or the disk refuses.
pub(super) fn write(out: &Path, profile: &Profile) -> Result<(), ProfileError> {
    claim(out)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ProfileError::Write { path, source }
    };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let (fresh, former) = (beside(out, "new"), beside(out, "old"));
    let written = (|| {
        fs::create_dir(&fresh).map_err(failed(&fresh))?;
        for (name, content) in contents(profile) {
            let path = fresh.join(name);
            let store = || {
                let mut file = File::create(&path)?;
                file.write_all(&content?)?;
                file.sync_all()
            };
            store().map_err(failed(&path))?;
        }
        let replaced = match fs::rename(out, &former) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(failed(out)(source)),
        };
        if let Err(source) = fs::rename(&fresh, out) {
            if replaced {
                // Best effort: the first error is the one to report.
                let _ = fs::rename(&former, out);
            }
            return Err(failed(out)(source));
        }
        if replaced { fs::remove_dir_all(&former).map_err(failed(&former)) } else { Ok(()) }
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&fresh);
    }
    written
}

/// A hidden neighbour of `out` that no other run uses.
fn beside(out: &Path, what: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
}

fn contents(profile: &Profile) -> Vec<(&'static str, io::Result<Vec<u8>>)> {
    let bytes =
        |text: serde_json::Result<String>| text.map(String::into_bytes).map_err(io::Error::from);
    let mut contents = vec![
        (DOCUMENT, bytes(lines::written(&profile.document, 4))),
        (REFERENCE, bytes(reference(profile))),
        // A line for each field.
        (CONTRACT, bytes(lines::written(&profile.contract, 2))),
        (SUMMARY, Ok(page::of(profile).into_bytes())),
        (MEMORY, bytes(memory(&profile.memory))),
    ];
    contents.extend(profile.seasons.as_ref().map(|of| (SEASONS, bytes(seasons(of)))));
    let inputs = &profile.reference.features;
    contents.extend(profile.drawn.as_ref().map(|of| (drawn::ROWS, drawn::content(inputs, of))));
    contents
}

/// What [`Stored`] reads.
fn reference(profile: &Profile) -> serde_json::Result<String> {
    let side = |reference: &Reference| -> serde_json::Result<String> {
        let joints: Vec<_> = reference.joints.iter().map(joint).collect::<Result<_, _>>()?;
        let (features, joints) = (by_line(&reference.features)?, joints.join(",\n"));
        Ok(format!("\"rows\":{},\"features\":{features},\n\"joints\":[{joints}]", reference.rows))
    };
    let [inputs, outputs] = [side(&profile.reference)?, side(&profile.outputs)?];
    Ok(format!("{{{inputs},\n\"outputs\":{{{outputs}}}}}\n"))
}

/// What features did together, with a line for each pair.
fn joint(joint: &Joint) -> serde_json::Result<String> {
    let Joint { span, columns, known, effective_pairs, threshold, copula, clusters, embedding } =
        joint;
    Ok(format!(
        "{{\"span\":{},\"columns\":{},\"effective_pairs\":{},\"threshold\":{},\"copula\":{},\n\"clusters\":{},\n\
         \"embedding\":{},\n\"known\":{{\"columns\":{},\"pairs\":{}}}}}",
        serde_json::to_string(span)?,
        serde_json::to_string(columns)?,
        serde_json::to_string(effective_pairs)?,
        serde_json::to_string(threshold)?,
        serde_json::to_string(copula)?,
        serde_json::to_string(clusters)?,
        serde_json::to_string(embedding)?,
        by_line(&known.columns)?,
        by_line(&known.pairs)?,
    ))
}

/// With a line for each column of each hour.
fn seasons(seasons: &Seasons) -> serde_json::Result<String> {
    let hours: Vec<_> = seasons.hours.iter().map(|of| by_line(of)).collect::<Result<_, _>>()?;
    let period = serde_json::to_string(&seasons.period)?;
    Ok(format!("{{\"period\":{period},\"hours\":[\n{}\n]}}\n", hours.join(",\n")))
}

fn memory(memory: &Memory) -> serde_json::Result<String> {
    Ok(format!(
        "{{\"inputs\":{},\n\"outputs\":{},\n\"time\":{}}}\n",
        by_line(&memory.inputs)?,
        by_line(&memory.outputs)?,
        serde_json::to_string(&memory.time)?,
    ))
}

/// An array with a line for each element: long ones, which pretty printing would tear apart.
fn by_line<T: Serialize>(elements: &[T]) -> serde_json::Result<String> {
    let lines: Vec<_> = elements.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(if lines.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", lines.join(",\n")) })
}

/// Reads a profile's folder.
///
/// # Errors
/// When a file is missing or broken, or the folder was written by another format version.
pub fn load(dir: &Path) -> Result<Profile, ProfileError> {
    let path = dir.join(DOCUMENT);
    let broken = |path: &Path, why: String| ProfileError::Broken { path: path.to_owned(), why };
    let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ProfileError::Missing { dir: dir.to_owned() },
        _ => ProfileError::Read { path: path.clone(), source },
    })?;
    let mark: Mark = serde_json::from_str(&text).map_err(|why| broken(&path, why.to_string()))?;
    if mark.format != FORMAT {
        return Err(broken(&path, format!("its format is `{}`, not `{FORMAT}`", mark.format)));
    }
    if mark.format_version != FORMAT_VERSION {
        let (found, known) = (mark.format_version, FORMAT_VERSION);
        return Err(ProfileError::Version { path, found, known });
    }
    let document: Document =
        serde_json::from_str(&text).map_err(|why| broken(&path, why.to_string()))?;
    let read = |name: &str| {
        let path = dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(source) => Err(ProfileError::Read { path, source }),
        }
    };
    let (path, text) = read(REFERENCE)?;
    let stored: Stored =
        serde_json::from_str(&text).map_err(|why| broken(&path, why.to_string()))?;
    let fits = |side: &Reference| side.joints.iter().all(|joint| joint.fits(side));
    if !(fits(&stored.inputs) && fits(&stored.outputs)) {
        return Err(broken(&path, "its `joints` are not of its features".to_owned()));
    }
    let (path, text) = read(CONTRACT)?;
    let contract = Contract::parse(&text)
        .and_then(|contract| match contract.mistakes() {
            mistakes if mistakes.is_empty() => Ok(contract),
            mistakes => Err(mistakes),
        })
        .map_err(|mistakes| ProfileError::Contract { path, mistakes })?;
    let (path, text) = read(MEMORY)?;
    let memory: Memory =
        serde_json::from_str(&text).map_err(|why| broken(&path, why.to_string()))?;
    if memory.time.as_ref().is_some_and(|timed| !timed.hours.is_whole()) {
        return Err(broken(&path, "its hours are not those of a week".to_owned()));
    }
    let Stored { inputs: reference, outputs } = stored;
    let seasons = match document.season {
        None => None,
        Some(_) => {
            let (path, text) = read(SEASONS)?;
            let seasons: Seasons =
                serde_json::from_str(&text).map_err(|why| broken(&path, why.to_string()))?;
            if !seasons.fits(reference.features.iter().chain(&outputs.features)) {
                return Err(broken(
                    &path,
                    "its hours are not of the reference's features".to_owned(),
                ));
            }
            Some(seasons)
        }
    };
    Ok(Profile { document, contract, reference, outputs, seasons, memory, drawn: None })
}
