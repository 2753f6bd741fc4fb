//! One label, and what it says of an answer. It does not know how labels come.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_contract::columns::Cell;

use crate::config::model::Task;
use crate::decision::UnixMillis;
use crate::profile::survey::code;

/// Bytes of a request id; Envoy's own have 36.
pub const MAX_ID_BYTES: usize = 256;
/// Bytes of a label that is a text.
pub const MAX_TEXT_BYTES: usize = 256;

/// What turned out to be true of one row of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Envoy's `x-request-id`.
    pub request_id: Box<str>,
    /// Which row of the answer, from 0.
    pub row: u32,
    /// What was true.
    pub truth: Truth,
    /// When that was known, where it is said.
    pub at: Option<UnixMillis>,
}

/// What was true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// Of a task that is `binary`.
    Positive(bool),
    /// Of a task that is `multiclass`.
    Class(Box<str>),
    /// Of a task that is `regression`; finite.
    Number(f64),
}

impl Truth {
    /// What a label means for this task.
    ///
    /// # Errors
    /// What it should have been, in words.
    pub fn of(task: &Task, label: &Value) -> Result<Self, String> {
        match task {
            Task::Binary { positive, .. } => {
                let positive_label = yes(positive, label).ok_or_else(|| {
                    "expected 0, 1, true or false (what else is a yes, `labels.positive` says)"
                        .to_owned()
                })?;
                Ok(Self::Positive(positive_label))
            }
            Task::Multiclass => {
                let class = text(label).filter(|class| class.len() <= MAX_TEXT_BYTES);
                let expected = || format!("expected a class of at most {MAX_TEXT_BYTES} bytes");
                class.map(|class| Self::Class(class.into())).ok_or_else(expected)
            }
            Task::Regression => {
                let number = label.as_f64().filter(|number| number.is_finite());
                number.map(Self::Number).ok_or_else(|| "expected a number".to_owned())
            }
        }
    }
}

/// Whether a label is the positive one. Where that is 1, nothing but yes and no is taken, so that a
/// label of another kind does not pass for a no; any other positive label has no other opposite.
fn yes(positive: &str, label: &Value) -> Option<bool> {
    let said = text(label)?;
    if said.len() > MAX_TEXT_BYTES {
        return None;
    }
    if positive != "1" {
        return Some(said == positive);
    }
    match said.as_str() {
        "1" | "true" | "True" => Some(true),
        "0" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The label's own spelling; of a whole number without a fraction. A list is none, nor is null.
fn text(label: &Value) -> Option<String> {
    match label {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(code(number.as_f64()?)),
        _ => None,
    }
}

/// What a model said of a row, as its task reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A score: the higher, the more it speaks for a yes.
    Score(f64),
    /// A class.
    Class(Box<str>),
    /// A number.
    Number(f64),
}

impl Said {
    /// What a cell of the output says; `None` where it is nothing that the task can be about.
    #[must_use]
    pub fn of(task: &Task, cell: &Cell) -> Option<Self> {
        let unit = |yes: bool| f64::from(u8::from(yes));
        match (task, cell) {
            (Task::Binary { .. }, Cell::Number(score)) if !score.is_nan() => {
                Some(Self::Score(*score))
            }
            (Task::Binary { .. }, Cell::Bool(yes)) => Some(Self::Score(unit(*yes))),
            // A class in place of a score: all that can be said for or against it.
            (Task::Binary { positive, .. }, Cell::Text(class)) => {
                Some(Self::Score(unit(**class == **positive)))
            }
            (Task::Multiclass, Cell::Text(class)) => Some(Self::Class(class.clone())),
            (Task::Multiclass, Cell::Number(class)) => Some(Self::Class(code(*class).into())),
            (Task::Multiclass, Cell::Bool(class)) => Some(Self::Class(class.to_string().into())),
            (Task::Regression, Cell::Number(number)) if number.is_finite() => {
                Some(Self::Number(*number))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binary(positive: &str) -> Task {
        Task::Binary { positive: positive.to_owned(), threshold: 0.5 }
    }

    #[test]
    fn yes_and_no_are_taken_as_people_write_them_and_nothing_else_is() {
        let of = |label| Truth::of(&binary("1"), &label).ok();
        for yes in [json!(1), json!(1.0), json!(true), json!("1"), json!("true"), json!("True")] {
            assert_eq!(of(yes.clone()), Some(Truth::Positive(true)), "{yes}");
        }
        for no in [json!(0), json!(0.0), json!(false), json!("0"), json!("False")] {
            assert_eq!(of(no.clone()), Some(Truth::Positive(false)), "{no}");
        }
        for neither in [json!(2), json!("yes"), json!(null), json!([1]), json!({}), json!("")] {
            assert_eq!(of(neither.clone()), None, "{neither}");
        }
    }

    #[test]
    fn a_positive_label_of_ones_own_has_every_other_as_its_opposite() {
        let of = |label| Truth::of(&binary(">50K"), &label).ok();
        assert_eq!(of(json!(">50K")), Some(Truth::Positive(true)));
        assert_eq!(of(json!("<=50K")), Some(Truth::Positive(false)));
        assert_eq!(of(json!(null)), None);
        assert_eq!(of(json!("x".repeat(257))), None);
        let seven = Truth::of(&binary("7"), &json!(7));
        assert_eq!(seven, Ok(Truth::Positive(true)));
    }

    #[test]
    fn classes_are_compared_by_their_spelling_and_numbers_are_finite() {
        assert_eq!(Truth::of(&Task::Multiclass, &json!(3)), Ok(Truth::Class("3".into())));
        let said = Said::of(&Task::Multiclass, &Cell::Number(3.0));
        assert_eq!(said, Some(Said::Class("3".into())));
        assert!(Truth::of(&Task::Multiclass, &json!("x".repeat(257))).is_err());
        assert_eq!(Truth::of(&Task::Regression, &json!(2.5)), Ok(Truth::Number(2.5)));
        assert!(Truth::of(&Task::Regression, &json!("2.5")).is_err());
    }

    #[test]
    fn answers_that_say_nothing_for_the_task_are_none() {
        let task = binary("yes");
        assert_eq!(Said::of(&task, &Cell::Text("yes".into())), Some(Said::Score(1.0)));
        assert_eq!(Said::of(&task, &Cell::Bool(false)), Some(Said::Score(0.0)));
        for nothing in [Cell::Null, Cell::Nested, Cell::Number(f64::NAN)] {
            assert_eq!(Said::of(&task, &nothing), None);
        }
        assert_eq!(Said::of(&Task::Regression, &Cell::Number(f64::INFINITY)), None);
    }
}
