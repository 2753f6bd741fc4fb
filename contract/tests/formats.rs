//! What bodies of every format look like as columns and to the check, one fact each; and that the same
//! table is the same whatever it is written in.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use tidegate_contract::check::Check;
use tidegate_contract::columns::{self, Cell, Columns, Wanted};
use tidegate_contract::contract::{Contract, Field};
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;
use tidegate_contract::violation::Kind::{self, *};

const FLOWERS: &str = r#"{"inputs": [
    {"name": "length", "type": "number", "min": 0},
    {"name": "width", "type": "number", "min": 0, "nullable": true},
    {"name": "kind", "type": "text", "categories": ["a", "b"]}
]}"#;

fn fields(contract: &str) -> Vec<Field> {
    Contract::parse(contract).expect("a good contract").inputs
}

/// The columns of a request, or of a response, in words.
fn read(format: Format, side: Side, contract: &str, names: &[&str], body: &[u8]) -> Vec<String> {
    let wanted = Wanted::new(names.iter().copied()).in_fields(&fields(contract));
    let table = columns::read(body, format, side, &wanted, 10_000);
    let Columns { rows, columns } = match table {
        Ok(table) => table,
        Err(unreadable) => return vec![unreadable.to_string()],
    };
    let cell = |cell: &Cell| match cell {
        Cell::Null => "-".to_owned(),
        Cell::Number(value) => value.to_string(),
        Cell::Text(text) => text.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Nested => "nested".to_owned(),
    };
    let told = columns.iter().map(|column| {
        assert_eq!(column.cells.len(), rows);
        let cells: Vec<String> = column.cells.iter().map(cell).collect();
        format!("{}: {}", column.name, cells.join(" "))
    });
    told.collect()
}

fn flowers(layout: Layout, body: &str) -> Vec<String> {
    let names = ["length", "width", "kind"];
    read(Format::plain(layout), Side::Request, FLOWERS, &names, body.as_bytes())
}

/// What the check finds in a request, in chunks of `size`.
fn breaches(format: Format, contract: &str, body: &[u8], size: usize) -> Vec<(Kind, String)> {
    let contract = Contract::parse(contract).expect("a good contract");
    let rules = Some(Arc::new(Rules::of(&contract)));
    let mut check = Check::new(rules, format, Side::Request);
    body.chunks(size).for_each(|chunk| {
        check.feed(chunk);
    });
    let verdict = check.finish();
    verdict.violations.iter().map(|it| (it.kind, it.field.clone())).collect()
}

fn found(layout: Layout, body: &str) -> Vec<(Kind, String)> {
    breaches(Format::plain(layout), FLOWERS, body.as_bytes(), 7)
}

const TABLE: [&str; 3] = ["length: 5.1 7", "width: 3.5 -", "kind: a b"];

#[test]
fn instances_are_rows_whether_named_or_not() {
    let named = r#"{"signature_name": "s", "instances": [
        {"length": 5.1, "width": 3.5, "kind": "a"}, {"kind": "b", "length": 7, "width": null}]}"#;
    assert_eq!(flowers(Layout::V1, named), TABLE);
    let unnamed = r#"{"instances": [[5.1, 3.5, "a"], [7, null, "b"]]}"#;
    assert_eq!(flowers(Layout::V1, unnamed), TABLE);
    assert_eq!(found(Layout::V1, named), []);
    assert_eq!(found(Layout::V1, unnamed), []);
}

#[test]
fn inputs_are_columns() {
    let body = r#"{"inputs": {"length": [5.1, 7], "width": [3.5, null], "kind": ["a", "b"]}}"#;
    for layout in [Layout::V1, Layout::Mlflow] {
        assert_eq!(flowers(layout, body), TABLE);
        assert_eq!(found(layout, body), []);
    }
}

