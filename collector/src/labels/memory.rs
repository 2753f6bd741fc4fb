//! Answers and labels that outlive the collector: what came is written down in files of a folder, and told
//! again when the collector starts. It does not know what labels are worth; [`Outcomes`] does.
//!
//! A file begins with what its lines are about and is appended to for an eighth of the horizon. Lines are
//! given to the system after each batch: they outlive a collector that is killed, not a machine that loses
//! power. Files past the horizon go, and the oldest when all of them are too large.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_contract::columns::Cell;
use tidegate_detectors::finding::Finding;
use tidegate_detectors::judge::Rules;
use tracing::warn;

use super::kept::Answered;
use super::label::Label;
use super::outcomes::{LabelStatus, Outcomes, Taken};
use crate::decision::UnixMillis;

/// Files that the horizon and the bytes are divided into.
const PARTS: u64 = 8;
/// The shortest time that a file is appended to.
const LEAST_PART_MS: UnixMillis = 60_000;
/// Bytes of a line; the answer to a request of more rows than fit is not remembered.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// What labels make of a model, remembered where there is a folder to.
#[derive(Debug)]
pub struct Memory {
    outcomes: Outcomes,
    log: Option<Log>,
}

/// A line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// What the lines of this file are about; they mean nothing to who asks for something else.
    About(String),
    Answered {
        at: UnixMillis,
        id: Box<str>,
        version: String,
        rows: Vec<Stored>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<Vec<Stored>>,
    },
    Labelled {
        at: UnixMillis,
        label: Label,
    },
}

/// A cell as it is written.
#[derive(Serialize, Deserialize)]
enum Stored {
    #[serde(rename = "-")]
    Null,
    #[serde(rename = "n")]
    Number(f64),
    /// One that is not finite, by its bits: JSON has none such.
    #[serde(rename = "i")]
    NotFinite(u64),
    #[serde(rename = "t")]
    Text(Box<str>),
    #[serde(rename = "b")]
    Bool(bool),
    #[serde(rename = "o")]
    Nested,
}

impl Stored {
    fn of(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Number(value) if value.is_finite() => Self::Number(*value),
            Cell::Number(value) => Self::NotFinite(value.to_bits()),
            Cell::Text(text) => Self::Text(text.clone()),
            Cell::Bool(value) => Self::Bool(*value),
            Cell::Nested => Self::Nested,
        }
    }

    fn cell(self) -> Cell {
        match self {
            Self::Null => Cell::Null,
            Self::Number(value) => Cell::Number(value),
            Self::NotFinite(bits) => Cell::Number(f64::from_bits(bits)),
            Self::Text(text) => Cell::Text(text),
            Self::Bool(value) => Cell::Bool(value),
            Self::Nested => Cell::Nested,
        }
    }
}

impl Memory {
    /// Of a collector that remembers nothing of its own.
    #[must_use]
    pub fn without_log(outcomes: Outcomes) -> Self {
        Self { outcomes, log: None }
    }

