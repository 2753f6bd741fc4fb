//! Tensors that were described and whose values come later, as raw bytes. It does not know in which
//! envelope they were described.

use std::collections::VecDeque;

use crate::json::Text;
use crate::raw;
use crate::rows::{Broken, MAX_RANK, Rows, Shape, Tensor, Values};

/// Tensors of one body whose values come later.
pub(crate) const MAX_TENSORS: usize = 1024;

/// What was read of one tensor beside its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) name_cut: bool,
    /// As written; `None` where none was.
    pub(crate) datatype: Option<String>,
    pub(crate) shape: Extents,
}

/// A shape while it is read.
#[derive(Debug, Clone, Default)]
pub(crate) enum Extents {
    #[default]
    Missing,
    Malformed,
    Known(Vec<u64>),
}

impl Extents {
    /// Says that a shape was declared, whatever follows.
    pub(crate) fn begin(&mut self) {
        if matches!(self, Self::Missing) {
            *self = Self::Known(Vec::new());
        }
    }

    /// Adds an extent; `None` for what is none.
    pub(crate) fn add(&mut self, extent: Option<u64>) {
        self.begin();
        match (self, extent) {
            (Self::Known(extents), Some(extent)) if extents.len() < MAX_RANK => {
                extents.push(extent);
            }
            (this, _) => *this = Self::Malformed,
        }
    }
}

impl Described {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// As a listener is told.
    pub(crate) fn tensor(&self) -> Tensor<'_> {
        Tensor {
            name: Text { text: &self.name, cut: self.name_cut },
            datatype: self.datatype.as_deref(),
            shape: match &self.shape {
                Extents::Missing => Shape::Missing,
                Extents::Malformed => Shape::Malformed,
                Extents::Known(extents) => Shape::Known(extents),
            },
        }
    }
}

/// Tensors whose values come later, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Later {
    tensors: VecDeque<(Described, u64)>,
    /// The values of the first one, once they have begun to come.
    open: Option<raw::Values>,
}

impl Later {
    /// Adds a tensor of so many bytes.
    pub(crate) fn add(&mut self, tensor: Described, bytes: u64) -> Result<(), Broken> {
        if self.tensors.len() == MAX_TENSORS {
            return Err(Broken::TooMany { what: "raw tensors", most: MAX_TENSORS });
        }
        self.tensors.push_back((tensor, bytes));
        Ok(())
    }

    /// Whether no bytes are to come.
    pub(crate) fn is_done(&self) -> bool {
        self.tensors.iter().all(|(_, left)| *left == 0)
    }

    /// Tells what the next bytes are. Gives those that are left when all tensors are whole.
    pub(crate) fn feed<'a>(
        &mut self,
        mut bytes: &'a [u8],
        rows: &mut impl Rows,
    ) -> Result<&'a [u8], Broken> {
        let mut first = true;
        // Without bytes only the first can end: the size of the next may not be known yet.
        while (first || !bytes.is_empty())
            && let Some((tensor, left)) = self.tensors.front_mut()
        {
            first = false;
            let values = self.open.get_or_insert_with(|| {
                rows.tensor(tensor.tensor());
                raw::Values::of(tensor.datatype.as_deref().unwrap_or_default())
            });
            let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            let (piece, after) = bytes.split_at(taken);
            values.feed(piece, rows);
            *left -= taken as u64;
            bytes = after;
            if *left > 0 {
                return Ok(bytes);
            }
            self.end(rows)?;
        }
        Ok(bytes)
    }

    /// Begins the next tensor, whose bytes are as many as is said only now. False where there is
    /// none.
    pub(crate) fn begin(&mut self, bytes: u64) -> bool {
        match self.tensors.front_mut() {
            Some((_, left)) => {
                *left = bytes;
                true
            }
            None => false,
        }
    }

    fn end(&mut self, rows: &mut impl Rows) -> Result<(), Broken> {
        self.tensors.pop_front();
        let Some(mut values) = self.open.take() else { return Ok(()) };
        values.finish()?;
        // Values that nobody could read cannot be counted either.
        rows.tensor_end(if values.are_known() { Values::Here } else { Values::Elsewhere });
        Ok(())
    }

    /// Tells those tensors whose values never came.
    pub(crate) fn tell_rest(&mut self, rows: &mut impl Rows) {
        for (tensor, _) in self.tensors.drain(..) {
            rows.tensor(tensor.tensor());
            let values = raw::Values::of(tensor.datatype.as_deref().unwrap_or_default());
            rows.tensor_end(if values.are_known() { Values::Here } else { Values::Elsewhere });
        }
    }
}
