//! `MLmodel` of MLflow: the signature in it, columns or tensors.

use serde_json::Value;
use tidegate_contract::contract::{Contract, Field, FieldType};

use super::source::Found;
use crate::config;

/// Reads the signature.
pub(super) fn read(bytes: &[u8]) -> Result<Found, String> {
    let side = |key: &str| -> Result<Vec<Field>, String> {
        let Some(text) = config::text_at(bytes, &["signature", key])? else {
            return Ok(Vec::new());
        };
        let json: Value =
            serde_json::from_str(&text).map_err(|error| format!("signature.{key}: {error}"))?;
        Ok(json.as_array().map(|columns| columns.iter().map(field).collect()).unwrap_or_default())
    };
    let contract =
        Contract { inputs: side("inputs")?, outputs: side("outputs")?, allow_unknown: false };
    if contract.inputs.is_empty() {
        return Err("it has no signature; log the model with one (infer_signature)".to_owned());
    }
    Ok(contract.into())
}

fn field(column: &Value) -> Field {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    // A tensor without a name is the only one, and called so.
    let name = match text(column.get("name")) {
        name if name.is_empty() => "inputs".to_owned(),
        name => name,
    };
    let required = column.get("required").and_then(Value::as_bool).unwrap_or(true);
    if let Some(tensor) = column.get("tensor-spec") {
        let shape = tensor.get("shape").and_then(Value::as_array);
        let shape = shape.map(|extents| extents.iter().filter_map(Value::as_i64).collect());
        let kind = match text(tensor.get("dtype")) {
            dtype if dtype.starts_with("float") => FieldType::Number,
            dtype if dtype.contains("int") => FieldType::Integer,
            dtype if dtype == "bool" => FieldType::Boolean,
            dtype if dtype == "str" || dtype == "object" => FieldType::Text,
            _ => FieldType::Any,
        };
        return Field { shape, required, ..Field::of(&name, kind) };
    }
    let kind = match text(column.get("type")).as_str() {
        "integer" | "long" => FieldType::Integer,
        "float" | "double" => FieldType::Number,
        "string" | "datetime" => FieldType::Text,
        "boolean" => FieldType::Boolean,
        "binary" => FieldType::Bytes,
        _ => FieldType::Any,
    };
    Field { required, ..Field::of(&name, kind) }
}
