//! The embedded decision log before `kill -9`: a writer that is killed hundreds of times loses nothing
//! that it was told is kept.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tidegate_collector::ledger::Event;
use tidegate_collector::state::Store;
use tidegate_collector::state::embedded::Embedded;

/// Where the writer writes; without it there is nothing to write.
const FOLDER: &str = "TIDEGATE_KILLED_FOLDER";
const KILLS: usize = 300;

fn event(number: usize) -> Event {
    // Of different lengths, so that a kill finds lines at any place in a page.
    Event::Refused { id: number.to_string(), why: "x".repeat(number * 37 % 5_000) }
}

/// Writes until it is killed, and says of each line that it is kept.
#[test]
fn the_writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (mut store, events) = Embedded::open(Path::new(&folder)).unwrap();
    let mut out = std::io::stdout();
    for number in events.len().. {
        store.append(&event(number)).unwrap();
        writeln!(out, "kept {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_writer_killed_hundreds_of_times_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut kept, mut cut_short) = (0, 0);
    let mut dice = 1994_u64;
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_writer", "--nocapture", "--test-threads", "1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut told = |line: Result<String, std::io::Error>| {
            let line = line.ok()?;
            // The harness's own words may stand before the first.
            let number: usize = line.rsplit_once("kept ")?.1.parse().ok()?;
            kept = kept.max(number + 1);
            Some(())
        };
        // It has begun once it has kept one.
        assert!(lines.by_ref().find_map(&mut told).is_some(), "the writer writes nothing");
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_micros(dice >> 33 & 0xfff));
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said before it was killed may still be on its way.
        lines.for_each(|line| {
            told(line);
        });

        let bytes = std::fs::read(folder.path().join("decisions.jsonl")).unwrap();
        cut_short += usize::from(bytes.last() != Some(&b'\n'));
        let (_, events) = Embedded::open(folder.path()).unwrap();
        let numbers: Vec<String> = events
            .iter()
            .map(|event| match event {
                Event::Refused { id, .. } => id.clone(),
                other => panic!("not ours: {other:?}"),
            })
            .collect();
        let expected: Vec<String> = (0..numbers.len()).map(|n| n.to_string()).collect();
        assert_eq!(numbers, expected, "after kill {kill}");
        assert!(numbers.len() >= kept, "kill {kill}: {} of {kept} lines are left", numbers.len());
    }
    println!("{KILLS} kills, {kept} lines, {cut_short} times the last one was cut short");
    assert!(kept >= KILLS);
}
