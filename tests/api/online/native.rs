//! A provider that searches itself, in each of the ways there are.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::{
    Script, Seen, Upstream, completion, event, json_body, provider_at, sse_head,
};
use crate::support::web::{ask, engine, exa_at, id, send};

fn provider(upstream: &Upstream, wire: &str, way: &str) -> String {
    provider_at(
        &format!("http://{}/v1", upstream.address),
        "lab-n",
        "0.000001",
        "0.000002",
    )
    .replace(
        "wire = \"openai\"",
        &format!("wire = \"{wire}\"\nquirks = {{ web_search = \"{way}\" }}"),
    )
    .replace(
        "completion = \"0.000002\"",
        "completion = \"0.000002\", web_search = \"0.01\"",
    )
}

fn wish() -> Value {
    ask(json!({"plugins": [{
        "id": "web", "max_uses": 2, "include_domains": ["*.sport.example", "a.example/x"], "exclude_domains": ["bad.example"],
        "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"}
    }], "web_search_options": {"search_context_size": "low"}}))
}

async fn served(upstream: &Upstream, wire: &str, way: &str, body: &Value) -> (Answer, Seen, Value) {
    // An engine is there, too, and is not asked: the provider's own search comes first.
    let engine = engine().await;
    let config = format!("{}{}", exa_at(&engine, ""), provider(upstream, wire, way));
    let server = Server::alone(&config).await;
    let answer = send(&server, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{way}: {}", answer.text());
    let record = server.generation(id(&answer)).await;
    server.stop().await;
    assert_eq!(engine.calls(), 0);
    (answer, upstream.seen().pop().unwrap(), record)
}

#[tokio::test]
async fn options_of_a_chat() {
    let upstream = Upstream::start(|_| {
        let mut body = completion("Reds.");
        body["usage"]["server_tool_use"] = json!({"web_search_requests": 1});
        json_body(200, &body)
    })
    .await;
    let (answer, seen, record) = served(&upstream, "openai", "options", &wish()).await;
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(
        seen.body["web_search_options"],
        json!({"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}})
    );
    assert_eq!(seen.body["plugins"], Value::Null);
    assert_eq!(
        seen.body["messages"],
        json!([{"role": "user", "content": "Who won?"}])
    );
    assert_eq!(
        answer.json()["usage"]["server_tool_use"]["web_search_requests"],
        1
    );
    assert_eq!(record["total_cost"], 0.010012);
    assert_eq!(record["web_search_engine"], Value::Null);
}

#[tokio::test]
async fn perplexity() {
    let upstream = Upstream::start(|_| {
        let mut body = completion("Reds.");
        body["search_results"] =
            json!([{"title": "T", "url": "https://sport.example/a", "date": "2026-11-29"}]);
        json_body(200, &body)
    })
    .await;
    let (answer, seen, _) = served(&upstream, "openai", "perplexity", &wish()).await;
    assert_eq!(
        seen.body["search_domain_filter"],
        json!(["sport.example", "a.example"])
    );
    assert_eq!(
        seen.body["web_search_options"]["search_context_size"],
        "low"
    );
    let annotation = &answer.json()["choices"][0]["message"]["annotations"][0];
    assert_eq!(annotation["url_citation"]["url"], "https://sport.example/a");
}

#[tokio::test]
async fn a_tool_of_anthropics() {
    let upstream = Upstream::start(|seen| {
        let usage = json!({"input_tokens": 10, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2}});
        let cited = json!({"type": "web_search_result_location", "url": "https://sport.example/a", "title": "T", "cited_text": "won", "encrypted_index": "x"});
        if !seen.streams() {
            return json_body(200, &json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "usage": usage,
                "content": [
                    {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "who won"}},
                    {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
                    {"type": "text", "text": "Reds.", "citations": [cited]}
                ]
            }));
        }
        let mut script = vec![sse_head()];
        for data in [
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {"input_tokens": 10, "output_tokens": 0}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": cited}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Reds."}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
            json!({"type": "message_stop"}),
        ] {
            script.push(event(&data));
        }
        script
    })
    .await;
    for stream in [false, true] {
        let mut body = wish();
        body["stream"] = stream.into();
        let (answer, seen, record) = served(&upstream, "anthropic", "tool", &body).await;
        assert_eq!(
            seen.body["tools"],
            json!([{
                "type": "web_search_20250305", "name": "web_search", "max_uses": 2,
                "allowed_domains": ["sport.example", "a.example/x"],
                "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"}
            }])
        );
        assert!(
            answer.text().contains("\"start_index\":0")
                && answer.text().contains("\"end_index\":5"),
            "{}",
            answer.text()
        );
        assert!(
            answer.text().contains("https://sport.example/a"),
            "{}",
            answer.text()
        );
        assert!(
            answer
                .text()
                .contains("\"server_tool_use\":{\"web_search_requests\":2}")
        );
        assert_eq!(record["total_cost"], 0.020012);
    }
}

