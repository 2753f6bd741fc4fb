//! A profile from beginning to end, on temporary folders.

use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use parquet::basic::Compression;
use proptest::prelude::*;
use tidegate_contract::check::Check;
use tidegate_contract::contract::{Field, TextFormat};
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::{Protocol, Side};
use tidegate_contract::rules::Rules;
use tidegate_detectors::reference::Values;

use crate::profile::document::SummaryKind;
use crate::profile::error::ProfileError;
use crate::profile::{Profile, ProfileArgs, load, make, run};
use crate::table::specimen::{Cells, Specimen, as_csv, as_parquet, file, folder};

const CREATED: u64 = 1_795_458_600;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: ProfileArgs,
}

/// The arguments of `tidegate profile DATA --out DIR` and more.
fn args(data: &Path, out: &Path, more: &[&str]) -> ProfileArgs {
    let created = CREATED.to_string();
    let mut line = vec!["profile", "--created", &created];
    line.extend(more);
    let words = line.into_iter().map(Into::into);
    let paths = [data.into(), "--out".into(), out.into()];
    Command::parse_from(words.chain(paths).collect::<Vec<std::ffi::OsString>>()).args
}

/// The profile of a CSV text.
fn profile(content: &str, more: &[&str]) -> Result<Profile, ProfileError> {
    let dir = folder();
    let data = file(dir.path(), "data.csv", content);
    make(&args(&data, dir.path(), more), CREATED)
}

fn column(name: &str, cells: impl IntoIterator<Item = String>) -> String {
    format!("{name},pad\n{}", cells.into_iter().map(|cell| cell + ",1\n").collect::<String>())
}

/// What the contract asks of the one column with these cells.
fn asked(cells: impl IntoIterator<Item = String>, more: &[&str]) -> Field {
    profile(&column("it", cells), more).expect("a profile").contract.inputs.remove(0)
}

fn people() -> String {
    let rows = (0..200).map(|row| {
        let sex = if row % 3 == 0 { "Female" } else { "Male" };
        format!("{},{sex},{},{}\n", row % 91, row % 2, 0.5 + f64::from(row))
    });
    format!("age,sex,code,score\n{}", rows.collect::<String>())
}

#[test]
fn ages_to_90_allow_180_and_refuse_1986() {
    let field = asked((0..=90).map(|age| age.to_string()), &[]);
    assert_eq!((field.min, field.max, field.nullable), (Some(0.0), Some(180.0), false));
}

#[test]
fn few_and_frequent_texts_are_categories() {
    let field = asked((0..40).map(|row| ["b", "a"][row % 2].to_owned()), &[]);
    assert_eq!(field.categories, ["a", "b"]);
}

#[test]
fn rare_or_many_texts_are_free() {
    let rare = asked((0..39).map(|row| ["b", "a"][row % 2].to_owned()), &[]);
    assert!(rare.categories.is_empty());
    let many = asked((0..65 * 20).map(|row| format!("level {}", row % 65)), &[]);
    assert!(many.categories.is_empty());
}

#[test]
fn many_but_frequent_texts_are_judged_all_the_same() {
    let content = column("it", (0..65 * 20).map(|row| format!("level {}", row % 65)));
    let profile = profile(&content, &[]).expect("a profile");
    let Values::Category(levels) = &profile.reference.features[0].values else { panic!() };
    assert_eq!((levels.counts().len(), levels.other()), (65, 0));
}

#[test]
fn names_of_free_text_never_leave_the_file() {
    let content = column("it", (0..50).map(|row| format!("person {row}")));
    let profile = profile(&content, &[]).expect("a profile");
    let Values::Category(levels) = &profile.reference.features[0].values else { panic!() };
    assert_eq!((levels.counts().len(), levels.other()), (0, 50));
    assert_eq!(profile.document.features[0].kind, SummaryKind::Text);
    assert_eq!(profile.document.features[0].categories, None);
}

#[test]
fn dates_and_instants_are_formats_when_all_texts_are() {
    let days = |row: i32| format!("2026-01-{:02}", row % 28 + 1);
    assert_eq!(asked((0..28).map(days), &[]).format, Some(TextFormat::Date));
    let instants = asked((0..28).map(|row| days(row) + "T00:00:00Z"), &[]);
    assert_eq!(instants.format, Some(TextFormat::DateTime));
    let mixed = (0..28).map(|row| if row == 3 { "soon".to_owned() } else { days(row) });
    assert_eq!(asked(mixed, &[]).format, None);
}

