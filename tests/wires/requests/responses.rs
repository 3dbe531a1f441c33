//! Requests of OpenAI's Responses API.

use serde_json::{Value, json};
use turnpike::wire::WireName;
use turnpike::wire::quirks::ReasoningForm;

use super::{encoded, for_each, reasoning, target, without_nulls};
use crate::wires::expected::{first_text, list};

/// How many of the fixtures' requests can be told in chat form.
const KNOWN: usize = 45;

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for_each("openai-responses", KNOWN, |recording| {
        let recorded = &recording.request.body;
        let Some(chat) = chat(recorded) else {
            return false;
        };
        let target = target(WireName::Responses, first_text([&recorded["model"]]));
        let sent = encoded(&chat, &reasoning(ReasoningForm::Adaptive, target));
        assert_eq!(normal(&sent), normal(recorded));
        true
    });
}

/// The request in chat form; `None` for one that uses what the chat form has no words for: what is stored at the
/// provider, tools that it runs, and turns in which words come after calls.
fn chat(body: &Value) -> Option<Value> {
    const ELSEWHERE: [&str; 8] = [
        "previous_response_id",
        "conversation",
        "background",
        "context_management",
        "moderation",
        "provider",
        "truncation",
        "prompt_cache_options",
    ];
    let said = |name: &str| !body[name].is_null();
    if ELSEWHERE.into_iter().any(said)
        || body["reasoning"]["context"].is_string()
        || body["reasoning"]["generate_summary"].is_string()
    {
        return None;
    }
    let mut messages = Vec::new();
    if let Some(instructions) = body["instructions"].as_str() {
        messages.push(json!({"role": "system", "content": instructions}));
    }
    match &body["input"] {
        Value::String(text) => messages.push(json!({"role": "user", "content": text})),
        items => list(items)
            .iter()
            .try_for_each(|item| add(item, &mut messages))?,
    }
    let mut chat = json!({"messages": messages, "model": "any"});
    for name in [
        "stream",
        "temperature",
        "top_p",
        "parallel_tool_calls",
        "service_tier",
        "prompt_cache_key",
        "top_logprobs",
    ] {
        chat[name] = body[name].clone();
    }
    chat["max_tokens"] = body["max_output_tokens"].clone();
    chat["reasoning"] = body["reasoning"].clone();
    chat["verbosity"] = body["text"]["verbosity"].clone();
    if list(&body["include"])
        .iter()
        .any(|name| name == "message.output_text.logprobs")
    {
        chat["logprobs"] = json!(true);
    }
    let format = &body["text"]["format"];
    if format["type"] == "json_schema" {
        chat["response_format"] = json!({"type": "json_schema", "json_schema": format});
    }
    if body["tools"].is_array() {
        // Loaded late, by a tool of the provider's.
        if list(&body["tools"])
            .iter()
            .any(|tool| tool["defer_loading"] == true)
        {
            return None;
        }
        let tools = list(&body["tools"])
            .iter()
            .map(|tool| match first_text([&tool["type"]]) {
                "function" => json!({"type": "function", "function": tool}),
                _ => tool.clone(),
            });
        chat["tools"] = tools.collect();
    }
    chat["tool_choice"] = match &body["tool_choice"] {
        choice if choice["type"] == "function" => {
            json!({"type": "function", "function": {"name": choice["name"]}})
        }
        choice if choice.is_object() => return None,
        choice => choice.clone(),
    };
    Some(chat)
}

