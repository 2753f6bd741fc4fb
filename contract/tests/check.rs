//! What the check says of bodies, one fact each.

use std::sync::Arc;

use tidegate_contract::check::{Check, MAX_KEPT, Progress, Verdict};
use tidegate_contract::contract::Contract;
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;
use tidegate_contract::violation::Kind::{self, *};

const RECORD: Format = Format::plain(Layout::Record);
const OIP: Format = Format::plain(Layout::Oip);

const PEOPLE: &str = r#"{
    "inputs": [
        {"name": "age", "type": "integer", "min": 0, "max": 120},
        {"name": "wage", "type": "number", "nullable": true},
        {"name": "gender", "type": "text", "categories": ["Female", "Male"], "required": false},
        {"name": "since", "type": "text", "format": "date", "required": false},
        {"name": "member", "type": "boolean", "required": false}
    ],
    "outputs": [{"name": "class", "type": "integer", "max": 1}]
}"#;

fn check(format: Format, side: Side, body: &str) -> Verdict {
    let contract = Contract::parse(PEOPLE).expect("a good contract");
    let mut check = Check::new(Some(Arc::new(Rules::of(&contract))), format, side);
    check.feed(body.as_bytes());
    check.finish().clone()
}

type Breach = (Kind, String, Option<u64>);

fn breaches(verdict: &Verdict) -> Vec<Breach> {
    verdict.violations.iter().map(|it| (it.kind, it.field.clone(), it.row)).collect()
}

fn record(body: &str) -> Vec<Breach> {
    breaches(&check(RECORD, Side::Request, body))
}

/// A request for one row of `age` and `wage`, with this tensor beside them.
fn tensor(tensor: &str) -> Vec<Breach> {
    let body = format!(
        r#"{{"id": "7", "inputs": [
            {{"name": "age", "shape": [1], "datatype": "INT64", "data": [30]}},
            {{"name": "wage", "shape": [1, 1], "datatype": "FP64", "data": [[1.5]]}},
            {tensor}
        ]}}"#
    );
    breaches(&check(OIP, Side::Request, &body))
}

fn one(kind: Kind, field: &str, row: u64) -> Vec<Breach> {
    vec![(kind, field.to_owned(), Some(row))]
}

fn all(kind: Kind, field: &str) -> Vec<Breach> {
    vec![(kind, field.to_owned(), None)]
}

#[test]
fn a_good_record_passes() {
    let good = r#"{"age": 30, "wage": null, "gender": "Male", "since": "2020-02-29",
        "member": true}"#;
    assert_eq!(record(good), []);
    assert_eq!(record(&format!("[{good}, {good}]")), []);
    assert_eq!(check(RECORD, Side::Request, &format!("[{good}, {good}]")).rows, 2);
    assert_eq!(record("[]"), []);
}

