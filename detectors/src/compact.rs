//! A distribution in four kilobytes: edges of bins, and how many values lie at or below each.
//!
//! It does not know what the numbers mean, nor which of its bins matter to whom.
//!
//! [`crate::quantile::QuantileSketch`] certifies narrow intervals and keeps a thousand knots for
//! it; a window against its reference is tested with that one. This one is for the profile, where
//! a column may cost four kilobytes: its estimate is ten times nearer the truth, but what it can
//! *prove* ([`CompactSketch::certified_error`]) is wider than what it achieves.
//!
//! How: an edge, once there, counts exactly, since every later value is compared with it. Only when
//! a bin grows heavier than its share is it split at values that came in just now, and what the bin
//! held before is divided by interpolation; dropping an edge makes nothing inexact. So the mistake
//! of an edge is a number of values fixed on the day it was made, and fades as more come in. The
//! split-and-merge histogram is Gibbons, Matias & Poosala's ("Fast incremental maintenance of
//! approximate histograms", VLDB 1997); that bins are finer towards both ends is the t-digest's
//! (Dunning & Ertl, "Computing extremely accurate quantiles using t-digests", 2019, scale k₂ with
//! a bound in the middle). A value that is repeated often gets two edges, just below it and at it,
//! so that its share is counted and not smoothed.
//!
//! Not finite values stay out. Degenerate cases: without values nothing is known; a constant
//! column is one atom.

use crate::letters;
use crate::packing::{Broken, Reader, differing, key, short_amid, unkey, varint};
use serde::{Deserialize, Serialize};

/// Bytes that [`CompactSketch::to_bytes`] takes at most.
pub const LARGEST: usize = 4_096;

/// Edges kept; a power of two, so that the search for a bin needs no bounds.
const EDGES: usize = 512;

/// Edges left after some had to be dropped.
const AFTER_PRUNING: usize = 440;

/// Values buffered before they are counted.
const BLOCK: usize = 4_096;

/// How many bins of full weight the whole distribution makes; most bins are half full.
const FULL_BINS: f64 = 250.0;

/// Values of a block in one bin that must be equal to be taken for an atom: at least so many.
const ATOM: usize = 6;

/// Mergeable sketch of finite numbers. See the head of this file.
///
/// Its JSON is the base64 of [`CompactSketch::to_bytes`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CompactSketch {
    /// Upper edges of the bins, ascending; the last is the largest value. A bin holds the values
    /// above the edge before it, up to and including its own.
    edges: Vec<f64>,
    /// Values in each bin.
    counts: Vec<u64>,
    /// How far the rank at each edge may be from the truth, at most.
    doubts: Vec<u64>,
    /// The smallest value; infinite without values.
    min: f64,
    total: u64,
    buffer: Vec<f64>,
}

impl Default for CompactSketch {
    fn default() -> Self {
        CompactSketch {
            edges: vec![],
            counts: vec![],
            doubts: vec![],
            min: f64::INFINITY,
            total: 0,
            buffer: vec![],
        }
    }
}

/// The largest share of all values that a bin around rank `q` may hold.
fn full(q: f64) -> f64 {
    // The integral of 1 / (c · min(4 q (1 − q), 1 / 2)), cut off at a millionth, is about 13 / c.
    let tail = (4.0 * q * (1.0 - q)).max(4e-6);
    (tail.min(0.5)) * 13.0 / (2.0 * FULL_BINS)
}

impl CompactSketch {
    /// Takes one value in; `false`, and nothing changes, where it is not finite.
    pub fn insert(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        // Negative zero equals zero.
        self.buffer.push(value + 0.0);
        if self.buffer.len() >= BLOCK {
            self.settle();
        }
        true
    }

    /// Takes many values in; how many of them were finite.
    pub fn extend(&mut self, values: &[f64]) -> u64 {
        let before = self.count();
        for chunk in values.chunks(BLOCK / 4) {
            self.buffer.extend(chunk.iter().filter(|v| v.is_finite()).map(|v| v + 0.0));
            if self.buffer.len() >= BLOCK {
                self.settle();
            }
        }
        self.count() - before
    }

