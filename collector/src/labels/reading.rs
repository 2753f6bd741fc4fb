//! Labels as they come over HTTP: a JSON array, or a JSON object a line. All of them are good, or
//! none is taken and the first that is not is named. It does not know which requests there were.

use serde::Deserialize;
use serde_json::Value;

use super::label::{Label, MAX_ID_BYTES, Truth};
use crate::config::model::{Model, Task};
use crate::decision::UnixMillis;
use crate::table::calendar;

/// Labels of one request.
pub const MAX_LABELS: usize = 10_000;
/// The highest row of a request, which no sample has.
const MAX_ROW: u32 = 1 << 20;

/// The models that labels can be of, by their places in the configuration.
#[derive(Debug, Clone, Default)]
pub struct Labelled(Vec<(String, Option<Task>)>);

impl Labelled {
    /// Of these models.
    #[must_use]
    pub fn of(models: &[Model]) -> Self {
        let task = |model: &Model| model.labels.as_ref().map(|labels| labels.task.clone());
        Self(models.iter().map(|model| (model.name.clone(), task(model))).collect())
    }

    fn find(&self, name: &str) -> Result<(usize, &Task), Problem> {
        match self.0.iter().position(|(model, _)| model == name) {
            None => {
                let known = self.0.iter().map(|(model, _)| model.clone()).collect();
                Err(Problem::UnknownModel { known })
            }
            Some(at) => match &self.0[at].1 {
                Some(task) => Ok((at, task)),
                None => Err(Problem::NoLabels { model: name.to_owned() }),
            },
        }
    }
}

/// Why labels were not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{problem}", Where(*at))]
pub struct Wrong {
    /// Which label, from 1; `None` where it is none in particular.
    pub at: Option<usize>,
    /// What is wrong with it.
    pub problem: Problem,
}

struct Where(Option<usize>);

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, "label {at}: "))
    }
}

/// What is wrong with labels.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Not JSON, or not the JSON of a label.
    #[error("{0}")]
    Json(String),
    /// Nothing there.
    #[error(
        "no labels; send a JSON array of them, or one a line, such as \
         {{\"model\": \"census\", \"request_id\": \"...\", \"label\": 1}}"
    )]
    Empty,
    /// More than are taken at once.
    #[error("more than {MAX_LABELS} labels; send them in parts")]
    TooMany,
    /// A model that is not configured.
    #[error("model: no such model; configured are: {}", known.join(", "))]
    UnknownModel {
        /// The configured ones.
        known: Vec<String>,
    },
    /// A model whose labels nobody awaits.
    #[error(
        "model: {model} awaits none; say in its configuration what they are held against: `labels: {{output: score}}`"
    )]
    NoLabels {
        /// The model.
        model: String,
    },
    /// No request id, or one longer than any.
    #[error("request_id: expected 1 to {MAX_ID_BYTES} bytes, the `x-request-id` of the request")]
    RequestId,
    /// A row that no sample has.
    #[error("row: expected 0 to {MAX_ROW}")]
    Row,
    /// A label that the model's task cannot be about.
    #[error("label: {0}")]
    Label(String),
    /// A time that cannot be read.
    #[error("time: expected Unix milliseconds, or a text such as 2026-03-01T12:00:00Z")]
    Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: String,
    request_id: String,
    #[serde(default)]
    row: u32,
    label: Value,
    #[serde(default)]
    time: Option<Value>,
}

/// Reads labels, each with the place of its model.
///
/// # Errors
/// The first thing that is wrong.
pub fn read(body: &[u8], labelled: &Labelled) -> Result<Vec<(usize, Label)>, Wrong> {
    let overall = |problem| Wrong { at: None, problem };
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = |error: serde_json::Error| Problem::Json(error.to_string());
    let written: Vec<Value> = match first {
        None => return Err(overall(Problem::Empty)),
        Some(b'[') => serde_json::from_slice(body).map_err(|error| overall(json(error)))?,
        Some(_) => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
            let one = |(at, line): (usize, &[u8])| {
                // serde_json counts lines from 1 within this one.
                let told =
                    |error: serde_json::Error| Problem::Json(format!("line {}: {error}", at + 1));
                serde_json::from_slice(line).map_err(|error| overall(told(error)))
            };
            lines.map(one).collect::<Result<_, _>>()?
        }
    };
    if written.is_empty() {
        return Err(overall(Problem::Empty));
    }
    if written.len() > MAX_LABELS {
        return Err(overall(Problem::TooMany));
    }
    let one = |(at, value): (usize, Value)| {
        let label = serde_json::from_value(value).map_err(json);
        label
            .and_then(|written| understood(written, labelled))
            .map_err(|problem| Wrong { at: Some(at + 1), problem })
    };
    written.into_iter().enumerate().map(one).collect()
}

