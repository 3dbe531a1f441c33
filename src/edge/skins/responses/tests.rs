use bytes::Bytes;
use serde_json::{Value, json};

use super::items::Items;
use super::request;
use crate::domain::event::{Choice, Message, ToolCall};
use crate::domain::json::{JsonText, Raw};

fn chat(body: &Value) -> Value {
    let (chat, ..) = request::read(Bytes::from(body.to_string())).unwrap();
    serde_json::from_slice(&chat).unwrap()
}

#[test]
fn what_an_assistant_did_in_several_items_is_one_message() {
    let body = json!({
        "model": "acme/orca",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "Weather in Oslo?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look it up."}], "encrypted_content": "c2VjcmV0", "format": "openai-responses-v1"},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": "{\"city\":\"Oslo\"}"},
            {"type": "function_call_output", "call_id": "c1", "output": "4 °C"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}, {"type": "input_image", "image_url": "data:image/png;base64,QUJD"}]}
        ]
    });
    let messages = chat(&body)["messages"].clone();
    assert_eq!(
        messages[0],
        json!({"role": "system", "content": "Be brief."})
    );
    assert_eq!(
        messages[1],
        json!({"role": "user", "content": "Weather in Oslo?"})
    );
    assert_eq!(messages[2]["content"], "Let me look.");
    assert_eq!(
        messages[2]["tool_calls"],
        json!([{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}])
    );
    assert_eq!(
        messages[2]["reasoning_details"],
        json!([
            {"type": "reasoning.summary", "id": "rs_1", "format": "openai-responses-v1", "index": 0, "summary": "Look it up."},
            {"type": "reasoning.encrypted", "id": "rs_1", "format": "openai-responses-v1", "index": 0, "data": "c2VjcmV0"}
        ])
    );
    assert_eq!(
        messages[3],
        json!({"role": "tool", "tool_call_id": "c1", "content": "4 °C"})
    );
    assert_eq!(
        messages[4]["content"][1]["image_url"]["url"],
        "data:image/png;base64,QUJD"
    );
    assert_eq!(messages.as_array().unwrap().len(), 5);
}

