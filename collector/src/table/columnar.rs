//! The door to Parquet: flat columns of every type that data frames write, as cells. It does not
//! know CSV, nor what the cells are read for. Nested columns, times of day, durations and UUIDs
//! are refused by name.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::table::calendar::{date, instant};
use crate::table::delimited::refuse_repeated;
use crate::table::error::TableError;
use crate::table::{Cell, Column, Kind, Progress};

/// Values decoded at once.
const BATCH: usize = 8192;

/// Digits of a decimal that 16 bytes hold.
const MAX_DIGITS: i32 = 38;

/// A Parquet file whose schema is known.
pub(super) struct Columnar {
    path: PathBuf,
    reader: SerializedFileReader<std::fs::File>,
    names: Vec<String>,
    rows: u64,
    bytes: u64,
}

impl std::fmt::Debug for Columnar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Columnar").field("path", &self.path).field("names", &self.names).finish()
    }
}

/// What the stored values of a column stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Boolean,
    Integer,
    /// Stored signed, meant unsigned.
    Unsigned,
    Float,
    Half,
    /// Digits behind the point.
    Decimal(i32),
    Date,
    /// Units in a second, and whether they count from midnight UTC.
    Instant(i64, bool),
    Text,
    /// A column of nulls only has no type.
    Nothing,
}

impl Meaning {
    fn kind(self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Integer | Self::Unsigned | Self::Decimal(0) => Kind::Integer,
            Self::Float | Self::Half | Self::Decimal(_) => Kind::Number,
            Self::Date | Self::Instant(..) | Self::Text | Self::Nothing => Kind::Text,
        }
    }
}

impl Columnar {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let reader = guarded(path, || {
            SerializedFileReader::try_from(path).map_err(|why| unreadable(path, &why))
        })?;
        let about = reader.metadata().file_metadata();
        let rows = u64::try_from(about.num_rows()).unwrap_or(0);
        let names: Vec<_> = about.schema_descr().columns().iter().map(|c| name_of(c)).collect();
        refuse_repeated(path, &names)?;
        if rows == 0 {
            return Err(TableError::NoRows { path: path.to_owned() });
        }
        let bytes = std::fs::metadata(path).map_or(0, |about| about.len());
        Ok(Self { path: path.to_owned(), reader, names, rows, bytes })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn columns(&self, positions: &[usize]) -> Result<Vec<Column>, TableError> {
        let column = |&position: &usize| {
            let kind = self.meaning(position)?.kind();
            Ok(Column { position, name: self.names[position].clone(), kind })
        };
        positions.iter().map(column).collect()
    }

    pub(super) fn scan(
        &self,
        columns: &[Column],
        each: &mut dyn FnMut(usize, Cell<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, TableError> {
        guarded(&self.path, || self.read(columns, each, progress))
    }

    fn read(
        &self,
        columns: &[Column],
        each: &mut dyn FnMut(usize, Cell<'_>),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, TableError> {
        let all = self.rows.saturating_mul(columns.len().max(1) as u64);
        let mut cells = 0_u64;
        for group in 0..self.reader.num_row_groups() {
            // One column after the other, so that one page is in memory and not one of each.
            for (at, column) in columns.iter().enumerate() {
                self.read_chunk(group, column, &mut |cell: Cell<'_>| {
                    each(at, cell);
                    cells += 1;
                    if cells.is_multiple_of(BATCH as u64) {
                        let share = cells as f64 / all as f64;
                        let [rows, bytes] =
                            [self.rows, self.bytes].map(|n| (share * n as f64) as u64);
                        progress(Progress { rows, bytes, share });
                    }
                })?;
            }
        }
        let whole = self.rows_of(0..self.reader.num_row_groups());
        if whole != self.rows {
            let why = format!("it holds {whole} rows and claims {}", self.rows);
            return Err(TableError::Parquet { path: self.path.clone(), why });
        }
        Ok(self.rows)
    }

    /// Row groups side by side that hold so many rows together, so that small ones are no burden.
    pub(super) fn stretches(&self, rows: u64) -> Vec<Range<usize>> {
        let (mut stretches, mut from) = (Vec::new(), 0);
        for group in 0..self.reader.num_row_groups() {
            if self.rows_of(from..group + 1) >= rows {
                stretches.push(from..group + 1);
                from = group + 1;
            }
        }
        if from < self.reader.num_row_groups() {
            stretches.push(from..self.reader.num_row_groups());
        }
        stretches
    }

    /// Hands the cells of one column to `each`; returns how many there were.
    pub(super) fn read_column(
        &self,
        groups: Range<usize>,
        column: &Column,
        each: &mut Handing<'_>,
    ) -> Result<u64, TableError> {
        guarded(&self.path, || {
            groups.clone().try_for_each(|group| self.read_chunk(group, column, each))
        })?;
        Ok(self.rows_of(groups))
    }

    pub(super) fn rows_of(&self, groups: Range<usize>) -> u64 {
        let rows = groups.map(|group| self.reader.metadata().row_group(group).num_rows());
        rows.map(|rows| u64::try_from(rows).unwrap_or(0)).sum()
    }

    fn read_chunk(
        &self,
        group: usize,
        column: &Column,
        each: &mut Handing<'_>,
    ) -> Result<(), TableError> {
        let broken = |why: ParquetError| unreadable(&self.path, &why);
        let meaning = self.meaning(column.position)?;
        let reader = self.reader.get_row_group(group).map_err(broken)?;
        let stored = reader.get_column_reader(column.position).map_err(broken)?;
        let mut cells = 0_u64;
        let mut hand_over = |cell: Cell<'_>| {
            each(cell);
            cells += 1;
        };
        read_chunk(stored, meaning, &mut hand_over).map_err(|fault| match fault {
            Fault::Parquet(why) => unreadable(&self.path, &why),
            Fault::NotUtf8 { row } => TableError::NotUtf8 {
                path: self.path.clone(),
                row: self.rows_of(0..group) + row,
                line: None,
                column: column.name.clone(),
            },
        })?;
        let rows = self.rows_of(group..group + 1);
        if cells != rows {
            let why =
                format!("column `{}` holds {cells} values in a row group of {rows}", column.name);
            return Err(TableError::Parquet { path: self.path.clone(), why });
        }
        Ok(())
    }

    fn meaning(&self, position: usize) -> Result<Meaning, TableError> {
        let column = self.reader.metadata().file_metadata().schema_descr().column(position);
        meaning_of(&column).map_err(|what| TableError::Unsupported {
            path: self.path.clone(),
            column: self.names[position].clone(),
            what,
        })
    }
}

/// Runs what reads a file. The parquet crate answers some damage with a panic (60.1: a dictionary
/// page that is gone, among others), and to the user that is a damaged file like any other. What
/// `read` has touched by then is given up together with the error.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(TableError::Parquet { path: path.to_owned(), why: "it is damaged".to_owned() })
    })
}

