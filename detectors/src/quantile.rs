//! A sketch of a distribution that certifies its own error.
//!
//! It does not know what the numbers mean, nor which test will read them.
//!
//! It keeps *knots*: some of the values, each with bounds on how many values lie strictly
//! below it and how many at or below it. So the empirical distribution function at any x is
//! an interval that is known to hold, ties and atoms included. The idea of carrying minimal
//! and maximal ranks is Greenwald & Khanna's ("Space-efficient online computation of quantile
//! summaries", SIGMOD 2001; merging: "Power-conserving computation of order-statistics over
//! sensor networks", PODS 2004). Theirs fixes the error and lets the size grow; this one fixes
//! the size, drops the knots that widen the widest interval least, and reports the error.
//!
//! Stored, a knot costs some eight bytes: see [`QuantileSketch::condense`].
//!
//! While there are at most `capacity` distinct values every count is exact. Beyond, with the
//! default capacity, a million values (uniform, log-normal, ascending or descending, or merged
//! from panes of a thousand) ended with a certified error of at most 0.0015.

use crate::letters;
use crate::packing::{Broken, Reader, differing, key, short_between, unkey, varint};
use crate::radix;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::hint::select_unpredictable;

/// Knots kept by [`QuantileSketch::default`].
pub const DEFAULT_CAPACITY: usize = 1_000;

/// Values buffered before they are folded in, per knot: fewer folds mean less error.
const BUFFER_PER_KNOT: usize = 4;

/// Counts of values strictly below a value, and at or below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranks {
    pub(crate) lt_min: u64,
    pub(crate) lt_max: u64,
    pub(crate) le_min: u64,
    pub(crate) le_max: u64,
}

impl Ranks {
    /// Those of a value that no knot has, from these counts to those.
    fn between(low: u64, high: u64) -> Ranks {
        Ranks { lt_min: low, lt_max: high, le_min: low, le_max: high }
    }

    /// These of a knot where a value is the knot's; else those of the gap below it, with at least `low`
    /// values below. Which it is cannot be foreseen, so it is chosen without a branch.
    fn or_between(self, of_knot: bool, low: u64) -> Ranks {
        let Ranks { lt_min, lt_max, le_min, le_max } = self;
        Ranks {
            lt_min: select_unpredictable(of_knot, lt_min, low),
            lt_max,
            le_min: select_unpredictable(of_knot, le_min, low),
            le_max: select_unpredictable(of_knot, le_max, lt_max),
        }
    }

