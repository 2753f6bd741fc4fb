//! What bodies look like as columns, one fact each.

use tidegate_contract::columns::{Cell, Columns, Wanted, read};
use tidegate_contract::format::{Format, Layout};
use tidegate_contract::protocol::Side;

const RECORD: Format = Format::plain(Layout::Record);
const OIP: Format = Format::plain(Layout::Oip);

/// What the tests want, but for `other` and those that nobody names.
const WANTED: [&str; 9] = ["a", "b", "c", "x[0]", "x[1]", "y[1]", "y[10]", "t", "class"];

/// A table in words: each column as its name and cells.
fn table(format: Format, body: &str, max_cells: usize) -> Result<Vec<String>, String> {
    let side = if body.contains("outputs") { Side::Response } else { Side::Request };
    let table = read(body.as_bytes(), format, side, &Wanted::new(WANTED), max_cells)
        .map_err(|error| error.why)?;
    assert!(table.cost() <= max_cells.min(4 * body.len()));
    let Columns { rows, columns } = table;
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
    table(RECORD, body, 100).expect("readable")
}

fn tensors(list: &str) -> Result<Vec<String>, String> {
    table(OIP, &format!(r#"{{"inputs": [{list}]}}"#), 100)
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
fn members_that_are_read_at_a_glance_are_what_they_are_read_one_by_one() {
    let records = [
        r#"{"a":1,"b":"x","c":true}"#,
        r#"{"a":1.5,"c":null,"b":"say \"é\"","t":-0.25,"class":"z"}"#,
        r#"{"other":1,"a":2,"stranger":{"b":9},"b":"y","x[0]":7,"t":[1,2],"class":1e5}"#,
        r#"{"b":"first","a":1,"b":"last","a":2}"#,
        r#"{"a":[],"b":{"a":8},"c":[3],"t":"text","class":false}"#,
        r#"{"y[1]":4,"x[1]":6,"c":01}"#,
        r#"{}"#,
    ];
    let formats = [
        (RECORD, "[", "]"),
        (RECORD, r#"{"note":"n","rows":["#, "]}"),
        (Format::plain(Layout::V1), r#"{"instances":["#, "]}"),
        (Format::plain(Layout::Mlflow), r#"{"dataframe_records":["#, "]}"),
    ];
    for (format, open, close) in formats {
        for count in 1..=records.len() {
            for from in 0..=records.len() - count {
                let body = format!("{open}{}{close}", records[from..from + count].join(","));
                // A blank before the colon is never read at a glance.
                let apart = body.replace("\":", "\" :");
                let both = [&body, &apart].map(|body| table(format, body, 1_000).ok());
                assert_eq!(both[0], both[1], "{body}");
            }
        }
    }
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
        Ok(vec!["a: 1 2 3".to_owned(), "b: 9 - -".to_owned()])
    );
}

#[test]
fn a_response_is_read_from_its_outputs() {
    let body = r#"{"model_name": "m", "outputs": [
        {"name": "class", "shape": [2, 1], "datatype": "INT64", "data": [0, 1]}]}"#;
    assert_eq!(table(OIP, body, 100), Ok(vec!["class: 0 1".to_owned()]));
}

#[test]
fn what_makes_no_table_says_why() {
    let why = |list: &str| tensors(list).expect_err("no table");
    let one = r#"{"name": "a", "shape": [1], "datatype": "INT8", "data": [1]}"#;
    assert_eq!(why(&format!("{one}, {one}")), "column `a` came twice");
    assert_eq!(
        why(r#"{"name": "a", "shape": [2], "datatype": "INT8", "data": [1]}"#),
        "tensor `a` has 1 values, its shape asks for 2"
    );
    assert_eq!(
        why(r#"{"name": "a", "shape": [99999999999, 99999999999], "data": [1]}"#),
        "tensor `a` has a shape whose values cannot be counted"
    );
    assert_eq!(
        table(RECORD, "[3", 9).expect_err("no table"),
        "byte 2: the body ends before it is whole"
    );
}

#[test]
fn of_columns_that_nobody_wants_only_the_rows_are_counted() {
    let rows: Vec<String> = (0..1000).map(|row| format!(r#"{{"f{row}":1}}"#)).collect();
    let table = read(
        format!("[{}]", rows.join(",")).as_bytes(),
        RECORD,
        Side::Request,
        &Wanted::new(WANTED),
        1000,
    );
    let table = table.expect("readable");
    assert_eq!((table.rows, table.columns.len(), table.cost()), (1000, 0, 1000));
    let other = r#"{"name": "other", "shape": [3], "datatype": "INT8", "data": [1, 2, 3]}"#;
    let one = r#"{"name": "a", "shape": [1], "datatype": "INT8", "data": [1]}"#;
    assert_eq!(tensors(&format!("{other}, {one}, {other}")), Ok(vec!["a: 1 - -".to_owned()]));
    assert_eq!(
        record(r#"[{"other": "x", "a": 1, "other": [2]}, {"b": 3, "other": 4}]"#),
        ["a: 1 -", "b: - 3"]
    );
}

#[test]
fn of_a_wide_tensor_only_the_wanted_places_are_kept() {
    let wide = |name: &str, width: usize| {
        let row = vec!["7"; width].join(",");
        format!(
            r#"{{"name": "{name}", "shape": [2, {width}], "datatype": "INT8", "data": [{row},{row}]}}"#
        )
    };
    assert_eq!(tensors(&wide("y", 9)), Ok(vec!["y[1]: 7 7".to_owned()]));
    assert_eq!(tensors(&wide("y", 11)), Ok(vec!["y[1]: 7 7".to_owned(), "y[10]: 7 7".to_owned()]));
    assert_eq!(tensors(&wide("other", 40)), Ok(vec![]));
    let narrow = r#"{"name": "x[0]", "shape": [2], "datatype": "INT8", "data": [1, 2]}"#;
    let twice = tensors(&format!("{narrow}, {}", wide("x", 2)));
    assert_eq!(twice, Err("column `x[0]` came twice".to_owned()));
}

#[test]
fn cells_are_bounded_even_those_that_nobody_sent() {
    // Three columns of 40 cells cost 4 cells more each, and the rows one each.
    let body = format!(r#"[{}{{"a": 1, "b": 1, "c": 1}}]"#, r#"{"a": 1},"#.repeat(39));
    assert!(table(RECORD, &body, 172).is_ok());
    assert_eq!(table(RECORD, &body, 171), Err("more than 171 cells".to_owned()));
    let long = r#"{"inputs": [
        {"name": "other", "shape": [9], "datatype": "INT8", "data": [1,2,3,4,5,6,7,8,9]},
        {"name": "x", "shape": [1, 2], "datatype": "INT8", "data": [1,2]}]}"#;
    assert!(table(OIP, long, 35).is_ok());
    assert_eq!(table(OIP, long, 34), Err("more than 34 cells".to_owned()));
}

#[test]
fn a_body_costs_at_most_four_cells_a_byte() {
    // The shortest rows there are, and one that brings columns for all of them.
    let body = format!(
        r#"[{}{{"a":1,"b":1,"c":1,"t":1,"class":1,"x[0]":1,"x[1]":1,"y[1]":1,"y[10]":1}}]"#,
        "{},".repeat(1000)
    );
    let wanted: Vec<String> = (0..100).map(|name| format!("f{name}")).collect();
    let brought: Vec<String> = wanted.iter().map(|name| format!(r#""{name}":1"#)).collect();
    let many = format!("[{}{{{}}}]", "{},".repeat(1000), brought.join(","));
    let wanted = Wanted::new(wanted.iter().map(String::as_str));
    let all = usize::MAX;
    assert!(table(RECORD, &body, all).is_ok());
    let lost = read(many.as_bytes(), RECORD, Side::Request, &wanted, all);
    assert_eq!(lost.expect_err("too many").why, format!("more than {} cells", 4 * many.len()));
}

#[test]
fn numbers_longer_than_is_kept_are_null_and_those_past_a_double_infinite() {
    let body = format!(r#"[{{"a": {}}}, {{"a": 1e999}}]"#, "1".repeat(300));
    assert_eq!(record(&body), ["a: - inf"]);
}
