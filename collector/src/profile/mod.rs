//! `tidegate profile`: from a model's training data to a folder that says what requests must look
//! like and what windows of traffic are held against. It does not know traffic, nor Envoy.
//!
//! The way: [`Table`] gives typed cells → [`survey::Survey`] learns each column → `inference` asks
//! as little as it must → `folder` writes it all, [`folder::load`] reads it back.

pub mod document;
pub mod error;
pub mod folder;
mod inference;

mod page;
mod selection;
pub mod survey;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_contract::contract::Contract;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::reference::Reference;
use tidegate_detectors::resampling::effective_tests;

use crate::meter::Meter;
use crate::profile::document::{Document, FORMAT, FORMAT_VERSION, Source, Summary};
use crate::profile::error::ProfileError;
pub use crate::profile::folder::load;
use crate::profile::selection::Selection;
use crate::profile::survey::Survey;
use crate::table::{Cell, Column, Reading, Table, calendar};
use crate::wording;

/// Learn what a model's training data looks like.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ProfileArgs {
    /// The training data: CSV with a header line, or Parquet
    pub data: PathBuf,
    /// The folder to write; one that holds an earlier profile is replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The model's name, for the ones who read the profile
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A column that requests do not carry, such as the label (repeatable)
    #[arg(long, value_name = "COL")]
    pub exclude: Vec<String>,
    /// A column of numbers that are codes of categories (repeatable)
    #[arg(long, value_name = "COL")]
    pub category: Vec<String>,
    /// A column that the model answers with (repeatable)
    #[arg(long, value_name = "COL")]
    pub outputs: Vec<String>,
    /// How the model is asked: oip (Open Inference Protocol, a tensor a column), v1, mlflow, json, or
    /// auto for any of them
    #[arg(long, value_name = "PROTOCOL", default_value = "oip", value_parser = protocol)]
    pub protocol: Protocol,
    /// How CSV is read
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// When the profile is made, in seconds since 1970, so that runs can be repeated [default: now]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub created: Option<u64>,
}

/// How CSV is read.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct ReadingArgs {
    /// A text that means null in CSV, in place of those pandas knows (repeatable); an empty cell
    /// always does
    #[arg(long, value_name = "TEXT")]
    pub null: Vec<String>,
    /// Take blanks off the ends of texts in CSV, where the model's own reader does so, too
    #[arg(long)]
    pub trim: bool,
    /// What separates cells in CSV [default: guessed among comma, semicolon and tab]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// The columns' names, where the CSV file has no header line
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    pub names: Vec<String>,
}

impl ReadingArgs {
    /// How tables are read.
    ///
    /// # Errors
    /// When the delimiter is none.
    pub fn reading(&self) -> Result<Reading, ProfileError> {
        let delimiter = match self.delimiter.as_deref().map(str::as_bytes) {
            None => None,
            Some(b"\\t" | b"tab") => Some(b'\t'),
            Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(byte),
            Some(other) => {
                let text = String::from_utf8_lossy(other).into_owned();
                return Err(ProfileError::Delimiter { text });
            }
        };
        let (names, trim) = (self.names.clone(), self.trim);
        let mut reading = Reading { delimiter, names, trim, ..Reading::default() };
        if !self.null.is_empty() {
            reading.nulls.clone_from(&self.null);
        }
        Ok(reading)
    }
}

fn protocol(text: &str) -> Result<Protocol, &'static str> {
    let known = Protocol::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, protocol)| *protocol).ok_or("one of auto, oip, v1, mlflow, openai and json")
}

/// What a model's training data looked like.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What people read of it.
    pub document: Document,
    /// What requests and responses must look like.
    pub contract: Contract,
    /// The inputs' distributions, in the order of the data.
    pub reference: Reference,
    /// The outputs' distributions; without features where no output was named.
    pub outputs: Reference,
}

/// The contract that training data of any format implies.
///
/// # Errors
/// When the data cannot be read.
pub fn contract_of(data: &Path) -> Result<Contract, ProfileError> {
    let args = ProfileArgs {
        data: data.to_owned(),
        out: PathBuf::new(),
        model: None,
        exclude: Vec::new(),
        category: Vec::new(),
        outputs: Vec::new(),
        protocol: Protocol::Auto,
        reading: ReadingArgs::default(),
        created: None,
    };
    make(&args, 0).map(|profile| profile.contract)
}

