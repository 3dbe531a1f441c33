//! JSON Schemas as Anthropic takes them.

use serde_json::{Map, Value, json};

use crate::domain::json::Raw;

/// The schema of a tool's arguments, which must say that it is an object.
pub(in crate::wire) fn of_arguments(given: Option<&Raw>) -> Raw {
    let object = given.and_then(Raw::object);
    match (given, object) {
        (Some(given), Some(object)) if object.given("type").is_some() => given.clone(),
        (_, Some(object)) => {
            let mut typed = object.splice(|name| name != "type");
            typed.text("type", "object");
            typed.finish_raw()
        }
        (Some(given), None) => given.clone(),
        (None, None) => written(&json!({"type": "object", "properties": {}})),
    }
}

/// The schema of an answer: each object in it must say that it has no further properties.
pub(in crate::wire) fn of_answer(given: Option<&Raw>) -> Raw {
    let parsed = given.and_then(|raw| raw.parse::<Value>().ok());
    let mut schema = parsed.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    close(&mut schema);
    written(&schema)
}

/// Closes the objects of a schema, wherever schemas stand in it. The depth was bounded when the request was read.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("type").is_some_and(|kind| kind == "object");
            if is_object || fields.contains_key("properties") {
                fields
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            inner(fields).for_each(close);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}

/// The schemas inside a schema; what stands in `enum`, `const` or `default` is a value, not a schema.
fn inner(fields: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    fields
        .iter_mut()
        .flat_map(|(name, value)| -> Vec<&mut Value> {
            match (name.as_str(), value) {
                ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                    named.values_mut().collect()
                }
                ("items" | "anyOf" | "oneOf" | "allOf" | "prefixItems", value) => vec![value],
                _ => Vec::new(),
            }
        })
}

fn written(schema: &Value) -> Raw {
    // A value that was parsed, or is written above, can be written.
    Raw::of(schema).unwrap_or_else(|_| Raw::array([]))
}
