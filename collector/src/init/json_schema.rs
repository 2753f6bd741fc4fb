//! JSON Schema, and the schema of a request in an OpenAPI document: properties become fields by their
//! paths. What a contract does not know (patterns, lengths, alternatives) is noted and left out.

use serde_json::Value;
use tidegate_contract::contract::{Contract, Field, FieldType, TextFormat};

use super::source::Found;

/// How deep references are followed and objects entered.
const MAX_DEPTH: usize = 16;
/// Keys whose meaning a contract cannot say.
const LEFT_OUT: [&str; 7] =
    ["pattern", "minLength", "maxLength", "multipleOf", "oneOf", "not", "patternProperties"];

/// Reads a schema of requests.
pub(super) fn read(schema: &Value) -> Result<Found, String> {
    if schema.get("properties").is_none()
        && schema.get("items").is_none()
        && schema.get("$ref").is_none()
    {
        return Err("it has neither properties nor items".to_owned());
    }
    of(schema, schema, None)
}

/// Reads the schemas of the one prediction of an OpenAPI document, or of that at `path`.
pub(super) fn of_openapi(document: &Value, path: Option<&str>) -> Result<Found, String> {
    let paths = document.get("paths").and_then(Value::as_object).ok_or("it has no paths")?;
    let schema = |operation: &Value, place: &str| {
        let body = operation.pointer(place)?.get("application/json")?.get("schema")?;
        Some(body.clone())
    };
    let mut asked = paths.iter().filter_map(|(name, path)| {
        Some((name.as_str(), schema(path.get("post")?, "/requestBody/content")?, path.get("post")?))
    });
    let chosen = match path {
        Some(path) => asked
            .find(|(name, ..)| *name == path)
            .ok_or_else(|| format!("no POST of JSON at {path}"))?,
        None => {
            let all: Vec<_> = asked.collect();
            match all.as_slice() {
                [] => return Err("no POST takes JSON".to_owned()),
                [one] => one.clone(),
                several => {
                    let names: Vec<&str> = several.iter().map(|(name, ..)| *name).collect();
                    return Err(format!("choose one with --path: {}", names.join(", ")));
                }
            }
        }
    };
    let (_, request, operation) = chosen;
    let answer = schema(operation, "/responses/200/content");
    of(document, &request, answer.as_ref())
}

fn of(root: &Value, request: &Value, answer: Option<&Value>) -> Result<Found, String> {
    let mut reader = Reader { root, fields: Vec::new(), notes: Vec::new() };
    let mut open = reader.rows(request);
    let inputs = std::mem::take(&mut reader.fields);
    if inputs.is_empty() {
        return Err("its request has no properties".to_owned());
    }
    if let Some(answer) = answer {
        open &= reader.rows(answer);
    }
    let contract = Contract { inputs, outputs: reader.fields, allow_unknown: open };
    Ok(Found { contract, notes: reader.notes })
}