/// Makes the profile and writes its folder; says on `out` what was written and what to do next.
///
/// # Errors
/// When the data cannot be read, an argument names no column, or the folder may not be written.
/// Nothing is written then.
pub fn run(args: &ProfileArgs, out: &mut dyn Write) -> Result<(), ProfileError> {
    let created = args.created.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    });
    // Before the long work, not after it.
    folder::claim(&args.out)?;
    let profile = make(args, created)?;
    folder::write(&args.out, &profile)?;
    close(args, &profile, out)
        .map_err(|source| ProfileError::Write { path: PathBuf::from("standard output"), source })
}

/// Reads the data and makes its profile, `created` seconds after 1970. Writes nothing.
///
/// # Errors
/// When the data cannot be read, or an argument names no column.
pub fn make(args: &ProfileArgs, created: u64) -> Result<Profile, ProfileError> {
    let table = Table::open(&args.data, &args.reading.reading()?)?;
    let selection = Selection::of(args, table.path(), table.names())?;
    let wanted: Vec<_> = selection.inputs.iter().chain(&selection.outputs).copied().collect();
    let columns = {
        let mut meter = Meter::start("finding types");
        table.columns(&wanted, &mut |progress| meter.show(progress))?
    };
    let survey = |column: &Column| Survey::new(column, selection.codes.contains(&column.position));
    let mut inputs: Vec<_> = columns.iter().map(survey).collect();
    let rows = {
        let mut meter = Meter::start("reading");
        let mut each = |at: usize, cell: Cell<'_>| {
            if let Some(survey) = inputs.get_mut(at) {
                survey.take(cell);
            }
        };
        table.scan(&columns, &mut each, &mut |progress| meter.show(progress))?
    };
    let outputs = inputs.split_off(selection.inputs.len());
    let file = table.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let contract = inference::contract(&inputs, &outputs);
    let mistakes = contract.mistakes();
    if !mistakes.is_empty() {
        return Err(ProfileError::Unaskable { path: args.data.clone(), mistakes });
    }
    let mut document = Document {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        model: args.model.clone(),
        created: calendar::instant(created.try_into().unwrap_or(i64::MAX), 1, true),
        protocol: args.protocol,
        source: Source {
            file,
            format: table.format().to_owned(),
            bytes: table.bytes(),
            excluded: selection.excluded,
        },
        rows,
        features: inputs.iter().map(Summary::of).collect(),
        outputs: outputs.iter().map(Summary::of).collect(),
        effective_tests: None,
    };
    let kept: Vec<_> = inputs.iter_mut().map(|survey| std::mem::take(&mut survey.kept)).collect();
    let reference = |surveys: Vec<Survey>| Reference {
        rows,
        features: surveys.into_iter().map(Survey::into_feature).collect(),
    };
    let (reference, outputs) = (reference(inputs), reference(outputs));
    document.effective_tests = effective_tests(&reference, &kept);
    Ok(Profile { document, contract, reference, outputs })
}

fn close(args: &ProfileArgs, profile: &Profile, out: &mut dyn Write) -> std::io::Result<()> {
    let document = &profile.document;
    let parts = if document.outputs.is_empty() {
        wording::counted(document.features.len(), "input")
    } else {
        let outputs = wording::counted(document.outputs.len(), "output");
        format!("{} and {outputs}", wording::counted(document.features.len(), "input"))
    };
    let to = args.out.display();
    writeln!(out, "profile of {} rows, {parts}: {to}", wording::grouped(document.rows))?;
    for summary in document.features.iter().chain(&document.outputs) {
        for note in &summary.notes {
            writeln!(out, "note: `{}` {note}", summary.name)?;
        }
    }
    writeln!(
        out,
        "next: read {to}/SUMMARY.md, mend {to}/contract.json where you know better, and name the \
         folder in tidegate.yaml (profile: {to})"
    )
}