fn unreadable(path: &Path, why: &ParquetError) -> TableError {
    TableError::Parquet { path: path.to_owned(), why: why.to_string() }
}

/// The column's name; empty for the row index that pandas writes.
fn name_of(column: &ColumnDescriptor) -> String {
    let name = column.path().string();
    if name.starts_with("__index_level_") { String::new() } else { name }
}

fn meaning_of(column: &ColumnDescriptor) -> Result<Meaning, String> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Err("a nested column".to_owned());
    }
    let logical = column.logical_type_ref();
    let physical = column.physical_type();
    match logical {
        Some(LogicalType::Date) => return Ok(Meaning::Date),
        Some(LogicalType::Timestamp(about)) => {
            let units = match about.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            };
            return Ok(Meaning::Instant(units, about.is_adjusted_to_u_t_c));
        }
        Some(LogicalType::Decimal(about)) if about.precision > MAX_DIGITS => {
            return Err(format!("a decimal of {} digits", about.precision));
        }
        Some(LogicalType::Decimal(about)) => return Ok(Meaning::Decimal(about.scale)),
        Some(LogicalType::Integer(about)) if !about.is_signed => return Ok(Meaning::Unsigned),
        Some(LogicalType::Float16) => return Ok(Meaning::Half),
        Some(LogicalType::Unknown) => return Ok(Meaning::Nothing),
        Some(
            LogicalType::Integer(_) | LogicalType::String | LogicalType::Enum | LogicalType::Json,
        )
        | None => {}
        Some(other) => return Err(format!("the type {other:?}")),
    }
    match column.converted_type() {
        ConvertedType::DATE => return Ok(Meaning::Date),
        ConvertedType::TIMESTAMP_MILLIS => return Ok(Meaning::Instant(1_000, true)),
        ConvertedType::TIMESTAMP_MICROS => return Ok(Meaning::Instant(1_000_000, true)),
        ConvertedType::DECIMAL => return Ok(Meaning::Decimal(column.type_scale())),
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64 => return Ok(Meaning::Unsigned),
        other @ (ConvertedType::INTERVAL
        | ConvertedType::TIME_MILLIS
        | ConvertedType::TIME_MICROS
        | ConvertedType::BSON) => return Err(format!("the type {other}")),
        _ => {}
    }
    match physical {
        Type::BOOLEAN => Ok(Meaning::Boolean),
        Type::INT32 | Type::INT64 => Ok(Meaning::Integer),
        Type::FLOAT | Type::DOUBLE => Ok(Meaning::Float),
        Type::BYTE_ARRAY => Ok(Meaning::Text),
        // Spark and Impala wrote instants so before Parquet had a type for them.
        Type::INT96 => Ok(Meaning::Instant(1_000_000, false)),
        Type::FIXED_LEN_BYTE_ARRAY => Err("raw bytes of fixed length".to_owned()),
    }
}

