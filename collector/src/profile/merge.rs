//! Profiles of parts become the profile of the whole. It reads folders and no data.
//!
//! Counts, moments, extremes, distinct values and shapes are those of the whole. Sketches keep what
//! they certify. What a part did not name stays without a name: a column that was free text in one
//! part is so in the whole. What features do together is learned of rows that the parts keep, where all
//! do. The contract is inferred anew; what was mended by hand is mended again.

use std::path::{Path, PathBuf};

use tidegate_detectors::reference::Reference;

use crate::profile::document::Source;
use crate::profile::error::ProfileError;
use crate::profile::survey::{Remembered, Survey};
use crate::profile::{Profile, ProfileArgs, Told, by_hour, drawn, folder};

/// The profile of all the folders' data together, `created` seconds after 1970; and the first folder
/// without rows, for which the profile cannot say what features do together.
///
/// # Errors
/// When a folder holds no profile, they are not of the same columns, or rows are not of their profile.
pub(super) fn make(
    args: &ProfileArgs,
    created: u64,
) -> Result<(Profile, Option<PathBuf>), ProfileError> {
    let mut parts = Vec::new();
    for dir in &args.data {
        parts.push((dir.as_path(), folder::load(dir)?));
    }
    let Some((first_dir, first)) = parts.first() else { return Err(ProfileError::NoData) };
    let mut inputs = resumed(first_dir, first, Side::Inputs)?;
    let mut outputs = resumed(first_dir, first, Side::Outputs)?;
    let mut time = first.memory.time.clone();
    let mut source = first.document.source.clone();
    let mut seasons = first.seasons.clone();
    let mut rows = first.document.rows;
    for (dir, part) in &parts[1..] {
        for side in [Side::Inputs, Side::Outputs] {
            refuse_unlike(dir, side.of(first).1, side.of(part).1)?;
        }
        add(&mut inputs, resumed(dir, part, Side::Inputs)?);
        add(&mut outputs, resumed(dir, part, Side::Outputs)?);
        match (&mut time, &part.memory.time) {
            (Some(here), Some(there)) if here.column == there.column => {
                here.hours.merge(&there.hours);
            }
            (None, None) => {}
            _ => {
                let what = "rows are timed by another column".to_owned();
                return Err(ProfileError::Unlike { path: dir.to_path_buf(), what });
            }
        }
        if !by_hour::add(&mut seasons, part.seasons.as_ref()) {
            let what = "rows are not by the same hours".to_owned();
            return Err(ProfileError::Unlike { path: dir.to_path_buf(), what });
        }
        rows += part.document.rows;
        source = together(source, &part.document.source);
    }
    let rowless =
        parts.iter().find(|(dir, _)| !drawn::is_in(dir)).map(|(dir, _)| dir.to_path_buf());
    if rowless.is_none() {
        let kept = inputs.iter_mut().zip(drawn::among(&parts)?);
        kept.for_each(|(survey, kept)| survey.keep(kept));
    }
    let named = parts.iter().find_map(|(_, part)| part.document.model.clone());
    let model = args.model.clone().or(named);
    let protocol = first.document.protocol;
    let time = time.map(|timed| (timed.column, Some(timed.hours.settled())));
    // Dependence does not grow with the rows: the part that counts most tests errs on the safe side.
    let tests: Option<Vec<f64>> = parts.iter().map(|(_, p)| p.document.effective_tests).collect();
    let effective_tests = tests.and_then(|tests| tests.into_iter().reduce(f64::max));
    let keep_rows = args.keep_rows;
    let told = Told { model, created, protocol, source, rows, keep_rows, effective_tests, seasons };
    Ok((told.profile(inputs, outputs, time, first_dir)?, rowless))
}

#[derive(Clone, Copy)]
enum Side {
    Inputs,
    Outputs,
}

impl Side {
    fn of(self, profile: &Profile) -> (&Reference, &[Remembered]) {
        match self {
            Self::Inputs => (&profile.reference, &profile.memory.inputs),
            Self::Outputs => (&profile.outputs, &profile.memory.outputs),
        }
    }
}

/// The surveys as they were when the profile was made, as far as they were stored.
fn resumed(dir: &Path, profile: &Profile, side: Side) -> Result<Vec<Survey>, ProfileError> {
    let (reference, memory) = side.of(profile);
    let surveys = memory.iter().zip(&reference.features);
    let surveys: Option<Vec<_>> = surveys.map(|(column, feature)| column.resume(feature)).collect();
    surveys.filter(|surveys| surveys.len() == reference.features.len()).ok_or_else(|| {
        let why = "its columns are not those of the reference".to_owned();
        ProfileError::Broken { path: dir.join(folder::MEMORY), why }
    })
}

fn refuse_unlike(
    dir: &Path,
    first: &[Remembered],
    part: &[Remembered],
) -> Result<(), ProfileError> {
    let differs = first.iter().zip(part).find(|(here, there)| !here.fits(there));
    let what = match differs {
        Some((here, there)) if here.name == there.name => {
            format!("column `{}` is of another type there", here.name)
        }
        Some((here, there)) => {
            format!("column `{}` stands where the first profile has `{}`", there.name, here.name)
        }
        None if first.len() == part.len() => return Ok(()),
        None => format!("it has {} columns and not {}", part.len(), first.len()),
    };
    Err(ProfileError::Unlike { path: dir.to_owned(), what })
}

fn add(sum: &mut [Survey], part: Vec<Survey>) {
    for (sum, survey) in sum.iter_mut().zip(part) {
        sum.merge(survey);
    }
}

fn together(mut all: Source, part: &Source) -> Source {
    all.files += part.files;
    all.bytes += part.bytes;
    if all.file != part.file {
        all.file = format!("{}, {}", all.file, part.file);
    }
    if all.format != part.format {
        "mixed".clone_into(&mut all.format);
    }
    all.excluded.extend(
        part.excluded
            .iter()
            .filter(|name| !all.excluded.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    all
}
