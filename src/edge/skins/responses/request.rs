//! A request for a response → the same request in chat form (contract 10 → 2).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::Echo;
use super::history::{History, Item, Turn};
use crate::domain::call::{Spoken, Verbatim};
use crate::domain::json::JsonObject;
use crate::domain::search::SearchTool;
use crate::edge::error::ApiError;
use crate::edge::skins::fields::{field, parse};

/// Fields that mean the same in both forms.
const SHARED: [&str; 28] = [
    "model",
    "models",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "reasoning",
    "parallel_tool_calls",
    "modalities",
    "image_config",
    "service_tier",
    "provider",
    "plugins",
    "session_id",
    "trace",
    "route",
    "cache_control",
    "prompt_cache_key",
    "prompt_cache_options",
    "max_tool_calls",
    "stop_server_tools_when",
    "debug",
];

/// What `include` calls log-probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";

#[derive(Deserialize)]
#[serde(untagged)]
enum ToolChoice {
    Word(String),
    Form(ToolChoiceForm),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ToolChoiceForm {
    Function {
        name: String,
    },
    AllowedTools {
        mode: String,
        tools: Vec<Named>,
    },
    /// A tool that its provider runs.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Named {
    /// Only a tool of the provider's may have none.
    #[serde(default)]
    name: String,
}

#[derive(Default, Deserialize)]
struct TextConfig {
    format: Option<Value>,
    verbosity: Option<String>,
}

/// The body in chat form, what the answer repeats of it, and the body as it is.
pub(super) fn read(body: Bytes) -> Result<(Bytes, Echo, Verbatim), ApiError> {
    let body = JsonObject::parse(body)?;
    refuse_state(&body)?;
    let mut own = Own::default();
    let chat = chat(&body, &mut own)?;
    let Own { unsayable, foreign } = own;
    let echo = Echo::of(&body);
    let verbatim = Verbatim {
        form: Spoken::Responses,
        body: (!foreign).then_some(body),
        unsayable,
    };
    Ok((chat, echo, verbatim))
}

/// What a request holds beyond the chat form.
#[derive(Default)]
pub(super) struct Own {
    /// What only OpenAI understands, in words for the caller.
    unsayable: Option<String>,
    /// Whether it holds what only this gateway understands.
    foreign: bool,
}

impl Own {
    /// Notes what only OpenAI understands; the first is told.
    fn alone(&mut self, what: String) {
        self.unsayable.get_or_insert(what);
    }
}

fn chat(body: &JsonObject, own: &mut Own) -> Result<Bytes, ApiError> {
    let mut chat = Map::new();
    for name in SHARED {
        if let Some(value) = field::<Value>(body, name)? {
            chat.insert(name.to_owned(), value);
        }
    }
    for (name, in_chat) in [
        ("max_output_tokens", "max_completion_tokens"),
        ("metadata", "metadata"),
        ("safety_identifier", "user"),
        ("user", "user"),
    ] {
        if let Some(value) = field::<Value>(body, name)? {
            chat.insert(in_chat.to_owned(), value);
        }
    }
    chat.insert("messages".to_owned(), messages(body, own)?.into());
    logprobs(body, &mut chat)?;
    tools(body, &mut chat, own)?;
    text(body, &mut chat)?;
    Ok(Value::Object(chat).to_string().into())
}

/// Log-probabilities are asked for by name, or by how many there shall be in the place of each token.
fn logprobs(body: &JsonObject, chat: &mut Map<String, Value>) -> Result<(), ApiError> {
    let included = field::<Vec<Value>>(body, "include")?.unwrap_or_default();
    let likeliest = field::<u64>(body, "top_logprobs")?;
    if included.iter().any(|name| name == LOGPROBS) || likeliest.is_some_and(|most| most > 0) {
        chat.insert("logprobs".to_owned(), true.into());
        chat.extend(likeliest.map(|most| ("top_logprobs".to_owned(), most.into())));
    }
    Ok(())
}

/// Nothing is kept between two requests.
fn refuse_state(body: &JsonObject) -> Result<(), ApiError> {
    let on = |name: &str| {
        body.given(name)
            .is_some_and(|value| value.as_str() == "true")
    };
    for name in ["store", "background"] {
        if on(name) {
            return Err(ApiError::invalid(format!(
                "{name}: responses are not kept here; leave it out or send false"
            )));
        }
    }
    for name in ["previous_response_id", "conversation", "prompt"] {
        if body.given(name).is_some() {
            return Err(ApiError::invalid(format!(
                "{name}: nothing is kept here; send the whole conversation as input"
            )));
        }
    }
    Ok(())
}

fn messages(body: &JsonObject, own: &mut Own) -> Result<Vec<Value>, ApiError> {
    let mut history = History::default();
    if let Some(instructions) = field::<String>(body, "instructions")? {
        history.say("system", instructions.into());
    }
    let input = body
        .given("input")
        .ok_or_else(|| ApiError::invalid("input: required"))?;
    if input.text().is_some() {
        history.say("user", parse(input, "input")?);
        return Ok(history.finish());
    }
    // Read one by one, so that a mistake is told with its place.
    let items = input
        .elements()
        .ok_or_else(|| ApiError::invalid("input: expected a string or an array of items"))?;
    for (position, item) in items.iter().enumerate() {
        let place = format!("input[{position}]");
        let untyped = item
            .object()
            .is_some_and(|item| item.given("type").is_none());
        let item = if untyped {
            Item::Message(parse::<Turn>(item, &place)?)
        } else {
            parse(item, &place)?
        };
        own.foreign |= item.is_foreign();
        if item.is_openais() {
            own.alone(format!(
                "{place}: an item of a type that OpenAI alone takes"
            ));
        }
        history.add(item)?;
    }
    Ok(history.finish())
}

fn tools(body: &JsonObject, chat: &mut Map<String, Value>, own: &mut Own) -> Result<(), ApiError> {
    let written = field::<Vec<Map<String, Value>>>(body, "tools")?.unwrap_or_default();
    let tools = written.into_iter().filter_map(|tool| in_chat(tool, own));
    let mut tools: Vec<Value> = tools.collect();
    if let Some(choice) = field::<ToolChoice>(body, "tool_choice")? {
        let choice = match choice {
            ToolChoice::Word(word) => word.into(),
            ToolChoice::Form(ToolChoiceForm::Other) => {
                own.alone("tool_choice: names a tool that OpenAI alone runs".to_owned());
                "auto".into()
            }
            ToolChoice::Form(ToolChoiceForm::Function { name }) => {
                json!({ "type": "function", "function": { "name": name } })
            }
            ToolChoice::Form(ToolChoiceForm::AllowedTools {
                mode,
                tools: allowed,
            }) => {
                let is_allowed = |tool: &Value| {
                    allowed
                        .iter()
                        .any(|allowed| tool["function"]["name"] == allowed.name.as_str())
                };
                tools.retain(is_allowed);
                mode.into()
            }
        };
        chat.insert("tool_choice".to_owned(), choice);
    }
    if !tools.is_empty() {
        chat.insert("tools".to_owned(), tools.into());
    }
    Ok(())
}

/// A flat function, nested as chat form has it; `None` for a tool that its provider runs. The gateway's own tools are
/// the same in both.
fn in_chat(mut tool: Map<String, Value>, own: &mut Own) -> Option<Value> {
    match tool.get("type").and_then(Value::as_str) {
        Some("function") => {
            tool.remove("type");
            tool.retain(|_, value| !value.is_null());
            Some(json!({ "type": "function", "function": tool }))
        }
        Some(gateways) if gateways.starts_with("openrouter:") => {
            own.foreign = true;
            Some(tool.into())
        }
        Some(kind) if SearchTool::is_kind(kind) => Some(tool.into()),
        other => {
            own.alone(format!(
                "tools: {} is run by OpenAI alone and not offered here; tools of type function are",
                other.unwrap_or("a tool without a type")
            ));
            None
        }
    }
}

/// The format of the text, and how much of it.
fn text(body: &JsonObject, chat: &mut Map<String, Value>) -> Result<(), ApiError> {
    let config: TextConfig = field(body, "text")?.unwrap_or_default();
    chat.extend(
        config
            .verbosity
            .map(|verbosity| ("verbosity".to_owned(), verbosity.into())),
    );
    let Some(mut format) = config.format else {
        return Ok(());
    };
    if format["type"] == "json_schema" {
        if let Value::Object(schema) = &mut format {
            schema.remove("type");
        }
        format = json!({ "type": "json_schema", "json_schema": format });
    }
    chat.insert("response_format".to_owned(), format);
    Ok(())
}
