//! `POST /api/v1/messages`, as Anthropic's clients use it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::Http;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, chunk, done, event, json_body, sse_head};

fn ask(stream: bool) -> Value {
    json!({"model": "acme/orca", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "Two words?"}]})
}

on_both_engines! {
    async fn a_message_is_answered_and_billed(db: TestDb) {
        let upstream = Upstream::answering("Four it is").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let answer = server.http.post("/api/v1/messages", &ask(false)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let body = answer.json();
        assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
        assert!(body["id"].as_str().unwrap().starts_with("msg_"));
        assert_eq!(body["content"], json!([{"type": "text", "text": "Four it is", "citations": null}]));
        assert_eq!(body["stop_reason"], "end_turn");
        assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(10), &json!(3)));
        assert_eq!(body["usage"]["cost"], 0.000016);
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        assert_eq!(server.generation(id).await["total_cost"], 0.000016);
        server.stop().await;
    }
}

/// What the events say, and that they come in the only order the form allows.
fn in_order(text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let (mut open, mut next) = (None, 0);
    for block in text
        .split("\n\n")
        .filter(|block| block.starts_with("event: "))
    {
        let (name, data) = block.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        let kind = data["type"].as_str().unwrap();
        let index = data["index"].as_u64();
        match kind {
            "message_start" => assert!(events.is_empty()),
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)), "{text}");
                open = index;
            }
            "content_block_delta" => assert!(open.is_some() && index == open, "{text}"),
            "content_block_stop" => {
                assert!(open.is_some() && index == open, "{text}");
                (open, next) = (None, next + 1);
            }
            "message_delta" | "message_stop" => assert_eq!(open, None, "{text}"),
            "error" => {}
            other => panic!("{other}"),
        }
        events.push(data);
    }
    events
}

#[tokio::test]
async fn a_stream_tells_its_blocks_in_order_and_ends_with_usage_and_cost() {
    let upstream = Upstream::start(|_| {
        let call = |index: u64, more: Value| json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function", "function": more}]});
        let mut usage = chunk(&json!({}), None);
        usage["choices"] = json!([]);
        usage["usage"] = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}});
        vec![
            sse_head(),
            event(&chunk(&json!({"reasoning_content": "Hm, "}), None)),
            event(&chunk(&json!({"reasoning_content": "tools."}), None)),
            event(&chunk(&json!({"content": "Let me "}), None)),
            event(&chunk(&json!({"content": "see."}), None)),
            event(&chunk(&call(0, json!({"name": "f", "arguments": "{\"a\":1}"})), None)),
            event(&chunk(&call(1, json!({"name": "g", "arguments": "{}"})), None)),
            event(&chunk(&json!({}), Some("tool_calls"))),
            event(&usage),
            done(),
        ]
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0")).await;
    let answer = server.http.post("/api/v1/messages", &ask(true)).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events = in_order(&answer.text());
    let starts: Vec<&str> = events
        .iter()
        .filter_map(|event| event["content_block"]["type"].as_str())
        .collect();
    assert_eq!(starts, ["thinking", "text", "tool_use", "tool_use"]);
    let thought = events
        .iter()
        .filter_map(|event| event["delta"]["thinking"].as_str());
    assert_eq!(thought.collect::<String>(), "Hm, tools.");
    let [.., delta, stop] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(delta["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        (
            &delta["usage"]["input_tokens"],
            &delta["usage"]["cache_read_input_tokens"]
        ),
        (&json!(6), &json!(4))
    );
    assert!(delta["usage"]["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(stop["type"], "message_stop");
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_form_of_the_skin_before_and_inside_a_stream() {
    let upstream = Upstream::start(|seen| {
        if seen.streams() {
            vec![
                sse_head(),
                event(&chunk(&json!({"content": "Once"}), None)),
                Step::Reset,
            ]
        } else {
            json_body(429, &json!({"error": {"message": "slow down"}}))
        }
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0", "0")).await;
    let check = |status: StatusCode, body: Value, kind: &str| {
        assert_eq!(
            (&body["type"], &body["error"]["type"]),
            (&json!("error"), &json!(kind)),
            "{status} {body}"
        );
        assert!(body.get("request_id").is_some(), "{body}");
    };
    let unknown = server
        .http
        .with_key("sk-or-v1-none")
        .post("/api/v1/messages", &ask(false))
        .await;
    check(unknown.status, unknown.json(), "authentication_error");
    let wrong = server
        .http
        .post(
            "/api/v1/messages",
            &json!({"model": "acme/orca", "messages": []}),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    check(wrong.status, wrong.json(), "invalid_request_error");
    let refused = server.http.post("/api/v1/messages", &ask(false)).await;
    check(refused.status, refused.json(), "rate_limit_error");
    let cut = server.http.post("/api/v1/messages", &ask(true)).await;
    assert_eq!(cut.status, StatusCode::OK);
    let events = in_order(&cut.text());
    let last = events.last().unwrap();
    assert_eq!(last["type"], "error", "{last}");
    assert!(events.iter().all(|event| event["type"] != "message_stop"));
    server.stop().await;
}

#[tokio::test]
async fn anthropics_clients_are_let_in_by_their_own_header_and_can_count() {
    let server = Server::alone("").await;
    let key = server.create_key(|_| {}).await;
    let body = json!({"model": "turnpike/echo", "max_tokens": 20, "messages": [{"role": "user", "content": "Say this"}]});
    let nobody = Http::new(&server.base);
    for (path, body) in [("/api/v1/messages", &body), ("/v1/messages", &body)] {
        let headers = [
            ("x-api-key", key.as_str()),
            ("anthropic-version", "2023-06-01"),
        ];
        let answer = nobody
            .send(Method::POST, path, body.to_string().into(), &headers)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["content"][0]["text"], "Say this");
    }
    let mut uncounted = body.clone();
    uncounted.as_object_mut().unwrap().remove("max_tokens");
    let counted = server
        .http
        .post("/api/v1/messages/count_tokens", &uncounted)
        .await;
    assert_eq!(counted.status, StatusCode::OK, "{}", counted.text());
    let few = counted.json()["input_tokens"].as_u64().unwrap();
    uncounted["messages"][0]["content"] =
        "Say this, and then say a good deal more than this".into();
    let counted = server
        .http
        .post("/api/v1/messages/count_tokens", &uncounted)
        .await;
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > few);
    server.stop().await;
}
