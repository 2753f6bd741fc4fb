//! The append-only decision log: a file of JSON lines, each with its checksum, that one process
//! writes and that survives a `kill -9` at any instruction. It does not know what a record means.
//!
//! A line is `{"crc32":"89abcdef","record":...}`, the checksum taken over the bytes of the record,
//! so that `jq .record` reads the file and nothing else has to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The name of the file in its folder.
pub const FILE_NAME: &str = "decisions.jsonl";

/// What must fit for the log to be called writable.
const ROOM: [u8; 4096] = [b' '; 4096];

/// The most bytes of one line, its end included.
pub const MAX_LINE_BYTES: usize = 1 << 20;

const HEAD: &[u8] = b"{\"crc32\":\"";
const CHECKSUM_DIGITS: usize = 8;
const MIDDLE: &[u8] = b"\",\"record\":";
const TAIL: &[u8] = b"}\n";

/// Why the log could not be opened or added to.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused something.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the log open.
    #[error("{}: already written by another collector; stop that one or give this one its own `state` folder", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line that was once whole is not any more.
    #[error("{}:{line}: damaged ({damage}); restore the file from a copy, or take this line out of it and start again: the lines before and after it are kept", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A whole line that this version cannot read.
    #[error("{}:{line}: whole, but not a record that this version knows ({source}); start the version that wrote it", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A record that would not come back as it is (a number that is not finite, say).
    #[error("{}: this record cannot be kept, because it would not read back ({source}); nothing was written", path.display())]
    Unkeepable {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A record of more than [`MAX_LINE_BYTES`].
    #[error("{}: this record takes {bytes} bytes and a line holds {MAX_LINE_BYTES}; give it less evidence", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What the line would take.
        bytes: usize,
    },
    /// An earlier append failed and left the end of the file unsure.
    #[error("{}: an earlier write failed and may be half done; free the disk and start again, which cuts the half off", path.display())]
    Unsure {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is not of the form that every line has.
    #[error("not of the form {{\"crc32\":...,\"record\":...}}")]
    Form,
    /// The checksum is not that of the record.
    #[error("its checksum is {found:08x}, and says {told:08x}")]
    Checksum {
        /// The checksum in the line.
        told: u32,
        /// The checksum of the record.
        found: u32,
    },
    /// It is longer than any line that was written.
    #[error("longer than any line that is written")]
    Length,
}

/// The end of a line that a crash kept from being written whole. Its append never returned, so
/// nobody was told that the record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The line it would have been, from 1.
    pub line: u64,
    /// The bytes cut off.
    pub bytes: u64,
}

/// The log, open for one writer. The lock falls with it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines; the file has no others unless `unsure`.
    length: u64,
    torn: Option<Torn>,
    unsure: bool,
}

impl Journal {
    /// Opens the log in `folder` (making both where they are not there), takes the lock, and
    /// returns all records, oldest first. An unfinished last line is cut off: see [`Self::torn`].
    ///
    /// # Errors
    /// When another process has it open, a line other than an unfinished last one is damaged, a
    /// record is not a `T`, or the system refuses. The file is then left as it was.
    pub fn open<T: DeserializeOwned>(folder: &Path) -> Result<(Self, Vec<T>), JournalError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { action, path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open it", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { path }),
            Err(TryLockError::Error(source)) => {
                return Err(JournalError::Io { action: "lock it", path, source });
            }
        }
        // The name of a new file is in the folder's own bytes, which need their own sync.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder", folder))?;

