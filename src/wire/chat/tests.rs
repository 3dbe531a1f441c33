use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::catalog::snapshot::Target;
use crate::domain::call::{Call, Form, Origin};
use crate::domain::json::JsonObject;
use crate::wire::WireName;
use crate::wire::quirks::Quirks;

fn call(form: Form, body: &Value) -> Call {
    Call {
        form,
        model: None,
        models: Vec::new(),
        stream: false,
        max_tokens: body["max_tokens"].as_u64(),
        choices: 1,
        provider: None,
        plugins: None,
        origin: Origin::default(),
        verbatim: None,
        body: JsonObject::parse(body.to_string().into()).unwrap(),
    }
}

fn target(unsupported: &[&str]) -> Target {
    Target {
        wire: WireName::Anthropic,
        upstream_model: "up".to_owned(),
        quirks: Arc::new(Quirks::default()),
        unsupported_parameters: unsupported.iter().map(|&name| name.to_owned()).collect(),
        max_output_tokens: None,
        reasoning: None,
    }
}

fn read(body: &Value) -> Result<Chat, EncodeError> {
    Chat::read(&call(Form::Chat, body), &target(&[]))
}

fn messages(messages: Value) -> Vec<Message> {
    read(&json!({"messages": messages})).unwrap().messages
}

#[track_caller]
fn refused(body: &Value, reason: &str) {
    assert_eq!(read(body).unwrap_err().to_string(), reason);
}

/// The text of parts, the kind in brackets for other ones.
fn said(parts: &[Part]) -> String {
    let one = |part: &Part| match &part.content {
        Content::Text(text) => text.to_text(),
        Content::Image { media, detail } => format!("[image {media:?} {detail:?}]"),
        Content::Audio { format, data } => format!("[audio {format} {data}]"),
        Content::Video(media) => format!("[video {media:?}]"),
        Content::File { name, media } => format!("[file {name:?} {media:?}]"),
    };
    parts.iter().map(one).collect::<Vec<_>>().join("|")
}

#[test]
fn what_is_absent_stays_absent() {
    let chat = read(&json!({"messages": [{"role": "user", "content": "hi"}], "temperature": null}))
        .unwrap();
    let sampling = &chat.sampling;
    let numbers = [
        &sampling.temperature,
        &sampling.top_p,
        &sampling.top_k,
        &sampling.min_p,
        &sampling.top_a,
        &sampling.frequency_penalty,
        &sampling.presence_penalty,
        &sampling.repetition_penalty,
        &sampling.seed,
        &sampling.logit_bias,
        &sampling.logprobs,
        &sampling.top_logprobs,
    ];
    assert!(numbers.into_iter().all(Option::is_none));
    assert!(chat.tools.is_empty() && chat.stop.is_empty() && chat.modalities.is_empty());
    assert!(chat.max_tokens.is_none() && chat.user.is_none() && chat.service_tier.is_none());
    assert!(
        chat.tool_choice.is_none()
            && chat.response_format.is_none()
            && chat.cache_control.is_none()
    );
    assert_eq!(chat.reasoning, Wish::default());
}

#[test]
fn what_the_endpoint_refuses_is_dropped() {
    let body = json!({
        "messages": [], "temperature": 0.5, "top_k": 3, "reasoning": {"effort": "high"},
        "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required",
    });
    let target = target(&["temperature", "reasoning", "tools"]);
    let chat = Chat::read(&call(Form::Chat, &body), &target).unwrap();
    assert!(chat.sampling.temperature.is_none() && chat.sampling.top_k.is_some());
    assert!(chat.tools.is_empty() && chat.tool_choice.is_none());
    assert_eq!(chat.reasoning.is_on(), None);
}

