//! What a number without exponent is, by its first digits. It does not know what it may be.

/// Powers of ten that a double holds exactly.
pub(super) const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// So many digits are exact in a double, and so is a power of ten of the table, so that their quotient
/// or product is the nearest double (Clinger, "How to read floating point numbers accurately", PLDI 1990).
pub(super) const EXACT_DIGITS: usize = 15;

/// A number without exponent, between two doubles: by its first digits, which are enough for most: nearest
/// doubles are in the order of what they stand for, so a number between two others is between theirs.
pub(super) struct Bracketed {
    pub(super) least: f64,
    pub(super) greatest: f64,
    /// How many bytes it is written in.
    pub(super) length: usize,
}

impl Bracketed {
    /// The number that these bytes begin with.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        let negative = bytes.first() == Some(&b'-');
        let mut at = usize::from(negative);
        // Digits taken, digits in all, and those before the point.
        let (mut digits, mut taken, mut count, mut whole) = (0_u64, 0, 0, None);
        while let Some(&byte) = bytes.get(at) {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                if count < EXACT_DIGITS {
                    digits = digits * 10 + u64::from(digit);
                    taken += 1;
                }
                count += 1;
            } else if byte == b'.' {
                whole = Some(count);
            } else {
                break;
            }
            at += 1;
        }
        let whole = whole.unwrap_or(count);
        let scaled = |digits: u64| {
            if whole >= taken {
                TENS.get(whole - taken).map_or(f64::INFINITY, |ten| digits as f64 * ten)
            } else {
                TENS.get(taken - whole).map_or(0.0, |ten| digits as f64 / ten)
            }
        };
        let least = scaled(digits);
        let greatest = if count > taken { scaled(digits + 1) } else { least };
        let (least, greatest) = if negative { (-greatest, -least) } else { (least, greatest) };
        Self { least, greatest, length: at }
    }

    /// Whether the nearest double is within a range, by all digits.
    pub(super) fn is_within(&self, bytes: &[u8], least: f64, greatest: f64) -> bool {
        if self.greatest < least || self.least > greatest {
            return false;
        }
        let text = bytes.get(..self.length).and_then(|text| str::from_utf8(text).ok());
        let value: f64 = text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        value >= least && value <= greatest
    }
}
