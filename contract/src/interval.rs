//! An interval of numbers, and whether the values of a raw tensor all lie in it: the quick look at what is
//! mostly good. It does not know which value lies outside, nor what that breaks.

use crate::contract::Datatype;
use crate::rows::{Number, Raw};

/// All numbers from the least to the greatest, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

/// Whether all values lie in it, with its bounds brought to their type first. No branch inside, so that
/// several are looked at together.
macro_rules! hold {
    ($number:ty, $raw:expr, $least:expr, $greatest:expr) => {{
        let (least, greatest): ($number, $number) = ($least, $greatest);
        let (values, _) = $raw.bytes().as_chunks::<{ size_of::<$number>() }>();
        values.iter().fold(true, |good, bytes| {
            let value = <$number>::from_le_bytes(*bytes);
            good & (value >= least) & (value <= greatest)
        })
    }};
}

/// The same of whole numbers. The casts take what is past the type to its end, so an interval beside the
/// type must be seen before.
macro_rules! hold_whole {
    ($number:ty, $raw:expr, $interval:expr) => {{
        let Interval { least, greatest } = $interval;
        let none = least > <$number>::MAX as f64 || greatest < <$number>::MIN as f64;
        !none && hold!($number, $raw, least.ceil() as $number, greatest.floor() as $number)
    }};
}

impl Interval {
    /// Whether all values lie in it. One that is no number lies in none, and nor do the infinite ones in
    /// an interval with finite bounds.
    pub(crate) fn holds(self, raw: Raw<'_>) -> bool {
        match raw.datatype() {
            Datatype::Uint8 => hold_whole!(u8, raw, self),
            Datatype::Uint16 => hold_whole!(u16, raw, self),
            Datatype::Uint32 => hold_whole!(u32, raw, self),
            Datatype::Uint64 => hold_whole!(u64, raw, self),
            Datatype::Int8 => hold_whole!(i8, raw, self),
            Datatype::Int16 => hold_whole!(i16, raw, self),
            Datatype::Int32 => hold_whole!(i32, raw, self),
            Datatype::Int64 => hold_whole!(i64, raw, self),
            Datatype::Fp32 => hold!(f32, raw, self.least_single(), self.greatest_single()),
            Datatype::Fp64 => hold!(f64, raw, self.least, self.greatest),
            Datatype::Fp16 | Datatype::Bf16 => self.holds_halves(raw),
            Datatype::Bool | Datatype::Bytes => false,
        }
    }

    /// The least single that is not below it.
    fn least_single(self) -> f32 {
        let near = self.least as f32;
        if f64::from(near) < self.least { near.next_up() } else { near }
    }

    fn greatest_single(self) -> f32 {
        let near = self.greatest as f32;
        if f64::from(near) > self.greatest { near.next_down() } else { near }
    }

    /// Sixteen bits of floating point are compared as whole numbers, in the order of their values.
    fn holds_halves(self, raw: Raw<'_>) -> bool {
        let value = |order: i32| -> f64 {
            let bits = order_of(i16::try_from(order).unwrap_or(i16::MAX)).to_le_bytes();
            let number = Raw::new(raw.datatype(), &bits).and_then(|raw| raw.numbers().next());
            if let Some(Number::Float(value)) = number { value } else { f64::NAN }
        };
        // Past the infinite ones, at both ends, stand those that are no numbers.
        let infinite = if raw.datatype() == Datatype::Fp16 { 0x7c00 } else { 0x7f80 };
        let (first, last) = (-infinite - 1, infinite);
        let least = first_where(first, last + 1, |order| value(order) >= self.least);
        let beyond = first_where(first, last + 1, |order| value(order) > self.greatest);
        let (Ok(least), Ok(greatest)) = (i16::try_from(least), i16::try_from(beyond - 1)) else {
            return false;
        };
        let (values, _) = raw.bytes().as_chunks::<2>();
        values.iter().fold(true, |good, bytes| {
            let order = order_of(i16::from_le_bytes(*bytes));
            good & (order >= least) & (order <= greatest)
        })
    }
}

/// The bits of a float of sixteen bits as a number that is the greater the greater the float is, and the
/// reverse.
fn order_of(bits: i16) -> i16 {
    bits ^ ((bits >> 15) & i16::MAX)
}

/// The first number of a range for which something holds that then holds for all after it.
fn first_where(first: i32, end: i32, holds: impl Fn(i32) -> bool) -> i32 {
    let (mut low, mut high) = (first, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: [Datatype; 12] = [
        Datatype::Uint8,
        Datatype::Uint16,
        Datatype::Uint32,
        Datatype::Uint64,
        Datatype::Int8,
        Datatype::Int16,
        Datatype::Int32,
        Datatype::Int64,
        Datatype::Fp16,
        Datatype::Fp32,
        Datatype::Fp64,
        Datatype::Bf16,
    ];

    fn lies_in(number: Number, interval: Interval) -> bool {
        let value = match number {
            Number::Whole(value) => value as f64,
            Number::Float(value) => value,
            Number::Bool(_) => return false,
        };
        (interval.least..=interval.greatest).contains(&value)
    }

    #[test]
    fn the_quick_look_sees_what_one_by_one_is_seen() {
        let bounds = [
            f64::MIN,
            -1e300,
            -65_504.0,
            -129.0,
            -128.5,
            -1.0,
            -0.1,
            0.0,
            0.1,
            1.0,
            127.5,
            255.0,
            256.0,
            3e4,
            65_504.0,
            4_294_967_296.0,
            1.7e19,
            1e300,
            f64::MAX,
        ];
        let mut words: Vec<u64> = bounds
            .iter()
            .flat_map(|it| [it.to_bits(), u64::from((*it as f32).to_bits()), *it as i64 as u64])
            .collect();
        // All that there is of sixteen bits, thinned out, with the ends of its floats.
        words.extend((0..=0xffff).step_by(251));
        words.extend([0x7bff, 0x7c00, 0x7c01, 0xfbff, 0xfc00, 0xfc01, 0x7f7f, 0x7f80, 0xff80]);
        words.extend([0x8000, 0x8000_0000, u64::MAX, 1 << 63]);
        for datatype in FIXED {
            let width = datatype.width().unwrap();
            for word in &words {
                let bytes = word.to_le_bytes();
                let raw = Raw::new(datatype, &bytes[..width]).unwrap();
                let number = raw.numbers().next().unwrap();
                for least in bounds {
                    for greatest in bounds {
                        let interval = Interval { least, greatest };
                        let holds = interval.holds(raw);
                        let lies = lies_in(number, interval);
                        // Where a bound is past 53 bits the exact look is the stricter one.
                        let exact =
                            !matches!(number, Number::Whole(value) if value.abs() > 1 << 53);
                        assert!(!holds || lies, "{number:?} {interval:?}");
                        assert!(holds || !lies || !exact, "{number:?} {interval:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_bad_value_anywhere_is_seen() {
        let interval = Interval { least: -1.0, greatest: 1.0 };
        for bad in [0, 1, 1023, 1024, 2999] {
            let mut values = vec![0.5_f32; 3000];
            let bytes = |values: &[f32]| values.iter().flat_map(|it| it.to_le_bytes()).collect();
            let good: Vec<u8> = bytes(&values);
            assert!(interval.holds(Raw::new(Datatype::Fp32, &good).unwrap()));
            values[bad] = f32::NAN;
            let bad: Vec<u8> = bytes(&values);
            assert!(!interval.holds(Raw::new(Datatype::Fp32, &bad).unwrap()));
        }
    }
}
