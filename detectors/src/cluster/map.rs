//! A map of clusters: which cluster a new row is in, without any row of the training data. It does not
//! know what a change of mass means; [`super::mass`] does.
//!
//! Clusters are found by [`super::hdbscan`] in a part of some rows. Each becomes a few balls: centres
//! by Lloyd's algorithm ("Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982), begun
//! with the rows farthest apart (Gonzalez 1985), and as radius the distance within which 95 % of the
//! ball's rows lie. A row is in the cluster of the ball that it is nearest to, by radii; outside of all
//! balls it is in none. How many rows are in each cluster is counted in the others, so that it is
//! what to expect of new rows, however good the map is.

use serde::{Deserialize, Serialize};

use super::hdbscan::Hdbscan;
use super::mass::Masses;
use super::points::squared;
use crate::forest::random::Random;

/// The share of other rows that may be in no cluster.
const MOST_NOISE: f64 = 0.3;
/// Balls of a cluster.
const BALLS: usize = 4;
/// Clusters of a map at most, the largest.
const CLUSTERS: usize = 24;
/// Rows that clusters are sought in at most.
const SOUGHT_IN: usize = 2_048;
/// The seed of which rows these are.
const SEED: u64 = 17;
/// A cluster has at least this share of the rows that it was sought in, and so many rows.
const LEAST_SHARE: f64 = 0.03;
const LEAST_ROWS: usize = 20;
/// The row whose distance is the core distance, itself the first.
const NEIGHBOURS: usize = 16;
/// Steps of Lloyd's algorithm.
const STEPS: usize = 8;
/// The share of a ball's rows within its radius.
const WITHIN: f64 = 0.95;
/// The least radius: rows that are all the same still have a ball.
const LEAST_RADIUS: f64 = 1e-2;

/// Rows around a centre. It is written as its radius and its centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "(f64, Vec<f64>)", from = "(f64, Vec<f64>)")]
pub struct Ball {
    /// The mean of its rows.
    pub centre: Vec<f64>,
    /// Within this distance of the centre a row is in it.
    pub radius: f64,
}

impl From<Ball> for (f64, Vec<f64>) {
    fn from(Ball { centre, radius }: Ball) -> Self {
        (radius, centre)
    }
}

impl From<(f64, Vec<f64>)> for Ball {
    fn from((radius, centre): (f64, Vec<f64>)) -> Self {
        Ball { centre, radius }
    }
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The mean of its rows.
    pub centre: Vec<f64>,
    /// Where its rows are.
    pub balls: Vec<Ball>,
}

/// Clusters as balls, and how many rows are in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// The clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// Rows in each cluster and in none, among rows that the map was not drawn from.
    pub masses: Masses,
}

impl Map {
    /// Draws the map of rows of one width, all of them finite. `None` where there are fewer than two
    /// clusters, or they hold too few of the other rows to say much: where density hardly differs,
    /// HDBSCAN finds clusters that are none.
    #[must_use]
    pub fn draw(rows: &[&[f64]]) -> Option<Self> {
        // Drawn from all of them: rows may stand in the order of their time, or of where they come from.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let sought_in = SOUGHT_IN.min(rows.len() / 2);
        Random::seeded(SEED).choose_first(&mut order, sought_in);
        let (drawn, others) = order.split_at(sought_in);
        let drawn: Vec<&[f64]> = drawn.iter().map(|&place| rows[place]).collect();
        let size = ((drawn.len() as f64 * LEAST_SHARE) as usize).max(LEAST_ROWS);
        let found = Hdbscan::fit(&drawn, size, NEIGHBOURS).ok()?;
        let mut members: Vec<Vec<&[f64]>> = Vec::new();
        for (row, label) in drawn.iter().zip(&found.labels) {
            let Some(label) = label.map(|label| label as usize) else { continue };
            members.resize_with(members.len().max(label + 1), Vec::new);
            members[label].push(row);
        }
        members.sort_by_key(|members| std::cmp::Reverse(members.len()));
        members.truncate(CLUSTERS);
        if members.len() < 2 {
            return None;
        }
        let cluster = |members: &Vec<&[f64]>| Cluster {
            centre: mean(members).into_iter().map(|value| (value * 1e4).round() / 1e4).collect(),
            balls: balls(members),
        };
        let clusters = members.iter().map(cluster).collect();
        let mut map = Map { clusters, masses: Masses::default() };
        let others = others.iter().map(|&place| map.cluster(rows[place]));
        map.masses = Masses::of(others, map.clusters.len());
        let noise = map.masses.noise as f64 / map.masses.rows().max(1) as f64;
        (noise <= MOST_NOISE).then_some(map)
    }

