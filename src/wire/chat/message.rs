//! The messages of a conversation (contract 2.2).

use std::collections::HashMap;

use super::part::{self, CacheControl, Content, Part, word};
use super::thought::{self, Thought};
use super::unreadable;
use crate::domain::json::{JsonObject, JsonText, Raw};
use crate::wire::EncodeError;

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Instructions, of role `system` or `developer`: text alone.
    System(Vec<Part>),
    /// The user's words. A `name` stands before the first text already.
    User(Vec<Part>),
    /// The model's own turn. As the last message it is a prefill to continue.
    Assistant(Turn),
    /// What a tool gave back.
    Tool(ToolResult),
}

/// A turn of the model.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// What it said, a refusal included.
    pub parts: Vec<Part>,
    /// What it thought, as plain text.
    pub reasoning: Option<JsonText>,
    /// What it thought, with signatures, in the order in which it came.
    pub thoughts: Vec<Thought>,
    /// The tools it called.
    pub calls: Vec<ToolCall>,
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The id that its result repeats; made up where the caller gives none.
    pub id: String,
    /// The function.
    pub name: String,
    /// The arguments: a JSON object. What the model wrote and no parser takes is kept under `INVALID_JSON`.
    pub arguments: Raw,
    /// Whether the prompt may be cached up to and with this call.
    pub cache_control: Option<CacheControl>,
}

/// What a tool gave back.
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The function that was called, as far as the conversation tells.
    pub name: Option<String>,
    /// What it gave.
    pub parts: Vec<Part>,
    /// Whether the prompt may be cached up to and with this result.
    pub cache_control: Option<CacheControl>,
}

/// Reads `messages`.
pub(super) fn read(messages: Option<&Raw>) -> Result<Vec<Message>, EncodeError> {
    let elements = messages
        .and_then(Raw::elements)
        .ok_or_else(|| unreadable("messages", "must be an array"))?;
    let mut reader = Reader::default();
    let one = |(index, element)| reader.message(element, &format!("messages[{index}]"));
    elements.iter().enumerate().map(one).collect()
}

/// Remembers the calls, which results refer to.
#[derive(Default)]
struct Reader {
    /// Function by call id.
    called: HashMap<String, String>,
    /// How many calls there were, to number those without an id.
    calls: usize,
}

impl Reader {
    fn message(&mut self, raw: &Raw, place: &str) -> Result<Message, EncodeError> {
        let object = raw
            .object()
            .ok_or_else(|| unreadable(place, "must be an object"))?;
        let mut parts = part::read(object.given("content"), &format!("{place}.content"))?;
        // A marker on the message itself means its last part.
        let marker = object.given("cache_control").and_then(CacheControl::read);
        let role = word(&object, "role").unwrap_or_default();
        if role != "tool" && role != "function" {
            mark_last(&mut parts, marker.as_ref());
        }
        match &*role {
            "system" | "developer" => Ok(Message::System(only_texts(parts, place)?)),
            "user" => Ok(Message::User(named(parts, word(&object, "name")))),
            "assistant" => Ok(Message::Assistant(self.turn(&object, parts, place)?)),
            "tool" => {
                let call_id = word(&object, "tool_call_id")
                    .ok_or_else(|| unreadable(place, "a tool message needs `tool_call_id`"))?;
                let name = self.called.get(&call_id).cloned();
                Ok(Message::Tool(ToolResult {
                    name: name.or_else(|| word(&object, "name")),
                    call_id,
                    parts,
                    cache_control: marker,
                }))
            }
            "function" => {
                let name = word(&object, "name")
                    .ok_or_else(|| unreadable(place, "a function message needs `name`"))?;
                Ok(Message::Tool(ToolResult {
                    call_id: self.last_call_of(&name),
                    name: Some(name),
                    parts,
                    cache_control: marker,
                }))
            }
            _ => Err(unreadable(
                place,
                "the role must be one of system, developer, user, assistant, tool",
            )),
        }
    }