    /// Values so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total + self.buffer.len() as u64
    }

    /// Counts what is buffered, so that reads see it without a copy.
    pub fn settle(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut block = std::mem::take(&mut self.buffer);
        let low = block.iter().copied().fold(f64::INFINITY, f64::min);
        let high = block.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.reach(low, high);
        let mut edges = [f64::INFINITY; EDGES];
        edges[..self.edges.len()].copy_from_slice(&self.edges);
        let bins = bins_of(&edges, &block);
        let before = self.counts.clone();
        for &bin in &bins {
            self.counts[usize::from(bin)] += 1;
        }
        self.total += block.len() as u64;
        let heavy = self.heavy();
        if heavy.iter().any(|&heavy| heavy) {
            let mut within: Vec<(u16, f64)> =
                bins.iter().copied().zip(block.iter().copied()).collect();
            within.retain(|&(bin, _)| heavy[usize::from(bin)]);
            within.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            self.split(&before, &within);
            self.prune(EDGES - 2, AFTER_PRUNING);
        }
        block.clear();
        self.buffer = block;
    }

    /// Takes a block of ascending finite values in, without negative zeros: cheaper than any other
    /// order, since each edge is looked for in the values and not each value among the edges.
    pub fn extend_sorted(&mut self, values: &[f64]) {
        self.settle();
        for block in values.chunks(BLOCK) {
            self.reach(block[0], block[block.len() - 1]);
            let before = self.counts.clone();
            let mut starts = Vec::with_capacity(self.edges.len() + 1);
            let mut from = 0;
            for (edge, count) in self.edges.iter().zip(&mut self.counts) {
                starts.push(from);
                let inside = block[from..].partition_point(|value| value <= edge);
                *count += inside as u64;
                from += inside;
            }
            starts.push(from);
            self.total += block.len() as u64;
            let heavy = self.heavy();
            if heavy.iter().any(|&heavy| heavy) {
                let bins = (0..heavy.len()).filter(|&bin| heavy[bin]);
                let values = bins.flat_map(|bin| {
                    block[starts[bin]..starts[bin + 1]].iter().map(move |&v| (bin as u16, v))
                });
                let within: Vec<_> = values.collect();
                self.split(&before, &within);
                self.prune(EDGES - 2, AFTER_PRUNING);
            }
        }
    }

    /// Makes room for values from `low` to `high`.
    fn reach(&mut self, low: f64, high: f64) {
        // What was the smallest value keeps an edge: below it there was nothing.
        if self.total > 0 && low < self.min {
            let floor = self.min.next_down();
            if self.edges[0] > floor {
                self.edges.insert(0, floor);
                self.counts.insert(0, 0);
                self.doubts.insert(0, 0);
            }
        }
        self.min = self.min.min(low);
        if self.edges.last().is_none_or(|&last| last < high) {
            self.edges.push(high);
            self.counts.push(0);
            self.doubts.push(0);
        }
        self.prune(EDGES - 2, AFTER_PRUNING);
    }

    /// Which bins hold more than they should and can be split.
    fn heavy(&self) -> Vec<bool> {
        let n = self.total as f64;
        let mut below = 0;
        (0..self.edges.len())
            .map(|bin| {
                let count = self.counts[bin];
                let q = (below as f64 + count as f64 / 2.0) / n;
                below += count;
                count > 1 && count as f64 > full(q) * n && !self.is_atom(bin)
            })
            .collect()
    }

    /// The largest number that is not in bin `bin` and below it; the smallest value for the first.
    fn floor(&self, bin: usize) -> f64 {
        if bin == 0 { self.min.next_down() } else { self.edges[bin - 1] }
    }

    fn is_atom(&self, bin: usize) -> bool {
        self.floor(bin).next_up() >= self.edges[bin]
    }

    /// Splits heavy bins at the values, sorted by bin, that `within` has of them.
    fn split(&mut self, before: &[u64], within: &[(u16, f64)]) {
        let mut grown = Grown::with_room(self.edges.len() + within.len() / 2);
        let mut next = 0;
        let mut below = 0;
        for group in within.chunk_by(|a, b| a.0 == b.0) {
            let bin = usize::from(group[0].0);
            for untouched in next..bin {
                below += self.counts[untouched];
                grown.push(self.edges[untouched], self.counts[untouched], self.doubts[untouched]);
            }
            let values: Vec<f64> = group.iter().map(|pair| pair.1).collect();
            let doubt = bin.checked_sub(1).map_or(0, |left| self.doubts[left]);
            let piece = Piece {
                floor: self.floor(bin),
                ceiling: self.edges[bin],
                old: before[bin],
                below,
                doubt: doubt.max(self.doubts[bin]) + before[bin],
                total: self.total as f64,
            };
            piece.cut(&values, self.doubts[bin], &mut grown);
            below += self.counts[bin];
            next = bin + 1;
        }
        for untouched in next..self.edges.len() {
            grown.push(self.edges[untouched], self.counts[untouched], self.doubts[untouched]);
        }
        (self.edges, self.counts, self.doubts) = (grown.edges, grown.counts, grown.doubts);
    }

    /// Drops edges, where there are more than `most`, until `wanted` are left: the fewest that let
    /// every bin be at most so many times its full weight, the times found by bisection.
    fn prune(&mut self, most: usize, wanted: usize) {
        if self.edges.len() <= most {
            return;
        }
        let n = self.total.max(1) as f64;
        let kept = |times: f64| {
            let (mut kept, mut below, mut held) = (vec![], 0u64, 0u64);
            for (bin, &count) in self.counts.iter().enumerate() {
                let q = (below as f64 + (held + count) as f64 / 2.0) / n;
                if bin > 0 && (held + count) as f64 > times * full(q.min(1.0)) * n {
                    kept.push(bin - 1);
                    below += held;
                    held = 0;
                }
                held += count;
            }
            kept.push(self.counts.len() - 1);
            kept
        };
        let (mut low, mut high) = (0.0, 2.0);
        while kept(high).len() > wanted && high < 1e12 {
            high *= 2.0;
        }
        for _ in 0..20 {
            let middle = (low + high) / 2.0;
            if kept(middle).len() > wanted { low = middle } else { high = middle }
        }
        let (mut grown, mut from) = (Grown::with_room(wanted), 0);
        for upto in kept(high) {
            let count = self.counts[from..=upto].iter().sum();
            grown.push(self.edges[upto], count, self.doubts[upto]);
            from = upto + 1;
        }
        (self.edges, self.counts, self.doubts) = (grown.edges, grown.counts, grown.doubts);
    }

    /// Adds everything that `other` saw.
    ///
    /// The larger one's edges stay, and the smaller one is read at them; where a bin becomes too
    /// heavy, the smaller one's edges come in.
    pub fn merge(&mut self, other: &CompactSketch) {
        let mut other = other.clone();
        self.settle();
        other.settle();
        if other.total > self.total {
            std::mem::swap(self, &mut other);
        }
        if other.total == 0 {
            return;
        }
        let largest = other.edges[other.edges.len() - 1];
        self.reach(other.min, largest);
        let (mine, theirs) = (self.curve(), other.curve());
        let mut edges: Vec<f64> = self.edges.clone();
        edges.extend(&other.edges);
        edges.push(other.min.next_down().max(self.min));
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
        edges.retain(|&edge| edge >= self.min);
        let n = (self.total + other.total) as f64;
        let mut grown = Grown::with_room(edges.len());
        let (mut rank, mut own) = (0, 0);
        for edge in edges {
            let at = self.edges.partition_point(|&e| e < edge);
            let is_own = self.edges.get(at) == Some(&edge);
            let (low, mine_at) = (own, mine.rank(edge));
            let upto = ((mine_at + theirs.rank(edge)).round() as u64).max(rank);
            let q = (rank + upto) as f64 / 2.0 / n;
            // The bin as it would be without this edge.
            let whole =
                self.edges.get(at).map_or(upto, |&e| (mine.rank(e) + theirs.rank(e)) as u64);
            let needed = (whole.saturating_sub(rank)) as f64 > full(q.min(1.0)) * n;
            if !is_own && !needed {
                continue;
            }
            let mut doubt = self.doubt_at(edge) + other.doubt_at(edge);
            if is_own {
                own = mine_at as u64;
            } else {
                doubt = doubt.max(mine_at as u64 - low.min(mine_at as u64));
            }
            grown.push(edge, upto - rank, doubt);
            rank = upto;
        }
        self.total += other.total;
        (self.edges, self.counts, self.doubts) = (grown.edges, grown.counts, grown.doubts);
        // Rounding must lose no value.
        if let Some(last) = self.counts.last_mut() {
            *last += self.total - rank.min(self.total);
        }
        self.prune(EDGES - 2, AFTER_PRUNING);
    }

    /// How far the estimated rank of `x` may be from the truth: where `x` is an edge its doubt,
    /// else the weight of its bin on top.
    fn doubt_at(&self, x: f64) -> u64 {
        let bin = self.edges.partition_point(|&edge| edge < x);
        if bin >= self.edges.len() || x < self.min {
            return 0;
        }
        if self.edges[bin] == x {
            return self.doubts[bin];
        }
        let left = bin.checked_sub(1).map_or(0, |left| self.doubts[left]);
        self.counts[bin] + left.max(self.doubts[bin])
    }

    /// What this sketch says between its edges; reads many points quickly.
    #[must_use]
    pub fn curve(&self) -> Curve {
        let mut settled = self.clone();
        settled.settle();
        Curve::of(&settled)
    }

    /// The share of values at or below `x`, 0 to 1; `None` without values or where `x` is NaN.
    #[must_use]
    pub fn cdf(&self, x: f64) -> Option<f64> {
        let curve = self.curve();
        (curve.total > 0.0 && !x.is_nan()).then(|| curve.rank(x) / curve.total)
    }

    /// The value at rank `q` (0 to 1, clamped): never falls as `q` grows. `None` without values or
    /// where `q` is NaN.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.curve().quantile(q)
    }

    /// Values that are repeated so often that they have a bin to themselves, and their counts.
    #[must_use]
    pub fn atoms(&self) -> Vec<(f64, u64)> {
        let mut settled = self.clone();
        settled.settle();
        let bins = 0..settled.edges.len();
        let atoms = bins.filter(|&bin| settled.is_atom(bin) && settled.counts[bin] > 1);
        atoms.map(|bin| (settled.edges[bin], settled.counts[bin])).collect()
    }

    /// The smallest value, exactly; `None` without values.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        let settled = (self.total > 0).then_some(self.min);
        self.buffer.iter().copied().chain(settled).reduce(f64::min)
    }

    /// The largest value, exactly; `None` without values.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.buffer.iter().copied().chain(self.edges.last().copied()).reduce(f64::max)
    }

    /// A bound that the error of no [`CompactSketch::cdf`] exceeds, whatever the values and their
    /// order, 0 to 1: far above what it is on data that is smooth between two edges.
    #[must_use]
    pub fn certified_error(&self) -> f64 {
        let mut settled = self.clone();
        settled.settle();
        let bins = 0..settled.edges.len();
        let widest = bins.map(|bin| {
            let left = bin.checked_sub(1).map_or(0, |left| settled.doubts[left]);
            let inside = if settled.is_atom(bin) { 0 } else { settled.counts[bin] };
            inside + left.max(settled.doubts[bin])
        });
        (widest.max().unwrap_or(0) as f64 / settled.total.max(1) as f64).min(1.0)
    }
}