fn response(seen: &Seen) -> Script {
    let result = json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "m",
        "output": [
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "who won"}},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{
                "type": "output_text", "text": "Reds.", "logprobs": [],
                "annotations": [{"type": "url_citation", "url": "https://sport.example/a", "title": "T", "start_index": 0, "end_index": 5}]
            }]}
        ],
        "usage": {"input_tokens": 10, "output_tokens": 1, "total_tokens": 11}
    });
    assert!(!seen.streams());
    json_body(200, &result)
}

#[tokio::test]
async fn the_responses_wire_of_a_provider_that_chats_otherwise() {
    let upstream = Upstream::start(response).await;
    let (answer, seen, record) = served(&upstream, "openai", "responses", &wish()).await;
    assert_eq!(seen.path, "/v1/responses");
    assert_eq!(
        seen.body["tools"],
        json!([{
            "type": "web_search", "search_context_size": "low", "filters": {"allowed_domains": ["sport.example", "a.example"]},
            "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"}
        }])
    );
    assert_eq!(seen.body["max_tool_calls"], 2);
    let annotation =
        answer.json()["choices"][0]["message"]["annotations"][0]["url_citation"].clone();
    assert_eq!(
        (&annotation["url"], &annotation["end_index"]),
        (&json!("https://sport.example/a"), &json!(5))
    );
    assert_eq!(record["total_cost"], 0.010012);

    let excluding = ask(json!({"plugins": [{"id": "web", "exclude_domains": ["bad.example/x"]}]}));
    let (_, seen, _) = served(&upstream, "openai", "xai", &excluding).await;
    assert_eq!(
        seen.body["tools"],
        json!([{"type": "web_search", "filters": {"excluded_domains": ["bad.example"]}}])
    );
}

#[tokio::test]
async fn googles_search_and_what_it_cannot_do() {
    let upstream = Upstream::start(|_| {
        let grounding = json!({
            "webSearchQueries": ["who won"], "groundingChunks": [{"web": {"uri": "https://sport.example/a", "title": "T"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "Reds."}, "groundingChunkIndices": [0]}]
        });
        json_body(200, &json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Reds."}]}, "finishReason": "STOP", "groundingMetadata": grounding}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1, "totalTokenCount": 11}
        }))
    })
    .await;
    let (answer, seen, record) = served(&upstream, "gemini", "tool", &ask(json!({}))).await;
    assert_eq!(seen.body["tools"], json!([{"googleSearch": {}}]));
    let annotation = &answer.json()["choices"][0]["message"]["annotations"][0]["url_citation"];
    assert_eq!(annotation["url"], "https://sport.example/a");
    assert_eq!(record["total_cost"], 0.010012);

    let engine = engine().await;
    let config = format!(
        "{}{}",
        exa_at(&engine, ""),
        provider(&upstream, "gemini", "tool")
    );
    let server = Server::alone(&config).await;
    let limited = |more: Value| {
        let mut plugin = json!({"id": "web", "include_domains": ["sport.example"]});
        plugin
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        ask(json!({"plugins": [plugin]}))
    };
    let answer = send(&server, &limited(json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(engine.calls(), 1, "an engine can be limited");
    let answer = send(&server, &limited(json!({"engine": "native"}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert_eq!(engine.calls(), 1);
    server.stop().await;
}

#[tokio::test]
async fn without_the_plugin_the_same_provider_chats_as_always() {
    let upstream = Upstream::answering("Reds.").await;
    let body = ask(json!({"model": "acme/orca"}));
    let (_, seen, record) = served(&upstream, "openai", "responses", &body).await;
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(record["total_cost"], 0.000012);
}

#[tokio::test]
async fn endpoints_that_do_not_search_are_left_out_where_no_engine_is() {
    let (plain, searching) = (
        Upstream::answering("never").await,
        Upstream::answering("Reds.").await,
    );
    let config = format!(
        "{}{}",
        plain.provider("lab-a", "0", "0"),
        provider(&searching, "openai", "options")
    );
    let server = Server::alone(&config).await;
    for _ in 0..3 {
        assert_eq!(send(&server, &ask(json!({}))).await.status, StatusCode::OK);
    }
    assert_eq!((plain.calls(), searching.calls()), (0, 3));
    server.stop().await;

    let engine = engine().await;
    let server = Server::alone(&format!("{}{config}", exa_at(&engine, ""))).await;
    for provider in ["lab-a", "lab-n"] {
        let body = ask(json!({"provider": {"order": [provider]}, "web_search_options": {}}));
        assert_eq!(send(&server, &body).await.status, StatusCode::OK);
    }
    assert_eq!(engine.calls(), 2, "one search has to serve all attempts");
    for upstream in [&plain, &searching] {
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.body["web_search_options"], Value::Null);
    }
    let native = ask(json!({"plugins": [{"id": "web", "engine": "native"}]}));
    assert_eq!(send(&server, &native).await.status, StatusCode::OK);
    assert_eq!(engine.calls(), 2);
    server.stop().await;
}
