//! What bodies look like as columns, one fact each.

use tidegate_contract::columns::{Cell, Columns, read};
use tidegate_contract::protocol::{Protocol, Side};

/// A table in words: each column as its name and cells.
fn table(protocol: Protocol, body: &str, max_cells: usize) -> Result<Vec<String>, String> {
    let side = if body.contains("outputs") { Side::Response } else { Side::Request };
    let Columns { rows, columns } =
        read(body.as_bytes(), protocol, side, max_cells).map_err(|error| error.why)?;
    assert!(columns.iter().all(|column| column.cells.len() == rows));
    Ok(columns
        .iter()
        .map(|column| {
            let cells: Vec<String> = column
                .cells
                .iter()
                .map(|cell| match cell {
                    Cell::Null => "-".to_owned(),
                    Cell::Number(value) => value.to_string(),
                    Cell::Text(text) => text.to_string(),
                    Cell::Bool(value) => value.to_string(),
                    Cell::Nested => "nested".to_owned(),
                })
                .collect();
            format!("{}: {}", column.name, cells.join(" "))
        })
        .collect())
}

fn record(body: &str) -> Vec<String> {
    table(Protocol::Json, body, 100).expect("readable")
}

fn tensors(list: &str) -> Result<Vec<String>, String> {
    table(Protocol::Oip, &format!(r#"{{"inputs": [{list}]}}"#), 100)
}

#[test]
fn records_become_columns_in_order_of_appearance() {
    assert_eq!(
        record(r#"[{"a": 1, "b": "x"}, {"b": true, "c": {"d": [1]}}, {"a": null, "a": 2.5}]"#),
        ["a: 1 - 2.5", "b: x true -", "c: - nested -"]
    );
    assert_eq!(record(r#"{"a": -7}"#), ["a: -7"]);
    assert!(record("[]").is_empty());
    assert!(record("{}").is_empty());
}

#[test]
fn a_wide_tensor_makes_a_column_for_each_place() {
    let wide = r#"{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4.5]]}"#;
    let narrow = r#"{"data": ["p", "q"], "name": "t", "shape": [2], "datatype": "BYTES"}"#;
    assert_eq!(
        tensors(&format!("{wide}, {narrow}")),
        Ok(vec!["x[0]: 1 3".to_owned(), "x[1]: 2 4.5".to_owned(), "t: p q".to_owned()])
    );
}

#[test]
fn a_tensor_shorter_than_others_is_filled_with_nulls() {
    let long = r#"{"name": "a", "shape": [3], "datatype": "INT8", "data": [1, 2, 3]}"#;
    let short = r#"{"name": "b", "shape": [1], "datatype": "INT8", "data": [9]}"#;
    let none = r#"{"name": "c", "shape": [0, 1000000000000], "datatype": "INT8", "data": []}"#;
    assert_eq!(
        tensors(&format!("{long}, {short}, {none}")),
        Ok(vec!["a: 1 2 3".to_owned(), "b: 9 - -".to_owned(), "c: - - -".to_owned()])
    );
}

#[test]
fn a_response_is_read_from_its_outputs() {
    let body = r#"{"model_name": "m", "outputs": [
        {"name": "class", "shape": [2, 1], "datatype": "INT64", "data": [0, 1]}]}"#;
    assert_eq!(table(Protocol::Oip, body, 100), Ok(vec!["class: 0 1".to_owned()]));
}

#[test]
fn what_makes_no_table_says_why() {
    let why = |list: &str| tensors(list).expect_err("no table");
    let one = r#"{"name": "a", "shape": [1], "datatype": "INT8", "data": [1]}"#;
    assert_eq!(why(&format!("{one}, {one}")), "tensor `a` came twice");
    assert_eq!(
        why(r#"{"name": "a", "shape": [2], "datatype": "INT8", "data": [1]}"#),
        "tensor `a` has 1 values, its shape asks for 2"
    );
    assert_eq!(
        why(r#"{"name": "a", "shape": [99999999999, 99999999999], "data": [1]}"#),
        "tensor `a` has a shape whose values cannot be counted"
    );
    assert_eq!(
        table(Protocol::Json, "3", 9).expect_err("no table"),
        "the body is not one object of named fields, or an array of such objects"
    );
}

#[test]
fn cells_are_bounded_even_those_that_nobody_sent() {
    // Each row brings a column of its own: 20 values, 400 cells.
    let rows: Vec<String> = (0..20).map(|row| format!(r#"{{"f{row}": 1}}"#)).collect();
    let body = format!("[{}]", rows.join(","));
    assert!(table(Protocol::Json, &body, 400).is_ok());
    assert_eq!(table(Protocol::Json, &body, 399), Err("more than 399 cells".to_owned()));
    let long = r#"{"inputs": [
        {"name": "a", "shape": [9], "datatype": "INT8", "data": [1,2,3,4,5,6,7,8,9]},
        {"name": "b", "shape": [1, 9], "datatype": "INT8", "data": [1,2,3,4,5,6,7,8,9]}]}"#;
    assert!(table(Protocol::Oip, long, 90).is_ok());
    assert_eq!(table(Protocol::Oip, long, 89), Err("more than 89 cells".to_owned()));
}

#[test]
fn numbers_longer_than_is_kept_are_null_and_those_past_a_double_infinite() {
    let body = format!(r#"[{{"a": {}}}, {{"a": 1e999}}]"#, "1".repeat(300));
    assert_eq!(record(&body), ["a: - inf"]);
}