    fn plus(self, other: Ranks) -> Ranks {
        Ranks {
            lt_min: self.lt_min + other.lt_min,
            lt_max: self.lt_max + other.lt_max,
            le_min: self.le_min + other.le_min,
            le_max: self.le_max + other.le_max,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Knot {
    pub(crate) value: f64,
    pub(crate) ranks: Ranks,
}

impl From<(f64, u64, u64, u64, u64)> for Knot {
    fn from((value, lt_min, lt_max, le_min, le_max): (f64, u64, u64, u64, u64)) -> Self {
        Knot { value, ranks: Ranks { lt_min, lt_max, le_min, le_max } }
    }
}

impl Knot {
    fn exact(value: f64, below: u64, upto: u64) -> Self {
        let ranks = Ranks { lt_min: below, lt_max: below, le_min: upto, le_max: upto };
        Knot { value, ranks }
    }
}

/// Mergeable sketch of finite numbers, of bounded size and certified error.
///
/// Its JSON is `{"capacity", "count", "knots"}`; `knots` is the base64 of the knots in ascending
/// order. Each begins with a byte: its high half is where the bytes begin in which the value
/// differs from the one before (0 to 7), plus 8 where the fields that follow are two of form 1 or
/// 3; its low half where they end, less one, plus 8 in the forms 2 and 3. The value is a binary64
/// whose bits are flipped where it is negative, else its sign bit alone, so that they sort; it is
/// XORed with the one before (0 before the first). Then, as LEB128, with `le` the count at or
/// below, `lt` that strictly below, and `last` the `le` (its lower bound) of the knot before:
///
/// - form 0: `lt_min − last`, `lt_max − lt_min`, `le_min − lt_min`, `le_max − lt_max`;
/// - form 1, all counts are known: `lt − last`, `le − lt`;
/// - form 2, one value and its place is not known: `lt_min − last`, `lt_max − lt_min`;
/// - form 3, no value is there: the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct QuantileSketch {
    capacity: usize,
    /// Values in `knots`; those in `buffer` come on top.
    settled: u64,
    knots: Vec<Knot>,
    buffer: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    capacity: usize,
    count: u64,
    knots: String,
}

impl Default for QuantileSketch {
    fn default() -> Self {
        QuantileSketch::with_capacity(DEFAULT_CAPACITY)
    }
}

impl QuantileSketch {
    /// An empty sketch that keeps at most `capacity` knots (at least 8).
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        QuantileSketch { capacity: capacity.max(8), settled: 0, knots: vec![], buffer: vec![] }
    }

    /// Takes one value in; `false`, and nothing changes, where it is not finite.
    pub fn insert(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        // Negative zero equals zero, but sorts apart from it.
        self.buffer.push(value + 0.0);
        if self.buffer.len() >= self.capacity * BUFFER_PER_KNOT {
            self.fold_buffered();
        }
        true
    }

    /// Takes a block of ascending finite values in, without negative zeros. The larger the block,
    /// the less it costs a value, and the smaller the error in the end.
    pub fn extend_sorted(&mut self, values: &[f64]) {
        self.settle();
        let distinct = values.windows(2).filter(|pair| pair[0] != pair[1]).count() + 1;
        // Of many values some will do: two for each knot that can stay.
        let apart = if distinct > self.capacity { values.len() / (2 * self.capacity) } else { 1 };
        self.fold(&knots_of(values, apart as u64), values.len() as u64);
    }

    /// Adds everything that `other` saw. The capacity stays this one's.
    pub fn merge(&mut self, other: &QuantileSketch) {
        self.settle();
        let (knots, count) = other.read();
        self.knots = merged(&self.knots, self.settled, &knots, count);
        self.settled += count;
        prune(&mut self.knots, self.capacity);
    }

    /// Folds buffered values in, so that many reads that follow are cheap, and gives their room back.
    pub fn settle(&mut self) {
        self.fold_buffered();
        self.buffer = Vec::new();
    }

    fn fold_buffered(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let count = self.buffer.len() as u64;
        let block = exact(&mut self.buffer);
        self.buffer.clear();
        self.fold(&block, count);
    }

    fn fold(&mut self, block: &[Knot], count: u64) {
        self.knots = merged(&self.knots, self.settled, block, count);
        self.settled += count;
        prune(&mut self.knots, self.capacity);
    }

    /// Drops knots until the rest fits into `bytes` when stored (before base64), and moves those
    /// that are no atoms to a number with few bits between them and their neighbour. What it says
    /// stays certain, only wider: [`QuantileSketch::rank_error`] grows to what is left. The outer
    /// fortieths stay finer, up to ten times, for a hundredth of a tail is much of it.
    pub fn condense(&mut self, bytes: usize) {
        self.settle();
        let fine = std::mem::take(&mut self.knots);
        let mut wanted = fine.len();
        self.knots.clone_from(&fine);
        loop {
            let size = packed(&self.knots).len();
            if size <= bytes || wanted <= 8 {
                return;
            }
            // A knot with few bits costs half as much: the first step must not go too far.
            let factor = if wanted == fine.len() { 1.6 } else { 0.99 };
            let fitting = (wanted as f64 * bytes as f64 / size as f64 * factor) as usize;
            wanted = fitting.min(wanted - 1).max(8);
            let light = self.settled / fine.len() as u64;
            let most = fine.last().map_or(1, |knot| knot.ranks.le_max) as f64;
            let finer_tails = |rank: u64, tolerated: u64| {
                (tolerated as f64 * finer_tails(rank as f64 / most)) as u64
            };
            self.knots = kept(&fine, wanted, finer_tails)
                .into_iter()
                .map(|at| shortened(&fine, at, light))
                .collect();
        }
    }

    /// Values whose share is far beyond their neighbours', in ascending order, and how often they
    /// are there at least: at least 20 times, half a percent of all values, and five times the
    /// mean of the five values known on each side. Fewer than ten distinct values have none,
    /// since there each is a category of its own.
    #[must_use]
    pub fn atoms(&self) -> Vec<(f64, u64)> {
        let (knots, count) = self.read();
        if knots.len() < 10 {
            return vec![];
        }
        let certain = |knot: &Knot| knot.ranks.le_min.saturating_sub(knot.ranks.lt_max);
        let is_atom = |at: usize| {
            let own = certain(&knots[at]);
            let (first, last) = (at.saturating_sub(5), (at + 5).min(knots.len() - 1));
            let around = (knots[last].ranks.le_max - knots[first].ranks.lt_min).saturating_sub(own);
            own >= 20 && own * 200 >= count && own * (last - first) as u64 >= 5 * around
        };
        let atoms = (0..knots.len()).filter(|&at| is_atom(at));
        atoms.map(|at| (knots[at].value, certain(&knots[at]))).collect()
    }

    /// How many distinct values there are, where all are known.
    #[must_use]
    pub fn distinct(&self) -> Option<u64> {
        let (knots, _) = self.read();
        let exact = |knot: &Knot| {
            knot.ranks.lt_min == knot.ranks.lt_max
                && knot.ranks.le_min == knot.ranks.le_max
                && knot.ranks.lt_min < knot.ranks.le_min
        };
        let whole = knots.iter().all(exact) && knots.windows(2).all(|p| gap(&p[0], &p[1]) == 0);
        whole.then_some(knots.len() as u64)
    }

    /// Values so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.settled + self.buffer.len() as u64
    }

