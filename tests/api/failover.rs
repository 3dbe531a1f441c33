//! One provider fails in every way there is before the commit point; the other answers, and only it is paid.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{
    Script, Step, Upstream, chunk, event, json_body, json_with, provider_at, sse_head,
};

/// The ways to fail before anything was said.
fn failures() -> Vec<(&'static str, Script)> {
    let error = |status| json_body(status, &json!({"error": {"message": "no", "code": "x"}}));
    let overloaded = json!({"error": {"message": "overloaded", "code": 503}});
    let not_json =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n<html>no<";
    let mut failures: Vec<(&str, Script)> = [401, 402, 403, 404, 408, 429, 500, 502, 503, 529]
        .into_iter()
        .map(|status| ("an error status", error(status)))
        .collect();
    failures.extend([
        (
            "rate limit with a hint",
            json_with(
                429,
                "retry-after: 7\r\n",
                &json!({"error": {"message": "slow down"}}),
            ),
        ),
        ("reset before the head", vec![Step::Reset]),
        ("closed before the head", vec![]),
        ("silence", vec![Step::Silence]),
        ("silence after the head", vec![sse_head(), Step::Silence]),
        ("reset after the head", vec![sse_head(), Step::Reset]),
        ("an error inside a 200", json_body(200, &overloaded)),
        (
            "an error inside a stream",
            vec![sse_head(), event(&overloaded)],
        ),
        (
            "no choices",
            json_body(200, &json!({"id": "x", "choices": []})),
        ),
        ("not JSON", vec![Step::Write(not_json.to_vec())]),
        (
            "a stream of nothing",
            vec![
                sse_head(),
                event(&chunk(&json!({"role": "assistant", "content": ""}), None)),
            ],
        ),
        (
            "a malformed chunk",
            vec![
                sse_head(),
                Step::Write(b"data: {\"choices\":[{\n\n".to_vec()),
            ],
        ),
    ]);
    failures
}

on_both_engines! {
    async fn any_failure_before_the_first_token_goes_on_to_the_next_endpoint(db: TestDb) {
        for (name, script) in failures() {
            let failing = Upstream::start(move |_| script.clone()).await;
            let healthy = Upstream::answering("I can").await;
            let config = format!(
                "[timeouts]\nfirst_token = \"200ms\"\ntotal = \"400ms\"\n{}{}",
                failing.provider("lab-a", "0.000003", "0.000003"),
                healthy.provider("lab-b", "0.000001", "0.000002")
            );
            let server = Server::start(db, &config).await;
            for stream in [false, true] {
                check_second_answers(&server, stream, name).await;
            }
            assert!(failing.calls() >= 2, "{name}");
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_passed_over() {
    let nobody = provider_at(
        &format!("http://{}/v1", Upstream::nobody().await),
        "lab-a",
        "0",
        "0",
    );
    let healthy = Upstream::answering("I can").await;
    let server = Server::alone(&format!(
        "{nobody}{}",
        healthy.provider("lab-b", "0.000001", "0.000002")
    ))
    .await;
    for stream in [false, true] {
        check_second_answers(&server, stream, "nobody listens").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_fault_of_the_request_itself_is_not_retried() {
    let strict = Upstream::start(|_| {
        json_body(
            400,
            &json!({"error": {"message": "bad schema", "code": "invalid_schema"}}),
        )
    })
    .await;
    let other = Upstream::answering("never").await;
    let config = format!(
        "{}{}",
        strict.provider("lab-a", "0", "0"),
        other.provider("lab-b", "0", "0")
    );
    let server = Server::alone(&config).await;
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(false))
        .await;
    let body = answer.json();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["metadata"]["provider_name"], "lab-a Inc");
    assert!(
        body["error"]["metadata"]["raw"]
            .as_str()
            .unwrap()
            .contains("bad schema")
    );
    assert_eq!(other.calls(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_after_it_began_ends_in_an_error_and_is_free() {
    let cuts: [(&str, Script); 4] = [
        ("closed", vec![]),
        ("reset", vec![Step::Reset]),
        (
            "an error event",
            vec![event(&json!({"error": {"message": "died", "code": 500}}))],
        ),
        ("silence", vec![Step::Silence]),
    ];
    for (name, end) in cuts {
        let upstream = Upstream::start(move |_| {
            let mut script = vec![
                sse_head(),
                event(&chunk(&json!({"content": "Once upon"}), None)),
            ];
            script.extend(end.clone());
            script
        })
        .await;
        let config = format!(
            "[timeouts]\nidle = \"200ms\"\n{}",
            upstream.provider("lab-a", "0.000001", "0.000002")
        );
        let server = Server::alone(&config).await;
        let events = server
            .http
            .post("/api/v1/chat/completions", &ask(true))
            .await
            .events();
        let last = events.last().unwrap();
        assert_eq!(content(&events), "Once upon", "{name}");
        assert_eq!(
            last["choices"][0]["finish_reason"], "error",
            "{name}: {last}"
        );
        assert!(
            last["error"]["code"].as_u64().unwrap() >= 500,
            "{name}: {last}"
        );
        let record = server.generation(events[0]["id"].as_str().unwrap()).await;
        assert_eq!(record["total_cost"], 0, "{name}");
        server.stop().await;
    }
}

async fn check_second_answers(server: &Server, stream: bool, name: &str) {
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(stream))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
    let (text, cost) = if stream {
        let events = answer.events();
        (
            content(&events),
            events[events.len() - 2]["usage"]["cost"].clone(),
        )
    } else {
        let body = answer.json();
        (
            body["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned(),
            body["usage"]["cost"].clone(),
        )
    };
    assert_eq!((text.as_str(), cost), ("I can", json!(0.000_014)), "{name}");
    let record = server
        .generation(answer.headers["x-generation-id"].to_str().unwrap())
        .await;
    assert_eq!(record["provider_name"], "lab-b Inc", "{name}");
    assert_eq!(record["total_cost"], 0.000014, "{name}");
    let attempts: Vec<&Value> = record["provider_responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| &attempt["provider_name"])
        .collect();
    assert_eq!(attempts, ["lab-a Inc", "lab-b Inc"], "{name}");
}

fn ask(stream: bool) -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}], "stream": stream,
           "provider": {"order": ["lab-a"]}})
}