/// Bins under construction.
struct Grown {
    edges: Vec<f64>,
    counts: Vec<u64>,
    doubts: Vec<u64>,
}

impl Grown {
    fn with_room(bins: usize) -> Self {
        let room = Vec::with_capacity(bins);
        Grown { edges: Vec::with_capacity(bins), counts: room.clone(), doubts: room }
    }

    fn push(&mut self, edge: f64, count: u64, doubt: u64) {
        self.edges.push(edge);
        self.counts.push(count);
        self.doubts.push(doubt);
    }
}

/// A bin, or a part of one, that is being split.
struct Piece {
    floor: f64,
    ceiling: f64,
    /// Values from before this block.
    old: u64,
    below: u64,
    /// What an edge inside may be wrong by.
    doubt: u64,
    total: f64,
}

impl Piece {
    /// Splits beside the middle of `values`, or around a value that many of them equal, and goes on
    /// with the parts while they are too heavy.
    fn cut(self, values: &[f64], doubt: u64, into: &mut Grown) {
        let count = self.old + values.len() as u64;
        let q = (self.below as f64 + count as f64 / 2.0) / self.total;
        let narrow = self.floor.next_up() >= self.ceiling;
        if values.is_empty() || narrow || count as f64 <= (full(q) * self.total).max(1.0) {
            into.push(self.ceiling, count, doubt);
            return;
        }
        let middle = values[(values.len() - 1) / 2];
        let from = values.partition_point(|&v| v < middle);
        let upto = values.partition_point(|&v| v <= middle);
        let ties = upto - from;
        // Ties as heavy as a bin are an atom: an edge just below it, and one at it.
        let is_atom = ties >= ATOM && (ties * 4 > values.len());
        if is_atom && self.floor < middle.next_down() {
            let old = if values.len() as u64 > self.old {
                self.share(middle)
            } else {
                (self.old as f64 * from as f64 / values.len() as f64) as u64
            };
            self.part(middle.next_down(), old, &values[..from], &values[from..], doubt, into);
        } else if is_atom && middle < self.ceiling {
            let old = (self.old as f64 * upto as f64 / values.len() as f64) as u64;
            self.part(middle, old, &values[..upto], &values[upto..], doubt, into);
        } else if !is_atom {
            // In the wider gap beside it: always in the same one, the old values of many splits
            // would lean to that side.
            let left = from.checked_sub(1).map_or(self.floor, |last| values[last]);
            let right = values.get(upto).copied().unwrap_or(self.ceiling);
            let (at, from) = if middle / 2.0 - left / 2.0 > right / 2.0 - middle / 2.0 {
                (short_amid(left, middle), from)
            } else {
                (short_amid(middle, right), upto)
            };
            if self.floor < at && at < self.ceiling {
                let old = self.share(at);
                self.part(at, old, &values[..from], &values[from..], doubt, into);
            } else {
                into.push(self.ceiling, count, doubt);
            }
        } else {
            into.push(self.ceiling, count, doubt);
        }
    }