    /// The smallest value, exactly; `None` without values.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        let settled = self.knots.first().map(|knot| knot.value);
        self.buffer.iter().copied().chain(settled).reduce(f64::min)
    }

    /// The largest value, exactly; `None` without values.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        let settled = self.knots.last().map(|knot| knot.value);
        self.buffer.iter().copied().chain(settled).reduce(f64::max)
    }

    /// The share of values at or below `x`: an interval that holds the truth, 0 to 1.
    ///
    /// Without values, or where `x` is NaN, nothing is known: (0, 1).
    #[must_use]
    pub fn cdf(&self, x: f64) -> (f64, f64) {
        let (knots, count) = self.read();
        if count == 0 || x.is_nan() {
            return (0.0, 1.0);
        }
        let after = knots.partition_point(|knot| knot.value < x);
        let ranks = ranks_at(&knots, count, after, x);
        (ranks.le_min as f64 / count as f64, ranks.le_max as f64 / count as f64)
    }

    /// The shares of values below `x` and at or below it, 0 to 1: the middles of the intervals that hold
    /// the truth. Without values, or where `x` is NaN, (0, 1): all that is known of its rank.
    #[must_use]
    pub fn ranks(&self, x: f64) -> (f64, f64) {
        let (knots, count) = self.read();
        if count == 0 || x.is_nan() {
            return (0.0, 1.0);
        }
        let after = knots.partition_point(|knot| knot.value < x);
        let ranks = ranks_at(&knots, count, after, x);
        let middle = |least: u64, most: u64| (least as f64 + most as f64) / 2.0 / count as f64;
        (middle(ranks.lt_min, ranks.lt_max), middle(ranks.le_min, ranks.le_max))
    }

    /// The first kept value whose rank is at least `q` (0 to 1, clamped) of all: never falls
    /// as `q` grows, and off by at most [`QuantileSketch::rank_error`]. `None` without
    /// values, or where `q` is NaN.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (knots, count) = self.read();
        if q.is_nan() {
            return None;
        }
        // Twice the rank, since the middle of an interval may be a half.
        let wanted = q.clamp(0.0, 1.0) * 2.0 * count as f64;
        let found = knots.partition_point(|k| ((k.ranks.le_min + k.ranks.le_max) as f64) < wanted);
        knots.get(found).or(knots.last()).map(|knot| knot.value)
    }

    /// The width of the widest interval that [`QuantileSketch::cdf`] can return, 0 to 1: no
    /// count read from this sketch is further than that from the truth.
    #[must_use]
    pub fn rank_error(&self) -> f64 {
        let (knots, count) = self.read();
        let between = knots.windows(2).map(|pair| gap(&pair[0], &pair[1]));
        let at = knots.iter().map(|knot| knot.ranks.le_max - knot.ranks.le_min);
        between.chain(at).max().unwrap_or(0) as f64 / count.max(1) as f64
    }

    /// Knots in ascending order and the count of all values, buffered ones among them.
    pub(crate) fn read(&self) -> (Cow<'_, [Knot]>, u64) {
        if self.buffer.is_empty() {
            return (Cow::Borrowed(&self.knots), self.settled);
        }
        let block = exact(&mut self.buffer.clone());
        let buffered = self.buffer.len() as u64;
        let all = merged(&self.knots, self.settled, &block, buffered);
        (Cow::Owned(all), self.settled + buffered)
    }
}

/// Values of unknown rank between two neighbouring knots.
fn gap(left: &Knot, right: &Knot) -> u64 {
    right.ranks.lt_max - left.ranks.le_min
}

/// What `knots` know at `x`, given the index `after` of the first knot not below `x`.
pub(crate) fn ranks_at(knots: &[Knot], count: u64, after: usize, x: f64) -> Ranks {
    match knots.get(after) {
        Some(knot) if knot.value == x => knot.ranks,
        next => {
            let low = after.checked_sub(1).map_or(0, |before| knots[before].ranks.le_min);
            let high = next.map_or(count, |knot| knot.ranks.lt_max);
            Ranks::between(low, high)
        }
    }
}

/// What is made of the ranks of a sketch that takes nothing in any more, laid out for many lookups.
#[derive(Debug, Clone, PartialEq)]
pub struct RankTable<T> {
    values: Vec<f64>,
    /// In the gap below each value, and at it; the last is of the gap above all values.
    made: Vec<[T; 2]>,
}

