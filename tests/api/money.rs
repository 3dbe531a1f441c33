//! What runs cost and who is turned away: the ledger seen from outside.

use http::StatusCode;
use serde_json::{Value, json};
use turnpike::domain::money::Nanos;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{
    Step, Upstream, chunk, completion, done, event, json_body, sse_head,
};

fn ask(max_tokens: u64, stream: bool) -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": max_tokens, "stream": stream})
}

on_both_engines! {
    async fn the_balance_falls_by_what_the_answers_say_they_cost(db: TestDb) {
        let upstream = Upstream::answering("One two three").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        for stream in [false, true, false] {
            assert_eq!(server.http.post("/api/v1/chat/completions", &ask(50, stream)).await.status, StatusCode::OK);
        }
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_credits"], 10);
        assert_eq!(credits["data"]["total_usage"], 0.000048);
        let key = server.http.get("/api/v1/key").await.json();
        assert_eq!(key["data"]["usage"], 0.000048);
        server.stop().await;
    }

    async fn who_cannot_pay_is_told_by_how_much(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0", "0.01")).await;
        let answer = server.http.post("/api/v1/chat/completions", &ask(4_000, false)).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("requires more credits, or fewer max_tokens"), "{message}");
        assert!(message.contains("up to 4000 tokens, but can only afford 1000"), "{message}");

        let capped = server.create_key(|key| key.limit = Some(Nanos::from_dollars(1))).await;
        let answer = server.http.with_key(&capped).post("/api/v1/chat/completions", &ask(200, false)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert!(answer.text().contains("Key limit exceeded (total limit)"));
        assert_eq!(upstream.calls(), 0);
        server.stop().await;
    }

    async fn a_caller_who_leaves_pays_for_what_was_generated_and_the_upstream_is_cancelled(db: TestDb) {
        let upstream = Upstream::start(|_| {
            let mut first = chunk(&json!({"content": "Once upon"}), None);
            first["usage"] = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12});
            vec![sse_head(), event(&first), Step::Silence]
        })
        .await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let mut stream = server.http.stream("/api/v1/chat/completions", &ask(50, true)).await;
        let id = stream.next_event().await.unwrap()["id"].as_str().unwrap().to_owned();
        drop(stream);
        upstream.hung_up(1).await;
        let record = server.generation(&id).await;
        assert_eq!(record["cancelled"], true);
        assert_eq!(record["total_cost"], 0.000014);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_failed_answer_is_free_whatever_the_provider_counts() {
    let upstream = Upstream::start(|_| {
        let message = json!({"role": "assistant", "content": ""});
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000});
        json_body(200, &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "error"}], "usage": usage}))
    })
    .await;
    let server = Server::alone(&upstream.provider("lab-a", "0.001", "0.001")).await;
    let answer = server
        .http
        .post("/api/v1/chat/completions", &ask(5, false))
        .await;
    assert_eq!(answer.json()["usage"]["cost"], 0, "{}", answer.text());
    server.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_a_plain_call_cancels_it() {
    let upstream = Upstream::start(|_| vec![Step::Silence]).await;
    let server = Server::alone(&upstream.provider("lab-a", "0.000001", "0.000002")).await;
    let http = server.http.clone();
    let call =
        tokio::spawn(async move { http.post("/api/v1/chat/completions", &ask(50, false)).await });
    upstream.called(1).await;
    call.abort();
    upstream.hung_up(1).await;
    server.stop().await;
}

#[tokio::test]
async fn the_printed_cost_is_what_is_stored_to_the_nano_dollar() {
    let upstream = Upstream::start(|seen| {
        let counts: Vec<u64> = seen.body["messages"][0]["content"]
            .as_str()
            .unwrap()
            .split(' ')
            .map(|count| count.parse().unwrap())
            .collect();
        let usage = json!({"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": counts[0] + counts[1]});
        if !seen.streams() {
            let mut body = completion("word");
            body["usage"] = usage;
            return json_body(200, &body);
        }
        let mut last = chunk(&json!({"content": "word"}), Some("stop"));
        last["usage"] = usage;
        vec![sse_head(), event(&last), done()]
    })
    .await;
    let config = upstream.provider("lab-a", "0.000000000123", "0.000004567891");
    let server = Server::alone(&config).await;
    for (counts, stream) in [
        ("1 0", false),
        ("4 1", true),
        ("1 1", false),
        ("30000 99999", true),
        ("3 7", false),
    ] {
        let body = json!({"model": "acme/orca", "stream": stream, "max_tokens": 5, "messages": [{"role": "user", "content": counts}]});
        let answer = server.http.post("/api/v1/chat/completions", &body).await;
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        let stored = server
            .store
            .generation(&server.account, id)
            .await
            .unwrap()
            .unwrap();
        let text = answer.text();
        let printed = text
            .split("\"cost\":")
            .nth(1)
            .unwrap()
            .split([',', '}'])
            .next()
            .unwrap();
        assert_eq!(
            Nanos::parse(printed),
            Ok(stored.generation.charge.net),
            "{counts}: {text}"
        );
    }
    server.stop().await;
}