/// Adds an item: those of one turn of the assistant make one message.
fn add(item: &Value, messages: &mut Vec<Value>) -> Option<()> {
    let role = first_text([&item["role"]]);
    match first_text([&item["type"]]) {
        "message" | "" if role == "assistant" => {
            let turn = turn(messages);
            // The wire says words before calls.
            if turn["content"].is_string() || turn["tool_calls"].is_array() {
                return None;
            }
            turn["content"] = match &item["content"] {
                Value::String(text) => json!(text),
                parts => match list(parts) {
                    [only] if only["type"] == "output_text" => only["text"].clone(),
                    _ => return None,
                },
            };
        }
        "message" | "" => {
            let content = match &item["content"] {
                Value::String(text) => json!(text),
                parts => list(parts).iter().map(part).collect::<Option<Value>>()?,
            };
            messages.push(json!({"role": role, "content": content}));
        }
        "reasoning" => {
            let turn = turn(messages);
            if turn["content"].is_string()
                || turn["tool_calls"].is_array()
                || !item["encrypted_content"].is_string()
            {
                return None;
            }
            let mut details = list(&turn["reasoning_details"]).to_vec();
            for text in list(&item["summary"]) {
                details.push(json!({"type": "reasoning.summary", "summary": text["text"], "id": item["id"], "format": "openai-responses-v1", "index": details.len()}));
            }
            details.push(json!({"type": "reasoning.encrypted", "data": item["encrypted_content"], "id": item["id"], "format": "openai-responses-v1", "index": details.len()}));
            turn["reasoning_details"] = json!(details);
        }
        "function_call" => {
            let turn = turn(messages);
            let mut calls = list(&turn["tool_calls"]).to_vec();
            calls.push(json!({"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": item["arguments"]}}));
            turn["tool_calls"] = json!(calls);
        }
        "function_call_output" => {
            messages.push(json!({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"].as_str()?}));
        }
        _ => return None,
    }
    Some(())
}

/// The turn of the assistant that is being told.
fn turn(messages: &mut Vec<Value>) -> &mut Value {
    if messages
        .last()
        .is_none_or(|last| last["role"] != "assistant")
    {
        messages.push(json!({"role": "assistant"}));
    }
    messages.last_mut().unwrap()
}

fn part(part: &Value) -> Option<Value> {
    match first_text([&part["type"]]) {
        "input_text" => Some(json!({"type": "text", "text": part["text"]})),
        "input_image" if part["image_url"].is_string() => Some(
            json!({"type": "image_url", "image_url": {"url": part["image_url"], "detail": part["detail"]}}),
        ),
        "input_file" if part["file_data"].is_string() => Some(
            json!({"type": "file", "file": {"filename": part["filename"], "file_data": part["file_data"]}}),
        ),
        _ => None,
    }
}

/// The same request, however it is spelled. Nothing is stored and thoughts are asked for whatever the caller says, a
/// schema that is not said to be strict is not, and ids of items mean nothing where nothing is stored.
fn normal(body: &Value) -> Value {
    let mut body = without_nulls(body);
    let instructions = body["instructions"].take();
    let fields = body.as_object_mut().unwrap();
    for name in [
        "store",
        "include",
        "instructions",
        "user",
        "safety_identifier",
    ] {
        fields.remove(name);
    }
    if fields.get("stream") == Some(&json!(false)) {
        fields.remove("stream");
    }
    for name in ["reasoning", "text"] {
        if fields.get(name) == Some(&json!({})) {
            fields.remove(name);
        }
    }
    let mut items = match fields["input"].take() {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        items => list(&items).to_vec(),
    };
    if instructions.is_string() {
        items.insert(0, json!({"role": "system", "content": instructions}));
    }
    for item in &mut items {
        let text = if item["role"] == "assistant" {
            "output_text"
        } else {
            "input_text"
        };
        if item["role"].is_string() {
            item["type"] = json!("message");
            if item["role"] == "system" {
                item["role"] = json!("developer");
            }
            if item["content"].is_string() {
                item["content"] = json!([{"type": text, "text": item["content"]}]);
            }
            for part in item["content"].as_array_mut().unwrap() {
                for name in ["annotations", "logprobs"] {
                    part.as_object_mut().unwrap().remove(name);
                }
            }
        }
        let reasons = item["type"] == "reasoning";
        let object = item.as_object_mut().unwrap();
        object.remove("status");
        object.remove("phase");
        if !reasons {
            object.remove("id");
        } else if object.get("content") == Some(&json!([])) {
            object.remove("content");
        }
        if let Some(arguments) = object.get_mut("arguments") {
            *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
    }
    fields.insert("input".to_owned(), json!(items));
    for tool in fields
        .get_mut("tools")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if tool["type"] == "function" {
            let strict = tool["strict"] == true;
            tool["strict"] = json!(strict);
            if tool["description"] == "" {
                tool.as_object_mut().unwrap().remove("description");
            }
        }
    }
    body
}
