//! Which files make a table: the ones that were named, and of folders those in them. It does not
//! open one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::table::error::TableError;

/// Files of one table.
pub const MAX_FILES: usize = 10_000;

/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 8;

/// Whether a file's or folder's name says that it is none of the data.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// Whether a file's name is that of a table.
#[must_use]
pub fn is_table(file: &Path) -> bool {
    let ends = file.extension().map(|end| end.to_string_lossy().to_lowercase());
    matches!(ends.as_deref(), Some("csv" | "tsv" | "parquet"))
}

/// The files of all paths: a file as it is, a folder as the CSV and Parquet files in it and below,
/// in the order of their names. What begins with a dot or an underscore is left out, as Spark and
/// Hive do.
///
/// # Errors
/// When a folder cannot be read, has no such file, or too many.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, TableError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            look_into(path, MAX_DEPTH, &mut files)?;
            if files.len() == before {
                return Err(TableError::Folder { path: path.clone() });
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn look_into(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), TableError> {
    let cannot = |source| TableError::Open { path: folder.to_owned(), source };
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !is_hidden(&name) {
            inside.push(path);
        }
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            if depth > 0 {
                look_into(&path, depth - 1, files)?;
            }
        } else if is_table(&path) {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(TableError::ManyFiles { path: folder.to_owned(), most: MAX_FILES });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::files;
    use crate::table::error::TableError;
    use crate::table::specimen::{file, folder};

    #[test]
    fn a_folder_is_its_tables_in_the_order_of_their_names() {
        let dir = folder();
        let deep = dir.path().join("month=2");
        std::fs::create_dir(&deep).expect("a folder");
        let wanted = [
            file(dir.path(), "b.CSV", "a\n1\n"),
            file(&deep, "part-0.parquet", ""),
            file(&deep, "part-1.parquet", ""),
        ];
        for name in ["_SUCCESS", ".b.csv.crc", "_b.csv", "notes.txt"] {
            file(dir.path(), name, "");
        }
        assert_eq!(files(&[dir.path().to_owned()]).expect("files"), wanted);
    }

    #[test]
    fn a_folder_without_tables_is_named() {
        let dir = folder();
        let error = files(&[dir.path().to_owned()]).unwrap_err();
        assert!(matches!(error, TableError::Folder { .. }), "{error}");
    }
}