#[test]
fn settings_are_said_in_the_words_of_chat() {
    let check = |more: Value, expect: Value| {
        let mut body = json!({"model": "m", "input": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let chat = chat(&body);
        for (name, value) in expect.as_object().unwrap() {
            assert_eq!(&chat[name], value, "{name} of {body}");
        }
    };
    check(
        json!({"max_output_tokens": 9}),
        json!({"max_completion_tokens": 9}),
    );
    check(
        json!({"safety_identifier": "a", "user": "b"}),
        json!({"user": "b"}),
    );
    check(
        json!({"text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"z": 1, "a": 2}}}}),
        json!({"verbosity": "low", "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"z": 1, "a": 2}}}}),
    );
    check(
        json!({"include": ["reasoning.encrypted_content"], "top_logprobs": 0}),
        json!({"logprobs": null, "top_logprobs": null}),
    );
    check(
        json!({"include": ["message.output_text.logprobs"]}),
        json!({"logprobs": true, "top_logprobs": null}),
    );
    check(
        json!({"top_logprobs": 2}),
        json!({"logprobs": true, "top_logprobs": 2}),
    );
    let tools = json!([
        {"type": "function", "name": "f", "description": null, "parameters": {"type": "object"}, "strict": true},
        {"type": "function", "name": "g", "parameters": {"type": "object"}}
    ]);
    check(
        json!({"tools": tools, "tool_choice": {"type": "function", "name": "g"}}),
        json!({
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}},
                {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
            ],
            "tool_choice": {"type": "function", "function": {"name": "g"}}
        }),
    );
    check(
        json!({"tools": tools, "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}}),
        json!({"tools": [{"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}], "tool_choice": "required"}),
    );
}

#[test]
fn what_needs_memory_or_cannot_be_said_is_refused_with_its_place() {
    let check = |more: Value, expect: &str| {
        let mut body = json!({"model": "m", "input": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let refused = request::read(Bytes::from(body.to_string())).unwrap_err();
        assert!(
            refused.message().starts_with(expect),
            "{}",
            refused.message()
        );
    };
    check(json!({"store": true}), "store: responses are not kept here");
    check(
        json!({"previous_response_id": "resp_1"}),
        "previous_response_id: nothing is kept",
    );
    check(json!({"input": null}), "input: required");
    check(json!({"input": 5}), "input: expected a string or an array");
    check(
        json!({"input": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "x"}]}),
        "input: nothing is kept here",
    );
}

#[test]
fn what_openai_alone_takes_is_for_endpoints_of_its_form_and_what_it_refuses_for_the_others() {
    let check = |more: Value, unsayable: Option<&str>, is_whole: bool| {
        let mut body = json!({"model": "m", "input": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (_, _, verbatim) = request::read(Bytes::from(body.to_string())).unwrap();
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
    check(json!({}), None, true);
    check(
        json!({"tools": [{"type": "code_interpreter"}]}),
        Some("tools: code_interpreter is run by OpenAI alone"),
        true,
    );
    check(
        json!({"tool_choice": {"type": "web_search_preview"}}),
        Some("tool_choice: names a tool"),
        true,
    );
    check(
        json!({"input": [{"role": "user", "content": "a"}, {"type": "web_search_call", "id": "ws_1"}]}),
        Some("input[1]: an item of a type"),
        true,
    );
    let thought = |more: Value| {
        let mut item = json!({"type": "reasoning", "id": "rs_1", "summary": []});
        item.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"input": [item]})
    };
    check(thought(json!({"encrypted_content": "c2V"})), None, true);
    check(thought(json!({})), None, true);
    check(
        thought(json!({"id": "rs_1796018563-gZvG5R4I3PjJ_0"})),
        None,
        false,
    );
    check(
        thought(json!({"encrypted_content": "c2V", "format": "anthropic-claude-v1"})),
        None,
        false,
    );
    check(
        json!({"tools": [{"type": "openrouter:web_search"}]}),
        None,
        false,
    );
}

/// The events' types and the data of each.
fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let data = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn items_are_added_filled_and_done_in_order() {
    let mut items = Items::new();
    items.named("1");
    let mut out = Vec::new();
    let details = json!([
        {"type": "reasoning.summary", "id": "rs_9", "summary": "Hm.", "format": "openai-responses-v1", "index": 0},
        {"type": "reasoning.encrypted", "id": "rs_9", "data": "c2VjcmV0", "format": "openai-responses-v1", "index": 0}
    ]);
    let mut take = |message: Message| {
        let choice = Choice {
            message,
            ..Choice::default()
        };
        items.take(&choice, &mut out);
    };
    take(Message {
        reasoning_details: Some(Raw::of(&details).unwrap()),
        ..Message::default()
    });
    for text in ["Fo", "ur"] {
        take(Message {
            content: Some(JsonText::of(text)),
            ..Message::default()
        });
    }
    let call = ToolCall {
        index: 0,
        id: Some(JsonText::of("c1")),
        name: Some(JsonText::of("f")),
        arguments: Some(JsonText::of("{}")),
    };
    take(Message {
        tool_calls: vec![call],
        ..Message::default()
    });
    items.end(&mut out);

    let events = events(&out);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str()?.strip_prefix("response."))
        .collect();
    let expect = [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ];
    assert_eq!(kinds, expect);
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|event| event["sequence_number"].as_u64())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<u64>>());
    let [reasoning, message, call] = items.done() else {
        panic!("{:?}", items.done())
    };
    assert_eq!(reasoning["id"], "rs_9");
    assert_eq!(
        reasoning["summary"],
        json!([{"type": "summary_text", "text": "Hm."}])
    );
    assert_eq!(reasoning["encrypted_content"], "c2VjcmV0");
    assert_eq!(message["content"][0]["text"], "Four");
    assert_eq!(
        (&call["call_id"], &call["arguments"], &call["status"]),
        (&json!("c1"), &json!("{}"), &json!("completed"))
    );
}

#[test]
fn tokens_stand_beside_the_text_they_are_of() {
    let mut items = Items::new();
    let mut out = Vec::new();
    let token = |token: &str, bytes: Value| json!({"token": token, "logprob": -0.5, "bytes": bytes, "top_logprobs": [{"token": "x", "logprob": -1.25, "bytes": null}]});
    let told = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes(), "top_logprobs": [{"token": "x", "logprob": -1.25, "bytes": [120]}]});
    for (text, tokens) in [
        ("Fo", json!([token("Fo", json!([70, 111]))])),
        // Of half a letter there is a token, and no text yet.
        ("", json!([token("u", Value::Null)])),
        ("ur", json!([token("r", Value::Null)])),
        ("", json!([token("!", Value::Null)])),
    ] {
        let choice = Choice {
            message: Message {
                content: Some(JsonText::of(text)),
                ..Message::default()
            },
            logprobs: Raw::of(&json!({"content": tokens, "refusal": null})).ok(),
            ..Choice::default()
        };
        items.take(&choice, &mut out);
    }
    items.end(&mut out);
    let events = events(&out);
    let of = |kind: &str| {
        let told = events.iter().filter(|event| event["type"] == kind);
        told.map(|event| event["logprobs"].clone())
            .collect::<Value>()
    };
    assert_eq!(
        of("response.output_text.delta"),
        json!([[told("Fo")], [told("u"), told("r")]])
    );
    let all = json!([told("Fo"), told("u"), told("r"), told("!")]);
    assert_eq!(of("response.output_text.done"), json!([all]));
    assert_eq!(items.done()[0]["content"][0]["logprobs"], all);
}
