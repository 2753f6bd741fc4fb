//! Sixty-four bytes at once, as sets of places: which of them are digits, commas, and so on. One bit a byte,
//! the first byte lowest. It does not know what may follow what.

/// How many bytes are looked at together.
pub(super) const BYTES: usize = 64;

/// Where the bytes of each class stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Classes {
    pub(super) digits: u64,
    pub(super) zeros: u64,
    pub(super) minuses: u64,
    pub(super) points: u64,
    pub(super) commas: u64,
    pub(super) blanks: u64,
    /// Opening brackets.
    pub(super) openings: u64,
    /// Closing brackets.
    pub(super) closings: u64,
}

/// How many bytes from the start are ASCII and neither quote, backslash nor control character. Without
/// registers it may be fewer than there are.
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
pub(super) fn plain_ascii(bytes: &[u8]) -> usize {
    let (sixteens, rest) = bytes.as_chunks::<16>();
    for (at, sixteen) in sixteens.iter().enumerate() {
        let bytes = simd::Sixteen::load(sixteen);
        let special = bytes.low_or_high().or(bytes.equal(b'"')).or(bytes.equal(b'\\')).bits();
        if special != 0 {
            return at * 16 + special.trailing_zeros() as usize;
        }
    }
    let plain = |byte: &u8| matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(|byte| plain(byte)).count()
}

/// The same for any machine.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) fn plain_ascii(bytes: &[u8]) -> usize {
    let plain = |byte: &u8| matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\');
    bytes.iter().take_while(|byte| plain(byte)).count()
}

/// Where the digits of sixteen bytes stand.
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
pub(super) fn digits(bytes: &[u8; 16]) -> u64 {
    simd::Sixteen::load(bytes).up_from(b'0', 9).bits()
}

/// The same for any machine.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) fn digits(bytes: &[u8; 16]) -> u64 {
    let digit = |places, (at, byte): (usize, &u8)| places | u64::from(byte.is_ascii_digit()) << at;
    bytes.iter().enumerate().fold(0, digit)
}

/// The classes of a block of digits, points, minuses and commas alone, with `BLANKS` also of blanks, and with
/// `LISTS` of brackets; `None` where there is anything else. What is none of the others is a minus then:
/// that takes less than [`classify`].
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
pub(super) fn alone<const BLANKS: bool, const LISTS: bool>(bytes: &[u8; BYTES]) -> Option<Classes> {
    let (sixteens, _) = bytes.as_chunks::<16>();
    let mut strange = simd::Places::none();
    let (mut classes, mut others) = (Classes::default(), 0);
    for (at, sixteen) in sixteens.iter().enumerate() {
        let bytes = simd::Sixteen::load(sixteen);
        let shift = at * 16;
        // From the comma on to the nine, ASCII has these and the slash.
        let mut beyond = bytes.beyond(b',', b'9');
        others |= bytes.shortly_below(b'0').bits() << shift;
        classes.zeros |= bytes.equal(b'0').bits() << shift;
        classes.points |= bytes.equal(b'.').bits() << shift;
        classes.commas |= bytes.equal(b',').bits() << shift;
        if BLANKS {
            let blanks = bytes.equal(b' ');
            classes.blanks |= blanks.bits() << shift;
            beyond = beyond.but(blanks);
        }
        if LISTS {
            let (openings, closings) = (bytes.equal(b'['), bytes.equal(b']'));
            classes.openings |= openings.bits() << shift;
            classes.closings |= closings.bits() << shift;
            beyond = beyond.but(openings).but(closings);
        }
        strange = strange.or(beyond).or(bytes.equal(b'/'));
    }
    classes.minuses = others & !(classes.points | classes.commas | classes.blanks);
    classes.digits = !(others | classes.openings | classes.closings);
    (!strange.any()).then_some(classes)
}

/// The same for any machine.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) fn alone<const BLANKS: bool, const LISTS: bool>(bytes: &[u8; BYTES]) -> Option<Classes> {
    let among = |byte: &u8| match byte {
        b'0'..=b'9' | b'.' | b'-' | b',' => true,
        b' ' => BLANKS,
        b'[' | b']' => LISTS,
        _ => false,
    };
    bytes.iter().all(among).then(|| one_by_one(bytes))
}

