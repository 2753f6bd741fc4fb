//! What a program is worth in a row. Total: whatever the row holds, there is a number, or what keeps
//! it from being one. It does not know names, only places.
//!
//! `&&` and `||` are Kleene's: what is false whatever a missing value was is false. Of `? :` only the
//! branch that is taken is looked at.

use std::borrow::Cow;

use tidegate_contract::columns::Cell;
use tidegate_detectors::custom_metric::Value;

use super::typed::{Measure, Number, Program, Text, Truth, Typed};
use super::{Arithmetic, Comparison, OfNumber};
use crate::labels::label;
use crate::profile::survey::code;

/// A row of an exchange.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The columns that programs need, by their places there; `None` where the exchange lacks one.
    pub columns: &'a [Option<&'a [Cell]>],
    /// Which row.
    pub at: usize,
    /// What turned out to be true of it, where that is known.
    pub label: Option<&'a label::Truth>,
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Missing,
    Undefined,
}

type Worth<T> = Result<T, Absent>;

impl Program {
    /// The value of a row; `None` where the condition keeps it from counting.
    #[must_use]
    pub fn value(&self, row: Row<'_>) -> Option<Value> {
        match self.condition.as_ref().map(|condition| row.truth(condition)) {
            Some(Ok(false)) => return None,
            Some(Err(absent)) => return Some(absent.told()),
            Some(Ok(true)) | None => {}
        }
        let worth = match &self.value {
            Measure::Number(number) => row.number(number),
            Measure::Truth(truth) => row.truth(truth).map(unit),
        };
        Some(worth.map_or_else(Absent::told, Value::Known))
    }
}

impl Absent {
    fn told(self) -> Value {
        match self {
            Self::Missing => Value::Missing,
            Self::Undefined => Value::Undefined,
        }
    }
}

fn unit(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}

fn finite(number: f64) -> Worth<f64> {
    if number.is_finite() { Ok(number) } else { Err(Absent::Undefined) }
}