#[test]
fn a_null_seen_is_a_null_allowed() {
    let field =
        asked((0..9).map(|row| if row == 4 { String::new() } else { row.to_string() }), &[]);
    assert!(field.nullable && field.required);
}

#[test]
fn a_constant_asks_only_for_its_type_and_is_named() {
    let profile = profile(&column("it", (0..9).map(|_| "7".to_owned())), &[]).expect("a profile");
    assert_eq!((profile.contract.inputs[0].min, profile.contract.inputs[0].max), (None, None));
    assert!(profile.document.features[0].notes[0].contains("one value only"));
}

#[test]
fn a_row_number_is_named() {
    let content = column("it", (0..30).map(|row| row.to_string()));
    let profile = profile(&content, &[]).expect("a profile");
    assert!(profile.document.features[0].notes[0].contains("row number"));
}

#[test]
fn numbers_called_categories_keep_their_type_and_lose_their_range() {
    let cells = || (0..60).map(|row| ["1", "2.0", "07"][row % 3].to_owned());
    let field = asked(cells(), &["--category", "it"]);
    assert_eq!((field.min, field.max, field.categories.len()), (None, None, 0));
    let profile = profile(&column("it", cells()), &["--category", "it"]).expect("a profile");
    let Values::Category(levels) = &profile.reference.features[0].values else { panic!() };
    assert_eq!(levels.counts().keys().collect::<Vec<_>>(), ["1", "2", "7"]);
}

#[test]
fn outputs_stand_apart_and_excluded_columns_nowhere() {
    let more = ["--outputs", "score", "--exclude", "code", "--model", "m", "--protocol", "json"];
    let profile = profile(&people(), &more).expect("a profile");
    let names = |fields: &[Field]| fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&profile.contract.inputs), ["age", "sex"]);
    assert_eq!(names(&profile.contract.outputs), ["score"]);
    assert_eq!(profile.reference.position("score"), None);
    assert_eq!(profile.outputs.position("score"), Some(0));
    assert_eq!(profile.document.source.excluded, ["code"]);
    assert_eq!(profile.document.protocol, Protocol::Json);
}

#[test]
fn a_mistyped_column_is_answered_with_the_nearest() {
    let error = profile(&people(), &["--exclude", "Scores"]).unwrap_err().to_string();
    assert!(error.contains("--exclude Scores") && error.contains("`score`?"), "{error}");
    let error = profile(&people(), &["--category", "zzz"]).unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
}

#[test]
fn what_contradicts_itself_or_leaves_nothing_is_refused() {
    let error = profile(&people(), &["--exclude", "age", "--outputs", "age"]).unwrap_err();
    assert!(matches!(error, ProfileError::Contradiction { .. }), "{error}");
    let error = profile("a\n1\n", &["--outputs", "a"]).unwrap_err();
    assert!(matches!(error, ProfileError::NoInputs { .. }), "{error}");
    let error = profile(&people(), &["--delimiter", "ab"]).unwrap_err();
    assert!(matches!(error, ProfileError::Delimiter { .. }), "{error}");
}

#[test]
fn what_is_written_is_what_is_loaded() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let out = dir.path().join("deep/profile");
    let args = args(&data, &out, &["--outputs", "score"]);
    let mut said = Vec::new();
    run(&args, &mut said).expect("a profile");
    let made = make(&args, CREATED).expect("a profile");
    assert_eq!(load(&out).expect("the profile"), made);
    let said = String::from_utf8(said).expect("text");
    assert!(said.contains("200 rows, 3 inputs and 1 output") && said.contains("next:"), "{said}");
    let page = std::fs::read_to_string(out.join("SUMMARY.md")).expect("a page");
    assert!(page.contains("| `age`") && page.contains("0 to 180"), "{page}");
    assert_eq!(made.document.created, "2026-11-23T18:30:00Z");
}