/// What can go wrong inside a column; rows count from 1 within its row group.
enum Fault {
    Parquet(ParquetError),
    NotUtf8 { row: u64 },
}

type Handing<'h> = dyn FnMut(Cell<'_>) + 'h;

fn read_chunk(stored: ColumnReader, meaning: Meaning, each: &mut Handing<'_>) -> Result<(), Fault> {
    match stored {
        ColumnReader::BoolColumnReader(reader) => {
            pump(reader, each, |value, each| hand(each, Cell::Boolean(*value)))
        }
        ColumnReader::Int32ColumnReader(reader) => pump(reader, each, |&value, each| {
            let unsigned = meaning == Meaning::Unsigned;
            let wide = if unsigned { value.cast_unsigned().into() } else { value.into() };
            whole(wide, meaning, each)
        }),
        ColumnReader::Int64ColumnReader(reader) => pump(reader, each, |&value, each| {
            if meaning == Meaning::Unsigned {
                return hand(each, Cell::Number(value.cast_unsigned() as f64));
            }
            whole(value, meaning, each)
        }),
        ColumnReader::Int96ColumnReader(reader) => {
            pump(reader, each, |value, each| whole(value.to_micros(), meaning, each))
        }
        ColumnReader::FloatColumnReader(reader) => {
            pump(reader, each, |&value, each| hand(each, number(value.into())))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            pump(reader, each, |&value, each| hand(each, number(value)))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            pump(reader, each, |value, each| bytes(value.data(), meaning, each))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            pump(reader, each, |value, each| bytes(value.data(), meaning, each))
        }
    }
}

/// The value is not what its column says; only text can fail so.
struct NotUtf8;

/// Reads a column chunk batch by batch and hands each value to `say`, each null to `each`.
fn pump<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    each: &mut Handing<'_>,
    mut say: impl FnMut(&T::T, &mut Handing<'_>) -> Result<(), NotUtf8>,
) -> Result<(), Fault> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut row = 0;
    loop {
        levels.clear();
        values.clear();
        let (records, _, _) = reader
            .read_records(BATCH, Some(&mut levels), None, &mut values)
            .map_err(Fault::Parquet)?;
        if records == 0 {
            return Ok(());
        }
        let mut present = values.iter();
        // A column that cannot be null has no levels.
        for at in 0..records {
            row += 1;
            let filled = levels.get(at).is_none_or(|level| *level > 0);
            match filled.then(|| present.next()).flatten() {
                Some(value) => say(value, each).map_err(|NotUtf8| Fault::NotUtf8 { row })?,
                None => each(Cell::Null),
            }
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // one shape for all value types
fn hand(each: &mut Handing<'_>, cell: Cell<'_>) -> Result<(), NotUtf8> {
    each(cell);
    Ok(())
}

fn number(value: f64) -> Cell<'static> {
    if value.is_nan() { Cell::Null } else { Cell::Number(value) }
}

fn whole(value: i64, meaning: Meaning, each: &mut Handing<'_>) -> Result<(), NotUtf8> {
    match meaning {
        Meaning::Date => hand(each, Cell::Text(&date(value))),
        Meaning::Instant(units, utc) => hand(each, Cell::Text(&instant(value, units, utc))),
        Meaning::Decimal(scale) => hand(each, Cell::Number(scaled(value.into(), scale))),
        _ => hand(each, Cell::Number(value as f64)),
    }
}

fn bytes(bytes: &[u8], meaning: Meaning, each: &mut Handing<'_>) -> Result<(), NotUtf8> {
    match meaning {
        Meaning::Decimal(scale) => {
            let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
            let start = if negative { -1 } else { 0 };
            let value = bytes.iter().fold(start, |sum: i128, &byte| (sum << 8) | i128::from(byte));
            hand(each, Cell::Number(scaled(value, scale)))
        }
        Meaning::Half => {
            let stored = [0, 1].map(|at| bytes.get(at).copied().unwrap_or(0));
            hand(each, number(half(u16::from_le_bytes(stored))))
        }
        _ => hand(each, Cell::Text(std::str::from_utf8(bytes).map_err(|_| NotUtf8)?)),
    }
}

/// Through the decimal text, so that 12.34 is the double that `12.34` is in CSV and in JSON.
fn scaled(value: i128, scale: i32) -> f64 {
    format!("{value}e{}", -scale).parse().unwrap_or(f64::NAN)
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::{half, scaled};

    #[test]
    fn decimals_are_the_doubles_of_their_text() {
        assert_eq!(scaled(1234, 2), 12.34);
        assert_eq!(scaled(-7, 0), -7.0);
    }

    #[test]
    fn half_floats_follow_ieee_754() {
        let check = |bits, value: f64| assert_eq!(half(bits), value);
        check(0x3c00, 1.0);
        check(0xc000, -2.0);
        check(0x7bff, 65504.0);
        check(0x0001, 2f64.powi(-24));
        check(0x7c00, f64::INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
