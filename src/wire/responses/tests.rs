use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::catalog::snapshot::Reasoning;
use crate::domain::call::{Form, Origin};
use crate::domain::event::{Event, FinishReason};
use crate::domain::json::JsonObject;
use crate::wire::quirks::Quirks;
use crate::wire::{Frame, WireName};

fn call(body: &Value) -> Call {
    Call {
        form: Form::Chat,
        model: None,
        models: Vec::new(),
        stream: body["stream"] == true,
        max_tokens: body["max_tokens"].as_u64(),
        choices: body["n"].as_u64().unwrap_or(1),
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
    }
}

fn target() -> Target {
    Target {
        wire: WireName::Responses,
        upstream_model: "up".to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: Vec::new(),
        max_output_tokens: None,
        reasoning: None,
    }
}

fn body(fields: Value, target: &Target) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let encoded = Responses.encode(&call(&body), target).unwrap();
    assert_eq!(encoded.path, "/responses");
    serde_json::from_slice(&encoded.body).unwrap()
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    assert_eq!(
        body(json!({}), &target()),
        json!({
            "model": "up", "store": false,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        })
    );
}

#[test]
fn reasoning_is_asked_for_where_there_is_some() {
    let thinker = Target {
        reasoning: Some(Reasoning {
            mandatory: true,
            efforts: ["low", "medium", "high"].map(str::to_owned).to_vec(),
            budget: false,
        }),
        ..target()
    };
    let sent = body(
        json!({"reasoning": {"effort": "xhigh", "summary": "auto"}}),
        &thinker,
    );
    assert_eq!(
        sent["reasoning"],
        json!({"effort": "high", "summary": "auto"})
    );
    assert_eq!(sent["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(
        body(json!({}), &thinker)["include"],
        json!(["reasoning.encrypted_content"])
    );
}

#[test]
fn the_conversation_becomes_items() {
    let sent = body(
        json!({"messages": [
            {"role": "system", "content": "be"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}}]},
            {"role": "assistant", "content": "so", "reasoning_details": [
                {"type": "reasoning.summary", "summary": "short", "id": "rs_1", "format": "openai-responses-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "E", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
                {"type": "reasoning.summary", "summary": "lone", "id": "rs_2", "format": "openai-responses-v1", "index": 2},
                {"type": "reasoning.text", "text": "theirs", "signature": "S", "format": "anthropic-claude-v1", "index": 3},
            ], "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "o"}, {"type": "text", "text": "k"}]},
        ]}),
        &target(),
    );
    assert_eq!(
        sent["input"],
        json!([
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "https://x/a.png", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "short"}], "encrypted_content": "E"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{\"x\":1}"},
            {"type": "function_call_output", "call_id": "a", "output": "ok"},
        ])
    );
}

#[test]
fn a_limit_of_tokens_is_told_and_failures_are_errors() {
    let read =
        |body: Value| Responses.decode(&call(&json!({})), &target(), &body.to_string().into());
    let cut = read(
        json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}),
    );
    let finish = cut.unwrap().choices[0].finish.clone().unwrap();
    assert_eq!(
        (finish.reason, finish.native.as_str()),
        (FinishReason::Length, "max_output_tokens")
    );
    let failed = read(
        json!({"status": "failed", "output": [], "error": {"code": "server_error", "message": "oh"}}),
    );
    assert!(matches!(failed, Err(DecodeError::Upstream(fault)) if fault.message == "oh"));
    assert!(matches!(
        read(json!({"id": "x"})),
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn what_no_piece_said_the_whole_says() {
    let mut decoder = Responses.decoder(&call(&json!({})), &target());
    let mut events: Vec<Event> = Vec::new();
    for event in [
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call", "call_id": "a", "name": "f", "arguments": ""}}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 4}}}),
    ] {
        let frame = Frame {
            event: None,
            data: event.to_string().into(),
        };
        decoder.frame(&frame, &mut events).unwrap();
    }
    decoder.end(&mut events).unwrap();
    let choices: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Choice(choice) => Some(choice),
            _ => None,
        })
        .collect();
    let text = choices[0]
        .message
        .content
        .as_ref()
        .map(|text| text.to_text());
    assert_eq!(text.as_deref(), Some("hi"));
    let arguments = choices[2].message.tool_calls[0]
        .arguments
        .as_ref()
        .map(|text| text.to_text());
    assert_eq!(arguments.as_deref(), Some("{}"));
    let finish = choices[3].finish.as_ref().map(|finish| finish.reason);
    assert_eq!(finish, Some(FinishReason::ToolCalls));
}
