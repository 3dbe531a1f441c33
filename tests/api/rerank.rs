//! `POST /api/v1/rerank`.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Upstream, json_body, ranks, sieve_at};
use crate::wires::recordings::recordings;

const RERANK: &str = "/api/v1/rerank";
const BY_TOKENS: &str = "prompt = \"0.000001\"";
const BY_UNITS: &str = "search_unit = \"0.002\"";

fn ask(documents: Value) -> Value {
    json!({"model": "acme/sieve", "query": "which?", "documents": documents})
}

fn order(body: &Value) -> Vec<u64> {
    let results = body["results"].as_array().unwrap().iter();
    results
        .map(|result| result["index"].as_u64().unwrap())
        .collect()
}

/// Cohere's form, with so many units billed.
fn billed(units: Value) -> impl Fn(&Seen) -> Script + Send + Sync + 'static {
    move |_| {
        let results =
            json!([{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]);
        json_body(
            200,
            &json!({"id": "r", "results": results, "meta": {"billed_units": units}}),
        )
    }
}

on_both_engines! {
    async fn documents_come_the_best_first_and_are_billed_by_tokens(db: TestDb) {
        let upstream = Upstream::start(ranks).await;
        let server = Server::start(db, &sieve_at(upstream.address, "lab-a", "openai", BY_TOKENS, "")).await;
        let headers = [("origin", "https://app.example"), ("x-session-id", "s-1")];
        let mut body = ask(json!(["0.25", {"text": "0.75"}, "0.5"]));
        body["top_n"] = json!(2);
        let answer = server.http.send(Method::POST, RERANK, body.to_string().into(), &headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        let json = answer.json();
        assert_eq!((&json["id"], &json["provider"]), (&json!(id), &json!("lab-a Inc")));
        assert_eq!(order(&json), [1, 2]);
        assert_eq!(json["results"][0], json!({"index": 1, "relevance_score": 0.75, "document": {"text": "0.75"}}));
        assert_eq!(json["usage"], json!({"total_tokens": 9, "cost": 0.000009}));

        let record = server.generation(id).await;
        assert_eq!((&record["api_type"], &record["total_cost"]), (&json!("rerank"), &json!(0.000009)));
        assert_eq!(record["session_id"], "s-1");
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_usage"], 0.000009);

        let seen = upstream.seen().remove(0);
        assert_eq!(seen.path, "/v1/rerank");
        assert_eq!(seen.body, json!({"model": "sieve-at-lab-a", "query": "which?", "documents": ["0.25", "0.75", "0.5"], "top_n": 2}));
        server.stop().await;
    }

    async fn what_is_billed_by_the_search_is_charged_by_it(db: TestDb) {
        let upstream = Upstream::start(billed(json!({"search_units": 1}))).await;
        let server = Server::start(db, &sieve_at(upstream.address, "lab-a", "cohere", "search_unit = \"3\"", "")).await;
        let answer = server.http.post(RERANK, &ask(json!(["a", "b"]))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let json = answer.json();
        assert_eq!(order(&json), [1, 0]);
        assert_eq!(json["usage"], json!({"search_units": 1, "cost": 3}));
        let credits = server.manager().await.get("/api/v1/credits").await.json();
        assert_eq!(credits["data"]["total_usage"], 3);
        let record = server.generation(answer.headers["x-generation-id"].to_str().unwrap()).await;
        assert_eq!(record["turnpike"]["usage_source"], "reported");
        // The hold is for what could be billed: more than the account has.
        let answer = server.http.post(RERANK, &ask(json!(vec!["a"; 301]))).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{}", answer.text());
        assert_eq!(upstream.calls(), 1);
        server.stop().await;
    }
}

#[tokio::test]
async fn units_that_nobody_can_have_used_are_not_charged() {
    for (units, charged, source) in [
        (json!({"search_units": 1_000_000}), 2, "clamped"),
        (json!({"search_units": -5}), 0, "reported"),
        (json!({}), 1, "estimated"),
    ] {
        let upstream = Upstream::start(billed(units.clone())).await;
        let config = sieve_at(upstream.address, "lab-a", "cohere", BY_UNITS, "");
        let server = Server::alone(&config).await;
        let answer = server.http.post(RERANK, &ask(json!(["a", "b"]))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let cost = answer.json()["usage"]["cost"].as_f64().unwrap();
        assert_eq!(cost, 0.002 * f64::from(charged), "{units}");
        let id = answer.headers["x-generation-id"].to_str().unwrap();
        let record = server.generation(id).await;
        assert_eq!(record["turnpike"]["usage_source"], source);
        server.stop().await;
    }
}

#[tokio::test]
async fn each_form_is_spoken_and_a_provider_that_fails_is_passed_over() {
    let one = [
        json!({"results": [{"index": 7, "relevance_score": 1}]}),
        json!({"results": []}),
        json!({"error": {"message": "no", "code": 503}}),
    ];
    for failure in one {
        let failing = Upstream::start(move |_| json_body(200, &failure)).await;
        let voyage = Upstream::start(ranks).await;
        let config = format!(
            "{}{}",
            sieve_at(failing.address, "lab-a", "openai", BY_TOKENS, ""),
            sieve_at(
                voyage.address,
                "lab-b",
                "openai",
                BY_TOKENS,
                "renames = { top_n = \"top_k\" }"
            )
        );
        let server = Server::alone(&config).await;
        let mut body = ask(json!(["0.25", "0.75"]));
        body["top_n"] = json!(1);
        body["provider"] = json!({"order": ["lab-a"]});
        let answer = server.http.post(RERANK, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(order(&answer.json()), [1]);
        let seen = voyage.seen().remove(0).body;
        assert_eq!((&seen["top_k"], seen.get("top_n")), (&json!(1), None));
        let record = server
            .generation(answer.headers["x-generation-id"].to_str().unwrap())
            .await;
        assert_eq!(record["provider_responses"].as_array().unwrap().len(), 2);
        server.stop().await;
    }
}

/// A recorded request comes out as it was recorded, and its answer in the contract's form.
#[tokio::test]
async fn recorded_rankings_are_told() {
    for (api, wire) in [("cohere-rerank", "cohere"), ("rerank", "openai")] {
        for recording in recordings(api)
            .iter()
            .filter(|recording| recording.succeeded())
        {
            let body = recording.response.body.clone();
            let upstream = Upstream::start(move |_| json_body(200, &body)).await;
            let config = sieve_at(upstream.address, "lab-a", wire, BY_UNITS, "");
            let server = Server::alone(&config).await;
            let mut request = recording.request.body.clone();
            request["model"] = json!("acme/sieve");
            let answer = server.http.post(RERANK, &request).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            request["model"] = json!("sieve-at-lab-a");
            assert_eq!(upstream.seen().remove(0).body, request);
            let mut results = answer.json()["results"].clone();
            for result in results.as_array_mut().unwrap() {
                let document = result.as_object_mut().unwrap().remove("document").unwrap();
                let index = usize::try_from(result["index"].as_u64().unwrap()).unwrap();
                assert_eq!(document["text"], request["documents"][index]);
            }
            assert_eq!(
                results, recording.response.body["results"],
                "{}",
                recording.name
            );
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_model_of_another_kind_is_refused_and_rerankers_are_listed() {
    let upstream = Upstream::start(ranks).await;
    let config = sieve_at(upstream.address, "lab-a", "openai", BY_TOKENS, "");
    let server = Server::alone(&config).await;
    let chat = json!({"model": "acme/sieve", "messages": [{"role": "user", "content": "a"}]});
    let rank = json!({"model": "turnpike/echo", "query": "q", "documents": ["a"]});
    for (path, body, words) in [
        (
            "/api/v1/chat/completions",
            chat,
            "acme/sieve is not a chat model",
        ),
        ("/v1/rerank", rank, "turnpike/echo is not a reranking model"),
    ] {
        let answer = server.http.post(path, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let listed = server
        .http
        .get("/api/v1/models?output_modalities=rerank")
        .await
        .json();
    assert_eq!(listed["data"][0]["id"], "acme/sieve");
    assert_eq!(
        listed["data"][0]["architecture"]["modality"],
        "text->rerank"
    );
    let usual = server.http.get("/api/v1/models").await.text();
    assert!(!usual.contains("acme/sieve"));
    server.stop().await;
}
