//! A metric of its owner's as the configuration resolves it. It does not know whether the model has
//! the columns that it names.

use std::path::PathBuf;

use super::mistake::{ConfigError, Mistake, Mistakes, Place, Problem};
use crate::expression::Expression;
use crate::expression::typed::Misfit;

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name: letters, digits, `_` and `-`, at most 64, so that it fits labels.
    pub name: String,
    /// The value of a row.
    pub expression: Expression,
    /// Which rows count; without it all do.
    pub condition: Option<Expression>,
    /// The least that its mean may be; finite.
    pub min: Option<f64>,
    /// The most that its mean may be; finite, and not less than `min`.
    pub max: Option<f64>,
    /// Where it is written.
    pub origin: Origin,
}

/// Where a metric is written, for what is found wrong with it when the profile is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The name's place.
    pub name: Place,
    /// The expression's place.
    pub expression: Place,
    /// The condition's place; the expression's where there is none.
    pub condition: Place,
}

impl Metric {
    /// Whether it waits for labels.
    #[must_use]
    pub fn looks_at_label(&self) -> bool {
        let of_condition = self.condition.as_ref().is_some_and(Expression::looks_at_label);
        of_condition || self.expression.looks_at_label()
    }

    /// What it measures and of which rows, in one spelling.
    #[must_use]
    pub fn definition(&self) -> String {
        match &self.condition {
            None => format!("{}: {}", self.name, self.expression),
            Some(condition) => format!("{}: {} where {condition}", self.name, self.expression),
        }
    }

    /// Its name is a column's.
    #[must_use]
    pub(crate) fn named_like_a_column(&self) -> Mistake {
        let problem = Problem::NameOfColumn(self.name.clone());
        Mistake { place: self.origin.name.clone(), problem }
    }

    /// It does not fit its model, in the condition or in the expression.
    #[must_use]
    pub(crate) fn misfit(&self, (of_condition, misfit): (bool, Misfit)) -> Mistake {
        let Origin { expression, condition, .. } = &self.origin;
        let place = if of_condition { condition } else { expression };
        Mistake { place: place.clone(), problem: Problem::Misfit(misfit) }
    }
}

/// Mistakes of some metrics as those of their file; `None` without any.
pub(crate) fn mistaken(metrics: &[Metric], found: Vec<Mistake>) -> Option<ConfigError> {
    let file = metrics.first()?.origin.file.clone();
    let mut mistakes = Mistakes::default();
    found.into_iter().for_each(|Mistake { place, problem }| mistakes.add(place, problem));
    let mistaken = !mistakes.is_empty();
    mistaken.then(|| ConfigError::Mistaken { file, mistakes: mistakes.sorted() })
}
