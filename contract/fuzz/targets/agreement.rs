//! What must hold for every body of every format, and a good body of each.

use std::sync::{Arc, LazyLock};

use tidegate_contract::check::{Check, Verdict};
use tidegate_contract::columns::{self, Wanted};
use tidegate_contract::contract::Contract;
use tidegate_contract::format::Format;
use tidegate_contract::protocol::Side;
use tidegate_contract::rules::Rules;
use tidegate_contract::segment::{Segment, Selection};

const CONTRACT: &str = r#"{"inputs": [
    {"name": "age", "type": "integer", "min": 0, "max": 120},
    {"name": "wage", "type": "number", "shape": [-1, 2], "required": false},
    {"name": "sex", "type": "text", "categories": ["F", "M"], "nullable": true},
    {"name": "user.id", "type": "text", "required": false},
    {"name": "items[].price", "type": "number", "max": 10, "required": false}]}"#;

/// Of one field, whose rows may be lists without names.
const LONE: &str = r#"{"inputs": [{"name": "x", "type": "number", "shape": [-1, 3], "max": 95}]}"#;

static LONE_RULES: LazyLock<Arc<Rules>> =
    LazyLock::new(|| Arc::new(Rules::of(&Contract::parse(LONE).expect("a good contract"))));
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    Arc::new(Rules::of(&Contract::parse(CONTRACT).expect("a good contract")))
});
static SELECTION: LazyLock<Arc<Selection>> = LazyLock::new(|| {
    let contract = Contract::parse(CONTRACT).expect("a good contract");
    let segment: Segment = "age > 20 and sex in [M] and \"user.id\" is null".parse().expect("a segment");
    Arc::new(Selection::of(&segment, Some(&contract)))
});
static WANTED: LazyLock<Wanted> = LazyLock::new(|| {
    let fields = Contract::parse(CONTRACT).expect("a good contract").inputs;
    Wanted::new(["age", "wage[0]", "wage[1]", "sex", "user.id", "items[].price"]).in_fields(&fields)
});