#[test]
fn numbers_keep_their_spelling_and_texts_their_bytes() {
    let body = r#"{"messages":[{"role":"user","content":"a\u00e9\/b"}],"temperature":0.70,"seed":12345678901234567890}"#;
    let call = Call {
        body: JsonObject::parse(body.into()).unwrap(),
        ..call(Form::Chat, &json!({}))
    };
    let chat = Chat::read(&call, &target(&[])).unwrap();
    assert_eq!(
        chat.sampling.temperature.as_ref().map(Raw::as_str),
        Some("0.70")
    );
    assert_eq!(
        chat.sampling.seed.as_ref().map(Raw::as_str),
        Some("12345678901234567890")
    );
    let [Message::User(parts)] = &chat.messages[..] else {
        panic!()
    };
    let Content::Text(text) = &parts[0].content else {
        panic!()
    };
    assert_eq!(serde_json::to_string(text).unwrap(), r#""a\u00e9\/b""#);
}

#[test]
fn every_kind_of_part_is_read() {
    let check = |part: Value, expect: &str| {
        let messages = messages(json!([{"role": "user", "content": [part]}]));
        let [Message::User(parts)] = &messages[..] else {
            panic!()
        };
        assert_eq!(said(parts), expect);
    };
    check(json!({"type": "text", "text": "hi"}), "hi");
    check(json!("hi"), "hi");
    check(
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}),
        r#"[image Inline { mime: "image/png", data: "AAAA" } Some("low")]"#,
    );
    check(
        json!({"type": "image_url", "image_url": "https://x.example/a.png"}),
        r#"[image Url("https://x.example/a.png") None]"#,
    );
    check(
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
        "[audio mp3 AAAA]",
    );
    check(
        json!({"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,AAAA"}}),
        "[audio wav AAAA]",
    );
    check(
        json!({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}),
        r#"[video Inline { mime: "video/mp4", data: "AAAA" }]"#,
    );
    check(
        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
        r#"[file Some("a.pdf") Inline { mime: "application/pdf", data: "AAAA" }]"#,
    );
    check(
        json!({"type": "file", "file": {"file_data": "https://x.example/a.pdf"}}),
        r#"[file None Url("https://x.example/a.pdf")]"#,
    );
    check(
        json!({"type": "file", "file": {"file_id": "file-1"}}),
        r#"[file None Uploaded("file-1")]"#,
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let content = |part: Value| json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [part]}]});
    refused(
        &content(json!({"type": "hologram"})),
        "messages[1].content[0]: this endpoint takes no part of type `hologram`",
    );
    refused(
        &content(json!({"type": "image_url", "image_url": {}})),
        "messages[1].content[0]: a part of type `image_url` needs `image_url.url`",
    );
    refused(
        &content(json!({"type": "file", "file": {"filename": "a"}})),
        "messages[1].content[0]: a part of type `file` needs `file.file_data`",
    );
    refused(
        &content(json!(7)),
        "messages[1].content[0]: must be an object",
    );
    refused(
        &json!({"messages": [{"role": "tool", "content": "x"}]}),
        "messages[0]: a tool message needs `tool_call_id`",
    );
    refused(
        &json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}),
        "messages[0].tool_calls[0]: needs `function`",
    );
    refused(
        &json!({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": "https://x"}]}]}),
        "messages[0]: instructions are text alone",
    );
    refused(
        &json!({"messages": [], "tools": [{"type": "function", "function": {}}]}),
        "tools[0]: the function needs a name",
    );
    refused(
        &json!({"messages": [], "response_format": {"type": "grammar"}}),
        "response_format: this endpoint has no format of type `grammar`",
    );
}

#[test]
fn a_name_stands_before_what_is_said() {
    let messages = messages(json!([{"role": "user", "name": "Ann", "content": "hi \"you\""}]));
    let [Message::User(parts)] = &messages[..] else {
        panic!()
    };
    assert_eq!(said(parts), "Ann: hi \"you\"");
}

#[test]
fn calls_and_results_find_each_other() {
    let messages = messages(json!([
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "c", "type": "function", "function": {"name": "h", "arguments": "{\"cut"}},
            {"id": "d", "type": "function", "function": {"name": "i", "arguments": {"y": 2}}},
        ]},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "ok"}]},
        {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
        {"role": "function", "name": "old", "content": "done"},
    ]));
    let [
        Message::Assistant(turn),
        Message::Tool(result),
        Message::Assistant(old),
        Message::Tool(done),
    ] = &messages[..]
    else {
        panic!()
    };
    let arguments: Vec<&str> = turn
        .calls
        .iter()
        .map(|call| call.arguments.as_str())
        .collect();
    assert_eq!(
        arguments,
        [
            r#"{"x":1}"#,
            "{}",
            r#"{"INVALID_JSON":"{\"cut"}"#,
            r#"{"y":2}"#
        ]
    );
    assert_eq!(
        (result.name.as_deref(), said(&result.parts)),
        (Some("g"), "ok".to_owned())
    );
    assert_eq!(old.calls[0].id, done.call_id);
}

