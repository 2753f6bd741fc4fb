//! The streaming verdict against a slow and simple one on the whole tree, over generated requests;
//! and what must hold for any bytes at all.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use tidegate_contract::check::{Check, MAX_KEPT, Verdict};
use tidegate_contract::columns;
use tidegate_contract::contract::{Contract, Datatype, Field, FieldType};
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;
use tidegate_contract::violation::Kind::{self, *};

const RECORD: Format = Format::plain(Layout::Record);
const OIP: Format = Format::plain(Layout::Oip);

const CONTRACT: &str = r#"{"inputs": [
    {"name": "age", "type": "integer", "min": 0, "max": 120, "datatype": "INT64",
     "shape": [-1, 1]},
    {"name": "wage", "type": "number", "min": 0, "nullable": true},
    {"name": "sex", "type": "text", "categories": ["F", "M"]},
    {"name": "member", "type": "boolean"},
    {"name": "x", "type": "number", "shape": [-1, 3], "required": false}
]}"#;

fn contract() -> Contract {
    Contract::parse(CONTRACT).expect("a good contract")
}

fn verdict<'a>(format: Format, chunks: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let mut check = Check::new(Some(Arc::new(Rules::of(&contract()))), format, Side::Request);
    for chunk in chunks {
        check.feed(chunk);
    }
    check.finish().clone()
}

type Breach = (String, String, Option<u64>);

fn breach(kind: Kind, field: &str, row: Option<u64>) -> Breach {
    (format!("{kind:?}"), field.to_owned(), row)
}

/// The reference: everything that is wrong with a request, from its tree.
fn reference(body: &Value) -> Vec<Breach> {
    let contract = contract();
    let mut found = Vec::new();
    let mut came = Vec::new();
    for tensor in body["inputs"].as_array().expect("generated so") {
        let name = tensor["name"].as_str().expect("generated so");
        let Some(field) = contract.inputs.iter().find(|field| field.name == name) else {
            found.push(breach(SchemaNewColumn, name, None));
            continue;
        };
        let repeated = came.contains(&name);
        came.push(name);
        if repeated {
            found.push(breach(FieldRepeated, name, None));
        }
        let datatype = tensor["datatype"].as_str().and_then(Datatype::parse);
        let taken = datatype.is_some_and(|it| match field.datatype {
            Some(asked) => asked == it,
            None => it.carries(field.kind),
        });
        if !taken {
            found.push(breach(UnexpectedDataType, name, None));
        }
        let shape: Vec<u64> = tensor["shape"]
            .as_array()
            .expect("generated so")
            .iter()
            .map(|extent| extent.as_u64().expect("generated so"))
            .collect();
        let fits = field.shape.as_ref().is_none_or(|asked| {
            let same = |(asked, extent): (&i64, &u64)| *asked == -1 || *asked == *extent as i64;
            asked.len() == shape.len() && asked.iter().zip(&shape).all(same)
        });
        if !fits {
            found.push(breach(InvalidFeatureShape, name, None));
        }
        let mut values = Vec::new();
        flatten(&tensor["data"], &mut values);
        let (size, count) = (shape.iter().product::<u64>(), values.len() as u64);
        if count < size {
            found.push(breach(FeatureTypeLowNumberValues, name, None));
        } else if count > size {
            found.push(breach(FeatureTypeHighNumberValues, name, None));
        }
        if repeated || !taken {
            continue;
        }
        let width = shape.iter().skip(1).product::<u64>().max(1);
        for (place, value) in values.iter().enumerate() {
            let wrong = wrong(field, value).or_else(|| misfit(datatype, value));
            if let Some(kind) = wrong {
                found.push(breach(kind, name, Some(place as u64 / width)));
            }
        }
    }
    for field in contract.inputs.iter().filter(|field| field.required) {
        if !came.contains(&field.name.as_str()) {
            found.push(breach(SchemaMissingColumn, &field.name, None));
        }
    }
    found
}

fn flatten<'a>(data: &'a Value, values: &mut Vec<&'a Value>) {
    match data {
        Value::Array(inner) => inner.iter().for_each(|value| flatten(value, values)),
        value => values.push(value),
    }
}

