//! The reference's schemas as validators.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use super::beyond;

/// What the schemas are called among themselves.
const DOCUMENT: &str = "contract:document";

struct Schemas {
    document: Value,
    registry: Registry<'static>,
}

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(include_str!("schemas.json")).unwrap();
    beyond::extend(&mut document);
    close_all(&mut document);
    tell_apart(&mut document);
    let registry = Registry::new().add(DOCUMENT, document.clone()).unwrap();
    Schemas {
        document,
        registry: registry.prepare().unwrap(),
    }
});

/// Validators, each made when it is first needed.
#[derive(Default)]
pub(super) struct Validators(HashMap<String, Validator>);

impl Validators {
    /// Where the answer to a route (`POST /keys`) differs from its schema. An error that the reference does not list
    /// for the route has the envelope that all errors have (contract 5.1).
    pub(super) fn deviations(
        &mut self,
        route: &str,
        status: u16,
        media_type: &str,
        body: &Value,
    ) -> Vec<String> {
        let Some(schema) = schema(route, status, media_type, body) else {
            return vec![format!("no schema for {status} {media_type}")];
        };
        let validator = self
            .0
            .entry(schema)
            .or_insert_with_key(|schema| validator(schema));
        let errors = validator.iter_errors(body);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }
}

/// Where in the document the schema of an answer stands.
fn schema(route: &str, status: u16, media_type: &str, body: &Value) -> Option<String> {
    let (method, path) = route.split_once(' ').unwrap();
    let (path, method, media_type) = (escape(path), method.to_lowercase(), escape(media_type));
    let own = format!("/paths/{path}/{method}/responses/{status}/content/{media_type}/schema");
    match SCHEMAS.document.pointer(&own) {
        Some(_) => Some(own),
        None if status < 400 => None,
        None if body["type"] == "error" => {
            Some("/components/schemas/AnthropicMessagesErrorResponse".to_owned())
        }
        None => Some("/components/schemas/BadRequestResponse".to_owned()),
    }
}

fn validator(schema: &str) -> Validator {
    let reference = format!(
        "{DOCUMENT}#{}",
        schema.replace('{', "%7B").replace('}', "%7D")
    );
    let options = jsonschema::options()
        .with_registry(&SCHEMAS.registry)
        .should_validate_formats(true);
    let whole = json!({ "$ref": reference, "unevaluatedProperties": false });
    options.build(&whole).unwrap()
}

/// A name as a step of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn close_all(document: &mut Value) {
    let named = document["components"]["schemas"].as_object_mut().unwrap();
    named.values_mut().for_each(|schema| close(schema, false));
    let paths = document["paths"].as_object_mut().unwrap().values_mut();
    let operations = paths.flat_map(|path| path.as_object_mut().unwrap().values_mut());
    let answers = operations.filter_map(|operation| operation["responses"].as_object_mut());
    for answer in answers.flat_map(|answers| answers.values_mut()) {
        for media in answer["content"]
            .as_object_mut()
            .into_iter()
            .flat_map(|content| content.values_mut())
        {
            close(&mut media["schema"], true);
        }
    }
}

/// Checks a value of one of several types as the one that a field of it says it is, so that what deviates is told with
/// its place.
fn tell_apart(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(tell_apart),
        Value::Object(keywords) => {
            keywords.values_mut().for_each(tell_apart);
            let said = keywords.get("discriminator").cloned().unwrap_or_default();
            let (Some(field), Some(named)) =
                (said["propertyName"].as_str(), said["mapping"].as_object())
            else {
                return;
            };
            let members = keywords.get("oneOf").or(keywords.get("anyOf"));
            let is_named = |member: &Value| named.values().any(|one| *one == member["$ref"]);
            if !members.is_some_and(|members| members.as_array().unwrap().iter().all(is_named)) {
                return;
            }
            let one = |(name, one): (&String, &Value)| {
                let says_so = json!({"type": "object", "properties": {field: {"const": name}}, "required": [field]});
                json!({"if": says_so, "then": {"$ref": one}})
            };
            let mut each: Vec<Value> = named.iter().map(one).collect();
            let names: Vec<&String> = named.keys().collect();
            each.push(json!({"type": "object", "properties": {field: {"enum": names}}, "required": [field]}));
            keywords.retain(|name, _| name != "oneOf" && name != "anyOf");
            let all = keywords.entry("allOf").or_insert_with(|| json!([]));
            all.as_array_mut().unwrap().extend(each);
        }
        _ => {}
    }
}

/// Refuses what a schema does not name, in every object below it. `unevaluatedProperties` sees through references and
/// combined schemas, so it stands once, where the schema of a whole value `begins`. An empty schema stays open.
fn close(schema: &mut Value, begins: bool) {
    let Some(keywords) = schema
        .as_object_mut()
        .filter(|keywords| !keywords.is_empty())
    else {
        return;
    };
    for (keyword, below) in keywords.iter_mut() {
        match keyword.as_str() {
            "properties" => below
                .as_object_mut()
                .unwrap()
                .values_mut()
                .for_each(|schema| close(schema, true)),
            "items" | "additionalProperties" => close(below, true),
            "allOf" | "anyOf" | "oneOf" => below
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .for_each(|schema| close(schema, false)),
            _ => {}
        }
    }
    if begins {
        keywords.insert("unevaluatedProperties".to_owned(), false.into());
    }
}