    /// The cluster of a row; `None` where it is in none.
    #[must_use]
    pub fn cluster(&self, row: &[f64]) -> Option<u32> {
        let balls = (0u32..).zip(&self.clusters);
        let balls =
            balls.flat_map(|(at, cluster)| cluster.balls.iter().map(move |ball| (at, ball)));
        let near = |(cluster, ball): (u32, &Ball)| {
            let away = squared(row, &ball.centre) / (ball.radius * ball.radius);
            (away <= 1.0).then_some((cluster, away))
        };
        let nearest = balls.filter_map(near).min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map(|(cluster, _)| cluster)
    }

    /// Whether it can be of rows of this width.
    #[must_use]
    pub fn fits(&self, width: usize) -> bool {
        let ball = |ball: &Ball| {
            let numbers = ball.centre.iter().all(|value| value.is_finite());
            ball.centre.len() == width && numbers && ball.radius >= LEAST_RADIUS
        };
        let of_cluster = |of: &Cluster| of.centre.len() == width && of.balls.iter().all(ball);
        self.clusters.iter().all(of_cluster) && self.masses.clusters.len() == self.clusters.len()
    }
}

/// To two digits after the point, so that a map is small.
fn round(value: f64) -> f64 {
    (value * 1e2).round() / 1e2
}

/// The balls of a cluster's rows, of which there is at least one.
fn balls(members: &[&[f64]]) -> Vec<Ball> {
    let mut centres = vec![mean(members)];
    while centres.len() < BALLS {
        let away = |row: &&&[f64]| nearest(&centres, row).1;
        match members.iter().max_by(|a, b| away(a).total_cmp(&away(b))) {
            Some(row) if nearest(&centres, row).1 > LEAST_RADIUS * LEAST_RADIUS => {
                centres.push(row.to_vec());
            }
            _ => break,
        }
    }
    for _ in 1..STEPS {
        centres = parts(&centres, members).iter().map(|part| mean(part)).collect();
    }
    parts(&centres, members).iter().map(|part| ball(part)).collect()
}

/// The ball of rows, of which there is at least one.
fn ball(rows: &[&[f64]]) -> Ball {
    let centre = mean(rows);
    let mut distances: Vec<f64> = rows.iter().map(|row| squared(row, &centre).sqrt()).collect();
    distances.sort_by(f64::total_cmp);
    let within = ((distances.len() as f64 * WITHIN).ceil() as usize).saturating_sub(1);
    let distance = distances.get(within).copied().unwrap_or(0.0);
    // Rounded up, and by what rounding the centre may have cost.
    let radius = round(distance + LEAST_RADIUS * (1.0 + (centre.len() as f64).sqrt()));
    Ball { centre: centre.into_iter().map(round).collect(), radius }
}

