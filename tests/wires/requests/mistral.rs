//! Requests of Mistral's chat completions, which are OpenAI's but for some names and the parts of their content.

use std::sync::Arc;

use serde_json::{Value, json};
use turnpike::catalog::snapshot::Target;
use turnpike::wire::WireName;
use turnpike::wire::quirks::{MaxTokensName, Quirks, ReasoningHistory};

use super::{encoded, for_each, target};
use crate::wires::expected::{first_text, list};

/// How many of the fixtures' requests can be told in chat form: all that have a body.
const KNOWN: usize = 23;

#[test]
fn a_request_is_sent_as_its_own_client_sent_it() {
    for_each("mistral-chat", KNOWN, |recording| {
        let recorded = &recording.request.body;
        let target = Target {
            quirks: Arc::new(Quirks {
                max_tokens_name: Some(MaxTokensName::MaxTokens),
                developer_as_system: true,
                no_stream_options: true,
                mistral_parts: true,
                reasoning_history: ReasoningHistory::Parts,
                ..Quirks::default()
            }),
            ..target(WireName::Openai, first_text([&recorded["model"]]))
        };
        assert_eq!(normal(&encoded(&chat(recorded), &target)), normal(recorded));
        true
    });
}

/// The request in chat form.
fn chat(body: &Value) -> Value {
    let mut chat = body.clone();
    for message in chat["messages"].as_array_mut().unwrap() {
        let mut thought = String::new();
        let mut parts = Vec::new();
        for part in list(&message["content"]) {
            if part["type"] == "thinking" {
                let texts = list(&part["thinking"]).iter();
                thought.extend(texts.map(|text| first_text([&text["text"]])));
            } else {
                parts.push(told(part));
            }
        }
        if !thought.is_empty() {
            message["reasoning"] = json!(thought);
        }
        if message["content"].is_array() {
            message["content"] = json!(parts);
        }
    }
    chat
}

fn told(part: &Value) -> Value {
    match first_text([&part["type"]]) {
        "document_url" => {
            json!({"type": "file", "file": {"filename": part["document_name"], "file_data": part["document_url"]}})
        }
        "input_audio" => {
            json!({"type": "input_audio", "input_audio": {"data": part["input_audio"], "format": "mp3"}})
        }
        _ => part.clone(),
    }
}

/// The same request, however it is spelled: thoughts are one text, and what is off is not said.
fn normal(body: &Value) -> Value {
    let mut body = super::without_nulls(body);
    let fields = body.as_object_mut().unwrap();
    if fields.get("stream") == Some(&json!(false)) {
        fields.remove("stream");
    }
    for message in fields["messages"].as_array_mut().unwrap() {
        let parts = message["content"].as_array_mut().into_iter().flatten();
        for part in parts.filter(|part| part["type"] == "thinking") {
            let texts = list(&part["thinking"]).iter();
            let text: String = texts.map(|text| first_text([&text["text"]])).collect();
            part["thinking"] = json!([{"type": "text", "text": text}]);
        }
    }
    body
}
