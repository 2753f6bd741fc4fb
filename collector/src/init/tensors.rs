//! Tensors by name, datatype and shape: the metadata of the Open Inference Protocol, MLServer's
//! model-settings.json and Triton's config.pbtxt.

use serde_json::Value;
use tidegate_contract::contract::{Contract, Datatype, Field, FieldType};

use super::source::Found;

/// The metadata of a model, or its settings; `None` where they list no tensors.
pub(super) fn of_json(json: &Value) -> Option<Found> {
    let tensors = |key| json.get(key).and_then(Value::as_array);
    let inputs = tensors("inputs")?;
    let fields = |tensors: &[Value]| tensors.iter().filter_map(tensor).collect::<Vec<_>>();
    let contract = Contract {
        inputs: fields(inputs),
        outputs: tensors("outputs").map(|outputs| fields(outputs)).unwrap_or_default(),
        allow_unknown: false,
    };
    (!contract.inputs.is_empty()).then(|| contract.into())
}

fn tensor(json: &Value) -> Option<Field> {
    let datatype = Datatype::parse(json.get("datatype")?.as_str()?)?;
    let shape = json.get("shape").and_then(Value::as_array);
    let shape = shape.map(|extents| extents.iter().filter_map(Value::as_i64).collect());
    Some(field(json.get("name")?.as_str()?, datatype, shape))
}

fn field(name: &str, datatype: Datatype, shape: Option<Vec<i64>>) -> Field {
    let kind = match datatype {
        Datatype::Bool => FieldType::Boolean,
        Datatype::Bytes => FieldType::Text,
        Datatype::Fp16 | Datatype::Fp32 | Datatype::Fp64 | Datatype::Bf16 => FieldType::Number,
        _ => FieldType::Integer,
    };
    let shape = shape.filter(|shape| !shape.is_empty());
    Field { datatype: Some(datatype), shape, ..Field::of(name, kind) }
}

/// Triton's `ModelConfig`; `None` where it lists no inputs.
pub(super) fn of_triton(config: &Value) -> Option<Found> {
    let batched = config.get("max_batch_size").and_then(Value::as_i64).unwrap_or(0) > 0;
    let fields = |key| -> Vec<Field> {
        let tensors = config.get(key).map(super::text_proto::all).unwrap_or_default();
        tensors.into_iter().filter_map(|tensor| of_config(tensor, batched)).collect()
    };
    let contract =
        Contract { inputs: fields("input"), outputs: fields("output"), allow_unknown: false };
    (!contract.inputs.is_empty()).then(|| contract.into())
}

fn of_config(tensor: &Value, batched: bool) -> Option<Field> {
    let name = tensor.get("name")?.as_str()?;
    let datatype = match tensor.get("data_type")?.as_str()?.strip_prefix("TYPE_")? {
        "STRING" => Datatype::Bytes,
        other => Datatype::parse(other)?,
    };
    let dims = tensor.get("dims").map(super::text_proto::all).unwrap_or_default();
    let dims = dims.into_iter().filter_map(Value::as_i64);
    let shape = batched.then_some(-1).into_iter().chain(dims).collect();
    Some(field(name, datatype, Some(shape)))
}
