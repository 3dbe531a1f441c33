use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::call::{Form, Origin};
use crate::domain::event::Event;
use crate::domain::json::JsonObject;
use crate::wire::quirks::{Quirks, ReasoningForm};
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

fn target(form: ReasoningForm) -> Target {
    Target {
        wire: WireName::Bedrock,
        upstream_model: "us.anthropic.claude-v1:0".to_owned(),
        quirks: Arc::new(Quirks {
            reasoning: form,
            ..Quirks::default()
        }),
        unsupported_parameters: Vec::new(),
        max_output_tokens: Some(64_000),
        reasoning: None,
    }
}

fn body(fields: Value, form: ReasoningForm) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let encoded = Bedrock.encode(&call(&body), &target(form)).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

#[test]
fn the_path_names_the_model_and_whether_to_stream() {
    let path = |body: Value| {
        Bedrock
            .encode(&call(&body), &target(ReasoningForm::Unsaid))
            .unwrap()
            .path
    };
    let hello = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(
        path(json!({"messages": hello})),
        "/model/us.anthropic.claude-v1%3A0/converse"
    );
    assert_eq!(
        path(json!({"messages": hello, "stream": true})),
        "/model/us.anthropic.claude-v1%3A0/converse-stream"
    );
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    assert_eq!(
        body(json!({}), ReasoningForm::Unsaid),
        json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
    );
}

#[test]
fn thinking_is_told_as_the_family_takes_it() {
    let fields = |form| {
        body(
            json!({"max_tokens": 10_000, "reasoning": {"effort": "high"}, "temperature": 0.5}),
            form,
        )
    };
    let claude = fields(ReasoningForm::Budget);
    assert_eq!(
        claude["additionalModelRequestFields"],
        json!({"thinking": {"type": "enabled", "budget_tokens": 8_000}})
    );
    assert_eq!(claude["inferenceConfig"], json!({"maxTokens": 10_000}));
    let oss = fields(ReasoningForm::Effort);
    assert_eq!(
        oss["additionalModelRequestFields"],
        json!({"reasoning_effort": "high"})
    );
    assert_eq!(
        fields(ReasoningForm::Unsaid)["additionalModelRequestFields"],
        Value::Null
    );
}

#[test]
fn markers_follow_what_they_mark() {
    let marked =
        json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let sent = body(
        json!({
            "cache_control": {"type": "ephemeral"},
            "messages": [{"role": "system", "content": [marked]}, {"role": "user", "content": "b"}],
            "tools": [{"type": "function", "cache_control": {"type": "ephemeral", "ttl": "5m"}, "function": {"name": "f"}}],
        }),
        ReasoningForm::Unsaid,
    );
    assert_eq!(
        sent["system"],
        json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}}])
    );
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"text": "b"}, {"cachePoint": {"type": "default"}}])
    );
    assert_eq!(
        sent["toolConfig"]["tools"][1],
        json!({"cachePoint": {"type": "default"}})
    );
}

#[test]
fn calls_of_the_past_declare_their_tools() {
    let sent = body(
        json!({"messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": " "},
        ]}),
        ReasoningForm::Unsaid,
    );
    assert_eq!(
        sent["toolConfig"],
        json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]})
    );
    assert_eq!(
        sent["messages"][2]["content"],
        json!([{"toolResult": {"toolUseId": "a", "content": [{"text": "."}]}}])
    );
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let none = body(
        json!({"tools": tools, "tool_choice": "none"}),
        ReasoningForm::Unsaid,
    );
    assert_eq!(none["toolConfig"], Value::Null);
}

#[test]
fn files_are_inline_or_in_amazons_store() {
    let file = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "a_b.pdf", "file_data": url}}]}]});
    let sent = body(
        file("data:application/pdf;base64,AA"),
        ReasoningForm::Unsaid,
    );
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"document": {"format": "pdf", "name": "a b pdf", "source": {"bytes": "AA"}}}])
    );
    let sent = body(file("s3://bucket/a.pdf"), ReasoningForm::Unsaid);
    assert_eq!(
        sent["messages"][0]["content"][0]["document"]["source"],
        json!({"s3Location": {"uri": "s3://bucket/a.pdf"}})
    );
    let error = Bedrock
        .encode(
            &call(&file("https://x.example/a.pdf")),
            &target(ReasoningForm::Unsaid),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "this endpoint takes files as data URLs only"
    );
}

#[test]
fn exceptions_inside_a_stream_end_it() {
    let mut decoder = Bedrock.decoder(&call(&json!({})), &target(ReasoningForm::Unsaid));
    let mut events: Vec<Event> = Vec::new();
    let mut frame = |name: &str, data: &str| {
        let frame = Frame {
            event: Some(name.to_owned()),
            data: data.to_owned().into(),
        };
        decoder.frame(&frame, &mut events)
    };
    frame("messageStart", r#"{"role":"assistant"}"#).unwrap();
    frame(
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"text":"Half"}}"#,
    )
    .unwrap();
    let outcome = frame("exception:throttlingException", r#"{"message":"Too many"}"#);
    let Err(DecodeError::Upstream(fault)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (fault.status, fault.code.as_deref(), &*fault.message),
        (429, Some("throttlingException"), "Too many")
    );
    assert_eq!(decoder.end(&mut Vec::new()), Err(DecodeError::Truncated));
}

#[test]
fn an_error_has_its_name_in_a_header() {
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-amzn-errortype"),
        http::HeaderValue::from_static("ThrottlingException:http://internal.amazon.com/"),
    )]);
    let fault = Bedrock.fault(429, &headers, br#"{"message":"slow down"}"#);
    assert_eq!(
        (fault.code.as_deref(), &*fault.message),
        (Some("ThrottlingException"), "slow down")
    );
}