    /// How many of the old values lie at or below `at`, were they spread evenly.
    fn share(&self, at: f64) -> u64 {
        // Halves, since the difference of two large numbers may overflow.
        let width = self.ceiling / 2.0 - self.floor / 2.0;
        let part = (at / 2.0 - self.floor / 2.0) / width;
        ((self.old as f64 * part.clamp(0.0, 1.0)).round() as u64).min(self.old)
    }

    fn part(self, at: f64, old: u64, left: &[f64], right: &[f64], doubt: u64, into: &mut Grown) {
        let below = self.below + old + left.len() as u64;
        let inner = if self.old == 0 { 0 } else { self.doubt };
        let (ceiling, rest) = (self.ceiling, self.old - old);
        let first = Piece { ceiling: at, old, ..self };
        let second =
            Piece { floor: at, ceiling, old: rest, below, doubt: first.doubt, total: first.total };
        first.cut(left, inner, into);
        second.cut(right, doubt, into);
    }
}

/// The bin of each value: the count of edges below it.
fn bins_of(edges: &[f64; EDGES], values: &[f64]) -> Vec<u16> {
    let mut bins = vec![0u16; values.len()];
    // Six searches side by side, so that none waits for the memory of another; more would not find
    // room in the registers.
    let mut groups = values.chunks_exact(6);
    let mut out = bins.chunks_exact_mut(6);
    for (six, places) in groups.by_ref().zip(out.by_ref()) {
        let mut at = [0usize; 6];
        let mut step = EDGES / 2;
        while step > 0 {
            for (at, &value) in at.iter_mut().zip(six) {
                *at += step * usize::from(edges[(*at + step - 1) & (EDGES - 1)] < value);
            }
            step /= 2;
        }
        for (place, at) in places.iter_mut().zip(at) {
            *place = at as u16;
        }
    }
    for (value, place) in groups.remainder().iter().zip(out.into_remainder()) {
        *place = edges.partition_point(|edge| edge < value) as u16;
    }
    bins
}

