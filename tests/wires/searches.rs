//! Searches of the web that a client asks for in the words of providers, and providers that understand them.

use http::StatusCode;
use serde_json::{Value, json};

use super::recordings::recordings;
use super::served::serving_with;
use super::spliced::{LARGE, MESSAGES, RESPONSES, replay};
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};

/// A search that the provider is to make, in its own words: where no engine is at hand it goes to one that speaks them,
/// of which nothing else need be known, and not to others.
#[tokio::test]
async fn a_search_in_the_providers_own_words_is_left_to_it() {
    for (same, tool) in [
        (
            &MESSAGES,
            json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "blocked_domains": ["a.example"]}),
        ),
        (
            &RESPONSES,
            json!({"type": "web_search_preview", "search_context_size": "low"}),
        ),
    ] {
        let all = recordings(same.api);
        let good = all.iter().find(|one| one.succeeded() && !one.streamed());
        let script = replay(good.unwrap());
        let upstream = Upstream::start(move |_| script.clone()).await;
        let mut body = (same.ask)(0);
        body["tools"] = json!([tool]);
        let (server, _folder) = serving_with(same.wire, &upstream, "sk-1", LARGE).await;
        let answer = server.http.post(same.path, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let seen = upstream.seen().remove(0);
        assert_eq!(seen.body["tools"], body["tools"]);
        server.stop().await;

        let (other, _folder) = serving_with("openai", &upstream, "sk-1", LARGE).await;
        let answer = other.http.post(same.path, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains("EXA_API_KEY"), "{}", answer.text());
        other.stop().await;
    }
}

/// Where the searches of a provider have a price, they are paid for, whoever's words ask for them.
#[tokio::test]
async fn searches_in_the_providers_own_words_are_paid_for() {
    let given = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": null,
        "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "text", "text": "So."},
        ],
        "usage": {"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"web_search_requests": 2}},
    });
    let script = json_body(200, &given);
    let upstream = Upstream::start(move |_| script.clone()).await;
    let config = upstream
        .provider("lab-a", "0.000001", "0.000002")
        .replace(
            "\"openai\"",
            "\"anthropic\"\nquirks = { web_search = \"tool\" }",
        )
        .replace("\"0.000002\"", "\"0.000002\", web_search = \"0.01\"");
    let server = Server::alone(&config).await;
    let mut body = (MESSAGES.ask)(0);
    body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
    let told = server.http.post(MESSAGES.path, &body).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text());
    let told = told.json();
    let mut content = given["content"].clone();
    content[1]["caller"] = json!({"type": "direct"});
    content[2]["citations"] = Value::Null;
    assert_eq!(told["content"], content);
    assert_eq!(told["usage"]["cost"], 0.02012);
    assert_eq!(upstream.seen()[0].body["tools"], body["tools"]);
    server.stop().await;
}
