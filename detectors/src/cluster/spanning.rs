//! The minimum spanning tree of mutual reachability: the distance of two points is the largest of
//! their own distance and of both core distances. It does not know what is cut from the tree.
//!
//! Two ways to one result. Small sets: Prim's algorithm (1957) in the very order of scikit-learn,
//! because where weights are equal, and with core distances many are, the order decides which of
//! several minimum trees comes out. Large sets: Borůvka's algorithm (1926) on a k-d tree, after
//! March, Ram & Gray, "Fast Euclidean minimum spanning tree", KDD 2010, put in Prim's order afterwards.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::points::{Points, squared};

/// Features × pairs of points up to which Prim's way is taken: a third of a second.
const SMALL: usize = 1 << 28;
/// Neighbours that are remembered as candidates for edges.
const CANDIDATES: usize = 8;

/// An edge of the tree; points by their places among the caller's rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Not squared.
    pub(super) weight: f64,
}

/// The distance of each row from its `least`-th neighbour, itself the first; and the edges of the
/// tree, lightest first.
pub(super) fn tree(rows: &[&[f64]], features: usize, least: usize) -> (Vec<f64>, Vec<Edge>) {
    let points = Points::new(rows, features);
    let count = rows.len();
    let wanted = least.max(CANDIDATES + 1).min(count);
    let least = least.clamp(1, count.max(1));
    // In the order of the k-d tree, so that neighbours in space are neighbours in memory.
    let near: Vec<Vec<(f64, usize)>> =
        (0..count).map(|place| points.nearest(points.at(place), wanted)).collect();
    let squared_cores: Vec<f64> = near.iter().map(|near| near[least - 1].0).collect();
    let mut cores = vec![0.0; count];
    for (place, core) in squared_cores.iter().enumerate() {
        cores[points.original[place] as usize] = core.sqrt();
    }
    let mut edges = if count * count * features.max(1) <= SMALL {
        prim(rows, &cores)
    } else {
        in_order_of_prim(count, &boruvka(&points, &squared_cores, &near))
    };
    edges.sort_by(|a, b| a.weight.total_cmp(&b.weight));
    (cores, edges)
}

/// Prim's algorithm over all pairs, from the first row.
fn prim(rows: &[&[f64]], cores: &[f64]) -> Vec<Edge> {
    let count = rows.len();
    let mut outside: Vec<usize> = (1..count).collect();
    let mut reach = vec![(f64::INFINITY, 0); count];
    let (mut edges, mut current) = (vec![], 0);
    while !outside.is_empty() {
        let mut nearest = (f64::INFINITY, 0);
        for (at, &row) in outside.iter().enumerate() {
            let apart = squared(rows[current], rows[row]).sqrt();
            let weight = apart.max(cores[current]).max(cores[row]);
            if weight < reach[row].0 {
                reach[row] = (weight, current);
            }
            if reach[row].0 < nearest.0 {
                nearest = (reach[row].0, at);
            }
        }
        // `remove` keeps the order of the rest, which ties depend on.
        let row = outside.remove(nearest.1);
        let (weight, from) = reach[row];
        edges.push(Edge { from: from as u32, to: row as u32, weight });
        current = row;
    }
    edges
}

/// Components of a forest that grows.
pub(super) struct Components {
    parent: Vec<u32>,
}

impl Components {
    pub(super) fn new(count: usize) -> Self {
        Components { parent: (0..count as u32).collect() }
    }

    pub(super) fn of(&mut self, mut at: usize) -> usize {
        while self.parent[at] as usize != at {
            let above = self.parent[at] as usize;
            self.parent[at] = self.parent[above];
            at = above;
        }
        at
    }

    /// Joins two components under the second; says whether they were two.
    pub(super) fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.of(a), self.of(b));
        self.parent[a] = b as u32;
        a != b
    }
}

