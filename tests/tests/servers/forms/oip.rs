//! Forms of the Open Inference Protocol over REST. They do not know which server is asked.

use serde_json::{Value, json};
use tidegate_tests::client::Request;
use tidegate_tests::coding;
use tidegate_tests::house::INFER;

use super::{ASKED, Form, Forms, RARE, TWICE, but, marked};
use crate::mlserver::people_with_id;
use crate::said::{post, typed};

/// Each tensor changed.
fn each(request: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut request = request.clone();
    request["inputs"].as_array_mut().expect("inputs").iter_mut().for_each(change);
    request
}

/// Each tensor with one key set.
fn set(key: &'static str, value: Value) -> impl Fn(&Value) -> Request {
    move |request| post(INFER, &each(request, |tensor| tensor[key] = value.clone()))
}

/// One tensor with one key set.
fn one(tensor: usize, key: &'static str, value: Value) -> impl Fn(&Value) -> Request {
    move |request| {
        let mut request = request.clone();
        request["inputs"][tensor][key] = value.clone();
        post(INFER, &request)
    }
}

/// The envelope with one key set.
fn top(key: &'static str, value: Value) -> impl Fn(&Value) -> Request {
    move |request| post(INFER, &but(request, key, value.clone()))
}

/// The values of one tensor changed.
fn values(tensor: usize, change: impl Fn(&Value) -> Value) -> impl Fn(&Value) -> Request {
    move |request| {
        let mut request = request.clone();
        let data = &mut request["inputs"][tensor]["data"];
        *data = data.as_array().expect("data").iter().map(&change).collect();
        post(INFER, &request)
    }
}

/// The data of each tensor changed.
fn data(change: impl Fn(&Value) -> Value) -> impl Fn(&Value) -> Request {
    move |request| post(INFER, &each(request, |tensor| tensor["data"] = change(&tensor["data"])))
}

/// Each value in a list of its own.
fn apart(data: &Value) -> Value {
    data.as_array().expect("data").iter().map(|value| json!([value])).collect()
}

/// Tensors with these keys in this order.
fn ordered(keys: &'static [&'static str]) -> impl Fn(&Value) -> Request {
    move |request| {
        let part = |tensor: &Value, key: &&str| format!("{}:{}", json!(key), tensor[key]);
        let parts = |tensor: &Value| keys.iter().map(|key| part(tensor, key)).collect::<Vec<_>>();
        let tensor = |tensor: &Value| format!("{{{}}}", parts(tensor).join(","));
        let tensors = request["inputs"].as_array().expect("inputs").iter().map(tensor);
        let tensors = tensors.collect::<Vec<_>>().join(",");
        Request::post(INFER, format!("{{\"inputs\":[{tensors}],\"id\":\"1\"}}"))
    }
}

/// The text with the first of one changed into another.
fn text(from: &'static str, to: &'static str) -> impl Fn(&Value) -> Request {
    move |request| Request::post(INFER, request.to_string().replacen(from, to, 1))
}

fn packed(body: Vec<u8>, coding: &[&str]) -> Request {
    let with = |request: Request, value: &&str| request.header("content-encoding", value);
    coding.iter().fold(Request::post(INFER, body), with)
}

fn gzip(coding: &'static [&'static str]) -> impl Fn(&Value) -> Request {
    move |request| packed(coding::gzip(request.to_string().as_bytes()), coding)
}

/// What else says that people are three.
pub fn forms() -> Vec<Form> {
    let three = people_with_id(3);
    let mut old = three.clone();
    old["inputs"][0]["data"][1] = json!(1986);
    let forms = Forms::about(three, old);
    all(codings(envelopes(numbers(shapes(forms)))))
}

fn all(forms: Forms) -> Vec<Form> {
    let mut all = forms.all();
    all.extend(scalars());
    all
}

