//! Columns written as Parquet, so that pandas, DuckDB and our own reader take them as they are. It does
//! not know what the columns mean, nor where the bytes go.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

/// The values of a column, one for each row; none where there is nothing to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
    /// Yes or no.
    Boolean(Vec<Option<bool>>),
    /// Texts.
    Text(Vec<Option<Box<str>>>),
    /// Microseconds since 1970, UTC.
    Instant(Vec<Option<i64>>),
}

/// A file of these columns, all of the same length, in one row group, compressed.
///
/// # Errors
/// In words, where the library refuses; it does not for columns of one length with names of their own.
pub fn parquet(columns: &[(String, Values)]) -> Result<Vec<u8>, String> {
    write(columns).map_err(|error| error.to_string())
}

fn write(columns: &[(String, Values)]) -> Result<Vec<u8>, ParquetError> {
    let fields = columns.iter().map(|(name, values)| values.declared(name).map(Arc::new));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder("samples").with_fields(fields).build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    for (_, values) in columns {
        let Some(mut column) = rows.next_column()? else { break };
        match values {
            Values::Whole(cells) | Values::Instant(cells) => {
                batch::<Int64Type>(&mut column, cells.iter().copied())?;
            }
            Values::Number(cells) => batch::<DoubleType>(&mut column, cells.iter().copied())?,
            Values::Boolean(cells) => batch::<BoolType>(&mut column, cells.iter().copied())?,
            Values::Text(cells) => {
                let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
                let texts = cells.iter().map(|text| text.as_deref().map(bytes));
                batch::<ByteArrayType>(&mut column, texts)?;
            }
        }
        column.close()?;
    }
    rows.close()?;
    writer.into_inner()
}

impl Values {
    fn declared(&self, name: &str) -> Result<Type, ParquetError> {
        let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
        let (physical, logical) = match self {
            Self::Whole(_) => (Physical::INT64, None),
            Self::Number(_) => (Physical::DOUBLE, None),
            Self::Boolean(_) => (Physical::BOOLEAN, None),
            Self::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Instant(_) => (Physical::INT64, Some(micros)),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }
}

fn batch<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let cells: Vec<_> = cells.collect();
    let levels: Vec<_> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<_> = cells.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&values, Some(&levels), None).map(|_| ())
}