fn wrong(field: &Field, value: &Value) -> Option<Kind> {
    use FieldType::{Any, Boolean, Bytes, Integer, Number, Text};
    let whole = value.as_f64().is_some_and(|value| value.fract() == 0.0);
    let below = value.as_f64().zip(field.min).is_some_and(|(value, min)| value < min);
    let above = value.as_f64().zip(field.max).is_some_and(|(value, max)| value > max);
    let numeric = value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
    match (field.kind, value) {
        (_, Value::Null) => (!field.nullable).then_some(FeatureTypeNotPresent),
        (Integer, Value::Number(_)) if above => Some(IntTypeBigInt),
        (Integer, Value::Number(_)) if below => Some(IntTypeSmallInt),
        (Integer, Value::Number(_)) => (!whole).then_some(IntTypeIntExpected),
        (Number, Value::Number(_)) if above => Some(FloatTypeBigFloat),
        (Number, Value::Number(_)) if below => Some(FloatTypeSmallFloat),
        (Number, Value::Number(_)) => None,
        (Integer | Number, Value::String(_)) if numeric => Some(NumberAsText),
        (Integer, Value::String(_)) => Some(IntTypeNotIntString),
        (Number, Value::String(_)) => Some(FloatTypeStringNotFloat),
        (Integer, _) => Some(IntTypeIntExpected),
        (Number, _) => Some(FloatTypeNotFloat),
        (Text, Value::String(text)) => {
            (!field.categories.contains(text)).then_some(EnumTypeUnexpectedStringValues)
        }
        (Text, Value::Number(number)) if number.is_f64() => Some(EnumTypeFloatNotString),
        (Text, Value::Number(_)) => Some(EnumTypeIntNotString),
        (Text, _) => Some(EnumTypeBytesNotString),
        (Boolean, Value::Bool(_)) => None,
        (Boolean, _) => Some(BoolTypeUnexpectedString),
        (Bytes | Any, _) => unreachable!("the contract has none"),
    }
}

/// Of the datatypes that are generated only INT64 has a range, and -1 is the least value.
fn misfit(datatype: Option<Datatype>, value: &Value) -> Option<Kind> {
    let value = value.as_f64().filter(|_| datatype == Some(Datatype::Int64))?;
    if value.fract() != 0.0 {
        return Some(IntTypeIntExpected);
    }
    (value > i64::MAX as f64).then_some(IntTypeBigInt)
}

/// How a good tensor of each field is written: datatype, values of one row, the value for a place.
fn good(name: &str, rows: u64) -> Value {
    let (datatype, width, value): (&str, u64, fn(u64) -> Value) = match name {
        "age" => ("INT64", 1, |place| json!(place % 121)),
        "wage" => ("FP64", 1, |place| json!(place as f64 + 0.5)),
        "sex" => ("BYTES", 1, |place| json!(["F", "M"][place as usize % 2])),
        "member" => ("BOOL", 1, |place| json!(place % 2 == 0)),
        _ => ("FP32", 3, |place| json!(place as f64 - 7.25)),
    };
    let data: Vec<Value> = (0..rows * width).map(value).collect();
    json!({"name": name, "datatype": datatype, "shape": [rows, width], "data": data})
}

fn good_request(rows: u64) -> Value {
    let tensors: Vec<Value> =
        ["age", "wage", "sex", "member"].iter().map(|name| good(name, rows)).collect();
    json!({"id": "1", "inputs": tensors})
}