impl<T: Copy> RankTable<T> {
    /// Makes something of the ranks that the values of a sketch have, as [`QuantileSketch::ranks`] gives
    /// them: the shares below a value, and at or below it.
    #[must_use]
    pub fn of(sketch: &QuantileSketch, make: impl Fn((f64, f64)) -> T) -> Self {
        let (knots, _) = sketch.read();
        let values: Vec<f64> = knots.iter().map(|knot| knot.value).collect();
        let above = [f64::INFINITY; 2];
        let places = values.iter().map(|value| [value.next_down(), *value]).chain([above]);
        let made = places.map(|places| places.map(|value| make(sketch.ranks(value)))).collect();
        RankTable { values, made }
    }

    /// What was made of the ranks of `x`, which is not NaN.
    #[must_use]
    pub fn at(&self, x: f64) -> T {
        let after = self.values.partition_point(|&value| value < x);
        let known = self.values.get(after).is_some_and(|&value| value == x);
        self.made[after][usize::from(known)]
    }
}

/// Knots with exact ranks from a block of values, which it sorts.
fn exact(values: &mut [f64]) -> Vec<Knot> {
    radix::sort(values);
    knots_of(values, 1)
}

/// Knots with exact ranks from ascending values: the first, the last, and of those between as many
/// that fewer than `apart` values lie between two.
fn knots_of(values: &[f64], apart: u64) -> Vec<Knot> {
    let mut knots: Vec<Knot> = Vec::with_capacity(values.len() / apart.max(1) as usize + 2);
    let (mut below, mut covered) = (0, 0);
    for ties in values.chunk_by(|a, b| a == b) {
        let upto = below + ties.len() as u64;
        if upto - covered >= apart || below == 0 || upto == values.len() as u64 {
            knots.push(Knot::exact(ties[0], below, upto));
            covered = upto;
        }
        below = upto;
    }
    knots
}

/// Knots of the union: at each value of either side the intervals of both add up.
fn merged(a: &[Knot], a_count: u64, b: &[Knot], b_count: u64) -> Vec<Knot> {
    if a.is_empty() {
        return b.to_vec();
    }
    let mut union = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    // At or below the knots before, at least.
    let (mut low_a, mut low_b) = (0, 0);
    while let (Some(left), Some(right)) = (a.get(i), b.get(j)) {
        let (of_a, of_b) = (left.value <= right.value, right.value <= left.value);
        let value = if of_a { left.value } else { right.value };
        let in_a = left.ranks.or_between(of_a, low_a);
        let in_b = right.ranks.or_between(of_b, low_b);
        union.push(Knot { value, ranks: in_a.plus(in_b) });
        (low_a, low_b) = (in_a.le_min, in_b.le_min);
        (i, j) = (i + usize::from(of_a), j + usize::from(of_b));
    }
    // Beyond the last knot of one of them.
    for (rest, beyond) in [(&a[i..], (low_b, b_count)), (&b[j..], (low_a, a_count))] {
        let beyond = Ranks::between(beyond.0, beyond.1);
        union.extend(rest.iter().map(|knot| Knot { ranks: knot.ranks.plus(beyond), ..*knot }));
    }
    union
}

/// Drops knots until at most `capacity` remain, so that the widest gap grows least.
///
/// For a tolerated gap the walk keeps the fewest knots: from each kept knot it leaps to the
/// farthest one within the gap, which is best since ranks never fall. The smallest gap that
/// fits the capacity is found by bisection. First and last stay; an atom heavier than the gap
/// stays too, since no leap over it is short enough.
fn prune(knots: &mut Vec<Knot>, capacity: usize) {
    if knots.len() > capacity {
        let kept = kept(knots, capacity, |_, tolerated| tolerated);
        *knots = kept.into_iter().map(|at| knots[at]).collect();
    }
}

/// The part of the tolerated gap that is tolerated at rank `q`, 0 to 1.
fn finer_tails(q: f64) -> f64 {
    (40.0 * q.min(1.0 - q)).clamp(0.1, 1.0)
}

