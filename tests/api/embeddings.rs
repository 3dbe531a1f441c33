//! `POST /api/v1/embeddings`.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use turnpike::domain::money::Nanos;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, json_body, json_with, shoal_at, vectors};

const EMBEDDINGS: &str = "/api/v1/embeddings";

fn ask(input: Value) -> Value {
    json!({"model": "acme/shoal", "input": input})
}

fn embedded(body: &Value) -> Vec<Value> {
    let data = body["data"].as_array().unwrap().iter();
    data.map(|item| item["embedding"].clone()).collect()
}

on_both_engines! {
    async fn vectors_come_in_order_and_the_prompt_alone_is_billed(db: TestDb) {
        let upstream = Upstream::start(vectors).await;
        let server = Server::start(db, &shoal_at(upstream.address, "lab-a", "0.000001", "")).await;
        let headers = [("origin", "https://app.example"), ("x-session-id", "s-1")];
        let body = json!({"model": "acme/shoal", "input": ["1", "2"], "dimensions": 2, "input_type": "query", "user": "ann", "stream": true, "encoding_format": "float"});
        let answer = server.http.send(Method::POST, EMBEDDINGS, body.to_string().into(), &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        let json = answer.json();
        assert_eq!((&json["id"], &json["model"]), (&json!(id), &json!("acme/shoal")));
        assert_eq!(embedded(&json), [json!([1.0, -2.0]), json!([2.0, -2.0])]);
        assert_eq!(json["usage"]["prompt_tokens"], 6);
        assert_eq!(json["usage"]["cost"], 0.000006);

        let record = server.generation(id).await;
        assert_eq!((&record["api_type"], &record["total_cost"]), (&json!("embeddings"), &json!(0.000006)));
        assert_eq!((&record["session_id"], &record["external_user"]), (&json!("s-1"), &json!("ann")));
        assert_eq!(record["finish_reason"], Value::Null);
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_usage"], 0.000006);

        let seen = upstream.seen().remove(0);
        assert_eq!(seen.path, "/v1/embeddings");
        assert_eq!((&seen.body["model"], &seen.body["dimensions"]), (&json!("shoal-at-lab-a"), &json!(2)));
        assert_eq!(seen.body.get("stream"), None);
        server.stop().await;
    }

    async fn more_inputs_than_fit_are_split_and_joined_in_order(db: TestDb) {
        let upstream = Upstream::start(vectors).await;
        let server = Server::start(db, &shoal_at(upstream.address, "lab-a", "0.000001", "max_inputs = 2")).await;
        let inputs: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        let json = server.http.post(EMBEDDINGS, &ask(json!(inputs))).await.json();
        let expect: Vec<Value> = (0..11).map(|number| json!([f64::from(number), -2.0])).collect();
        assert_eq!(embedded(&json), expect);
        assert_eq!((&json["usage"]["prompt_tokens"], &json["usage"]["cost"]), (&json!(33), &json!(0.000033)));
        let mut sizes: Vec<usize> = upstream.seen().iter().map(|seen| seen.body["input"].as_array().unwrap().len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 2, 2, 2, 2]);
        server.stop().await;
    }

    async fn who_cannot_pay_for_the_inputs_is_told_so(db: TestDb) {
        let upstream = Upstream::start(vectors).await;
        let server = Server::start(db, &shoal_at(upstream.address, "lab-a", "0.01", "")).await;
        let answer = server.http.post(EMBEDDINGS, &ask(json!("word ".repeat(4_000)))).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{}", answer.text());
        assert!(answer.text().contains("Prompt tokens limit exceeded: 5001 > 1000"), "{}", answer.text());
        let capped = server.create_key(|key| key.limit = Some(Nanos(1))).await;
        let answer = server.http.with_key(&capped).post(EMBEDDINGS, &ask(json!("a"))).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert_eq!(upstream.calls(), 0);
        server.stop().await;
    }
}

