//! The metrics of a model's owner, ready to be asked: for each row of an exchange, what each of them is
//! worth. It does not know windows, nor what follows from a value.
//!
//! Metrics of inputs and outputs are of all exchanges that a version answered. Those that look at the
//! label are of rows that a label has joined.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tidegate_contract::columns::{Cell, Columns};
use tidegate_contract::contract::Contract;
use tidegate_contract::protocol::Side;
use tidegate_detectors::custom_metric::{CustomMetric, MetricStatus, Scale, Value, Values};
use tidegate_detectors::window::Window;

use crate::config::metric::mistaken;
use crate::config::mistake::ConfigError;
use crate::config::model::{Model, Task};
use crate::expression::typed::{Known, Needs, Program, Scope, Type, program};
use crate::expression::value::Row;
use crate::labels::label::Truth;
use crate::sides::Sides;
use crate::store::layout::{Kind, sources};

/// All metrics of a model; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CustomMetrics(Arc<All>);

#[derive(Debug, Default)]
struct All {
    metrics: Vec<(CustomMetric, Program)>,
    /// The columns of those that look at no label, and of those that do.
    needs: [Needs; 2],
}

impl CustomMetrics {
    /// Those that a model is configured with, held against its columns.
    ///
    /// # Errors
    /// With all that does not fit, as mistakes of the configuration's file.
    pub fn of(model: &Model, contract: &Contract, sides: &Sides) -> Result<Self, ConfigError> {
        let scope = scope(model, contract, sides);
        let mut all = All::default();
        let mut mistakes = Vec::new();
        for metric in &model.metrics {
            if scope.columns.iter().any(|known| known.name == metric.name) {
                mistakes.push(metric.named_like_a_column());
            }
            let labelled = metric.looks_at_label();
            let needs = &mut all.needs[usize::from(labelled)];
            match program(&metric.expression, metric.condition.as_ref(), &scope, needs) {
                Ok(program) => {
                    let scale = if program.is_share() { Scale::Share } else { Scale::Number };
                    let (name, definition) = (metric.name.clone(), metric.definition());
                    let (min, max) = (metric.min, metric.max);
                    let custom = CustomMetric { name, definition, scale, min, max, labelled };
                    all.metrics.push((custom, program));
                }
                Err(misfits) => {
                    mistakes.extend(misfits.into_iter().map(|misfit| metric.misfit(misfit)));
                }
            }
        }
        match mistaken(&model.metrics, mistakes) {
            Some(mistaken) => Err(mistaken),
            None => Ok(Self(Arc::new(all))),
        }
    }

    /// Whether there are none that exchanges are asked for.
    #[must_use]
    pub fn need_no_exchange(&self) -> bool {
        self.0.metrics.iter().all(|(metric, _)| metric.labelled)
    }

    /// The columns of a side that any of them looks at.
    #[must_use]
    pub fn names(&self, side: Side) -> BTreeSet<&str> {
        let columns = self.0.needs.iter().flat_map(|needs| &needs.columns);
        columns.filter(|(of, _)| *of == side).map(|(_, name)| name.as_str()).collect()
    }

    /// What is judged.
    #[must_use]
    pub fn judged(&self) -> Vec<CustomMetric> {
        self.0.metrics.iter().map(|(metric, _)| metric.clone()).collect()
    }

    /// Asks an exchange for all metrics that look at no label: gives the definition and the value of
    /// each row that counts. Rows of a side that is not there, or that has another number of rows than
    /// the other one, lack what is needed of it.
    pub fn exchange(
        &self,
        asked: Option<&Columns>,
        answered: Option<&Columns>,
        mut take: impl FnMut(&str, Value),
    ) {
        let rows = |columns: Option<&Columns>| columns.map_or(0, |columns| columns.rows);
        let (rows_asked, rows_answered) = (rows(asked), rows(answered));
        let whole = cells(&self.0.needs[0], asked, answered);
        // Of an exchange whose sides do not match row by row, nothing of both can be said.
        let none = vec![None; whole.len()];
        for (metric, program) in self.0.metrics.iter().filter(|(metric, _)| !metric.labelled) {
            let (rows, matched) = match program.sides {
                [true, true] => (rows_asked.max(rows_answered), rows_asked == rows_answered),
                [true, false] => (rows_asked, true),
                // A request whose answer cannot be read lacks one for each of its rows.
                [false, _] if rows_answered == 0 => (rows_asked, true),
                [false, _] => (rows_answered, true),
            };
            let columns = if matched { &whole } else { &none };
            for at in 0..rows {
                if let Some(value) = program.value(Row { columns, at, label: None }) {
                    take(&metric.definition, value);
                }
            }
        }
    }

    /// How many columns of a row must be kept until its label comes.
    #[must_use]
    pub fn kept_columns(&self) -> usize {
        self.0.needs[1].columns.len()
    }

