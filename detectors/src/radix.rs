//! Numbers put in order, by their digits instead of by comparing: a third of the time for the blocks
//! that sketches take in. It does not know what the numbers are for.
//!
//! Least significant digit first (Knuth, "The Art of Computer Programming" 3, 5.2.5), eleven bits a
//! digit, on keys whose order is that of the numbers.

use crate::packing::{key, unkey};

/// Fewer numbers are sorted by comparing: the tables alone would cost more.
const FEW: usize = 1_024;

const BITS: usize = 11;
const DIGITS: usize = 64usize.div_ceil(BITS);
const VALUES: usize = 1 << BITS;

/// Sorts numbers; NaN of positive sign come last, those of negative sign first.
pub(crate) fn sort(numbers: &mut [f64]) {
    if numbers.len() < FEW || u32::try_from(numbers.len()).is_err() {
        numbers.sort_unstable_by(f64::total_cmp);
        return;
    }
    let mut keys: Vec<u64> = numbers.iter().map(|&number| key(number)).collect();
    let mut sorted = vec![0; keys.len()];
    let digit = |key: u64, place: usize| (key >> (BITS * place)) as usize & (VALUES - 1);
    let mut counts = vec![[0u32; VALUES]; DIGITS];
    for &key in &keys {
        for (place, counts) in counts.iter_mut().enumerate() {
            counts[digit(key, place)] += 1;
        }
    }
    for (place, counts) in counts.iter_mut().enumerate() {
        if counts.iter().any(|&count| count as usize == keys.len()) {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for &key in &keys {
            let next = &mut counts[digit(key, place)];
            sorted[*next as usize] = key;
            *next += 1;
        }
        std::mem::swap(&mut keys, &mut sorted);
    }
    for (number, key) in numbers.iter_mut().zip(keys) {
        *number = unkey(key);
    }
}

#[cfg(test)]
mod tests {
    use super::sort;
    use proptest::prelude::*;

    fn check(mut numbers: Vec<f64>) {
        let mut expected = numbers.clone();
        expected.sort_unstable_by(f64::total_cmp);
        sort(&mut numbers);
        let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&numbers), bits(&expected));
    }

    #[test]
    fn equal_and_few_numbers_are_sorted_too() {
        check(vec![7.0; 5_000]);
        check(vec![]);
        check(vec![2.0, 1.0]);
        check((0..5_000).rev().map(f64::from).collect());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

        #[test]
        fn the_order_is_that_of_comparing(
            numbers in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0f64], 0..3_000),
        ) {
            check(numbers);
        }
    }
}