/// A sketch as a curve: the rank at each edge, and a slope there, so that it is smooth between.
///
/// Between edges it is the monotone cubic of Fritsch & Carlson ("Monotone piecewise cubic
/// interpolation", SIAM J. Numer. Anal. 1980) with the slopes of Fritsch & Butland (1984), except
/// next to an atom, where it is straight.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    at: Vec<f64>,
    ranks: Vec<f64>,
    slopes: Vec<f64>,
    total: f64,
}

impl Curve {
    fn of(sketch: &CompactSketch) -> Curve {
        let mut at = vec![];
        let mut ranks = vec![];
        if sketch.total > 0 {
            at.push(sketch.min.next_down());
            ranks.push(0.0);
            let mut rank = 0;
            for (&edge, &count) in sketch.edges.iter().zip(&sketch.counts) {
                rank += count;
                if edge > at[at.len() - 1] {
                    at.push(edge);
                    ranks.push(rank as f64);
                }
            }
        }
        let steep: Vec<f64> = (1..at.len())
            .map(|i| {
                let width = at[i] / 2.0 - at[i - 1] / 2.0;
                if at[i - 1].next_up() >= at[i] || width <= 0.0 || !width.is_finite() {
                    0.0
                } else {
                    (ranks[i] - ranks[i - 1]) / width / 2.0
                }
            })
            .collect();
        let mut slopes = vec![0.0; at.len()];
        for i in 1..at.len().saturating_sub(1) {
            let (left, right) = (steep[i - 1], steep[i]);
            let (hl, hr) = (at[i] - at[i - 1], at[i + 1] - at[i]);
            if left > 0.0 && right > 0.0 && (hl + hr).is_finite() {
                let (a, b) = (2.0 * hr + hl, hr + 2.0 * hl);
                slopes[i] = (a + b) / (a / left + b / right);
            } else {
                slopes[i] = left.max(right);
            }
        }
        if let (Some(first), Some(last)) = (steep.first(), steep.last()) {
            slopes[0] = *first;
            let end = slopes.len() - 1;
            slopes[end] = *last;
        }
        Curve { at, ranks, slopes, total: sketch.total as f64 }
    }

