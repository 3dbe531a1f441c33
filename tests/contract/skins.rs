//! `POST /messages` and `POST /responses`: what the recorded answers do not show, refusals above all.

use serde_json::{Value, json};
use turnpike::domain::money::Nanos;

use super::held::Held;
use crate::support::server::Server;
use crate::support::upstream::{
    Script, Seen, Step, Upstream, chunk, done, event, json_body, sse_head,
};

const MESSAGES: &str = "POST /messages";
const COUNT: &str = "POST /messages/count_tokens";
const RESPONSES: &str = "POST /responses";

pub(super) const ROUTES: &[&str] = &[MESSAGES, COUNT, RESPONSES];

/// Everything that both forms can tell.
fn rich(seen: &Seen) -> Script {
    let content = seen.body["messages"][0]["content"]
        .as_str()
        .unwrap_or_default();
    let message = json!({
        "role": "assistant", "content": "Four.", "reasoning": "2 plus 2",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "2 plus 2", "signature": "c2ln", "id": null, "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.summary", "summary": "adding", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
            {"type": "reasoning.encrypted", "data": "ZW5j", "id": "rs_1", "format": "openai-responses-v1", "index": 1}
        ],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4}}],
        "tool_calls": [
            {"index": 0, "id": "call_7", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}},
            {"index": 1, "id": "call_8", "type": "function", "function": {"name": "time", "arguments": "{}"}}
        ]
    });
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 4}});
    match (content, seen.streams()) {
        ("fail", _) => json_body(500, &json!({"error": {"message": "no"}})),
        ("refuse", false) => {
            let message = json!({"role": "assistant", "content": null, "refusal": "I will not."});
            json_body(
                200,
                &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "content_filter"}], "usage": usage}),
            )
        }
        ("break", _) => vec![
            sse_head(),
            event(&chunk(&json!({"content": "Fo"}), None)),
            Step::Reset,
        ],
        (_, false) => json_body(
            200,
            &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}),
        ),
        (_, true) => {
            let mut last = chunk(&json!({}), Some("tool_calls"));
            last["usage"] = usage;
            vec![
                sse_head(),
                event(&chunk(&message, None)),
                event(&last),
                done(),
            ]
        }
    }
}

fn message(content: &str, stream: bool) -> Value {
    json!({"model": "acme/orca", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": content}]})
}

fn response(content: &str, stream: bool) -> Value {
    json!({
        "model": "acme/orca", "max_output_tokens": 50, "stream": stream, "input": content,
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "weather"}, "metadata": {"a": "b"}, "temperature": 0.5
    })
}

/// What was told well once, told by a provider that speaks the form: it is forwarded with what the gateway adds to it.
#[tokio::test]
async fn forwarded_answers_keep_the_contract() {
    let upstream = Upstream::start(rich).await;
    let first = Server::alone(&upstream.provider("lab-a", "0.000001", "0.0001")).await;
    let mut held = Held::default();
    for (wire, route, path, body) in [
        (
            "anthropic",
            MESSAGES,
            "/api/v1/messages",
            message as fn(&str, bool) -> Value,
        ),
        ("responses", RESPONSES, "/api/v1/responses", response),
    ] {
        for stream in [false, true] {
            let told = first.http.post(path, &body("rich", stream)).await;
            let kind = told.headers["content-type"].to_str().unwrap().to_owned();
            let length = told.body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let script = vec![
                Step::Write(head.into_bytes()),
                Step::Write(told.body.to_vec()),
            ];
            let provider = Upstream::start(move |_| script.clone()).await;
            let config = provider
                .provider("lab-b", "0.000001", "0.0001")
                .replace("wire = \"openai\"", &format!("wire = \"{wire}\""));
            let second = Server::alone(&config).await;
            let asked = [("x-openrouter-metadata", "enabled")];
            let body = body("rich", stream).to_string();
            let forwarded = second
                .http
                .send(http::Method::POST, path, body.into(), &asked);
            let forwarded = held.hold(route, 200, forwarded.await);
            let text = forwarded.text();
            assert!(text.contains("openrouter_metadata"), "{text}");
            assert!(text.contains("lab-b"), "{text}");
            second.stop().await;
        }
    }
    held.finish_having_answered(&[MESSAGES, RESPONSES]);
    first.stop().await;
}

#[tokio::test]
async fn both_forms_keep_the_contract() {
    let upstream = Upstream::start(rich).await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.0001")).await;
    let poor = server.create_key(|key| key.limit = Some(Nanos(10))).await;
    let poor = server.http.with_key(&poor);
    let mut held = Held::default();
    for (route, path, body) in [
        (
            MESSAGES,
            "/api/v1/messages",
            message as fn(&str, bool) -> Value,
        ),
        (RESPONSES, "/api/v1/responses", response),
    ] {
        for (status, content, stream) in [
            (200, "rich", false),
            (200, "rich", true),
            (200, "refuse", false),
            (200, "break", true),
            (503, "fail", false),
            (503, "fail", true),
        ] {
            held.hold(
                route,
                status,
                server.http.post(path, &body(content, stream)).await,
            );
        }
        held.hold(route, 403, poor.post(path, &body("rich", false)).await);
        let mut unknown = body("rich", false);
        unknown["model"] = "nobody/nothing".into();
        held.hold(route, 400, server.http.post(path, &unknown).await);
        held.hold(
            route,
            400,
            server.http.post(path, &json!({"model": "acme/orca"})).await,
        );
    }
    held.hold(
        COUNT,
        200,
        server
            .http
            .post(
                "/api/v1/messages/count_tokens",
                &message("How many?", false),
            )
            .await,
    );
    held.finish_having_answered(ROUTES);
    server.stop().await;
}
