//! What the echo model answers, seen from its one function.

use insta::assert_snapshot;
use serde_json::Value;

use super::*;

fn ask(path: &str, body: Value) -> (u16, String) {
    let response = respond(path, &body.to_string().into());
    let bytes: Vec<u8> = response.chunks.flatten().collect();
    (response.status.as_u16(), String::from_utf8(bytes).unwrap())
}

/// The answer to a chat: text or tool call, finish reason, tokens.
#[track_caller]
fn chat(more: Value) -> String {
    let mut body = json!({ "model": "echo", "messages": [{ "role": "user", "content": "one two three four" }] });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, text) = ask("/chat/completions", body);
    let answer: Value = serde_json::from_str(&text).unwrap();
    if status != 200 {
        return format!(
            "{status} {} {}",
            answer["error"]["param"], answer["error"]["message"]
        );
    }
    let said = |choice: &Value| match &choice["message"]["tool_calls"][0]["function"] {
        Value::Null => choice["message"]["content"].to_string(),
        function => function.to_string(),
    };
    let choices = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| format!("{} {}", said(choice), choice["finish_reason"]));
    let usage = &answer["usage"];
    format!(
        "{} {}+{}={}",
        choices.collect::<Vec<_>>().join(" | "),
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"]
    )
}

#[test]
fn repeats_within_what_the_request_allows() {
    assert_snapshot!(chat(json!({})), @r#""one two three four" "stop" 4+4=8"#);
    assert_snapshot!(chat(json!({ "max_tokens": 2 })), @r#""one two" "length" 4+2=6"#);
    assert_snapshot!(chat(json!({ "max_completion_tokens": 4, "max_tokens": 1 })), @r#""one two three four" "stop" 4+4=8"#);
    assert_snapshot!(chat(json!({ "stop": [" three", "four"] })), @r#""one two" "stop" 4+2=6"#);
    assert_snapshot!(chat(json!({ "n": 2, "stop": "two", "stream": null, "tools": null })), @r#""one " "stop" | "one " "stop" 4+4=8"#);
    let parts = json!([{ "type": "text", "text": "look" }, { "type": "image_url", "image_url": { "url": "data:," } }]);
    assert_snapshot!(chat(json!({ "messages": [{ "role": "user", "content": parts }, { "role": "assistant", "content": null }] })), @r#""look" "stop" 1+1=2"#);
    assert_snapshot!(chat(json!({ "messages": [{ "role": "system", "content": "hush" }] })), @r#""There is no text to repeat." "stop" 1+6=7"#);
}

#[test]
fn calls_a_tool_when_it_must() {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": parameters } }, { "type": "function", "function": { "name": "time" } }]);
    let named = |name: &str| json!({ "type": "function", "function": { "name": name } });
    assert_snapshot!(chat(json!({ "tools": tools, "tool_choice": "required" })), @r#"{"arguments":"{\"city\":\"one two three four\"}","name":"weather"} "tool_calls" 4+4=8"#);
    assert_snapshot!(chat(json!({ "tools": tools, "tool_choice": named("time") })), @r#"{"arguments":"{}","name":"time"} "tool_calls" 4+1=5"#);
    assert_snapshot!(chat(json!({ "tools": tools, "tool_choice": "auto" })), @r#""one two three four" "stop" 4+4=8"#);
    assert_snapshot!(chat(json!({ "tools": tools, "tool_choice": named("none") })), @r#"400 "tool_choice" "tool_choice asks for a tool that is not among the tools""#);
    assert_snapshot!(chat(json!({ "tool_choice": "required" })), @r#"400 "tool_choice" "tool_choice asks for a tool that is not among the tools""#);
}

#[test]
fn answers_in_json_when_asked() {
    let schema = json!({ "type": "object", "properties": { "ok": { "type": "boolean" } }, "required": ["ok"] });
    assert_snapshot!(chat(json!({ "response_format": { "type": "json_object" } })), @r#""{\"echo\":\"one two three four\"}" "stop" 4+4=8"#);
    assert_snapshot!(chat(json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": schema } } })), @r#""{\"ok\":true}" "stop" 4+1=5"#);
}

#[test]
fn refuses_in_openais_shape() {
    assert_snapshot!(chat(json!({ "messages": [] })), @r#"400 "messages" "messages must not be empty""#);
    assert_snapshot!(chat(json!({ "messages": 3 })), @r#"400 null "invalid type: integer `3`, expected a sequence at line 1 column 13""#);
    assert_snapshot!(chat(json!({ "n": 0 })), @r#"400 "n" "n must be at least 1, and n for each prompt at most 128 in all""#);
    assert_snapshot!(chat(json!({ "max_tokens": 0 })), @r#"400 "max_tokens" "max_tokens must be at least 1""#);
    assert_snapshot!(ask("/chat/completions", json!([])).1, @r#"{"error":{"code":null,"message":"invalid type: sequence, expected struct ChatBody at line 1 column 0","param":null,"type":"invalid_request_error"}}"#);
    assert_snapshot!(ask("/images", json!({})).1, @r#"{"error":{"code":null,"message":"the echo model serves no /images","param":null,"type":"invalid_request_error"}}"#);
}

#[test]
fn streams_a_token_at_a_time() {
    let masked = |text: String| {
        let id = text
            .split('"')
            .find(|part| part.starts_with("chatcmpl-") || part.starts_with("cmpl-"))
            .unwrap()
            .to_owned();
        let random = id.rsplit('-').next().unwrap();
        text.replace(random, "X")
            .replace(r#","created":0"#, "")
            .replace(r#","model":"echo""#, "")
            .replace(r#","logprobs":null"#, "")
    };
    let messages = json!([{ "role": "user", "content": "one two three" }]);
    let usage = json!({ "include_usage": true });
    let text = ask("/chat/completions", json!({ "model": "echo", "messages": messages, "stream": true, "stream_options": usage, "max_tokens": 2 })).1;
    assert_snapshot!(masked(text), @r#"
    data: {"choices":[{"delta":{"content":"one","role":"assistant"},"finish_reason":null,"index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[{"delta":{"content":" two"},"finish_reason":null,"index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[{"delta":{},"finish_reason":"length","index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[],"id":"chatcmpl-X","object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5}}

    data: [DONE]
    "#);

    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "required": ["q"] } } }]);
    let call = ask("/chat/completions", json!({ "model": "echo", "messages": messages, "stream": true, "tools": tools, "tool_choice": "required" })).1;
    assert_snapshot!(masked(call), @r#"
    data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"q\":\"one","name":"f"},"id":"call_X_0","index":0,"type":"function"}]},"finish_reason":null,"index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":" two"},"index":0}]},"finish_reason":null,"index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":" three\"}"},"index":0}]},"finish_reason":null,"index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: {"choices":[{"delta":{},"finish_reason":"tool_calls","index":0}],"id":"chatcmpl-X","object":"chat.completion.chunk"}

    data: [DONE]
    "#);

    let text = ask(
        "/completions",
        json!({ "model": "echo", "prompt": ["a b", "c"], "stream": true }),
    )
    .1;
    assert_snapshot!(masked(text), @r#"
    data: {"choices":[{"finish_reason":null,"index":0,"text":"a"}],"id":"cmpl-X","object":"text_completion"}

    data: {"choices":[{"finish_reason":null,"index":0,"text":" b"}],"id":"cmpl-X","object":"text_completion"}

    data: {"choices":[{"finish_reason":"stop","index":0,"text":""}],"id":"cmpl-X","object":"text_completion"}

    data: {"choices":[{"finish_reason":null,"index":1,"text":"c"}],"id":"cmpl-X","object":"text_completion"}

    data: {"choices":[{"finish_reason":"stop","index":1,"text":""}],"id":"cmpl-X","object":"text_completion"}

    data: [DONE]
    "#);
}

#[test]
fn completes_texts_of_every_kind() {
    let check = |body: Value| {
        let answer: Value = serde_json::from_str(&ask("/completions", body).1).unwrap();
        answer["choices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|choice| choice["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(
        check(json!({ "model": "echo", "prompt": "say it" })),
        "say it"
    );
    assert_eq!(
        check(json!({ "model": "echo", "prompt": ["a", "b"], "n": 2 })),
        "a|a|b|b"
    );
    assert_eq!(check(json!({ "model": "echo", "prompt": [7, 8] })), "7 8");
    assert_eq!(
        check(json!({ "model": "echo", "prompt": [[7], [8]] })),
        "7|8"
    );
    assert_eq!(
        check(json!({ "model": "echo", "prompt": "go", "echo": true })),
        "gogo"
    );
}

#[test]
fn a_long_stream_is_made_as_it_is_read() {
    let body =
        json!({ "model": "echo", "prompt": "a ".repeat(1_000_000), "stream": true, "n": 128 });
    assert_eq!(
        respond("/completions", &body.to_string().into())
            .chunks
            .take(3)
            .count(),
        3
    );
}
