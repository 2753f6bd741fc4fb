//! The layout: which columns the samples of a model have on disk, and of what type. What was not written
//! as its field's type is null; the count of violations beside it tells that there was something. It does
//! not know where files lie.

use std::collections::BTreeMap;

use tidegate_contract::columns::{Cell, Columns};
use tidegate_contract::contract::{Contract, Field, FieldType, Sensitive};
use tidegate_contract::protocol::Side;
use tidegate_detectors::reference::Values as Summary;

use crate::sides::Sides;
use crate::table::written::Values;

/// Columns of a model's data, at most.
const MAX_COLUMNS: usize = 512;
/// Bytes of a text that are kept.
const MAX_TEXT_BYTES: usize = 1024;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Whole,
    /// Numbers.
    Number,
    /// Yes or no.
    Boolean,
    /// Texts, and the hashes of sensitive values.
    Text,
}

/// One column of a model's data.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the files.
    pub name: String,
    /// Its name in bodies.
    pub source: String,
    /// Of requests or of answers.
    pub side: Side,
    /// What its cells are.
    pub kind: Kind,
}

/// Names that say something of the exchange, in the files or in the names of folders; a field that is
/// called so has another in the files.
pub const ABOUT: [&str; 15] = [
    "model",
    "version",
    "date",
    "hour",
    "request_id",
    "time",
    "shadow",
    "status",
    "duration_seconds",
    "outcome",
    "reason",
    "sampling_rate",
    "trace_id",
    "violations",
    "row",
];

/// The columns of a model: what its contract and its profile name, inputs first. What is sensitive and
/// dropped has none.
#[must_use]
pub fn columns(contract: &Contract, sides: &Sides) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (side, fields) in [(Side::Request, &contract.inputs), (Side::Response, &contract.outputs)] {
        for (source, kind) in sources(side, fields, sides) {
            let taken = |name: &str, columns: &[Column]| {
                ABOUT.contains(&name) || columns.iter().any(|column| column.name == name)
            };
            let mut name = source.clone();
            if taken(&name, &columns) {
                name =
                    format!("{}.{source}", if side == Side::Request { "input" } else { "output" });
            }
            if !taken(&name, &columns) && columns.len() < MAX_COLUMNS {
                columns.push(Column { name, source, side, kind });
            }
        }
    }
    columns
}

/// The names of a side's columns in bodies, in their order, each with what its cells are.
pub(crate) fn sources(side: Side, fields: &[Field], sides: &Sides) -> Vec<(String, Kind)> {
    let features = &sides.reference().features[sides.range(side)];
    let summaries: BTreeMap<&str, &Summary> =
        sides.names(side).zip(features.iter().map(|feature| &feature.values)).collect();
    // A tensor of several places is the columns `name[0]`, `name[1]`, which the profile knows.
    let places = |field: &str| {
        let begins = format!("{field}[");
        sides.names(side).filter(move |name| name.starts_with(&begins)).map(str::to_owned)
    };
    let mut sources: Vec<(String, Kind)> = Vec::new();
    for field in fields {
        let Some(kind) = kind_of(field) else { continue };
        let apart: Vec<String> = places(&field.name).collect();
        let names = if apart.is_empty() { vec![field.name.clone()] } else { apart };
        sources.extend(names.into_iter().map(|name| (name, kind)));
    }
    for name in sides.names(side) {
        let base = name.split('[').next().unwrap_or(name);
        let dropped = fields
            .iter()
            .any(|field| (field.name == name || field.name == base) && kind_of(field).is_none());
        if dropped || sources.iter().any(|(known, _)| known == name) {
            continue;
        }
        let number = matches!(summaries.get(name), Some(Summary::Number(_)));
        sources.push((name.to_owned(), if number { Kind::Number } else { Kind::Text }));
    }
    sources
}

/// What the cells of a field are; `None` where none are kept.
fn kind_of(field: &Field) -> Option<Kind> {
    match (field.sensitive, field.kind) {
        (Some(Sensitive::Drop), _) | (_, FieldType::Bytes | FieldType::Any) => None,
        (Some(Sensitive::Hash), _) | (None, FieldType::Text) => Some(Kind::Text),
        (None, FieldType::Integer) => Some(Kind::Whole),
        (None, FieldType::Number) => Some(Kind::Number),
        (None, FieldType::Boolean) => Some(Kind::Boolean),
    }
}

