//! Rows with labels that say which are outliers: the sets of `shared/data/outliers`, and Shuttle. It does not fetch them: what is not there is passed over, and
//! said so.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use tidegate_detectors::forest::random::Random;

/// The sets of ADBench that lie in the shared folder.
const SHARED: [&str; 4] = ["mammography", "pageblocks", "vowels", "optdigits"];
/// Where Shuttle lies once it was fetched.
const SHUTTLE: &str = "target/tidegate-tools/river-0.26.1/shuttle.csv.gz";

/// Rows and which of them are outliers.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// What the set is called.
    pub name: String,
    /// The rows, all of one width.
    pub rows: Vec<Vec<f64>>,
    /// Whether each is an outlier.
    pub outlier: Vec<bool>,
}

/// A set in two parts, as the protocol of the shared folder wants it.
#[derive(Debug)]
pub struct Split<'a> {
    /// 70 %, without labels.
    pub fit: Vec<&'a [f64]>,
    /// The other rows.
    pub test: Vec<&'a [f64]>,
    /// Which of these are outliers.
    pub outlier: Vec<bool>,
}

/// All sets that are there. `TIDEGATE_DATA` names another folder, `TIDEGATE_SHUTTLE` another file.
#[must_use]
pub fn all() -> Vec<Labelled> {
    let tables = SHARED.iter().map(|name| table(&shared_folder(), name));
    let sets = tables.chain([shuttle(&shuttle_file())]);
    sets.filter_map(|set| set.map_err(|missing| eprintln!("passed over: {missing}")).ok()).collect()
}

/// Where the shared sets should lie.
#[must_use]
pub fn shared_folder() -> PathBuf {
    given("TIDEGATE_DATA", "../shared/data").join("outliers")
}

/// Where Shuttle should lie.
#[must_use]
pub fn shuttle_file() -> PathBuf {
    given("TIDEGATE_SHUTTLE", SHUTTLE)
}

fn given(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(usual), PathBuf::from)
}

fn table(folder: &Path, name: &str) -> Result<Labelled, String> {
    let path = folder.join(format!("{name}.parquet"));
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(&path).map_err(|error| said(&error))?;
    let reader = SerializedFileReader::new(file).map_err(|error| said(&error))?;
    let mut set = Labelled { name: name.to_owned(), rows: vec![], outlier: vec![] };
    for row in reader.get_row_iter(None).map_err(|error| said(&error))? {
        let row = row.map_err(|error| said(&error))?;
        let (mut values, mut outlier) = (vec![], false);
        for (column, field) in row.get_column_iter() {
            let value = number(field);
            if column == "outlier" { outlier = value == 1.0 } else { values.push(value) }
        }
        set.rows.push(values);
        set.outlier.push(outlier);
    }
    Ok(set)
}

fn number(field: &Field) -> f64 {
    match field {
        Field::Double(value) => *value,
        Field::Float(value) => f64::from(*value),
        Field::Byte(value) => f64::from(*value),
        Field::Int(value) => f64::from(*value),
        Field::Long(value) => *value as f64,
        _ => f64::NAN,
    }
}

fn shuttle(path: &Path) -> Result<Labelled, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| said(&error))?;
    let mut set = Labelled { name: "shuttle".to_owned(), rows: vec![], outlier: vec![] };
    for line in BufReader::new(GzDecoder::new(file)).lines().skip(1) {
        let line = line.map_err(|error| said(&error))?;
        let mut values: Vec<f64> =
            line.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
        set.outlier.push(values.pop() == Some(1.0));
        set.rows.push(values);
    }
    Ok(set)
}

impl Labelled {
    /// The split of this seed.
    #[must_use]
    pub fn split(&self, seed: u64) -> Split<'_> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let mut random = Random::seeded(seed);
        let all = order.len();
        random.choose_first(&mut order, all);
        let (fit, test) = order.split_at(all * 7 / 10);
        Split {
            fit: fit.iter().map(|&at| self.rows[at].as_slice()).collect(),
            test: test.iter().map(|&at| self.rows[at].as_slice()).collect(),
            outlier: test.iter().map(|&at| self.outlier[at]).collect(),
        }
    }
}

/// The area under the ROC curve: how often an outlier scores above an inlier, ties half
/// (Mann & Whitney 1947).
#[must_use]
pub fn auroc(scores: &[f64], outlier: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut inliers, mut wins, mut outliers) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let strange = tied.iter().filter(|&&at| outlier[at]).count() as f64;
        let usual = tied.len() as f64 - strange;
        wins += strange * (inliers + usual / 2.0);
        inliers += usual;
        outliers += strange;
    }
    wins / (inliers * outliers)
}
