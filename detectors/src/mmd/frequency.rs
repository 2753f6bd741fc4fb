//! The frequencies at which rows are looked at: few columns each, made from a seed, so that nobody
//! needs to store them. It does not know what rows say at them.
//!
//! A kernel of the difference of two rows is the mean of cos(w·(x − y)) over frequencies w drawn from
//! a law of its own (Bochner's theorem; Rahimi & Recht, "Random features for large-scale kernel
//! machines", NIPS 2007). Here w has two or three columns, in turn, and no others: a kernel of all
//! columns at once hardly sees what two of a dozen do. In each of its columns it is from 0.4 to 1.6 over
//! the column's scale, either way: one near 0 would see the other columns only.

use crate::forest::random::Random;

/// How many there are.
pub const COUNT: usize = 256;
/// Columns of a frequency at most.
const WIDTH: usize = 3;
/// Steps of a turn that are told apart.
const STEPS: usize = 1_024;
/// Bits that tell the steps apart.
const BITS: u32 = STEPS.trailing_zeros();
/// Of so much scores are multiples.
const GRAIN: f64 = 1.0 / 4_096.0;
/// Places for the columns of a row, so many that no mask leads beyond them.
const PLACES: usize = 16;
/// Rows that are added up together.
const BLOCK: usize = 64;
/// What a cosine of 1 is, as a whole number.
pub(super) const UNIT: i64 = 32_767;
const SEED: u64 = 2_007;
/// The least frequency of a column, and the greatest, over its scale.
const LEAST: f64 = 0.4;
const GREATEST: f64 = 1.6;

/// A frequency: its columns, and how far it turns for each grain of their scores, where 2³² is a whole
/// turn, so that whole turns are lost as they should be.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frequency {
    columns: [usize; WIDTH],
    width: usize,
    turns: [i32; WIDTH],
}

/// Cosine and sine in units, each with a unit on top and in a half of its own, so that some thousands of
/// points are added up by one addition each.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point(u64);

impl Point {
    fn of(turned: f64) -> Self {
        let (sine, cosine) = (turned * std::f64::consts::TAU).sin_cos();
        let [cosine, sine] = [cosine, sine].map(|part| (part * UNIT as f64).round() as i64 + UNIT);
        Point(cosine as u64 | (sine as u64) << 32)
    }

    /// Cosine and sine of what so many points add up to.
    fn sums(Point(sum): Point, count: i64) -> [i64; 2] {
        [sum & u64::from(u32::MAX), sum >> 32].map(|half| half as i64 - count * UNIT)
    }
}

/// All frequencies of some columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    columns: usize,
    all: Vec<Frequency>,
    /// Each step of a turn.
    points: Box<[Point; STEPS]>,
}

impl Frequencies {
    /// Of columns with these scales, each more than 0; of fewer than two there are none.
    #[must_use]
    pub fn of(scales: &[f64]) -> Self {
        let mut random = Random::seeded(SEED);
        let pairs = chosen(&mut random, scales.len(), 2);
        let triples = chosen(&mut random, scales.len(), 3);
        let in_turn = |at: usize| {
            let choices = if at % 2 == 1 && !triples.is_empty() { &triples } else { &pairs };
            choices.get(at / 2 % choices.len().max(1))
        };
        let all = (0..COUNT).filter_map(in_turn);
        let all = all.map(|columns| frequency(&mut random, columns, scales)).collect();
        let step = |step: usize| Point::of((step as f64 + 0.5) / STEPS as f64);
        Frequencies { columns: scales.len(), all, points: Box::new(std::array::from_fn(step)) }
    }

    /// How many columns a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns
    }

    /// The columns of one of them.
    #[must_use]
    pub fn columns(&self, at: usize) -> &[usize] {
        self.all.get(at).map_or(&[], |frequency| &frequency.columns[..frequency.width])
    }

    /// Cosine and sine of a row at each of them, in units; nothing of a row of another width.
    pub(super) fn seen(&self, row: &[f64]) -> impl Iterator<Item = [i16; 2]> + use<'_> {
        let all = if row.len() == self.columns { self.all.as_slice() } else { &[] };
        let grains = grains(row);
        all.iter().map(move |frequency| {
            Point::sums(self.point(frequency, &grains), 1).map(|part| part as i16)
        })
    }

    /// Adds up cosine and sine of some rows at each of them, in units. The rows follow one another; what
    /// is left of them when they are not whole is passed over.
    pub(super) fn add(&self, rows: &[f64], sums: &mut [[i64; 2]]) {
        let mut of_rows = [[0; PLACES]; BLOCK];
        for block in rows.chunks(BLOCK * self.columns.max(1)) {
            let rows = block.chunks_exact(self.columns.max(1));
            let count = rows.len();
            of_rows.iter_mut().zip(rows).for_each(|(of_row, row)| *of_row = grains(row));
            // Frequency by frequency, so that what it is stays in the processor for a block of rows.
            for (frequency, sum) in self.all.iter().zip(&mut *sums) {
                let points = of_rows[..count].iter().map(|row| self.point(frequency, row).0);
                let [cosine, sine] = Point::sums(Point(points.sum()), count as i64);
                *sum = [sum[0] + cosine, sum[1] + sine];
            }
        }
    }

    /// Where a row is at a frequency.
    #[inline]
    fn point(&self, Frequency { columns, turns, .. }: &Frequency, row: &[i32; PLACES]) -> Point {
        let mut turned = 0i32;
        for (column, turns) in columns.iter().zip(turns) {
            turned = turned.wrapping_add(row[column % PLACES].wrapping_mul(*turns));
        }
        self.points[(turned as u32 >> (u32::BITS - BITS)) as usize]
    }
}

