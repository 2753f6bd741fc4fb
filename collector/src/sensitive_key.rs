//! The key by which the filters hash sensitive values: made once, and kept beside the decision log so
//! that hashes of this month compare with those of the last. It does not know what is hashed.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The file, within the state folder.
const FILE: &str = "sensitive.key";
/// Letters below which a key could be guessed.
const LEAST_LETTERS: usize = 16;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("the key of sensitive values, {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody wrote one that can be guessed.
    #[error(
        "{path} holds a key of {letters} letters; write at least {LEAST_LETTERS}, or remove the \
         file and a new one is made"
    )]
    Short {
        /// Which file.
        path: PathBuf,
        /// How many it has.
        letters: usize,
    },
}

/// The key of this state folder; a new one where there is none.
///
/// # Errors
/// When the file cannot be read or written, or holds a key that can be guessed.
pub fn of(state: &Path) -> Result<String, KeyError> {
    let path = state.join(FILE);
    let failed = |source| KeyError::File { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = text.trim().to_owned();
            let letters = key.chars().count();
            if letters < LEAST_LETTERS {
                return Err(KeyError::Short { path, letters });
            }
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random();
            fs::create_dir_all(state).map_err(failed)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?;
            writeln!(file, "{key}").and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// 32 hexadecimal letters. Each [`RandomState`] is keyed by the system's own randomness.
pub(crate) fn random() -> String {
    let half = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let key = of(folder.path()).expect("made");
        assert_eq!(key.len(), 32);
        assert_eq!(of(folder.path()).expect("read"), key);
        let other = tempfile::tempdir().expect("a folder");
        assert_ne!(of(other.path()).expect("made"), key);
        let mode = fs::metadata(folder.path().join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "hunter2\n").expect("writes");
        let refused = of(folder.path()).expect_err("short").to_string();
        assert!(refused.contains("7 letters"), "{refused}");
    }
}
