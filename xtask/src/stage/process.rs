//! A process that ends with its owner: when the handle is dropped, on Ctrl-C, on a panic, and even
//! when we are killed. It does not know what the process does.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::Error;

/// How long a process may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How often a process is looked at while we wait for it.
const LOOK: Duration = Duration::from_millis(20);
/// How much of a log is shown when something failed.
const LAST_LINES: usize = 15;

/// The process groups that are alive because of us, for the one who has to end them all.
static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// Set once all are being ended; from then on nothing starts.
static ENDING: AtomicBool = AtomicBool::new(false);

/// A running process with its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own, its output appended to the file `log`.
    ///
    /// # Errors
    /// The log cannot be written or the program cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self, Error> {
        let file = |source| Error::File { path: log.to_owned(), source };
        let out = OpenOptions::new().create(true).append(true).open(log).map_err(file)?;
        let err = out.try_clone().map_err(file)?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child =
            spawn(command).map_err(|source| Error::Spawn { program: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child, ended: None })
    }

    /// What the process is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, which is its group's id too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            self.ended = Some(status);
            forget(self.group());
        }
        self.ended
    }

    /// Asks it to end (SIGTERM), and kills it when it has not done so after three seconds.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Kills it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Stops it in its tracks (SIGSTOP): its sockets stay open and nothing answers.
    pub fn pause(&self) {
        let _ = killpg(Pid::from_raw(self.group()), Signal::SIGSTOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        let _ = killpg(Pid::from_raw(self.group()), Signal::SIGCONT);
    }

    /// Its resident memory in bytes; `None` where the system does not tell (only Linux does here)
    /// or the process has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        last_lines(&self.log, LAST_LINES)
    }

    fn group(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// Also when [`end_all`] waited for it, which leaves no status to us.
    fn is_over(&mut self) -> bool {
        self.ended().is_some() || self.child.try_wait().is_err()
    }

    fn end(&mut self, signal: Signal) {
        let group = Pid::from_raw(self.group());
        if !self.is_over() {
            let _ = killpg(group, signal);
            // A paused process takes SIGTERM only once it goes on.
            let _ = killpg(group, Signal::SIGCONT);
            let deadline = Instant::now() + GRACE;
            while !self.is_over() && Instant::now() < deadline {
                thread::sleep(LOOK);
            }
        }
        // Whatever it started itself must not outlive it.
        let _ = killpg(group, Signal::SIGKILL);
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
        forget(self.group());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end with our own output; it ends with us like any other.
///
/// # Errors
/// It cannot be started or waited for.
pub fn attached(name: &str, command: Command) -> Result<ExitStatus, Error> {
    let failed = |source| Error::Spawn { program: name.to_owned(), source };
    let mut child = spawn(command).map_err(failed)?;
    let status = child.wait();
    forget(i32::try_from(child.id()).unwrap_or(i32::MAX));
    status.map_err(failed)
}

/// Ends every process that is alive because of us: SIGTERM, three seconds, SIGKILL. For the
/// handler of Ctrl-C, which then leaves without running destructors. Nothing starts afterwards.
pub fn end_all() {
    let groups: Vec<i32> = {
        let live = live();
        ENDING.store(true, Ordering::SeqCst);
        live.iter().copied().collect()
    };
    for group in &groups {
        let _ = killpg(Pid::from_raw(*group), Signal::SIGTERM);
        let _ = killpg(Pid::from_raw(*group), Signal::SIGCONT);
    }
    let mut left = groups.clone();
    let mut wait = |within: Duration| {
        let deadline = Instant::now() + within;
        while !left.is_empty() && Instant::now() < deadline {
            left.retain(|group| is_running(*group));
            thread::sleep(LOOK);
        }
    };
    wait(GRACE);
    // Also for what they started themselves, and for those who are left.
    for group in &groups {
        let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
    }
    wait(GRACE);
}

/// Whether [`end_all`] was called: whoever sees a process end may be seeing that.
#[must_use]
pub fn all_end() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Whether a process of this number is there.
#[must_use]
pub fn exists(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

/// The last `count` lines of a file, or why there are none.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> String {
    /// Logs may be long; their end is near enough to be read from here.
    const TAIL_BYTES: u64 = 16 << 10;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            let from = lines.len().saturating_sub(count);
            lines[from..].iter().map(|line| format!("    {line}\n")).collect()
        }
        Err(error) => format!("    (no log: {error})\n"),
    }
}

