//! Which columns of a table are inputs, outputs, codes or left out. It does not read their cells.

use std::path::Path;

use crate::profile::ProfileArgs;
use crate::profile::error::ProfileError;

/// Names further away than this are not offered as the right word (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.75;

/// The columns by their part, as positions in the table; disjoint, in the table's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Selection {
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    /// Columns whose numbers are names of categories.
    pub(super) codes: Vec<usize>,
    /// The column that says when a row was; it may be one of those left out.
    pub(super) time: Option<usize>,
    /// Names of columns that the caller left out.
    pub(super) excluded: Vec<String>,
    /// Whether a row index without a name was left out by itself.
    pub(super) index: bool,
}

impl Selection {
    /// Finds every column that the arguments name.
    pub(super) fn of(
        args: &ProfileArgs,
        path: &Path,
        names: &[String],
    ) -> Result<Self, ProfileError> {
        let find = |option, wanted: &[String]| -> Result<Vec<usize>, ProfileError> {
            let position = |name: &String| {
                names.iter().position(|known| known == name).ok_or_else(|| {
                    let (name, path) = (name.clone(), path.to_owned());
                    let near = nearest(&name, names);
                    ProfileError::UnknownColumn { option, name, path, near }
                })
            };
            wanted.iter().map(position).collect()
        };
        let excluded = find("--exclude", &args.exclude)?;
        let outputs = find("--outputs", &args.outputs)?;
        let codes = find("--category", &args.category)?;
        for (other, positions) in [("--outputs", &outputs), ("--category", &codes)] {
            if let Some(&both) = positions.iter().find(|position| excluded.contains(position)) {
                return Err(ProfileError::Contradiction { name: names[both].clone(), other });
            }
        }
        let time = find("--time", args.time.as_slice())?.first().copied();
        let mut selection = Self { codes, time, ..Self::default() };
        for (position, name) in names.iter().enumerate() {
            if name.is_empty() {
                selection.index = true;
            } else if excluded.contains(&position) {
                selection.excluded.push(name.clone());
            } else if outputs.contains(&position) {
                selection.outputs.push(position);
            } else {
                selection.inputs.push(position);
            }
        }
        if selection.inputs.is_empty() {
            return Err(ProfileError::NoInputs { path: path.to_owned() });
        }
        Ok(selection)
    }
}

fn nearest(name: &str, names: &[String]) -> Option<String> {
    let wanted = name.to_lowercase();
    names
        .iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .filter(|(score, _)| *score >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.clone())
}