    /// How many values lie at or below `x`.
    #[must_use]
    pub fn rank(&self, x: f64) -> f64 {
        let after = self.at.partition_point(|&edge| edge < x);
        if after >= self.at.len() {
            return self.total;
        }
        if self.at[after] == x {
            return self.ranks[after];
        }
        match after {
            0 => 0.0,
            _ => {
                let (width, left) = (self.at[after] - self.at[after - 1], self.at[after - 1]);
                self.between(after, if width.is_finite() { (x - left) / width } else { 0.5 })
            }
        }
    }

    /// The rank in the stretch that ends at edge `after`, at `t` of its width.
    fn between(&self, after: usize, t: f64) -> f64 {
        let (low, high) = (self.ranks[after - 1], self.ranks[after]);
        let width = self.at[after] - self.at[after - 1];
        let rise = high - low;
        if !width.is_finite() {
            return low + rise * t;
        }
        let limit = 3.0 * rise;
        let start = (self.slopes[after - 1] * width).min(limit);
        let end = (self.slopes[after] * width).min(limit);
        let (t2, t3) = (t * t, t * t * t);
        let cubic = (t3 - 2.0 * t2 + t) * start + (3.0 * t2 - 2.0 * t3) * rise + (t3 - t2) * end;
        (low + cubic).clamp(low, high)
    }

    /// The value at rank `q` (0 to 1, clamped) of all: never falls as `q` grows. `None` without
    /// values or where `q` is NaN.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if q.is_nan() || self.at.is_empty() {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * self.total;
        let after = self.ranks.partition_point(|&rank| rank < wanted).clamp(1, self.at.len() - 1);
        let (left, right) = (self.at[after - 1], self.at[after]);
        if left.next_up() >= right {
            return Some(right);
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..52 {
            let middle = (low + high) / 2.0;
            if self.between(after, middle) < wanted { low = middle } else { high = middle }
        }
        if high == 1.0 {
            return Some(right);
        }
        // What lies before the least number there is has no finite value to start from.
        let from = left.max(f64::MIN);
        let width = right - from;
        // Of two sums weighed against each other rounding could let the value fall as `high` grows.
        let value = if width.is_finite() {
            from + width * high
        } else {
            2.0 * (from / 2.0 + (right / 2.0 - from / 2.0) * high)
        };
        Some(value.clamp(left.next_up(), right))
    }
}

