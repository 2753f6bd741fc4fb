//! One random cut tree over a sample of points: insert, remove, score, attribute. It does not
//! know which points it should hold, nor how many trees stand beside it.
//!
//! Guha, Mishra, Roy & Schrijvers, "Robust Random Cut Forest Based Anomaly Detection on Streams",
//! ICML 2016. A cut picks a feature with probability proportional to the side of the bounding
//! box, then a place uniformly on that side; inserting and removing keep that law exactly. The
//! score is the expected inverse depth at which a point would be cut off, as in AWS's library.
//!
//! Nodes, leaves and boxes lie in flat arrays with 16-bit links, so that a walk touches few cache
//! lines. Boxes are padded to whole lanes: four numbers at once, which every x86-64 and ARM can do.

use serde::{Deserialize, Serialize};

use super::random::Random;

/// Numbers that are worked on together; boxes and points are padded to a multiple.
const LANES: usize = 4;
/// A link that leads nowhere.
const NONE: u16 = u16::MAX;
/// The bit that tells a link to a leaf from one to an inner node.
const LEAF: u16 = 1 << 15;
/// Points that a tree may hold: links have fifteen bits, and one value means nowhere.
pub(super) const MOST_POINTS: usize = 1 << 14;

/// An inner node: values up to `cut` go left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    cut: f32,
    feature: u16,
    below: [u16; 2],
    parent: u16,
    mass: u16,
}

/// A distinct point and how often it is held. A mass of 0 marks a free place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Leaf {
    parent: u16,
    mass: u16,
}

/// A tree as it is written: boxes follow from points and links, so they are left out.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    features: usize,
    root: u16,
    nodes: Vec<Node>,
    leaves: Vec<Leaf>,
    points: Vec<f32>,
    free_nodes: Vec<u16>,
    free_leaves: Vec<u16>,
}

/// A random cut tree. Points are padded by [`padded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(super) struct Tree {
    features: usize,
    stride: usize,
    root: u16,
    nodes: Vec<Node>,
    /// Sum of the sides of each node's box.
    spreads: Vec<f32>,
    /// For each node the lower corner, then the upper.
    boxes: Vec<f32>,
    leaves: Vec<Leaf>,
    points: Vec<f32>,
    free_nodes: Vec<u16>,
    free_leaves: Vec<u16>,
}

/// The length of a point of so many features with its padding.
pub(super) fn padded(features: usize) -> usize {
    features.div_ceil(LANES) * LANES
}

/// How far `point` lies outside the box, summed over features; 0 inside. A NaN lies inside.
fn extension(low: &[f32], high: &[f32], point: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let low = low.as_chunks::<LANES>().0;
    let high = high.as_chunks::<LANES>().0;
    let point = point.as_chunks::<LANES>().0;
    for ((low, high), point) in low.iter().zip(high).zip(point) {
        for lane in 0..LANES {
            let (under, over) = outside(low[lane], high[lane], point[lane]);
            lanes[lane] += under + over;
        }
    }
    sum(lanes)
}

/// How far a value lies below and above a side. A comparison with NaN is false.
#[inline(always)]
fn outside(low: f32, high: f32, value: f32) -> (f32, f32) {
    let (under, over) = (low - value, value - high);
    (if under > 0.0 { under } else { 0.0 }, if over > 0.0 { over } else { 0.0 })
}

/// The sum of the sides of a box.
fn spread(corners: &[f32]) -> f32 {
    let (low, high) = corners.split_at(corners.len() / 2);
    let mut lanes = [0f32; LANES];
    for (low, high) in low.as_chunks::<LANES>().0.iter().zip(high.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            lanes[lane] += high[lane] - low[lane];
        }
    }
    sum(lanes)
}

fn sum(l: [f32; LANES]) -> f32 {
    (l[0] + l[2]) + (l[1] + l[3])
}

/// The score of a point that is cut off at this depth.
fn unseen(depth: u32) -> f64 {
    1.0 / f64::from(depth + 1)
}

