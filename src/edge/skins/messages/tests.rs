use bytes::Bytes;
use serde_json::{Value, json};

use super::{request, thinking};
use crate::domain::event::{Message, ToolCall};
use crate::domain::json::{JsonText, Raw};
use crate::edge::skins::blocks::{Block, Blocks, Step};

fn chat(body: &Value) -> Value {
    let (chat, _) = request::read(Bytes::from(body.to_string())).unwrap();
    serde_json::from_slice(&chat).unwrap()
}

fn refusal(body: &Value) -> String {
    let refused = request::read(Bytes::from(body.to_string())).unwrap_err();
    refused.message().to_owned()
}

#[test]
fn a_conversation_with_tools_becomes_chat_messages_in_order() {
    let body = json!({
        "model": "acme/orca", "max_tokens": 100, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Weather in Oslo and Rome?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Two calls.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "b3BhcXVl"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"z": 1, "a": "Oslo"}},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "4 °C"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [{"type": "text", "text": "no such city"}]},
                {"type": "text", "text": "Go on."}
            ]}
        ]
    });
    let messages = chat(&body)["messages"].clone();
    assert_eq!(
        messages[0],
        json!({"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]})
    );
    assert_eq!(messages[1]["content"], "Weather in Oslo and Rome?");
    let assistant = &messages[2];
    assert_eq!(assistant["content"], "Let me look.");
    assert_eq!(
        assistant["tool_calls"][0]["function"]["arguments"],
        "{\"a\":\"Oslo\",\"z\":1}"
    );
    assert_eq!(
        assistant["reasoning_details"],
        json!([
            {"type": "reasoning.text", "text": "Two calls.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "b3BhcXVl", "format": "anthropic-claude-v1", "index": 1}
        ])
    );
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_call_id": "t1", "content": "4 °C"})
    );
    assert_eq!(messages[4]["tool_call_id"], "t2");
    assert_eq!(messages[4]["content"][0]["text"], "The tool failed:");
    assert_eq!(
        messages[5],
        json!({"role": "user", "content": [{"type": "text", "text": "Go on."}]})
    );
}

#[test]
fn media_become_parts_with_addresses() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}},
        {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "All well."}}
    ]}]});
    let parts = chat(&body)["messages"][0]["content"].clone();
    assert_eq!(parts[0]["image_url"]["url"], "data:image/png;base64,QUJD");
    assert_eq!(parts[1]["image_url"]["url"], "https://a.example/b.png");
    assert_eq!(
        parts[2]["file"],
        json!({"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"})
    );
    assert_eq!(
        (&parts[3]["text"], &parts[4]["text"]),
        (&json!("Notes:"), &json!("All well."))
    );
}

