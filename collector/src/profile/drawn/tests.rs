//! Shards with rows, merged, against the profile of all their data.

use std::fmt::Write as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tidegate_detectors::finding::Verdict;

use super::*;
use crate::check::{self, CheckArgs};
use crate::profile::document::Document;
use crate::profile::{ProfileArgs, load, run};
use crate::table::specimen;

/// Rows around two places in the plane of `x` and `y`, in the other two corners where they are `turned`;
/// with a colour and a text that says who.
fn people(rows: usize, seed: u64, turned: bool) -> String {
    let mut random = Random::seeded(seed);
    let mut csv = "x,y,color,who\n".to_owned();
    for row in 0..rows {
        let corner = if random.below(2) == 0 { 0.0 } else { 10.0 };
        let (x, other) = (corner + random.unit(), if turned { 10.0 - corner } else { corner });
        let (y, color) = (other + random.unit(), ["red", "green", ""][random.below(3)]);
        writeln!(csv, "{x},{y},{color},person {seed} {row}").expect("text");
    }
    csv
}

/// A folder with tables and profiles.
struct Stage(TempDir);

impl Stage {
    /// With two profiles that keep rows: of 24,000 rows, and of 6,000 that are turned.
    fn new() -> Self {
        let stage = Stage(specimen::folder());
        stage.profiled("one", &people(24_000, 1, false), true);
        stage.profiled("two", &people(6_000, 2, true), true);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: ProfileArgs) -> Result<String, ProfileError> {
        let mut said = Vec::new();
        run(&ProfileArgs { created: Some(0), ..args }, &mut said)?;
        Ok(String::from_utf8(said).expect("text"))
    }

    fn profiled(&self, name: &str, csv: &str, keep_rows: bool) -> String {
        let data = specimen::file(self.0.path(), "data.csv", csv);
        let args = ProfileArgs { keep_rows, ..ProfileArgs::new(vec![data], self.path(name)) };
        self.run(args).expect("a profile")
    }

    fn merged(&self, parts: &[&str], name: &str, keep: bool) -> Result<String, ProfileError> {
        let parts = parts.iter().map(|part| self.path(part)).collect();
        let args = ProfileArgs::new(parts, self.path(name));
        self.run(ProfileArgs { merge: true, keep_rows: keep, ..args })
    }

    fn document(&self, name: &str) -> Document {
        load(&self.path(name)).expect("a profile").document
    }

    fn whole(&self, shards: &[String]) -> Document {
        let rows = shards.iter().map(|csv| csv.split_once('\n').expect("a header").1);
        self.profiled("whole", &("x,y,color,who\n".to_owned() + &rows.collect::<String>()), false);
        self.document("whole")
    }
}

/// Holds that what features do together is the same, but for which rows were drawn.
fn check_alike(merged: &Document, whole: &Document) {
    let [one, all] = [merged, whole].map(|of| of.correlations.as_ref().expect("correlations"));
    assert!((4_000..=8_192).contains(&one.rows), "{}", one.rows);
    for (one, all) in [(&one.pearson, &all.pearson), (&one.spearman, &all.spearman)] {
        let (one, all) = (one[0][1].expect("varies"), all[0][1].expect("varies"));
        assert!((one - all).abs() < 0.06, "{one} for {all}");
    }
    let shares = [merged, whole].map(|of| {
        let mut shares = of.clusters.as_ref().expect("clusters").shares.clone();
        shares.sort_by(f64::total_cmp);
        shares
    });
    assert_eq!(shares[0].len(), 4, "{shares:?}");
    let apart = shares[0].iter().zip(&shares[1]).map(|(one, all)| (one - all).abs());
    assert!(apart.fold(0.0, f64::max) < 0.05, "{shares:?}");
    let [one, all] = [merged, whole].map(|of| of.effective_tests.expect("enough rows"));
    // Of 960 windows that are drawn some 48 tell it.
    assert!((one / all).ln().abs() < 0.5, "{one} for {all}");
}

#[test]
fn a_merged_profile_knows_what_features_do_together_where_its_parts_keep_rows() {
    let stage = Stage::new();
    let whole = stage.whole(&[people(24_000, 1, false), people(6_000, 2, true)]);
    let said = stage.merged(&["one", "two"], "merged", false).expect("a profile");
    assert!(!said.contains("note:") && !is_in(&stage.path("merged")), "{said}");
    check_alike(&stage.document("merged"), &whole);
    let joint = load(&stage.path("merged")).expect("a profile").reference.joints.remove(0);
    assert!(joint.embedding.is_some() && joint.threshold.is_some());

    // In the other order other rows are drawn, and in the same order the same ones.
    stage.merged(&["two", "one"], "turned", false).expect("a profile");
    check_alike(&stage.document("turned"), &whole);
    stage.merged(&["one", "two"], "again", false).expect("a profile");
    for file in ["profile.json", "reference.json"] {
        let [one, two] = ["merged", "again"].map(|of| std::fs::read(stage.path(of).join(file)));
        assert!(one.expect("a file") == two.expect("a file"), "{file}");
    }
}

#[test]
fn merges_that_keep_rows_merge_again() {
    let stage = Stage::new();
    let third = people(3_000, 3, false);
    stage.profiled("three", &third, true);
    let said = stage.merged(&["one", "two"], "both", true).expect("a profile");
    assert!(said.contains("rows.parquet holds rows of the data"), "{said}");
    // In place of a part.
    stage.merged(&["both", "three"], "both", false).expect("a profile");
    assert!(!is_in(&stage.path("both")), "a new profile keeps rows where it is asked to");
    let whole = stage.whole(&[people(24_000, 1, false), people(6_000, 2, true), third]);
    check_alike(&stage.document("both"), &whole);
}

