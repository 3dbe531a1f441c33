//! JSON Schemas as Gemini takes them: by the standard, of which it passes over what it does not know, but for two words
//! that would change what the schema says.

use serde_json::{Value, json};

use crate::domain::json::Raw;

/// The schema as it is sent. One that needs no change keeps its bytes, and so the order of its properties.
pub(super) fn of(given: &Raw) -> Raw {
    let text = given.as_str();
    if !(text.contains("\"$ref\"") || text.contains("\"const\"")) {
        return given.clone();
    }
    let Ok(mut schema) = given.parse::<Value>() else {
        return given.clone();
    };
    rewrite(&mut schema);
    Raw::of(&schema).unwrap_or_else(|_| given.clone())
}

/// Changes a schema, and those in it. The depth was bounded when the request was read.
fn rewrite(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(rewrite),
        Value::Object(fields) => {
            // Beside a reference there may be nothing else.
            if fields.get("$ref").is_some_and(Value::is_string) {
                fields.retain(|name, _| name.starts_with('$'));
            }
            // The one value that is allowed is a choice of one.
            if let Some(only) = fields.remove("const") {
                fields.entry("enum").or_insert_with(|| json!([only]));
            }
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                        named.values_mut().for_each(rewrite);
                    }
                    (
                        "items"
                        | "prefixItems"
                        | "anyOf"
                        | "oneOf"
                        | "allOf"
                        | "additionalProperties",
                        value,
                    ) => rewrite(value),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_passed_over_is_said_otherwise() {
        let check = |from: Value, expect: Value| {
            let sent = of(&Raw::of(&from).unwrap());
            assert_eq!(sent.parse::<Value>().unwrap(), expect);
        };
        check(
            json!({"type": "object", "properties": {"kind": {"const": "a"}, "const": {"type": "string"}}}),
            json!({"type": "object", "properties": {"kind": {"enum": ["a"]}, "const": {"type": "string"}}}),
        );
        check(
            json!({"items": {"$ref": "#/$defs/A", "description": "an A"}, "$defs": {"A": {"anyOf": [{"const": 1}]}}}),
            json!({"items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"anyOf": [{"enum": [1]}]}}}),
        );
        check(
            json!({"enum": [{"const": 1}]}),
            json!({"enum": [{"const": 1}]}),
        );
    }

    #[test]
    fn an_ordinary_schema_keeps_its_order() {
        let given: Raw = Raw::of(
            &serde_json::value::RawValue::from_string(
                r#"{"type":"object","properties":{"z":{},"a":{}}}"#.to_owned(),
            )
            .unwrap(),
        )
        .unwrap();
        assert_eq!(of(&given), given);
    }
}