impl CompactSketch {
    /// The sketch in at most [`LARGEST`] bytes: count, smallest value, certified doubt, and for
    /// each edge what its bits differ in from those before, and its count. Where that were more,
    /// edges are dropped from what is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_within(LARGEST)
    }

    /// As [`CompactSketch::to_bytes`], in at most `limit` bytes (at least 256).
    #[must_use]
    pub fn to_bytes_within(&self, limit: usize) -> Vec<u8> {
        let mut kept = self.clone();
        kept.settle();
        loop {
            let bytes = kept.written();
            let edges = kept.edges.len();
            if bytes.len() <= limit.max(256) || edges <= 8 {
                return bytes;
            }
            let fewer = (edges * limit.max(256) / bytes.len()).min(edges - 1);
            kept.prune(fewer, fewer);
        }
    }

    fn written(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        let mut last = key(if self.total == 0 { 0.0 } else { self.min });
        bytes.extend(last.to_le_bytes());
        varint(self.doubts.iter().copied().max().unwrap_or(0), &mut bytes);
        varint(self.edges.len() as u64, &mut bytes);
        for (&edge, &count) in self.edges.iter().zip(&self.counts) {
            let here = key(edge);
            let (first, upto, differs) = differing(here, last);
            bytes.push((first << 4 | upto) as u8);
            bytes.extend(&differs[first..upto]);
            varint(count, &mut bytes);
            last = here;
        }
        bytes
    }

    /// Reads what [`CompactSketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// Where the bytes end early, or edges or counts are none that a sketch can have.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BrokenCompact> {
        let mut reader = Reader::of(bytes);
        if reader.byte()? != 1 {
            return Err(BrokenCompact { at: 0 });
        }
        let mut last = u64::from_le_bytes(reader.take(8)?.try_into().unwrap_or_default());
        let min = unkey(last);
        let doubt = reader.varint()?;
        let edges = reader.varint()?;
        if edges > EDGES as u64 || !min.is_finite() {
            return Err(BrokenCompact { at: reader.at });
        }
        let mut sketch = CompactSketch::default();
        for _ in 0..edges {
            let head = reader.byte()?;
            last = reader.key(usize::from(head >> 4), usize::from(head & 15), last)?;
            let (edge, count) = (unkey(last), reader.varint()?);
            let follows = sketch.edges.last().map_or(edge >= min, |&before| before < edge);
            let total = sketch.total.checked_add(count);
            let (true, true, Some(total)) = (follows, edge.is_finite(), total) else {
                return Err(BrokenCompact { at: reader.at });
            };
            sketch.edges.push(edge);
            sketch.counts.push(count);
            sketch.doubts.push(doubt.min(total));
            sketch.total = total;
        }
        if (sketch.total == 0) != sketch.edges.is_empty() || !reader.is_done() {
            return Err(BrokenCompact { at: reader.at });
        }
        if sketch.total > 0 {
            sketch.min = min;
        }
        Ok(sketch)
    }
}

/// Why stored bytes are no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sketch is broken at byte {at}: write the profile again")]
pub struct BrokenCompact {
    /// Where, in bytes from its start.
    pub at: usize,
}

impl From<Broken> for BrokenCompact {
    fn from(Broken(at): Broken) -> Self {
        BrokenCompact { at }
    }
}

impl From<CompactSketch> for String {
    fn from(sketch: CompactSketch) -> String {
        letters::encode(&sketch.to_bytes())
    }
}

impl TryFrom<String> for CompactSketch {
    type Error = BrokenCompact;

