//! The wire format of Protocol Buffers as it streams past: bytes in, fields out, in memory that does not
//! grow with the message. It does not know any schema: the visitor says what each field is.
//! <https://protobuf.dev/programming-guides/encoding>

use crate::rows::Broken;

const OVERLONG: &str = "a field longer than the message that it stands in";
/// How many messages may stand in each other.
const MAX_DEPTH: usize = 8;

/// What a visitor wants of a field that has a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// It is a message: its fields.
    Fields,
    /// Its bytes, in pieces.
    Bytes,
    /// Nothing of it.
    Nothing,
}

/// A field without a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

/// Is told the fields of a message.
pub(crate) trait Visitor {
    /// A field that is a number.
    fn scalar(&mut self, field: u32, value: Scalar) -> Result<(), Broken>;
    /// A field of so many bytes begins.
    fn begin(&mut self, field: u32, length: u64) -> Result<Want, Broken>;
    /// The next bytes of a field whose bytes were wanted; `last` with the piece that ends it, which
    /// may be empty.
    fn bytes(&mut self, piece: &[u8], last: bool) -> Result<(), Broken>;
    /// A message whose fields were wanted ends.
    fn end(&mut self) -> Result<(), Broken>;
}

/// Reads one message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parser {
    /// Bytes left of each open message, the outermost first; the message itself has none of these.
    open: Vec<u64>,
    at: At,
    varint: Varint,
    read: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Key,
    Value(u32),
    Length(u32),
    Fixed {
        field: u32,
        bytes: [u8; 8],
        have: usize,
        width: usize,
    },
    /// In the bytes of a field; true where they are told.
    Bytes(u64, bool),
}

/// A varint on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Varint {
    value: u64,
    shift: u32,
}

impl Varint {
    /// Takes the next byte and gives the number that it ends. An overlong one is an error.
    pub(crate) fn byte(&mut self, byte: u8) -> Result<Option<u64>, ()> {
        if self.shift >= 64 || self.shift == 63 && byte & 0x7e != 0 {
            return Err(());
        }
        self.value |= u64::from(byte & 0x7f) << self.shift;
        if byte & 0x80 != 0 {
            self.shift += 7;
            return Ok(None);
        }
        let value = self.value;
        *self = Self::default();
        Ok(Some(value))
    }

    /// Whether a number has begun and not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.shift > 0
    }
}

