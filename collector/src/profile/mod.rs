//! `tidegate profile`: from a model's training data to a folder that says what requests must look
//! like and what windows of traffic are held against. It does not know traffic, nor Envoy.
//!
//! The way: [`Table`] gives typed cells → [`survey::Survey`] learns each column, a block at a time
//! on each thread (`crew`) → `inference` asks as little as it must → `folder` writes it all,
//! [`folder::load`] reads it back. What a folder holds adds up: `merge` makes the profile of the
//! whole of those of its parts, and learns what features do together where these keep rows (`drawn`).

mod by_hour;
mod crew;
pub mod document;
mod drawn;
pub mod error;
pub mod folder;
pub mod hours;
mod inference;
mod lines;
mod merge;
mod page;
mod selection;
pub mod shape;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod together;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_contract::contract::Contract;
use tidegate_contract::protocol::Protocol;
use tidegate_detectors::joint::Joint;
use tidegate_detectors::reference::Reference;
use tidegate_detectors::resampling::{KeptColumn, effective_tests};
use tidegate_detectors::season::{Period, Seasons};

use crate::fetched::{FetchArgs, Fetched};
use crate::meter::Meter;
use crate::profile::crew::{Blank, Gathered, Start, Work};
use crate::profile::document::{Document, FORMAT, FORMAT_VERSION, Source, Summary};
use crate::profile::error::ProfileError;
pub use crate::profile::folder::{Memory, Timed, load};
use crate::profile::hours::Hours;
use crate::profile::selection::Selection;
use crate::profile::survey::{Learned, Survey};
use crate::table::error::TableError;
use crate::table::{Column, Guess, Reading, Table, calendar, folder as files};
use crate::wording;

/// Learn what a model's training data looks like.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ProfileArgs {
    /// The training data: CSV with a header line, or Parquet; files, or folders of them; local, or
    /// s3://BUCKET/KEY
    #[arg(required = true)]
    pub data: Vec<PathBuf>,
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
    /// The column that says when a row was: rows are counted by hour of the week
    #[arg(long, value_name = "COL")]
    pub time: Option<String>,
    /// Traffic is another one at each hour of the day, or of the week: hold each hour against the rows of
    /// the same hour, in UTC
    #[arg(long, value_name = "PERIOD", value_enum, requires = "time")]
    pub season: Option<Season>,
    /// DATA are profiles of parts of the data: make the profile of the whole. What features do together is
    /// in it where all parts were made with --keep-rows
    #[arg(long, conflicts_with_all = ["exclude", "category", "outputs", "time", "season"])]
    pub merge: bool,
    /// Keep some rows of the data in the folder, 8192 at most, so that --merge can tell what features do
    /// together; treat the folder like the data then
    #[arg(long)]
    pub keep_rows: bool,
    /// How many threads read the data [default: as many as there are cores]
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<NonZeroUsize>,
    /// How CSV is read
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// How data is fetched
    #[command(flatten)]
    pub fetch: FetchArgs,
    /// When the profile is made, in seconds since 1970, so that runs can be repeated [default: now]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    pub created: Option<u64>,
}

impl ProfileArgs {
    /// As they are where only the data and the folder are given.
    #[must_use]
    pub fn new(data: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            data,
            out,
            model: None,
            exclude: Vec::new(),
            category: Vec::new(),
            outputs: Vec::new(),
            protocol: Protocol::Oip,
            time: None,
            season: None,
            merge: false,
            keep_rows: false,
            threads: None,
            reading: ReadingArgs::default(),
            fetch: FetchArgs::default(),
            created: None,
        }
    }
}

/// After how long traffic is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Season {
    /// 24 hours
    Day,
    /// 168 hours
    Week,
}

impl From<Season> for Period {
    fn from(season: Season) -> Self {
        match season {
            Season::Day => Self::Day,
            Season::Week => Self::Week,
        }
    }
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
    /// Inputs, then outputs, by the hour, where that was asked for.
    pub seasons: Option<Seasons>,
    /// What merging needs beside these.
    pub memory: Memory,
    /// The inputs in the rows that were drawn, where they are kept. Only merging reads them: a profile
    /// that was loaded has none.
    pub drawn: Option<Vec<KeptColumn>>,
}

/// The contract that training data of any format implies.
///
/// # Errors
/// When the data cannot be read.
pub fn contract_of(data: &Path) -> Result<Contract, ProfileError> {
    let args = ProfileArgs {
        protocol: Protocol::Auto,
        ..ProfileArgs::new(vec![data.to_owned()], PathBuf::new())
    };
    make(&args, 0).map(|profile| profile.contract)
}

