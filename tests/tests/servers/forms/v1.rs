//! Forms of KServe's first protocol, and of CloudEvents around it. They do not know the server.

use serde_json::{Value, json};
use tidegate_tests::client::Request;

use super::json::{columns, nested, people, row, rows};
use super::{ASKED, Form, RARE, TWICE, but, marked};
use crate::said::{post, typed};

const EVENT: &str = "application/cloudevents+json";

/// An event around what it is about; the keys by which KServe knows one.
fn event(data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "subject": "x", "more": 1, "data": data})
}

/// What else says that people are two.
pub fn forms(path: &'static str) -> Vec<Form> {
    let send = move |value: Value| post(path, &value);
    let instances = |it: &Value| json!({"instances": rows(it)});
    let kind = move |kind: Option<&'static str>| {
        move |it: &Value| typed(path, kind, json!({"instances": rows(it)}).to_string())
    };
    people()
        .with("rows under inputs", move |it| send(json!({"inputs": rows(it)})))
        .with("objects under inputs", move |it| send(json!({"inputs": it})))
        .with("columns under inputs", move |it| send(json!({"inputs": columns(it)})))
        .with("columns of lists", move |it| send(json!({"inputs": nested(&columns(it))})))
        .with("keys around", move |it| {
            send(json!({"id": "a", "parameters": {"instances": [1]}, "instances": rows(it), "more": [[{"inputs": 1}]]}))
        })
        .with("data that is no event's", move |it| {
            send(json!({"data": {"ndarray": [1]}, "instances": rows(it)}))
        })
        .without("a key that the contract does not know", ASKED, move |it| {
            send(json!({"instances": [but(&it[0], "more", json!(1)), it[1]]}))
        })
        .with("wages without a point", move |it| {
            send(json!({"instances": [row(&but(&it[0], "wage", json!(12))), row(&it[1])]}))
        })
        .with("ages with a point", move |it| {
            send(json!({"instances": [row(&but(&it[0], "age", json!(30.0))), row(&it[1])]}))
        })
        .with("bytes", move |it| {
            send(json!({"instances": [it[0], but(&it[1], "work", json!({"b64": "aGk="}))]}))
        })
        .without("both keys", TWICE, move |it| send(json!({"instances": rows(it), "inputs": [[30, 1, "F", "x"]]})))
        .without("instances twice", TWICE, move |it| {
            Request::post(path, format!("{{\"instances\":[],\"instances\":{}}}", rows(it)))
        })
        .without("a field twice", TWICE, move |it| {
            let body = json!({"instances": it}).to_string();
            Request::post(path, body.replacen("\"age\":", "\"age\":1,\"age\":", 1))
        })
        .with("no content type", kind(None))
        .with("text/plain", kind(Some("text/plain")))
        .with("a form", kind(Some("application/x-www-form-urlencoded")))
        .with("octets", kind(Some("application/octet-stream")))
        .with("a mark of byte order", move |it| Request::post(path, marked(&instances(it).to_string())))
        .without("half a character", RARE, move |it| {
            let half = but(&it[0], "work", json!("HALF"));
            let body = json!({"instances": [half, it[1]]}).to_string();
            Request::post(path, body.replace("HALF", "\\ud800"))
        })
        .with("an event that its head does not tell of", move |it| send(event(&instances(it))))
        .with("an event", move |it| typed(path, Some(EVENT), event(&instances(it)).to_string()))
        .without("an event and rows beside it", TWICE, move |it| {
            send(but(&event(&instances(it)), "instances", json!([[30, 1, "F", "x"]])))
        })
        .without("an event, and rows beside it", TWICE, move |it| {
            let event = but(&event(&json!({"instances": [[30, 1, "F", "x"]]})), "instances", rows(it));
            typed(path, Some(EVENT), event.to_string())
        })
        .with("an event without a time, rows beside it", move |it| {
            let mut event = but(&event(&json!({"a": 1})), "instances", rows(it));
            event.as_object_mut().expect("an object").remove("time");
            typed(path, Some(EVENT), event.to_string())
        })
        .with("an event in its head", move |it| {
            let head = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/a"), ("ce-type", "b")];
            let request = typed(path, Some("text/plain"), instances(it).to_string());
            head.iter().fold(request, |request, (name, value)| request.header(name, value))
        })
        .all()
}