impl Parser {
    /// Takes the next bytes of the message.
    pub(crate) fn feed(&mut self, chunk: &[u8], visitor: &mut impl Visitor) -> Result<(), Broken> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let used = match &mut self.at {
                At::Bytes(left, told) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    let last = *left == 0;
                    if *told {
                        visitor.bytes(&rest[..taken], last)?;
                    }
                    if last {
                        self.at = At::Key;
                    }
                    taken
                }
                At::Fixed { field, bytes, have, width } => {
                    let taken = rest.len().min(*width - *have);
                    bytes[*have..*have + taken].copy_from_slice(&rest[..taken]);
                    *have += taken;
                    if have == width {
                        let [a, b, c, d, ..] = *bytes;
                        let fixed = match *width {
                            4 => Scalar::Fixed32([a, b, c, d]),
                            _ => Scalar::Fixed64(*bytes),
                        };
                        visitor.scalar(*field, fixed)?;
                        self.at = At::Key;
                    }
                    taken
                }
                At::Key | At::Value(_) | At::Length(_) => {
                    let number = self.varint.byte(rest[0]);
                    let number = number.map_err(|()| self.broken("a number of too many bytes"))?;
                    if let Some(number) = number {
                        self.number(number, visitor)?;
                    }
                    1
                }
            };
            self.read += used as u64;
            rest = &rest[used..];
            self.spend(used as u64, visitor)?;
        }
        Ok(())
    }

    /// Says that the message ends here.
    pub(crate) fn finish(&self) -> Result<(), Broken> {
        if self.at != At::Key || self.varint.is_open() || !self.open.is_empty() {
            return Err(self.broken("the message ends within a field"));
        }
        Ok(())
    }

    fn broken(&self, what: &'static str) -> Broken {
        Broken::Bytes { at: self.read, what }
    }

    /// Counts bytes of all open messages and ends those that are whole.
    fn spend(&mut self, used: u64, visitor: &mut impl Visitor) -> Result<(), Broken> {
        for left in &mut self.open {
            *left =
                left.checked_sub(used).ok_or(Broken::Bytes { at: self.read, what: OVERLONG })?;
        }
        while self.open.last() == Some(&0) {
            if self.at != At::Key || self.varint.is_open() {
                return Err(self.broken(OVERLONG));
            }
            self.open.pop();
            visitor.end()?;
        }
        Ok(())
    }

    fn number(&mut self, number: u64, visitor: &mut impl Visitor) -> Result<(), Broken> {
        // The byte that ended the number is not spent yet.
        let room = self.open.last().map_or(u64::MAX, |left| left.saturating_sub(1));
        match self.at {
            At::Key => {
                let field = u32::try_from(number >> 3).unwrap_or(0);
                if field == 0 {
                    return Err(self.broken("no number of a field"));
                }
                if matches!(number & 7, 1 if room < 8) || matches!(number & 7, 5 if room < 4) {
                    return Err(self.broken(OVERLONG));
                }
                self.at = match number & 7 {
                    0 => At::Value(field),
                    1 => At::Fixed { field, bytes: [0; 8], have: 0, width: 8 },
                    2 => At::Length(field),
                    5 => At::Fixed { field, bytes: [0; 8], have: 0, width: 4 },
                    _ => return Err(self.broken("no type of a field")),
                };
            }
            At::Value(field) => {
                visitor.scalar(field, Scalar::Varint(number))?;
                self.at = At::Key;
            }
            At::Length(field) => {
                if number > room {
                    return Err(self.broken(OVERLONG));
                }
                let want = visitor.begin(field, number)?;
                self.at = match want {
                    Want::Fields => {
                        if self.open.len() == MAX_DEPTH {
                            return Err(self.broken("messages too deep within each other"));
                        }
                        // The byte that ended the length is spent right after this.
                        self.open.push(number.saturating_add(1));
                        At::Key
                    }
                    want => {
                        let told = want == Want::Bytes;
                        if number == 0 {
                            if told {
                                visitor.bytes(&[], true)?;
                            }
                            At::Key
                        } else {
                            At::Bytes(number, told)
                        }
                    }
                };
            }
            At::Fixed { .. } | At::Bytes(..) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it is told; field 1 is a message, field 2 bytes, field 3 nothing.
    #[derive(Default)]
    struct Scribe {
        told: String,
        bytes: Vec<u8>,
    }

    impl Visitor for Scribe {
        fn scalar(&mut self, field: u32, value: Scalar) -> Result<(), Broken> {
            self.told += &format!("{field}={value:?} ");
            Ok(())
        }

        fn begin(&mut self, field: u32, length: u64) -> Result<Want, Broken> {
            self.told += &format!("{field}:{length} ");
            Ok(match field {
                1 => Want::Fields,
                2 => Want::Bytes,
                _ => Want::Nothing,
            })
        }

        fn bytes(&mut self, piece: &[u8], last: bool) -> Result<(), Broken> {
            self.bytes.extend_from_slice(piece);
            if last {
                self.told += &format!("{:?} ", self.bytes);
                self.bytes.clear();
            }
            Ok(())
        }

        fn end(&mut self) -> Result<(), Broken> {
            self.told += "end ";
            Ok(())
        }
    }

    fn told(bytes: &[u8], size: usize) -> Result<String, Broken> {
        let (mut parser, mut scribe) = (Parser::default(), Scribe::default());
        for chunk in bytes.chunks(size) {
            parser.feed(chunk, &mut scribe)?;
        }
        parser.finish()?;
        Ok(scribe.told)
    }

    #[test]
    fn fields_come_in_their_order_in_any_chunks() {
        let inner = [0x12, 2, 7, 8, 0x0a, 0, 0x25, 1, 0, 0, 0];
        let mut message = vec![0x08, 0x96, 0x01, 0x0a, inner.len() as u8];
        message.extend(inner);
        message.extend([0x1a, 3, 1, 2, 3, 0x12, 0, 0x21, 1, 2, 3, 4, 5, 6, 7, 8]);
        let expected = "1=Varint(150) 1:11 2:2 [7, 8] 1:0 end 4=Fixed32([1, 0, 0, 0]) end 3:3 2:0 [] \
            4=Fixed64([1, 2, 3, 4, 5, 6, 7, 8]) ";
        for size in [1, 2, 3, 100] {
            assert_eq!(told(&message, size).as_deref(), Ok(expected), "{size}");
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_in_any_chunks() {
        for bad in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 3, 1],
            &[0x00, 1],
            &[0x0b, 1],
            &[0x0a, 2, 0x12, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
            &[0x0a, 1, 0x08, 1],
            &[0x0a, 2, 0x25, 1, 2, 3, 4],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[
                0x0a, 18, 0x0a, 16, 0x0a, 14, 0x0a, 12, 0x0a, 10, 0x0a, 8, 0x0a, 6, 0x0a, 4, 0x0a,
                2, 8, 1,
            ],
        ] {
            for size in [1, 2, 100] {
                assert!(told(bad, size).is_err(), "{bad:?}");
            }
        }
    }
}
