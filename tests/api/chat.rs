//! `POST /api/v1/chat/completions`.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{
    Step, Upstream, chunk, completion, done, event, json_body, sse_head,
};

fn ask(stream: bool) -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Two words?"}], "stream": stream})
}

on_both_engines! {
    async fn a_plain_answer_is_rewritten_and_billed(db: TestDb) {
        let upstream = Upstream::answering("Four it is").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let answer = server.http.post("/api/v1/chat/completions", &ask(false)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        let body = answer.json();
        assert!(id.starts_with("gen-") && body["id"] == id);
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["model"], "acme/orca");
        assert_eq!(body["provider"], "lab-a Inc");
        assert_eq!(body["choices"][0]["message"]["content"], "Four it is");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["choices"][0]["native_finish_reason"], "stop");
        // Ten prompt tokens at a dollar a million, three completion tokens at two.
        assert_eq!(body["usage"]["cost"], 0.000016);
        assert_eq!(body["usage"]["total_tokens"], 13);
        server.stop().await;
    }

    async fn a_stream_carries_the_text_then_the_reason_then_the_usage(db: TestDb) {
        let upstream = Upstream::answering("Four it is").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let answer = server.http.post("/api/v1/chat/completions", &ask(true)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        let events = answer.events();
        assert_eq!(content(&events), "Four it is");
        let [.., finish, usage, end] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(finish["choices"][0]["finish_reason"], "stop");
        assert_eq!(usage["usage"]["cost"], 0.000016);
        assert_eq!(usage["choices"][0]["finish_reason"], Value::Null);
        assert_eq!(end, "[DONE]");
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        assert!(events[..events.len() - 1].iter().all(|event| event["id"] == id));
        server.stop().await;
    }
}

