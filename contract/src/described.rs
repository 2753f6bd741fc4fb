//! Tensors that were described and whose values come later, as raw bytes. It does not know in which
//! envelope they were described.

use std::collections::VecDeque;

use crate::contract::Datatype;
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
    Known {
        /// All that were counted.
        counts: Vec<u64>,
        /// Where among them one stands that the values make.
        open: Option<usize>,
    },
}

/// One extent as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Count(u64),
    /// `-1`: what the values make.
    Open,
    /// None at all.
    Malformed,
}

impl Extent {
    /// An extent that is a whole number.
    pub(crate) fn of(number: i64) -> Self {
        match number {
            -1 => Self::Open,
            number => u64::try_from(number).map_or(Self::Malformed, Self::Count),
        }
    }
}

impl Extents {
    /// Says that a shape was declared, whatever follows.
    pub(crate) fn begin(&mut self) {
        if matches!(self, Self::Missing) {
            *self = Self::Known { counts: Vec::new(), open: None };
        }
    }

    /// Adds an extent.
    pub(crate) fn add(&mut self, extent: Extent) {
        self.begin();
        match (self, extent) {
            (Self::Known { counts, open }, Extent::Count(count))
                if counts.len() + usize::from(open.is_some()) < MAX_RANK =>
            {
                counts.push(count);
            }
            (Self::Known { counts, open: open @ None }, Extent::Open)
                if counts.len() < MAX_RANK =>
            {
                *open = Some(counts.len());
            }
            (this, _) => *this = Self::Malformed,
        }
    }

    /// Whether only the last value says what a row is.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Known { open: Some(1..), .. })
    }

    /// Makes the open extent what so many values make it.
    pub(crate) fn close(&mut self, values: u64) {
        let Self::Known { counts, open: Some(place) } = self else { return };
        let product = counts.iter().try_fold(1_u64, |product, count| product.checked_mul(*count));
        match product.filter(|it| *it > 0 && values.is_multiple_of(*it)) {
            Some(product) => {
                counts.insert(*place, values / product);
                let counts = std::mem::take(counts);
                *self = Self::Known { counts, open: None };
            }
            None => *self = Self::Malformed,
        }
    }
}

impl Described {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Makes of the shape what so many raw bytes make it, where a row is not known without.
    fn close(&mut self, bytes: u64) {
        let datatype = self.datatype.as_deref().and_then(Datatype::parse);
        if let Some(width) = datatype.and_then(Datatype::width)
            && self.shape.waits()
        {
            self.shape.close(bytes / width as u64);
        }
    }

    /// As a listener is told.
    pub(crate) fn tensor(&self) -> Tensor<'_> {
        Tensor {
            name: Text { text: &self.name, cut: self.name_cut },
            datatype: self.datatype.as_deref(),
            shape: match &self.shape {
                Extents::Missing => Shape::Missing,
                // Whoever could not wait for its values cannot say what it is.
                Extents::Malformed | Extents::Known { open: Some(1..), .. } => Shape::Malformed,
                Extents::Known { counts, open: Some(0) } => Shape::Open(counts),
                Extents::Known { counts, open: None } => Shape::Known(counts),
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
                tensor.close(*left);
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