fn shapes(forms: Forms) -> Forms {
    forms
        .with("data first", ordered(&["data", "name", "shape", "datatype"]))
        .with("data after the name", ordered(&["name", "data", "datatype", "shape"]))
        .with("shape [-1, 1]", set("shape", json!([-1, 1])))
        .with("shape [-1]", set("shape", json!([-1])))
        .with("shape [3, -1]", set("shape", json!([3, -1])))
        .with("shape [3]", set("shape", json!([3])))
        .with("shape [1, 3]", set("shape", json!([1, 3])))
        .with("shape [1, 3, 1]", set("shape", json!([1, 3, 1])))
        .with("shape in text", set("shape", json!(["3", "1"])))
        .with("shape in floats", set("shape", json!([3.0, 1.0])))
        .with("shape null", set("shape", Value::Null))
        .with("shape a number", set("shape", json!(3)))
        .with("shape empty", set("shape", json!([])))
        .with("no shape", ordered(&["name", "datatype", "data"]))
        .with("no datatype", ordered(&["name", "shape", "data"]))
        .with("data in lists of lists", data(|it| apart(&apart(it))))
        .with("data in one list more", data(|it| json!([it])))
        .with("data in lists, a flat shape", |request| {
            let flat = |tensor: &mut Value| {
                tensor["shape"] = json!([3]);
                tensor["data"] = apart(&tensor["data"]);
            };
            post(INFER, &each(request, flat))
        })
}

fn numbers(forms: Forms) -> Forms {
    forms
        .with("datatypes in small letters", |request| {
            let small = |tensor: &mut Value| {
                tensor["datatype"] =
                    tensor["datatype"].as_str().expect("text").to_lowercase().into();
            };
            post(INFER, &each(request, small))
        })
        .with("FP32 for FP64", one(1, "datatype", json!("FP32")))
        .with("INT32 for INT64", one(0, "datatype", json!("INT32")))
        .with("FP64 for INT64", one(0, "datatype", json!("FP64")))
        .without("BYTES for INT64", ASKED, one(0, "datatype", json!("BYTES")))
        .with(
            "wages without a point",
            values(1, |it| json!(it.as_f64().map(f64::round).map(|it| it as i64))),
        )
        .with("ages with a point", values(0, |it| json!(it.as_f64())))
        .with("ages with an exponent", |request| {
            let shown = |it: &Value| format!("{:e}", it.as_f64().expect("a number"));
            let ages = request["inputs"][0]["data"].as_array().expect("data").iter().map(shown);
            let ages = ages.collect::<Vec<_>>().join(",");
            let marked = one(0, "data", json!("AGES"))(request);
            let body =
                String::from_utf8_lossy(marked.body()).replace("\"AGES\"", &format!("[{ages}]"));
            Request::post(INFER, body)
        })
        .without("ages in text", ASKED, values(0, |it| json!(it.to_string())))
        .without("true for an age", ASKED, |request| {
            let mut request = request.clone();
            request["inputs"][0]["data"][0] = json!(true);
            post(INFER, &request)
        })
        .without("no wage", ASKED, |request| {
            let mut request = request.clone();
            request["inputs"][1]["data"][0] = Value::Null;
            post(INFER, &request)
        })
}

fn envelopes(forms: Forms) -> Forms {
    forms
        .with("unknown keys", |request| {
            let more = each(request, |tensor| tensor["more"] = json!({"a": [1, {"data": [2]}]}));
            post(INFER, &but(&more, "more", json!([{"inputs": [1]}])))
        })
        .with("parameters in tensors", set("parameters", json!({"a": 1, "b": "c", "d": true})))
        .with("parameters in parameters", set("parameters", json!({"headers": {"a": "b"}})))
        .with("parameters null", set("parameters", Value::Null))
        .with("parameters on top", top("parameters", json!({"a": 1.5, "content_type": "pd"})))
        .with("parameters on top null", top("parameters", Value::Null))
        .with("outputs null", top("outputs", Value::Null))
        .with("outputs empty", top("outputs", json!([])))
        .with("id null", top("id", Value::Null))
        .with("id a number", top("id", json!(1)))
        .with("a model's name", top("model_name", json!("census")))
        .with("a content type of base64", one(3, "parameters", json!({"content_type": "base64"})))
        .with("another order of inputs", |request| {
            let mut request = request.clone();
            request["inputs"].as_array_mut().expect("inputs").reverse();
            post(INFER, &request)
        })
        .without("one more input", ASKED, |request| {
            let mut request = request.clone();
            let more =
                json!({"name": "more", "datatype": "INT64", "shape": [3, 1], "data": [1, 2, 3]});
            request["inputs"].as_array_mut().expect("inputs").push(more);
            post(INFER, &request)
        })
        .without("an input twice", TWICE, |request| {
            let mut request = request.clone();
            let again = request["inputs"][0].clone();
            request["inputs"].as_array_mut().expect("inputs").push(again);
            post(INFER, &request)
        })
        .without("inputs twice", TWICE, text("{", "{\"inputs\":[],"))
        .without("data twice", TWICE, text("\"data\":", "\"data\":[1,2,3],\"data\":"))
        .without("name twice", TWICE, text("\"name\":", "\"name\":\"x\",\"name\":"))
        .without("shape twice", TWICE, text("\"shape\":", "\"shape\":[9],\"shape\":"))
        .with("escaped keys", text("\"inputs\"", "\"\\u0069nputs\""))
        .with("an escaped name", text("\"age\"", "\"\\u0061ge\""))
        .with("texts with escapes", one(3, "data", json!(["a\u{0}\u{1f600}\"\\\n", "/", "\u{7f}"])))
        .without("half a character", RARE, text("Private", "\\ud800"))
        .with("a mark of byte order", |it| Request::post(INFER, marked(&it.to_string())))
        .with("blanks around", |it| Request::post(INFER, format!(" \r\n\t{it}\n \n")))
        .without("a zero byte behind", RARE, |it| Request::post(INFER, format!("{it}\0")))
}