#[test]
fn data_frames_are_read_as_pandas_writes_them() {
    let split = r#"{"dataframe_split": {"index": [0, 1], "columns": ["length", "width", "kind"],
        "data": [[5.1, 3.5, "a"], [7, null, "b"]]}, "params": {"x": [1]}}"#;
    assert_eq!(flowers(Layout::Mlflow, split), TABLE);
    let records = r#"{"dataframe_records": [
        {"length": 5.1, "width": 3.5, "kind": "a"}, {"length": 7, "kind": "b"}]}"#;
    assert_eq!(flowers(Layout::Mlflow, records), TABLE);
    assert_eq!(found(Layout::Mlflow, split), []);
    assert_eq!(found(Layout::Mlflow, records), [(SchemaMissingColumn, "width".to_owned())]);
}

#[test]
fn rows_before_their_columns_wait_for_them() {
    let body = r#"{"dataframe_split": {"data": [[5.1, 3.5, "a"], [7, null, "b"]], "index": [0, 1],
        "columns": ["length", "width", "kind"]}}"#;
    assert_eq!(flowers(Layout::Mlflow, body), TABLE);
    assert_eq!(found(Layout::Mlflow, body), []);
    let bad = body.replace("5.1", "-5.1");
    assert_eq!(found(Layout::Mlflow, &bad), [(FloatTypeSmallFloat, "length".to_owned())]);
}

#[test]
fn rows_may_stand_in_a_list_that_has_some_name() {
    for body in [
        r#"{"people": [{"length": 5.1, "width": 3.5, "kind": "a"}, {"length": 7, "width": null, "kind": "b"}]}"#,
        r#"{"input_data": [[5.1, 3.5, "a"], [7, null, "b"]], "parameters": {"x": [1]}, "y": 3}"#,
    ] {
        assert_eq!(flowers(Layout::Record, body), TABLE, "{body}");
        assert_eq!(found(Layout::Record, body), [], "{body}");
    }
    let bad = r#"{"people": [{"length": -1, "width": 3.5, "kind": "a"}]}"#;
    assert_eq!(found(Layout::Record, bad), [(FloatTypeSmallFloat, "length".to_owned())]);
    // Beside fields it is only a field that nobody knows.
    let beside = r#"{"length": 5.1, "width": 3.5, "kind": "a", "people": [{"length": 1}]}"#;
    assert_eq!(found(Layout::Record, beside), [(SchemaNewColumn, "people".to_owned())]);
}

#[test]
fn numbers_that_are_not_finite_are_nulls_or_breaches() {
    let body = r#"{"instances": [{"length": NaN, "width": NaN, "kind": "a"}, {"length": -Infinity, "width": 1, "kind": "b"}]}"#;
    assert_eq!(
        found(Layout::V1, body),
        [(FloatTypeHasNan, "length".to_owned()), (FloatTypeHasInf, "length".to_owned())]
    );
}

#[test]
fn a_table_of_lines_is_read_as_pandas_reads_it() {
    let lines = "length,width,kind\r\n5.1,3.5,a\r\n7,,\"b\"\r\n";
    assert_eq!(flowers(Layout::Csv, lines), TABLE);
    assert_eq!(found(Layout::Csv, lines), []);
    assert_eq!(
        flowers(Layout::Csv, "kind,length\n\"a, \"\"b\"\"\n\",007"),
        ["kind: a, \"b\"\n", "length: 7"]
    );
    // A cell is what its field is.
    let lines =
        "\u{feff}kind,length,width\na, +5.1,\"3.5\"\n012,.5 ,007\ntrue,1e1,NULL\n\"\",2.,None\n";
    assert_eq!(
        flowers(Layout::Csv, lines),
        ["kind: a 012 true -", "length: 5.1 0.5 10 2", "width: 3.5 7 - -"]
    );
    let wrong = [FloatTypeHasInf, FloatTypeNotFloat, FloatTypeStringNotFloat];
    let lines = "length,width,kind\ninf,1,a\nTRUE,1,b\n+-1,1,a\n";
    assert_eq!(found(Layout::Csv, lines), wrong.map(|kind| (kind, "length".to_owned())));
}

