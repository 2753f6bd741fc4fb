//! Sources: which kind of description a file or an answer of a server is. It does not know what is done with
//! the contract.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_contract::contract::Contract;

use super::{json_schema, mlmodel, sagemaker, tensors, text_proto, tfdv};
use crate::client::{self, FetchError};

/// Bytes of a description.
const MAX_BYTES: u64 = 16 << 20;

/// A contract, and what could not be said in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) contract: Contract,
    pub(super) notes: Vec<String>,
}

impl From<Contract> for Found {
    fn from(contract: Contract) -> Self {
        Self { contract, notes: Vec::new() }
    }
}

/// Why what was named describes no model.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is too large.
    #[error("{path}: more than {MAX_BYTES} bytes; that is no description of a model")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// A server that does not answer as it should.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A server whose answers describe no model.
    #[error(
        "{url} describes no model: neither /v2/models{} nor /openapi.json answered with one; {cure}",
        .model.as_ref().map(|model| format!("/{model}")).unwrap_or_default()
    )]
    Server {
        /// The server.
        url: String,
        /// The model that was asked for.
        model: Option<String>,
        /// What to do.
        cure: String,
    },
    /// A description that is none of those we know.
    #[error(
        "{from} is none of the descriptions that are known: model-settings.json, config.pbtxt, MLmodel, a TFDV schema, \
         constraints.json, a JSON Schema or an OpenAPI document ({why})"
    )]
    Unknown {
        /// What was read.
        from: String,
        /// What was odd.
        why: String,
    },
}