/// One change that may make a request wrong.
#[derive(Debug, Clone)]
enum Change {
    Value(Index, Index, Value),
    Datatype(Index, &'static str),
    Shape(Index, Vec<u64>),
    Drop(Index),
    Repeat(Index),
    Rename(Index, &'static str),
    Lose(Index),
    Nest(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let value = select(vec![
        json!(1986),
        json!(-1),
        json!(3.5),
        json!(4.0),
        json!("10k"),
        json!("42"),
        json!("F"),
        json!("f"),
        json!(null),
        json!(true),
        json!(1),
        json!(1e300),
    ]);
    prop_oneof![
        6 => (any::<Index>(), any::<Index>(), value).prop_map(|(a, b, c)| Change::Value(a, b, c)),
        1 => (any::<Index>(), select(vec!["INT64", "FP64", "BYTES", "BOOL", "TEXT"]))
            .prop_map(|(a, b)| Change::Datatype(a, b)),
        1 => (any::<Index>(), proptest::collection::vec(0..5_u64, 0..4))
            .prop_map(|(a, b)| Change::Shape(a, b)),
        1 => any::<Index>().prop_map(Change::Drop),
        1 => any::<Index>().prop_map(Change::Repeat),
        1 => (any::<Index>(), select(vec!["age", "other", "x"]))
            .prop_map(|(a, b)| Change::Rename(a, b)),
        1 => any::<Index>().prop_map(Change::Lose),
        1 => any::<Index>().prop_map(Change::Nest),
    ]
}

fn apply(request: &mut Value, change: Change) {
    let tensors = request["inputs"].as_array_mut().expect("a list");
    if tensors.is_empty() {
        return;
    }
    let count = tensors.len();
    match change {
        Change::Value(tensor, place, value) => {
            if let Some(values) = tensors[tensor.index(count)]["data"].as_array_mut()
                && !values.is_empty()
            {
                let place = place.index(values.len());
                values[place] = value;
            }
        }
        Change::Datatype(tensor, name) => tensors[tensor.index(count)]["datatype"] = json!(name),
        Change::Shape(tensor, shape) => tensors[tensor.index(count)]["shape"] = json!(shape),
        Change::Drop(tensor) => drop(tensors.remove(tensor.index(count))),
        Change::Repeat(tensor) => tensors.push(tensors[tensor.index(count)].clone()),
        Change::Rename(tensor, name) => tensors[tensor.index(count)]["name"] = json!(name),
        Change::Lose(tensor) => {
            tensors[tensor.index(count)]["data"].as_array_mut().and_then(Vec::pop);
        }
        Change::Nest(tensor) => {
            let data = &mut tensors[tensor.index(count)]["data"];
            let rows = data.as_array().into_iter().flatten().map(|value| json!([value])).collect();
            *data = Value::Array(rows);
        }
    }
}

/// Writes a request with the keys of each tensor turned by some places.
fn written(request: &Value, turn: usize) -> String {
    let tensors: Vec<String> = request["inputs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tensor| {
            let mut keys = ["name", "datatype", "shape", "data"];
            keys.rotate_left(turn % 4);
            let parts: Vec<String> =
                keys.iter().map(|key| format!("\"{key}\": {}", tensor[*key])).collect();
            format!("{{{}}}", parts.join(", "))
        })
        .collect();
    format!("{{\"parameters\": {{\"a\": []}}, \"inputs\": [{}], \"id\": \"1\"}}", tensors.join(","))
}

fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

/// A list of lists in each place where one can stand.
fn placed(lists: &str) -> [(Layout, String); 8] {
    [
        (
            Layout::Oip,
            format!(
                r#"{{"inputs": [{{"name": "x", "datatype": "FP64", "shape": [-1, 3], "data": {lists}}}]}}"#
            ),
        ),
        (Layout::V1, format!(r#"{{"instances": {lists}}}"#)),
        (Layout::V1, format!(r#"{{"instances": [{lists}, {lists}]}}"#)),
        (Layout::Mlflow, format!(r#"{{"inputs": {{"x": {lists}}}}}"#)),
        (Layout::Record, lists.to_owned()),
        (Layout::Record, format!(r#"{{"x": {lists}}}"#)),
        (Layout::Record, format!(r#"{{"rows": {lists}, "more": {lists}}}"#)),
        (Layout::Record, format!(r#"[{{"x": {lists}}}, {lists}, [{lists}]]"#)),
    ]
}

#[test]
fn lists_that_are_alike_are_judged_alike_wherever_the_body_is_cut() {
    let lists = [
        "[[1, 2, 3], [4, 5, 6], [7, [1, 2, 3], [4, 5, 6]], [7, 8, 9], [1, 2, 3]]",
        "[[1,2,3],[4,5,6],[{},[1,2,3],[4,5,6]],null,[7,8,9],[1,2,3],\"a\",[1,2,3]]",
        "[[[1,2,3],[4,5,6]],[[1,2,3],[4,5,6]],[1,2,3],[[[1,2,3],[4,5,6]]]]",
        "[[1,2],[4,5],[1,2,3],[4,5,6],[],[4,5,6],[1,2,3]]",
    ];
    for shape in ["", r#", "shape": [-1, 3]"#, r#", "shape": [-1, 2, 3]"#] {
        let contract = format!(r#"{{"inputs": [{{"name": "x", "type": "number"{shape}}}]}}"#);
        let rules = Arc::new(Rules::of(&Contract::parse(&contract).expect("a good contract")));
        for (layout, body) in lists.iter().flat_map(|lists| placed(lists)) {
            let read = |chunks: &[&[u8]]| {
                let rules = Some(Arc::clone(&rules));
                let mut check = Check::new(rules, Format::plain(layout), Side::Request);
                for chunk in chunks {
                    check.feed(chunk);
                }
                check.finish().clone()
            };
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            let slow = read(&bytes);
            for cut in 0..=body.len() {
                let (start, rest) = body.as_bytes().split_at(cut);
                assert_eq!(read(&[start, rest]), slow, "{layout:?} {body} cut at {cut}");
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(1500))]

    #[test]
    fn lists_that_are_alike_are_judged_as_if_each_was_looked_at(
        lists in proptest::collection::vec(
            (1..5_usize, select(vec!["3", "-0.25", "1e1", "12.5", "99", "null", "\"a\"", "[1]", "{}", "3, [1.5, 1.5]"])), 1..12),
        repeats in 1..30_usize,
        shape in select(vec!["", r#", "shape": [-1]"#, r#", "shape": [-1, 3]"#, r#", "shape": [-1, -1, 3]"#]),
        range in select(vec!["", r#", "min": -1, "max": 95"#]),
        several in any::<bool>(),
        spaced in any::<bool>(),
        changes in proptest::collection::vec((any::<Index>(), select(b"0,][ -.\"".to_vec())), 0..2),
        size in 1..300_usize,
    ) {
        let comma = if spaced { ", " } else { "," };
        let written = lists.iter().flat_map(|(width, odd)| {
            let mut values = vec!["1.5"; *width];
            let alike = format!("[{}]", values.join(comma));
            values[width / 2] = odd;
            let other = format!("[{}]", values.join(comma));
            std::iter::repeat_n(alike, repeats).chain([other])
        });
        let lists = format!("[{}]", written.collect::<Vec<_>>().join(comma));
        let more = if several { r#", {"name": "more", "type": "any", "required": false}"# } else { "" };
        let contract = format!(r#"{{"inputs": [{{"name": "x", "type": "number"{shape}{range}}}{more}]}}"#);
        let rules = Arc::new(Rules::of(&Contract::parse(&contract).expect("a good contract")));
        for (layout, body) in placed(&lists) {
            let mut body = body.into_bytes();
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            let read = |size: usize| {
                let rules = Some(Arc::clone(&rules));
                let mut check = Check::new(rules, Format::plain(layout), Side::Request);
                for chunk in body.chunks(size) {
                    check.feed(chunk);
                }
                check.finish().clone()
            };
            // Byte by byte nothing is passed over.
            let slow = read(1);
            prop_assert_eq!(&read(body.len()), &slow, "{}", String::from_utf8_lossy(&body));
            prop_assert_eq!(&read(size), &slow, "{}", String::from_utf8_lossy(&body));
        }
    }
}

proptest! {
    #![proptest_config(seeded(500))]

    #[test]
    fn a_good_request_passes(rows in 0..6_u64, turn in 0..4_usize) {
        let body = written(&good_request(rows), turn);
        let verdict = verdict(OIP, [body.as_bytes()]);
        prop_assert_eq!(&verdict.violations, &[]);
        prop_assert_eq!(verdict.rows, rows);
    }

    #[test]
    fn the_verdict_is_that_of_the_reference(
        rows in 0..6_u64,
        with_x in any::<bool>(),
        turn in 0..4_usize,
        changes in proptest::collection::vec(change(), 0..5),
    ) {
        let mut request = good_request(rows);
        if with_x {
            request["inputs"].as_array_mut().expect("a list").push(good("x", rows));
        }
        for change in changes {
            apply(&mut request, change);
        }
        let body = written(&request, turn);
        let verdict = verdict(OIP, [body.as_bytes()]);
        let mut expected = reference(&request);
        prop_assert!(!verdict.unreadable);
        prop_assert_eq!(verdict.count, expected.len() as u64, "{}", body);
        if expected.len() <= MAX_KEPT {
            let mut found: Vec<Breach> =
                verdict.violations.iter().map(|it| breach(it.kind, &it.field, it.row)).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected, "{}", body);
        }
    }

    #[test]
    fn any_bytes_in_any_chunks_have_one_verdict_and_never_panic(
        rows in 0..4_u64,
        turn in 0..4_usize,
        records in any::<bool>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 0..4),
        size in 1..9_usize,
    ) {
        let text = if records {
            format!(r#"[{{"age": 1, "wage": null, "sex": "F", "x": [{rows}]}}, {{"age": "\u00e9"}}]"#)
        } else {
            written(&good_request(rows), turn)
        };
        let mut bytes = text.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"\"[]{},:0"[usize::from(byte) % 8]),
                _ => drop(bytes.remove(at)),
            }
        }
        let wanted = columns::Wanted::new(["age", "wage", "sex", "x", "x[0]"]);
        for format in [OIP, RECORD] {
            let whole = verdict(format, [bytes.as_slice()]);
            prop_assert_eq!(&verdict(format, bytes.chunks(size)), &whole);
            let table = columns::read(&bytes, format, Side::Request, &wanted, 1000);
            if let Ok(table) = table {
                prop_assert!(table.columns.iter().all(|column| column.cells.len() == table.rows));
                prop_assert!(!whole.unreadable);
            }
        }
    }
}