#[test]
fn what_is_wrong_is_found_in_every_format() {
    let high = |kind| vec![(kind, "length".to_owned())];
    for (layout, body) in [
        (Layout::V1, r#"{"instances": [{"length": -1, "width": 1, "kind": "a"}]}"#),
        (Layout::V1, r#"{"instances": [[-1, 1, "a"]]}"#),
        (Layout::V1, r#"{"inputs": {"length": [-1], "width": [1], "kind": ["a"]}}"#),
        (Layout::Mlflow, r#"{"instances": [[-1, 1, "a"]]}"#),
        (
            Layout::Mlflow,
            r#"{"dataframe_split": {"columns": ["length", "width", "kind"], "data": [[-1, 1, "a"]]}}"#,
        ),
        (Layout::Csv, "length,width,kind\n-1,1,a\n"),
        (Layout::Record, r#"[[-1, 1, "a"]]"#),
        (Layout::Record, r#"{"length": -1, "width": 1, "kind": "a"}"#),
    ] {
        assert_eq!(found(layout, body), high(FloatTypeSmallFloat), "{body}");
    }
}

#[test]
fn a_row_without_names_has_as_many_values_as_the_contract_has_fields() {
    assert_eq!(
        found(Layout::V1, r#"{"instances": [[1, 2], [1, 2, "a", 4]]}"#),
        [(SchemaMissingColumn, "kind".to_owned()), (SchemaNewColumn, "[3]".to_owned())]
    );
}

#[test]
fn envelopes_that_are_none_say_what_is_missing() {
    for (layout, body) in [
        (Layout::V1, "[1]"),
        (Layout::V1, "{}"),
        (Layout::V1, r#"{"instances": [], "inputs": []}"#),
        (Layout::Mlflow, r#"{"columns": ["a"], "data": [[1]]}"#),
        (Layout::Mlflow, r#"{"dataframe_split": [[1]]}"#),
        (Layout::Mlflow, r#"{"dataframe_split": {"columns": ["a"]}}"#),
        (Layout::Mlflow, r#"{"dataframe_split": {"data": 1}}"#),
        (Layout::Mlflow, r#"{"dataframe_split": {"data": [[1, 2]], "columns": ["a"]}}"#),
        (Layout::Mlflow, r#"{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}"#),
        (Layout::Csv, ""),
        (Layout::Csv, "length,width,kind\n1,2,a,4"),
        (Layout::Csv, "length\n\"1"),
    ] {
        assert!(found(layout, body).contains(&(BodyUnreadable, String::new())), "{body}");
    }
}

#[test]
fn an_unnamed_tensor_is_the_one_field_that_there_is() {
    let image = r#"{"inputs": [{"name": "x", "type": "number", "max": 1, "shape": [-1, 2, 2]}]}"#;
    let found = |body: &str| breaches(Format::plain(Layout::V1), image, body.as_bytes(), 5);
    assert_eq!(found(r#"{"instances": [[[0, 1], [0.5, 1]], [[0, 0], [0, 0]]]}"#), []);
    assert_eq!(
        found(r#"{"instances": [[[0, 1], [0.5]], [[0, 0], [0, 2]]]}"#),
        [(InvalidFeatureShape, "x".to_owned()), (FloatTypeBigFloat, "x".to_owned())]
    );
    assert_eq!(found(r#"{"instances": [[0, 1]]}"#).len(), 1);
    let named = r#"{"instances": [{"x": [[0, 1], [1, 0]]}]}"#;
    assert_eq!(found(named), []);
    let columns =
        read(Format::plain(Layout::V1), Side::Request, image, &["x[0]", "x[3]"], named.as_bytes());
    assert_eq!(columns, ["x[0]: 0", "x[3]: 0"]);
}

#[test]
fn bytes_in_base64_are_one_value() {
    let contract =
        r#"{"inputs": [{"name": "image", "type": "bytes"}, {"name": "key", "type": "text"}]}"#;
    let body = br#"{"instances": [{"image": {"b64": "aGk="}, "key": "k"}]}"#;
    assert_eq!(breaches(Format::plain(Layout::V1), contract, body, 4), []);
    let body = br#"{"instances": [{"image": {"b65": "aGk="}, "key": "k"}]}"#;
    let found = breaches(Format::plain(Layout::V1), contract, body, 4);
    assert_eq!(found, [(EnumTypeBytesNotString, "image".to_owned())]);
}

#[test]
fn places_of_a_row_may_have_names() {
    let contract = r#"{"inputs": [
        {"name": "predict", "type": "number", "shape": [-1, 2], "columns": ["length", "width"]}]}"#;
    let tensor = r#"{"inputs": [{"name": "predict", "shape": [2, 2], "datatype": "FP32",
        "data": [5.1, 3.5, 7, 1]}]}"#;
    let names = ["length", "width"];
    let told = read(Format::plain(Layout::Oip), Side::Request, contract, &names, tensor.as_bytes());
    assert_eq!(told, ["length: 5.1 7", "width: 3.5 1"]);
    let rows = r#"{"instances": [[5.1, 3.5], [7, 1]]}"#;
    let told = read(Format::plain(Layout::V1), Side::Request, contract, &names, rows.as_bytes());
    assert_eq!(told, ["length: 5.1 7", "width: 3.5 1"]);
}

#[test]
fn predictions_are_read_as_rows_or_columns() {
    let contract = r#"{"inputs": [{"name": "score", "type": "number"}]}"#;
    let told = |body: &str| {
        read(Format::plain(Layout::V1), Side::Response, contract, &["score"], body.as_bytes())
    };
    assert_eq!(told(r#"{"predictions": [0.5, 0.25]}"#), ["score: 0.5 0.25"]);
    assert_eq!(told(r#"{"predictions": [{"score": 0.5}]}"#), ["score: 0.5"]);
    assert_eq!(told(r#"{"outputs": {"score": [0.5]}, "model": 1}"#), ["score: 0.5"]);
}

#[test]
fn objects_within_a_record_are_named_from_the_outside() {
    let contract = r#"{"inputs": [
        {"name": "model", "type": "text"},
        {"name": "messages[].role", "type": "text", "categories": ["user", "system"]},
        {"name": "user.age", "type": "integer"},
        {"name": "tags", "type": "text", "shape": [-1], "required": false}
    ], "allow_unknown": true}"#;
    let found = |body: &str| breaches(Format::plain(Layout::Openai), contract, body.as_bytes(), 6);
    let good = r#"{"model": "m", "messages": [{"role": "system", "content": "x"}, {"role": "user"}],
        "user": {"age": 3, "more": {"age": "x"}}, "tags": ["a"], "tools": [{"a": []}]}"#;
    assert_eq!(found(good), []);
    let bad =
        r#"{"model": "m", "messages": [{"role": "robot"}], "user": {"age": "x"}, "tags": "a"}"#;
    assert_eq!(
        found(bad),
        [
            (EnumTypeUnexpectedStringValues, "messages[].role".to_owned()),
            (IntTypeNotIntString, "user.age".to_owned()),
            (InvalidFeatureShape, "tags".to_owned()),
        ]
    );
    assert_eq!(
        found(r#"{"model": "m", "messages": [{"role": "user"}], "user": 7}"#),
        [(InvalidFeatureShape, "user".to_owned()), (SchemaMissingColumn, "user.age".to_owned())]
    );
}

#[test]
fn a_number_where_objects_should_stand_is_found_in_any_chunks() {
    let contract =
        r#"{"inputs": [{"name": "items[].price", "type": "number", "required": false}]}"#;
    let body = br#"{"items": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]}"#;
    for size in [1, 7, usize::MAX] {
        let found = breaches(Format::plain(Layout::Record), contract, body, size);
        assert_eq!(found, [(InvalidFeatureShape, "items".to_owned())], "chunks of {size}");
        let between = br#"{"items": [{"price": 1}, 33, 34, "x", {"price": "y"}]}"#;
        let found = breaches(Format::plain(Layout::Record), contract, between, size);
        assert_eq!(
            found,
            [
                (InvalidFeatureShape, "items".to_owned()),
                (FloatTypeStringNotFloat, "items[].price".to_owned())
            ],
            "chunks of {size}"
        );
    }
}

#[test]
fn a_streamed_answer_is_the_record_that_it_would_have_been() {
    let names = ["choices[].message.content", "choices[].finish_reason", "usage.completion_tokens"];
    let stream = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n\
        : a comment\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":null}]}\r\n\r\n\
        data:{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"choices\":[],\ndata: \"usage\":{\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let whole = r#"{"choices": [{"message": {"role": "assistant", "content": "Hello"},
        "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}"#;
    let contract = r#"{"inputs": [{"name": "x", "type": "any"}]}"#;
    let sorted = |layout, body: &str| {
        let format = Format::plain(layout);
        let mut told = read(format, Side::Response, contract, &names, body.as_bytes());
        told.sort();
        told
    };
    let told = sorted(Layout::OpenaiStream, stream);
    assert_eq!(
        told,
        [
            "choices[].finish_reason: stop",
            "choices[].message.content: Hello",
            "usage.completion_tokens: 2"
        ]
    );
    assert_eq!(sorted(Layout::Openai, whole), told);
    assert!(sorted(Layout::OpenaiStream, "data: {\"a\": \n\n")[0].contains("not readable"));
}

#[test]
fn a_cloud_event_holds_the_body_under_data() {
    let format = Format { layout: Layout::V1, cloud_event: true };
    let body = br#"{"specversion": "1.0", "id": "7", "source": {"data": 1}, "data":
        {"instances": [{"length": 1, "width": 1, "kind": "a"}]}, "type": "t"}"#;
    assert_eq!(breaches(format, FLOWERS, body, 3), []);
    // KServe knows an event by its keys, whatever its head says.
    let plain = Format::plain(Layout::V1);
    assert_eq!(breaches(plain, FLOWERS, body, 3), []);
    let beside = br#"{"instances": [{"length": 1, "width": 1, "kind": "a"}], "data": {"x": [1]}}"#;
    assert_eq!(breaches(plain, FLOWERS, beside, 3), []);
    let bad = br#"{"data": {"instances": [{"length": "x", "width": 1, "kind": "a"}]}, "id": "7"}"#;
    assert_eq!(breaches(format, FLOWERS, bad, 3), [(FloatTypeStringNotFloat, "length".to_owned())]);
    // Of two, KServe takes the event's.
    let both = br#"{"instances": [{"length": 1, "width": 1, "kind": "a"}], "id": "7",
        "data": {"instances": [{"length": "x", "width": 1, "kind": "a"}]}}"#;
    assert_eq!(breaches(plain, FLOWERS, both, 3), [(BodyUnreadable, String::new())]);
    for none in [
        &br#"{"id": "7"}"#[..],
        b"[]",
        br#"{"data": "x"}"#,
        br#"{"data": {"instances": []}, "data": 1}"#,
    ] {
        let found = breaches(format, FLOWERS, none, 3);
        assert!(found.iter().any(|(kind, _)| *kind == BodyUnreadable), "{found:?}");
    }
}

/// One table, as it is written in each format that can hold it.
fn written(rows: &[(f64, Option<f64>, String)]) -> Vec<(Layout, Vec<u8>)> {
    let object = |(length, width, kind): &(f64, Option<f64>, String)| json!({"length": length, "width": width, "kind": kind});
    let list = |(length, width, kind): &(f64, Option<f64>, String)| json!([length, width, kind]);
    let objects: Vec<Value> = rows.iter().map(object).collect();
    let lists: Vec<Value> = rows.iter().map(list).collect();
    let column = |at: usize| -> Vec<Value> { lists.iter().map(|row| row[at].clone()).collect() };
    let columns = json!({"length": column(0), "width": column(1), "kind": column(2)});
    let names = json!(["length", "width", "kind"]);
    let split = json!({"columns": names, "data": lists});
    let mut csv = "length,width,kind\n".to_owned();
    for (length, width, kind) in rows {
        let width = width.map(|width| width.to_string()).unwrap_or_default();
        csv.push_str(&format!("{length},{width},\"{}\"\n", kind.replace('"', "\"\"")));
    }
    let tensor = |name: &str, datatype: &str, at: usize| json!({"name": name, "datatype": datatype, "shape": [rows.len()], "data": column(at)});
    let tensors = json!({"inputs": [tensor("length", "FP64", 0), tensor("width", "FP64", 1), tensor("kind", "BYTES", 2)]});
    let json = |layout, value: Value| (layout, value.to_string().into_bytes());
    vec![
        json(Layout::V1, json!({"instances": objects})),
        json(Layout::V1, json!({"instances": lists})),
        json(Layout::V1, json!({"inputs": columns})),
        json(Layout::Mlflow, json!({"dataframe_split": split})),
        json(Layout::Mlflow, json!({"dataframe_split": {"columns": null, "data": lists}})),
        json(Layout::Mlflow, json!({"dataframe_split": {"columns": names, "data": objects}})),
        json(Layout::Mlflow, json!({"dataframe_split": {"data": objects}})),
        json(Layout::Mlflow, json!({"dataframe_records": objects})),
        json(Layout::Mlflow, json!({"inputs": columns})),
        json(Layout::Record, json!(objects)),
        json(Layout::Record, json!(lists)),
        json(Layout::Oip, tensors),
        (Layout::Csv, csv.into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_table_is_the_same_in_every_format(
        rows in proptest::collection::vec(
            (-1e6..1e6_f64, proptest::option::of(-1e3..1e3_f64), "[ab\", é]{1,4}"), 1..6),
        size in 1..40_usize,
    ) {
        let names = ["length", "width", "kind"];
        let verdict = |layout, body: &[u8]| {
            let mut found = breaches(Format::plain(layout), FLOWERS, body, size);
            found.sort_by_key(|(kind, field)| (format!("{kind:?}"), field.clone()));
            found
        };
        let mut all = written(&rows).into_iter().map(|(layout, body)| {
            let mut told = read(Format::plain(layout), Side::Request, FLOWERS, &names, &body);
            told.sort();
            let whole = breaches(Format::plain(layout), FLOWERS, &body, usize::MAX);
            let mut whole_sorted = whole.clone();
            whole_sorted.sort_by_key(|(kind, field)| (format!("{kind:?}"), field.clone()));
            assert_eq!(verdict(layout, &body), whole_sorted, "chunks change nothing: {layout:?}");
            (layout, told, whole_sorted)
        });
        let (_, told, found) = all.next().expect("some");
        for (layout, others_told, others_found) in all {
            prop_assert_eq!(&others_told, &told, "{:?}", layout);
            prop_assert_eq!(&others_found, &found, "{:?}", layout);
        }
    }

    #[test]
    fn no_bytes_panic_in_any_format(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        text in "[\\[\\]{}\",:0-9a-z. \n-]{0,80}",
        size in 1..20_usize,
    ) {
        for word in ["oip", "oip-binary:9", "oip-grpc", "oip-grpc-stream", "v1", "mlflow", "csv", "json",
            "openai", "openai-stream", "transcript", "cloudevent+v1"]
        {
            let format: Format = word.parse().expect("a format");
            let stream = format!("data: {text}\n\n");
            for body in [&bytes[..], text.as_bytes(), stream.as_bytes()] {
                prop_assert_eq!(
                    breaches(format, FLOWERS, body, size),
                    breaches(format, FLOWERS, body, usize::MAX),
                    "{}", word
                );
                let names = ["length", "width", "kind"];
                let _ = read(format, Side::Request, FLOWERS, &names, body);
            }
        }
    }
}