#[tokio::test]
async fn every_kind_of_input_and_both_encodings_are_served() {
    let upstream = Upstream::start(vectors).await;
    let server = Server::alone(&shoal_at(upstream.address, "lab-a", "0", "")).await;
    for (input, count) in [
        (json!("1"), 1),
        (json!([15, 339]), 1),
        (json!([[15], [339, 7]]), 2),
        (json!([{"content": [{"type": "text", "text": "1"}]}]), 1),
    ] {
        let answer = server.http.post(EMBEDDINGS, &ask(input.clone())).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let seen = upstream.seen().pop().unwrap().body["input"].clone();
        let expect = if input[0].is_object() {
            json!(["1"])
        } else {
            input
        };
        assert_eq!(seen, expect);
        assert_eq!(embedded(&answer.json()).len(), count);
    }
    let mut body = ask(json!("0.5"));
    body["encoding_format"] = json!("base64");
    let json = server.http.post(EMBEDDINGS, &body).await.json();
    assert_eq!(embedded(&json), [json!("AAAAPwAAAMA=")]);
    assert_eq!(
        upstream.seen().pop().unwrap().body["encoding_format"],
        "base64"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_fails_in_any_part_is_passed_over_unpaid() {
    let missing = json!({"data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    let limited = json_with(
        429,
        "retry-after: 7\r\n",
        &json!({"error": {"message": "slow down"}}),
    );
    for failure in [
        json_body(500, &json!({"error": {"message": "no"}})),
        json_body(200, &json!({"error": {"message": "no", "code": 503}})),
        json_body(200, &missing),
        json_body(200, &json!({"data": []})),
        limited,
        vec![Step::Reset],
    ] {
        let failing = Upstream::start(move |seen| {
            if seen.body["input"][0] == "0" {
                vectors(seen)
            } else {
                failure.clone()
            }
        })
        .await;
        let healthy = Upstream::start(vectors).await;
        let config = format!(
            "{}{}",
            shoal_at(failing.address, "lab-a", "0.000003", "max_inputs = 2"),
            shoal_at(healthy.address, "lab-b", "0.000001", "")
        );
        let server = Server::alone(&config).await;
        let mut body = ask(json!(["0", "1", "2", "3"]));
        body["provider"] = json!({"order": ["lab-a"]});
        let answer = server.http.post(EMBEDDINGS, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["usage"]["cost"], 0.000012);
        let record = server
            .generation(answer.headers["x-generation-id"].to_str().unwrap())
            .await;
        assert_eq!(record["provider_name"], "lab-b Inc");
        assert_eq!(record["provider_responses"].as_array().unwrap().len(), 2);
        body["provider"] = json!({"only": ["lab-a"]});
        let alone = server.http.post(EMBEDDINGS, &body).await;
        assert!(alone.status.is_client_error() || alone.status.is_server_error());
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_usage"], 0.000012);
        server.stop().await;
    }
}

/// Contract 6.5: who asks to be left alone is left alone, whatever was asked.
#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_gets_it() {
    let error = json!({"error": {"message": "slow down"}});
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "60s"});
    let in_words = json!({"error": {"message": "slow down", "details": [retry]}});
    let vector = json!({"data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    let spent = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m0s\r\n";
    for asks in [
        json_with(429, "retry-after-ms: 60000\r\n", &error),
        json_with(503, "retry-after: 60\r\n", &error),
        json_with(429, "", &in_words),
        json_with(200, spent, &vector),
    ] {
        let busy = Upstream::start(move |_| asks.clone()).await;
        let healthy = Upstream::start(vectors).await;
        // So much cheaper that it would have nearly every request.
        let config = format!(
            "{}{}",
            shoal_at(busy.address, "lab-a", "0.0000001", ""),
            shoal_at(healthy.address, "lab-b", "0.00001", "")
        );
        let server = Server::alone(&config).await;
        let mut body = ask(json!("1"));
        body["provider"] = json!({"order": ["lab-a"]});
        let answer = server.http.post(EMBEDDINGS, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        for _ in 0..5 {
            let answer = server.http.post(EMBEDDINGS, &ask(json!("1"))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
        assert_eq!(busy.calls(), 1);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_model_of_the_other_kind_is_refused() {
    let upstream = Upstream::start(vectors).await;
    let server = Server::alone(&shoal_at(upstream.address, "lab-a", "0", "")).await;
    let chat = json!({"model": "acme/shoal", "messages": [{"role": "user", "content": "a"}]});
    let embed = json!({"model": "turnpike/echo", "input": "a"});
    for (path, body, words) in [
        (
            "/api/v1/chat/completions",
            chat,
            "acme/shoal is not a chat model",
        ),
        (EMBEDDINGS, embed, "turnpike/echo is not an embedding model"),
    ] {
        let answer = server.http.post(path, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            answer.json()["error"]["availability"]["code"],
            "wrong_endpoint"
        );
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    assert_eq!(upstream.calls(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_long_batch_of_short_inputs_fits_and_one_long_input_does_not() {
    let upstream = Upstream::start(vectors).await;
    let server = Server::alone(&shoal_at(upstream.address, "lab-a", "0", "")).await;
    let short = "word ".repeat(1_000);
    let answer = server
        .http
        .post(EMBEDDINGS, &ask(json!(vec![short; 20])))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answer = server
        .http
        .post(EMBEDDINGS, &ask(json!("word ".repeat(20_000))))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json()["error"]["metadata"]["error_type"],
        "context_length_exceeded"
    );
    server.stop().await;
}
