//! Whether clusters are those of scikit-learn, up to their names. It does not know which rows lie
//! where.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_detectors::cluster::dbscan::Dbscan;
use tidegate_detectors::cluster::hdbscan::Hdbscan;

use crate::peers;
use crate::report::{Quality, Report};

/// The least agreement where their sort puts equal weights in an order of the processor's.
const TIED: f64 = 0.98;

/// Prints the share of rows whose labels agree; says whether all do.
#[must_use]
pub fn print(report: &Report) -> bool {
    let mut ok = true;
    for line in peers::ask("clusters.py", [""; 0]) {
        let rows: Vec<Vec<f64>> =
            serde_json::from_value(line["rows"].clone()).expect("rows of numbers");
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let set = line["set"].as_str().expect("a name");
        for theirs in line["dbscan"].as_array().expect("clusterings") {
            let (radius, least) =
                (theirs["radius"].as_f64().expect("a radius"), count(&theirs["least"]));
            let fitted = Dbscan::fit(&rows, radius, least).expect("usual sizes");
            let name = format!("DBSCAN as scikit-learn's, {set}, radius {radius}, least {least}");
            ok &= beside(report, &name, &fitted.labels, &theirs["labels"], 1.0);
        }
        for theirs in line["hdbscan"].as_array().expect("clusterings") {
            let size = count(&theirs["size"]);
            let fitted = Hdbscan::fit(&rows, size, size).expect("usual sizes");
            let name = format!("HDBSCAN as scikit-learn's, sorted stably, {set}, size {size}");
            ok &= beside(report, &name, &fitted.labels, &theirs["stable"], 1.0);
            let name = format!("HDBSCAN as scikit-learn's, {set}, size {size}");
            ok &= beside(report, &name, &fitted.labels, &theirs["plain"], TIED);
        }
    }
    ok
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

fn beside(report: &Report, name: &str, ours: &[Option<u32>], theirs: &Value, least: f64) -> bool {
    let theirs: Vec<i64> = serde_json::from_value(theirs.clone()).expect("labels");
    let value = agreement(ours, &theirs);
    let goal = format!(">= {least}");
    report.quality(&Quality { name, value, goal: &goal, ok: value >= least });
    value >= least
}

/// The share of rows whose labels agree when each of their clusters is called what most of its
/// rows are called by us, and no two the same. Noise is noise.
fn agreement(ours: &[Option<u32>], theirs: &[i64]) -> f64 {
    let mut pairs: BTreeMap<(i64, u32), usize> = BTreeMap::new();
    let mut same = 0;
    for (ours, theirs) in ours.iter().zip(theirs) {
        match ours {
            None => same += usize::from(*theirs == -1),
            Some(_) if *theirs == -1 => {}
            Some(ours) => *pairs.entry((*theirs, *ours)).or_default() += 1,
        }
    }
    let mut sorted: Vec<_> = pairs.into_iter().collect();
    sorted.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let (mut named, mut names) = (vec![], vec![]);
    for ((theirs, ours), rows) in sorted {
        if !named.contains(&theirs) && !names.contains(&ours) {
            same += rows;
            named.push(theirs);
            names.push(ours);
        }
    }
    same as f64 / theirs.len() as f64
}
