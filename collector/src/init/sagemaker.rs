//! `constraints.json` of SageMaker Model Monitor.

use serde_json::Value;
use tidegate_contract::contract::{Contract, Field, FieldType};

use super::source::Found;

/// Reads constraints; `None` where they are none.
pub(super) fn read(json: &Value) -> Option<Found> {
    let features = json.get("features")?.as_array()?;
    let inputs: Vec<Field> = features.iter().filter_map(field).collect();
    (!inputs.is_empty()).then(|| Contract { inputs, ..Contract::default() }.into())
}

fn field(feature: &Value) -> Option<Field> {
    let kind = match feature.get("inferred_type")?.as_str()? {
        "Integral" => FieldType::Integer,
        "Fractional" => FieldType::Number,
        "String" => FieldType::Text,
        _ => FieldType::Any,
    };
    let mut field = Field::of(feature.get("name")?.as_str()?, kind);
    let positive = feature.pointer("/num_constraints/is_non_negative").and_then(Value::as_bool);
    if positive == Some(true) && matches!(kind, FieldType::Integer | FieldType::Number) {
        field.min = Some(0.0);
    }
    if let Some(domains) = feature.pointer("/string_constraints/domains").and_then(Value::as_array)
    {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        field.categories = domains.iter().filter_map(text).collect();
    }
    match feature.get("completeness").and_then(Value::as_f64) {
        Some(complete) if complete >= 1.0 => {}
        Some(complete) => {
            field.nullable = true;
            field.max_null_rate = Some((1.0 - complete).clamp(0.0, 1.0));
        }
        None => {
            field.nullable = true;
            field.required = false;
        }
    }
    Some(field)
}