fn codings(forms: Forms) -> Forms {
    let kind = |kind: &'static str| move |it: &Value| typed(INFER, Some(kind), it.to_string());
    let head = |name: &'static str, value: &'static str| {
        move |it: &Value| post(INFER, it).header(name, value)
    };
    let length = "inference-header-content-length";
    forms
        .with("application/json; charset=utf-8", kind("application/json; charset=utf-8"))
        .with("APPLICATION/JSON", kind("APPLICATION/JSON"))
        .with("application/vnd.api+json", kind("application/vnd.api+json"))
        .with("application/x-www-form-urlencoded", kind("application/x-www-form-urlencoded"))
        .with("application/octet-stream", kind("application/octet-stream"))
        .with("text/plain", kind("text/plain"))
        .with("no coding", head("content-encoding", "identity"))
        .with("an empty coding", head("content-encoding", ""))
        .with("a coding that nobody knows", head("content-encoding", "x"))
        .with("a length of 0 before JSON", head(length, "0"))
        .with("a length that is none before JSON", head(length, "abc"))
        .with("all of it JSON, with its length", |it| {
            post(INFER, it).header(length, it.to_string().len().to_string())
        })
        .without("all of it JSON, a shorter length", RARE, |it| {
            post(INFER, it).header(length, (it.to_string().len() - 5).to_string())
        })
        .with("a query", |it| post(&format!("{INFER}?a=b"), it))
        .with("a slash behind", |it| post(&format!("{INFER}/"), it))
        .with("another verb", |it| post(&INFER.replace("/infer", "/generate"), it))
        .with("GZIP", gzip(&["GZIP"]))
        .with("x-gzip", gzip(&["x-gzip"]))
        .with("identity, gzip", gzip(&["identity, gzip"]))
        .with("identity and gzip", gzip(&["identity", "gzip"]))
        .with("gzip, identity", gzip(&["gzip, identity"]))
        .with("gzip of two members", |it| {
            let text = it.to_string();
            let (first, second) = text.as_bytes().split_at(50);
            packed([coding::gzip(first), coding::gzip(second)].concat(), &["gzip"])
        })
}

/// One person whose values stand in no list, and none at all.
fn scalars() -> Vec<Form> {
    let one = people_with_id(1);
    let mut old = one.clone();
    old["inputs"][0]["data"][0] = json!(1986);
    let alone = |shape: Value| {
        move |request: &Value| {
            let alone = |tensor: &mut Value| {
                tensor["shape"] = shape.clone();
                tensor["data"] = tensor["data"][0].clone();
            };
            post(INFER, &each(request, alone))
        }
    };
    let forms = Forms::about(one, old)
        .with("values alone, shape [1]", alone(json!([1])))
        .with("values alone, shape [1, 1]", alone(json!([1, 1])))
        .with("values alone, shape []", alone(json!([])))
        .with("values alone, shape [-1]", alone(json!([-1])))
        .all();
    let none = |shape: Value| {
        move |request: &Value| {
            let none = |tensor: &mut Value| {
                tensor["shape"] = shape.clone();
                // Whoever is too old stays, and is one too many.
                tensor["data"].as_array_mut().expect("data").retain(|value| value == 1986);
            };
            post(INFER, &each(request, none))
        }
    };
    let (one, mut old) = (people_with_id(1), people_with_id(1));
    old["inputs"][0]["data"][0] = json!(1986);
    let nobody = Forms::about(one, old)
        .with("nobody, shape [0, 1]", none(json!([0, 1])))
        .with("nobody, shape [0]", none(json!([0])));
    forms.into_iter().chain(nobody.all()).collect()
}
