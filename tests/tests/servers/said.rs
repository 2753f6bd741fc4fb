//! What is said to the servers: requests about people in the forms that several of them take. It
//! does not know who is asked.

use serde_json::{Value, json};
use tidegate_tests::client::{Request, Response};
use tidegate_tests::coding;
use tidegate_tests::gate::Gate;
use tidegate_tests::people::{self, Era, Person};
use tidegate_tests::samples;
use tidegate_tests::tools;
use xtask::stage::Stage;
use xtask::stage::servers::{Place, Served};
use xtask::tools::servers::Server;

/// A request that a server takes and answers with 200.
pub struct Good {
    /// How many answers are in the response.
    answers: usize,
    /// The people whom it is about, if it is about any.
    people: Vec<Person>,
    request: Request,
}

impl Good {
    /// About a person of 30, with a wage of 10.5, a woman, with this work.
    pub fn of(work: &'static str, request: Request) -> Self {
        let person = Person { age: 30, wage: 10.5, gender: "F", work };
        Self { answers: 1, people: vec![person], request }
    }
}

/// About so many [`people`].
pub fn about(count: usize, request: Request) -> Good {
    Good { answers: count, people: people(count), request }
}

/// About nobody, with so many answers.
pub fn answered(answers: usize, request: Request) -> Good {
    Good { answers, people: Vec::new(), request }
}

/// All that is said to one server.
pub struct Said {
    /// Requests that keep a contract of people, and are said first.
    pub good: Vec<Good>,
    /// Requests that break it, by a value, a type or a missing field.
    pub bad: Vec<Request>,
    /// Metadata, health, the server's own errors, and bodies that are about nobody.
    pub other: Vec<Request>,
}

impl Said {
    /// Says all of it, and holds that the gate changes nothing and that the people whom the good
    /// requests are about are read as they are. `answers` counts the answers in a response to a good
    /// request.
    pub fn untouched(&self, gate: &Gate, answers: impl Fn(&Response) -> Option<usize>) {
        for good in &self.good {
            let through = gate.check(&good.request).through;
            assert_eq!(through.status, 200, "{}", through.text());
            assert_eq!(answers(&through), Some(good.answers), "{}", through.text());
        }
        let people = self.good.iter().map(|good| good.people.clone());
        samples::read(&gate.house, &people.collect::<Vec<_>>());
        for request in self.bad.iter().chain(&self.other) {
            gate.check(request);
        }
        let crashed = gate.house.stats("vm_reload");
        assert!(crashed.values().all(|count| *count == 0), "{crashed:?}");
    }

    /// Says the good and the bad behind a contract of people in `enforce`, and holds that exactly
    /// the bad is refused, before the server has got it.
    pub fn enforced(&self, gate: &Gate) {
        for good in &self.good {
            assert_eq!(gate.check(&good.request).through.status, 200);
        }
        for request in &self.bad {
            let refusal = gate.refused(request);
            let said = String::from_utf8_lossy(request.body()).into_owned();
            assert_eq!(refusal.status, 400, "{said}\n{}", refusal.text());
            let kind = refusal.head.header("content-type");
            assert_eq!(kind.as_deref(), Some("application/problem+json"), "{said}");
        }
    }
}

/// Starts a server on a stage.
pub fn serve(stage: &Stage, server: Server) -> Served {
    let (python, scripts) = (tools::server(server), tools::root().join("tests"));
    let place = Place { stage, python: &python, scripts: &scripts };
    place.start(server).unwrap_or_else(|error| panic!("{error}"))
}

/// A stage of its own for a play.
pub fn stage(play: &str) -> Stage {
    Stage::open(&tools::stages(), play).expect("a folder for the play")
}

/// People as in training.
pub fn people(count: usize) -> Vec<Person> {
    people::people(5, count, Era::Training)
}

/// People, an object each.
pub fn records(count: usize) -> Value {
    people::records(&people(count))
}

/// People, an array each.
pub fn rows(count: usize) -> Value {
    let row = |one: &Person| json!([one.age, one.wage, one.gender, one.work]);
    people(count).iter().map(row).collect()
}

/// People, an array a column.
pub fn columns(count: usize) -> Value {
    let people = people(count);
    let column = |value: fn(&Person) -> Value| people.iter().map(value).collect::<Value>();
    json!({
        "age": column(|one| one.age.into()), "wage": column(|one| one.wage.into()),
        "gender": column(|one| one.gender.into()), "work": column(|one| one.work.into()),
    })
}

/// One person with one field changed, as an object.
pub fn changed(field: &str, value: Value) -> Value {
    let mut one = records(1)[0].clone();
    one[field] = value;
    one
}

/// Values that a contract of people refuses, by field.
pub fn wrong() -> Vec<(&'static str, Value)> {
    vec![
        ("age", json!("thirty")),
        ("age", json!(1986)),
        ("age", Value::Null),
        ("wage", json!("10k")),
        ("wage", json!(-5.5)),
        ("gender", json!("X")),
        ("gender", json!(1)),
        ("work", json!(7)),
    ]
}

/// `POST` of a JSON value.
pub fn post(path: &str, body: &Value) -> Request {
    Request::post(path, body.to_string())
}

/// The same in chunks, and indented, and without a content type.
pub fn framings(path: &str, body: &Value) -> Vec<Request> {
    let indented = serde_json::to_string_pretty(body).expect("JSON");
    vec![
        post(path, body).chunked(40),
        Request::post(path, indented),
        without_type(path, body),
        Request::post(path, body.to_string()).header("accept-encoding", "gzip, deflate"),
    ]
}

/// `POST` without a content type.
pub fn without_type(path: &str, body: &Value) -> Request {
    typed(path, None, body.to_string())
}

/// `POST` with another content type, or none.
pub fn typed(path: &str, content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Request {
    let request = Request::new("POST", path).with_body(body);
    match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    }
}

/// Compressed requests: real ones, one that only says so, and a coding that few know.
pub fn coded(path: &str, body: &Value) -> Vec<Request> {
    let plain = body.to_string();
    vec![
        Request::post(path, coding::gzip(plain.as_bytes())).header("content-encoding", "gzip"),
        Request::post(path, coding::zlib(plain.as_bytes())).header("content-encoding", "deflate"),
        Request::post(path, plain.as_str()).header("content-encoding", "gzip"),
        Request::post(path, plain.as_str()).header("content-encoding", "br"),
    ]
}

/// Bodies that no server of JSON can use.
pub fn unreadable(path: &str) -> Vec<Request> {
    let bodies = ["", " ", "{", "[1", "null", "5", "\"text\"", "{\"a\":1}{", "{\"a\" 1}"];
    bodies.iter().map(|body| Request::post(path, *body)).collect()
}