    fn turn(
        &mut self,
        object: &JsonObject,
        mut parts: Vec<Part>,
        place: &str,
    ) -> Result<Turn, EncodeError> {
        let refusal = object.given("refusal").and_then(Raw::text);
        parts.extend(refusal.filter(|text| !text.is_empty()).map(Part::text));
        let calls = object
            .given("tool_calls")
            .and_then(Raw::elements)
            .unwrap_or_default();
        let legacy = object.given("function_call").and_then(Raw::object);
        let mut turn = Turn {
            parts,
            reasoning: ["reasoning", "reasoning_content"]
                .into_iter()
                .find_map(|name| object.given(name)?.text())
                .filter(|text| !text.is_empty()),
            thoughts: object
                .given("reasoning_details")
                .map(thought::read)
                .unwrap_or_default(),
            calls: Vec::with_capacity(calls.len()),
        };
        for (index, raw) in calls.iter().enumerate() {
            let place = format!("{place}.tool_calls[{index}]");
            let call = raw
                .object()
                .ok_or_else(|| unreadable(&place, "must be an object"))?;
            let function = call
                .given("function")
                .and_then(Raw::object)
                .ok_or_else(|| unreadable(&place, "needs `function`"))?;
            let marker = call.given("cache_control").and_then(CacheControl::read);
            turn.calls
                .push(self.call(word(&call, "id"), &function, marker, &place)?);
        }
        if let Some(function) = legacy.filter(|_| calls.is_empty()) {
            turn.calls.push(self.call(None, &function, None, place)?);
        }
        Ok(turn)
    }

    fn call(
        &mut self,
        id: Option<String>,
        function: &JsonObject,
        cache_control: Option<CacheControl>,
        place: &str,
    ) -> Result<ToolCall, EncodeError> {
        let name =
            word(function, "name").ok_or_else(|| unreadable(place, "the function needs a name"))?;
        let id = id.unwrap_or_else(|| format!("call_{}", self.calls));
        self.calls += 1;
        self.called.insert(id.clone(), name.clone());
        Ok(ToolCall {
            id,
            name,
            arguments: arguments(function.given("arguments")),
            cache_control,
        })
    }

    /// The id that the last call of a function was given, for results from before there were ids.
    fn last_call_of(&self, name: &str) -> String {
        let by_number = (0..self.calls).rev().map(|number| format!("call_{number}"));
        let mut of_name =
            by_number.filter(|id| self.called.get(id).is_some_and(|called| called == name));
        of_name.next().unwrap_or_else(|| format!("call_{name}"))
    }
}

/// The object that the arguments are.
fn arguments(given: Option<&Raw>) -> Raw {
    let text = given.map(|raw| {
        raw.parse::<String>()
            .unwrap_or_else(|_| raw.as_str().to_owned())
    });
    let text = text.as_deref().map(str::trim).unwrap_or_default();
    let object = JsonObject::parse(bytes::Bytes::copy_from_slice(text.as_bytes()));
    match object {
        Ok(object) => object.splice(|_| true).finish_raw(),
        Err(_) => {
            let mut wrapped = crate::domain::json::ObjectWriter::with_capacity(text.len() + 24);
            if !text.is_empty() && text != "null" {
                wrapped.text("INVALID_JSON", text);
            }
            wrapped.finish_raw()
        }
    }
}

fn mark_last(parts: &mut [Part], marker: Option<&CacheControl>) {
    if let (Some(last), Some(marker)) = (parts.last_mut(), marker) {
        last.cache_control.get_or_insert_with(|| marker.clone());
    }
}

fn only_texts(parts: Vec<Part>, place: &str) -> Result<Vec<Part>, EncodeError> {
    if parts
        .iter()
        .all(|part| matches!(part.content, Content::Text(_)))
    {
        Ok(parts)
    } else {
        Err(unreadable(place, "instructions are text alone"))
    }
}

/// Who speaks, before what they say (contract 2.2).
fn named(mut parts: Vec<Part>, name: Option<String>) -> Vec<Part> {
    let Some(name) = name else { return parts };
    let prefix = JsonText::of(&format!("{name}: "));
    let first = parts.iter_mut().find_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    if let Some(text) = first
        && let Some(joined) = JsonText::joined(&[prefix, text.clone()])
    {
        *text = joined;
    }
    parts
}