impl Tree {
    /// A tree for up to `capacity` points of so many features.
    pub(super) fn new(features: usize, capacity: usize) -> Self {
        let stride = padded(features);
        let inner = capacity.saturating_sub(1);
        let node = Node { cut: 0.0, feature: 0, below: [NONE; 2], parent: NONE, mass: 0 };
        Tree {
            features,
            stride,
            root: NONE,
            nodes: vec![node; inner],
            spreads: vec![0.0; inner],
            boxes: vec![0.0; inner * 2 * stride],
            leaves: vec![Leaf { parent: NONE, mass: 0 }; capacity],
            points: vec![0.0; capacity * stride],
            free_nodes: (0..inner as u16).rev().collect(),
            free_leaves: (0..capacity as u16).rev().collect(),
        }
    }

    /// Points held, counted as often as they were inserted.
    pub(super) fn mass(&self) -> u32 {
        match self.root {
            NONE => 0,
            root => u32::from(self.mass_of(root)),
        }
    }

    fn mass_of(&self, link: u16) -> u16 {
        if link & LEAF != 0 {
            self.leaves[usize::from(link & !LEAF)].mass
        } else {
            self.nodes[usize::from(link)].mass
        }
    }

    fn point(&self, leaf: u16) -> &[f32] {
        let start = usize::from(leaf) * self.stride;
        &self.points[start..start + self.stride]
    }

    /// Lower and upper corner of what lies below a link.
    fn corners(&self, link: u16) -> (&[f32], &[f32]) {
        if link & LEAF != 0 {
            let point = self.point(link & !LEAF);
            return (point, point);
        }
        let start = usize::from(link) * 2 * self.stride;
        self.boxes[start..start + 2 * self.stride].split_at(self.stride)
    }

    fn child(&self, node: &Node, point: &[f32]) -> u16 {
        let value = point[usize::from(node.feature)];
        if value.is_nan() {
            // A missing value goes where most points are.
            let heavier = self.mass_of(node.below[1]) > self.mass_of(node.below[0]);
            return node.below[usize::from(heavier)];
        }
        // An index, not a branch: nobody can predict which way it would go.
        node.below[usize::from(value > node.cut)]
    }

    /// Puts a point in, and says which leaf holds it. There must be room for it, and every value
    /// must be finite.
    pub(super) fn insert(&mut self, point: &[f32], random: &mut Random) -> u16 {
        let mut link = self.root;
        if link == NONE {
            let leaf = self.new_leaf(point, NONE);
            self.root = LEAF | leaf;
            return leaf;
        }
        loop {
            let (low, high) = self.corners(link);
            let beyond = extension(low, high, point);
            if link & LEAF != 0 {
                if beyond == 0.0 && low[..self.features] == point[..self.features] {
                    let leaf = link & !LEAF;
                    self.leaves[usize::from(leaf)].mass += 1;
                    return leaf;
                }
                return self.split(link, beyond, point, random);
            }
            let place = usize::from(link);
            if beyond > 0.0 {
                let all = f64::from(self.spreads[place]) + f64::from(beyond);
                if random.unit() * all < f64::from(beyond) {
                    return self.split(link, beyond, point, random);
                }
                self.stretch(place, point);
            }
            self.nodes[place].mass += 1;
            link = self.child(&self.nodes[place], point);
        }
    }

    /// Enlarges the box of a node so that it holds the point.
    fn stretch(&mut self, place: usize, point: &[f32]) {
        let start = place * 2 * self.stride;
        let corners = &mut self.boxes[start..start + 2 * self.stride];
        let (low, high) = corners.split_at_mut(self.stride);
        for ((low, high), &value) in low.iter_mut().zip(high).zip(point) {
            *low = low.min(value);
            *high = high.max(value);
        }
        self.spreads[place] = spread(corners);
    }

    /// Cuts the point off from all that lies below a link: a new node takes the link's place.
    fn split(&mut self, link: u16, beyond: f32, point: &[f32], random: &mut Random) -> u16 {
        let (low, high) = self.corners(link);
        let mut left_over = random.unit() * f64::from(beyond);
        let mut chosen = (0, 0.0, 0.0);
        for feature in 0..self.features {
            let (under, over) = outside(low[feature], high[feature], point[feature]);
            let length = under + over;
            if length > 0.0 {
                chosen = if under > 0.0 {
                    (feature, point[feature], low[feature])
                } else {
                    (feature, high[feature], point[feature])
                };
                left_over -= f64::from(length);
                if left_over < 0.0 {
                    break;
                }
            }
        }
        let (feature, from, to) = chosen;
        let cut = (f64::from(from) + random.unit() * (f64::from(to) - f64::from(from))) as f32;
        // Rounding may reach the far end, which would not separate.
        let cut = if cut < to { cut } else { from };

        let parent = self.parent_of(link);
        let node = self.free_nodes.pop().expect("one node fewer than points");
        let leaf = self.new_leaf(point, node);
        let below = if point[feature] <= cut { [LEAF | leaf, link] } else { [link, LEAF | leaf] };
        let mass = self.mass_of(link) + 1;
        let feature = feature as u16;
        self.nodes[usize::from(node)] = Node { cut, feature, below, parent, mass };
        self.join(node);
        self.set_parent(link, node);
        self.replace_child(parent, link, node);
        leaf
    }