struct Reader<'a> {
    root: &'a Value,
    fields: Vec<Field>,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    /// What a schema refers to, and whether null is a value beside it.
    fn resolve(&self, schema: &'a Value) -> (&'a Value, bool) {
        let (mut schema, mut nullable) = (schema, false);
        for _ in 0..MAX_DEPTH {
            nullable |= schema.get("nullable").and_then(Value::as_bool) == Some(true);
            if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
                && let Some(target) =
                    reference.strip_prefix('#').and_then(|path| self.root.pointer(path))
            {
                schema = target;
                continue;
            }
            // `anyOf` with null is how optional values are written.
            let any = schema.get("anyOf").or_else(|| schema.get("allOf")).and_then(Value::as_array);
            let Some(any) = any else { break };
            let null = |it: &&Value| it.get("type").and_then(Value::as_str) == Some("null");
            nullable |= any.iter().any(|it| null(&it));
            let mut rest = any.iter().filter(|it| !null(it));
            match (rest.next(), rest.next()) {
                (Some(one), None) => schema = one,
                _ => break,
            }
        }
        (schema, nullable)
    }

    /// The fields of one row: of the object, of the objects of a list, or of the only list that an
    /// object has. Says whether other fields are fine.
    fn rows(&mut self, schema: &'a Value) -> bool {
        let (schema, _) = self.resolve(schema);
        if let Some(items) = schema.get("items") {
            let (items, _) = self.resolve(items);
            return if items.get("properties").is_some() { self.rows(items) } else { true };
        }
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return true;
        };
        if properties.len() == 1
            && let Some(only) = properties.values().next()
            && let Some(items) = self.resolve(only).0.get("items")
            && self.resolve(items).0.get("properties").is_some()
        {
            return self.rows(items);
        }
        self.object("", schema, true, 0);
        schema.get("additionalProperties").and_then(Value::as_bool) != Some(false)
    }

    fn object(&mut self, path: &str, schema: &'a Value, required: bool, depth: usize) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = schema.get("required").and_then(Value::as_array);
        for (name, property) in properties.into_iter().flatten() {
            let asked = names.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)));
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.property(&path, property, required && asked, depth + 1);
        }
    }

    fn property(&mut self, path: &str, property: &'a Value, required: bool, depth: usize) {
        let (schema, mut nullable) = self.resolve(property);
        for key in LEFT_OUT {
            if schema.get(key).is_some() {
                self.notes.push(format!("`{path}`: `{key}` cannot be said in a contract"));
            }
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        nullable |= types.contains(&"null");
        let kind = types.into_iter().find(|kind| *kind != "null");
        if depth < MAX_DEPTH && schema.get("properties").is_some() {
            // An object that may be null need not be there, and so need its fields not.
            return self.object(path, schema, required && !nullable, depth);
        }
        if kind == Some("array") || schema.get("items").is_some() {
            return self.list(path, schema, required, nullable, depth);
        }
        let mut field = self.scalar(path, schema, kind);
        (field.required, field.nullable) = (required, nullable);
        self.fields.push(field);
    }

    fn list(
        &mut self,
        path: &str,
        schema: &'a Value,
        required: bool,
        nullable: bool,
        depth: usize,
    ) {
        let mut shape = Vec::new();
        let mut inner = schema;
        while let Some(items) = inner.get("items").filter(|_| shape.len() < MAX_DEPTH) {
            let extent = |key| inner.get(key).and_then(Value::as_i64);
            let fixed = extent("minItems").filter(|least| Some(*least) == extent("maxItems"));
            shape.push(fixed.unwrap_or(-1));
            inner = self.resolve(items).0;
        }
        if depth < MAX_DEPTH && inner.get("properties").is_some() {
            let path = format!("{path}{}", "[]".repeat(shape.len()));
            return self.object(&path, inner, false, depth);
        }
        let kind = inner.get("type").and_then(Value::as_str);
        let mut field = self.scalar(path, inner, kind);
        if field.kind != FieldType::Any {
            // A leading -1 stands for rows, so a list of any length says so twice.
            field.shape = Some(if shape[0] == -1 { [vec![-1], shape].concat() } else { shape });
        }
        (field.required, field.nullable) = (required, nullable);
        self.fields.push(field);
    }

    fn scalar(&self, path: &str, schema: &Value, kind: Option<&str>) -> Field {
        let number = |key| schema.get(key).and_then(Value::as_f64);
        let texts = schema.get("enum").and_then(Value::as_array).map(|values| {
            values.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect::<Vec<_>>()
        });
        let kind = match (kind, &texts) {
            (Some("integer"), _) => FieldType::Integer,
            (Some("number"), _) => FieldType::Number,
            (Some("boolean"), _) => FieldType::Boolean,
            (Some("string"), _) => FieldType::Text,
            (None, Some(texts)) if !texts.is_empty() => FieldType::Text,
            _ => FieldType::Any,
        };
        let mut field = Field::of(path, kind);
        match kind {
            FieldType::Integer | FieldType::Number => {
                let step = if kind == FieldType::Integer { 1.0 } else { 0.0 };
                field.min = number("minimum").or(number("exclusiveMinimum").map(|it| it + step));
                field.max = number("maximum").or(number("exclusiveMaximum").map(|it| it - step));
            }
            FieldType::Text => {
                field.format = match schema.get("format").and_then(Value::as_str) {
                    Some("date") => Some(TextFormat::Date),
                    Some("date-time") => Some(TextFormat::DateTime),
                    Some("uuid") => Some(TextFormat::Uuid),
                    _ => None,
                };
                field.categories = texts.unwrap_or_default();
            }
            FieldType::Boolean | FieldType::Bytes | FieldType::Any => {}
        }
        field
    }
}
