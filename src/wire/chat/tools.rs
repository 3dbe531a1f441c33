//! The tools on offer and the choice among them (contract 2.3).

use super::part::{CacheControl, word};
use super::unreadable;
use crate::domain::call::Call;
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::wire::EncodeError;

/// How the types of tools that the gateway itself runs begin (contract 8.4).
const GATEWAYS: &str = "openrouter:";

/// A tool.
#[derive(Clone, Debug)]
pub enum Tool {
    /// A function of the caller's.
    Function(Function),
    /// A tool of the provider's own, in the provider's own words.
    Native(Raw),
}

/// A function of the caller's.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<JsonText>,
    /// The JSON Schema of its arguments; none for a function without any.
    pub parameters: Option<Raw>,
    /// Whether the provider must hold the model to the schema.
    pub strict: Option<bool>,
    /// Whether the prompt may be cached up to and with this tool.
    pub cache_control: Option<CacheControl>,
}

/// How the model may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// No call.
    None,
    /// As it likes.
    Auto,
    /// At least one call.
    Required,
    /// A call of this function.
    Function(String),
}

/// Reads `tools`, or the `functions` of old.
pub(super) fn read<'a>(
    call: &'a Call,
    given: &impl Fn(&str) -> Option<&'a Raw>,
) -> Result<Vec<Tool>, EncodeError> {
    let elements = |name: &str| given(name).and_then(Raw::elements).unwrap_or_default();
    let mut tools = Vec::new();
    for (index, raw) in elements("tools").iter().enumerate() {
        let place = format!("tools[{index}]");
        let object = raw
            .object()
            .ok_or_else(|| unreadable(&place, "must be an object"))?;
        match word(&object, "type").as_deref() {
            None | Some("function") => {
                let described = object
                    .given("function")
                    .and_then(Raw::object)
                    .ok_or_else(|| unreadable(&place, "needs `function`"))?;
                let marker = [&object, &described]
                    .into_iter()
                    .find_map(|object| CacheControl::read(object.given("cache_control")?));
                tools.push(Tool::Function(function(&described, marker, &place)?));
            }
            Some(kind) if kind.starts_with(GATEWAYS) => {}
            Some(_) => tools.push(Tool::Native(raw.clone())),
        }
    }
    if call.body.given("tools").is_none() {
        for (index, raw) in elements("functions").iter().enumerate() {
            let place = format!("functions[{index}]");
            let described = raw
                .object()
                .ok_or_else(|| unreadable(&place, "must be an object"))?;
            tools.push(Tool::Function(function(&described, None, &place)?));
        }
    }
    Ok(tools)
}

/// Reads `tool_choice`, or the `function_call` of old. A choice among none is none.
pub(super) fn choice<'a>(
    call: &Call,
    tools: &[Tool],
    given: &impl Fn(&str) -> Option<&'a Raw>,
) -> Result<Option<ToolChoice>, EncodeError> {
    let legacy = || given("function_call").filter(|_| call.body.given("tools").is_none());
    let Some(raw) = given("tool_choice")
        .or_else(legacy)
        .filter(|_| !tools.is_empty())
    else {
        return Ok(None);
    };
    if let Ok(word) = raw.parse::<String>() {
        return match &*word {
            "none" => Ok(Some(ToolChoice::None)),
            "auto" => Ok(Some(ToolChoice::Auto)),
            // `any` is Anthropic's and Mistral's word for it.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(unreadable(
                "tool_choice",
                "must be none, auto, required or a function",
            )),
        };
    }
    let object = raw
        .object()
        .ok_or_else(|| unreadable("tool_choice", "must be a string or an object"))?;
    if word(&object, "type").is_some_and(|kind| kind.starts_with(GATEWAYS)) {
        return Ok(None);
    }
    let inner = object.given("function").and_then(Raw::object);
    let name = word(inner.as_ref().unwrap_or(&object), "name")
        .ok_or_else(|| unreadable("tool_choice", "needs `function.name`"))?;
    Ok(Some(ToolChoice::Function(name)))
}

fn function(
    described: &JsonObject,
    cache_control: Option<CacheControl>,
    place: &str,
) -> Result<Function, EncodeError> {
    Ok(Function {
        name: word(described, "name")
            .ok_or_else(|| unreadable(place, "the function needs a name"))?,
        description: described.given("description").and_then(Raw::text),
        parameters: described.given("parameters").cloned(),
        strict: described.given("strict").and_then(|raw| raw.parse().ok()),
        cache_control,
    })
}