/// Says of each byte to which class it belongs.
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
pub(super) fn classify(bytes: &[u8; BYTES]) -> Classes {
    let mut classes = Classes::default();
    let (sixteens, _) = bytes.as_chunks::<16>();
    let mut low = 0;
    for (at, sixteen) in sixteens.iter().enumerate() {
        let bytes = simd::Sixteen::load(sixteen);
        let shift = at * 16;
        classes.digits |= bytes.up_from(b'0', 9).bits() << shift;
        classes.zeros |= bytes.equal(b'0').bits() << shift;
        classes.minuses |= bytes.equal(b'-').bits() << shift;
        classes.points |= bytes.equal(b'.').bits() << shift;
        classes.commas |= bytes.equal(b',').bits() << shift;
        classes.openings |= bytes.equal(b'[').bits() << shift;
        classes.closings |= bytes.equal(b']').bits() << shift;
        low |= bytes.up_from(0, 0x20).bits() << shift;
    }
    // Compact JSON has none.
    if low != 0 {
        for (at, sixteen) in sixteens.iter().enumerate() {
            let bytes = simd::Sixteen::load(sixteen);
            let breaks = bytes.equal(b'\n').or(bytes.equal(b'\r'));
            let blanks = bytes.equal(b' ').or(bytes.equal(b'\t')).or(breaks);
            classes.blanks |= blanks.bits() << (at * 16);
        }
    }
    classes
}

/// Says of each byte to which class it belongs.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub(super) fn classify(bytes: &[u8; BYTES]) -> Classes {
    one_by_one(bytes)
}

/// The same for any machine.
#[cfg(any(
    test,
    not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))
))]
fn one_by_one(bytes: &[u8; BYTES]) -> Classes {
    let mut classes = Classes::default();
    for (at, byte) in bytes.iter().enumerate() {
        let bit = 1 << at;
        match byte {
            b'0'..=b'9' => classes.digits |= bit,
            b'-' => classes.minuses |= bit,
            b'.' => classes.points |= bit,
            b',' => classes.commas |= bit,
            b'[' => classes.openings |= bit,
            b']' => classes.closings |= bit,
            b' ' | b'\n' | b'\r' | b'\t' => classes.blanks |= bit,
            _ => {}
        }
        if *byte == b'0' {
            classes.zeros |= bit;
        }
    }
    classes
}

/// Sixteen bytes in a register; SSE2 is part of x86-64.
#[cfg(target_arch = "x86_64")]
mod simd {
    use core::arch::x86_64::{
        __m128i, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_min_epu8,
        _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_sub_epi8,
        _mm_subs_epu8,
    };

    #[derive(Clone, Copy)]
    pub(super) struct Sixteen(__m128i);

    /// Some of the sixteen places: those whose highest bit is set, or where it is said, any bit.
    #[derive(Clone, Copy)]
    pub(super) struct Places(__m128i);

    // SAFETY of all that follow: SSE2 is part of x86-64.

    impl Sixteen {
        #[inline(always)]
        pub(super) fn load(bytes: &[u8; 16]) -> Self {
            // SAFETY: the pointer is to 16 readable bytes, and the load asks for no alignment.
            Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        /// Where a byte is this one; all bits.
        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> Places {
            // SAFETY: as above.
            Places(unsafe { _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8)) })
        }

        /// Where a byte is a control character, or no ASCII.
        #[inline(always)]
        pub(super) fn low_or_high(self) -> Places {
            // SAFETY: as above. As signed numbers both are below a blank.
            Places(unsafe { _mm_cmplt_epi8(self.0, _mm_set1_epi8(0x20)) })
        }

        /// Where a byte is below this one, of bytes that are less than 128 away from it.
        #[inline(always)]
        pub(super) fn shortly_below(self, byte: u8) -> Places {
            // SAFETY: as above.
            Places(unsafe { _mm_sub_epi8(self.0, _mm_set1_epi8(byte as i8)) })
        }

        /// Where a byte is from `first` to `first + span`.
        #[inline(always)]
        pub(super) fn up_from(self, first: u8, span: u8) -> Places {
            // SAFETY: as above.
            Places(unsafe {
                let above = _mm_sub_epi8(self.0, _mm_set1_epi8(first as i8));
                let least = _mm_min_epu8(above, _mm_set1_epi8(span as i8));
                _mm_cmpeq_epi8(least, above)
            })
        }

        /// Where a byte is not from `first` to `last`; any bit.
        #[inline(always)]
        pub(super) fn beyond(self, first: u8, last: u8) -> Places {
            // SAFETY: as above.
            Places(unsafe {
                let above = _mm_sub_epi8(self.0, _mm_set1_epi8(first as i8));
                _mm_subs_epu8(above, _mm_set1_epi8(last.wrapping_sub(first) as i8))
            })
        }
    }

    impl Places {
        #[inline(always)]
        pub(super) fn none() -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_setzero_si128() })
        }

        #[inline(always)]
        pub(super) fn or(self, others: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_or_si128(self.0, others.0) })
        }

        #[inline(always)]
        pub(super) fn but(self, others: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm_andnot_si128(others.0, self.0) })
        }

        /// A bit each, the first lowest.
        #[inline(always)]
        pub(super) fn bits(self) -> u64 {
            // SAFETY: as above.
            u64::from(unsafe { _mm_movemask_epi8(self.0) } as u16)
        }

        /// Whether any bit is set.
        #[inline(always)]
        pub(super) fn any(self) -> bool {
            // SAFETY: as above.
            let clear = unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_setzero_si128())) };
            clear != 0xffff
        }
    }
}

