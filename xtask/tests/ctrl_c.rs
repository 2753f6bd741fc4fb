//! What the handler of Ctrl-C does, in a process of its own: it ends everything that runs here. It
//! does not know how the signal arrives.

use std::process::Command;
use std::time::{Duration, Instant};

use xtask::stage::Stage;
use xtask::stage::process::{Process, end_all, exists};

#[test]
fn ctrl_c_ends_the_willing_the_deaf_and_the_paused_and_nothing_starts_afterwards() {
    let parent = std::env::temp_dir().join("tidegate-xtask-tests");
    let stage = Stage::open(&parent, "ctrl-c").expect("opens");
    let start = |name: &str, script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(name, command, &stage.folder().join(name))
    };
    let willing = start("willing", "echo up; exec sleep 600").expect("starts");
    let deaf = start("deaf", "trap '' TERM; echo up; while :; do sleep 1; done").expect("starts");
    let paused = start("paused", "echo up; exec sleep 600").expect("starts");
    let everybody = [&willing, &deaf, &paused];
    let deadline = Instant::now() + Duration::from_secs(20);
    while !everybody.iter().all(|process| process.last_words().contains("up")) {
        assert!(Instant::now() < deadline, "they do not come up");
        std::thread::yield_now();
    }
    paused.pause();

    end_all();

    let gone = |process: &Process| !exists(i32::try_from(process.pid()).expect("small"));
    for process in everybody {
        assert!(gone(process), "{} is left", process.name());
    }
    assert!(start("late", "exec sleep 600").is_err(), "something started after the end");
}
