//! Forms of JSON of a model's own, with the people in a list below some key, or one alone. They do not
//! know the server.

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::coding;

use super::{ASKED, Form, Forms, RARE, TWICE, but, marked, wide};
use crate::said::{self, post, typed};

/// Forms about two people, an object each.
pub fn people() -> Forms {
    let good = said::records(2);
    let mut bad = good.clone();
    bad[1]["age"] = json!(1986);
    Forms::about(good, bad)
}

/// A person as a list.
pub fn row(person: &Value) -> Value {
    json!([person["age"], person["wage"], person["gender"], person["work"]])
}

/// People as lists.
pub fn rows(people: &Value) -> Value {
    people.as_array().expect("people").iter().map(row).collect()
}

/// People as a list for each field.
pub fn columns(people: &Value) -> Value {
    let people = people.as_array().expect("people");
    let column = |name: &str| people.iter().map(|it| it[name].clone()).collect::<Value>();
    json!({"age": column("age"), "wage": column("wage"), "gender": column("gender"), "work": column("work")})
}

/// Columns whose values stand in lists of their own.
pub fn nested(columns: &Value) -> Value {
    let mut nested = columns.clone();
    for column in nested.as_object_mut().expect("an object").values_mut() {
        *column = column.as_array().expect("a list").iter().map(|it| json!([it])).collect();
    }
    nested
}

/// What else says that people are two, in a list below this key.
pub fn forms(path: &'static str, key: &'static str) -> Vec<Form> {
    let send = move |value: Value| post(path, &value);
    let body = move |it: &Value| json!({key: it}).to_string();
    let kind = move |kind: Option<&'static str>| move |it: &Value| typed(path, kind, body(it));
    people()
        .with("no content type", kind(None))
        .with("text/plain", kind(Some("text/plain")))
        .with("octets", kind(Some("application/octet-stream")))
        .with("JSON that calls itself a form", kind(Some("application/x-www-form-urlencoded")))
        .with("keys around", move |it| {
            send(json!({"a": 1, "b": [1, null], "c": {"age": 1986}, key: it, "zz": {"age": 5}}))
        })
        .with("a key that is a number", move |it| send(json!({"1": [2], key: it})))
        .without("another list of objects", ASKED, move |it| {
            send(json!({key: it, "zz": [{"a": 1}]}))
        })
        .without("good people in another list before", TWICE, move |it| {
            Request::post(path, format!("{{\"a\":[{{\"age\":30}}],\"{key}\":{it}}}"))
        })
        .with("an empty list before", move |it| {
            Request::post(path, format!("{{\"a\":[],\"{key}\":{it}}}"))
        })
        .with("the key twice, first nobody", move |it| {
            Request::post(path, format!("{{\"{key}\":[],\"{key}\":{it}}}"))
        })
        .without("a field twice", TWICE, move |it| {
            Request::post(path, body(it).replacen("\"age\":", "\"age\":1,\"age\":", 1))
        })
        .without("a key that the contract does not know", ASKED, move |it| {
            send(json!({key: [but(&it[0], "more", json!(1)), it[1]]}))
        })
        .without("an age in text", ASKED, move |it| {
            send(json!({key: [but(&it[0], "age", json!("30")), it[1]]}))
        })
        .with("an age with a point", move |it| {
            send(json!({key: [but(&it[0], "age", json!(30.0)), it[1]]}))
        })
        .with("a wage without one", move |it| {
            send(json!({key: [but(&it[0], "wage", json!(30)), it[1]]}))
        })
        .with("a mark of byte order", move |it| Request::post(path, marked(&body(it))))
        .without("UTF-16", RARE, move |it| Request::post(path, wide(&body(it))))
        .with("gzip", move |it| {
            Request::post(path, coding::gzip(body(it).as_bytes()))
                .header("content-encoding", "gzip")
        })
        .with("another method", move |it| {
            Request::new("PUT", path).header("content-type", "application/json").with_body(body(it))
        })
        .with("a slash behind", move |it| post(&format!("{path}/"), &json!({key: it})))
        .all()
}

/// What else says one person.
pub fn alone(path: &'static str) -> Vec<Form> {
    let before = |more: &'static str| {
        move |it: &Value| Request::post(path, format!("{{{more},{}", &it[1].to_string()[1..]))
    };
    people()
        .with("one", move |it| post(path, &it[1]))
        .with("one in a list", move |it| post(path, &json!([it[1]])))
        .without("a number more", ASKED, before("\"more\":1"))
        .without("a list more", ASKED, before("\"more\":[1,2]"))
        .without("an object more", ASKED, before("\"more\":{\"age\":2}"))
        .all()
}
