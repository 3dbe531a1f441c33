//! Answers with a web search, in each form: what the search adds to them.

use http::Method;
use serde_json::{Value, json};

use super::held::Held;
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};

#[tokio::test]
async fn answers_with_a_search_keep_the_contract() {
    let page = json!({"url": "https://a.example/x", "title": "A", "publishedDate": "2026-11-29", "highlights": ["It was."]});
    let engine = Upstream::start(move |_| json_body(200, &json!({"results": [page]}))).await;
    let down = Upstream::start(|_| json_body(500, &json!({}))).await;
    let model = Upstream::answering("So [it was](https://a.example/x).").await;
    let config = format!(
        "[exa]\napi_key = \"k\"\nbase_url = \"http://{}\"\n[searxng]\nbase_url = \"http://{}\"\n{}",
        engine.address,
        down.address,
        model.provider("lab-a", "0.000001", "0.000002")
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let turns = json!([{"role": "user", "content": "Was it?"}]);
    for stream in [false, true] {
        for engine in ["exa", "searxng"] {
            let with = |mut body: Value| {
                body["model"] = "acme/orca".into();
                body["plugins"] = json!([{"id": "web", "engine": engine}]);
                body["stream"] = stream.into();
                body
            };
            for (route, path, body) in [
                (
                    "POST /chat/completions",
                    "chat/completions",
                    json!({"messages": turns}),
                ),
                (
                    "POST /messages",
                    "messages",
                    json!({"messages": turns, "max_tokens": 50}),
                ),
                ("POST /responses", "responses", json!({"input": "Was it?"})),
                (
                    "POST /completions",
                    "completions",
                    json!({"prompt": "Was it?"}),
                ),
            ] {
                let body = with(body).to_string().into();
                // Of the others the schemas do not know that they tell of the routing.
                let tells = ["chat/completions", "messages"].contains(&path);
                let headers = [("x-openrouter-metadata", "enabled")];
                let headers = if tells { &headers[..] } else { &[] };
                let path = format!("/api/v1/{path}");
                let answer = server.http.send(Method::POST, &path, body, headers).await;
                let answer = held.hold(route, 200, answer);
                let id = answer.headers["x-generation-id"].to_str().unwrap();
                server.generation(id).await;
                let record = server
                    .http
                    .get(&format!("/api/v1/generation?id={id}"))
                    .await;
                held.hold("GET /generation", 200, record);
            }
        }
    }
    assert_eq!((engine.calls(), down.calls()), (8, 8));
    held.finish();
    server.stop().await;
}