    /// Takes a point out of the leaf that holds it.
    pub(super) fn remove(&mut self, leaf: u16) {
        let held = &mut self.leaves[usize::from(leaf)];
        held.mass -= 1;
        let mut above = held.parent;
        if held.mass == 0 {
            self.free_leaves.push(leaf);
            if above == NONE {
                self.root = NONE;
                return;
            }
            let node = &self.nodes[usize::from(above)];
            let (gone, parent) = (above, node.parent);
            let sibling = node.below[usize::from(node.below[0] == LEAF | leaf)];
            self.set_parent(sibling, parent);
            self.replace_child(parent, gone, sibling);
            self.free_nodes.push(gone);
            above = parent;
            // A box that stays as it was leaves all above it as they were.
            while above != NONE {
                self.nodes[usize::from(above)].mass -= 1;
                let next = self.nodes[usize::from(above)].parent;
                let changed = self.join(above);
                above = next;
                if !changed {
                    break;
                }
            }
        }
        while above != NONE {
            let node = &mut self.nodes[usize::from(above)];
            node.mass -= 1;
            above = node.parent;
        }
    }

    /// Makes the box of a node from those of its children; says whether it changed.
    fn join(&mut self, link: u16) -> bool {
        let node = &self.nodes[usize::from(link)];
        let [left, right] = node.below;
        let mut changed = false;
        let start = usize::from(link) * 2 * self.stride;
        let mut own = std::mem::take(&mut self.boxes);
        {
            let corner_of = |child: u16, upper: usize| {
                if child & LEAF != 0 {
                    usize::from(child & !LEAF) * self.stride
                } else {
                    (usize::from(child) * 2 + upper) * self.stride
                }
            };
            for upper in 0..2 {
                let (from_left, from_right) = (corner_of(left, upper), corner_of(right, upper));
                for feature in 0..self.stride {
                    let value = |child: u16, from: usize| {
                        if child & LEAF != 0 {
                            self.points[from + feature]
                        } else {
                            own[from + feature]
                        }
                    };
                    let (a, b) = (value(left, from_left), value(right, from_right));
                    let joined = if upper == 0 { a.min(b) } else { a.max(b) };
                    let place = start + upper * self.stride + feature;
                    changed |= own[place].to_bits() != joined.to_bits();
                    own[place] = joined;
                }
            }
        }
        self.spreads[usize::from(link)] = spread(&own[start..start + 2 * self.stride]);
        self.boxes = own;
        changed
    }

    fn new_leaf(&mut self, point: &[f32], parent: u16) -> u16 {
        let leaf = self.free_leaves.pop().expect("the sample has room");
        let start = usize::from(leaf) * self.stride;
        self.points[start..start + self.stride].copy_from_slice(point);
        self.leaves[usize::from(leaf)] = Leaf { parent, mass: 1 };
        leaf
    }

    fn parent_of(&self, link: u16) -> u16 {
        if link & LEAF != 0 {
            self.leaves[usize::from(link & !LEAF)].parent
        } else {
            self.nodes[usize::from(link)].parent
        }
    }

    fn set_parent(&mut self, link: u16, parent: u16) {
        if link & LEAF != 0 {
            self.leaves[usize::from(link & !LEAF)].parent = parent;
        } else {
            self.nodes[usize::from(link)].parent = parent;
        }
    }

    fn replace_child(&mut self, parent: u16, was: u16, now: u16) {
        if parent == NONE {
            self.root = now;
            return;
        }
        let node = &mut self.nodes[usize::from(parent)];
        node.below[usize::from(node.below[0] != was)] = now;
    }

