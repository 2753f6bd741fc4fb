//! Metrics of a model's owner: their names, limits and what can be said of an expression alone. It does
//! not know which columns the model has.

use std::path::Path;

use super::{NAME, name};
use crate::config::metric::{Metric, Origin};
use crate::config::mistake::{Mistakes, Problem};
use crate::config::raw;
use crate::config::reader::{Field, Written};
use crate::expression::Expression;

pub(super) fn all(
    raw: &[raw::Metric],
    file: &Path,
    mistakes: &mut Mistakes,
) -> Option<Vec<Metric>> {
    super::model::unique(raw.iter().map(|metric| &metric.name), mistakes);
    let metrics: Vec<_> = raw.iter().map(|metric| one(metric.clone(), file, mistakes)).collect();
    metrics.into_iter().collect()
}

fn one(raw: raw::Metric, file: &Path, mistakes: &mut Mistakes) -> Option<Metric> {
    let place = &raw.place;
    let metric_name = raw.name.check(|written| name(written, NAME, mistakes)).required(
        "name",
        "approval_rate",
        place,
        mistakes,
    );
    let written = raw.expression.required("expression", "outputs.score > 0.5", place, mistakes);
    let value = written.as_ref().and_then(|written| expression(written, mistakes));
    let condition = match raw.condition {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => expression(&written, mistakes).map(|of| Some((of, written.place))),
    };
    let (min, max) = (finite(raw.min, mistakes), finite(raw.max, mistakes));
    if let (Some(min), Some(max)) = (min.given(), max.given())
        && min.value > max.value
    {
        let (got, range) =
            (max.value.to_string(), format!("{} or more, which `min` says", min.value));
        mistakes.add(max.place.clone(), Problem::OutOfRange { got, range });
        return None;
    }
    let (metric_name, written) = (metric_name?, written?);
    let (condition, condition_place) = condition?.unzip();
    Some(Metric {
        name: metric_name.value,
        expression: value?,
        condition,
        min: min.map(Some).or(None)?,
        max: max.map(Some).or(None)?,
        origin: Origin {
            file: file.to_owned(),
            name: metric_name.place,
            condition: condition_place.unwrap_or_else(|| written.place.clone()),
            expression: written.place,
        },
    })
}

fn expression(written: &Written<String>, mistakes: &mut Mistakes) -> Option<Expression> {
    match written.value.parse() {
        Ok(expression) => Some(expression),
        Err(wrong) => {
            mistakes.add(written.place.clone(), Problem::NoExpression(wrong));
            None
        }
    }
}

fn finite(field: Field<f64>, mistakes: &mut Mistakes) -> Field<f64> {
    field.check(|written| {
        let good = written.value.is_finite();
        let (got, range) = (written.value.to_string(), "a finite number".to_owned());
        if !good {
            mistakes.add(written.place.clone(), Problem::OutOfRange { got, range });
        }
        good.then_some(())
    })
}
