//! Sixty rows of two moons and what scikit-learn 1.9.1 makes of them. It does not know how we
//! come to the same.

use super::dbscan::Dbscan;
use super::hdbscan::Hdbscan;

/// `make_moons(60, noise=0.12, random_state=4)`, rounded to two places.
const MOONS: [(f64, f64); 60] = [
    (0.94, 0.29),
    (-0.62, 0.57),
    (1.87, 0.15),
    (-0.89, 0.54),
    (0.29, 0.90),
    (-1.01, 0.15),
    (0.19, 0.07),
    (0.11, 0.25),
    (0.92, 0.56),
    (0.95, -0.36),
    (0.66, 0.72),
    (-0.83, 0.35),
    (0.44, 0.94),
    (0.04, 0.99),
    (0.04, -0.16),
    (-0.94, 0.31),
    (-0.08, 1.11),
    (-0.20, 0.99),
    (-0.74, 0.50),
    (0.14, 0.14),
    (-0.31, 1.09),
    (-1.00, 0.09),
    (-0.38, 1.13),
    (0.63, -0.45),
    (-1.03, 0.12),
    (0.10, 0.49),
    (1.95, 0.29),
    (0.19, 0.91),
    (0.66, 0.95),
    (-0.47, 1.00),
    (-0.03, 0.12),
    (2.27, 0.44),
    (1.89, -0.11),
    (1.37, -0.34),
    (1.88, -0.23),
    (1.03, -0.10),
    (1.03, 0.13),
    (1.76, -0.24),
    (1.60, -0.48),
    (-0.72, 0.72),
    (1.09, -0.09),
    (1.02, 0.46),
    (0.85, -0.61),
    (0.29, -0.45),
    (0.98, -0.38),
    (0.32, -0.21),
    (1.97, 0.12),
    (-0.11, 0.15),
    (1.12, -0.51),
    (0.41, -0.38),
    (0.51, 0.68),
    (1.39, -0.52),
    (0.61, 0.54),
    (-0.77, 0.52),
    (0.47, -0.53),
    (1.04, 0.10),
    (0.82, 0.31),
    (2.09, 0.03),
    (1.23, -0.54),
    (2.19, 0.47),
];
/// `DBSCAN(eps=0.25, min_samples=4)`: a letter for each cluster, a dot for noise.
const DBSCAN: &str = "abfb.bcc.hdb.e.beebcebegbcfedec.fhfaafhbaa.ghgfchgdhdbgaafh.";
/// `HDBSCAN(min_cluster_size=5)` with a stable sort of its edges: with NumPy's default sort the order
/// of equal weights, and one of these labels, is the processor's.
const HDBSCAN: &str = "bacababbbbbabbbabbabbabba.cbb.b.cbcbb.babbbbbbcbbbbbbabbbcb.";

fn moons() -> Vec<Vec<f64>> {
    MOONS.iter().map(|&(x, y)| vec![x, y]).collect()
}

/// Clusters lettered in the order in which they are met.
fn lettered(labels: &[Option<u32>]) -> String {
    let mut met = vec![];
    let mut letter = |label: u32| {
        let place = met.iter().position(|&other| other == label).unwrap_or_else(|| {
            met.push(label);
            met.len() - 1
        });
        (b'a' + place as u8) as char
    };
    labels.iter().map(|label| label.map_or('.', &mut letter)).collect()
}

/// The same, from letters.
fn met_in_order(letters: &str) -> String {
    let labels: Vec<_> =
        letters.bytes().map(|letter| (letter != b'.').then(|| u32::from(letter))).collect();
    lettered(&labels)
}

#[test]
fn dbscan_labels_are_those_of_scikit_learn() {
    let rows = moons();
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let fitted = Dbscan::fit(&rows, 0.25, 4).unwrap();
    assert_eq!(lettered(&fitted.labels), met_in_order(DBSCAN));
}

#[test]
fn hdbscan_labels_are_those_of_scikit_learn() {
    let rows = moons();
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let fitted = Hdbscan::fit(&rows, 5, 5).unwrap();
    assert_eq!(lettered(&fitted.labels), met_in_order(HDBSCAN));
}
