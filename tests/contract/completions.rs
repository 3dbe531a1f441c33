//! `POST /completions`, and `prompt` on the chat route, which answers in the same shapes.

use serde_json::{Value, json};

use super::held::Held;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Step, Upstream, done, event, json_body, sse_head};

const TEXT: &str = "POST /completions";

pub(super) const ROUTES: &[&str] = &[TEXT];

fn text_model(seen: &Seen) -> Script {
    let logprobs = json!({"tokens": [" four"], "token_logprobs": [-0.1], "top_logprobs": [{" four": -0.1}], "text_offset": [0]});
    let choice = |text: &str, finish: Value| json!({"index": 0, "text": text, "finish_reason": finish, "logprobs": logprobs});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    match (seen.streams(), seen.body["prompt"].as_str()) {
        (_, Some("fail")) => json_body(400, &json!({"error": {"message": "no", "code": "x"}})),
        (true, Some("break")) => vec![
            sse_head(),
            event(&json!({"id": "cmpl-1", "choices": [choice(" four", Value::Null)]})),
            Step::Reset,
        ],
        (false, _) => json_body(
            200,
            &json!({"id": "cmpl-1", "object": "text_completion", "choices": [choice(" four five", json!("length"))], "usage": usage}),
        ),
        (true, _) => vec![
            sse_head(),
            event(&json!({"id": "cmpl-1", "choices": [choice(" four", Value::Null)]})),
            event(&json!({"id": "cmpl-1", "choices": [choice(" five", json!("length"))]})),
            event(&json!({"id": "cmpl-1", "choices": [], "usage": usage})),
            done(),
        ],
    }
}

#[tokio::test]
async fn text_keeps_the_contract() {
    let upstream = Upstream::start(text_model).await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.000002")).await;
    let mut held = Held::default();
    for path in ["/api/v1/completions", "/api/v1/chat/completions"] {
        for (status, prompt, stream) in [
            (200, "One two", false),
            (200, "One two", true),
            (200, "break", true),
            (400, "fail", false),
            (400, "fail", true),
        ] {
            let body =
                json!({"model": "acme/orca", "prompt": prompt, "logprobs": 1, "stream": stream});
            held.hold(TEXT, status, server.http.post(path, &body).await);
        }
    }
    held.hold(
        TEXT,
        400,
        server
            .http
            .post("/api/v1/completions", &json!({"prompt": 5}))
            .await,
    );
    held.finish_having_answered(ROUTES);
    server.stop().await;
}