const JSON: [(&str, &str); 22] = [
    ("json", r#"[{"age": 33, "wage": [1.5, -2e3], "sex": "F", "user": {"id": "é\u0041"}, "items": [{"price": 3}, {}]}, {"age": 7, "sex": null}]"#),
    ("json", r#"{"people": [[33, [1, 2], "M"], [7, [0.5, NaN], null]], "more": {"a": [1]}}"#),
    ("v1", r#"{"signature_name": "s", "instances": [{"age": 33, "sex": "F", "wage": [1, 2]}, {"sex": {"b64": "aGk="}, "age": 1}]}"#),
    ("v1", r#"{"inputs": {"age": [33, 7], "wage": [[1, 2], [3, 4.5]], "sex": ["F", null]}}"#),
    ("mlflow", r#"{"dataframe_split": {"columns": ["age", "sex"], "index": [0, 1], "data": [[33, "F"], [7, null]]}}"#),
    ("mlflow", r#"{"dataframe_split": {"data": [[33, "F"], [7, null]], "columns": ["age", "sex"]}}"#),
    ("cloudevent+v1", r#"{"specversion": "1.0", "id": "1", "data": {"instances": [{"age": 33, "sex": "F"}]}, "type": "t"}"#),
    ("oip", r#"{"id": "1", "inputs": [{"name": "age", "shape": [2], "datatype": "INT64", "data": [33, 7]}, {"data": [[1, 2], [3, 4.25]], "name": "wage", "datatype": "FP64", "shape": [2, 2]}, {"name": "sex", "shape": [2, 1], "datatype": "BYTES", "parameters": {"x": 1}, "data": ["F", "M"]}]}"#),
    ("openai", r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "age": 1, "sex": "F"}"#),
    ("openai-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}],\"age\":1}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}],\"sex\":\"F\"}\r\n\r\n: x\n\ndata: [DONE]\n\n"),
    ("csv", "age,sex,\"user.id\"\r\n33,F,\"a, \"\"b\"\"\"\r\n7,,x\r\n"),
    ("json", "3"),
    ("json", "\u{feff}{\"id\": 1, \"names\": [\"a\", null], \"more\": {}, \"people\": [{\"age\": 33, \"sex\": \"F\"}], \"others\": [[7, [1, 2], \"M\"]]}"),
    ("mlflow", r#"{"dataframe_split": {"data": [[33, 1, "F"], [7, null]], "columns": null}}"#),
    ("mlflow", r#"{"dataframe_split": {"columns": ["sex", "age"], "data": [{"age": 33, "sex": "F"}, {"sex": null, "age": 7}]}}"#),
    ("v1", r#"{"data": {"instances": [{"age": 33, "sex": "F"}]}, "id": "1", "type": "t"}"#),
    ("oip", r#"{"inputs": [{"name": "age", "shape": [-1], "datatype": "int64", "data": [33, 7]}, {"data": [1, 2, 3, 4.25], "name": "wage", "datatype": "FP64", "shape": [2, -1]}, {"name": "sex", "shape": ["2", 1.0], "datatype": "BYTES", "data": ["F", "M"]}]}"#),
    ("v1", r#"{"instances": [[1, 2, 3], [3, 4, 0.5], [1, 2, 3], [7, 8.25, 9], [1, 2, 3], [9, 8, 7], [-1, -2, -3]]}"#),
    ("v1", r#"{"inputs": {"x": [[1,2,3],[3,4,0.5],[1,2,3],[7,8.25,9],[1,2,3],[9,8,7],[-1,-2,-3]]}}"#),
    ("json", "[[1,2,3],[3,4,0.5],[1,2,3],[7,8.25,9],[1,2,3],[9,8,7],[-1,-2,-3],[100,0,0],[0,0,0]]"),
    ("json", "{\"x\": [[1,2,3],[3,4,0.5],[1,2,3],[7,8.25,9]], \"rows\": [[1,2,3],[9,8,7],[-1,-2,-3]]}"),
    ("oip", r#"{"inputs": [{"name": "x", "shape": [7, 3], "datatype": "FP32", "data": [[1,2,3],[3,4,0.5],[1,2,3],[7,8.25,9],[1,2,3],[9,8,7],[-1,-2,-3]]}]}"#),
];

/// A format and a good body of it.
pub fn body(choice: usize) -> (Format, Vec<u8>) {
    let binary: [fn() -> (Format, Vec<u8>); 6] =
        [behind_json, || grpc(true), || grpc(false), transcript, || early(true), || early(false)];
    let choice = choice % (JSON.len() + binary.len());
    match JSON.get(choice) {
        Some((format, body)) => (format.parse().expect("a format"), body.as_bytes().to_vec()),
        None => binary[choice - JSON.len()](),
    }
}

fn behind_json() -> (Format, Vec<u8>) {
    let json = br#"{"inputs": [{"name": "age", "shape": [2], "datatype": "INT32", "parameters": {"binary_data_size": 8}}, {"name": "sex", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}]}"#;
    let raw = [33, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, b'F', 1, 0, 0, 0, b'M'];
    let format = format!("oip-binary:{}", json.len());
    (format.parse().expect("a format"), [&json[..], &raw].concat())
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

fn grpc(typed: bool) -> (Format, Vec<u8>) {
    let tensor = |name: &[u8], datatype: &[u8], contents: Vec<u8>| {
        let mut message = [field(1, name), field(2, datatype), field(3, &[2])].concat();
        if typed {
            message.extend(field(5, &contents));
        }
        field(5, &message)
    };
    let age = tensor(b"age", b"INT64", field(3, &[33, 7]));
    let sex = tensor(b"sex", b"BYTES", [field(8, b"F"), field(8, b"M")].concat());
    let mut message = [field(1, b"m"), age, sex].concat();
    if !typed {
        message.extend(field(7, &[33, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]));
        message.extend(field(7, &[1, 0, 0, 0, b'F', 1, 0, 0, 0, b'M']));
    }
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    ("oip-grpc".parse().expect("a format"), [&[0], &length[..], &message].concat())
}

/// The same with the values before what describes them.
fn early(typed: bool) -> (Format, Vec<u8>) {
    let tensor = |name: &[u8], datatype: &[u8], contents: Vec<u8>| {
        let mut message = if typed { field(5, &contents) } else { Vec::new() };
        message.extend([field(3, &[2]), field(2, datatype), field(1, name)].concat());
        field(5, &message)
    };
    let age = tensor(b"age", b"INT64", field(2, &[33, 7]));
    let sex = tensor(b"sex", b"BYTES", [field(8, b"F"), field(8, b"M")].concat());
    let mut message = Vec::new();
    if !typed {
        message.extend(field(7, &[33, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]));
        message.extend(field(7, &[1, 0, 0, 0, b'F', 1, 0, 0, 0, b'M']));
    }
    message.extend([field(1, b"m"), age, sex].concat());
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    ("oip-grpc".parse().expect("a format"), [&[0], &length[..], &message].concat())
}

fn transcript() -> (Format, Vec<u8>) {
    let bytes = [&[1, 3, 0, 3][..], b"age", &[10], &33.0_f64.to_le_bytes(), &[3, 1, 3], b"sex", &[11, 1, b'F', 2, 19]];
    ("transcript".parse().expect("a format"), bytes.concat())
}

fn lone_verdict<'a>(format: Format, chunks: impl Iterator<Item = &'a [u8]>) -> Verdict {
    let mut check = Check::new(Some(Arc::clone(&LONE_RULES)), format, Side::Request);
    for chunk in chunks {
        check.feed(chunk);
    }
    check.finish().clone()
}

fn verdict<'a>(format: Format, packing: &str, chunks: impl Iterator<Item = &'a [u8]>) -> (Verdict, bool) {
    let check = Check::new(Some(Arc::clone(&RULES)), format, Side::Request).packed_by(packing);
    let mut check = check.selecting(Arc::clone(&SELECTION));
    for chunk in chunks {
        check.feed(chunk);
    }
    let verdict = check.finish().clone();
    (verdict, check.is_selected())
}

/// Chunks change nothing, and what makes a table is readable.
pub fn check(format: Format, body: &[u8], size: usize) {
    let whole = |packing| verdict(format, packing, std::iter::once(body));
    assert_eq!(verdict(format, "gzip", body.chunks(size)), whole("gzip"), "{format}");
    let lone = lone_verdict(format, std::iter::once(body));
    assert_eq!(lone_verdict(format, body.chunks(size)), lone, "{format}");
    let table = columns::read(body, format, Side::Request, &WANTED, 10_000);
    if let Ok(table) = table {
        assert!(table.columns.iter().all(|column| column.cells.len() == table.rows));
        // A sample does not say how its gRPC messages are packed; its reader finds out.
        assert!(["gzip", "deflate"].into_iter().any(|packing| !whole(packing).0.unreadable), "{format}");
    }
}
