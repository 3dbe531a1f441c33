//! The form that an answer's text must have (contract 2.1 `response_format`).

use super::part::word;
use super::unreadable;
use crate::domain::json::{JsonText, Raw};
use crate::wire::EncodeError;

/// A form other than free text.
#[derive(Clone, Debug)]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema(JsonSchema),
}

/// The schema that an answer must fit.
#[derive(Clone, Debug)]
pub struct JsonSchema {
    /// The schema's name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<JsonText>,
    /// The schema; any object without one.
    pub schema: Option<Raw>,
    /// Whether the provider must hold the model to it.
    pub strict: Option<bool>,
}

/// Reads `response_format`; `None` for free text.
pub(super) fn read(given: &Raw) -> Result<Option<ResponseFormat>, EncodeError> {
    let place = "response_format";
    let object = given
        .object()
        .ok_or_else(|| unreadable(place, "must be an object"))?;
    match word(&object, "type").as_deref() {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(ResponseFormat::JsonObject)),
        Some("json_schema") => {
            let inner = object
                .given("json_schema")
                .and_then(Raw::object)
                .ok_or_else(|| unreadable(place, "`json_schema` must be an object"))?;
            Ok(Some(ResponseFormat::JsonSchema(JsonSchema {
                name: word(&inner, "name"),
                description: inner.given("description").and_then(Raw::text),
                schema: inner.given("schema").cloned(),
                strict: inner.given("strict").and_then(|raw| raw.parse().ok()),
            })))
        }
        Some(kind) => Err(unreadable(
            place,
            &format!("this endpoint has no format of type `{kind}`"),
        )),
    }
}