fn understood(written: Written, labelled: &Labelled) -> Result<(usize, Label), Problem> {
    let (model, task) = labelled.find(&written.model)?;
    if written.request_id.is_empty() || written.request_id.len() > MAX_ID_BYTES {
        return Err(Problem::RequestId);
    }
    if written.row > MAX_ROW {
        return Err(Problem::Row);
    }
    let truth = Truth::of(task, &written.label).map_err(Problem::Label)?;
    let at = written.time.map(|time| instant(&time).ok_or(Problem::Time)).transpose()?;
    let request_id = written.request_id.into();
    Ok((model, Label { request_id, row: written.row, truth, at }))
}

fn instant(time: &Value) -> Option<UnixMillis> {
    match time {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => UnixMillis::try_from(calendar::milliseconds(text)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled() -> Labelled {
        let task = Task::Binary { positive: "1".to_owned(), threshold: 0.5 };
        Labelled(vec![("silent".to_owned(), None), ("census".to_owned(), Some(task))])
    }

    fn told(body: &str) -> String {
        match read(body.as_bytes(), &labelled()) {
            Ok(labels) => format!("{} labels", labels.len()),
            Err(wrong) => wrong.to_string(),
        }
    }

    #[test]
    fn arrays_and_lines_say_the_same() {
        let one = r#"{"model": "census", "request_id": "a", "label": 1}"#;
        let other = r#"{"model":"census","request_id":"b","row":3,"label":false,"time":"1970-01-01T00:00:01Z"}"#;
        let lines = read(format!("\n{one}\r\n\n {other}\n").as_bytes(), &labelled()).unwrap();
        let array = read(format!(" [{one}, {other}]").as_bytes(), &labelled()).unwrap();
        assert_eq!(lines, array);
        let expected = Label {
            request_id: "b".into(),
            row: 3,
            truth: Truth::Positive(false),
            at: Some(1_000),
        };
        assert_eq!(lines[1], (1, expected));
        let ms = r#"{"model": "census", "request_id": "a", "label": 1, "time": 5}"#;
        assert_eq!(read(ms.as_bytes(), &labelled()).unwrap()[0].1.at, Some(5));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let good = r#"{"model":"census","request_id":"a","label":1}"#;
        for (body, expected) in [
            (
                "",
                "no labels; send a JSON array of them, or one a line, such as {\"model\": \"census\", \"request_id\": \"...\", \"label\": 1}",
            ),
            ("[1", "EOF while parsing a list at line 1 column 2"),
            ("[]", "no labels"),
            (&format!("{good}\n{{]"), "line 2: key must be a string"),
            (&format!("[{good}, 7]"), "label 2: invalid type"),
            (
                &format!("{good}\n{}", good.replace("label", "lable")),
                "label 2: unknown field `lable`",
            ),
            (
                &good.replace("census", "cansus"),
                "label 1: model: no such model; configured are: silent, census",
            ),
            (
                &good.replace("census", "silent"),
                "label 1: model: silent awaits none; say in its configuration what they are held against: `labels: {output: score}`",
            ),
            (&good.replace("\"a\"", "\"\""), "label 1: request_id: expected 1 to 256 bytes"),
            (
                &good.replace("\"a\"", &format!("\"{}\"", "x".repeat(257))),
                "label 1: request_id: expected 1 to 256 bytes",
            ),
            (&good.replace(":1", ":null"), "label 1: label: expected 0, 1, true or false"),
            (&good.replace(":1", ":1,\"row\":2000000"), "label 1: row: expected 0 to"),
            (&good.replace(":1", ":1,\"row\":-1"), "label 1: invalid value"),
            (
                &good.replace(":1", ":1,\"time\":\"noon\""),
                "label 1: time: expected Unix milliseconds",
            ),
        ] {
            assert!(told(body).starts_with(expected), "{body}: {}", told(body));
        }
        let many = format!("{good}\n").repeat(MAX_LABELS + 1);
        assert_eq!(told(&many), "more than 10000 labels; send them in parts");
        assert_eq!(told(&many[good.len() + 1..]), "10000 labels");
    }
}
