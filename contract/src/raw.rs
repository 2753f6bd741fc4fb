//! The values of one tensor as raw bytes: of fixed width, or each with its length before it. It does not
//! know where the bytes come from.

use crate::contract::Datatype;
use crate::json::{MAX_TOKEN_BYTES, Scalar, Text};
use crate::rows::{Broken, Raw, Rows};

/// Reads the bytes of one tensor as they come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    /// `None` where nobody knows the datatype; then the bytes are passed over.
    datatype: Option<Datatype>,
    /// Bytes of a value, or of a length, that a chunk cut in two.
    carried: Vec<u8>,
    element: Element,
}

/// A value of BYTES on its way.
#[derive(Debug, Clone, Default)]
struct Element {
    /// Bytes that it still has; `None` before its length is known.
    left: Option<u32>,
    kept: Vec<u8>,
    cut: bool,
}

impl Values {
    /// Values of a datatype by its name.
    pub(crate) fn of(datatype: &str) -> Self {
        Self { datatype: Datatype::parse(datatype), ..Self::default() }
    }

    /// Whether the values can be told.
    pub(crate) fn are_known(&self) -> bool {
        self.datatype.is_some()
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8], rows: &mut impl Rows) {
        match self.datatype {
            None => {}
            Some(Datatype::Bytes) => self.elements(bytes, rows),
            Some(datatype) => self.fixed(datatype, bytes, rows),
        }
    }

    /// Says that no more comes.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        if !self.carried.is_empty() || self.element.left.is_some() {
            let (place, expected) = ("the end of a raw tensor", "the end of a value");
            return Err(Broken::Envelope { place, expected });
        }
        Ok(())
    }

    fn fixed(&mut self, datatype: Datatype, bytes: &[u8], rows: &mut impl Rows) {
        let width = datatype.width().unwrap_or(1);
        let mut rest = bytes;
        if !self.carried.is_empty() {
            let (first, after) = rest.split_at(rest.len().min(width - self.carried.len()));
            self.carried.extend_from_slice(first);
            rest = after;
            if self.carried.len() < width {
                return;
            }
            if let Some(raw) = Raw::new(datatype, &self.carried) {
                rows.raw(raw);
            }
            self.carried.clear();
        }
        let (whole, cut) = rest.split_at(rest.len() - rest.len() % width);
        if let Some(raw) = Raw::new(datatype, whole).filter(|raw| !raw.is_empty()) {
            rows.raw(raw);
        }
        self.carried.extend_from_slice(cut);
    }

    fn elements(&mut self, bytes: &[u8], rows: &mut impl Rows) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(left) = self.element.left else {
                let (first, after) = rest.split_at(rest.len().min(4 - self.carried.len()));
                self.carried.extend_from_slice(first);
                rest = after;
                if let Ok(length) = <[u8; 4]>::try_from(self.carried.as_slice()) {
                    self.carried.clear();
                    self.element.left = Some(u32::from_le_bytes(length));
                    self.element_end(rows);
                }
                continue;
            };
            let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (piece, after) = rest.split_at(taken);
            rest = after;
            self.element.keep(piece);
            self.element.left = Some(left - u32::try_from(taken).unwrap_or(left));
            self.element_end(rows);
        }
    }

    /// Tells the element if it is whole.
    fn element_end(&mut self, rows: &mut impl Rows) {
        if self.element.left == Some(0) {
            self.element.left = None;
            self.element.tell(rows);
        }
    }

    /// Tells one value of BYTES that lies in pieces elsewhere; the last piece is marked.
    pub(crate) fn piece(&mut self, piece: &[u8], last: bool, rows: &mut impl Rows) {
        self.element.keep(piece);
        if last {
            self.element.tell(rows);
        }
    }
}

impl Element {
    fn keep(&mut self, piece: &[u8]) {
        let room = MAX_TOKEN_BYTES.saturating_sub(self.kept.len()).min(piece.len());
        self.kept.extend_from_slice(&piece[..room]);
        self.cut |= room < piece.len();
    }

    fn tell(&mut self, rows: &mut impl Rows) {
        let cut = self.cut;
        match str::from_utf8(&self.kept) {
            Ok(text) => rows.scalar(&Scalar::Text(Text { text, cut })),
            // What is kept may end within a character.
            Err(error) if cut && error.error_len().is_none() => {
                let whole = &self.kept[..error.valid_up_to()];
                let text = str::from_utf8(whole).unwrap_or_default();
                rows.scalar(&Scalar::Text(Text { text, cut }));
            }
            Err(_) => rows.bytes(&self.kept, cut),
        }
        self.kept.clear();
        self.cut = false;
    }
}
