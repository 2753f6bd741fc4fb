//! A body that is nothing but the bytes of one tensor: Triton's raw binary request, for a model with one
//! input. What the tensor is called and what its bytes are, only the contract says. It does not know how
//! the body was found to be one.
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>

use crate::contract::{Datatype, Field, FieldType};
use crate::json::Text;
use crate::raw;
use crate::rows::{Broken, Content, Rows, Shape, Tensor, Values};

/// The one tensor that a contract names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lone {
    name: Box<str>,
    datatype: Datatype,
    shape: Option<Box<[i64]>>,
}

impl Lone {
    /// The tensor of these fields, if it is one and its bytes can mean but one thing.
    pub(crate) fn of(fields: &[Field]) -> Option<Self> {
        let [field] = fields else { return None };
        let datatype = field.datatype.or(match field.kind {
            FieldType::Text | FieldType::Bytes => Some(Datatype::Bytes),
            FieldType::Boolean => Some(Datatype::Bool),
            FieldType::Integer | FieldType::Number | FieldType::Any => None,
        });
        let shape = field.shape.as_deref().map(Into::into);
        Some(Self { name: field.name.as_str().into(), datatype: datatype?, shape })
    }

    /// The extents of one row, where the contract names all of them; it may leave out how many rows there
    /// are. `None` where the values make them: then they are one row.
    fn row(&self) -> Option<Vec<u64>> {
        let row = self.shape.as_deref().and_then(|shape| shape.get(1..)).unwrap_or_default();
        row.iter().map(|extent| u64::try_from(*extent).ok()).collect()
    }

    fn begin(&self, rows: &mut impl Rows) {
        let one: Vec<u64>;
        let row = self.row();
        let shape = match (self.datatype, &row) {
            // A text is the whole body.
            (Datatype::Bytes, _) => {
                let rank = self.shape.as_ref().map_or(1, |shape| shape.len());
                one = vec![1; rank];
                Shape::Known(&one)
            }
            (_, Some(row)) => Shape::Open(row),
            (_, None) => Shape::Row,
        };
        let name = Text { text: &self.name, cut: false };
        rows.tensor(Tensor { name, datatype: Some(self.datatype.name()), shape });
    }
}

/// Reads the bytes of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader(Option<(Lone, raw::Values)>);

impl Reader {
    fn values(&mut self, rows: &mut impl Rows) -> Result<&mut (Lone, raw::Values), Broken> {
        if self.0.is_none() {
            let (place, expected) = ("the contract", "one of a single input with a datatype");
            let lone = rows.lone().ok_or(Broken::Envelope { place, expected })?;
            lone.begin(rows);
            let values = raw::Values::of(lone.datatype.name());
            self.0 = Some((lone, values));
        }
        self.0.as_mut().ok_or(Broken::Missing("tensor"))
    }

    pub(crate) fn feed(&mut self, chunk: &[u8], rows: &mut impl Rows) -> Result<(), Broken> {
        let (lone, values) = self.values(rows)?;
        if lone.datatype == Datatype::Bytes {
            values.piece(chunk, false, rows);
        } else {
            values.feed(chunk, rows);
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        let (lone, values) = self.values(rows)?;
        if lone.datatype == Datatype::Bytes {
            values.piece(&[], true, rows);
        } else {
            values.finish()?;
        }
        rows.tensor_end(Values::Here);
        rows.whole(Content::Tensors);
        Ok(())
    }
}