    /// The leaf that the cuts lead to, and its depth. The tree must not be empty.
    fn descend(&self, point: &[f32]) -> (u16, u32) {
        let (mut link, mut depth) = (self.root, 0);
        while link & LEAF == 0 {
            link = self.child(&self.nodes[usize::from(link)], point);
            depth += 1;
        }
        (link & !LEAF, depth)
    }

    /// The score of a point that a leaf holds already.
    fn seen(&self, leaf: u16, depth: u32) -> f64 {
        let mass = f64::from(self.leaves[usize::from(leaf)].mass);
        let damp = 1.0 - mass / (2.0 * f64::from(self.mass()));
        damp / (f64::from(depth) + (mass + 1.0).log2())
    }

    /// What every score of this tree is multiplied by: log₂(mass + 1).
    fn unit(&self) -> f64 {
        f64::from(self.mass() + 1).log2()
    }

    /// Expected inverse depth at which the point would be cut off, times log₂(mass + 1): about 1
    /// for a typical point. 0 in an empty tree. A missing value (NaN) is taken for one inside.
    pub(super) fn score(&self, point: &[f32]) -> f64 {
        if self.root == NONE {
            return 0.0;
        }
        let (leaf, mut depth) = self.descend(point);
        let held = self.point(leaf);
        if extension(held, held, point) == 0.0 {
            return self.seen(leaf, depth) * self.unit();
        }
        let mut score = unseen(depth);
        let mut above = self.leaves[usize::from(leaf)].parent;
        // A box that holds the point lies in boxes that do: nothing changes further up.
        while above != NONE {
            depth -= 1;
            let (low, high) = self.corners(above);
            let beyond = extension(low, high, point);
            if beyond == 0.0 {
                break;
            }
            let cut_off = f64::from(beyond / (self.spreads[usize::from(above)] + beyond));
            score = cut_off * unseen(depth) + (1.0 - cut_off) * score;
            above = self.nodes[usize::from(above)].parent;
        }
        score * self.unit()
    }

    /// Adds the score to `blame`, split over features and sides: below the box, then above it.
    pub(super) fn attribute(&self, point: &[f32], blame: &mut [[f64; 2]]) {
        if self.root == NONE {
            return;
        }
        let (leaf, mut depth) = self.descend(point);
        let held = self.point(leaf);
        let mut own = vec![[0.0; 2]; self.features];
        let mut above = self.leaves[usize::from(leaf)].parent;
        let beyond = extension(held, held, point);
        if beyond == 0.0 {
            // Held already: what sets it apart are its nearest relatives.
            if above != NONE {
                let node = &self.nodes[usize::from(above)];
                let sibling = node.below[usize::from(node.below[0] == LEAF | leaf)];
                let score = self.seen(leaf, depth);
                self.share(sibling, point, score, &mut own);
            }
            above = NONE;
        } else {
            self.share(LEAF | leaf, point, unseen(depth), &mut own);
        }
        while above != NONE {
            depth -= 1;
            let (low, high) = self.corners(above);
            let beyond = extension(low, high, point);
            if beyond == 0.0 {
                break;
            }
            let cut_off = f64::from(beyond / (self.spreads[usize::from(above)] + beyond));
            for side in own.as_flattened_mut() {
                *side *= 1.0 - cut_off;
            }
            self.share(above, point, cut_off * unseen(depth), &mut own);
            above = self.nodes[usize::from(above)].parent;
        }
        let unit = self.unit();
        for (blame, own) in blame.iter_mut().zip(own) {
            blame[0] += own[0] * unit;
            blame[1] += own[1] * unit;
        }
    }

    /// Splits `score` over features in proportion to how far the point lies outside the box.
    fn share(&self, link: u16, point: &[f32], score: f64, own: &mut [[f64; 2]]) {
        let (low, high) = self.corners(link);
        let beyond = f64::from(extension(low, high, point));
        if beyond == 0.0 {
            return;
        }
        for (feature, own) in own.iter_mut().enumerate() {
            let (under, over) = outside(low[feature], high[feature], point[feature]);
            own[0] += score * f64::from(under) / beyond;
            own[1] += score * f64::from(over) / beyond;
        }
    }
}

impl From<Tree> for Written {
    fn from(tree: Tree) -> Self {
        let Tree { features, root, nodes, leaves, points, free_nodes, free_leaves, .. } = tree;
        Written { features, root, nodes, leaves, points, free_nodes, free_leaves }
    }
}