/// What a point knows of the nearest point outside its component: nothing there is nearer than
/// `bound`, and `point` was that near when last seen.
#[derive(Clone, Copy)]
struct Known {
    bound: f64,
    point: usize,
}

const NOBODY: usize = usize::MAX;

/// Borůvka's algorithm; weights squared, points by their places in the k-d tree.
fn boruvka(points: &Points, cores: &[f64], near: &[Vec<(f64, usize)>]) -> Vec<Edge> {
    let count = points.len();
    let mut components = Components::new(count);
    let mut known = vec![Known { bound: 0.0, point: NOBODY }; count];
    let least_core = least_below(points, cores);
    let mut edges = Vec::with_capacity(count.saturating_sub(1));
    // Points with small cores first: they find light edges, and a light edge spares the others.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| cores[a].total_cmp(&cores[b]));
    while edges.len() + 1 < count {
        let labels: Vec<u32> = (0..count).map(|place| components.of(place) as u32).collect();
        let uniform = uniform(points, &labels);
        let mut best = vec![(f64::INFINITY, NOBODY, NOBODY); count];
        // What is known already, and neighbours on the list, cost nothing.
        for &place in &order {
            let own = labels[place] as usize;
            let mine = known[place];
            let still = mine.point != NOBODY && labels[mine.point] as usize != own;
            if !still {
                known[place].point = NOBODY;
                let foreign = near[place]
                    .iter()
                    .filter(|&&(_, other)| labels[other] as usize != own)
                    .map(|&(apart, other)| (apart.max(cores[place]).max(cores[other]), other))
                    .min_by(|a, b| a.0.total_cmp(&b.0));
                if let Some((weight, other)) = foreign
                    && weight < best[own].0
                {
                    best[own] = (weight, place, other);
                }
            } else if mine.bound < best[own].0 {
                best[own] = (mine.bound, place, mine.point);
            }
        }
        for &place in &order {
            let own = labels[place] as usize;
            let limit = best[own].0;
            if known[place].point != NOBODY || known[place].bound.max(cores[place]) >= limit {
                continue;
            }
            let (weight, other) =
                nearest_foreign(points, cores, &least_core, &labels, &uniform, place, limit);
            known[place] = Known { bound: weight, point: other };
            if other != NOBODY {
                best[own] = (weight, place, other);
            }
        }
        for &(weight, from, to) in best.iter().filter(|edge| edge.1 != NOBODY) {
            if components.join(from, to) {
                let (from, to) = (points.original[from], points.original[to]);
                edges.push(Edge { from, to, weight: weight.sqrt() });
            }
        }
    }
    edges
}

/// The least core distance below each node.
fn least_below(points: &Points, cores: &[f64]) -> Vec<f64> {
    points
        .nodes
        .iter()
        .map(|node| {
            cores[node.begin as usize..node.end as usize]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min)
        })
        .collect()
}

/// The component that all points of a node belong to, or `None`.
fn uniform(points: &Points, labels: &[u32]) -> Vec<Option<u32>> {
    let mut uniform = vec![None; points.nodes.len()];
    // Children come behind their parent.
    for (place, node) in points.nodes.iter().enumerate().rev() {
        uniform[place] = if node.right == 0 {
            let labels = &labels[node.begin as usize..node.end as usize];
            labels.iter().all(|&label| label == labels[0]).then_some(labels[0])
        } else {
            uniform[place + 1].filter(|_| uniform[place + 1] == uniform[node.right as usize])
        };
    }
    uniform
}