/// The rows that are nearest to each centre; those of none are left out, and a centre without rows is
/// too.
fn parts<'r>(centres: &[Vec<f64>], members: &[&'r [f64]]) -> Vec<Vec<&'r [f64]>> {
    let mut parts = vec![Vec::new(); centres.len()];
    for row in members {
        parts[nearest(centres, row).0].push(*row);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The nearest centre, and its squared distance.
fn nearest(centres: &[Vec<f64>], row: &[f64]) -> (usize, f64) {
    let distances = centres.iter().map(|centre| squared(row, centre)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

fn mean(rows: &[&[f64]]) -> Vec<f64> {
    let width = rows.first().map_or(0, |row| row.len());
    let of = |at: usize| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len().max(1) as f64;
    (0..width).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows around three places, and some anywhere.
    fn rows(count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::seeded(seed);
        let mut row = || -> Vec<f64> {
            let place = random.unit();
            let mut near = |x: f64, y: f64| {
                let mut around = || (0..4).map(|_| random.unit()).sum::<f64>() / 4.0 - 0.5;
                vec![x + around(), y + around()]
            };
            match place {
                place if place < 0.5 => near(0.0, 0.0),
                place if place < 0.8 => near(3.0, 0.0),
                place if place < 0.95 => near(0.0, 3.0),
                _ => vec![random.unit() * 12.0 - 6.0, random.unit() * 12.0 - 6.0],
            }
        };
        (0..count).map(|_| row()).collect()
    }

    fn refs(rows: &[Vec<f64>]) -> Vec<&[f64]> {
        rows.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn rows_are_in_the_cluster_that_they_lie_in() {
        let training = rows(4_000, 1);
        let map = Map::draw(&refs(&training)).unwrap();
        assert_eq!(map.clusters.len(), 3);
        assert_eq!(map.masses.rows(), 2_000);
        let place = |x: f64, y: f64| map.cluster(&[x, y]);
        let three = [place(0.0, 0.0), place(3.0, 0.0), place(0.0, 3.0)];
        // The largest first.
        assert_eq!(three, [Some(0), Some(1), Some(2)]);
        assert_eq!(place(5.0, 5.0), None);
        let centre = &map.clusters[1].centre;
        assert!((centre[0] - 3.0).abs() < 0.2 && centre[1].abs() < 0.2, "{centre:?}");
        assert!(map.fits(2) && !map.fits(3));
        // Nine of ten, since a twentieth of a ball's rows lie beyond its radius.
        let inside = map.masses.clusters.iter().sum::<u64>();
        assert!((1_700..=1_960).contains(&inside), "{inside}");
    }

    #[test]
    fn new_rows_fall_into_clusters_as_often_as_the_map_says() {
        let training = rows(4_000, 2);
        let map = Map::draw(&refs(&training)).unwrap();
        let flagged = (0..200).filter(|seed| {
            let window = rows(500, 100 + seed);
            let now = Masses::of(window.iter().map(|row| map.cluster(row)), map.clusters.len());
            super::super::mass::compare(&map.masses, &now).p_value <= 0.05
        });
        let flagged = flagged.count();
        assert!((3..=20).contains(&flagged), "{flagged} of 200");
    }

    #[test]
    fn rows_in_the_order_of_their_time_count_like_any_others() {
        let mut sorted = rows(8_000, 6);
        sorted.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let map = Map::draw(&refs(&sorted)).unwrap();
        let all = Masses::of(sorted.iter().map(|row| map.cluster(row)), map.clusters.len());
        let shares = |masses: &Masses| {
            let of = |count: &u64| *count as f64 / masses.rows() as f64;
            masses.clusters.iter().map(of).collect::<Vec<f64>>()
        };
        let apart = shares(&map.masses).into_iter().zip(shares(&all)).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 0.02, "{:?} {all:?}", map.masses);
    }

    #[test]
    fn what_has_no_clusters_has_no_map() {
        for (seed, count) in [(3, 1_000), (4, 4_000), (5, 8_000)] {
            let mut random = Random::seeded(seed);
            let flat: Vec<Vec<f64>> =
                (0..count).map(|_| (0..3).map(|_| random.unit()).collect()).collect();
            assert_eq!(Map::draw(&refs(&flat)).map(|map| map.masses), None);
            let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            let hill: Vec<Vec<f64>> = (0..count).map(|_| vec![normal(), normal()]).collect();
            assert_eq!(Map::draw(&refs(&hill)).map(|map| map.masses), None);
        }
        assert_eq!(Map::draw(&[]), None);
        assert_eq!(Map::draw(&vec![&[1.0, 2.0][..]; 500]), None);
    }

    #[test]
    fn rows_that_are_all_the_same_are_a_cluster_of_their_own() {
        let same = |value: f64| vec![vec![value, -value]; 300];
        let both: Vec<Vec<f64>> = same(1.0)
            .into_iter()
            .zip(same(2.0))
            .flat_map(|(a, b)| [a.clone(), a, b.clone(), b])
            .collect();
        let map = Map::draw(&refs(&both)).unwrap();
        assert_eq!(map.clusters.len(), 2);
        assert_eq!((map.masses.noise, map.masses.rows()), (0, 600));
        assert!(map.cluster(&[1.0, -1.0]) != map.cluster(&[2.0, -2.0]));
    }
}
