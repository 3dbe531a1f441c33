//! The smallest JSON value that a JSON Schema accepts, as far as a schema says so plainly.

use serde_json::{Map, Value, json};

/// A schema can ask for a value of any size; nobody needs one with more parts than this from a parrot.
const MOST_PARTS: usize = 10_000;
/// As deep as a parser would follow.
const MOST_DEEP: usize = 64;

/// A value that fits `schema`. Strings that may hold anything hold `text`.
pub(super) fn example(schema: &Value, text: &str) -> Value {
    Example {
        root: schema,
        text,
        parts: 0,
    }
    .of(schema, 0)
}

struct Example<'a> {
    root: &'a Value,
    text: &'a str,
    parts: usize,
}

impl Example<'_> {
    fn of(&mut self, schema: &Value, depth: usize) -> Value {
        self.parts += 1;
        if self.parts > MOST_PARTS || depth > MOST_DEEP {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")) {
            return fixed.clone();
        }
        if let Some(first) = ["enum", "examples"]
            .iter()
            .find_map(|name| schema.get(name)?.as_array()?.first())
        {
            return first.clone();
        }
        if let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|pointer| self.root.pointer(pointer.trim_start_matches('#')))
        {
            return self.of(target, depth + 1);
        }
        if let Some(first) = ["anyOf", "oneOf"]
            .iter()
            .find_map(|name| schema.get(name)?.as_array()?.first())
        {
            return self.of(first, depth + 1);
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.of(&merged(schema, parts), depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => integer(schema),
            "number" => schema
                .get("minimum")
                .cloned()
                .unwrap_or_else(|| integer(schema)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => Value::String(self.string(schema)),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let free = json!({ "type": "string" });
        let fields = required.map(|name| {
            let property = schema
                .get("properties")
                .and_then(|properties| properties.get(name));
            (
                name.to_owned(),
                self.of(property.unwrap_or(&free), depth + 1),
            )
        });
        Value::Object(fields.collect())
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let fewest = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let first = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let free = json!({ "type": "string" });
        let rest = schema
            .get("items")
            .filter(|items| items.is_object())
            .unwrap_or(&free);
        let mut items = Vec::new();
        while (items.len() as u64) < fewest && self.parts < MOST_PARTS {
            items.push(self.of(first.get(items.len()).unwrap_or(rest), depth + 1));
        }
        Value::Array(items)
    }

    fn string(&self, schema: &Value) -> String {
        if let Some(example) = schema
            .get("format")
            .and_then(Value::as_str)
            .and_then(example_of_format)
        {
            return example.to_owned();
        }
        let bound = |name: &str| {
            schema
                .get(name)
                .and_then(Value::as_u64)
                .and_then(|length| usize::try_from(length).ok())
        };
        let longest = bound("maxLength").unwrap_or(usize::MAX);
        let shortest = bound("minLength").unwrap_or(0).min(MOST_PARTS);
        let padded = self.text.chars().chain(std::iter::repeat('.'));
        padded
            .take(self.text.chars().count().max(shortest).min(longest))
            .collect()
    }
}

fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.first().and_then(Value::as_str),
        _ => None,
    };
    named.unwrap_or(
        if schema.get("properties").is_some() || schema.get("required").is_some() {
            "object"
        } else {
            "string"
        },
    )
}

/// The parts of an `allOf` beside the keywords next to it, as one schema.
fn merged(schema: &Value, parts: &[Value]) -> Value {
    let mut whole = Map::new();
    for part in std::iter::once(schema)
        .chain(parts)
        .filter_map(Value::as_object)
    {
        for (name, value) in part.iter().filter(|(name, _)| *name != "allOf") {
            match (whole.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                (Some(Value::Array(known)), Value::Array(more)) => {
                    known.extend(more.iter().cloned())
                }
                _ => drop(whole.insert(name.clone(), value.clone())),
            }
        }
    }
    Value::Object(whole)
}

fn integer(schema: &Value) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    let least =
        bound("minimum").or_else(|| bound("exclusiveMinimum").map(|below| below.saturating_add(1)));
    let most =
        bound("maximum").or_else(|| bound("exclusiveMaximum").map(|above| above.saturating_sub(1)));
    let start = least.unwrap_or_else(|| most.map_or(1, |most| most.min(1)));
    let step = bound("multipleOf").filter(|step| *step > 0).unwrap_or(1);
    let over = start.rem_euclid(step);
    json!(if over == 0 {
        start
    } else {
        start.saturating_add(step - over)
    })
}

fn example_of_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "2000-01-01",
        "time" => "12:00:00Z",
        "date-time" => "2000-01-01T12:00:00Z",
        "duration" => "PT1S",
        "email" => "echo@example.com",
        "hostname" => "example.com",
        "ipv4" => "127.0.0.1",
        "ipv6" => "::1",
        "uri" | "url" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example must be what is expected and must fit its schema.
    #[track_caller]
    fn check(schema: Value, expect: Value) {
        let value = example(&schema, "hello");
        assert_eq!(value, expect, "{schema}");
        assert!(
            jsonschema::is_valid(&schema, &value),
            "{value} does not fit {schema}"
        );
    }

    #[test]
    fn examples_fit_their_schema() {
        check(json!({}), json!("hello"));
        check(json!({ "type": "object" }), json!({}));
        check(
            json!({ "type": "object", "required": ["city", "days", "unit"], "properties": {
                "city": { "type": "string" }, "days": { "type": "integer", "minimum": 3, "multipleOf": 2 },
                "unit": { "enum": ["c", "f"] }, "more": { "type": "string" } } }),
            json!({ "city": "hello", "days": 4, "unit": "c" }),
        );
        check(
            json!({ "type": "array", "minItems": 2, "items": { "type": "boolean" } }),
            json!([true, true]),
        );
        check(json!({ "type": ["null", "string"] }), Value::Null);
        check(
            json!({ "anyOf": [{ "type": "number", "minimum": 0.5 }, { "type": "null" }] }),
            json!(0.5),
        );
        check(json!({ "type": "integer", "maximum": 0 }), json!(0));
        check(
            json!({ "type": "string", "minLength": 7 }),
            json!("hello.."),
        );
        check(json!({ "type": "string", "maxLength": 2 }), json!("he"));
        check(
            json!({ "type": "string", "format": "date" }),
            json!("2000-01-01"),
        );
        check(
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "const": 3 } } }),
            json!(3),
        );
        check(
            json!({ "allOf": [{ "type": "object", "required": ["a"] }, { "required": ["b"], "properties": { "b": { "const": 1 } } }] }),
            json!({ "a": "hello", "b": 1 }),
        );
    }

    #[test]
    fn endless_schemas_end() {
        example(&json!({ "$ref": "#" }), "x");
        example(
            &json!({ "type": "array", "minItems": u64::MAX, "items": { "$ref": "#" } }),
            "x",
        );
        example(&json!({ "type": "array", "minItems": u64::MAX }), "x");
    }
}