        let Contents { records, length, torn } = read(&file, &path)?;
        let journal = Self { path, file, length, torn, unsure: false };
        if torn.is_some() {
            journal.cut().map_err(failed("cut off the unfinished last line", &journal.path))?;
        }
        Ok((journal, records))
    }

    /// The records of the log in `folder`, oldest first, without taking it from whoever writes it. An
    /// unfinished last line is left out.
    ///
    /// # Errors
    /// When it cannot be read, or a line other than an unfinished last one is damaged.
    pub fn records<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, JournalError> {
        let path = folder.join(FILE_NAME);
        let cannot = |source| JournalError::Io { action: "open it", path: path.clone(), source };
        let file = File::open(&path).map_err(cannot)?;
        Ok(read(&file, &path)?.records)
    }

    /// What was cut off when the log was opened.
    #[must_use]
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// Adds a record. When this returns, it is on the disk.
    ///
    /// # Errors
    /// When the record would not read back, is too long, or the system refuses. The log then still
    /// ends with the record before, or says [`JournalError::Unsure`] from now on.
    pub fn append<T: Serialize + DeserializeOwned>(
        &mut self,
        record: &T,
    ) -> Result<(), JournalError> {
        if self.unsure {
            return Err(JournalError::Unsure { path: self.path.clone() });
        }
        let line = self.line(record)?;
        if let Err((action, source)) = self.write(&line) {
            // A half-written line must not become the beginning of the next one.
            self.unsure = self.cut().is_err();
            return Err(JournalError::Io { action, path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Whether the log could be added to now; nothing stays of the attempt. A crash in the middle of it
    /// leaves an unfinished last line, as any append may.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn check(&mut self) -> Result<(), JournalError> {
        if self.unsure {
            return Err(JournalError::Unsure { path: self.path.clone() });
        }
        let written = self.write(&ROOM);
        self.unsure = self.cut().is_err();
        written.map_err(|(action, source)| JournalError::Io {
            action,
            path: self.path.clone(),
            source,
        })
    }

    fn line<T: Serialize + DeserializeOwned>(&self, record: &T) -> Result<Vec<u8>, JournalError> {
        let unkeepable = |source| JournalError::Unkeepable { path: self.path.clone(), source };
        let record = serde_json::to_vec(record).map_err(unkeepable)?;
        // NaN, for one, becomes null: better refused now than when the log is opened.
        serde_json::from_slice::<T>(&record).map_err(unkeepable)?;
        let line = framed(&record);
        if line.len() > MAX_LINE_BYTES {
            return Err(JournalError::TooLong { path: self.path.clone(), bytes: line.len() });
        }
        Ok(line)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), (&'static str, io::Error)> {
        self.file.seek(SeekFrom::Start(self.length)).map_err(|error| ("find its end", error))?;
        self.file.write_all(line).map_err(|error| ("write to it", error))?;
        self.file.sync_data().map_err(|error| ("sync it", error))
    }

    /// Takes off all that follows the last whole line.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()
    }
}

struct Contents<T> {
    records: Vec<T>,
    /// Bytes of whole lines.
    length: u64,
    torn: Option<Torn>,
}

fn read<T: DeserializeOwned>(file: &File, path: &Path) -> Result<Contents<T>, JournalError> {
    let mut reader = BufReader::new(file);
    let mut contents = Contents { records: Vec::new(), length: 0, torn: None };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let taken =
            reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut bytes).map_err(
                |source| JournalError::Io { action: "read it", path: path.into(), source },
            )?;
        let damaged = |damage| JournalError::Damaged { path: path.to_owned(), line, damage };
        if taken == 0 {
            break;
        }
        if bytes.last() != Some(&b'\n') {
            if taken == MAX_LINE_BYTES {
                return Err(damaged(Damage::Length));
            }
            contents.torn = Some(Torn { line, bytes: taken as u64 });
            break;
        }
        let record = whole(&bytes).map_err(damaged)?;
        let record = serde_json::from_slice(record).map_err(|source| JournalError::Unknown {
            path: path.to_owned(),
            line,
            source,
        })?;
        contents.records.push(record);
        contents.length += taken as u64;
    }
    Ok(contents)
}

/// The line of a record, which other stores than the file keep in the same form.
pub(crate) fn framed(record: &[u8]) -> Vec<u8> {
    let checksum = format!("{:08x}", crc32fast::hash(record));
    [HEAD, checksum.as_bytes(), MIDDLE, record, TAIL].concat()
}

/// The record of a line whose checksum holds.
pub(crate) fn whole(line: &[u8]) -> Result<&[u8], Damage> {
    let rest = line.strip_prefix(HEAD).ok_or(Damage::Form)?;
    let (checksum, rest) = rest.split_at_checked(CHECKSUM_DIGITS).ok_or(Damage::Form)?;
    let record = rest.strip_prefix(MIDDLE).and_then(|rest| rest.strip_suffix(TAIL));
    let record = record.ok_or(Damage::Form)?;
    let told = std::str::from_utf8(checksum)
        .ok()
        .filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or(Damage::Form)?;
    let found = crc32fast::hash(record);
    if told == found { Ok(record) } else { Err(Damage::Checksum { told, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_write_that_may_be_half_done_nothing_more_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open::<u32>(folder.path()).unwrap();
        journal.append(&1).unwrap();
        // A handle that cannot write stands for a disk that has failed.
        journal.file = File::open(&journal.path).unwrap();
        assert!(matches!(journal.append(&2), Err(JournalError::Io { .. })));
        assert!(matches!(journal.append(&3), Err(JournalError::Unsure { .. })));
        drop(journal);
        let (journal, records) = Journal::open::<u32>(folder.path()).unwrap();
        assert_eq!((records, journal.torn()), (vec![1], None));
    }
}
