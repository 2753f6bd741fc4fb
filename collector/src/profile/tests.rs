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
use crate::profile::shape::TextShape;
use crate::profile::together::Clusters;
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

#[test]
fn arguments_that_are_not_given_are_those_of_the_command_line() {
    let typed = Command::parse_from(["profile", "data.csv", "--out", "profile"]).args;
    // When it is made, the environment may say.
    let made = ProfileArgs {
        created: typed.created,
        ..ProfileArgs::new(typed.data.clone(), "profile".into())
    };
    assert_eq!(made, typed);
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
fn what_outputs_did_together_is_told() {
    let row = |row: u32| {
        let spread = f64::from(row * 7_919 % 1_009) / 1_009.0;
        let noise = f64::from(row * 104_729 % 997) / 997.0;
        format!("{},{spread},{},{}\n", row % 90, 1.0 - spread + noise / 10.0, row % 2)
    };
    let data = format!("age,yes,no,other\n{}", (0..1_000).map(row).collect::<String>());
    let profile = profile(&data, &["--outputs", "yes", "--outputs", "no"]).expect("a profile");
    assert_eq!(profile.outputs.joints.len(), 1, "windows are held against it");
    let told = profile.document.output_correlations.as_ref().expect("two outputs that vary");
    assert_eq!(told.rows, 1_000);
    let rho = told.spearman[0][1].expect("both vary");
    assert!(rho < -0.9, "{rho}");
    let page = super::page::of(&profile);
    assert!(page.contains("## Outputs that move together"), "{page}");
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
fn what_features_did_together_survives_the_folder() {
    let dir = folder();
    let data = file(dir.path(), "mixed.csv", mixed(0..1_000));
    let out = dir.path().join("profile");
    let args = args(&data, &out, &[]);
    run(&args, &mut Vec::new()).expect("a profile");
    let made = make(&args, CREATED).expect("a profile").reference.joints;
    assert!(made.iter().any(|joint| joint.embedding.is_some()));
    assert_eq!(load(&out).expect("the profile").reference.joints, made);
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
    for name in ["profile.json", "reference.json", "contract.json", "columns.json", "SUMMARY.md"] {
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
    check("profile.json", "\"format_version\": 3", "\"format_version\": 9", &["newer tidegate"]);
    check("profile.json", "\"format_version\": 3", "\"format_version\": 1", &["make the profile"]);
    check("reference.json", "\"knots\":\"", "\"knots\":\"?", &["broken at byte 0"]);
    check("columns.json", "\"kind\":", "\"kinds\":", &["kind"]);
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

/// Rows of a table with a column of each kind, as CSV.
fn mixed(rows: std::ops::Range<u32>) -> String {
    let lines = rows.map(|row| {
        let spread = (f64::from(row) * 0.618_033_988_749_895).fract();
        let amount = if row % 5 == 0 { 0.0 } else { (1.0 - spread).powf(-0.7) };
        let (day, hour) = (row / 24 % 28 + 1, row % 24);
        format!(
            "{},{amount},{},user{}@example.org,{},2026-11-{day:02}T{hour:02}:30:00Z\n",
            row / 3 % 7 * 1_000 + row % 911,
            ["red", "green", "blue"][row as usize % 3],
            row * 7_919 % 50_021,
            if row % 10 == 9 {
                "unknown".to_owned()
            } else {
                format!("{:x}", row.wrapping_mul(2_654_435_761))
            },
        )
    });
    format!("count,amount,color,mail,note,at\n{}", lines.collect::<String>())
}

#[test]
fn how_many_threads_there_are_changes_nothing() {
    let dir = folder();
    // Three blocks and a bit.
    let data = file(dir.path(), "mixed.csv", mixed(0..200_000));
    let of = |threads: &str| {
        make(&args(&data, dir.path(), &["--threads", threads, "--time", "at"]), CREATED)
            .expect("a profile")
    };
    let one = of("1");
    assert_eq!(one.document.rows, 200_000);
    assert_eq!(one, of("3"));
}

#[test]
fn what_is_learned_of_each_column_is_true() {
    let dir = folder();
    let data = file(dir.path(), "mixed.csv", mixed(0..80_000));
    let profile = make(&args(&data, dir.path(), &["--time", "at"]), CREATED).expect("a profile");
    let [count, amount, color, mail, note, at] = &profile.document.features[..] else { panic!() };

    let mut amounts: Vec<f64> = (0..80_000_u32)
        .map(|row| {
            let spread = (f64::from(row) * 0.618_033_988_749_895).fract();
            if row % 5 == 0 { 0.0 } else { (1.0 - spread).powf(-0.7) }
        })
        .collect();
    amounts.sort_by(f64::total_cmp);
    let numbers = amount.numbers.as_ref().expect("numbers");
    let mean = amounts.iter().sum::<f64>() / 80_000.0;
    assert!((numbers.mean.expect("a mean") / mean - 1.0).abs() < 1e-9);
    assert_eq!((numbers.min, numbers.max), (Some(0.0), amounts.last().copied()));
    assert_eq!((numbers.atoms.len(), numbers.atoms[0].value), (1, 0.0));
    assert!(numbers.atoms[0].count.abs_diff(16_000) < 100, "{:?}", numbers.atoms);
    assert!(numbers.skewness.expect("skewed") > 2.0 && numbers.kurtosis.expect("heavy") > 5.0);
    assert!(numbers.rank_error < 0.01, "{}", numbers.rank_error);
    let q = &numbers.quantiles;
    for (share, value) in [(0.25, q.p25), (0.5, q.p50), (0.99, q.p99), (0.999, q.p99_9)] {
        let rank = amounts.partition_point(|&a| a <= value.expect("a quantile")) as f64 / 80_000.0;
        assert!((rank - share).abs() < 1e-3, "{share}: {rank}");
    }

    assert_eq!(count.kind, SummaryKind::Integer);
    assert_eq!(color.categories.as_ref().map(|c| c.levels), Some(3));
    let mails = mail.texts.as_ref().expect("texts");
    assert_eq!(mails.format, Some(TextShape::Email));
    // 80,000 steps of 7,919 visit every remainder of the prime 50,021.
    assert!((mails.distinct as f64 / 50_021.0 - 1.0).abs() < 4.0 * mails.distinct_error);
    assert_eq!(mails.frequent, []);
    assert_eq!((mails.lengths.min, mails.lengths.max), (Some(17), Some(21)));
    let notes = note.texts.as_ref().expect("texts");
    assert_eq!((notes.frequent.len(), notes.frequent[0].value.as_str()), (1, "unknown"));
    assert!(notes.frequent[0].count <= 8_000 && notes.frequent[0].count > 6_000);
    assert_eq!(at.kind, SummaryKind::DateTime);
    let hours = &profile.memory.time.as_ref().expect("hours").hours;
    assert_eq!((hours.rows.iter().sum::<u64>(), hours.untimed), (80_000, 0));
}

#[test]
fn a_profile_of_twenty_columns_is_small() {
    let dir = folder();
    let header: Vec<_> = (0..20).map(|at| format!("column{at}")).collect();
    let lines = (0..100_000_u32).map(|row| {
        let cell = |at: u32| {
            let spread = (f64::from(row + 7 * at) * 0.618_033_988_749_895).fract();
            match at {
                0..10 => format!("{}", (1.0 - spread).ln() * f64::from(at + 1)),
                10..17 => format!("level {}", (spread * f64::from(at - 7) * 5.0) as u32),
                _ => format!("text {}", (spread * 1e9) as u32),
            }
        };
        (0..20).map(cell).collect::<Vec<_>>().join(",") + "\n"
    });
    let content = header.join(",") + "\n" + &lines.collect::<String>();
    let data = file(dir.path(), "wide.csv", content);
    let out = dir.path().join("profile");
    run(&args(&data, &out, &[]), &mut Vec::new()).expect("a profile");
    let sizes: Vec<_> = std::fs::read_dir(&out)
        .expect("the folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name(), entry.metadata().expect("a size").len()))
        .collect();
    let bytes: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes <= 60_000, "{bytes}: {sizes:?}");
    let numbers = load(&out).expect("the profile").document.features[0].numbers.clone();
    let error = numbers.expect("numbers").rank_error;
    assert!(error < 0.008, "{error}");
}

#[test]
fn a_kind_that_shows_late_is_found_all_the_same() {
    let late = |last: &str| {
        let cells = (0..3_000).map(|row| row.to_string()).chain([last.to_owned()]);
        profile(&column("it", cells), &[]).expect("a profile").document.features[0].clone()
    };
    assert_eq!(late("7").kind, SummaryKind::Integer);
    let number = late("0.5");
    assert_eq!((number.kind, number.nulls), (SummaryKind::Number, 0));
    let text = late("soon");
    assert_eq!((text.kind, text.nulls, text.rows), (SummaryKind::Text, 0, 3_001));
    assert!(text.numbers.is_none());
    let empty = (0..3_000).map(|_| String::new()).chain(["5".to_owned()]);
    let late = profile(&column("it", empty), &[]).expect("a profile").document.features[0].clone();
    assert_eq!((late.kind, late.nulls), (SummaryKind::Integer, 3_000));
    let flags = (0..3_000).map(|_| "true".to_owned()).chain(["maybe".to_owned()]);
    let late = profile(&column("it", flags), &[]).expect("a profile").document.features[0].clone();
    assert_eq!((late.kind, late.nulls), (SummaryKind::Category, 0));
}

#[test]
fn a_folder_of_files_is_one_table() {
    let dir = folder();
    let parts = dir.path().join("parts");
    std::fs::create_dir(&parts).expect("a folder");
    let header = "a,b\n";
    let rows =
        |range: std::ops::Range<u32>| range.map(|r| format!("{r},{}\n", r % 3)).collect::<String>();
    file(&parts, "1.csv", header.to_owned() + &rows(0..50));
    file(&parts, "2.csv", header.to_owned() + &rows(50..90));
    let whole = file(dir.path(), "whole.csv", header.to_owned() + &rows(0..90));
    let [folder, whole] = [&parts, &whole]
        .map(|data| make(&args(data, dir.path(), &[]), CREATED).expect("a profile"));
    assert_eq!((folder.document.source.files, folder.document.rows), (2, 90));
    assert!(folder.document.features[0].notes[0].contains("row number"));
    assert_eq!(folder.contract, whole.contract);
    let numbers = |profile: &Profile| {
        let features = profile.document.features.clone().into_iter();
        features.map(|f| f.numbers.map(|n| (n.quantiles, n.rank_error))).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&folder), numbers(&whole));

    file(&parts, "3.csv", "a,c\n1,2\n");
    let error = make(&args(&parts, dir.path(), &[]), CREATED).unwrap_err().to_string();
    assert!(error.contains("3.csv") && error.contains("`c` stands where"), "{error}");
}

/// `tidegate profile --merge` of the profiles of these CSV texts, and the profile of all rows.
fn merged_and_whole(parts: &[String], more: &[&str]) -> (Profile, Profile) {
    let dir = folder();
    let mut line =
        vec!["profile".into(), "--merge".into(), "--created".into(), CREATED.to_string().into()];
    let mut whole = String::new();
    for (at, part) in parts.iter().enumerate() {
        let data = file(dir.path(), "part.csv", part);
        let out = dir.path().join(format!("shard{at}"));
        run(&args(&data, &out, more), &mut Vec::new()).expect("a profile");
        line.push(out.into_os_string());
        let rows = if at == 0 { part } else { part.split_once('\n').expect("a header").1 };
        whole += rows;
    }
    let out = dir.path().join("merged");
    line.extend(["--out".into(), out.clone().into_os_string()]);
    let merge = Command::parse_from(line).args;
    run(&merge, &mut Vec::new()).expect("a merged profile");
    let data = file(dir.path(), "part.csv", whole);
    let whole = make(&args(&data, &out, more), CREATED).expect("a profile");
    (load(&out).expect("the merged profile"), whole)
}

#[test]
fn profiles_of_shards_combine_to_the_profile_of_the_whole() {
    let parts = [mixed(0..30_000), mixed(30_000..70_000), mixed(70_000..75_000)];
    let (merged, whole) = merged_and_whole(&parts, &["--time", "at", "--outputs", "color"]);
    assert_eq!(merged.contract, whole.contract);
    assert_eq!(merged.memory.time, whole.memory.time);
    assert_eq!((merged.document.rows, merged.document.source.files), (75_000, 3));
    let columns = |profile: &Profile| {
        let document = &profile.document;
        document.features.iter().chain(&document.outputs).cloned().collect::<Vec<_>>()
    };
    for (one, all) in columns(&merged).iter().zip(&columns(&whole)) {
        assert_eq!(
            (one.kind, one.rows, one.nulls),
            (all.kind, all.rows, all.nulls),
            "{}",
            all.name
        );
        assert_eq!(one.categories, all.categories);
        if let (Some(one), Some(all)) = (&one.texts, &all.texts) {
            assert_eq!((&one.lengths, &one.characters), (&all.lengths, &all.characters));
            assert_eq!(one.format, all.format);
            let error = (one.distinct as f64 / all.distinct as f64 - 1.0).abs();
            assert!(error <= 4.0 * one.distinct_error, "{} for {}", one.distinct, all.distinct);
        }
        if let (Some(one), Some(all)) = (&one.numbers, &all.numbers) {
            let near = |a: Option<f64>, b: Option<f64>| {
                (a.expect("a moment") - b.expect("a moment")).abs() <= 1e-9 * b.unwrap_or(1.0).abs()
            };
            assert!(near(one.mean, all.mean) && near(one.sd, all.sd));
            assert!(near(one.skewness, all.skewness) && near(one.kurtosis, all.kurtosis));
            assert_eq!((one.min, one.max), (all.min, all.max));
            assert!(one.rank_error < 3.0 * all.rank_error + 1e-3, "{}", one.rank_error);
        }
    }
}

#[test]
fn profiles_of_other_columns_do_not_combine() {
    let dir = folder();
    let shard = |name: &str, content: &str| {
        let data = file(dir.path(), "part.csv", content);
        let out = dir.path().join(name);
        run(&args(&data, &out, &[]), &mut Vec::new()).expect("a profile");
        out
    };
    let refused = |other: &str, says: &str| {
        let (one, two) = (shard("one", "a,b\n1,2\n"), shard("two", other));
        let mut merge = args(&one, &dir.path().join("merged"), &["--merge"]);
        merge.data.push(two);
        let error = run(&merge, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("two") && error.contains(says), "{error}");
    };
    refused("a,b\n1,x\n", "`b` is of another type");
    refused("a,c\n1,2\n", "`c` stands where");
    refused("a,b,c\n1,2,3\n", "3 columns and not 2");
}

/// Rows of a week, one every ten seconds: `x` is about the hour of the day, `by` says whether it is day, and
/// each text is another one.
fn week(rows: std::ops::Range<u64>) -> String {
    let row = |row: u64| {
        let at = row * 10;
        let hour = at / 3_600 % 24;
        let by = if (8..20).contains(&hour) { "day" } else { "night" };
        let x = hour as f64 + (row * 37 % 100) as f64 / 100.0;
        format!("{at},{x},{by},text {row}\n")
    };
    format!("at,x,by,text\n{}", rows.map(row).collect::<String>())
}

#[test]
fn each_hour_has_its_own_reference_where_that_is_asked_for() {
    let more = ["--time", "at", "--exclude", "at", "--season", "day"];
    let found = profile(&week(0..60_480), &more).expect("a profile");
    let seasons = found.seasons.as_ref().expect("hours");
    for (hour, features) in seasons.hours.iter().enumerate() {
        let rows: Vec<u64> = features.iter().map(|feature| feature.rows).collect();
        assert_eq!(rows, [2_520; 3], "hour {hour}");
        let Values::Number(x) = &features[0].values else { panic!("a number") };
        assert_eq!(x.sketch().quantile(0.5).map(f64::floor), Some(hour as f64));
        let Values::Category(by) = &features[1].values else { panic!("a category") };
        let expected = if (8..20).contains(&hour) { "day" } else { "night" };
        assert_eq!(by.counts().keys().collect::<Vec<_>>(), [expected]);
        let Values::Category(text) = &features[2].values else { panic!("a text") };
        assert_eq!((text.counts().len(), text.count()), (0, 2_520), "free text has no names");
    }
    let one = [&more[..], &["--threads", "1"]].concat();
    assert_eq!(
        profile(&week(0..60_480), &one).expect("a profile"),
        found,
        "threads change nothing"
    );
    let weekly = profile(&week(0..60_480), &[&more[..5], &["week"]].concat()).expect("a profile");
    let rows = weekly.seasons.expect("hours").hours[77][0].rows;
    assert_eq!(rows, 360);

    // Written, read, and replaced by one without.
    let dir = folder();
    let out = dir.path().join("profile");
    let data = file(dir.path(), "week.csv", week(0..60_480));
    run(&args(&data, &out, &more), &mut Vec::new()).expect("a profile");
    assert_eq!(load(&out).expect("it").seasons, found.seasons);
    let page = std::fs::read_to_string(out.join("SUMMARY.md")).expect("a page");
    assert!(page.contains("the same hour of the day"), "{page}");
    run(&args(&data, &out, &more[..4]), &mut Vec::new()).expect("a profile");
    assert!(!out.join("seasons.json").exists() && load(&out).expect("it").seasons.is_none());

    let refused = Command::try_parse_from(["profile", "a", "--out", "b", "--season", "day"]);
    assert!(refused.is_err_and(|error| error.to_string().contains("--time")));
}

#[test]
fn hours_of_shards_add_up() {
    let more = ["--time", "at", "--season", "day"];
    let (merged, whole) = merged_and_whole(&[week(0..30_000), week(30_000..60_480)], &more);
    let rows = |profile: &Profile| {
        let seasons = profile.seasons.clone().expect("hours").hours;
        seasons.into_iter().flatten().map(|f| (f.name.clone(), f.rows)).collect::<Vec<_>>()
    };
    assert_eq!(rows(&merged), rows(&whole));
    assert_eq!(rows(&merged).len(), 24 * 4);
}

#[test]
fn the_time_may_be_a_column_that_requests_do_not_carry() {
    let profile = profile(&mixed(0..100), &["--time", "at", "--exclude", "at"]).expect("a profile");
    assert_eq!(profile.reference.position("at"), None);
    let timed = profile.memory.time.expect("hours");
    assert_eq!((timed.column.as_str(), timed.hours.rows.iter().sum::<u64>()), ("at", 100));
}

#[test]
fn the_published_schema_knows_what_is_written_and_nothing_else() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("profile.schema.json")).expect("JSON");
    let more = ["--time", "at", "--season", "day", "--outputs", "color", "--model", "m"];
    let profile = profile(&mixed(0..5_000), &more);
    let mut document = profile.expect("a profile").document;
    document.features[0].notes.push("a note".to_owned());
    document.clusters = Some(Clusters {
        rows: 1_000,
        columns: vec!["count".to_owned()],
        shares: vec![0.5, 0.4],
        noise: 0.1,
        centres: vec![vec![1.0], vec![9.0]],
    });
    document.output_correlations = document.correlations.clone();
    document.output_clusters = document.clusters.clone();
    let written = serde_json::to_value(&document).expect("JSON");
    let mut seen = std::collections::BTreeSet::new();
    compare("", &written, &schema, &schema, &mut seen);
    let known: std::collections::BTreeSet<String> = schema["$defs"]
        .as_object()
        .expect("definitions")
        .iter()
        .flat_map(|(name, of)| keys(of).into_iter().map(move |key| format!("{name}.{key}")))
        .collect();
    let never: Vec<_> = known.difference(&seen).collect();
    assert!(never.is_empty(), "in the schema, but never written: {never:?}");
}

fn keys(of: &serde_json::Value) -> Vec<String> {
    let properties = of.get("properties").and_then(serde_json::Value::as_object);
    properties.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// Every key that is written must be known to the schema, and be of a type that it allows.
fn compare(
    place: &str,
    written: &serde_json::Value,
    schema: &serde_json::Value,
    root: &serde_json::Value,
    seen: &mut std::collections::BTreeSet<String>,
) {
    use serde_json::Value;
    let named = schema.get("$ref").and_then(Value::as_str).map(|path| path.trim_start_matches('#'));
    let resolved = named.map_or(schema, |path| root.pointer(path).expect("a definition"));
    let definition = named.and_then(|path| path.rsplit('/').next()).unwrap_or("");
    let kind = match written {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &resolved["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let fits = allowed.contains(&kind) || kind == "integer" && allowed.contains(&"number");
    assert!(fits || resolved.get("enum").is_some(), "{place} is {kind}, not one of {allowed:?}");
    if let Some(words) = resolved["enum"].as_array() {
        assert!(words.contains(written), "{place}: {written}");
    }
    match written {
        Value::Array(elements) => {
            for element in elements {
                compare(place, element, &resolved["items"], root, seen);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let place = format!("{place}/{key}");
                let known = resolved["properties"].get(key);
                let any = resolved.get("additionalProperties").filter(|any| any.is_object());
                let known = known.or(any).unwrap_or_else(|| panic!("{place} is not in the schema"));
                seen.insert(format!("{definition}.{key}"));
                compare(&place, value, known, root, seen);
            }
        }
        _ => {}
    }
}