/// Makes the profile and writes its folder; says on `out` what was written and what to do next.
///
/// # Errors
/// When the data cannot be fetched or read, an argument names no column, or the folder may not be written.
/// Nothing is written then.
pub fn run(args: &ProfileArgs, out: &mut dyn Write) -> Result<(), ProfileError> {
    let created = args.created.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    });
    // Before the long work, not after it.
    folder::claim(&args.out)?;
    let (profile, rowless) = if args.merge {
        merge::make(args, created)?
    } else {
        let fetched = Fetched::of(&args.data, &args.fetch)?;
        (make(&ProfileArgs { data: fetched.paths().to_vec(), ..args.clone() }, created)?, None)
    };
    folder::write(&args.out, &profile)?;
    close(args, &profile, rowless.as_deref(), out)
        .map_err(|source| ProfileError::Write { path: PathBuf::from("standard output"), source })
}

/// Reads local data and makes its profile, `created` seconds after 1970. Writes nothing.
///
/// # Errors
/// When the data cannot be read, or an argument names no column.
pub fn make(args: &ProfileArgs, created: u64) -> Result<Profile, ProfileError> {
    let reading = args.reading.reading()?;
    let files = files::files(&args.data)?;
    let tables: Vec<Table> =
        files.iter().map(|file| Table::open(file, &reading)).collect::<Result<_, _>>()?;
    let Some(first) = tables.first() else { return Err(ProfileError::NoData) };
    for table in &tables {
        refuse_unlike(first, table)?;
    }
    let selection = Selection::of(args, first.path(), first.names())?;
    let time = selection.time;
    let apart = time.filter(|at| !selection.inputs.contains(at) && !selection.outputs.contains(at));
    let parts = selection.inputs.iter().chain(&selection.outputs).copied();
    let wanted: Vec<_> = parts.chain(apart).collect();
    let blank = |column: &Column, start: Start| {
        let code = selection.codes.contains(&column.position);
        let kept = KeptColumn::starting(start.row, start.bits);
        Survey::new(column, code, time == Some(column.position), kept)
            .by_hour(args.season.map(Period::from))
    };
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
    let threads = threads.map_or(1, NonZeroUsize::get);
    let period = args.season.map(Period::from);
    let season = period.zip(time.and_then(|time| wanted.iter().position(|at| *at == time)));
    let Gathered { surveys: mut inputs, rows, .. } =
        read(&tables, &wanted, &blank, season, threads)?;
    let mut outputs = inputs.split_off(selection.inputs.len());
    let apart = outputs.split_off(selection.outputs.len());
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let source = Source {
        file: args.data.iter().map(|path| name(path)).collect::<Vec<_>>().join(", "),
        files: tables.len() as u64,
        format: first.format().to_owned(),
        bytes: tables.iter().map(Table::bytes).sum(),
        excluded: selection.excluded,
    };
    let of_time = apart.into_iter().next().and_then(Survey::hours);
    let told = Told {
        model: args.model.clone(),
        created,
        protocol: args.protocol,
        source,
        rows,
        keep_rows: args.keep_rows,
        effective_tests: None,
        seasons: None,
    };
    told.profile(
        inputs,
        outputs,
        time.map(|at| (first.names()[at].clone(), of_time)),
        &args.data[0],
    )
}

/// What the surveys do not say.
struct Told {
    model: Option<String>,
    created: u64,
    protocol: Protocol,
    source: Source,
    rows: u64,
    /// Whether the rows that were drawn are kept.
    keep_rows: bool,
    /// What the parts of a merged profile say.
    effective_tests: Option<f64>,
    /// The same.
    seasons: Option<Seasons>,
}

