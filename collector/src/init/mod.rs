//! `tidegate init`: a contract from what people already have: a running server, or the file that describes
//! a model to its server, to TensorFlow Data Validation, SageMaker, or JSON Schema; with the domains of
//! training data where there is some. It does not know the filter.

mod json_schema;
mod mlmodel;
mod sagemaker;
mod source;
mod tensors;
mod text_proto;
mod tfdv;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use tidegate_contract::contract::{Contract, Field, FieldType};

use crate::profile::{self, error::ProfileError};
use source::{Found, SourceError};

/// What is described, and where the contract goes.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// A server such as http://127.0.0.1:8080, or a file: model-settings.json, config.pbtxt, MLmodel, a
    /// TFDV schema, constraints.json, a JSON Schema or an OpenAPI document
    #[arg(value_name = "URL|FILE")]
    pub from: String,
    /// The model's name on the server
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The path of the prediction in an OpenAPI document that has several
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// Training data (CSV or Parquet): ranges, categories and nulls are taken from it
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Where the contract is written [default: to standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Why there is no contract.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// What was named does not describe a model.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The training data cannot be read.
    #[error(transparent)]
    Data(#[from] ProfileError),
    /// What was described cannot be a contract.
    #[error("{from} describes no contract: {why}")]
    Unaskable {
        /// What was read.
        from: String,
        /// All that is wrong with it.
        why: String,
    },
    /// The contract cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the description, merges the data, and writes the contract.
///
/// # Errors
/// When one of these cannot be done. Nothing is written then.
pub fn run(args: &InitArgs, out: &mut dyn Write) -> Result<(), InitError> {
    let Found { mut contract, notes } =
        source::read(&args.from, args.model.as_deref(), args.path.as_deref())?;
    let mut notes = notes;
    if let Some(data) = &args.data {
        let known = profile::contract_of(data)?;
        notes.extend(merge(&mut contract.inputs, &known.inputs));
    }
    let mistakes: Vec<String> = contract.mistakes().iter().map(ToString::to_string).collect();
    if !mistakes.is_empty() {
        return Err(InitError::Unaskable { from: args.from.clone(), why: mistakes.join("; ") });
    }
    let text = format!("{}\n", written(&contract));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Write { path, source }
    };
    match &args.out {
        None => {
            let standard = Path::new("standard output");
            out.write_all(text.as_bytes()).map_err(failed(standard))?;
        }
        Some(path) => std::fs::write(path, text).map_err(failed(path))?,
    }
    for note in notes {
        eprintln!("note: {note}");
    }
    Ok(())
}

/// A contract as people write it: a field a line.
fn written(contract: &Contract) -> String {
    let lines = |fields: &[Field]| {
        let line = |field: &Field| serde_json::to_string(field).unwrap_or_default();
        fields.iter().map(|field| format!("    {}", line(field))).collect::<Vec<_>>().join(",\n")
    };
    let mut parts = vec![format!("  \"inputs\": [\n{}\n  ]", lines(&contract.inputs))];
    if !contract.outputs.is_empty() {
        parts.push(format!("  \"outputs\": [\n{}\n  ]", lines(&contract.outputs)));
    }
    if contract.allow_unknown {
        parts.push("  \"allow_unknown\": true".to_owned());
    }
    format!("{{\n{}\n}}", parts.join(",\n"))
}

/// Takes ranges, categories and nulls of the data's columns where the description says nothing of them.
/// Without any description of inputs the columns become the inputs.
fn merge(fields: &mut Vec<Field>, columns: &[Field]) -> Vec<String> {
    if fields.is_empty() {
        fields.extend_from_slice(columns);
        return vec![
            "the source names no inputs; those of the training data were taken".to_owned(),
        ];
    }
    let mut notes = Vec::new();
    for field in fields {
        let Some(column) = columns.iter().find(|column| column.name == field.name) else {
            notes.push(format!("`{}` is no column of the training data", field.name));
            continue;
        };
        let ranged = matches!(field.kind, FieldType::Integer | FieldType::Number);
        if ranged && field.min.is_none() && field.max.is_none() {
            (field.min, field.max) = (column.min, column.max);
        }
        if field.kind == FieldType::Text && field.categories.is_empty() && field.format.is_none() {
            field.categories.clone_from(&column.categories);
            field.format = column.format;
        }
        field.nullable |= column.nullable;
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_fills_what_the_description_leaves_open() {
        let described = r#"{"inputs": [{"name": "age", "type": "integer", "datatype": "INT64"},
            {"name": "sex", "type": "text"}, {"name": "wage", "type": "number", "max": 9}]}"#;
        let known = r#"{"inputs": [{"name": "age", "type": "integer", "min": 0, "max": 90},
            {"name": "sex", "type": "text", "categories": ["F", "M"], "nullable": true},
            {"name": "wage", "type": "number", "min": -5, "max": 5}]}"#;
        let read = |text| Contract::parse(text).expect("a good contract");
        let mut contract = read(described);
        assert_eq!(merge(&mut contract.inputs, &read(known).inputs), [""; 0]);
        let [age, sex, wage] = &contract.inputs[..] else { panic!("three fields") };
        assert_eq!((age.min, age.max), (Some(0.0), Some(90.0)));
        assert_eq!((sex.categories.len(), sex.nullable), (2, true));
        assert_eq!((wage.min, wage.max), (None, Some(9.0)));
        assert_eq!(read(&written(&contract)), contract);
    }
}