#[test]
fn a_part_without_rows_is_named_with_the_cure() {
    let stage = Stage::new();
    std::fs::remove_file(stage.path("two").join(ROWS)).expect("a file");
    let said = stage.merged(&["one", "two"], "merged", true).expect("a profile");
    let note = said.lines().find(|line| line.starts_with("note:")).expect("a note");
    assert!(note.contains("two holds no rows") && note.contains("--keep-rows"), "{note}");
    let merged = load(&stage.path("merged")).expect("a profile");
    assert!(merged.reference.joints.is_empty() && merged.document.correlations.is_none());
    assert!(merged.document.effective_tests.is_some(), "the parts' own");
    assert!(!is_in(&stage.path("merged")));
}

#[test]
fn data_is_checked_against_a_merged_profile() {
    let stage = Stage::new();
    stage.merged(&["one", "two"], "merged", false).expect("a profile");
    let check = |csv: &str| {
        let data = specimen::file(stage.0.path(), "new.csv", csv);
        let mut said = Vec::new();
        let verdict = check::run(&CheckArgs::new(data, stage.path("merged")), &mut said);
        (verdict.expect("a verdict"), String::from_utf8(said).expect("text"))
    };
    let mixed = people(2_000, 4, false) + people(500, 5, true).split_once('\n').expect("rows").1;
    let (verdict, said) = check(&mixed);
    assert_eq!(verdict, Verdict::Healthy, "{said}");
    let (verdict, said) = check(&people(2_500, 6, true));
    assert!(verdict == Verdict::Alarm && said.contains("correlation"), "{said}");
}

#[test]
fn rows_say_of_a_text_without_a_name_only_that_there_is_one() {
    let stage = Stage::new();
    let (dir, mut cells) = (stage.path("one"), 0);
    let table = Table::open(&dir.join(ROWS), &Reading::default()).expect("a table");
    assert_eq!(table.names(), ["x", "y", "color", "who"]);
    let columns = table.columns(&[2, 3], &mut |_| {}).expect("columns");
    let mut see = |at: usize, cell: Cell<'_>| {
        let known =
            [&[Cell::Null, Cell::Text("red"), Cell::Text("green")][..], &[Cell::Boolean(true)]];
        assert!(known[at].contains(&cell), "{cell:?}");
        cells += 1;
    };
    let rows = table.scan(&columns, &mut see, &mut |_| {}).expect("rows");
    assert_eq!((table.rows(), cells), (Some(rows), 2 * rows));
    let page = std::fs::read_to_string(dir.join("SUMMARY.md")).expect("a page");
    assert!(page.contains(&format!("holds {} rows of the data", grouped(rows))), "{page}");
}

#[test]
fn rows_that_are_not_of_their_profile_are_refused() {
    let stage = Stage::new();
    let columns = |rows: usize| {
        let number = || written::Values::Number(vec![Some(1.0); rows]);
        let text = written::Values::Text(vec![Some("red".into()); rows]);
        let there = written::Values::Boolean(vec![Some(true); rows]);
        let names = ["x", "y", "color", "who"].map(str::to_owned);
        names.into_iter().zip([number(), number(), text, there]).collect::<Vec<_>>()
    };
    let check = |content: Vec<u8>, says: &str| {
        specimen::file(&stage.path("two"), ROWS, content);
        let error = stage.merged(&["one", "two"], "merged", false).unwrap_err().to_string();
        let place = error.contains("two") && error.contains(ROWS);
        assert!(place && error.contains(says), "{error:?} lacks {says:?}");
        assert!(!stage.path("merged").exists());
    };
    let file = |columns: Vec<_>| written::parquet(&columns).expect("a file");
    check(file(columns(10)[..3].to_vec()), "it has 3 columns and not 4");
    let mut swapped = columns(10);
    swapped.swap(0, 1);
    check(file(swapped), "`y` stands where the profile has `x`");
    let mut named = columns(10);
    named[3].1 = named[2].1.clone();
    check(file(named), "column `who` is of another type");
    check(file(columns(6_001)), "6,001 rows of 6,000");
    check(file(columns(0)), "it has no rows");
    check(b"x,y,color,who\n".to_vec(), "make the profile again");
    let whole = file(columns(5_000));
    check(whole[..whole.len() / 2].to_vec(), "make the profile again");
    let mut torn = whole;
    torn[4..400].fill(7);
    check(torn, "make the profile again");
}

#[test]
fn each_shard_gives_rows_by_its_share_and_none_more_than_it_has() {
    let check = |shards: &[(u64, u64)], taken: &[usize]| assert_eq!(shares(shards), taken);
    check(&[(100, 100), (50, 50)], &[100, 50]);
    // The sparsest sets the pace.
    check(&[(5_000, 10_000), (1_000, 1_000)], &[5_000, 500]);
    check(&[(8_000, 64_000), (8_000, 128_000)], &[2_730, 5_462]);
    check(&[], &[]);
    check(&[(1, u64::MAX), (8_192, u64::MAX)], &[1, 1]);
    let many = shares(&[(10, 10); 10_000]);
    assert_eq!(many.iter().sum::<usize>(), KEPT);
    assert!(many.iter().all(|taken| *taken <= 1));
}