    /// With what earlier collectors wrote into this folder, which is made where there is none.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(mut outcomes: Outcomes, folder: &Path, now: UnixMillis) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut log = Log::new(&outcomes, folder)?;
        log.forget(now);
        for (begun, _) in &log.files {
            let path = log.path(*begun);
            match replay(&path, &log.about, &mut outcomes) {
                Ok(0) => {}
                Ok(lost) => {
                    warn!(path = %path.display(), lost, "lines of labels could not be read");
                }
                Err(error) => warn!(path = %path.display(), %error, "labels could not be read"),
            }
        }
        Ok(Self { outcomes, log: Some(log) })
    }

    /// What labels make of the model.
    #[must_use]
    pub fn outcomes(&mut self) -> &mut Outcomes {
        &mut self.outcomes
    }

    /// As [`Outcomes::status`].
    #[must_use]
    pub fn status(&self) -> LabelStatus {
        self.outcomes.status()
    }

    /// As [`Outcomes::keep`].
    pub fn keep(&mut self, answered: Answered, now: UnixMillis) {
        if let Some(log) = &mut self.log
            && let Some(version) = self.outcomes.version(answered.version)
        {
            let stored = |cells: &[Cell]| cells.iter().map(Stored::of).collect();
            log.add(
                now,
                &Line::Answered {
                    at: now,
                    id: answered.request_id.clone(),
                    version: version.to_owned(),
                    rows: stored(&answered.rows),
                    beside: answered.beside.iter().map(|cells| stored(cells)).collect(),
                },
            );
            // Labels that came before it, and were not worth a line until now.
            for label in self.outcomes.early(&answered.request_id) {
                log.add(now, &Line::Labelled { at: now, label: label.clone() });
            }
        }
        self.outcomes.keep(answered, now);
    }

    /// As [`Outcomes::take`]. Labels that met no answer are not remembered.
    pub fn take(&mut self, label: Label, now: UnixMillis) -> Taken {
        let line = self.log.is_some().then(|| Line::Labelled { at: now, label: label.clone() });
        let taken = self.outcomes.take([label], now);
        if let (Some(log), Some(line)) = (&mut self.log, line)
            && taken.joined > 0
        {
            log.add(now, &line);
        }
        taken
    }

    /// Gives the system what was added.
    pub fn flush(&mut self, now: UnixMillis) {
        if let Some(log) = &mut self.log {
            log.flush(now);
        }
    }

    /// As [`Outcomes::close`].
    pub fn close(&mut self, rules: &Rules, now: UnixMillis) -> Vec<Finding> {
        if let Some(log) = &mut self.log {
            log.forget(now);
        }
        self.outcomes.close(rules, now)
    }
}

/// The files.
#[derive(Debug)]
struct Log {
    folder: PathBuf,
    about: String,
    horizon_ms: UnixMillis,
    max_bytes: u64,
    /// When each was begun, the oldest first, and how many bytes it has.
    files: Vec<(UnixMillis, u64)>,
    /// The last one, while it is appended to.
    open: Option<BufWriter<File>>,
    /// Until when nothing is written, after the system refused.
    refused_until: UnixMillis,
}

