//! What can go wrong while a profile is made or read, each with the place and the cure.

use std::path::PathBuf;

use tidegate_contract::mistake::Mistake;

use crate::fetched::FetchError;
use crate::table::error::TableError;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what each field is
pub enum ProfileError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{option} {name}: {} has no such column{}", path.display(), Nearest(near))]
    UnknownColumn { option: &'static str, name: String, path: PathBuf, near: Option<String> },
    #[error("column `{name}` is named by both --exclude and {other}; drop one")]
    Contradiction { name: String, other: &'static str },
    #[error("{}: no column is left to be an input; exclude less", path.display())]
    NoInputs { path: PathBuf },
    #[error(
        "{}: no contract can be made of these columns: {}; rename or leave out what is named",
        path.display(),
        Listed(mistakes)
    )]
    Unaskable { path: PathBuf, mistakes: Vec<Mistake> },
    #[error("no data is named")]
    NoData,
    #[error("--merge {}: {what}; make both profiles from the same columns", path.display())]
    Unlike { path: PathBuf, what: String },
    #[error("--delimiter must be one ASCII character (or \\t), not `{text}`")]
    Delimiter { text: String },
    #[error(
        "{} is not empty and not a profile folder ({why}): nothing was written; choose another \
         --out, or empty it yourself",
        out.display()
    )]
    Occupied { out: PathBuf, why: String },
    #[error("--out {} does not name a folder", out.display())]
    NoFolder { out: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("no profile in {}: make one with `tidegate profile DATA --out {}`", dir.display(), dir.display())]
    Missing { dir: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is broken: {why}; make the profile again with `tidegate profile`", path.display())]
    Broken { path: PathBuf, why: String },
    #[error("{}: {}; mend it, or make the profile again", path.display(), Listed(mistakes))]
    Contract { path: PathBuf, mistakes: Vec<Mistake> },
    #[error(
        "{} has format version {found}, this tidegate reads {known}; {}",
        path.display(),
        if found > known { "use a newer tidegate" } else { "make the profile again" }
    )]
    Version { path: PathBuf, found: u64, known: u64 },
}

/// The nearest right word, where there is one.
struct Nearest<'a>(&'a Option<String>);

impl std::fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |near| write!(f, "; did you mean `{near}`?"))
    }
}

/// All mistakes in one message.
struct Listed<'a>(&'a [Mistake]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}