impl Column {
    /// No cells yet.
    #[must_use]
    pub fn empty(&self) -> Values {
        match self.kind {
            Kind::Whole => Values::Whole(Vec::new()),
            Kind::Number => Values::Number(Vec::new()),
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Text => Values::Text(Vec::new()),
        }
    }

    /// Adds the cells of one exchange, one for each of so many rows.
    pub fn add(&self, values: &mut Values, read: Option<&Columns>, rows: usize) {
        let column = read.and_then(|read| read.columns.iter().find(|c| c.name == self.source));
        for row in 0..rows {
            let cell = column.and_then(|column| column.cells.get(row)).unwrap_or(&Cell::Null);
            match values {
                Values::Whole(cells) | Values::Instant(cells) => cells.push(whole(cell)),
                Values::Number(cells) => cells.push(match cell {
                    Cell::Number(number) => Some(*number),
                    _ => None,
                }),
                Values::Boolean(cells) => cells.push(match cell {
                    Cell::Bool(value) => Some(*value),
                    _ => None,
                }),
                Values::Text(cells) => cells.push(text(cell)),
            }
        }
    }
}

fn whole(cell: &Cell) -> Option<i64> {
    // Doubles hold whole numbers up to 2^53 exactly.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match cell {
        Cell::Number(number) if number.fract() == 0.0 && number.abs() <= MOST => {
            Some(*number as i64)
        }
        _ => None,
    }
}

fn text(cell: &Cell) -> Option<Box<str>> {
    match cell {
        Cell::Text(text) => Some(text[..text.floor_char_boundary(MAX_TEXT_BYTES)].into()),
        Cell::Number(number) => Some(crate::profile::survey::code(*number).into()),
        Cell::Bool(value) => Some(value.to_string().into()),
        Cell::Null | Cell::Nested => None,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{self, Cell, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_detectors::reference::{Feature, Reference};

    use super::{Kind, columns};
    use crate::sides::Sides;
    use crate::table::written::Values;

    fn sides() -> Sides {
        let inputs = ["age", "x[0]", "x[1]"]
            .map(Feature::number)
            .into_iter()
            .chain([Feature::category("extra")]);
        let inputs = Reference::of(1, inputs.collect());
        let outputs = Reference::of(1, vec![Feature::number("age")]);
        Sides::of(&inputs, &outputs)
    }

    #[test]
    fn fields_have_columns_of_their_types_and_what_is_dropped_has_none() {
        let contract = r#"{"inputs": [
            {"name": "age", "type": "integer"}, {"name": "x", "type": "number", "shape": [2]},
            {"name": "ssn", "type": "text", "sensitive": "drop"},
            {"name": "mail", "type": "text", "sensitive": "hash"},
            {"name": "time", "type": "text"}, {"name": "blob", "type": "bytes"}],
            "outputs": [{"name": "age", "type": "number"}, {"name": "ok", "type": "boolean"}]}"#;
        let contract = Contract::parse(contract).expect("a contract");
        let told: Vec<(String, Kind)> = columns(&contract, &sides())
            .into_iter()
            .map(|column| (column.name, column.kind))
            .collect();
        let expected = [
            ("age", Kind::Whole),
            ("x[0]", Kind::Number),
            ("x[1]", Kind::Number),
            ("mail", Kind::Text),
            ("input.time", Kind::Text),
            ("extra", Kind::Text),
            ("output.age", Kind::Number),
            ("ok", Kind::Boolean),
        ];
        assert_eq!(told, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn what_is_not_of_its_type_is_null() {
        let contract = r#"{"inputs": [{"name": "age", "type": "integer"}]}"#;
        let contract = Contract::parse(contract).expect("a contract");
        let none = Reference::of(0, Vec::new());
        let columns = columns(&contract, &Sides::of(&none, &none));
        let cells = vec![Cell::Number(3.0), Cell::Number(3.5), Cell::Text("3".into()), Cell::Null];
        let read =
            Columns { rows: 4, columns: vec![columns::Column { name: "age".into(), cells }] };
        let mut values = columns[0].empty();
        columns[0].add(&mut values, Some(&read), 4);
        columns[0].add(&mut values, None, 1);
        assert_eq!(values, Values::Whole(vec![Some(3), None, None, None, None]));
    }
}