impl Told {
    /// The profile of what was surveyed. `time` names the column that says when, and its hours
    /// where it is neither input nor output; `data` is for errors.
    fn profile(
        self,
        inputs: Vec<Survey>,
        outputs: Vec<Survey>,
        time: Option<(String, Option<Hours>)>,
        data: &Path,
    ) -> Result<Profile, ProfileError> {
        let learn = |surveys: Vec<Survey>| surveys.into_iter().map(Survey::learned).collect();
        let [inputs, outputs]: [Vec<Learned>; 2] = [learn(inputs), learn(outputs)];
        let contract = inference::contract(&inputs, &outputs);
        let columns: Vec<&Learned> = inputs.iter().chain(&outputs).collect();
        let seasons = by_hour::seasons(&columns).or(self.seasons);
        let mistakes = contract.mistakes();
        if !mistakes.is_empty() {
            return Err(ProfileError::Unaskable { path: data.to_owned(), mistakes });
        }
        let time = time.and_then(|(column, hours)| {
            let among = inputs.iter().chain(&outputs).find_map(|learned| learned.hours.clone());
            Some(Timed { column, hours: hours.or(among)? })
        });
        let rows = self.rows;
        let mut document = Document {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            model: self.model,
            created: calendar::instant(self.created.try_into().unwrap_or(i64::MAX), 1, true),
            protocol: self.protocol,
            source: self.source,
            rows,
            time: time.as_ref().map(|timed| timed.column.clone()),
            season: seasons.as_ref().map(|seasons| seasons.period),
            features: inputs.iter().map(Summary::of).collect(),
            outputs: outputs.iter().map(Summary::of).collect(),
            effective_tests: self.effective_tests,
            correlations: None,
            clusters: None,
            output_correlations: None,
            output_clusters: None,
        };
        let kept = |of: &[Learned]| of.iter().map(|learned| learned.kept.clone()).collect();
        let [kept, kept_outputs]: [Vec<KeptColumn>; 2] = [kept(&inputs), kept(&outputs)];
        let stored = |learned: Vec<Learned>| {
            let (features, memory) = learned.into_iter().map(Learned::stored).unzip();
            (Reference::of(rows, features), memory)
        };
        let ((mut reference, inputs), (mut of_outputs, outputs)) =
            (stored(inputs), stored(outputs));
        let memory = Memory { inputs, outputs, time };
        // Of profiles that were merged without rows there is none.
        reference.joints = Vec::from_iter(Joint::learn(&reference, &kept));
        document.effective_tests = effective_tests(&reference, &kept).or(document.effective_tests);
        (document.correlations, document.clusters) = together::told(&reference, &kept);
        of_outputs.joints = Vec::from_iter(Joint::learn(&of_outputs, &kept_outputs));
        (document.output_correlations, document.output_clusters) =
            together::told(&of_outputs, &kept_outputs);
        let drawn = Some(kept)
            .filter(|kept| self.keep_rows && kept.iter().any(|column| !column.is_empty()));
        Ok(Profile { document, contract, reference, outputs: of_outputs, seasons, memory, drawn })
    }
}

/// Reads the columns of all tables: once, unless a column is not what its first rows let it seem.
fn read(
    tables: &[Table],
    wanted: &[usize],
    blank: &Blank<'_>,
    season: Option<(Period, usize)>,
    threads: usize,
) -> Result<Gathered, TableError> {
    let mut guesses = tables[0].seeming(wanted)?;
    // Parquet says what its columns are, and another file may say it otherwise.
    if tables[0].format() == "parquet" {
        for table in &tables[1..] {
            merge_all(&mut guesses, &table.seeming(wanted)?);
        }
    }
    for pass in ["reading", "reading again", "reading again", "reading again"] {
        let columns: Vec<Column> = (guesses.iter().zip(wanted))
            .map(|(guess, &position)| {
                let name = tables[0].names()[position].clone();
                Column { position, name, kind: guess.kind() }
            })
            .collect();
        let season = season.map(|(period, at)| (period, &columns[at]));
        let work = Work { tables, columns: &columns, guesses: guesses.clone(), blank, season };
        let mut meter = Meter::start(pass);
        let mut gathered = crew::gather(&work, threads, &mut |progress| meter.show(progress))?;
        let turned_out = gathered.surveys.iter_mut().zip(&gathered.guesses);
        if turned_out.fold(true, |same, (survey, guess)| survey.becomes(guess.kind()) && same) {
            return Ok(gathered);
        }
        guesses = gathered.guesses;
    }
    // A kind only ever widens, and there are three steps from narrow to text.
    Err(TableError::Changed { path: tables[0].path().to_owned() })
}

fn merge_all(guesses: &mut [Guess], others: &[Guess]) {
    for (guess, other) in guesses.iter_mut().zip(others) {
        guess.merge(*other);
    }
}

/// All files of a table must have the same columns in the same order.
fn refuse_unlike(first: &Table, table: &Table) -> Result<(), TableError> {
    let (wanted, names) = (first.names(), table.names());
    let differs = wanted.iter().zip(names).find(|(wanted, name)| wanted != name);
    let what = match differs {
        _ if first.format() != table.format() => format!("it is {}", table.format()),
        Some((wanted, name)) => format!("`{name}` stands where the first has `{wanted}`"),
        None if wanted.len() != names.len() => {
            format!("it has {} and not {}", names.len(), wanted.len())
        }
        None => return Ok(()),
    };
    let (path, first) = (table.path().to_owned(), first.path().to_owned());
    Err(TableError::Unlike { path, first, what })
}

/// Says what was written; of a merged profile also which part had no rows.
fn close(
    args: &ProfileArgs,
    profile: &Profile,
    rowless: Option<&Path>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
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
    if let Some(part) = rowless {
        writeln!(
            out,
            "note: what features do together is not in it, as {} holds no rows: make all parts with \
             --keep-rows, and merge them again",
            part.display()
        )?;
    }
    if profile.drawn.is_some() {
        writeln!(out, "note: {to}/{} holds rows of the data: treat it like the data", drawn::ROWS)?;
    }
    writeln!(
        out,
        "next: read {to}/SUMMARY.md, mend {to}/contract.json where you know better, and name the \
         folder in tidegate.yaml (profile: {to})"
    )
}