#[test]
fn programs_may_read_reference_json_as_the_inputs_alone() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let out = dir.path().join("profile");
    run(&args(&data, &out, &["--outputs", "score"]), &mut Vec::new()).expect("a profile");
    let text = std::fs::read_to_string(out.join("reference.json")).expect("the file");
    let alone: tidegate_detectors::reference::Reference =
        serde_json::from_str(&text).expect("a reference");
    assert_eq!(alone, load(&out).expect("the profile").reference);
}

#[test]
fn two_runs_write_the_same_bytes() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let outs = [dir.path().join("one"), dir.path().join("two")];
    for out in &outs {
        run(&args(&data, out, &[]), &mut Vec::new()).expect("a profile");
    }
    for name in ["profile.json", "reference.json", "contract.json", "SUMMARY.md"] {
        let [one, two] = outs.each_ref().map(|out| std::fs::read(out.join(name)).expect("a file"));
        assert!(one == two, "{name}");
    }
}

#[test]
fn an_earlier_profile_is_replaced_whole_and_nothing_else_is_left() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let out = dir.path().join("profile");
    run(&args(&data, &out, &[]), &mut Vec::new()).expect("a profile");
    run(&args(&data, &out, &["--exclude", "code"]), &mut Vec::new()).expect("a profile");
    assert_eq!(load(&out).expect("the profile").reference.position("code"), None);
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_folder_that_is_not_ours_is_left_alone() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let refused = |out: &Path, says: &str| {
        let error = run(&args(&data, out, &[]), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, ProfileError::Occupied { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(&data, "is a file");
    let out = dir.path().join("precious");
    std::fs::create_dir(&out).expect("a folder");
    let precious = file(&out, "thesis.tex", "years of work");
    refused(&out, "no profile.json");
    assert!(precious.exists());

    let out = dir.path().join("profile");
    run(&args(&data, &out, &[]), &mut Vec::new()).expect("a profile");
    file(&out, "notes.txt", "mine");
    refused(&out, "notes.txt");
    assert!(out.join("notes.txt").exists() && out.join("profile.json").exists());
}

#[test]
fn a_folder_that_cannot_be_loaded_says_which_file_and_what_to_do() {
    let dir = folder();
    let data = file(dir.path(), "people.csv", people());
    let missing = load(&dir.path().join("nowhere")).unwrap_err().to_string();
    assert!(missing.contains("nowhere") && missing.contains("tidegate profile"), "{missing}");

    let out = dir.path().join("profile");
    let check = |name: &str, from: &str, to: &str, says: &[&str]| {
        let _ = std::fs::remove_dir_all(&out);
        run(&args(&data, &out, &[]), &mut Vec::new()).expect("a profile");
        let text = std::fs::read_to_string(out.join(name)).expect("a file");
        assert!(text.contains(from), "{name} holds {from}");
        file(&out, name, text.replacen(from, to, 1));
        let error = load(&out).unwrap_err().to_string();
        for part in [name].iter().chain(says) {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    };
    check("profile.json", "{", "", &["make the profile again"]);
    check("profile.json", "tidegate-profile", "other", &["its format is `other`"]);
    check("profile.json", "\"format_version\": 1", "\"format_version\": 9", &["newer tidegate"]);
    check("reference.json", "\"knots\":[[", "\"knots\":[[5e9,0,0,1,1],[", &["out of order"]);
    check("contract.json", "\"max\": 180.0", "\"max\": -1.0", &["min 0", "max -1", "mend it"]);
}

/// Rows of mixed columns with nulls, few enough to be quick and many enough to have categories.
fn specimens() -> impl Strategy<Value = Specimen> {
    let cell = (
        prop::option::weighted(0.9, -1_000_000_i64..1_000_000),
        prop::option::weighted(
            0.9,
            prop_oneof![-1e9..1e9_f64, Just(0.0), Just(-0.0), -1.0..1.0_f64],
        ),
        prop::option::weighted(0.9, any::<bool>()),
        prop::option::weighted(0.9, "[ab]|[a-z][a-z\", \u{e9}\u{1f600}|`]{0,6}[a-z]"),
        prop::option::weighted(0.9, -20_000..40_000_i32),
        prop::option::weighted(0.9, -1_000_000_000_000_i64..2_000_000_000_000),
    );
    prop::collection::vec(cell, 1..150).prop_map(|rows| {
        let mut rows = rows;
        // A column of nulls only has no type in CSV.
        let full = (Some(1), Some(0.5), Some(true), Some("a".to_owned()), Some(1), Some(1));
        rows.push(full);
        vec![
            ("whole", Cells::Whole(rows.iter().map(|row| row.0).collect())),
            ("number", Cells::Number(rows.iter().map(|row| row.1).collect())),
            ("flag", Cells::Boolean(rows.iter().map(|row| row.2).collect())),
            ("text", Cells::Text(rows.iter().map(|row| row.3.clone()).collect())),
            ("day", Cells::Date(rows.iter().map(|row| row.4).collect())),
            ("at", Cells::Instant(rows.iter().map(|row| row.5).collect())),
        ]
    })
}

/// One row as a JSON record, as a client would send it.
fn record(specimen: &Specimen, row: usize) -> serde_json::Value {
    use serde_json::json;
    let fields = specimen.iter().map(|(name, cells)| {
        let value = match cells {
            Cells::Whole(cells) => json!(cells[row]),
            Cells::Number(cells) => json!(cells[row]),
            Cells::Boolean(cells) => json!(cells[row]),
            Cells::Text(cells) => json!(cells[row]),
            Cells::Date(cells) => {
                json!(cells[row].map(|days| crate::table::calendar::date(days.into())))
            }
            Cells::Instant(cells) => {
                json!(cells[row].map(|at| crate::table::calendar::instant(at, 1_000_000, true)))
            }
        };
        ((*name).to_owned(), value)
    });
    serde_json::Value::Object(fields.collect())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    })]

    #[test]
    fn the_same_rows_as_csv_and_as_parquet_give_the_same_profile(
        specimen in specimens(),
        group in 1..60_usize,
    ) {
        let dir = folder();
        let csv = as_csv(dir.path(), &specimen);
        let parquet = as_parquet(dir.path(), &specimen, group, Compression::SNAPPY);
        let [mut csv, parquet] = [csv, parquet]
            .map(|data| make(&args(&data, dir.path(), &[]), CREATED).expect("a profile"));
        csv.document.source = parquet.document.source.clone();
        prop_assert_eq!(csv, parquet);
    }

    #[test]
    fn a_profile_survives_its_folder_to_the_last_bit(specimen in specimens()) {
        let dir = folder();
        let data = as_parquet(dir.path(), &specimen, 50, Compression::SNAPPY);
        let out = dir.path().join("profile");
        let args = args(&data, &out, &["--outputs", "number"]);
        run(&args, &mut Vec::new()).expect("a profile");
        prop_assert_eq!(load(&out).expect("the profile"), make(&args, CREATED).expect("a profile"));
    }

    #[test]
    fn every_row_keeps_the_contract_that_was_made_of_it(specimen in specimens()) {
        let dir = folder();
        let data = as_parquet(dir.path(), &specimen, 50, Compression::UNCOMPRESSED);
        let profile = make(&args(&data, dir.path(), &[]), CREATED).expect("a profile");
        let rules = Arc::new(Rules::of(&profile.contract));
        for row in 0..usize::try_from(profile.document.rows).expect("few rows") {
            let body = record(&specimen, row).to_string();
            let mut check = Check::new(Some(Arc::clone(&rules)), Format::plain(Layout::Record), Side::Request);
            check.feed(body.as_bytes());
            prop_assert_eq!(&check.finish().violations, &vec![], "{}", body);
        }
    }
}

#[test]
fn a_row_unlike_the_data_breaks_the_contract() {
    let profile = profile(&people(), &["--protocol", "json"]).expect("a profile");
    let rules = Arc::new(Rules::of(&profile.contract));
    let count = |body: &str| {
        let mut check =
            Check::new(Some(Arc::clone(&rules)), Format::plain(Layout::Record), Side::Request);
        check.feed(body.as_bytes());
        check.finish().count
    };
    assert_eq!(count(r#"{"age": 39, "sex": "Male", "code": 1, "score": 1.5}"#), 0);
    assert_eq!(count(r#"{"age": 1986, "sex": 1, "code": 1, "score": "10k"}"#), 3);
}
