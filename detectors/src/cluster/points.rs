//! Points in a k-d tree: who is near whom. It does not know what a cluster is.
//!
//! Bentley, "Multidimensional binary search trees", CACM 1975, halved at the median of the widest
//! side down to small buckets, each node with its bounding box. Points are kept in the order of
//! the tree, so that a bucket is one stretch of memory. Distances are Euclidean and squared, summed
//! over features in order, as scikit-learn sums them.

/// Points of a bucket at most.
const BUCKET: usize = 16;

/// A node: a stretch of points, and its right child (the left one follows at once), or 0.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) right: u32,
}

/// A k-d tree over finite points of one width.
#[derive(Debug, Clone)]
pub(super) struct Points {
    pub(super) features: usize,
    pub(super) nodes: Vec<Node>,
    /// For each node the lower corner, then the upper.
    boxes: Vec<f64>,
    values: Vec<f64>,
    /// Which point of the caller's stands at each place.
    pub(super) original: Vec<u32>,
}

/// Squared distance, summed in the order of features.
pub(super) fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

impl Points {
    /// A tree over `rows`, which must be finite and of `features` values each.
    pub(super) fn new(rows: &[&[f64]], features: usize) -> Self {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let mut tree =
            Points { features, nodes: vec![], boxes: vec![], values: vec![], original: vec![] };
        if !rows.is_empty() {
            tree.build(rows, &mut order, 0);
        }
        tree.values = order.iter().flat_map(|&at| rows[at as usize]).copied().collect();
        tree.original = order;
        tree
    }

    fn build(&mut self, rows: &[&[f64]], order: &mut [u32], begin: usize) {
        let place = self.nodes.len();
        let end = begin + order.len();
        self.nodes.push(Node { begin: begin as u32, end: end as u32, right: 0 });
        let start = self.boxes.len();
        self.boxes.resize(start + self.features, f64::INFINITY);
        self.boxes.resize(start + 2 * self.features, f64::NEG_INFINITY);
        let (low, high) = self.boxes[start..].split_at_mut(self.features);
        for &at in order.iter() {
            for ((low, high), &value) in low.iter_mut().zip(&mut *high).zip(rows[at as usize]) {
                *low = low.min(value);
                *high = high.max(value);
            }
        }
        let widest =
            (0..self.features).max_by(|&a, &b| (high[a] - low[a]).total_cmp(&(high[b] - low[b])));
        let Some(widest) = widest.filter(|&side| order.len() > BUCKET && low[side] < high[side])
        else {
            return;
        };
        let middle = order.len() / 2;
        order.select_nth_unstable_by(middle, |&a, &b| {
            rows[a as usize][widest].total_cmp(&rows[b as usize][widest]).then(a.cmp(&b))
        });
        let (left, right) = order.split_at_mut(middle);
        self.build(rows, left, begin);
        self.nodes[place].right = self.nodes.len() as u32;
        self.build(rows, right, begin + middle);
    }

    pub(super) fn len(&self) -> usize {
        self.original.len()
    }

    /// The point at a place of the tree.
    pub(super) fn at(&self, place: usize) -> &[f64] {
        &self.values[place * self.features..(place + 1) * self.features]
    }

    /// The least squared distance from a point to the box of a node.
    pub(super) fn to_box(&self, node: usize, point: &[f64]) -> f64 {
        let start = node * 2 * self.features;
        let (low, high) = self.boxes[start..start + 2 * self.features].split_at(self.features);
        let mut sum = 0.0;
        for ((low, high), value) in low.iter().zip(high).zip(point) {
            let out = (low - value).max(value - high).max(0.0);
            sum += out * out;
        }
        sum
    }

    /// Calls `found` with the place and squared distance of each point within a squared radius,
    /// the radius included.
    pub(super) fn within(&self, point: &[f64], radius: f64, mut found: impl FnMut(usize, f64)) {
        let mut waiting = vec![0];
        if self.nodes.is_empty() {
            return;
        }
        while let Some(place) = waiting.pop() {
            // A box is computed with other roundings than a distance: a hair of slack.
            if self.to_box(place, point) > radius * (1.0 + 1e-12) {
                continue;
            }
            let node = &self.nodes[place];
            if node.right != 0 {
                waiting.extend([node.right as usize, place + 1]);
                continue;
            }
            for at in node.begin as usize..node.end as usize {
                let distance = squared(point, self.at(at));
                if distance <= radius {
                    found(at, distance);
                }
            }
        }
    }

    /// The nearest `count` points as (squared distance, place), nearest first; a point of the tree
    /// finds itself.
    pub(super) fn nearest(&self, point: &[f64], count: usize) -> Vec<(f64, usize)> {
        let mut best: Vec<(f64, usize)> = Vec::with_capacity(count + 1);
        let mut waiting = vec![(0.0, 0)];
        if self.nodes.is_empty() || count == 0 {
            return best;
        }
        while let Some((bound, place)) = waiting.pop() {
            let full = best.len() == count;
            if full && bound > best[count - 1].0 {
                continue;
            }
            let node = &self.nodes[place];
            if node.right != 0 {
                let (left, right) = (place + 1, node.right as usize);
                let (to_left, to_right) = (self.to_box(left, point), self.to_box(right, point));
                let mut pair = [(to_left, left), (to_right, right)];
                if to_left < to_right {
                    pair.swap(0, 1);
                }
                waiting.extend(pair);
                continue;
            }
            for at in node.begin as usize..node.end as usize {
                let distance = squared(point, self.at(at));
                if best.len() == count && distance >= best[count - 1].0 {
                    continue;
                }
                let rank = best.partition_point(|near| near.0 <= distance);
                best.insert(rank, (distance, at));
                best.truncate(count);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    #[test]
    fn finds_what_a_search_of_all_points_finds() {
        let mut random = Random::seeded(1);
        let rows: Vec<Vec<f64>> =
            (0..500).map(|_| (0..3).map(|_| (random.unit() * 20.0).floor()).collect()).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let tree = Points::new(&rows, 3);
        for &row in rows.iter().take(60) {
            let mut all: Vec<f64> = rows.iter().map(|other| squared(row, other)).collect();
            all.sort_by(f64::total_cmp);
            let nearest: Vec<f64> = tree.nearest(row, 7).iter().map(|near| near.0).collect();
            assert_eq!(nearest, all[..7]);
            let mut within = 0;
            tree.within(row, 9.0, |_, _| within += 1);
            assert_eq!(within, all.iter().filter(|&&distance| distance <= 9.0).count());
        }
    }
}