/// Sixteen bytes in a register of WebAssembly.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd {
    use core::arch::wasm32::{
        i8x16_bitmask, i8x16_eq, i8x16_lt, i8x16_splat, i8x16_sub, u8x16_le, u8x16_splat,
        u8x16_sub_sat, v128, v128_andnot, v128_any_true, v128_load, v128_or,
    };

    #[derive(Clone, Copy)]
    pub(super) struct Sixteen(v128);

    /// Some of the sixteen places: those whose highest bit is set, or where it is said, any bit.
    #[derive(Clone, Copy)]
    pub(super) struct Places(v128);

    impl Sixteen {
        #[inline(always)]
        pub(super) fn load(bytes: &[u8; 16]) -> Self {
            // SAFETY: the pointer is to 16 readable bytes, and the load asks for no alignment.
            Self(unsafe { v128_load(bytes.as_ptr().cast()) })
        }

        /// Where a byte is this one; all bits.
        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> Places {
            Places(i8x16_eq(self.0, i8x16_splat(byte as i8)))
        }

        /// Where a byte is a control character, or no ASCII: as signed numbers both are below a blank.
        #[inline(always)]
        pub(super) fn low_or_high(self) -> Places {
            Places(i8x16_lt(self.0, i8x16_splat(0x20)))
        }

        /// Where a byte is below this one, of bytes that are less than 128 away from it.
        #[inline(always)]
        pub(super) fn shortly_below(self, byte: u8) -> Places {
            Places(i8x16_sub(self.0, i8x16_splat(byte as i8)))
        }

        /// Where a byte is from `first` to `first + span`.
        #[inline(always)]
        pub(super) fn up_from(self, first: u8, span: u8) -> Places {
            let above = i8x16_sub(self.0, i8x16_splat(first as i8));
            Places(u8x16_le(above, u8x16_splat(span)))
        }

        /// Where a byte is not from `first` to `last`; any bit.
        #[inline(always)]
        pub(super) fn beyond(self, first: u8, last: u8) -> Places {
            let above = i8x16_sub(self.0, i8x16_splat(first as i8));
            Places(u8x16_sub_sat(above, u8x16_splat(last.wrapping_sub(first))))
        }
    }

    impl Places {
        #[inline(always)]
        pub(super) fn none() -> Self {
            Self(i8x16_splat(0))
        }

        #[inline(always)]
        pub(super) fn or(self, others: Self) -> Self {
            Self(v128_or(self.0, others.0))
        }

        #[inline(always)]
        pub(super) fn but(self, others: Self) -> Self {
            Self(v128_andnot(self.0, others.0))
        }

        /// A bit each, the first lowest.
        #[inline(always)]
        pub(super) fn bits(self) -> u64 {
            i8x16_bitmask(self.0).into()
        }

        /// Whether any bit is set.
        #[inline(always)]
        pub(super) fn any(self) -> bool {
            v128_any_true(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_in_its_class() {
        for byte in 0..=u8::MAX {
            let mut bytes = [b'x'; BYTES];
            for at in [0, 1, 15, 16, 31, 32, 47, 48, 63] {
                bytes[at] = byte;
            }
            assert_eq!(classify(&bytes), one_by_one(&bytes), "{byte}");
        }
    }

    fn holds_alone<const BLANKS: bool, const LISTS: bool>() {
        for byte in 0..=u8::MAX {
            for at in [0, 1, 15, 16, 31, 32, 47, 48, 63] {
                let mut bytes =
                    *b"-1.25,20,-0.5,3,-100.75,0,7,-8.0,9.125,64.5,-12,0.03125,6,-7.5,1";
                bytes[at] = byte;
                let all = matches!(byte, b'0'..=b'9' | b'-' | b'.' | b',')
                    || BLANKS && byte == b' '
                    || LISTS && matches!(byte, b'[' | b']');
                let expected = all.then(|| one_by_one(&bytes));
                assert_eq!(alone::<BLANKS, LISTS>(&bytes), expected, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn what_stands_alone_is_in_the_same_classes_and_nothing_else_is_taken() {
        holds_alone::<false, false>();
        holds_alone::<true, false>();
        holds_alone::<false, true>();
        holds_alone::<true, true>();
    }
}