#[test]
fn thoughts_come_back_whole_even_in_pieces() {
    let thoughts = |details: Value| match &messages(
        json!([{"role": "assistant", "reasoning_details": details}]),
    )[..]
    {
        [Message::Assistant(turn)] => turn.thoughts.clone(),
        _ => panic!(),
    };
    let pieces = thoughts(json!([
        {"type": "reasoning.text", "text": "I ", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "think", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "signature": "S", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "E", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "more", "signature": "T", "index": 2},
        {"type": "reasoning.elsewhere"},
    ]));
    let [first, second, third, other] = &pieces[..] else {
        panic!("{pieces:?}")
    };
    let ThoughtKind::Text { text, signature } = &first.kind else {
        panic!()
    };
    assert_eq!(
        text.as_ref().map(JsonText::to_text).as_deref(),
        Some("I think")
    );
    assert_eq!(
        signature.as_ref().map(JsonText::to_text).as_deref(),
        Some("S")
    );
    assert!(first.is_of("anthropic-claude-v1") && !first.is_of("google-gemini-v1"));
    assert!(matches!(second.kind, ThoughtKind::Encrypted(_)));
    assert!(third.is_of("google-gemini-v1") && matches!(other.kind, ThoughtKind::Other(_)));
}

#[test]
fn cache_markers_are_read_wherever_they_stand() {
    let chat = read(&json!({
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "tools": [{"type": "function", "cache_control": {"type": "ephemeral"}, "function": {"name": "f"}}],
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": "b", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
            {"role": "user", "content": [{"type": "text", "text": "c", "cache_control": {"type": "other"}}]},
        ],
    }))
    .unwrap();
    let hour = CacheControl {
        ttl: Some("1h".to_owned()),
    };
    assert_eq!(chat.cache_control, Some(hour));
    assert!(
        chat.functions()
            .all(|function| function.cache_control.is_some())
    );
    let marked = |message: &Message| match message {
        Message::System(parts) | Message::User(parts) => parts[0].cache_control.clone(),
        _ => panic!(),
    };
    let markers: Vec<_> = chat.messages.iter().map(marked).collect();
    let five = CacheControl {
        ttl: Some("5m".to_owned()),
    };
    assert_eq!(
        markers,
        [Some(CacheControl { ttl: None }), Some(five), None]
    );
}

#[test]
fn tools_of_the_gateway_stay_with_it() {
    let chat = read(&json!({
        "messages": [],
        "tools": [
            {"type": "openrouter:web_search"},
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": false,
    }))
    .unwrap();
    assert!(matches!(
        &chat.tools[..],
        [Tool::Function(_), Tool::Native(_)]
    ));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Function("f".to_owned())));
    assert_eq!(chat.parallel_tool_calls, Some(false));
    let chat = read(
        &json!({"messages": [], "tools": [{"type": "openrouter:web_search"}], "tool_choice": "auto"}),
    );
    assert_eq!(chat.unwrap().tool_choice, None);
}

#[test]
fn effort_and_budget_follow_the_table() {
    let wish = |reasoning: Value| Wish::of(&call(Form::Chat, &json!({"reasoning": reasoning})));
    let budget = |reasoning: Value, cap| wish(reasoning).budget(cap);
    assert_eq!(budget(json!({"effort": "high"}), 10_000), 8_000);
    assert_eq!(budget(json!({"effort": "max"}), 10_000), 9_500);
    assert_eq!(budget(json!({"enabled": true}), 10_000), 5_000);
    assert_eq!(budget(json!({"effort": "minimal"}), 4_000), 1_024);
    assert_eq!(budget(json!({"max_tokens": 3_000}), 4_000), 3_000);
    assert_eq!(budget(json!({"max_tokens": 900_000}), 1_000_000), 128_000);
    assert_eq!(wish(json!({"effort": "none"})).is_on(), Some(false));
    let known = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(Effort::Minimal.among(&known(&["low", "high"])), Effort::Low);
    assert_eq!(
        Effort::Max.among(&known(&["none", "low", "high"])),
        Effort::High
    );
    assert_eq!(Effort::Medium.among(&known(&["low", "high"])), Effort::Low);
    assert_eq!(Effort::Low.among(&known(&["none", "high"])), Effort::High);
    assert_eq!(Effort::Low.among(&[]), Effort::Low);
}

#[test]
fn a_text_call_is_a_chat_of_one_message() {
    let read =
        |prompt: Value| Chat::read(&call(Form::Text, &json!({"prompt": prompt})), &target(&[]));
    let chat = read(json!(["Once"])).unwrap();
    let [Message::User(parts)] = &chat.messages[..] else {
        panic!()
    };
    assert_eq!(said(parts), "Once");
    assert!(read(json!([1, 2])).is_err() && read(json!(["a", "b"])).is_err());
}