impl Log {
    fn new(outcomes: &Outcomes, folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let begun = Path::new(&entry.file_name())
                .file_stem()
                .and_then(|name| name.to_str()?.parse().ok());
            if let Some(begun) = begun {
                files.push((begun, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(Self {
            folder: folder.to_owned(),
            about: outcomes.about(),
            horizon_ms: outcomes.horizon_ms(),
            max_bytes: outcomes.max_bytes() as u64,
            files,
            open: None,
            refused_until: 0,
        })
    }

    fn path(&self, begun: UnixMillis) -> PathBuf {
        self.folder.join(format!("{begun}.jsonl"))
    }

    fn add(&mut self, now: UnixMillis, line: &Line) {
        if now < self.refused_until {
            return;
        }
        if let Err(error) = self.write(now, line) {
            self.refuse(now, &error);
        }
    }

    fn flush(&mut self, now: UnixMillis) {
        let flushed = self.open.as_mut().map_or(Ok(()), BufWriter::flush);
        if let Err(error) = flushed {
            self.refuse(now, &error);
        }
    }

    /// A disk that is full, say, is tried again a minute later, in a file of its own.
    fn refuse(&mut self, now: UnixMillis, error: &io::Error) {
        warn!(folder = %self.folder.display(), %error, "labels are not remembered for a minute");
        self.open = None;
        self.refused_until = now.saturating_add(LEAST_PART_MS);
    }

    fn write(&mut self, now: UnixMillis, line: &Line) -> io::Result<()> {
        let part_ms = (self.horizon_ms / PARTS).max(LEAST_PART_MS);
        let fits = self.files.last().is_some_and(|(begun, bytes)| {
            now.saturating_sub(*begun) < part_ms && *bytes < self.max_bytes / PARTS
        });
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_LINE_BYTES {
            return Ok(());
        }
        if self.open.is_none() || !fits {
            if let Some(mut full) = self.open.take() {
                full.flush()?;
            }
            // Names rise, whatever the clock does.
            let after = self.files.last().map_or(0, |(begun, _)| begun.saturating_add(1));
            let begun = now.max(after);
            let file = File::create_new(self.path(begun))?;
            let mut file = BufWriter::new(file);
            let mut about = serde_json::to_vec(&Line::About(self.about.clone()))?;
            about.push(b'\n');
            file.write_all(&about)?;
            self.files.push((begun, about.len() as u64));
            self.open = Some(file);
        }
        if let (Some(file), Some((_, length))) = (&mut self.open, self.files.last_mut()) {
            file.write_all(&bytes)?;
            *length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Lets go of files whose last line is past the horizon, and of the oldest while they are too large.
    fn forget(&mut self, now: UnixMillis) {
        let oldest = now.saturating_sub(self.horizon_ms);
        while let [(begun, _), (next, _), ..] = self.files[..] {
            let bytes: u64 = self.files.iter().map(|(_, bytes)| bytes).sum();
            if next >= oldest && bytes <= self.max_bytes {
                break;
            }
            let path = self.path(begun);
            if let Err(error) = fs::remove_file(&path) {
                warn!(path = %path.display(), %error, "old labels stay on the disk");
            }
            self.files.remove(0);
        }
    }
}

/// Tells again what a file says; gives how many lines could not be read. A last line without an end is one
/// that was never whole.
fn replay(path: &Path, about: &str, outcomes: &mut Outcomes) -> io::Result<u64> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut lost, mut bytes) = (0, Vec::new());
    loop {
        bytes.clear();
        io::Read::take(&mut file, MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            return Ok(lost);
        }
        match serde_json::from_slice(&bytes) {
            Ok(Line::About(of)) if of != about => return Ok(lost),
            Ok(Line::About(_)) => {}
            Ok(Line::Answered { at, id, version, rows, beside }) => {
                let cells = |stored: Vec<Stored>| -> Vec<Cell> {
                    stored.into_iter().map(Stored::cell).collect()
                };
                let Some(version) = outcomes.place(&version) else { continue };
                let beside = beside.into_iter().map(|of| cells(of).into()).collect();
                let rows = cells(rows);
                outcomes.keep(Answered { request_id: id, version, rows, beside }, at);
            }
            Ok(Line::Labelled { at, label }) => drop(outcomes.take([label], at)),
            Err(_) => lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::fixture::{DIVERT, config};
    use crate::labels::label::Truth;

    const HOUR: UnixMillis = 3_600_000;

    fn outcomes(labels: &str) -> Outcomes {
        let model = config(&format!("{DIVERT}\n    labels: {labels}")).models.remove(0);
        let labels = model.labels.clone().expect("labels");
        Outcomes::new(&model, &labels, 10)
    }

    fn open(folder: &Path, labels: &str, now: UnixMillis) -> Memory {
        Memory::open(outcomes(labels), folder, now).expect("a folder")
    }

    fn answer(memory: &mut Memory, id: &str, said: Cell, now: UnixMillis) {
        let (rows, beside) = (vec![said], vec![Box::from([Cell::Nested, Cell::Bool(true)])]);
        memory.keep(Answered { request_id: id.into(), version: 0, rows, beside }, now);
    }

    fn label(memory: &mut Memory, id: &str, positive: bool, now: UnixMillis) -> Taken {
        let truth = Truth::Positive(positive);
        memory.take(Label { request_id: id.into(), row: 0, truth, at: Some(now) }, now)
    }

    const BINARY: &str = "{output: score, horizon: 8h, max_rows: 1000, window_rows: 100}";

    #[test]
    fn the_next_collector_knows_what_this_one_was_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut memory = open(folder.path(), BINARY, 0);
        label(&mut memory, "early", true, 1);
        label(&mut memory, "of nobody", true, 1);
        answer(&mut memory, "early", Cell::Number(0.9), 2);
        let odd = [Cell::Number(f64::NAN), Cell::Null, Cell::Text("é\"\n".into()), Cell::Nested];
        for (at, said) in odd.into_iter().enumerate() {
            answer(&mut memory, &format!("odd{at}"), said, 3);
        }
        for at in 0..50 {
            answer(&mut memory, &format!("a{at}"), Cell::Number(f64::from(at) / 50.0), 4);
        }
        assert_eq!(label(&mut memory, "a7", false, HOUR).joined, 1);
        assert_eq!(label(&mut memory, "a7", true, HOUR).conflicting, 1);
        memory.flush(HOUR);
        memory.close(&Rules::default(), HOUR);
        let before = memory.status();
        assert_eq!((before.kept_rows, before.counts.joined), (55, 2));

        let mut next = open(folder.path(), BINARY, HOUR);
        next.close(&Rules::default(), HOUR);
        let after = next.status();
        assert_eq!((after.kept_rows, &after.versions), (55, &before.versions));
        assert_eq!(label(&mut next, "a8", false, HOUR).joined, 1, "an answer of before");
        assert_eq!(label(&mut next, "a7", true, HOUR).conflicting, 1, "a label of before");
        drop(next);
        let mut third = open(folder.path(), BINARY, HOUR);
        assert_eq!(label(&mut third, "a8", false, HOUR).repeated, 1);
    }

    #[test]
    fn what_is_about_something_else_or_was_never_whole_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut memory = open(folder.path(), BINARY, 0);
        answer(&mut memory, "a", Cell::Number(0.5), 1);
        drop(memory);
        let path = folder.path().join("1.jsonl");
        let mut file = OpenOptions::new().append(true).open(path).expect("the file");
        file.write_all(b"not a line\n{\"answered\":{\"at\":2,").expect("written");
        assert_eq!(open(folder.path(), BINARY, 2).status().kept_rows, 1);
        let other = "{output: other, horizon: 8h}";
        assert_eq!(open(folder.path(), other, 2).status().kept_rows, 0);
    }

    #[test]
    fn files_go_with_their_time_and_are_bounded_in_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = || fs::read_dir(folder.path()).expect("the folder").count();
        let mut memory = open(folder.path(), BINARY, 0);
        for hour in 0..40 {
            answer(&mut memory, &format!("a{hour}"), Cell::Number(0.5), hour * HOUR);
            memory.close(&Rules::default(), hour * HOUR);
        }
        assert!((9..=10).contains(&files()), "{}", files());
        // As many bytes as a thousand rows may have.
        for at in 0..20_000 {
            answer(&mut memory, &format!("b{at}"), Cell::Text("x".repeat(200).into()), 40 * HOUR);
        }
        memory.flush(HOUR);
        memory.close(&Rules::default(), 40 * HOUR);
        let bytes = fs::read_dir(folder.path()).expect("the folder");
        let bytes = bytes.map(|file| file.expect("a file").metadata().expect("its size").len());
        assert!(bytes.sum::<u64>() <= 512_000);
        assert!(open(folder.path(), BINARY, 40 * HOUR).status().kept_rows > 500);
    }

    #[test]
    fn an_answer_that_makes_too_long_a_line_hides_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let labels = "{output: score, max_rows: 500000}";
        let mut memory = open(folder.path(), labels, 0);
        answer(&mut memory, "a", Cell::Number(0.5), 1);
        let (rows, request_id) = (vec![Cell::Number(0.123_456_789); 100_000], "b".into());
        memory.keep(Answered { request_id, version: 0, rows, beside: Vec::new() }, 1);
        answer(&mut memory, "c", Cell::Number(0.5), 1);
        assert_eq!(memory.status().kept_rows, 100_002);
        drop(memory);
        assert_eq!(open(folder.path(), labels, 2).status().kept_rows, 2);
    }

    #[test]
    fn a_folder_that_refuses_is_asked_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut memory = open(&folder.path().join("labels"), BINARY, 0);
        fs::remove_dir(folder.path().join("labels")).expect("it is empty");
        answer(&mut memory, "a", Cell::Number(0.5), 1);
        fs::create_dir(folder.path().join("labels")).expect("a folder");
        answer(&mut memory, "b", Cell::Number(0.5), 2);
        answer(&mut memory, "c", Cell::Number(0.5), 2 * LEAST_PART_MS);
        assert_eq!(memory.status().kept_rows, 3, "nothing is forgotten meanwhile");
        drop(memory);
        let again = open(&folder.path().join("labels"), BINARY, 2 * LEAST_PART_MS);
        assert_eq!(again.status().kept_rows, 1);
    }
}
