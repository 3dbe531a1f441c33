//! `POST /api/v1/completions`, and `prompt` on the chat route.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Upstream, done, event, json_body, sse_head};

fn text_model(seen: &Seen) -> Script {
    assert_eq!(seen.path, "/v1/completions");
    let choice = |text: &str, finish: Value| json!({"index": 0, "text": text, "finish_reason": finish, "logprobs": null});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    if !seen.streams() {
        let choices = [choice(" four five", json!("length"))];
        return json_body(
            200,
            &json!({"id": "cmpl-1", "object": "text_completion", "choices": choices, "usage": usage}),
        );
    }
    vec![
        sse_head(),
        event(&json!({"id": "cmpl-1", "choices": [choice(" four", Value::Null)]})),
        event(&json!({"id": "cmpl-1", "choices": [choice(" five", json!("length"))]})),
        event(&json!({"id": "cmpl-1", "choices": [], "usage": usage})),
        done(),
    ]
}

#[tokio::test]
async fn text_comes_plain_and_streamed_from_either_route() {
    let upstream = Upstream::start(text_model).await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.000002")).await;
    for path in ["/api/v1/completions", "/api/v1/chat/completions"] {
        let ask = |stream: bool| json!({"model": "acme/orca", "prompt": "One two three", "max_tokens": 2, "stream": stream});
        let plain = server.http.post(path, &ask(false)).await;
        assert_eq!(plain.status, StatusCode::OK, "{}", plain.text());
        let body = plain.json();
        assert_eq!(
            (&body["object"], &body["choices"][0]["text"]),
            (&json!("text_completion"), &json!(" four five"))
        );
        assert_eq!(body["choices"][0]["finish_reason"], "length");
        assert_eq!(body["usage"]["cost"], 0.000007);

        let events = server.http.post(path, &ask(true)).await.events();
        let text: String = events
            .iter()
            .filter_map(|event| event["choices"][0]["text"].as_str())
            .collect();
        assert_eq!(text, " four five");
        assert_eq!(events[events.len() - 2]["usage"]["cost"], 0.000007);
        assert_eq!(events.last().unwrap(), "[DONE]");
    }
    server.stop().await;
}