    /// What must be kept of each row of an exchange until its label comes, one cell for each column;
    /// nothing where no metric looks at labels.
    #[must_use]
    pub fn beside(&self, asked: Option<&Columns>, answered: &Columns) -> Vec<Box<[Cell]>> {
        let needs = &self.0.needs[1];
        if needs.columns.is_empty() {
            return Vec::new();
        }
        let asked = asked.filter(|asked| asked.rows == answered.rows);
        let columns = cells(needs, asked, Some(answered));
        let cell = |column: &Option<&[Cell]>, at: usize| {
            column.and_then(|cells| cells.get(at)).cloned().unwrap_or(Cell::Null)
        };
        (0..answered.rows).map(|at| columns.iter().map(|of| cell(of, at)).collect()).collect()
    }

    /// Asks a row that a label has joined for all metrics that look at it: what was kept of it
    /// ([`CustomMetrics::beside`]), and the truth. In the order of [`CustomMetrics::labelled`].
    #[must_use]
    pub fn joined(&self, beside: &[Cell], truth: &Truth) -> Box<[Option<Value>]> {
        let columns: Vec<Option<&[Cell]>> =
            beside.iter().map(|cell| Some(std::slice::from_ref(cell))).collect();
        let row = Row { columns: &columns, at: 0, label: Some(truth) };
        self.of_labels().map(|(_, program)| program.value(row)).collect()
    }

    /// The definitions of those that look at labels.
    pub fn labelled(&self) -> impl Iterator<Item = &str> {
        self.of_labels().map(|(metric, _)| metric.definition.as_str())
    }

    fn of_labels(&self) -> impl Iterator<Item = &(CustomMetric, Program)> {
        self.0.metrics.iter().filter(|(metric, _)| metric.labelled)
    }

    /// What all of them came to in a window.
    #[must_use]
    pub fn status(&self, window: &Window) -> Vec<MetricStatus> {
        let none = Values::default();
        let of = |metric: &CustomMetric| {
            metric.status(window.metrics.get(&metric.definition).unwrap_or(&none))
        };
        self.0.metrics.iter().map(|(metric, _)| of(metric)).collect()
    }
}

/// The columns that programs need, as an exchange has them.
fn cells<'a>(
    needs: &Needs,
    asked: Option<&'a Columns>,
    answered: Option<&'a Columns>,
) -> Vec<Option<&'a [Cell]>> {
    let find = |(side, name): &(Side, String)| {
        let table = if *side == Side::Request { asked } else { answered };
        let column = table?.columns.iter().find(|column| column.name == *name);
        column.map(|column| &column.cells[..])
    };
    needs.columns.iter().map(find).collect()
}

