//! `POST /api/v1/responses`, as OpenAI's newer clients use it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, chunk, event, json_body, sse_head};

fn ask(stream: bool) -> Value {
    json!({"model": "acme/orca", "max_output_tokens": 50, "stream": stream, "input": "Two words?"})
}

on_both_engines! {
    async fn a_response_is_answered_and_billed(db: TestDb) {
        let upstream = Upstream::answering("Four it is").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let answer = server.http.post("/api/v1/responses", &ask(false)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let body = answer.json();
        assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
        assert!(body["id"].as_str().unwrap().starts_with("resp_"));
        assert_eq!(body["output"][0]["content"][0]["text"], "Four it is");
        assert_eq!(body["max_output_tokens"], 50);
        assert_eq!(body["usage"]["cost"], 0.000016);
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        assert_eq!(server.generation(id).await["total_cost"], 0.000016);
        server.stop().await;
    }

    async fn a_stream_ends_in_the_whole_result(db: TestDb) {
        let upstream = Upstream::answering("Four it is").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let events = server.http.post("/api/v1/responses", &ask(true)).await.events();
        let [first, second, .., last, end] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&first["type"], &second["type"]), (&json!("response.created"), &json!("response.in_progress")));
        assert_eq!(end, "[DONE]");
        assert_eq!(last["type"], "response.completed");
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Four it is");
        assert_eq!(last["response"]["usage"]["cost"], 0.000016);
        let deltas = events.iter().filter_map(|event| event["delta"].as_str());
        assert_eq!(deltas.collect::<String>(), "Four it is");
        server.stop().await;
    }
}

#[tokio::test]
async fn failures_have_the_form_of_the_skin_before_and_inside_a_stream() {
    let upstream = Upstream::start(|seen| {
        if seen.streams() {
            vec![
                sse_head(),
                event(&chunk(&json!({"content": "Once"}), None)),
                Step::Reset,
            ]
        } else {
            let error = json!({"error": {"message": "This model's maximum context length is 9 tokens", "code": "context_length_exceeded"}});
            json_body(400, &error)
        }
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0", "0")).await;
    let wrong = server
        .http
        .post(
            "/api/v1/responses",
            &json!({"model": "acme/orca", "store": true}),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json()["metadata"], Value::Null);
    assert!(wrong.text().contains("store: responses are not kept here"));

    let long = server.http.post("/api/v1/responses", &ask(false)).await;
    assert_eq!(long.status, StatusCode::OK, "{}", long.text());
    assert_eq!(long.json()["status"], "incomplete");
    assert_eq!(
        long.json()["incomplete_details"]["reason"],
        "max_output_tokens"
    );

    let events = server
        .http
        .post("/api/v1/responses", &ask(true))
        .await
        .events();
    let failed = events
        .iter()
        .find(|event| event["type"] == "response.failed")
        .unwrap();
    assert_eq!(failed["response"]["status"], "failed");
    assert_eq!(failed["response"]["error"]["code"], "server_error");
    assert!(
        events
            .iter()
            .all(|event| event["type"] != "response.completed")
    );
    server.stop().await;
}