#[test]
fn settings_are_said_in_the_words_of_chat() {
    let base =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let check = |more: Value, expect: Value| {
        let mut body = base.clone();
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let chat = chat(&body);
        for (name, value) in expect.as_object().unwrap() {
            assert_eq!(&chat[name], value, "{name} of {body}");
        }
    };
    check(json!({"stop_sequences": ["a"]}), json!({"stop": ["a"]}));
    check(json!({"metadata": {"user_id": "u"}}), json!({"user": "u"}));
    check(
        json!({"fallbacks": [{"model": "b/c"}]}),
        json!({"models": ["b/c"]}),
    );
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        json!({"reasoning": {"max_tokens": 2000}}),
    );
    check(
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        json!({"reasoning": {"enabled": true, "effort": "low"}, "verbosity": "low"}),
    );
    check(
        json!({"thinking": {"type": "disabled"}}),
        json!({"reasoning": {"enabled": false}}),
    );
    check(
        json!({"tool_choice": {"type": "any", "disable_parallel_tool_use": true}}),
        json!({"tool_choice": "required", "parallel_tool_calls": false}),
    );
    check(
        json!({"tool_choice": {"type": "tool", "name": "f"}}),
        json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    );
    check(
        json!({"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}}]}),
        json!({"tools": [{"type": "function", "function": {
            "name": "f", "description": "d", "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}}]}),
    );
    check(
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": {"type": "object"}}}}),
    );
}

#[test]
fn what_cannot_be_said_is_refused_with_its_place() {
    let user = json!([{"role": "user", "content": "x"}]);
    let check = |body: Value, expect: &str| {
        let message = refusal(&body);
        assert!(message.starts_with(expect), "{message}");
    };
    check(json!({"messages": user}), "max_tokens: required");
    check(json!({"max_tokens": 1}), "messages: required");
    check(
        json!({"max_tokens": 1, "messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}),
        "messages[1].role: unknown variant `robot`",
    );
    check(
        json!({"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text"}]}]}),
        "messages[0].content",
    );
    check(
        json!({"max_tokens": 1, "messages": user, "models": ["a/b"], "fallbacks": [{"model": "c/d"}]}),
        "fallbacks: not together with models",
    );
    check(
        json!({"max_tokens": 1, "messages": user, "fallbacks": [{"model": "c/d", "speed": "fast"}]}),
        "fallbacks: an entry names a model and nothing else, not speed",
    );
}

#[test]
fn what_anthropic_alone_takes_is_for_endpoints_of_its_form_and_what_it_refuses_for_the_others() {
    let check = |more: Value, unsayable: Option<&str>, is_whole: bool| {
        let mut body = json!({"max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (_, verbatim) = request::read(Bytes::from(body.to_string())).unwrap();
        let told = verbatim.unsayable.as_deref();
        assert!(
            told.is_some() == unsayable.is_some()
                && told
                    .unwrap_or_default()
                    .starts_with(unsayable.unwrap_or_default()),
            "{told:?}"
        );
        assert_eq!(verbatim.body.is_some(), is_whole, "{body}");
    };
    let said = |role: &str, block: Value| json!({"messages": [{"role": role, "content": [block]}]});
    check(json!({}), None, true);
    check(
        json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
        Some("tools: bash_20250124 is run by Anthropic alone"),
        true,
    );
    check(
        said("assistant", json!({"type": "server_tool_use", "id": "s"})),
        Some("messages[0]: a block of a type"),
        true,
    );
    let nested = json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "f"}]});
    check(
        said("user", nested),
        Some("messages[0]: a block of a type"),
        true,
    );
    let thought =
        |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    check(said("assistant", thought("c2ln")), None, true);
    check(said("assistant", thought("")), None, false);
    let others = Raw::of(
        &json!({"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}),
    );
    let packed = thinking::data(&others.unwrap());
    check(
        said(
            "assistant",
            json!({"type": "redacted_thinking", "data": packed}),
        ),
        None,
        false,
    );
    check(
        said("system", json!({"type": "text", "text": "a"})),
        None,
        true,
    );
}

/// Steps as short words, so that an order can be read.
fn words(steps: &[Step]) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Start(index, _) => format!("start {index}"),
        Step::Delta(index, _) => format!("more {index}"),
        Step::Stop(index) => format!("stop {index}"),
    };
    steps.iter().map(word).collect()
}

fn call(index: u32, name: Option<&str>, arguments: &str) -> Message {
    let call = ToolCall {
        index,
        id: name.map(|_| JsonText::of(&format!("id{index}"))),
        name: name.map(JsonText::of),
        arguments: Some(JsonText::of(arguments)),
    };
    Message {
        tool_calls: vec![call],
        ..Message::default()
    }
}

#[test]
fn calls_that_come_side_by_side_are_told_one_after_the_other() {
    let (mut blocks, mut steps) = (Blocks::default(), Vec::new());
    for message in [
        call(0, Some("f"), "{\"a\":"),
        call(1, Some("g"), "{"),
        call(0, None, "1}"),
        call(1, None, "}"),
    ] {
        blocks.take(&message, &mut steps);
    }
    blocks.end(&mut steps);
    let expect = [
        "start 0", "more 0", "more 0", "stop 0", "start 1", "more 1", "more 1", "stop 1",
    ];
    assert_eq!(words(&steps), expect);
}

#[test]
fn a_call_is_told_at_once_when_the_one_before_it_is_whole() {
    let (mut blocks, mut steps) = (Blocks::default(), Vec::new());
    blocks.take(&call(0, Some("f"), "{}"), &mut steps);
    blocks.take(&call(1, Some("g"), "{"), &mut steps);
    assert_eq!(
        words(&steps),
        ["start 0", "more 0", "stop 0", "start 1", "more 1"]
    );
}

#[test]
fn thinking_ends_with_its_signature_and_other_providers_secrets_come_back_whole() {
    let details = json!([
        {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "id": "rs_1", "data": "c2VjcmV0", "format": "openai-responses-v1", "index": 0}
    ]);
    let message = Message {
        content: Some(JsonText::of("Yes")),
        reasoning: Some(JsonText::of("Hm.")),
        reasoning_details: Some(Raw::of(&details).unwrap()),
        ..Message::default()
    };
    let (mut blocks, mut steps) = (Blocks::default(), Vec::new());
    blocks.take(&message, &mut steps);
    blocks.end(&mut steps);
    let expect = [
        "start 0", "more 0", "more 0", "stop 0", "start 1", "stop 1", "start 2", "more 2", "stop 2",
    ];
    assert_eq!(words(&steps), expect);
    let redacted = steps.iter().find_map(|step| match step {
        Step::Start(_, Block::Hidden(detail)) => Some(thinking::data(detail)),
        _ => None,
    });
    let back = json!({"model": "m", "max_tokens": 1, "messages": [
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": redacted.unwrap()}]}
    ]});
    assert_eq!(
        chat(&back)["messages"][0]["reasoning_details"][0],
        details[1]
    );
}