/// What expressions about a model may name: the columns of its contract and its profile.
fn scope(model: &Model, contract: &Contract, sides: &Sides) -> Scope {
    let mut columns = Vec::new();
    for (side, fields) in [(Side::Request, &contract.inputs), (Side::Response, &contract.outputs)] {
        let sensitive: HashMap<&str, bool> =
            fields.iter().map(|field| (field.name.as_str(), field.sensitive.is_some())).collect();
        // A place of a sensitive tensor is as sensitive as the tensor.
        let is_sensitive = |name: &str| {
            let whole = name.split('[').next().unwrap_or(name);
            [name, whole].iter().any(|name| sensitive.get(name) == Some(&true))
        };
        for (name, kind) in sources(side, fields, sides) {
            let of = match kind {
                Kind::Whole | Kind::Number => Type::Number,
                Kind::Boolean => Type::Truth,
                Kind::Text => Type::Text,
            };
            let of = (!is_sensitive(&name)).then_some(of);
            columns.push(Known { side, name, of });
        }
        for field in fields.iter().filter(|field| field.sensitive.is_some()) {
            if !columns.iter().any(|known| known.side == side && known.name == field.name) {
                columns.push(Known { side, name: field.name.clone(), of: None });
            }
        }
    }
    let label = model.labels.as_ref().map(|labels| match labels.task {
        Task::Binary { .. } => Type::Truth,
        Task::Multiclass => Type::Text,
        Task::Regression => Type::Number,
    });
    Scope { columns, label }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::Column;
    use tidegate_detectors::reference::{Feature, Reference};

    use super::*;
    use crate::fixture::{DIVERT, config};

    /// Metrics of a model with the inputs `age` and `region` and the output `score`.
    pub(crate) fn metrics(yaml: &str) -> Result<CustomMetrics, ConfigError> {
        let policy = format!(
            "{DIVERT}\n    labels: {{output: score, task: regression}}\n    metrics:{yaml}"
        );
        let model = config(&policy).models.remove(0);
        let contract = r#"{"inputs": [{"name": "age", "type": "number"},
            {"name": "region", "type": "text"}, {"name": "ssn", "type": "text", "sensitive": "hash"}],
            "outputs": [{"name": "score", "type": "number"}]}"#;
        let contract = Contract::parse(contract).expect("a contract");
        let inputs = Reference::of(0, vec![Feature::number("age"), Feature::number("wage")]);
        let sides = Sides::of(&inputs, &Reference::of(0, Vec::new()));
        CustomMetrics::of(&model, &contract, &sides)
    }

    fn table(columns: &[(&str, &[f64])]) -> Columns {
        let column = |(name, cells): &(&str, &[f64])| Column {
            name: (*name).to_owned(),
            cells: cells.iter().map(|cell| Cell::Number(*cell)).collect(),
        };
        let rows = columns.first().map_or(0, |(_, cells)| cells.len());
        Columns { rows, columns: columns.iter().map(column).collect() }
    }

    fn asked(
        metrics: &CustomMetrics,
        asked: Option<&Columns>,
        answered: Option<&Columns>,
    ) -> Vec<(String, Value)> {
        let mut values = Vec::new();
        let name = |definition: &str| definition.split(':').next().unwrap_or_default().to_owned();
        metrics.exchange(asked, answered, |of, value| values.push((name(of), value)));
        values
    }

    const THREE: &str = "
      - {name: high, expression: outputs.score > 0.5}
      - {name: grown, expression: inputs.age >= 18, where: inputs.age < 90}
      - {name: both, expression: outputs.score * inputs.age}
      - {name: missed, expression: abs(outputs.score - label) + 0 * inputs.age}";

    #[test]
    fn rows_of_both_sides_meet_where_they_are_as_many() {
        let metrics = metrics(THREE).unwrap();
        let (request, answer) =
            (table(&[("age", &[10.0, 95.0])]), table(&[("score", &[0.4, 0.6])]));
        let of = |name: &str, value: f64| (name.to_owned(), Value::Known(value));
        let expected =
            [of("high", 0.0), of("high", 1.0), of("grown", 0.0), of("both", 4.0), of("both", 57.0)];
        assert_eq!(asked(&metrics, Some(&request), Some(&answer)), expected);
        let none = |name: &str| (name.to_owned(), Value::Missing);
        let one = table(&[("score", &[0.9])]);
        let expected = [of("high", 1.0), of("grown", 0.0), none("both"), none("both")];
        assert_eq!(asked(&metrics, Some(&request), Some(&one)), expected);
        let expected = [none("high"), none("high"), of("grown", 0.0), none("both"), none("both")];
        assert_eq!(asked(&metrics, Some(&request), None), expected);
        let expected = [of("high", 0.0), of("high", 1.0), none("both"), none("both")];
        assert_eq!(asked(&metrics, None, Some(&answer)), expected);
        assert_eq!(asked(&metrics, None, None), []);
    }

    #[test]
    fn what_a_label_needs_is_kept_and_asked_when_it_comes() {
        let metrics = metrics(THREE).unwrap();
        assert_eq!(metrics.kept_columns(), 2);
        let (request, answer) = (table(&[("age", &[10.0])]), table(&[("score", &[0.5])]));
        let beside = metrics.beside(Some(&request), &answer);
        assert_eq!(*beside[0], [Cell::Number(0.5), Cell::Number(10.0)]);
        let worth = metrics.joined(&beside[0], &Truth::Number(1.5));
        assert_eq!(*worth, [Some(Value::Known(1.0))]);
        let unmatched = metrics.beside(Some(&table(&[("age", &[1.0, 2.0])])), &answer);
        assert_eq!(*metrics.joined(&unmatched[0], &Truth::Number(1.5)), [Some(Value::Missing)]);
        assert_eq!(metrics.names(Side::Request), ["age"].into());
        assert_eq!(metrics.names(Side::Response), ["score"].into());
    }

    #[test]
    fn what_does_not_fit_the_model_is_a_mistake_of_the_file() {
        let wrong = "
      - {name: age, expression: outputs.scores > 0.5, where: inputs.regoin == 1}
      - {name: hidden, expression: inputs.ssn == \"x\"}
      - {name: wages, expression: inputs.wage}";
        let told = metrics(wrong).unwrap_err().to_string();
        let expected = [
            "/tidegate/tidegate.yaml:19:16: models[0].metrics[0].name: `age` is a column of the model, and findings name both; choose another",
            "/tidegate/tidegate.yaml:19:33: models[0].metrics[0].expression: character 1: the model has no output `scores`; did you mean `score`?",
            "/tidegate/tidegate.yaml:19:62: models[0].metrics[0].where: character 1: the model has no input `regoin`; did you mean `region`?",
            "/tidegate/tidegate.yaml:20:36: models[0].metrics[1].expression: character 1: `ssn` is sensitive; its values never arrive here",
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }
}