impl<'a> Row<'a> {
    fn cell(self, place: usize) -> Option<&'a Cell> {
        self.columns.get(place).copied().flatten()?.get(self.at)
    }

    fn number(self, of: &Number) -> Worth<f64> {
        match of {
            Number::Constant(value) => Ok(*value),
            Number::Column(place) => match self.cell(*place) {
                Some(Cell::Number(value)) => finite(*value),
                _ => Err(Absent::Missing),
            },
            Number::Label => match self.label {
                Some(label::Truth::Number(value)) => finite(*value),
                _ => Err(Absent::Missing),
            },
            Number::Of(truth) => self.truth(truth).map(unit),
            Number::Negated(of) => self.number(of).map(|value| -value),
            Number::Two(arithmetic, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                // A division by zero is infinite, or no number.
                finite(match arithmetic {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => left % right,
                    Arithmetic::Power => left.powf(right),
                })
            }
            Number::Call(function, of) => {
                let value = self.number(of)?;
                finite(match function {
                    OfNumber::Abs => value.abs(),
                    OfNumber::Floor => value.floor(),
                    OfNumber::Ceil => value.ceil(),
                    OfNumber::Round => value.round(),
                    OfNumber::Sqrt => value.sqrt(),
                    OfNumber::Ln => value.ln(),
                    OfNumber::Exp => value.exp(),
                })
            }
            Number::Least(all) => self.fold(all, f64::min),
            Number::Greatest(all) => self.fold(all, f64::max),
            Number::Size(text) => self.text(text).map(|text| text.chars().count() as f64),
            Number::If(condition, then, otherwise) => {
                self.number(if self.truth(condition)? { then } else { otherwise })
            }
        }
    }

    fn fold(self, all: &[Number], of_two: impl Fn(f64, f64) -> f64) -> Worth<f64> {
        let mut all = all.iter().map(|of| self.number(of));
        // The parser wants two at least.
        let first = all.next().unwrap_or(Err(Absent::Missing))?;
        all.try_fold(first, |so_far, next| Ok(of_two(so_far, next?)))
    }

    fn text<'b: 'c, 'c>(self, of: &'b Text) -> Worth<Cow<'c, str>>
    where
        'a: 'c,
    {
        match of {
            Text::Constant(text) => Ok(Cow::Borrowed(text)),
            Text::Column(place) => match self.cell(*place) {
                Some(Cell::Text(text)) => Ok(Cow::Borrowed(text)),
                Some(Cell::Bool(value)) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
                // A code, such as an industry's number, that the profile treats as a category.
                Some(Cell::Number(number)) => Ok(Cow::Owned(code(*number))),
                Some(Cell::Null | Cell::Nested) | None => Err(Absent::Missing),
            },
            Text::Label => match self.label {
                Some(label::Truth::Class(class)) => Ok(Cow::Borrowed(class)),
                _ => Err(Absent::Missing),
            },
            Text::If(condition, then, otherwise) => {
                self.text(if self.truth(condition)? { then } else { otherwise })
            }
        }
    }

    fn truth(self, of: &Truth) -> Worth<bool> {
        match of {
            Truth::Constant(value) => Ok(*value),
            Truth::Column(place) => match self.cell(*place) {
                Some(Cell::Bool(value)) => Ok(*value),
                Some(Cell::Number(0.0)) => Ok(false),
                Some(Cell::Number(1.0)) => Ok(true),
                _ => Err(Absent::Missing),
            },
            Truth::Label => match self.label {
                Some(label::Truth::Positive(value)) => Ok(*value),
                _ => Err(Absent::Missing),
            },
            Truth::Not(of) => self.truth(of).map(|value| !value),
            Truth::And(left, right) => either(self.truth(left), || self.truth(right), false),
            Truth::Or(left, right) => either(self.truth(left), || self.truth(right), true),
            Truth::Compare(comparison, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                Ok(match comparison {
                    Comparison::Equal => left == right,
                    Comparison::Unequal => left != right,
                    Comparison::Less => left < right,
                    Comparison::AtMost => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::AtLeast => left >= right,
                })
            }
            Truth::Same(left, right) => Ok(self.text(left)? == self.text(right)?),
            Truth::AmongNumbers(of, list) => Ok(list.contains(&self.number(of)?)),
            Truth::AmongTexts(of, list) => {
                let text = self.text(of)?;
                Ok(list.iter().any(|known| **known == *text))
            }
            Truth::Has(of) => has(match &**of {
                Typed::Number(of) => self.number(of).map(drop),
                Typed::Text(of) => self.text(of).map(drop),
                Typed::Truth(of) => self.truth(of).map(drop),
            }),
            Truth::If(condition, then, otherwise) => {
                self.truth(if self.truth(condition)? { then } else { otherwise })
            }
        }
    }
}

/// Of two, this decides wherever it stands; else both must be known.
fn either(left: Worth<bool>, right: impl FnOnce() -> Worth<bool>, decides: bool) -> Worth<bool> {
    match left {
        Ok(value) if value == decides => Ok(decides),
        Ok(_) => right(),
        Err(absent) => match right() {
            Ok(value) if value == decides => Ok(decides),
            _ => Err(absent),
        },
    }
}