/// Which of the knots stay, at most `capacity` of them. `at_rank` says how much of a gap that is
/// tolerated elsewhere is tolerated at a rank.
fn kept(knots: &[Knot], capacity: usize, at_rank: impl Fn(u64, u64) -> u64) -> Vec<usize> {
    // Of each knot but the first, the last rank that may be below it, and what is certain at the one before.
    let steps: Vec<(u64, u64)> =
        knots.windows(2).map(|pair| (pair[1].ranks.lt_max, pair[0].ranks.le_min)).collect();
    let walk = |tolerated: u64, kept: &mut [usize]| {
        let reach = |rank: u64| rank + at_rank(rank, tolerated);
        let (mut upto, mut count) = (reach(steps[0].1), 0);
        for (place, &(highest, before)) in steps.iter().enumerate().skip(1) {
            // Which knots are leapt over cannot be foreseen, so it is chosen without a branch.
            let lands = highest > upto;
            upto = select_unpredictable(lands, reach(before), upto);
            if let Some(kept) = kept.get_mut(count) {
                *kept = place;
            }
            count += usize::from(lands);
        }
        count
    };
    // The first and the last stay, too.
    let count = |tolerated| walk(tolerated, &mut []) + 2;
    // Twice the gap leaves about half of the knots: the first guesses are seldom far.
    let scaled = |tolerated: u64, by: f64| (tolerated as f64 * by / capacity as f64) as u64;
    let whole = gap(&knots[0], &knots[knots.len() - 1]);
    let (mut low, mut high) = (0, (whole / capacity as u64).max(1));
    let (mut found, mut margin) = (count(high), 1.02);
    while high < whole.saturating_mul(16) && found > capacity {
        (low, high) = (high + 1, scaled(high, found as f64 * margin).max(high + 1));
        (found, margin) = (count(high), margin * 2.0);
    }
    // A thirty-second more than the least is near enough.
    for attempt in 0.. {
        let near = high / 32;
        if high.saturating_sub(low) <= near {
            break;
        }
        let middle = match attempt {
            0 => scaled(high, found as f64).clamp(low, high - near.max(1)),
            1 => high - near.max(1),
            _ => low + (high - low) / 2,
        };
        let left = count(middle);
        if left <= capacity {
            (high, found) = (middle, left);
        } else {
            low = middle + 1;
        }
    }
    let mut kept = vec![0; count(high)];
    let between = 1..kept.len() - 1;
    walk(high, &mut kept[between]);
    if let Some(last) = kept.last_mut() {
        *last = knots.len() - 1;
    }
    kept
}

/// The knot at this place, or in its stead one between it and the next whose value has fewer bits.
/// The ends stay, and so do values that are there more than `light` times.
fn shortened(knots: &[Knot], at: usize, light: u64) -> Knot {
    let knot = knots[at];
    let is_end = at == 0 || at + 1 >= knots.len();
    if is_end || knot.ranks.le_min.saturating_sub(knot.ranks.lt_max) > light {
        return knot;
    }
    let value = short_between(knot.value, knots[at + 1].value);
    if value == knot.value {
        return knot;
    }
    let (least, most) = (knot.ranks.le_min, knots[at + 1].ranks.lt_max);
    Knot { value, ranks: Ranks { lt_min: least, lt_max: most, le_min: least, le_max: most } }
}

/// The form in which a knot is stored, 0 to 3.
fn form(ranks: &Ranks) -> u8 {
    let inside = (ranks.le_min - ranks.lt_min, ranks.le_max - ranks.lt_max);
    match inside {
        _ if ranks.lt_min == ranks.lt_max && ranks.le_min == ranks.le_max => 1,
        (1, 1) => 2,
        (0, 0) => 3,
        _ => 0,
    }
}

fn packed(knots: &[Knot]) -> Vec<u8> {
    let (mut bytes, mut last, mut below) = (vec![], 0, 0);
    for Knot { value, ranks } in knots {
        let here = key(*value);
        let (first, upto, differs) = differing(here, last);
        let form = form(ranks);
        // Values ascend, and the key of none is 0: some byte differs, and `upto` is 1 at least.
        bytes.push((first as u8 | (form & 1) << 3) << 4 | (upto as u8 - 1) | (form & 2) << 2);
        bytes.extend(&differs[first..upto]);
        varint(ranks.lt_min - below, &mut bytes);
        match form {
            1 => varint(ranks.le_min - ranks.lt_min, &mut bytes),
            _ => varint(ranks.lt_max - ranks.lt_min, &mut bytes),
        }
        if form == 0 {
            varint(ranks.le_min - ranks.lt_min, &mut bytes);
            varint(ranks.le_max - ranks.lt_max, &mut bytes);
        }
        (last, below) = (here, ranks.le_min);
    }
    bytes
}

