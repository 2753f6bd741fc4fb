//! The latest values of a series, a bounded number of them. It does not know what they are values of.

/// The latest `N` values of a series.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Latest<const N: usize> {
    /// In their order up to the first `N`; beyond, the next one takes the place of the oldest.
    values: Vec<f64>,
    next: usize,
}

impl<const N: usize> Latest<N> {
    /// Takes the next value.
    pub(crate) fn take(&mut self, value: f64) {
        match self.values.get_mut(self.next) {
            Some(oldest) => *oldest = value,
            None => self.values.push(value),
        }
        self.next = if self.next + 1 == N { 0 } else { self.next + 1 };
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values, the oldest first.
    pub(crate) fn in_order(&self) -> Vec<f64> {
        // While there is room the oldest is the first.
        let oldest = if self.values.len() < N { 0 } else { self.next };
        [&self.values[oldest..], &self.values[..oldest]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut latest = Latest::<3>::default();
        let mut after = |value: f64| {
            latest.take(value);
            (latest.in_order(), latest.len())
        };
        assert_eq!(after(1.0), (vec![1.0], 1));
        assert_eq!(after(2.0), (vec![1.0, 2.0], 2));
        assert_eq!(after(3.0), (vec![1.0, 2.0, 3.0], 3));
        assert_eq!(after(4.0), (vec![2.0, 3.0, 4.0], 3));
        (5..9).for_each(|value| {
            after(f64::from(value));
        });
        assert_eq!(after(9.0), (vec![7.0, 8.0, 9.0], 3));
    }
}
