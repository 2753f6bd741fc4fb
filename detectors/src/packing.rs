//! Sorted numbers and counts in few bytes: what the stored sketches share. It does not know which
//! sketch they are of.
//!
//! Counts are written seven bits a byte (LEB128). Of an ascending number only the bytes in which it
//! differs from the one before are written, so numbers with few bits cost least.

/// The number with the fewest bits of mantissa from `left` up to, but not including, `right`: a
/// short edge is as good as a long one, and costs fewer bytes.
pub(crate) fn short_between(left: f64, right: f64) -> f64 {
    let (low, high) = (key(left), key(right));
    for bits in (1..52).rev() {
        let unit = 1u64 << bits;
        let rounded = low.next_multiple_of(unit);
        if rounded < high && unkey(rounded).is_finite() {
            return unkey(rounded);
        }
    }
    left
}

/// As [`short_between`], from the middle half of the doubles in between: an edge there favours neither
/// side.
pub(crate) fn short_amid(left: f64, right: f64) -> f64 {
    let (low, high) = (key(left), key(right));
    let quarter = (high - low) / 4;
    short_between(unkey(low + quarter), unkey(high - quarter))
}

/// Bits in the order of the numbers.
pub(crate) fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

pub(crate) fn unkey(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

pub(crate) fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Which bytes of `key` differ from those of `last`, as first and end, and these bytes.
pub(crate) fn differing(key: u64, last: u64) -> (usize, usize, [u8; 8]) {
    let differs = (key ^ last).to_be_bytes();
    let first = differs.iter().position(|&b| b != 0).unwrap_or(0);
    let upto = differs.iter().rposition(|&b| b != 0).map_or(first, |last| last + 1);
    (first, upto, differs)
}

/// Where bytes ended early or are none that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) usize);

/// Reads what was packed.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let taken = self.bytes.get(self.at..self.at + count).ok_or(Broken(self.at))?;
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Broken> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken(self.at))
    }

    /// The key that differs from `last` in the bytes from `first` to `upto`.
    pub(crate) fn key(&mut self, first: usize, upto: usize, last: u64) -> Result<u64, Broken> {
        if first > upto || upto > 8 {
            return Err(Broken(self.at));
        }
        let mut differs = [0; 8];
        differs[first..upto].copy_from_slice(self.take(upto - first)?);
        Ok(last ^ u64::from_be_bytes(differs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_the_numbers() {
        let numbers = [f64::MIN, -1.5, -5e-324, 0.0, 5e-324, 1.0, f64::MAX];
        assert!(numbers.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(numbers.iter().all(|&number| unkey(key(number)) == number));
    }

    #[test]
    fn the_shortest_number_is_found_between_two() {
        assert_eq!(short_between(0.9, 1.3), 1.0);
        let below = short_between(-3.1, -1.9);
        assert!((-3.1..-1.9).contains(&below) && key(below).trailing_zeros() > 40);
        assert_eq!(short_between(7.0, 7.0f64.next_up()), 7.0);
    }

    #[test]
    fn counts_survive_and_endless_ones_are_refused() {
        let mut bytes = vec![];
        [0, 127, 128, u64::MAX].iter().for_each(|&count| varint(count, &mut bytes));
        let mut reader = Reader::of(&bytes);
        assert_eq!([(); 4].map(|()| reader.varint().unwrap()), [0, 127, 128, u64::MAX]);
        assert!(reader.is_done() && reader.varint().is_err());
        assert!(Reader::of(&[0xff; 11]).varint().is_err());
    }
}
