//! Small tables for tests, written as CSV and as Parquet, so that both can be read back as the same.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

/// The cells of a column.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    Whole(Vec<Option<i64>>),
    Number(Vec<Option<f64>>),
    Boolean(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    /// Days since 1970.
    Date(Vec<Option<i32>>),
    /// Microseconds since 1970, UTC.
    Instant(Vec<Option<i64>>),
}

/// Named columns of equal length.
pub(crate) type Specimen = Vec<(&'static str, Cells)>;

/// A folder that goes away with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A file with this content.
pub(crate) fn file(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).expect("a file");
    path
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Whole(cells) | Self::Instant(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
            Self::Boolean(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
            Self::Date(cells) => cells.len(),
        }
    }

    fn written(&self, row: usize) -> String {
        let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        match self {
            Self::Whole(cells) => cells[row].map(|value| value.to_string()),
            Self::Number(cells) => cells[row].map(|value| format!("{value:?}")),
            Self::Boolean(cells) => cells[row].map(|value| value.to_string()),
            Self::Text(cells) => cells[row].as_ref().map(quoted),
            Self::Date(cells) => cells[row].map(|days| super::calendar::date(days.into())),
            Self::Instant(cells) => {
                cells[row].map(|micros| super::calendar::instant(micros, 1_000_000, true))
            }
        }
        .unwrap_or_default()
    }

    fn declared(&self) -> (&'static str, &'static str) {
        match self {
            Self::Whole(_) => ("INT64", ""),
            Self::Number(_) => ("DOUBLE", ""),
            Self::Boolean(_) => ("BOOLEAN", ""),
            Self::Text(_) => ("BYTE_ARRAY", " (STRING)"),
            Self::Date(_) => ("INT32", " (DATE)"),
            Self::Instant(_) => ("INT64", " (TIMESTAMP(MICROS,true))"),
        }
    }
}

/// The specimen as CSV with a header line.
pub(crate) fn as_csv(dir: &Path, specimen: &Specimen) -> PathBuf {
    let names: Vec<_> = specimen.iter().map(|(name, _)| *name).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..specimen[0].1.len() {
        let cells: Vec<_> = specimen.iter().map(|(_, cells)| cells.written(row)).collect();
        writeln!(text, "{}", cells.join(",")).expect("text");
    }
    file(dir, "data.csv", text)
}

/// The specimen as Parquet in row groups of `group` rows.
pub(crate) fn as_parquet(
    dir: &Path,
    specimen: &Specimen,
    group: usize,
    compression: Compression,
) -> PathBuf {
    let path = dir.join("data.parquet");
    let mut schema = "message data {".to_owned();
    for (name, cells) in specimen {
        let (physical, logical) = cells.declared();
        write!(schema, " OPTIONAL {physical} {name}{logical};").expect("text");
    }
    let schema = Arc::new(parse_message_type(&(schema + " }")).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(&path).expect("a file");
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    let rows = specimen[0].1.len();
    for start in (0..rows).step_by(group.max(1)) {
        let range = start..rows.min(start + group);
        let mut rows = writer.next_row_group().expect("a row group");
        for (_, cells) in specimen {
            let mut column = rows.next_column().expect("no fault").expect("a column");
            match cells {
                Cells::Whole(cells) | Cells::Instant(cells) => {
                    write::<Int64Type>(&mut column, cells[range.clone()].iter().copied());
                }
                Cells::Number(cells) => {
                    write::<DoubleType>(&mut column, cells[range.clone()].iter().copied());
                }
                Cells::Boolean(cells) => {
                    write::<BoolType>(&mut column, cells[range.clone()].iter().copied());
                }
                Cells::Date(cells) => {
                    write::<Int32Type>(&mut column, cells[range.clone()].iter().copied());
                }
                Cells::Text(cells) => {
                    let texts = cells[range.clone()].iter().cloned();
                    let bytes =
                        texts.map(|text| text.map(|text| ByteArray::from(text.into_bytes())));
                    write::<ByteArrayType>(&mut column, bytes);
                }
            }
            column.close().expect("a closed column");
        }
        rows.close().expect("a closed row group");
    }
    writer.close().expect("a closed file");
    path
}

fn write<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) {
    let cells: Vec<_> = cells.collect();
    let levels: Vec<_> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<_> = cells.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&values, Some(&levels), None).expect("written values");
}
