//! The decision log as its users see it: what was appended comes back, whatever cut the file short.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::{Deserialize, Serialize};
use tidegate_collector::journal::{Damage, FILE_NAME, Journal, JournalError, MAX_LINE_BYTES, Torn};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    reason: String,
    share: u8,
    effect: f64,
}

fn record(reason: &str) -> Record {
    Record { reason: reason.to_owned(), share: 100, effect: 0.25 }
}

fn three() -> Vec<Record> {
    vec![record("drift"), record("line\nbreak, \"quotes\" and \u{1F30A}"), record("")]
}

fn open(folder: &Path) -> Result<(Journal, Vec<Record>), JournalError> {
    Journal::open(folder)
}

fn write(folder: &Path, records: &[Record]) -> PathBuf {
    let (mut journal, _) = open(folder).unwrap();
    for record in records {
        journal.append(record).unwrap();
    }
    folder.join(FILE_NAME)
}

#[test]
fn what_was_appended_comes_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("made/on/the/way");
    write(&state, &three()[..2]);
    write(&state, &three()[2..]);
    let (journal, records) = open(&state).unwrap();
    assert_eq!(records, three());
    assert_eq!(journal.torn(), None);
}

#[test]
fn a_look_whether_there_is_room_leaves_nothing_behind_and_a_crash_in_it_no_more_than_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &three()[..2]);
    let before = fs::read(&path).unwrap();
    let (mut journal, _) = open(folder.path()).unwrap();
    journal.check().unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    journal.append(&three()[2]).unwrap();
    drop(journal);

    let cut_short = [fs::read(&path).unwrap(), vec![b' '; 4096]].concat();
    fs::write(&path, cut_short).unwrap();
    let (journal, records) = open(folder.path()).unwrap();
    assert_eq!((records, journal.torn()), (three(), Some(Torn { line: 4, bytes: 4096 })));
}

#[test]
fn a_file_cut_at_any_byte_gives_back_every_whole_line_and_can_be_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &three());
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let kept = whole[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);

        let (mut journal, records) = open(folder.path()).unwrap();
        assert_eq!(records, three()[..lines], "cut at {cut}");
        let torn = Torn { line: lines as u64 + 1, bytes: (cut - kept) as u64 };
        assert_eq!(journal.torn(), (cut > kept).then_some(torn), "cut at {cut}");

        journal.append(&record("after")).unwrap();
        drop(journal);
        let (journal, records) = open(folder.path()).unwrap();
        assert_eq!(records.len(), lines + 1, "cut at {cut}");
        assert_eq!(records.last(), Some(&record("after")));
        assert_eq!(journal.torn(), None);
    }
}

#[test]
fn any_changed_byte_before_the_last_line_is_damage_that_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &three());
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in 0..last {
        for flip in [0x01, 0x20, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            match open(folder.path()) {
                Err(JournalError::Damaged { line: named, .. }) => assert_eq!(named, line),
                other => panic!("byte {at} flipped by {flip}: {other:?}"),
            }
            assert_eq!(fs::read(&path).unwrap(), bytes, "a damaged file is left as it was");
        }
    }
}

#[test]
fn a_damaged_line_is_told_with_place_and_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &three());
    let text = fs::read_to_string(&path).unwrap().replacen("drift", "draft", 1);
    fs::write(&path, text).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(
        error,
        JournalError::Damaged { line: 1, damage: Damage::Checksum { .. }, .. }
    ));
    let message = error.to_string();
    assert!(message.contains("decisions.jsonl:1: damaged"), "{message}");
    assert!(message.contains("restore the file from a copy"), "{message}");
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(JournalError::Locked { .. })));
    drop(first);
    assert!(open(folder.path()).is_ok());
}

#[test]
fn a_record_that_would_not_read_back_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &three());
    let before = fs::read(&path).unwrap();
    let (mut journal, _) = open(folder.path()).unwrap();
    let poisoned = Record { effect: f64::NAN, ..record("not a number") };
    assert!(matches!(journal.append(&poisoned), Err(JournalError::Unkeepable { .. })));
    let long = record(&"x".repeat(MAX_LINE_BYTES));
    assert!(matches!(journal.append(&long), Err(JournalError::TooLong { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    journal.append(&record("still open")).unwrap();
}

#[test]
fn a_line_of_the_greatest_length_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &[record("")]);
    let frame = fs::metadata(&path).unwrap().len() as usize;
    let longest = record(&"x".repeat(MAX_LINE_BYTES - frame));
    write(folder.path(), std::slice::from_ref(&longest));
    let (_, records) = open(folder.path()).unwrap();
    assert_eq!(records, [record(""), longest]);
}

#[test]
fn a_tail_longer_than_any_line_is_damage_and_not_torn() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), vec![b'x'; MAX_LINE_BYTES + 1]).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { line: 1, damage: Damage::Length, .. }));
}

#[test]
fn a_whole_line_of_another_version_is_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &three());
    match Journal::open::<u32>(folder.path()) {
        Err(JournalError::Unknown { line: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1912),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_records_come_back_and_any_cut_leaves_a_prefix(
        reasons in proptest::collection::vec(".{0,40}", 0..6),
        share: u8,
        effect in -1e300..1e300f64,
        cut in 0.0..1.0f64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let records: Vec<_> = reasons
            .into_iter()
            .map(|reason| Record { reason, share, effect })
            .collect();
        let path = write(folder.path(), &records);
        prop_assert_eq!(&open(folder.path()).unwrap().1, &records);

        let whole = fs::read(&path).unwrap();
        let cut = (whole.len() as f64 * cut) as usize;
        fs::write(&path, &whole[..cut]).unwrap();
        let (_, kept) = open(folder.path()).unwrap();
        prop_assert!(records.starts_with(&kept));
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(kept.len(), lines);
    }

    #[test]
    fn any_bytes_in_the_file_have_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
        let _ = open(folder.path());
    }
}
