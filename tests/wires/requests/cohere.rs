//! Requests of Cohere's second chat API.

use serde_json::{Value, json};
use turnpike::wire::WireName;

use super::{encoded, for_each, target, without_nulls};
use crate::wires::expected::{first_text, list};

/// How many of the fixtures' requests can be told in chat form.
const KNOWN: usize = 16;

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for_each("cohere-v2-chat", KNOWN, |recording| {
        let recorded = &recording.request.body;
        let Some(chat) = chat(recorded) else {
            return false;
        };
        let model = first_text([&recorded["model"]]);
        let sent = encoded(&chat, &target(WireName::Cohere, model));
        assert_eq!(normal(&sent), normal(recorded));
        true
    });
}

/// The request in chat form; `None` for one that uses what the chat form has no words for: documents that a tool gave
/// back.
fn chat(body: &Value) -> Option<Value> {
    let messages = list(&body["messages"]);
    let messages: Option<Vec<Value>> = messages.iter().map(message).collect();
    let mut chat = json!({"model": "any", "messages": messages?});
    for (ours, theirs) in [
        ("stream", "stream"),
        ("tools", "tools"),
        ("documents", "documents"),
        ("max_tokens", "max_tokens"),
        ("temperature", "temperature"),
        ("top_p", "p"),
        ("top_k", "k"),
        ("frequency_penalty", "frequency_penalty"),
        ("presence_penalty", "presence_penalty"),
        ("seed", "seed"),
        ("stop", "stop_sequences"),
        ("thinking", "thinking"),
    ] {
        chat[ours] = body[theirs].clone();
    }
    chat["tool_choice"] = match body["tool_choice"].as_str() {
        Some("REQUIRED") => json!("required"),
        Some("NONE") => json!("none"),
        _ => Value::Null,
    };
    let format = &body["response_format"];
    if format["json_schema"].is_object() {
        let schema = json!({"name": "answer", "schema": format["json_schema"]});
        chat["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    } else {
        chat["response_format"] = format.clone();
    }
    Some(chat)
}

fn message(message: &Value) -> Option<Value> {
    let parts = list(&message["content"]);
    if parts.iter().any(|part| part["type"] == "document") {
        return None;
    }
    let mut chat = message.clone();
    if message["tool_plan"].is_string() {
        chat["content"] = message["tool_plan"].clone();
    }
    Some(chat)
}

/// The same request, however it is spelled: a content is its one text, and what is empty or false says nothing.
fn normal(body: &Value) -> Value {
    let mut body = without_nulls(body);
    for message in body["messages"].as_array_mut().unwrap() {
        if let [only] = list(&message["content"])
            && only["type"] == "text"
        {
            message["content"] = only["text"].clone();
        }
        let fields = message.as_object_mut().unwrap();
        fields.retain(|_, value| *value != json!([]) && *value != json!(""));
    }
    let fields = body.as_object_mut().unwrap();
    fields.retain(|_, value| *value != json!([]) && *value != json!(false));
    body
}