/// Scores as multiples of a grain.
fn grains(row: &[f64]) -> [i32; PLACES] {
    let mut grains = [0; PLACES];
    for (grain, score) in grains.iter_mut().zip(row) {
        *grain = (score / GRAIN) as i32;
    }
    grains
}

/// So many of these columns, every choice once, in an order of the seed's.
fn chosen(random: &mut Random, columns: usize, width: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..width {
        let longer = |choice: &Vec<usize>| {
            let next = choice.last().map_or(0, |last| last + 1);
            (next..columns).map(|column| [&choice[..], &[column]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    let count = all.len();
    random.choose_first(&mut all, count);
    all
}

fn frequency(random: &mut Random, of: &[usize], scales: &[f64]) -> Frequency {
    let (mut columns, mut turns) = ([0; WIDTH], [0; WIDTH]);
    for (place, &column) in of.iter().enumerate() {
        let size = LEAST + (GREATEST - LEAST) * random.unit();
        let way = if random.unit() < 0.5 { -1.0 } else { 1.0 };
        columns[place] = column;
        let turn = size / scales[column] / std::f64::consts::TAU;
        turns[place] = (way * turn * GRAIN * 2f64.powi(32)).round() as i32;
    }
    Frequency { columns, width: of.len(), turns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_triples_take_turns_and_none_is_missed() {
        let frequencies = Frequencies::of(&[1.0; 5]);
        let mut seen: Vec<&[usize]> = (0..COUNT).map(|at| frequencies.columns(at)).collect();
        assert!(seen.chunks(2).all(|both| (both[0].len(), both[1].len()) == (2, 3)));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10 + 10);
        assert_eq!(Frequencies::of(&[1.0; 5]), frequencies, "the seed is all that makes them");
    }

    #[test]
    fn two_columns_have_one_pair_and_fewer_have_nothing() {
        let two = Frequencies::of(&[1.0, 2.0]);
        assert!((0..COUNT).all(|at| two.columns(at) == [0, 1]));
        for scales in [&[1.0][..], &[]] {
            assert_eq!(Frequencies::of(scales).seen(scales).count(), 0);
        }
    }

    #[test]
    fn a_row_is_a_point_on_the_circle_at_each_frequency() {
        let frequencies = Frequencies::of(&[1.0, 1.0, 0.5]);
        let row = [0.3, -2.5, 1.7];
        for (frequency, [cosine, sine]) in frequencies.all.iter().zip(frequencies.seen(&row)) {
            let of = |at: usize| row[frequency.columns[at]] * f64::from(frequency.turns[at]);
            let turned = (of(0) + of(1) + of(2)) / GRAIN / 2f64.powi(32);
            let (s, c) = (turned * std::f64::consts::TAU).sin_cos();
            let off =
                (f64::from(cosine) / UNIT as f64 - c).hypot(f64::from(sine) / UNIT as f64 - s);
            assert!(off < 0.006, "{off}");
        }
        assert_eq!(frequencies.seen(&row).count(), COUNT);
        assert_eq!(frequencies.seen(&[1.0]).count(), 0, "another width");
    }

    #[test]
    fn rows_add_up_to_what_each_of_them_is() {
        let frequencies = Frequencies::of(&[1.0, 0.3, 0.5]);
        let row = |at: i32| [0.01 * f64::from(at), 2.5 - 0.02 * f64::from(at), f64::from(at % 7)];
        let rows: Vec<f64> = (0..150).flat_map(row).collect();
        for count in [0, 1, BLOCK, BLOCK + 1, 150] {
            let mut expected = vec![[7, -7]; COUNT];
            let mut sums = expected.clone();
            for row in rows.chunks_exact(3).take(count) {
                for (sum, [cosine, sine]) in expected.iter_mut().zip(frequencies.seen(row)) {
                    *sum = [sum[0] + i64::from(cosine), sum[1] + i64::from(sine)];
                }
            }
            frequencies.add(&rows[..count * 3], &mut sums);
            assert_eq!(sums, expected);
        }
        Frequencies::of(&[]).add(&[1.0], &mut []);
    }
}