    fn try_from(text: String) -> Result<Self, BrokenCompact> {
        if text.len() > LARGEST.div_ceil(3) * 4 {
            return Err(BrokenCompact { at: LARGEST });
        }
        let bytes = letters::decode(&text).map_err(|at| BrokenCompact { at })?;
        CompactSketch::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch_of(values: &[f64]) -> CompactSketch {
        let mut sketch = CompactSketch::default();
        sketch.extend(values);
        sketch.settle();
        sketch
    }

    /// Multiples of the golden ratio fill 0 to 1 evenly, in no order.
    fn spread(count: u32) -> Vec<f64> {
        (0..count).map(|i| (f64::from(i) * 0.618_033_988_749_894_9).fract()).collect()
    }

    fn worst(sketch: &CompactSketch, mut truth: Vec<f64>) -> f64 {
        truth.sort_unstable_by(f64::total_cmp);
        let (curve, n) = (sketch.curve(), truth.len() as f64);
        let rank = |x: f64| truth.partition_point(|&v| v <= x) as f64 / n;
        truth
            .iter()
            .step_by(truth.len() / 2_000 + 1)
            .map(|&x| (curve.rank(x) / n - rank(x)).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn ranks_are_near_whatever_the_distribution_and_order() {
        let check = |kind: &str, values: Vec<f64>| {
            let error = worst(&sketch_of(&values), values);
            assert!(error < 5e-4, "{kind}: {error}");
        };
        let even = spread(200_000);
        check("pareto", even.iter().map(|u| (1.0 - u).powf(-0.7)).collect());
        check("ascending", (0..200_000).map(f64::from).collect());
        check("descending", (0..200_000).map(|i| -f64::from(i)).collect());
        check("uniform", even);
    }

    #[test]
    fn shards_merge_to_the_whole() {
        let values = spread(200_000);
        let mut merged = CompactSketch::default();
        values.chunks(1_000).for_each(|shard| merged.merge(&sketch_of(shard)));
        assert_eq!(merged.count(), 200_000);
        let error = worst(&merged, values);
        assert!(error < 5e-4, "{error}");
    }

    #[test]
    fn an_atom_keeps_its_weight() {
        let values: Vec<f64> =
            spread(90_000).into_iter().map(|u| if u < 0.7 { 0.0 } else { u - 0.69 }).collect();
        let sketch = sketch_of(&values);
        let zeros = values.iter().filter(|v| **v == 0.0).count() as u64;
        assert_eq!(sketch.atoms().first(), Some(&(0.0, zeros)));
        assert_eq!(sketch.quantile(0.5), Some(0.0));
    }

    #[test]
    fn a_constant_is_one_atom_and_nothing_is_known_of_nothing() {
        let sketch = sketch_of(&[7.0; 9_000]);
        assert_eq!(sketch.atoms(), [(7.0, 9_000)]);
        assert_eq!((sketch.cdf(6.9), sketch.cdf(7.0)), (Some(0.0), Some(1.0)));
        assert_eq!((sketch.quantile(0.1), sketch.certified_error()), (Some(7.0), 0.0));
        let empty = CompactSketch::default();
        assert_eq!((empty.cdf(1.0), empty.quantile(0.5), empty.min()), (None, None, None));
    }

    #[test]
    fn what_is_not_finite_stays_out() {
        let mut sketch = CompactSketch::default();
        assert_eq!(sketch.extend(&[f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY]), 1);
        assert!(!sketch.insert(f64::NAN));
        assert_eq!((sketch.count(), sketch.max()), (1, Some(1.0)));
    }

    #[test]
    fn the_least_number_there_is_is_a_value_like_any_other() {
        let mut sketch = CompactSketch::default();
        let mut values = [0.0; 10];
        values[4] = f64::MIN;
        sketch.extend(&values);
        sketch.settle();
        let told: Vec<f64> =
            (0..=200).map(|step| sketch.quantile(f64::from(step) / 200.0).unwrap()).collect();
        assert!(told.windows(2).all(|pair| pair[0] <= pair[1]), "{told:?}");
        assert_eq!(told[200], 0.0);
        assert!(told[0] < -1e308, "{told:?}");
    }

    #[test]
    fn sorted_blocks_are_as_near() {
        let values = spread(200_000);
        let mut sketch = CompactSketch::default();
        for block in values.chunks(10_000) {
            let mut block = block.to_vec();
            block.sort_unstable_by(f64::total_cmp);
            sketch.extend_sorted(&block);
        }
        assert_eq!(sketch.count(), 200_000);
        let error = worst(&sketch, values);
        assert!(error < 5e-4, "{error}");
    }

    #[test]
    fn a_broken_sketch_is_refused() {
        let bytes = sketch_of(&spread(9_000)).to_bytes();
        for cut in [0, 1, 5, 20, bytes.len() - 1] {
            assert!(CompactSketch::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(serde_json::from_str::<CompactSketch>(r#""?""#).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

        #[test]
        fn any_values_give_monotone_answers_that_survive_storage_within_the_certified_error(
            blocks in prop::collection::vec(prop::collection::vec(prop_oneof![
                (-9i32..9).prop_map(f64::from),
                -1e3..1e3f64,
                prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(-0.0), Just(5e-324)],
            ], 1..900), 1..6),
            apart in any::<bool>(),
        ) {
            let mut sketch = CompactSketch::default();
            for block in &blocks {
                if apart { sketch.merge(&sketch_of(block)) } else { sketch.extend(block); sketch.settle() }
            }
            let mut truth = blocks.concat();
            truth.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(sketch.count(), truth.len() as u64);
            prop_assert_eq!((sketch.min(), sketch.max()), (truth.first().map(|v| v + 0.0), truth.last().copied()));
            let (mut value, mut rank) = (f64::NEG_INFINITY, 0.0);
            for step in 0..=200 {
                let next = sketch.quantile(f64::from(step) / 200.0).unwrap();
                prop_assert!(next >= value, "{} after {}", next, value);
                value = next;
            }
            let curve = sketch.curve();
            let error = sketch.certified_error() * truth.len() as f64;
            for &x in &truth {
                let next = curve.rank(x);
                prop_assert!(next >= rank);
                rank = next;
                let real = truth.partition_point(|&v| v <= x) as f64;
                prop_assert!((real - next).abs() <= error + 2.0 * blocks.len() as f64, "{} {} {}", real, next, error);
            }
            let bytes = sketch.to_bytes();
            prop_assert!(bytes.len() <= LARGEST);
            let read = CompactSketch::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read.count(), sketch.count());
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
