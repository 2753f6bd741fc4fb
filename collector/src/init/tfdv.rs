//! The schema of TensorFlow Data Validation (`tensorflow_metadata.proto.v0.Schema`), as text or as JSON.

use serde_json::Value;
use tidegate_contract::contract::{Contract, Field, FieldType};

use super::source::Found;
use super::text_proto::all;

/// Reads a schema; `None` where it has no features.
pub(super) fn read(schema: &Value) -> Option<Found> {
    let features = all(schema.get("feature")?);
    let domains = either(schema, "string_domain", "stringDomain").map(all).unwrap_or_default();
    let inputs: Vec<Field> =
        features.into_iter().filter_map(|feature| field(feature, &domains)).collect();
    let contract = Contract { inputs, ..Contract::default() };
    (!contract.inputs.is_empty()).then(|| contract.into())
}

/// A field by either spelling: JSON writes names in camel case.
fn either<'a>(message: &'a Value, snake: &str, camel: &str) -> Option<&'a Value> {
    message.get(snake).or_else(|| message.get(camel))
}

/// A number, which JSON writes as a text where it has 64 bits.
fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn field(feature: &Value, domains: &[&Value]) -> Option<Field> {
    let name = feature.get("name")?.as_str()?;
    let kind = match feature.get("type").and_then(Value::as_str) {
        Some("INT") => FieldType::Integer,
        Some("FLOAT") => FieldType::Number,
        Some("BYTES") => FieldType::Text,
        _ => FieldType::Any,
    };
    let kind = if either(feature, "bool_domain", "boolDomain").is_some() {
        FieldType::Boolean
    } else {
        kind
    };
    let mut field = Field::of(name, kind);
    let range = either(feature, "int_domain", "intDomain")
        .or_else(|| either(feature, "float_domain", "floatDomain"));
    if let Some(range) = range
        && matches!(kind, FieldType::Integer | FieldType::Number)
    {
        field.min = number(range.get("min"));
        field.max = number(range.get("max"));
    }
    let named = feature.get("domain").and_then(Value::as_str).and_then(|domain| {
        domains.iter().copied().find(|it| it.get("name").and_then(Value::as_str) == Some(domain))
    });
    let values = either(feature, "string_domain", "stringDomain").or(named);
    if kind == FieldType::Text
        && let Some(values) = values.and_then(|domain| domain.get("value"))
    {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        field.categories = all(values).into_iter().filter_map(text).collect();
    }
    let mass = either(feature, "distribution_constraints", "distributionConstraints")
        .and_then(|limits| number(either(limits, "min_domain_mass", "minDomainMass")));
    if let Some(mass) = mass.filter(|_| !field.categories.is_empty()) {
        field.max_unseen_rate = (1.0 - mass).max(0.0);
    }
    let presence = feature.get("presence");
    let fraction = presence.and_then(|it| number(either(it, "min_fraction", "minFraction")));
    match fraction {
        Some(fraction) if fraction >= 1.0 => {}
        Some(fraction) => {
            field.nullable = true;
            field.max_null_rate = Some((1.0 - fraction).clamp(0.0, 1.0));
        }
        None => {
            field.nullable = true;
            field.required = false;
        }
    }
    Some(field)
}