/// Reads what [`packed`] wrote. Whether it is in order is not looked at here.
fn unpacked(bytes: &[u8]) -> Result<Vec<Knot>, Broken> {
    let mut reader = Reader::of(bytes);
    let (mut knots, mut last, mut below) = (vec![], 0, 0u64);
    while !reader.is_done() {
        let head = reader.byte()?;
        let form = head >> 7 | (head >> 2) & 2;
        last = reader.key(usize::from(head >> 4 & 7), usize::from(head & 7) + 1, last)?;
        let at = reader.at;
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Broken(at));
        let lt_min = sum(below, reader.varint()?)?;
        let second = reader.varint()?;
        let lt_max = if form == 1 { lt_min } else { sum(lt_min, second)? };
        let (least, most) = match form {
            0 => (reader.varint()?, reader.varint()?),
            1 => (second, second),
            2 => (1, 1),
            _ => (0, 0),
        };
        let (le_min, le_max) = (sum(lt_min, least)?, sum(lt_max, most)?);
        knots.push(Knot { value: unkey(last), ranks: Ranks { lt_min, lt_max, le_min, le_max } });
        below = le_min;
    }
    Ok(knots)
}

impl From<QuantileSketch> for Stored {
    fn from(mut sketch: QuantileSketch) -> Self {
        sketch.settle();
        let knots = letters::encode(&packed(&sketch.knots));
        Stored { capacity: sketch.capacity, count: sketch.settled, knots }
    }
}

impl TryFrom<Stored> for QuantileSketch {
    type Error = BrokenSketch;

    fn try_from(Stored { capacity, count, knots }: Stored) -> Result<Self, BrokenSketch> {
        let broken = |at| BrokenSketch::Bytes { at };
        let bytes = letters::decode(&knots).map_err(broken)?;
        let knots = unpacked(&bytes).map_err(|Broken(at)| broken(at))?;
        if knots.len() > capacity || capacity < 8 {
            return Err(BrokenSketch::Capacity { capacity, knots: knots.len() });
        }
        let in_order = |r: &Ranks| {
            r.lt_min <= r.lt_max
                && r.lt_max <= r.le_max
                && r.lt_min <= r.le_min
                && r.le_min <= r.le_max
                && r.le_max <= count
        };
        let follows = |left: &Knot, right: &Knot| {
            left.value < right.value
                && left.ranks.le_min <= right.ranks.lt_min
                && left.ranks.le_max <= right.ranks.lt_max
        };
        for (index, knot) in knots.iter().enumerate() {
            let after_previous = index.checked_sub(1).is_none_or(|i| follows(&knots[i], knot));
            if !knot.value.is_finite() || !in_order(&knot.ranks) || !after_previous {
                return Err(BrokenSketch::Knot { index });
            }
        }
        let ends = knots.first().map_or(0, |knot| knot.ranks.lt_max)
            + knots.last().map_or(count, |knot| count - knot.ranks.le_min);
        if ends != 0 {
            return Err(BrokenSketch::Ends { count });
        }
        Ok(QuantileSketch { capacity, settled: count, knots, buffer: vec![] })
    }
}

