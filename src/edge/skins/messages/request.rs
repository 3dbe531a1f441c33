//! A request in Anthropic's form → the same request in chat form (contract 11 → 2).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::history::{self, Content, Turn};
use crate::domain::call::{Spoken, Verbatim};
use crate::domain::json::JsonObject;
use crate::edge::error::ApiError;
use crate::edge::skins::fields::{field, parse};

/// Fields that mean the same in both forms.
const SHARED: [&str; 16] = [
    "model",
    "models",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "cache_control",
    "service_tier",
    "speed",
    "provider",
    "plugins",
    "session_id",
    "trace",
    "route",
    "stop_server_tools_when",
];

#[derive(Deserialize)]
struct Fallback {
    model: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Thinking {
    Enabled { budget_tokens: u64 },
    Adaptive,
    Disabled,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToolChoice {
    Auto {
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    Any {
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    Tool {
        name: String,
        #[serde(default)]
        disable_parallel_tool_use: bool,
    },
    None,
}

/// A tool: a function, or the search of the web in Anthropic's words or in the contract's (8.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Tool {
    Search(SearchTool),
    Function(Function),
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum SearchTool {
    #[serde(rename = "openrouter:web_search")]
    Server { parameters: Option<Value> },
    #[serde(rename = "web_search_20250305", alias = "web_search_20260209")]
    Anthropic {
        max_uses: Option<u64>,
        allowed_domains: Option<Value>,
        blocked_domains: Option<Value>,
        user_location: Option<Value>,
    },
}

#[derive(Deserialize)]
struct Function {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Only a tool of the provider's may have none.
    #[serde(default)]
    name: String,
    description: Option<String>,
    input_schema: Option<Value>,
    strict: Option<bool>,
    cache_control: Option<Value>,
}

#[derive(Default, Deserialize)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    user_id: Option<String>,
}

/// The body in chat form, and as it is.
pub(super) fn read(body: Bytes) -> Result<(Bytes, Verbatim), ApiError> {
    let body = JsonObject::parse(body)?;
    let mut own = Own::default();
    let chat = chat(&body, &mut own)?;
    let Own { unsayable, foreign } = own;
    let verbatim = Verbatim {
        form: Spoken::Messages,
        body: (!foreign).then_some(body),
        unsayable,
    };
    Ok((chat, verbatim))
}

/// What a request holds beyond the chat form.
#[derive(Default)]
struct Own {
    /// What only Anthropic understands, in words for the caller.
    unsayable: Option<String>,
    /// Whether it holds what only this gateway understands.
    foreign: bool,
}

fn chat(body: &JsonObject, own: &mut Own) -> Result<Bytes, ApiError> {
    let mut chat = Map::new();
    for name in SHARED {
        if let Some(value) = field::<Value>(body, name)? {
            chat.insert(name.to_owned(), value);
        }
    }
    if !chat.contains_key("max_tokens") {
        return Err(ApiError::invalid("max_tokens: required"));
    }
    chat.insert("messages".to_owned(), messages(body, own)?.into());
    if let Some(fallbacks) = fallbacks(body)? {
        chat.insert("models".to_owned(), fallbacks);
    }
    if let Some(stop) = field::<Value>(body, "stop_sequences")? {
        chat.insert("stop".to_owned(), stop);
    }
    if let Some(metadata) = field::<Metadata>(body, "metadata")? {
        chat.extend(
            metadata
                .user_id
                .map(|user| ("user".to_owned(), user.into())),
        );
    }
    tools(body, &mut chat, own)?;
    output(body, &mut chat)?;
    Ok(Value::Object(chat).to_string().into())
}

/// The same body with a limit, which counting needs none of.
pub(super) fn with_max_tokens(body: Bytes) -> Result<Bytes, ApiError> {
    let object = JsonObject::parse(body.clone())?;
    if object.given("max_tokens").is_some() {
        return Ok(body);
    }
    let mut limited = object.splice(|name| name != "max_tokens");
    limited.raw("max_tokens", b"1");
    Ok(limited.finish())
}

fn messages(body: &JsonObject, own: &mut Own) -> Result<Vec<Value>, ApiError> {
    let system = field::<Content>(body, "system")?.map(history::system);
    let turns = body
        .given("messages")
        .ok_or_else(|| ApiError::invalid("messages: required"))?;
    // Read one by one, so that a mistake is told with its place.
    let turns = turns
        .elements()
        .ok_or_else(|| ApiError::invalid("messages: expected an array"))?;
    let mut messages: Vec<Value> = system.into_iter().collect();
    for (position, turn) in turns.iter().enumerate() {
        let place = format!("messages[{position}]");
        let turn: Turn = parse(turn, &place)?;
        own.foreign |= turn.is_foreign();
        if turn.is_anthropics() {
            own.alone(format!(
                "{place}: a block of a type that Anthropic alone takes"
            ));
        }
        messages.extend(history::messages(turn));
    }
    Ok(messages)
}

fn fallbacks(body: &JsonObject) -> Result<Option<Value>, ApiError> {
    let Some(fallbacks) = field::<Vec<Fallback>>(body, "fallbacks")? else {
        return Ok(None);
    };
    if body.given("models").is_some() {
        return Err(ApiError::invalid("fallbacks: not together with models"));
    }
    if let Some(extra) = fallbacks
        .iter()
        .find_map(|fallback| fallback.more.keys().next())
    {
        return Err(ApiError::invalid(format!(
            "fallbacks: an entry names a model and nothing else, not {extra}"
        )));
    }
    let models = fallbacks.into_iter().map(|fallback| fallback.model);
    Ok(Some(models.collect::<Vec<String>>().into()))
}

fn tools(body: &JsonObject, chat: &mut Map<String, Value>, own: &mut Own) -> Result<(), ApiError> {
    if let Some(tools) = field::<Vec<Tool>>(body, "tools")? {
        let tools = tools.into_iter().filter_map(|tool| offered(tool, own));
        let tools: Vec<Value> = tools.collect();
        if !tools.is_empty() {
            chat.insert("tools".to_owned(), tools.into());
        }
    }
    let Some(choice) = field::<ToolChoice>(body, "tool_choice")? else {
        return Ok(());
    };
    let (choice, one_at_a_time) = match choice {
        ToolChoice::None => ("none".into(), false),
        ToolChoice::Auto {
            disable_parallel_tool_use: one,
        } => ("auto".into(), one),
        ToolChoice::Any {
            disable_parallel_tool_use: one,
        } => ("required".into(), one),
        ToolChoice::Tool {
            name,
            disable_parallel_tool_use: one,
        } => (
            json!({ "type": "function", "function": { "name": name } }),
            one,
        ),
    };
    chat.insert("tool_choice".to_owned(), choice);
    if one_at_a_time {
        chat.insert("parallel_tool_calls".to_owned(), false.into());
    }
    Ok(())
}

/// A tool as chat form has it; `None` for one that its provider runs.
fn offered(tool: Tool, own: &mut Own) -> Option<Value> {
    let parameters = match tool {
        Tool::Function(tool) => return function(tool, own),
        Tool::Search(SearchTool::Server { parameters }) => {
            own.foreign = true;
            parameters
        }
        Tool::Search(SearchTool::Anthropic {
            max_uses,
            allowed_domains,
            blocked_domains,
            user_location,
        }) => Some(json!({
            "max_uses": max_uses,
            "allowed_domains": allowed_domains,
            "excluded_domains": blocked_domains,
            "user_location": user_location,
        })),
    };
    let parameters = parameters.unwrap_or_else(|| json!({}));
    Some(json!({ "type": "openrouter:web_search", "parameters": parameters }))
}

fn function(tool: Function, own: &mut Own) -> Option<Value> {
    if let Some(kind) = tool.kind.filter(|kind| kind != "custom") {
        own.alone(format!(
            "tools: {kind} is run by Anthropic alone and not offered here; tools of type custom are"
        ));
        return None;
    }
    let mut function = json!({ "name": tool.name });
    let optional = [
        ("description", tool.description.map(Value::from)),
        ("parameters", tool.input_schema),
        ("strict", tool.strict.map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            function[name] = value;
        }
    }
    let mut tool_in_chat = json!({ "type": "function", "function": function });
    if let Some(cache_control) = tool.cache_control {
        tool_in_chat["cache_control"] = cache_control;
    }
    Some(tool_in_chat)
}

impl Own {
    /// Notes what only Anthropic understands; the first is told.
    fn alone(&mut self, what: String) {
        self.unsayable.get_or_insert(what);
    }
}

/// How to think, how much to say, and in which format.
fn output(body: &JsonObject, chat: &mut Map<String, Value>) -> Result<(), ApiError> {
    let config: OutputConfig = field(body, "output_config")?.unwrap_or_default();
    let reasoning = match field::<Thinking>(body, "thinking")? {
        None => None,
        Some(Thinking::Enabled { budget_tokens }) => Some(json!({ "max_tokens": budget_tokens })),
        Some(Thinking::Adaptive) => Some(match &config.effort {
            Some(effort) => json!({ "enabled": true, "effort": effort }),
            None => json!({ "enabled": true }),
        }),
        Some(Thinking::Disabled) => Some(json!({ "enabled": false })),
    };
    chat.extend(reasoning.map(|reasoning| ("reasoning".to_owned(), reasoning)));
    chat.extend(
        config
            .effort
            .map(|effort| ("verbosity".to_owned(), effort.into())),
    );
    if let Some(format) = config.format {
        let schema = format.get("schema").cloned().unwrap_or(Value::Null);
        let json_schema = json!({ "name": "answer", "strict": true, "schema": schema });
        let format = json!({ "type": "json_schema", "json_schema": json_schema });
        chat.insert("response_format".to_owned(), format);
    }
    Ok(())
}