fn has(worth: Worth<()>) -> Worth<bool> {
    match worth {
        Ok(()) => Ok(true),
        Err(Absent::Missing) => Ok(false),
        Err(Absent::Undefined) => Err(Absent::Undefined),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use tidegate_contract::protocol::Side;

    use super::super::Expression;
    use super::super::typed::{Known, Misfits, Needs, Scope, Type, program};
    use super::*;

    fn scope() -> Scope {
        let known = |side, name: &str, of| Known { side, name: name.to_owned(), of };
        let columns = vec![
            known(Side::Request, "region", Some(Type::Text)),
            known(Side::Request, "age", Some(Type::Number)),
            known(Side::Request, "ssn", None),
            known(Side::Request, "flag", Some(Type::Truth)),
            known(Side::Response, "score", Some(Type::Number)),
        ];
        Scope { columns, label: Some(Type::Number) }
    }

    fn made(text: &str, condition: Option<&str>) -> Result<(Program, Needs), Misfits> {
        let read =
            |text: &str| text.parse::<Expression>().unwrap_or_else(|e| panic!("{text}: {e}"));
        let mut needs = Needs::default();
        let condition = condition.map(read);
        Ok((program(&read(text), condition.as_ref(), &scope(), &mut needs)?, needs))
    }

    /// What a row of region EU, age 40, flag true, score 0.25 and label 10 makes of an expression;
    /// where `with` says so, of other cells.
    fn worth(text: &str, condition: Option<&str>, with: &[(&str, Cell)]) -> Option<Value> {
        let (program, needs) = made(text, condition).unwrap_or_else(|m| panic!("{text}: {m:?}"));
        let cells = needs.columns.iter().map(|(_, name)| {
            let with = with.iter().find(|(column, _)| column == name);
            vec![match (with, name.as_str()) {
                (Some((_, cell)), _) => cell.clone(),
                (None, "region") => Cell::Text("EU".into()),
                (None, "age") => Cell::Number(40.0),
                (None, "flag") => Cell::Bool(true),
                (None, _) => Cell::Number(0.25),
            }]
        });
        let cells: Vec<Vec<Cell>> = cells.collect();
        let columns: Vec<Option<&[Cell]>> = cells.iter().map(|cells| Some(&cells[..])).collect();
        let label = label::Truth::Number(10.0);
        program.value(Row { columns: &columns, at: 0, label: Some(&label) })
    }

    #[test]
    fn expressions_are_worth_what_arithmetic_says() {
        for (text, expected) in [
            ("outputs.score > 0.5", 0.0),
            ("outputs.score * 4 + 1", 2.0),
            ("abs(outputs.score - label)", 9.75),
            ("inputs.region in [\"EU\", \"UK\"] && inputs.age >= 40", 1.0),
            ("inputs.region != \"EU\" || inputs.flag", 1.0),
            ("inputs.flag + inputs.flag", 2.0),
            ("inputs.age in [1, -2, 40] ? label : 0 - 1", 10.0),
            ("max(inputs.age, label, 3) - min(1, outputs.score)", 39.75),
            ("pow(label, 2) % 7", 2.0),
            ("round(sqrt(label)) + floor(ln(exp(outputs.score)))", 3.0),
            ("size(inputs.region)", 2.0),
            ("-inputs.age / 8", -5.0),
            ("inputs.flag == (inputs.age == 40)", 1.0),
            ("has(inputs.age) ? 1 : 0", 1.0),
        ] {
            assert_eq!(worth(text, None, &[]), Some(Value::Known(expected)), "{text}");
        }
    }

    #[test]
    fn a_row_that_lacks_a_value_does_not_count_unless_it_makes_no_difference() {
        let gone = [("age", Cell::Null)];
        for (text, expected) in [
            ("inputs.age + 1", Value::Missing),
            ("inputs.age > 3 && inputs.flag", Value::Missing),
            ("inputs.age > 3 || inputs.flag", Value::Known(1.0)),
            ("inputs.flag || inputs.age > 3", Value::Known(1.0)),
            ("inputs.age > 3 && !inputs.flag", Value::Known(0.0)),
            ("inputs.flag ? 7 : inputs.age", Value::Known(7.0)),
            ("has(inputs.age) ? inputs.age : 0", Value::Known(0.0)),
        ] {
            assert_eq!(worth(text, None, &gone), Some(expected), "{text}");
        }
        for odd in [Cell::Text("forty".into()), Cell::Nested, Cell::Bool(true)] {
            assert_eq!(worth("inputs.age", None, &[("age", odd)]), Some(Value::Missing));
        }
        // A category that is written as a number or as yes or no is one all the same.
        let seven = [("region", Cell::Number(7.0))];
        assert_eq!(worth("inputs.region == \"7\"", None, &seven), Some(Value::Known(1.0)));
    }

    #[test]
    fn what_no_number_is_is_undefined_and_never_a_value() {
        for text in [
            "1 / (outputs.score - 0.25)",
            "inputs.age % 0",
            "ln(-inputs.age)",
            "sqrt(-inputs.age)",
            "exp(inputs.age * 1000)",
            "has(ln(-inputs.age))",
        ] {
            assert_eq!(worth(text, None, &[]), Some(Value::Undefined), "{text}");
        }
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let odd = [("age", Cell::Number(odd))];
            assert_eq!(worth("inputs.age > 3", None, &odd), Some(Value::Undefined));
        }
    }

    #[test]
    fn a_condition_says_which_rows_count() {
        let of = |condition: &str| worth("outputs.score", Some(condition), &[("age", Cell::Null)]);
        assert_eq!(of("inputs.region == \"EU\""), Some(Value::Known(0.25)));
        assert_eq!(of("inputs.region == \"US\""), None);
        assert_eq!(of("inputs.age > 3"), Some(Value::Missing));
        assert_eq!(of("1 / 0 > outputs.score"), Some(Value::Undefined));
    }

    fn told(text: &str, condition: Option<&str>) -> Vec<(bool, String)> {
        let misfits = made(text, condition).expect_err(text);
        misfits
            .into_iter()
            .map(|(of_condition, misfit)| (of_condition, misfit.to_string()))
            .collect()
    }

    #[test]
    fn what_does_not_fit_the_model_is_told_with_its_place_and_all_at_once() {
        for (text, expected) in [
            ("inputs.agee > 3", "character 1: the model has no input `agee`; did you mean `age`?"),
            ("outputs.zzz > 3", "character 1: the model has no output `zzz`; known here: score"),
            ("3 < inputs.ssn", "character 5: `ssn` is sensitive; its values never arrive here"),
            ("inputs.region > 3", "character 15: a text and a number cannot be compared by this"),
            (
                "inputs.region < \"EU\"",
                "character 15: a text and a text cannot be compared by this",
            ),
            ("inputs.age && true", "character 1: expected true or false, found a number"),
            ("inputs.region + 1", "character 1: expected a number, found a text"),
            ("inputs.region", "character 1: expected a number, or true or false, found a text"),
            ("inputs.region in [1]", "character 19: expected texts, found a number"),
            ("inputs.age in [\"x\"]", "character 1: expected a text, found a number"),
            ("size(inputs.age)", "character 6: expected a text, found a number"),
            ("1 > 2", "it looks at nothing of a row; name an input, an output or the label"),
        ] {
            assert_eq!(told(text, None), [(false, expected.to_owned())], "{text}");
        }
        let both = told("inputs.agee + outputs.scor", Some("inputs.regio == 1"));
        assert_eq!(both.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [false, false, true]);
        let scope = Scope { label: None, ..scope() };
        let misfits = program(&"label".parse().unwrap(), None, &scope, &mut Needs::default());
        let told = misfits.expect_err("no label").remove(0).1.to_string();
        assert!(told.contains("no labels are awaited"), "{told}");
    }

    #[test]
    fn what_a_program_looks_at_is_known() {
        let (program, needs) = made("outputs.score > inputs.age", Some("label > 3")).unwrap();
        assert!("abs(3 - label)".parse::<Expression>().unwrap().looks_at_label());
        assert_eq!((program.sides, program.is_share()), ([true; 2], true));
        let expected = [(Side::Response, "score".to_owned()), (Side::Request, "age".to_owned())];
        assert_eq!(needs.columns, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1927),
            ..ProptestConfig::default()
        })]

        /// Whatever is written is read or refused, and whatever is read has a finite value or none.
        #[test]
        fn any_text_and_any_row_have_an_answer(
            parts in prop::collection::vec(prop::sample::select(vec![
                "inputs.age", "inputs.flag", "inputs.region", "outputs.score", "label", "1", "0.5",
                "\"EU\"", "+", "-", "*", "/", "%", ">", "==", "&&", "||", "!", "?", ":", "(", ")",
                "in", "[", "]", ",", "abs(", "max(", "ln(", "has(", "pow(",
            ]), 0..12),
            number in prop::num::f64::ANY,
        ) {
            let text = parts.join(" ");
            if let Ok(read) = text.parse::<Expression>()
                && let Ok(program) = program(&read, None, &scope(), &mut Needs::default())
            {
                let cells = [Cell::Number(number)];
                let columns = [Some(&cells[..]); 4];
                let value = program.value(Row { columns: &columns, at: 0, label: None });
                if let Some(Value::Known(value)) = value {
                    prop_assert!(value.is_finite(), "{text}");
                }
            }
        }
    }
}