/// Why a stored sketch cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenSketch {
    /// Bytes that are no knots.
    #[error("sketch is broken at byte {at}: write the profile again")]
    Bytes {
        /// Where, in bytes from its start.
        at: usize,
    },
    /// More knots than its capacity, or a capacity below 8.
    #[error(
        "sketch has {knots} knots for a capacity of {capacity} (at least 8): write the profile again"
    )]
    Capacity {
        /// Knots allowed.
        capacity: usize,
        /// Knots found.
        knots: usize,
    },
    /// A knot that is not finite, or out of order with its ranks or its neighbour.
    #[error("sketch knot {index} is out of order: write the profile again")]
    Knot {
        /// Its place, from 0.
        index: usize,
    },
    /// First and last knot do not enclose all values.
    #[error("sketch knots do not enclose its {count} values: write the profile again")]
    Ends {
        /// Values the sketch says it holds.
        count: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Builds a sketch from blocks, each merged in from a sketch of its own or inserted.
    fn sketch_of(blocks: &[(bool, Vec<f64>)], capacity: usize) -> (QuantileSketch, Vec<f64>) {
        let mut sketch = QuantileSketch::with_capacity(capacity);
        let mut truth = vec![];
        for (apart, values) in blocks {
            let mut block = QuantileSketch::with_capacity(capacity);
            for &value in values {
                assert!(if *apart { block.insert(value) } else { sketch.insert(value) });
            }
            sketch.merge(&block);
            truth.extend(values);
        }
        truth.sort_unstable_by(f64::total_cmp);
        (sketch, truth)
    }

    fn check_holds_truth(sketch: &QuantileSketch, truth: &[f64]) {
        assert_eq!(sketch.count(), truth.len() as u64);
        assert_eq!(sketch.min(), truth.first().copied());
        assert_eq!(sketch.max(), truth.last().copied());
        let n = truth.len().max(1) as f64;
        let error = sketch.rank_error();
        for &x in truth {
            for x in [x.next_down(), x, x.next_up()] {
                let (low, high) = sketch.cdf(x);
                let rank = truth.partition_point(|&v| v <= x) as f64 / n;
                assert!(low <= rank && rank <= high, "{low} <= F({x}) = {rank} <= {high}");
                assert!(high - low <= error + 1e-12, "{} > {error}", high - low);
            }
        }
        let mut last = f64::NEG_INFINITY;
        for step in 0..=50 {
            let q = f64::from(step) / 50.0;
            let Some(value) = sketch.quantile(q) else { break };
            assert!(value >= last, "quantile({q}) fell");
            last = value;
            let below = truth.partition_point(|&v| v < value) as f64 / n;
            let upto = truth.partition_point(|&v| v <= value) as f64 / n;
            assert!(below - error <= q + 1e-12 && q <= upto + error + 1e-12, "{below} {q} {upto}");
        }
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            3 => (-40i32..40).prop_map(f64::from),
            3 => -1e3..1e3f64,
            1 => Just(0.0),
            1 => Just(-0.0),
            1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE)],
        ];
        prop::collection::vec(value, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn the_true_rank_is_inside_the_interval(
            blocks in prop::collection::vec((any::<bool>(), values()), 0..8),
            capacity in 8usize..40,
        ) {
            let (sketch, truth) = sketch_of(&blocks, capacity);
            check_holds_truth(&sketch, &truth);
        }

        #[test]
        fn storing_changes_no_answer(
            blocks in prop::collection::vec((any::<bool>(), values()), 0..6),
        ) {
            let (sketch, truth) = sketch_of(&blocks, 16);
            let stored = serde_json::to_string(&sketch).unwrap();
            let read: QuantileSketch = serde_json::from_str(&stored).unwrap();
            check_holds_truth(&read, &truth);
            let mut settled = sketch;
            settled.settle();
            prop_assert_eq!(read, settled);
        }
    }

    #[test]
    fn few_distinct_values_are_counted_exactly() {
        let values: Vec<f64> = (0..50_000).map(|i| f64::from(i % 900)).collect();
        let (sketch, truth) = sketch_of(&[(false, values)], DEFAULT_CAPACITY);
        assert_eq!(sketch.rank_error(), 0.0);
        assert_eq!(sketch.quantile(0.5), Some(truth[truth.len() / 2 - 1]));
    }

    #[test]
    fn a_million_values_keep_the_error_that_the_head_of_this_file_states() {
        let check = |kind: &str, value: fn(f64, u64) -> f64| {
            let mut sketch = QuantileSketch::default();
            for i in 0..1_000_000u64 {
                // Multiples of the golden ratio fill 0 to 1 evenly, in no order.
                let spread = (i as f64 * 0.618_033_988_749_894_9).fract();
                sketch.insert(value(spread, i));
            }
            let error = sketch.rank_error();
            assert!(error > 0.0 && error <= 0.0016, "{kind}: {error}");
        };
        check("uniform", |spread, _| spread);
        check("heavy tail", |spread, _| (4.0 * (spread / (1.0 - spread + 1e-9)).ln()).exp());
        check("ascending", |_, i| i as f64);
        check("descending", |_, i| -(i as f64));
    }

    #[test]
    fn an_empty_sketch_knows_nothing_and_says_so() {
        let empty = QuantileSketch::default();
        assert_eq!((empty.count(), empty.min(), empty.quantile(0.5)), (0, None, None));
        assert_eq!((empty.cdf(1.0), empty.rank_error()), ((0.0, 1.0), 0.0));
    }

    #[test]
    fn what_is_not_finite_stays_out() {
        let mut sketch = QuantileSketch::default();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!sketch.insert(value));
        }
        assert_eq!(sketch, QuantileSketch::default());
    }

    #[test]
    fn a_heavy_atom_keeps_its_exact_weight_among_noise() {
        let values: Vec<f64> =
            (0..60_000).map(|i| if i % 3 == 0 { 0.5 } else { f64::from(i) / 60_000.0 }).collect();
        let (sketch, truth) = sketch_of(&[(false, values)], 200);
        let (low, high) = sketch.cdf(0.5);
        let below = sketch.cdf(0.5f64.next_down()).1;
        assert!(low - below > 0.30, "the jump at the atom is visible: {below} to {low}");
        assert!(high >= truth.partition_point(|&v| v <= 0.5) as f64 / 60_000.0);
    }

    #[test]
    fn a_broken_file_is_refused() {
        let check = |text: &str, says: &str| {
            let error = serde_json::from_str::<QuantileSketch>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        let knots = |knots: &[(f64, u64, u64)]| {
            let knots: Vec<_> = knots.iter().map(|k| Knot::exact(k.0, k.1, k.2)).collect();
            letters::encode(&packed(&knots))
        };
        let stored = |capacity: u64, count: u64, knots: &str| {
            format!(r#"{{"capacity":{capacity},"count":{count},"knots":"{knots}"}}"#)
        };
        let two = knots(&[(2.0, 0, 1), (1.0, 1, 2)]);
        check(&stored(9, 2, &two), "knot 1");
        check(&stored(9, 1, &knots(&[(1.0, 0, 5)])), "knot 0");
        check(&stored(9, 3, &knots(&[(1.0, 0, 2)])), "enclose its 3");
        check(&stored(9, 3, ""), "enclose its 3");
        check(&stored(0, 0, ""), "at least 8");
        check(&stored(9, 2, &two[..two.len() - 2]), "broken at byte");
        check(&stored(9, 2, "no base64"), "broken at byte");
    }

    /// Multiples of the golden ratio fill 0 to 1 evenly, in no order.
    fn spread(count: u32) -> Vec<f64> {
        (0..count).map(|i| (f64::from(i) * 0.618_033_988_749_894_9).fract()).collect()
    }

    fn of_blocks(values: &[f64], capacity: usize, block: usize) -> QuantileSketch {
        let mut sketch = QuantileSketch::with_capacity(capacity);
        for block in values.chunks(block) {
            let mut block = block.to_vec();
            block.sort_unstable_by(f64::total_cmp);
            sketch.extend_sorted(&block);
        }
        sketch
    }

    #[test]
    fn a_condensed_sketch_is_small_and_still_certain() {
        let shapes: [fn(f64) -> f64; 3] = [
            |u| u,
            |u| (1.0 - u).powf(-0.7),
            |u| if u < 0.3 { 0.0 } else { (u * 1e4).round() / 7.0 },
        ];
        for shape in shapes {
            let values: Vec<f64> = spread(100_000).into_iter().map(shape).collect();
            let mut sketch = of_blocks(&values, 2_000, 16_384);
            sketch.condense(3_000);
            let stored = serde_json::to_string(&sketch).unwrap();
            assert!(stored.len() < 4_100, "{}", stored.len());
            assert!(sketch.rank_error() < 0.0045, "{}", sketch.rank_error());
            assert_eq!(serde_json::from_str::<QuantileSketch>(&stored).unwrap(), sketch);
            let mut truth = values;
            truth.sort_unstable_by(f64::total_cmp);
            check_holds_truth(&sketch, &truth);
        }
    }

    #[test]
    fn few_values_are_condensed_without_loss() {
        let mut sketch =
            of_blocks(&(0..9_000).map(|i| f64::from(i % 90)).collect::<Vec<_>>(), 2_000, 4_000);
        let before = sketch.clone();
        sketch.condense(3_000);
        assert_eq!((sketch.rank_error(), sketch.distinct()), (0.0, Some(90)));
        assert_eq!(sketch, before);
        let mut empty = QuantileSketch::default();
        empty.condense(100);
        assert_eq!((empty.count(), empty.distinct()), (0, Some(0)));
    }

    #[test]
    fn zeros_among_amounts_are_an_atom_and_ages_are_not() {
        let amounts: Vec<f64> =
            spread(50_000).into_iter().map(|u| if u < 0.2 { 0.0 } else { u * 1e3 }).collect();
        let atoms = of_blocks(&amounts, 1_000, 10_000).atoms();
        assert_eq!(atoms.len(), 1);
        assert_eq!((atoms[0].0, atoms[0].1.abs_diff(10_000) < 10), (0.0, true));
        let ages: Vec<f64> = spread(50_000).into_iter().map(|u| (u * 90.0).floor()).collect();
        assert_eq!(of_blocks(&ages, 1_000, 10_000).atoms(), []);
        assert_eq!(of_blocks(&[1.0; 100], 1_000, 10_000).atoms(), []);
    }

    #[test]
    fn a_table_of_ranks_says_what_the_sketch_says() {
        let mut sketch = QuantileSketch::with_capacity(50);
        // Ties, neighbours that are next to each other, and gaps.
        let values = (0..3_000).map(|at| f64::from(at * 37 % 211) / 8.0);
        let close = [1.0, 1.0f64.next_up(), f64::MAX, f64::MIN];
        values.chain(close).for_each(|value| assert!(sketch.insert(value)));
        let table = RankTable::of(&sketch, |ranks| ranks);
        let probes = (-20..500).map(|at| f64::from(at) / 16.0);
        let far = [f64::NEG_INFINITY, f64::INFINITY, f64::MAX, f64::MIN, 1.0, -0.0];
        for probe in probes.chain(far).chain(close) {
            assert_eq!(table.at(probe), sketch.ranks(probe), "{probe}");
        }
        let nothing = QuantileSketch::with_capacity(50);
        assert_eq!(RankTable::of(&nothing, |ranks| ranks).at(1.0), nothing.ranks(1.0));
    }
}