/// What is wrong with a tree as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Arrays that do not fit each other or the bounds of a tree.
    #[error("the arrays of a random cut tree do not fit each other")]
    Shape,
    /// A value that is not finite.
    #[error("a point or cut of a random cut tree is not finite")]
    Value,
    /// Links that do not form one tree over all nodes and leaves in use.
    #[error("the links of a random cut tree do not form a tree")]
    Links,
}

impl TryFrom<Written> for Tree {
    type Error = Broken;

    fn try_from(written: Written) -> Result<Self, Broken> {
        let Written { features, root, nodes, leaves, points, free_nodes, free_leaves } = written;
        let (stride, capacity) = (padded(features), leaves.len());
        let shaped = (1..=usize::from(u16::MAX)).contains(&features)
            && (1..=MOST_POINTS).contains(&capacity)
            && nodes.len() == capacity - 1
            && points.len() == capacity * stride;
        if !shaped {
            return Err(Broken::Shape);
        }
        if !points.iter().chain(nodes.iter().map(|node| &node.cut)).all(|value| value.is_finite()) {
            return Err(Broken::Value);
        }
        let spreads = vec![0.0; nodes.len()];
        let boxes = vec![0.0; nodes.len() * 2 * stride];
        let mut tree = Tree {
            features,
            stride,
            root,
            nodes,
            spreads,
            boxes,
            leaves,
            points,
            free_nodes,
            free_leaves,
        };
        tree.check_and_rebuild()?;
        Ok(tree)
    }
}

impl Tree {
    /// Walks all links once, parents before children, then joins boxes the other way round.
    fn check_and_rebuild(&mut self) -> Result<(), Broken> {
        let mut used_nodes = vec![false; self.nodes.len()];
        let mut used_leaves = vec![false; self.leaves.len()];
        let mut order = vec![];
        let mut waiting = vec![(self.root, NONE)];
        if self.root == NONE {
            waiting.clear();
        }
        while let Some((link, parent)) = waiting.pop() {
            let used = if link & LEAF != 0 {
                used_leaves.get_mut(usize::from(link & !LEAF))
            } else {
                used_nodes.get_mut(usize::from(link))
            };
            match used {
                Some(used) if !*used => *used = true,
                _ => return Err(Broken::Links),
            }
            if self.parent_of(link) != parent || self.mass_of(link) == 0 {
                return Err(Broken::Links);
            }
            if link & LEAF == 0 {
                let node = &self.nodes[usize::from(link)];
                if usize::from(node.feature) >= self.features {
                    return Err(Broken::Links);
                }
                waiting.extend(node.below.map(|below| (below, link)));
                order.push(link);
            }
        }
        for (used, free) in
            [(&mut used_nodes, &self.free_nodes), (&mut used_leaves, &self.free_leaves)]
        {
            for &place in free {
                match used.get_mut(usize::from(place)) {
                    Some(used) if !*used => *used = true,
                    _ => return Err(Broken::Links),
                }
            }
            if used.contains(&false) {
                return Err(Broken::Links);
            }
        }
        for &link in order.iter().rev() {
            self.join(link);
            let node = &self.nodes[usize::from(link)];
            let mass = node.below.iter().map(|&link| u32::from(self.mass_of(link))).sum::<u32>();
            if mass != u32::from(node.mass) {
                return Err(Broken::Links);
            }
        }
        Ok(())
    }

    /// The mass of a leaf; 0 where it holds nothing or does not exist.
    pub(super) fn leaf_mass(&self, leaf: u16) -> u32 {
        self.leaves.get(usize::from(leaf)).map_or(0, |leaf| u32::from(leaf.mass))
    }

