//! The shelf below the build folder: one folder a tool and version, whole or not there. It does
//! not know what lies on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::work::Work;
use super::{Error, Tools, file_error};
use crate::terminal::Terminal;

/// Written last: a folder without it was cut off.
const DONE: &str = ".done";

impl Tools {
    /// The folder `name` (a tool with its version), filled by `fill` when it is not there yet.
    /// `essential` is a file in it without which it does not count. Processes that want the same
    /// wait for one another; an install that was cut off is begun anew.
    ///
    /// # Errors
    /// Whatever `fill` says, or the shelf cannot be written.
    pub(crate) fn on_shelf(
        &self,
        title: &str,
        name: &str,
        essential: &str,
        fill: impl FnOnce(&Path, &mut Work) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        take(&self.shelf, name, essential, |partial| {
            let mut work = Work::begin(self.terminal, title, &self.shelf.join("logs"), name)?;
            let filled = fill(partial, &mut work);
            work.finish(filled.is_ok(), "");
            filled
        })
    }

    /// How this shelf tells its progress.
    pub(super) fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// Where the logs of fetching and building go.
    pub(super) fn logs(&self) -> PathBuf {
        self.shelf.join("logs")
    }
}

fn take(
    shelf: &Path,
    name: &str,
    essential: &str,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let folder = shelf.join(name);
    let whole = || folder.join(DONE).exists() && folder.join(essential).exists();
    if whole() {
        return Ok(folder);
    }
    fs::create_dir_all(shelf).map_err(file_error(shelf))?;
    let lock = shelf.join(format!(".{name}.lock"));
    // The lock goes with the handle, so also with a process that is killed.
    let held = File::create(&lock).map_err(file_error(&lock))?;
    held.lock().map_err(file_error(&lock))?;
    if whole() {
        return Ok(folder);
    }
    let partial = shelf.join(format!(".{name}.partial"));
    for rest in [&partial, &folder] {
        if rest.exists() {
            fs::remove_dir_all(rest).map_err(file_error(rest))?;
        }
    }
    fs::create_dir_all(&partial).map_err(file_error(&partial))?;
    fill(&partial)?;
    if !partial.join(essential).exists() {
        return Err(Error::Incomplete { path: folder.join(essential) });
    }
    fs::write(partial.join(DONE), "").map_err(file_error(&partial))?;
    fs::rename(&partial, &folder).map_err(file_error(&folder))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn shelf() -> Stage {
        Stage::open(&std::env::temp_dir().join("tidegate-xtask-tests"), "shelf").expect("opens")
    }

    fn put(path: &Path, text: &str) -> Result<(), Error> {
        fs::write(path, text).map_err(file_error(path))
    }

    #[test]
    fn what_is_there_is_not_fetched_again() {
        let shelf = shelf();
        let fetched = AtomicU32::new(0);
        for _ in 0..3 {
            let folder = take(shelf.folder(), "tool-1", "tool", |partial| {
                fetched.fetch_add(1, Ordering::Relaxed);
                put(&partial.join("tool"), "x")
            })
            .expect("fetched");
            assert!(folder.join("tool").exists());
        }
        assert_eq!(fetched.into_inner(), 1);
    }

    #[test]
    fn an_install_that_was_cut_off_is_begun_anew() {
        let shelf = shelf();
        let failed = take(shelf.folder(), "tool-1", "tool", |partial| {
            put(&partial.join("tool"), "half")?;
            put(&partial.join("no/such/folder"), "")
        });
        assert!(failed.is_err());
        assert!(!shelf.folder().join("tool-1").exists());
        let folder = take(shelf.folder(), "tool-1", "tool", |partial| {
            assert!(!partial.join("tool").exists(), "the half one is still there");
            put(&partial.join("tool"), "whole")
        })
        .expect("fetched");
        assert_eq!(fs::read_to_string(folder.join("tool")).expect("there"), "whole");
    }

    #[test]
    fn a_package_without_its_program_is_an_error() {
        let shelf = shelf();
        let error = take(shelf.folder(), "tool-1", "bin/tool", |_| Ok(())).expect_err("empty");
        assert!(error.to_string().contains("bin/tool"), "{error}");
    }

    #[test]
    fn two_who_want_the_same_fetch_it_once() {
        let shelf = shelf();
        let fetched = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    take(shelf.folder(), "tool-1", "tool", |partial| {
                        fetched.fetch_add(1, Ordering::Relaxed);
                        put(&partial.join("tool"), "x")
                    })
                    .expect("fetched")
                });
            }
        });
        assert_eq!(fetched.into_inner(), 1);
    }
}