/// Starts a command that ends with us, from a thread that lives as long as we do: Linux sends the
/// parent-death signal when the *thread* that started a process ends, and test threads end early.
fn spawn(mut command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static LAUNCHER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();

    command.process_group(0);
    end_with_parent(&mut command);
    let launcher = LAUNCHER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Held while starting, so that `end_all` misses nobody.
                let mut live = live();
                let child = if all_end() {
                    Err(std::io::Error::other("everything is being stopped"))
                } else {
                    command.spawn()
                };
                if let Ok(child) = &child {
                    live.insert(i32::try_from(child.id()).unwrap_or(i32::MAX));
                }
                drop(live);
                let _ = answer.send(child);
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = mpsc::channel();
    launcher
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| std::io::Error::other("the launching thread is gone"))?;
    child.recv().map_err(|_| std::io::Error::other("the launching thread is gone"))?
}

#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes one system call; it takes no lock
    // and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from)
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_command: &mut Command) {}

fn forget(group: i32) {
    live().remove(&group);
}

fn live() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a child of ours runs. An ended one is waited for here, or would be seen for ever.
fn is_running(child: i32) -> bool {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    matches!(
        waitpid(Pid::from_raw(child), Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    fn shell(stage: &Stage, script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("script", command, &stage.folder().join("script.log")).expect("starts")
    }

    fn stage() -> Stage {
        Stage::open(&std::env::temp_dir().join("tidegate-xtask-tests"), "process").expect("opens")
    }

    fn is_alive(pid: u32) -> bool {
        exists(i32::try_from(pid).expect("small"))
    }

    /// Waits until `true`, without a fixed sleep, and says whether it came.
    fn comes(mut condition: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if condition() {
                return true;
            }
            thread::yield_now();
        }
        false
    }

    fn grandchild(stage: &Stage, process: &Process) -> u32 {
        let mut pid = None;
        assert!(comes(|| {
            pid = std::fs::read_to_string(process.log()).ok().and_then(|t| t.trim().parse().ok());
            pid.is_some()
        }));
        let _ = stage;
        pid.expect("printed")
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let stage = stage();
        let process = shell(&stage, "exec sleep 600");
        let pid = process.pid();
        assert!(is_alive(pid));
        drop(process);
        assert!(!is_alive(pid));
    }

    #[test]
    fn what_it_started_itself_goes_with_it() {
        let stage = stage();
        let process = shell(&stage, "sleep 600 & echo $!; wait");
        let pid = grandchild(&stage, &process);
        drop(process);
        assert!(comes(|| !is_alive(pid)), "the child of the child lives on");
    }

    #[test]
    fn a_panic_leaves_nothing_behind() {
        let (sender, pid) = mpsc::channel();
        let failed = thread::spawn(move || {
            let stage = stage();
            let process = shell(&stage, "exec sleep 600");
            sender.send(process.pid()).expect("heard");
            std::panic::resume_unwind(Box::new("a play that fails"));
        })
        .join();
        assert!(failed.is_err());
        assert!(!is_alive(pid.recv().expect("told")));
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let stage = stage();
        let mut process = thread::scope(|scope| {
            scope.spawn(|| shell(&stage, "echo up; exec sleep 600")).join().expect("started")
        });
        assert!(comes(|| process.last_words().contains("up")));
        assert_eq!(process.ended(), None);
    }

    #[test]
    fn one_that_ignores_the_request_to_end_is_killed() {
        let stage = stage();
        let mut process = shell(&stage, "trap '' TERM; echo deaf; while :; do sleep 1; done");
        assert!(comes(|| process.last_words().contains("deaf")));
        process.stop();
        assert!(process.ended().is_some());
        assert!(!is_alive(process.pid()));
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error_that_names_it() {
        let stage = stage();
        let command = Command::new("/no/such/program");
        let error =
            Process::start("ghost", command, &stage.folder().join("log")).expect_err("none");
        assert!(error.to_string().contains("ghost"), "{error}");
    }
}