    /// Features of a point.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// Distinct points that fit.
    pub(super) fn capacity(&self) -> usize {
        self.leaves.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(values: &[f32]) -> Vec<f32> {
        let mut point = values.to_vec();
        point.resize(padded(values.len()), 0.0);
        point
    }

    fn grown(points: &[Vec<f32>], random: &mut Random) -> (Tree, Vec<u16>) {
        let mut tree = Tree::new(2, points.len());
        let leaves = points.iter().map(|point| tree.insert(point, random)).collect();
        (tree, leaves)
    }

    #[test]
    fn two_points_score_as_by_hand() {
        let mut random = Random::seeded(1);
        let (tree, _) = grown(&[point(&[0.0, 0.0]), point(&[1.0, 0.0])], &mut random);
        // Mass 2, so all is times log₂ 3. At (3, 0) the box is cut off at the root with
        // probability 2/3; otherwise at depth 1, where the inverse is 1/2.
        let expected = (2.0 / 3.0 + 1.0 / 3.0 * 0.5) * 3f64.log2();
        assert!((tree.score(&point(&[3.0, 0.0])) - expected).abs() < 1e-7);
        // Held already: depth 1, mass 1, damped by 1 − 1/4.
        assert!((tree.score(&point(&[0.0, 0.0])) - 0.75 / 2.0 * 3f64.log2()).abs() < 1e-12);
    }

    #[test]
    fn removing_what_was_inserted_leaves_boxes_as_if_it_never_came() {
        let mut random = Random::seeded(2);
        let points: Vec<_> = (0..40)
            .map(|_| point(&[(random.unit() * 4.0) as f32, (random.unit() * 4.0).floor() as f32]))
            .collect();
        let (mut tree, leaves) = grown(&points, &mut random);
        for &leaf in &leaves[..30] {
            tree.remove(leaf);
        }
        assert_eq!(tree.mass(), 10);
        let (low, high) = tree.corners(tree.root);
        for feature in 0..2 {
            let values = points[30..].iter().map(|point| point[feature]);
            assert_eq!(low[feature], values.clone().fold(f32::MAX, f32::min));
            assert_eq!(high[feature], values.fold(f32::MIN, f32::max));
        }
        let again = Tree::try_from(Written::from(tree.clone())).unwrap();
        assert_eq!(again.score(&points[0]).to_bits(), tree.score(&points[0]).to_bits());
    }

    #[test]
    fn a_first_cut_falls_on_a_feature_in_proportion_to_its_side() {
        let mut random = Random::seeded(3);
        let on_first = (0..4_000)
            .filter(|_| {
                let points = [point(&[0.0, 0.0]), point(&[3.0, 1.0])];
                let (tree, _) = grown(&points, &mut random);
                tree.nodes[usize::from(tree.root)].feature == 0
            })
            .count();
        // Three quarters; four standard errors are 110.
        assert!(on_first.abs_diff(3_000) < 110, "{on_first}");
    }

    #[test]
    fn inserting_last_and_first_gives_the_same_law_of_trees() {
        // Theorem 1 of Guha et al.: the tree's law does not depend on the order of insertion.
        let points = [point(&[0.0, 0.0]), point(&[1.0, 0.0]), point(&[5.0, 0.0])];
        let alone = |order: [usize; 3], seed| {
            let mut random = Random::seeded(seed);
            (0..4_000)
                .filter(|_| {
                    let points = order.map(|place| points[place].clone());
                    let (tree, leaves) = grown(&points, &mut random);
                    let far = order.iter().position(|&place| place == 2).unwrap();
                    tree.leaves[usize::from(leaves[far])].parent == tree.root
                })
                .count()
        };
        // The first cut separates 5 from {0, 1} with probability 4/5.
        for (order, seed) in [([0, 1, 2], 4), ([2, 1, 0], 5), ([2, 0, 1], 6)] {
            let count = alone(order, seed);
            assert!(count.abs_diff(3_200) < 102, "{count}");
        }
    }

    #[test]
    fn blame_adds_up_to_the_score() {
        let mut random = Random::seeded(7);
        let points: Vec<_> =
            (0..50).map(|_| point(&[random.unit() as f32, random.unit() as f32])).collect();
        let (tree, _) = grown(&points, &mut random);
        for probe in [point(&[0.5, 9.0]), point(&[-3.0, 0.5]), points[0].clone()] {
            let mut blame = vec![[0.0; 2]; 2];
            tree.attribute(&probe, &mut blame);
            let total: f64 = blame.as_flattened().iter().sum();
            assert!((total - tree.score(&probe)).abs() < 1e-6);
        }
    }

    #[test]
    fn a_tree_whose_links_make_a_ring_is_refused() {
        let mut random = Random::seeded(8);
        let points: Vec<_> = (0..4u8).map(|at| point(&[f32::from(at), 0.0])).collect();
        let (tree, _) = grown(&points, &mut random);
        let mut written = Written::from(tree);
        let root = written.root;
        written.nodes[usize::from(root)].below[0] = root;
        assert_eq!(Tree::try_from(written).unwrap_err(), Broken::Links);
    }
}
