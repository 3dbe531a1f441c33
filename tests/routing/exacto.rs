//! Tool calls are looked at, and endpoints whose calls cannot be run lose the tool requests (contract 6.9).

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Upstream, json_body};

/// As many as an endpoint needs to be judged.
const REQUESTS: usize = 240;

/// An answer that calls the tool with these arguments.
fn calls(seen: &Seen, arguments: &str) -> Script {
    assert!(seen.body["tools"].is_array());
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "find", "arguments": arguments}});
    json_body(
        200,
        &json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "orca-large",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        }),
    )
}

fn ask(provider: Value) -> Value {
    json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Find cats"}], "provider": provider,
        "tools": [{"type": "function", "function": {"name": "find", "parameters": {
            "type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}}}],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tool_requests_leave_an_endpoint_whose_calls_cannot_be_run() {
    let mut labs = Vec::new();
    let mut config = String::new();
    for slug in ["good-a", "good-b", "good-c", "bad"] {
        let arguments = if slug == "bad" {
            r#"{"query": 7}"#
        } else {
            r#"{"q": "cats"}"#
        };
        let lab = Upstream::start(move |seen| calls(seen, arguments)).await;
        // The bad one is so cheap that by price alone it would get nearly everything.
        let price = if slug == "bad" {
            "0.00000001"
        } else {
            "0.000002"
        };
        config.push_str(&lab.provider(slug, price, price));
        labs.push(lab);
    }
    let server = Server::alone(&config).await;
    let first = server
        .http
        .post("/api/v1/chat/completions", &ask(json!({})))
        .await
        .json();
    assert_eq!(first["provider"], "bad Inc");
    for slug in ["good-a", "good-b", "good-c", "bad"] {
        let body = ask(json!({"only": [slug]}));
        for _ in 0..REQUESTS / 30 {
            join_all((0..30).map(|_| server.http.post("/api/v1/chat/completions", &body))).await;
        }
    }
    // Calls are looked at behind the answers, so the first few requests may still go astray.
    let mut astray = 0;
    loop {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &ask(json!({})))
            .await
            .json();
        if answer["provider"] != "bad Inc" {
            break;
        }
        astray += 1;
        assert!(
            astray < 500,
            "the bad endpoint still gets the tool requests"
        );
    }
    let before = labs[3].calls();
    for _ in 0..20 {
        server
            .http
            .post("/api/v1/chat/completions", &ask(json!({})))
            .await;
    }
    assert_eq!(labs[3].calls(), before);
    // Whoever sorts by price has chosen, and requests without tools do not mind.
    let cheapest = server
        .http
        .post("/api/v1/chat/completions", &ask(json!({"sort": "price"})))
        .await
        .json();
    assert_eq!(cheapest["provider"], "bad Inc");
    server.stop().await;
}