#[tokio::test]
async fn the_provider_sees_what_the_client_sent_and_nothing_of_the_gateway() {
    let upstream = Upstream::answering("Yes").await;
    let config = upstream
        .provider("lab-a", "0", "0")
        .replace("wire = ", "headers = { \"x-region\" = \"eu\" }\n wire = ");
    let server = Server::alone(&config).await;
    let body = json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Hi \u{1F600} \\ \"quoted\""}], "stream": true,
        "safe_prompt": true, "temperature": 0.5, "provider": {"order": ["lab-a"]}, "models": [], "session_id": "s",
        "user": "ann@example.com", "metadata": {"a": "b"}
    });
    let headers = [
        ("x-secret-of-caller", "1"),
        ("http-referer", "https://app.example"),
    ];
    let answer = server
        .http
        .send(
            Method::POST,
            "/api/v1/chat/completions",
            body.to_string().into(),
            &headers,
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.body["model"], "orca-at-lab-a");
    assert_eq!(seen.body["messages"], body["messages"]);
    assert_eq!(seen.body["safe_prompt"], true);
    assert_eq!(seen.body["temperature"], 0.5);
    assert_eq!(seen.body["stream_options"]["include_usage"], true);
    for gone in ["provider", "models", "session_id"] {
        assert!(seen.body.get(gone).is_none(), "{gone}");
    }
    assert_ne!(seen.body["user"], "ann@example.com");
    assert_eq!(seen.header("x-region"), Some("eu"));
    for gone in ["authorization", "x-secret-of-caller", "http-referer"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tool_calls_come_through_plain_and_streamed() {
    let upstream = Upstream::start(|seen| {
        let call = |function: Value| json!([{"index": 0, "id": "call_7", "type": "function", "function": function}]);
        if seen.streams() {
            let first = call(json!({"name": "weather", "arguments": "{\"city\":"}));
            let more = json!([{"index": 0, "function": {"arguments": "\"Oslo\"}"}}]);
            vec![
                sse_head(),
                event(&chunk(&json!({"role": "assistant", "content": null, "tool_calls": first}), None)),
                event(&chunk(&json!({"tool_calls": more}), None)),
                event(&chunk(&json!({}), Some("tool_calls"))),
                done(),
            ]
        } else {
            let calls = call(json!({"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}));
            let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
            let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
            json_body(200, &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}))
        }
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0", "0")).await;
    let plain = server
        .http
        .post("/api/v1/chat/completions", &ask(false))
        .await
        .json();
    let call = &plain["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["id"], &call["function"]["arguments"]),
        (&json!("call_7"), &json!("{\"city\":\"Oslo\"}"))
    );
    assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");

    let events = server
        .http
        .post("/api/v1/chat/completions", &ask(true))
        .await
        .events();
    let fragments = events.iter().filter_map(|event| {
        event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
    });
    assert_eq!(fragments.collect::<String>(), "{\"city\":\"Oslo\"}");
    assert_eq!(
        events[0]["choices"][0]["delta"]["tool_calls"][0]["id"],
        "call_7"
    );
    server.stop().await;
}

#[tokio::test]
async fn reasoning_is_shown_unless_the_caller_wants_it_kept_back() {
    let upstream = Upstream::start(|seen| {
        let said = json!({"content": "Four", "reasoning_content": "Two and two"});
        if seen.streams() {
            let (said, end) = (chunk(&said, None), chunk(&json!({}), Some("stop")));
            return vec![sse_head(), event(&said), event(&end), done()];
        }
        let mut body = completion("Four");
        body["choices"][0]["message"] = said;
        json_body(200, &body)
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0", "0")).await;
    for silence in [
        json!({"reasoning": {"exclude": true}}),
        json!({"include_reasoning": false}),
        json!({}),
    ] {
        let shown = silence == json!({});
        for stream in [false, true] {
            let mut body = ask(stream);
            body.as_object_mut()
                .unwrap()
                .extend(silence.as_object().unwrap().clone());
            let answer = server.http.post("/api/v1/chat/completions", &body).await;
            assert_eq!(answer.status, StatusCode::OK);
            let text = answer.text();
            assert_eq!(text.contains("Two and two"), shown, "{silence} {text}");
            assert!(text.contains("Four"), "{text}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn comments_keep_a_slow_stream_alive_and_failover_goes_on_behind_them() {
    let silent = Upstream::start(|_| vec![Step::Silence]).await;
    let healthy = Upstream::answering("Late but well").await;
    let config = format!(
        "[http]\nkeep_alive = \"50ms\"\n[timeouts]\nfirst_token = \"300ms\"\n{}{}",
        silent.provider("lab-a", "0", "0"),
        healthy.provider("lab-b", "0", "0")
    );
    let server = Server::alone(&config).await;
    let mut body = ask(true);
    body["provider"] = json!({"order": ["lab-a"]});
    let mut stream = server.http.stream("/api/v1/chat/completions", &body).await;
    assert_eq!(stream.status, StatusCode::OK);
    let first = stream.next().await.unwrap();
    assert!(first.starts_with(':'), "{first}");
    let mut events = Vec::new();
    while let Some(event) = stream.next_event().await {
        events.push(event);
    }
    assert_eq!(content(&events), "Late but well");
    assert_eq!(events.last().unwrap(), "[DONE]");
    silent.hung_up(1).await;
    server.stop().await;
}

#[tokio::test]
async fn the_built_in_model_answers_without_any_provider() {
    let server = Server::alone("").await;
    for path in ["/api/v1/chat/completions", "/v1/chat/completions"] {
        let body = json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "Say this"}]});
        let answer = server.http.post(path, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(
            answer.json()["choices"][0]["message"]["content"],
            "Say this"
        );
        assert_eq!(answer.json()["usage"]["cost"], 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_names_no_model_is_recorded_under_the_one_it_was_given() {
    let upstream = Upstream::start(|_| json_body(500, &json!({"error": {"message": "no"}}))).await;
    let provider = upstream.provider("lab-a", "0", "0");
    let server = Server::alone(&format!("default_model = \"acme/orca\"\n{provider}")).await;
    let mut body = ask(false);
    body.as_object_mut().unwrap().remove("model");
    let answer = server.http.post("/api/v1/chat/completions", &body).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text()
    );
    let id = answer.headers["x-generation-id"].to_str().unwrap();
    assert_eq!(server.generation(id).await["model"], "acme/orca");
    server.stop().await;
}
