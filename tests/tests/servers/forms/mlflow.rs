//! Forms of MLflow's `/invocations`. They do not know the server.

use serde_json::{Value, json};
use tidegate_tests::client::Request;

use super::json::{columns, nested, people, rows};
use super::{ASKED, Form, Forms, RARE, TWICE, but, marked, wide};
use crate::said::{post, typed};

const HEAD: &str = "age,wage,gender,work\n";

fn split(people: &Value) -> Value {
    json!({"columns": ["age", "wage", "gender", "work"], "data": rows(people)})
}

/// What else says that people are two.
pub fn forms(path: &'static str) -> Vec<Form> {
    let frames = frames(people(), path);
    tables(dictionaries(frames, path), path).all()
}

fn frames(forms: Forms, path: &'static str) -> Forms {
    let send = move |value: Value| post(path, &json!({"dataframe_split": value}));
    let with = move |key: &'static str, value: Value| {
        move |it: &Value| {
            post(path, &json!({"dataframe_split": but(&split(it), key, value.clone())}))
        }
    };
    forms
        .with("an index of texts", with("index", json!(["a", "b"])))
        .with("an index of nothing", with("index", Value::Null))
        .with("params of nothing", move |it| {
            post(path, &json!({"dataframe_split": split(it), "params": null}))
        })
        .with("other keys", move |it| {
            post(
                path,
                &json!({"dataframe_split": split(it), "client_request_id": "a", "more": [1]}),
            )
        })
        .with("objects for rows", move |it| send(but(&split(it), "data", it.clone())))
        .with("objects for rows, no columns", move |it| send(json!({"data": it})))
        .with("rows, no columns", move |it| send(json!({"data": rows(it)})))
        .with("columns of nothing", with("columns", Value::Null))
        .without("columns for rows", RARE, move |it| send(json!({"data": columns(it)})))
        .without("a frame twice", TWICE, move |it| {
            let split = split(it);
            Request::post(path, format!("{{\"dataframe_split\":{{}},\"dataframe_split\":{split}}}"))
        })
}

fn dictionaries(forms: Forms, path: &'static str) -> Forms {
    let send = move |key: &'static str, value: Value| post(path, &json!({key: value}));
    forms
        .with("records", move |it| send("dataframe_records", it.clone()))
        .with("records of lists", move |it| send("dataframe_records", rows(it)))
        .with("columns as instances", move |it| send("instances", columns(it)))
        .with("objects as inputs", move |it| send("inputs", it.clone()))
        .with("one object as inputs", move |it| send("inputs", it[1].clone()))
        .with("columns as inputs", move |it| send("inputs", columns(it)))
        .with("columns of lists as inputs", move |it| send("inputs", nested(&columns(it))))
        .with("rows as inputs", move |it| send("inputs", rows(it)))
        .with("params with keys of ours", move |it| {
            post(path, &json!({"params": {"inputs": [1]}, "inputs": columns(it)}))
        })
        .without("a column that the contract does not know", ASKED, move |it| {
            send("dataframe_records", json!([but(&it[0], "more", json!(1)), it[1]]))
        })
        .with("an age with a point", move |it| {
            send("dataframe_records", json!([but(&it[0], "age", json!(30.0)), it[1]]))
        })
        .with("a wage without one", move |it| {
            send("dataframe_records", json!([but(&it[0], "wage", json!(30)), it[1]]))
        })
        .with("a mark of byte order", move |it| {
            Request::post(path, marked(&json!({"dataframe_records": it}).to_string()))
        })
        .without("UTF-16", RARE, move |it| {
            Request::post(path, wide(&json!({"dataframe_records": it}).to_string()))
        })
}

/// People as lines.
fn lines(people: &Value, between: &str) -> String {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let line = |it: &Value| {
        let cells =
            [it["age"].to_string(), it["wage"].to_string(), text(&it["gender"]), text(&it["work"])];
        cells.join(between)
    };
    let lines: Vec<String> = people.as_array().expect("people").iter().map(line).collect();
    format!("{HEAD}{}\n", lines.join("\n"))
}

fn tables(forms: Forms, path: &'static str) -> Forms {
    let csv = move |text: String| typed(path, Some("text/csv"), text);
    // One person with these cells behind the age.
    let cells = move |age: &'static str, rest: &'static str| {
        move |it: &Value| {
            csv(format!("{HEAD}{}{rest}\n", age.replace("AGE", &it[1]["age"].to_string())))
        }
    };
    forms
        .with("CSV", move |it| csv(lines(it, ",")))
        .with("CSV, a mark of byte order", move |it| csv(marked(&lines(it, ","))))
        .with("CSV, empty lines", move |it| csv(lines(it, ",").replace('\n', "\n\n")))
        .with("CSV, old ends of lines", move |it| csv(lines(it, ",").replace('\n', "\r")))
        .with("CSV, no end", move |it| csv(lines(it, ",").trim_end().to_owned()))
        .with("CSV, blanks before numbers", cells(" AGE", ",\t10.5 ,F,x"))
        .with("CSV, numbers in quotes", cells("\"AGE\"", ",\"10.5\",\"F\",x"))
        .with("CSV, an age with a point", cells("AGE.0", ",1,F,x"))
        .with("CSV, an exponent", cells("AGE", ",1e1,F,x"))
        .with("CSV, a plus", cells("+AGE", ",+1.5,F,x"))
        .with("CSV, a zero in front", cells("0AGE", ",01.5,F,x"))
        .with("CSV, a point in front", cells("AGE", ",.5,F,x"))
        .with("CSV, a point behind", cells("AGE", ",5.,F,x"))
        .with("CSV, a text like a number", cells("AGE", ",1,F,12"))
        .with("CSV, a text like a truth", cells("AGE", ",1,F,true"))
        .with("CSV, a long line", cells("AGE", ",1,F,x,1"))
        .without("CSV, a short line", ASKED, cells("AGE", ",1,F"))
        .without("CSV, nothing for a text", ASKED, cells("AGE", ",1,F,NA"))
        .with("CSV, columns in another order", move |it| {
            csv(format!("work,gender,wage,age\nx,F,1.5,{}\n", it[1]["age"]))
        })
        .without("CSV, an index", ASKED, move |it| {
            csv(format!(",age,wage,gender,work\n0,{},1,F,x\n", it[1]["age"]))
        })
        .without("CSV, a column twice", TWICE, move |it| {
            csv(format!("work,gender,wage,age,age\nx,F,1.5,30,{}\n", it[1]["age"]))
        })
        .with("CSV in capitals", move |it| typed(path, Some("TEXT/CSV"), lines(it, ",")))
        .with("CSV with a word more", move |it| {
            typed(path, Some("text/csv; header=present"), lines(it, ","))
        })
}