#[test]
fn each_wrong_value_has_its_name() {
    let with = |field: &str, value: &str| {
        let rest: Vec<&str> = [("age", r#""age": 3"#), ("wage", r#""wage": 3"#)]
            .into_iter()
            .filter(|(name, _)| *name != field)
            .map(|(_, text)| text)
            .collect();
        record(&format!(r#"[{{"age": 1, "wage": 1}}, {{"{field}": {value}, {}}}]"#, rest.join(",")))
    };
    let cases = [
        ("age", "1986", IntTypeBigInt),
        ("age", "-1", IntTypeSmallInt),
        ("age", "3.5", IntTypeIntExpected),
        ("age", "true", IntTypeIntExpected),
        ("age", "{\"a\": [1]}", IntTypeIntExpected),
        ("age", "\"10k\"", IntTypeNotIntString),
        ("age", "\"42\"", NumberAsText),
        ("age", "null", FeatureTypeNotPresent),
        ("wage", "\"10k\"", FloatTypeStringNotFloat),
        ("wage", "\"inf\"", FloatTypeStringNotFloat),
        ("wage", "\"1e3\"", NumberAsText),
        ("wage", "1e999", FloatTypeBigFloat),
        ("wage", "-1e999", FloatTypeSmallFloat),
        ("wage", "[3]", FloatTypeNotFloat),
        ("gender", "1", EnumTypeIntNotString),
        ("gender", "1.5", EnumTypeFloatNotString),
        ("gender", "false", EnumTypeBytesNotString),
        ("gender", "\"male\"", EnumTypeUnexpectedStringValues),
        ("since", "\"2021-02-29\"", FormatMismatch),
        ("member", "1", BoolTypeUnexpectedString),
    ];
    for (field, value, kind) in cases {
        assert_eq!(with(field, value), one(kind, field, 1), "{field} {value}");
    }
    for (field, value) in [("age", "3.0"), ("age", "12e1"), ("wage", "-0.5e-3")] {
        assert_eq!(with(field, value), [], "{field} {value}");
    }
}

#[test]
fn a_violation_says_what_was_expected_and_what_came() {
    let told = |body: &str| {
        let violation = &check(RECORD, Side::Request, body).violations[0];
        format!("expected {}, got {}", violation.expected, violation.got)
    };
    assert_eq!(told(r#"{"age": 1986, "wage": 1}"#), "expected integer from 0 to 120, got 1986");
    assert_eq!(told(r#"{"age": 1, "wage": "10k"}"#), "expected number or null, got \"10k\"");
    assert_eq!(
        told(r#"{"age": 1, "wage": 1, "gender": "x"}"#),
        "expected one of \"Female\", \"Male\", got \"x\""
    );
    let long = format!(r#"{{"age": "{}", "wage": 1}}"#, "é".repeat(500));
    assert_eq!(
        told(&long),
        format!("expected integer from 0 to 120, got \"{}...\"", "é".repeat(64))
    );
}

#[test]
fn missing_unknown_and_repeated_fields_are_told_with_their_row() {
    assert_eq!(record(r#"[{"age": 1}]"#), one(SchemaMissingColumn, "wage", 0));
    assert_eq!(record(r#"{"age": 1, "wage": 1, "x": [1]}"#), one(SchemaNewColumn, "x", 0));
    let twice = r#"[{"wage": 1, "age": 1}, {"age": 1, "wage": 1, "age": 1986}]"#;
    assert_eq!(record(twice), one(FieldRepeated, "age", 1));
}

#[test]
fn a_row_without_names_lacks_the_fields_that_it_is_too_short_for() {
    assert_eq!(record("[[]]").len(), 2);
    assert_eq!(record("[1]"), one(SchemaMissingColumn, "wage", 0));
    assert_eq!(record("3"), one(SchemaMissingColumn, "wage", 0));
    assert_eq!(record("[[30, 1.5]]"), []);
}

#[test]
fn a_body_that_is_no_record_is_unreadable() {
    for body in ["", "{\"age\": 1", "{} {}", "nul", "[1"] {
        let verdict = check(RECORD, Side::Request, body);
        assert!(verdict.unreadable, "{body}");
        assert_eq!(verdict.violations.last().map(|it| it.kind), Some(BodyUnreadable), "{body}");
    }
    let deep = format!(r#"{{"age": 1, "wage": 1, "gender": "Male", "x": {}"#, "[".repeat(10_000));
    let found = record(&deep);
    assert_eq!(found, [one(SchemaNewColumn, "x", 0), all(BodyTooDeep, "")].concat());
}

#[test]
fn text_that_is_not_utf8_has_its_own_name() {
    let mut check = Check::new(None, RECORD, Side::Request);
    check.feed(b"{\"age\": \"\xff\"}");
    assert_eq!(breaches(check.finish()), all(EnumTypeInvalidUtf8, ""));
}

#[test]
fn a_good_tensor_passes_flat_or_nested_in_any_order_of_keys() {
    for good in [
        r#"{"name": "gender", "shape": [2, 1], "datatype": "BYTES", "data": ["Male", "Female"]}"#,
        r#"{"data": [["Male"], ["Female"]], "datatype": "BYTES", "shape": [2, 1], "name": "gender"}"#,
        r#"{"shape": [0], "name": "gender", "data": [], "parameters": {"a": {"b": [1]}}, "z": [[]],
            "datatype": "BYTES"}"#,
        r#"{"name": "gender", "shape": [9], "datatype": "BYTES",
            "parameters": {"shared_memory_region": "r"}}"#,
    ] {
        assert_eq!(tensor(good), [], "{good}");
    }
}

#[test]
fn the_row_of_a_tensor_is_its_first_dimension() {
    let early = r#"{"data": [["Male", "Male"], ["Male", "x"]], "shape": [2, 2], "name": "gender",
        "datatype": "BYTES"}"#;
    let late = r#"{"name": "gender", "shape": [2, 2], "datatype": "BYTES",
        "data": ["Male", "Male", "Male", "x"]}"#;
    for body in [early, late] {
        assert_eq!(tensor(body), one(EnumTypeUnexpectedStringValues, "gender", 1));
    }
}

#[test]
fn what_a_tensor_declares_is_held_against_the_contract() {
    let cases = [
        (r#""shape": [1], "datatype": "INT64", "data": [1]"#, UnexpectedDataType),
        (r#""shape": [1], "datatype": "STRING", "data": ["Male"]"#, UnexpectedDataType),
        (r#""shape": [1], "data": ["Male"]"#, UnexpectedDataType),
        (r#""shape": [-2], "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": [-1, -1], "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": [2, -1], "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": [-1, 2], "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": [0, -1], "datatype": "BYTES", "data": []"#, InvalidFeatureShape),
        (r#""shape": [1.5], "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": "1", "datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""datatype": "BYTES", "data": ["Male"]"#, InvalidFeatureShape),
        (r#""shape": [2], "datatype": "BYTES", "data": ["Male"]"#, FeatureTypeLowNumberValues),
        (r#""shape": [2], "datatype": "BYTES""#, FeatureTypeLowNumberValues),
        (r#""shape": [0], "datatype": "BYTES", "data": ["Male"]"#, FeatureTypeHighNumberValues),
        (
            r#""shape": [4294967296, 4294967296], "datatype": "BYTES", "data": ["Male"]"#,
            InvalidFeatureShape,
        ),
    ];
    for (rest, kind) in cases {
        let text = format!(r#"{{"name": "gender", {rest}}}"#);
        assert_eq!(tensor(&text), all(kind, "gender"), "{rest}");
    }
}

#[test]
fn an_extent_may_be_left_to_the_values_and_written_as_text() {
    for shape in
        ["[-1]", "[-1, 1]", "[3, -1]", "[-1, 3]", "[1, -1, 3]", r#"["3", "1"]"#, "[3.0, 1]"]
    {
        for rest in [
            format!(r#""shape": {shape}, "datatype": "bytes", "data": ["Male", "Male", "Male"]"#),
            format!(
                r#""data": [["Male"], ["Male"], ["Male"]], "datatype": "BYTES", "shape": {shape}"#
            ),
        ] {
            assert_eq!(tensor(&format!(r#"{{"name": "gender", {rest}}}"#)), [], "{rest}");
        }
    }
    // The row of a value is that of the shape that the values make.
    for (shape, row) in [("[-1]", 2), ("[-1, 1]", 2), ("[1, -1]", 0), ("[-1, 3]", 0)] {
        let rest =
            format!(r#""shape": {shape}, "datatype": "BYTES", "data": ["Male", "Male", "x"]"#);
        let found = tensor(&format!(r#"{{"name": "gender", {rest}}}"#));
        assert_eq!(found, one(EnumTypeUnexpectedStringValues, "gender", row), "{rest}");
    }
}

#[test]
fn how_many_rows_the_values_make_is_held_against_the_contract() {
    let found = |asked: &str, shape: &str| {
        let contract =
            format!(r#"{{"inputs": [{{"name": "x", "type": "number", "shape": {asked}}}]}}"#);
        let contract = Contract::parse(&contract).expect("a good contract");
        let mut check = Check::new(Some(Arc::new(Rules::of(&contract))), OIP, Side::Request);
        let body = format!(
            r#"{{"inputs": [{{"name": "x", "shape": {shape}, "datatype": "FP32", "data": [1, 2, 3, 4]}}]}}"#
        );
        check.feed(body.as_bytes());
        let verdict = check.finish();
        (breaches(verdict), verdict.rows)
    };
    for (asked, shape, rows) in [
        ("[-1, 2]", "[-1, 2]", 2),
        ("[2, 2]", "[-1, 2]", 2),
        ("[4]", "[-1]", 4),
        ("[2, 2]", "[2, -1]", 2),
    ] {
        assert_eq!(found(asked, shape), (vec![], rows), "{asked} {shape}");
    }
    for (asked, shape) in
        [("[3, 2]", "[-1, 2]"), ("[-1, 2]", "[-1]"), ("[-1, 3]", "[-1, 3]"), ("[-1]", "[-1, 2]")]
    {
        assert_eq!(found(asked, shape).0, all(InvalidFeatureShape, "x"), "{asked} {shape}");
    }
}

#[test]
fn a_mark_of_byte_order_is_passed_over() {
    assert_eq!(record("\u{feff}{\"age\": 30, \"wage\": 1.5}"), []);
    assert_eq!(record("\u{feff}{\"age\": 300, \"wage\": 1.5}"), one(IntTypeBigInt, "age", 0));
    assert!(check(RECORD, Side::Request, "\u{feff}").unreadable);
    assert!(check(RECORD, Side::Request, "\u{feff}\u{feff}{}").unreadable);
}

#[test]
fn rows_stand_in_every_list_below_a_root_that_has_no_field() {
    const GOOD: &str = r#"{"age": 30, "wage": 1.5}"#;
    const BAD: &str = r#"{"age": 300, "wage": 1.5}"#;
    for body in [
        format!(r#"{{"rows": [{GOOD}]}}"#),
        format!(r#"{{"id": "a", "at": 1, "more": {{"age": 300}}, "rows": [{GOOD}]}}"#),
        format!(
            r#"{{"names": ["a", 1, null], "rows": [{GOOD}], "tags": [1], "more": {{"a": [1]}}}}"#
        ),
        r#"{"rows": []}"#.to_owned(),
    ] {
        assert_eq!(record(&body), [], "{body}");
    }
    // Whichever of them the server reads.
    for (body, row) in [
        (format!(r#"{{"rows": [{GOOD}], "others": [{BAD}]}}"#), 1),
        (format!(r#"{{"rows": [], "rows": [{GOOD}, {BAD}]}}"#), 1),
        (format!(r#"{{"a": [1], "rows": [{BAD}], "rows": [{GOOD}]}}"#), 0),
    ] {
        assert_eq!(record(&body), one(IntTypeBigInt, "age", row), "{body}");
    }
    assert!(check(RECORD, Side::Request, r#"{"rows": [1, 2]}"#).unreadable);
    // What stands beside the fields of a row is one of its own.
    let strange = r#"{"x": 1, "age": 30, "y": 2, "wage": 1.5}"#;
    let names: Vec<_> = record(strange).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let many: String = (0..100).map(|at| format!("\"x{at}\": 1,")).collect();
    let verdict = check(RECORD, Side::Request, &format!("{{{many} \"age\": 30, \"wage\": 1}}"));
    assert_eq!((verdict.count, verdict.violations.len()), (100, MAX_KEPT));
}

#[test]
fn a_value_must_fit_the_datatype_it_was_declared_with() {
    let age = |datatype: &str, value: &str| {
        let body = format!(
            r#"{{"inputs": [{{"name": "wage", "shape": [1], "datatype": "{datatype}",
                "data": [{value}]}}, {{"name": "age", "shape": [0], "datatype": "INT8",
                "data": []}}]}}"#
        );
        breaches(&check(OIP, Side::Request, &body))
    };
    assert_eq!(age("UINT8", "255"), []);
    assert_eq!(age("UINT8", "256"), one(IntTypeBigInt, "wage", 0));
    assert_eq!(age("UINT64", "-1"), one(IntTypeSmallInt, "wage", 0));
    assert_eq!(age("UINT64", "18446744073709551615"), []);
    assert_eq!(age("INT64", "9223372036854775808"), one(IntTypeBigInt, "wage", 0));
    assert_eq!(age("INT64", &"9".repeat(90)), one(IntTypeBigInt, "wage", 0));
    assert_eq!(age("INT32", "1.5"), one(IntTypeIntExpected, "wage", 0));
    assert_eq!(age("FP32", "1.5"), []);
    assert_eq!(age("FP32", "\"10k\""), one(FloatTypeStringNotFloat, "wage", 0));
}

#[test]
fn a_broken_envelope_is_unreadable() {
    for body in [
        "[]",
        "{}",
        r#"{"inputs": {}}"#,
        r#"{"inputs": [3]}"#,
        r#"{"inputs": [{}]}"#,
        r#"{"inputs": [], "inputs": []}"#,
        r#"{"inputs": [{"name": "age", "name": "wage"}]}"#,
        r#"{"inputs": [{"name": "age", "data": {}}]}"#,
        r#"{"inputs": [{"name": 3}]}"#,
    ] {
        assert!(check(OIP, Side::Request, body).unreadable, "{body}");
    }
}

#[test]
fn missing_unknown_and_repeated_tensors_are_told_once() {
    assert_eq!(
        breaches(&check(OIP, Side::Request, r#"{"inputs": []}"#)),
        [all(SchemaMissingColumn, "age"), all(SchemaMissingColumn, "wage")].concat()
    );
    let unknown = r#"{"name": "x", "shape": [1], "datatype": "INT8", "data": [9999]}"#;
    assert_eq!(tensor(unknown), all(SchemaNewColumn, "x"));
    let again = r#"{"name": "age", "shape": [1], "datatype": "INT8", "data": [9999]}"#;
    assert_eq!(tensor(again), all(FieldRepeated, "age"));
}

#[test]
fn numbers_in_a_value_that_is_none_are_no_rows() {
    let numbers = vec!["7"; 100].join(",");
    let body = format!(
        r#"{{"inputs": [{{"name": "age", "shape": [2], "datatype": "INT64", "data": [{{"x": [{numbers}]}}, 30]}},
            {{"name": "wage", "shape": [2], "datatype": "FP64", "data": [1, 2]}}]}}"#
    );
    assert_eq!(breaches(&check(OIP, Side::Request, &body)), one(IntTypeIntExpected, "age", 0));
}

#[test]
fn values_that_come_too_early_are_held_up_to_a_bound() {
    let early = |count: usize| {
        let data = vec!["\"Male\""; count].join(",");
        tensor(&format!(
            r#"{{"data": [{data}], "name": "gender", "shape": [{count}], "datatype": "BYTES"}}"#
        ))
    };
    assert_eq!(early(100_000), []);
    assert_eq!(early(200_000), all(BodyUnreadable, ""));
}

#[test]
fn responses_are_held_against_the_outputs() {
    let answer = |value: &str| {
        let body = format!(
            r#"{{"model_name": "m", "model_version": null, "outputs": [{{"name": "class",
                "shape": [2, 1], "datatype": "INT64", "parameters": null, "data": [0, {value}]}}]}}"#
        );
        breaches(&check(OIP, Side::Response, &body))
    };
    assert_eq!(answer("1"), []);
    assert_eq!(answer("2"), one(IntTypeBigInt, "class", 1));
}

#[test]
fn without_rules_only_readability_is_asked() {
    let mut check = Check::new(None, RECORD, Side::Request);
    assert_eq!(check.feed(br#"{"anything": ["#), Progress::Reading);
    assert_eq!(check.feed(b"]}"), Progress::Whole);
    assert_eq!(check.feed(b" \n"), Progress::Whole);
    assert_eq!(check.finish().count, 0);
}

#[test]
fn a_side_without_fields_is_not_asked_anything() {
    let contract = r#"{"inputs": [{"name": "a", "type": "text"}]}"#;
    let rules = Arc::new(Rules::of(&Contract::parse(contract).expect("good")));
    let mut check = Check::new(Some(rules), RECORD, Side::Response);
    check.feed(br#"{"anything": 1}"#);
    assert_eq!(check.finish().count, 0);
}

#[test]
fn all_violations_are_counted_and_the_first_kept() {
    let rows = vec![r#"{"age": 999, "wage": 1}"#; 100].join(",");
    let verdict = check(RECORD, Side::Request, &format!("[{rows}]"));
    assert_eq!((verdict.count, verdict.violations.len()), (100, MAX_KEPT));
    assert_eq!(verdict.violations[15].row, Some(15));
}

#[test]
fn a_violation_stands_before_the_body_is_whole() {
    let contract = Contract::parse(PEOPLE).expect("good");
    let rules = Arc::new(Rules::of(&contract));
    let mut check = Check::new(Some(rules), RECORD, Side::Request);
    assert_eq!(check.feed(br#"{"age": 1986,"#), Progress::Reading);
    assert_eq!(check.verdict().count, 1);
}