/// The point of another component that is nearest by mutual reachability, if nearer than `limit`;
/// otherwise the limit and nobody.
fn nearest_foreign(
    points: &Points,
    cores: &[f64],
    least_core: &[f64],
    labels: &[u32],
    uniform: &[Option<u32>],
    place: usize,
    limit: f64,
) -> (f64, usize) {
    let (own, point, core) = (labels[place], points.at(place), cores[place]);
    let mut best = (limit, NOBODY);
    let mut waiting = vec![(0.0, 0)];
    while let Some((bound, node)) = waiting.pop() {
        if bound >= best.0 || uniform[node] == Some(own) {
            continue;
        }
        let Some(right) = Some(points.nodes[node].right as usize).filter(|&right| right != 0)
        else {
            for other in points.nodes[node].begin as usize..points.nodes[node].end as usize {
                if labels[other] != own && cores[other] < best.0 {
                    let weight = squared(point, points.at(other)).max(core).max(cores[other]);
                    if weight < best.0 {
                        best = (weight, other);
                    }
                }
            }
            continue;
        };
        let mut pair = [node + 1, right].map(|child| {
            // A box is computed with other roundings than a distance: a hair of slack.
            (points.to_box(child, point) * (1.0 - 1e-12), child)
        });
        if pair[0].0 < pair[1].0 {
            pair.swap(0, 1);
        }
        waiting.extend(pair.map(|(bound, child)| (bound.max(least_core[child]), child)));
    }
    best
}

/// A reachable edge; the heap gives the lightest first, among equals the lowest row.
struct Reachable(Edge);

impl PartialEq for Reachable {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Reachable {}

impl PartialOrd for Reachable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reachable {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.weight.total_cmp(&self.0.weight).then(other.0.to.cmp(&self.0.to))
    }
}

/// The edges of a spanning tree in the order in which Prim's algorithm would take them.
fn in_order_of_prim(count: usize, edges: &[Edge]) -> Vec<Edge> {
    let mut links: Vec<Vec<Edge>> = vec![vec![]; count];
    for &Edge { from, to, weight } in edges {
        links[from as usize].push(Edge { from, to, weight });
        links[to as usize].push(Edge { from: to, to: from, weight });
    }
    let mut heap = BinaryHeap::new();
    let mut ordered = Vec::with_capacity(edges.len());
    let mut inside = vec![false; count];
    let mut current = 0;
    loop {
        inside[current] = true;
        heap.extend(
            links[current].iter().filter(|edge| !inside[edge.to as usize]).copied().map(Reachable),
        );
        let Some(Reachable(edge)) = heap.pop() else { return ordered };
        ordered.push(edge);
        current = edge.to as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn cloud(count: usize, grid: bool, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::seeded(seed);
        let mut value = |centre: f64| {
            let value = centre + random.unit() * 4.0;
            if grid { value.floor() } else { value }
        };
        (0..count).map(|at| (0..3).map(|_| value((at % 4) as f64 * 3.0)).collect()).collect()
    }

    #[test]
    fn both_ways_lead_to_trees_of_the_same_weights() {
        for (grid, seed) in [(false, 1), (true, 2), (false, 3)] {
            let rows = cloud(700, grid, seed);
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let points = Points::new(&rows, 3);
            let near: Vec<_> =
                (0..rows.len()).map(|place| points.nearest(points.at(place), 9)).collect();
            let squared_cores: Vec<f64> = near.iter().map(|near| near[4].0).collect();
            let (_, small) = tree(&rows, 3, 5);
            let large = boruvka(&points, &squared_cores, &near);
            let mut large = in_order_of_prim(rows.len(), &large);
            large.sort_by(|a, b| a.weight.total_cmp(&b.weight));
            let weights = |edges: &[Edge]| edges.iter().map(|edge| edge.weight).collect::<Vec<_>>();
            assert_eq!(weights(&small), weights(&large));
        }
    }

    #[test]
    fn four_points_by_hand() {
        let rows: [&[f64]; 4] = [&[0.0], &[1.0], &[3.0], &[7.0]];
        let (cores, edges) = tree(&rows, 1, 2);
        assert_eq!(cores, [1.0, 1.0, 2.0, 4.0]);
        assert_eq!(edges.iter().map(|edge| edge.weight).collect::<Vec<_>>(), [1.0, 2.0, 4.0]);
    }
}
