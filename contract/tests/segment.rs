//! Segments as people write them, and which requests belong to one: against a slow and simple answer on
//! the whole tree, over generated requests, and for any bytes at all.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use tidegate_contract::check::Check;
use tidegate_contract::contract::Contract;
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;
use tidegate_contract::segment::{Bound, ByHead, Condition, Network, Range, Segment, Selection};

const RECORD: Format = Format::plain(Layout::Record);
const OIP: Format = Format::plain(Layout::Oip);

const CONTRACT: &str = r#"{"inputs": [
    {"name": "age", "type": "integer"},
    {"name": "wage", "type": "number", "nullable": true, "required": false},
    {"name": "work", "type": "text"},
    {"name": "ssn", "type": "text", "sensitive": "hash", "required": false},
    {"name": "x", "type": "number", "shape": [-1, 3], "columns": ["low", "middle", "high"],
     "required": false},
    {"name": "who.mail", "type": "text", "required": false}
]}"#;

fn contract() -> Contract {
    Contract::parse(CONTRACT).expect("a good contract")
}

fn segment(text: &str) -> Segment {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn belongs<'a>(
    segment: &Segment,
    format: Format,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> bool {
    let selection = Arc::new(Selection::of(segment, Some(&contract())));
    let rules = Arc::new(Rules::of(&contract()));
    let mut check = Check::new(Some(rules), format, Side::Request).selecting(selection);
    for chunk in chunks {
        check.feed(chunk);
    }
    check.finish();
    check.is_selected()
}

fn is_in(text: &str, format: Format, body: &str) -> bool {
    let segment = segment(text);
    let whole = belongs(&segment, format, [body.as_bytes()]);
    let bytewise = belongs(&segment, format, body.as_bytes().chunks(1));
    assert_eq!(whole, bytewise, "{text}: {body}");
    whole
}

#[test]
fn what_is_written_is_written_again_in_one_spelling() {
    for (written, spelled) in [
        ("age>=55", "age >= 55"),
        ("age > 55 and age<70.5", "age > 55 and age < 70.5"),
        ("age < 70 and work = Private and age >= 55", "age >= 55 and age < 70 and work = Private"),
        ("work in [Private, \"Self emp\"]", "work in [Private, \"Self emp\"]"),
        ("work == \"null\"", "work = \"null\""),
        ("\"in\" is null", "\"in\" is null"),
        ("\"a\\\"\\u{a}b\" = 1e3", "\"a\\\"\\u{a}b\" = 1e3"),
        ("header:X-Client=acme", "header:x-client = acme"),
        ("client:address in [10.0.0.0/8, ::1]", "client:address in [10.0.0.0/8, ::1/128]"),
        ("\"header:x\" = 1", "\"header:x\" = 1"),
    ] {
        assert_eq!(segment(written).to_string(), spelled, "{written}");
        assert_eq!(segment(spelled), segment(written));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_cure() {
    let long = "a".repeat(300);
    for (written, told) in [
        (String::new(), "a segment needs a condition"),
        ("age".to_owned(), "character 4: expected `>=`"),
        ("age >= old".to_owned(), "character 8: expected a number, found `old`"),
        ("age >= inf".to_owned(), "expected a number"),
        ("age >= 55 or work = x".to_owned(), "character 11: expected `and`"),
        ("work in Private".to_owned(), "expected `[`"),
        ("work in [a b]".to_owned(), "expected `,` or `]`, found `b`"),
        ("work = null".to_owned(), "`x is null` asks for none"),
        ("work = \"a".to_owned(), "expected a closing quote"),
        ("work in []".to_owned(), "expected a value"),
        ("age >= 60 and age < 60".to_owned(), "`age`: no value lies within these bounds"),
        ("header:x-tidegate-divert=1".to_owned(), "is no header of a client's request"),
        ("header::path=x".to_owned(), "is no header of a client's request"),
        ("client:address in [10.0.0.0/33]".to_owned(), "networks such as 10.0.0.0/8"),
        ("client:name = x".to_owned(), "expected `client:address in"),
        (format!("{long} = 1"), "longer than 256 bytes"),
        (format!("work in [{}]", vec!["a"; 65].join(",")), "more than 64 values"),
        ((0..9).map(|at| format!("x{at} = 1")).collect::<Vec<_>>().join(" and "), "more than 8"),
        ("x".repeat(20_000), "a segment is longer than"),
    ] {
        let error = written.parse::<Segment>().expect_err(&written).to_string();
        assert!(error.contains(told), "{written}: {error}");
    }
}

#[test]
fn a_segment_must_fit_its_models_contract() {
    let misfits = |text: &str| -> Vec<String> {
        segment(text).misfits(&contract()).iter().map(ToString::to_string).collect()
    };
    assert!(misfits("age >= 3 and work = a and x = 1 and header:a = b and low < 2").is_empty());
    assert!(misfits("\"x[2]\" > 1").is_empty());
    let found = misfits("agee > 3 and ssn = 1 and work > 2");
    assert!(found[0].contains("no input `agee`; it has age, wage, work"), "{found:?}");
    assert!(found[1].contains("`ssn` is sensitive"), "{found:?}");
    assert!(found[2].contains("`work` is text, which has no range"), "{found:?}");
}

#[test]
fn a_request_belongs_when_one_of_its_rows_meets_all_conditions() {
    let rows = r#"[{"age": 30, "work": "Private"}, {"age": 60, "work": "State"}]"#;
    assert!(is_in("age >= 55", RECORD, rows));
    assert!(is_in("age >= 55 and work = State", RECORD, rows));
    assert!(!is_in("age >= 55 and work = Private", RECORD, rows), "they are of two rows");
    assert!(!is_in("age > 60", RECORD, rows));
    let tensors = r#"{"inputs": [
        {"name": "work", "shape": [2, 1], "datatype": "BYTES", "data": ["Private", "State"]},
        {"name": "age", "shape": [2, 1], "datatype": "INT64", "data": [[30], [60]]}]}"#;
    assert!(is_in("age >= 55 and work = State", OIP, tensors));
    assert!(!is_in("age >= 55 and work = Private", OIP, tensors), "they are of two rows");
}

#[test]
fn nothing_is_what_is_null_or_not_there() {
    for (body, is_null) in [
        (r#"{"age": 1, "wage": null}"#, true),
        (r#"{"age": 1, "wage": NaN}"#, true),
        (r#"{"age": 1}"#, true),
        (r#"{"age": 1, "wage": 0}"#, false),
        (r#"[{"age": 1, "wage": 2}, {"age": 1}]"#, true),
        // The list holds the rows; the object around it is none.
        (r#"{"rows": [{"age": 1, "wage": 2}]}"#, false),
    ] {
        assert_eq!(is_in("wage is null", RECORD, body), is_null, "{body}");
    }
    let tensor = |wage: &str| {
        format!(
            r#"{{"inputs": [{{"name": "age", "shape": [2], "datatype": "INT64", "data": [1, 2]}}{wage}]}}"#
        )
    };
    let wage = r#", {"name": "wage", "shape": [2], "datatype": "FP64", "data": [1, null]}"#;
    assert!(is_in("wage is null and age = 2", OIP, &tensor(wage)));
    assert!(!is_in("wage is null and age = 1", OIP, &tensor(wage)));
    assert!(is_in("wage is null and age = 1", OIP, &tensor("")));
    assert!(!is_in("wage is null and age = 3", OIP, &tensor("")));
}

#[test]
fn every_way_to_say_a_value_is_understood() {
    for (text, format, body) in [
        ("age >= 55", "json", r#"{"age": "58"}"#),
        ("age = 58", "json", r#"{"age": 58.0}"#),
        ("work in [\"true\"]", "json", r#"{"work": true}"#),
        ("who.mail = a@b", "json", r#"{"age": 1, "who": {"mail": "a@b"}}"#),
        ("work = State", "json", r#"[[58, 1.5, "State"]]"#),
        ("age >= 55 and work = State", "json", r#"{"people": [[58, 1.5, "State"]]}"#),
        ("age >= 55", "v1", r#"{"inputs": {"age": [33, 58]}}"#),
        (
            "age >= 55",
            "mlflow",
            r#"{"dataframe_split": {"data": [[58, "a"]], "columns": ["age", "work"]}}"#,
        ),
        ("age >= 55 and work = \"1\"", "csv", "age,work\r\n58,1\r\n"),
        ("middle > 2", "json", r#"{"age": 1, "x": [1, 3, 1]}"#),
        (
            "\"x[1]\" > 2",
            "oip",
            r#"{"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 1, 1, 1, 3, 1]}]}"#,
        ),
        (
            "x > 2",
            "oip",
            r#"{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 1, 3]}]}"#,
        ),
    ] {
        let format: Format = format.parse().expect("a format");
        assert!(is_in(text, format, body), "{text}: {body}");
    }
    assert!(!is_in("high > 2", RECORD, r#"{"age": 1, "x": [1, 3, 1]}"#), "another place");
    assert!(!is_in("work = \"58\"", RECORD, r#"[[58, 1.5, "State"]]"#), "another place");
}

#[test]
fn raw_tensors_are_understood_and_rows_past_the_bound_are_taken_together() {
    let rows = 70_000_usize;
    let mut json = json!({"inputs": [
        {"name": "age", "shape": [rows], "datatype": "INT32",
         "parameters": {"binary_data_size": 4 * rows}},
        {"name": "wage", "shape": [rows], "datatype": "FP32",
         "parameters": {"binary_data_size": 4 * rows}}]})
    .to_string()
    .into_bytes();
    let format: Format = format!("oip-binary:{}", json.len()).parse().expect("a format");
    let mut ages = vec![30_i32; rows];
    let mut wages = vec![1.0_f32; rows];
    (ages[10], wages[11], ages[66_000], wages[68_000]) = (60, 5.0, 70, 9.0);
    json.extend(ages.iter().flat_map(|age| age.to_le_bytes()));
    json.extend(wages.iter().flat_map(|wage| wage.to_le_bytes()));
    let asked = |text: &str| belongs(&segment(text), format, json.chunks(10_000));
    assert!(asked("age >= 60") && asked("age = 70") && asked("wage >= 9"));
    assert!(!asked("age = 60 and wage = 5"), "they are of two rows");
    assert!(asked("age = 70 and wage = 9"), "past the bound the safer answer is yes");
}

#[test]
fn headers_and_the_client_are_known_before_the_body() {
    let of = |text: &str, client: Option<&str>| {
        let selection = Selection::of(&segment(text), Some(&contract()));
        let headers = [("x-client", "acme"), ("x-tier", "1"), ("x-tier", "2")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let client: Option<IpAddr> = client.map(|client| client.parse().expect("an address"));
        selection.by_head(&headers, client)
    };
    assert_eq!(of("header:x-client = acme", None), ByHead::Yes);
    assert_eq!(of("header:x-client = Acme", None), ByHead::No);
    assert_eq!(of("header:x-tier in [2, 3] and age > 3", None), ByHead::AskBody);
    assert_eq!(of("header:x-other = 1", None), ByHead::No);
    let network = "client:address in [10.1.0.0/16, 2001:db8::/32]";
    for (client, said) in [
        (Some("10.1.255.3"), ByHead::Yes),
        (Some("::ffff:10.1.2.3"), ByHead::Yes),
        (Some("2001:db8::7"), ByHead::Yes),
        (Some("10.2.0.1"), ByHead::No),
        (Some("2001:db9::7"), ByHead::No),
        (None, ByHead::No),
    ] {
        assert_eq!(of(network, client), said, "{client:?}");
    }
    assert_eq!(of("client:address in [0.0.0.0/0]", Some("9.9.9.9")), ByHead::Yes);
}

/// Conditions as anybody may make them.
fn condition() -> impl Strategy<Value = Condition> {
    let text = "[ -~é\u{1f30a}\n\u{0}]{1,12}";
    let bound = (any::<f64>().prop_filter("finite", |it| it.is_finite()), any::<bool>())
        .prop_map(|(value, included)| Bound { value, included });
    prop_oneof![
        (text, bound.clone()).prop_map(|(input, bound)| Condition::Range {
            input,
            range: Range { least: Some(bound), greatest: None }
        }),
        (text, bound).prop_map(|(input, bound)| Condition::Range {
            input,
            range: Range { least: None, greatest: Some(bound) }
        }),
        (text, prop::collection::vec(text, 1..5))
            .prop_map(|(input, levels)| Condition::Levels { input, levels }),
        text.prop_map(|input| Condition::Null { input }),
        ("[a-z][a-z0-9-]{0,9}", prop::collection::vec(text, 1..3))
            .prop_map(|(name, values)| Condition::Header { name, values }),
        (any::<IpAddr>(), 0..=32_u8).prop_map(|(address, bits)| Condition::Client {
            networks: vec![Network::of(address, bits).expect("few bits")]
        }),
    ]
}

/// The same question asked of the tree of a request of records.
fn slowly(segment: &Segment, rows: &[Value]) -> bool {
    let meets = |row: &Value, condition: &Condition| match condition {
        Condition::Range { input, range } => {
            row[input].as_f64().is_some_and(|value| range.contains(value))
        }
        Condition::Levels { input, levels } => match &row[input] {
            Value::String(text) => levels.contains(text),
            Value::Number(number) => {
                levels.iter().any(|level| level.parse::<f64>().ok() == number.as_f64())
            }
            _ => false,
        },
        Condition::Null { input } => row[input].is_null(),
        Condition::Header { .. } | Condition::Client { .. } => unreachable!("not generated"),
    };
    rows.iter().any(|row| segment.conditions().iter().all(|condition| meets(row, condition)))
}

/// The same rows as tensors; what a row does not have is null there.
fn tensors(rows: &[Value]) -> Value {
    let tensor = |(name, datatype): (&str, &str)| {
        let data: Vec<Value> = rows.iter().map(|row| row[name].clone()).collect();
        json!({"name": name, "shape": [rows.len()], "datatype": datatype, "data": data})
    };
    let names = [("age", "INT64"), ("wage", "FP64"), ("work", "BYTES")];
    json!({"inputs": names.map(tensor)})
}

const SEGMENTS: [&str; 8] = [
    "age >= 5",
    "age > 2 and age <= 6",
    "work in [a, b]",
    "age < 5 and work = a",
    "wage is null and age >= 3",
    "wage is null",
    "age in [1, 7] and work = c and wage > 0.5",
    "wage < 0.5 and work in [a, c]",
];

fn row() -> impl Strategy<Value = Value> {
    let wage = prop_oneof![Just(Value::Null), (0..10_u8).prop_map(|w| json!(f64::from(w) / 10.0))];
    (0..8_u8, prop::option::of(wage), "[abc]").prop_map(|(age, wage, work)| {
        let mut row = json!({"age": age, "work": work});
        if let Some(wage) = wage {
            row["wage"] = wage;
        }
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1912),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_spelled_is_read_back(conditions in prop::collection::vec(condition(), 1..6)) {
        if let Ok(segment) = Segment::of(conditions) {
            let spelled = segment.to_string();
            prop_assert_eq!(spelled.parse::<Segment>(), Ok(segment.clone()), "{}", spelled);
            let json = serde_json::to_string(&segment).expect("a text");
            prop_assert_eq!(serde_json::from_str::<Segment>(&json).ok(), Some(segment));
        }
    }

    #[test]
    fn any_text_is_a_segment_or_a_mistake(text in "\\PC{0,60}") {
        let _ = text.parse::<Segment>();
    }

    #[test]
    fn the_selector_says_what_the_tree_says(
        rows in prop::collection::vec(row(), 1..5), at in 0..SEGMENTS.len(), size in 1..40_usize,
    ) {
        let segment = segment(SEGMENTS[at]);
        let truth = slowly(&segment, &rows);
        let records = Value::from(rows.clone()).to_string();
        prop_assert_eq!(belongs(&segment, RECORD, records.as_bytes().chunks(size)), truth, "{}", records);
        let tensors = tensors(&rows).to_string();
        prop_assert_eq!(belongs(&segment, OIP, tensors.as_bytes().chunks(size)), truth, "{}", tensors);
    }

    #[test]
    fn chunks_change_nothing_whatever_comes(
        mut body in prop::collection::vec(any::<u8>(), 0..200),
        good in any::<bool>(), cut in 0..120_usize, size in 1..30_usize, at in 0..SEGMENTS.len(),
        format in prop::sample::select(vec!["json", "oip", "v1", "mlflow", "csv", "oip-grpc", "openai", "oip-binary:20"]),
    ) {
        if good {
            let start = br#"{"inputs":[{"name":"age","shape":[2],"datatype":"INT64","data":[4,"#;
            body.splice(0..0, start[..cut.min(start.len())].iter().copied());
        }
        let (format, segment) = (format.parse().expect("a format"), segment(SEGMENTS[at]));
        let whole = belongs(&segment, format, [&body[..]]);
        prop_assert_eq!(belongs(&segment, format, body.chunks(size)), whole);
    }
}