/// Reads what a URL or a file describes.
pub(super) fn read(
    from: &str,
    model: Option<&str>,
    path: Option<&str>,
) -> Result<Found, SourceError> {
    if from.starts_with("http://") {
        return server(from, model, path);
    }
    let file = Path::new(from);
    let failed = |source| SourceError::File { path: file.to_owned(), source };
    if std::fs::metadata(file).map_err(failed)?.len() > MAX_BYTES {
        return Err(SourceError::TooLarge { path: file.to_owned() });
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    described(from, &bytes, path)
}

/// The Open Inference Protocol's metadata, or an OpenAPI document.
fn server(url: &str, model: Option<&str>, path: Option<&str>) -> Result<Found, SourceError> {
    let base = url.trim_end_matches('/');
    if let Some(model) = model
        && let Some(metadata) = client::fetch_json(&format!("{base}/v2/models/{model}"))?
        && let Some(found) = tensors::of_json(&metadata)
    {
        return Ok(found);
    }
    for document in ["/openapi.json", "/docs.json", "/v2/docs/dataplane.json"] {
        if let Some(openapi) = client::fetch_json(&format!("{base}{document}"))?
            && let Ok(found) = json_schema::of_openapi(&openapi, path)
        {
            return Ok(found);
        }
    }
    let cure = match model {
        None => "name the model with --model",
        Some(_) => "declare its inputs on the server, or give a file instead",
    };
    let (url, model) = (base.to_owned(), model.map(str::to_owned));
    Err(SourceError::Server { url, model, cure: cure.to_owned() })
}

/// What the bytes of a file describe.
pub(super) fn described(
    from: &str,
    bytes: &[u8],
    path: Option<&str>,
) -> Result<Found, SourceError> {
    let unknown = |why: &str| SourceError::Unknown { from: from.to_owned(), why: why.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| unknown("it is not text"))?;
    if text.trim_start().starts_with('{') {
        let json: Value =
            serde_json::from_str(text).map_err(|error| unknown(&error.to_string()))?;
        return of_json(&json, path).map_err(|why| unknown(&why));
    }
    if text.contains("signature:") || text.contains("mlflow_version") {
        return mlmodel::read(bytes).map_err(|why| unknown(&why));
    }
    let message = text_proto::read(text).map_err(|error| unknown(&error.to_string()))?;
    tensors::of_triton(&message)
        .or_else(|| tfdv::read(&message))
        .ok_or_else(|| unknown("it names neither inputs nor features"))
}

fn of_json(json: &Value, path: Option<&str>) -> Result<Found, String> {
    if json.get("openapi").is_some() || json.get("swagger").is_some() {
        return json_schema::of_openapi(json, path);
    }
    if let Some(found) = tensors::of_json(json) {
        return Ok(found);
    }
    if let Some(found) = sagemaker::read(json) {
        return Ok(found);
    }
    if let Some(found) = tfdv::read(json) {
        return Ok(found);
    }
    json_schema::read(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a description says of its inputs and outputs, a word each.
    pub(in crate::init) fn told(text: &str) -> Vec<String> {
        let found = described("a file", text.as_bytes(), None).expect("a description");
        assert_eq!(found.contract.mistakes(), [], "{text}");
        let field = |field: &tidegate_contract::contract::Field| {
            let json = serde_json::to_string(field).expect("writes");
            json.replace('"', "")
        };
        let Contract { inputs, outputs, .. } = &found.contract;
        inputs.iter().chain(outputs).map(field).collect()
    }

    #[test]
    fn settings_of_mlserver_and_triton_say_the_same() {
        let mlserver = r#"{"name": "census", "implementation": "mlserver_sklearn.SKLearnModel", "inputs": [
            {"name": "age", "datatype": "INT64", "shape": [-1, 1]}, {"name": "sex", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [{"name": "class", "datatype": "FP32", "shape": [-1, 2]}]}"#;
        let triton = r#"name: "census" # a comment
            platform: "onnxruntime_onnx"
            max_batch_size: 8
            input [ { name: "age" data_type: TYPE_INT64 dims: [ 1 ] },
                    { name: "sex", data_type: TYPE_STRING, dims: [ 1 ] reshape: { shape: [ ] } } ]
            output { name: "class" data_type: TYPE_FP32 dims: [ 2 ] }"#;
        let class = "{name:class,type:number,datatype:FP32,shape:[-1,2]}";
        let age = "{name:age,type:integer,datatype:INT64,shape:[-1,1]}";
        assert_eq!(told(mlserver), [age, "{name:sex,type:text,datatype:BYTES,shape:[-1]}", class]);
        assert_eq!(told(triton), [age, "{name:sex,type:text,datatype:BYTES,shape:[-1,1]}", class]);
    }

    #[test]
    fn a_signature_of_mlflow_is_read_in_both_forms() {
        let columns = "mlflow_version: 3.17.2\nsignature:\n  inputs: '[{\"type\": \"long\", \"name\": \"age\", \
            \"required\": true}, {\"type\": \"double\", \"name\": \"wage\", \"required\":\n    false}]'\n  \
            outputs: '[{\"type\": \"string\", \"name\": \"class\"}]'\n  params: null\n";
        assert_eq!(
            told(columns),
            [
                "{name:age,type:integer}",
                "{name:wage,type:number,required:false}",
                "{name:class,type:text}"
            ]
        );
        let tensor = "signature:\n  inputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\", \
            \"shape\": [-1, 28, 28]}, \"name\": \"image\"}]'\n";
        assert_eq!(told(tensor), ["{name:image,type:number,shape:[-1,28,28]}"]);
    }

    #[test]
    fn a_schema_of_tfdv_keeps_its_domains() {
        let schema = r#"feature { name: "age" type: INT presence { min_fraction: 1.0 min_count: 1 }
              int_domain { min: 0 max: 120 } shape { dim { size: 1 } } }
            feature { name: "sex" type: BYTES domain: "sexes" presence { min_fraction: 0.9 }
              distribution_constraints { min_domain_mass: 0.95 } }
            feature { name: "wage" type: FLOAT float_domain { min: 0.5 } }
            string_domain { name: "sexes" value: "F" value: "M" }"#;
        let expected = [
            "{name:age,type:integer,min:0.0,max:120.0}",
            "{name:sex,type:text,nullable:true,categories:[F,M],max_unseen_rate:0.050000000000000044,max_null_rate:0.09999999999999998}",
            "{name:wage,type:number,required:false,nullable:true,min:0.5}",
        ];
        assert_eq!(told(schema), expected);
        let json = r#"{"feature": [{"name": "age", "type": "INT", "intDomain": {"min": "0", "max": "120"},
            "presence": {"minFraction": 1.0}}]}"#;
        assert_eq!(told(json), expected[..1]);
    }

    #[test]
    fn constraints_of_sagemaker_are_read() {
        let json = r#"{"version": 0.0, "features": [
            {"name": "age", "inferred_type": "Integral", "completeness": 1.0, "num_constraints": {"is_non_negative": true}},
            {"name": "sex", "inferred_type": "String", "completeness": 0.9, "string_constraints": {"domains": ["F", "M"]}},
            {"name": "x", "inferred_type": "Unknown"}]}"#;
        assert_eq!(
            told(json),
            [
                "{name:age,type:integer,min:0.0}",
                "{name:sex,type:text,nullable:true,categories:[F,M],max_null_rate:0.09999999999999998}",
                "{name:x,type:any,required:false,nullable:true}",
            ]
        );
    }

    #[test]
    fn a_json_schema_becomes_fields_by_their_paths() {
        let json = r##"{"type": "object", "required": ["age", "user"], "properties": {
            "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 120},
            "wage": {"type": ["number", "null"]},
            "since": {"type": "string", "format": "date"},
            "user": {"$ref": "#/$defs/User"},
            "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
            "x": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
            "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}
          }, "$defs": {"User": {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}},
            "required": ["id"]}}}"##;
        assert_eq!(
            told(json),
            [
                "{name:age,type:integer,min:0.0,max:119.0}",
                "{name:items[].price,type:number,required:false}",
                "{name:kind,type:text,required:false,nullable:true,categories:[a,b]}",
                "{name:since,type:text,required:false,format:date}",
                "{name:user.id,type:text,format:uuid}",
                "{name:wage,type:number,required:false,nullable:true}",
                "{name:x,type:number,shape:[3],required:false}",
            ]
        );
        let rows = r#"{"type": "object", "properties": {"people": {"type": "array", "items":
            {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}}}}"#;
        assert_eq!(told(rows), ["{name:age,type:integer}"]);
    }

    #[test]
    fn what_is_none_of_these_says_so() {
        for text in ["", "hello", "{}", "[1]", "{\"a\": ", "a { b: "] {
            let error = described("a file", text.as_bytes(), None).expect_err("nothing");
            assert!(error.to_string().contains("none of the descriptions"), "{text}: {error}");
        }
    }
}
