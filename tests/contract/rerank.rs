//! `POST /rerank`.

use serde_json::{Value, json};

use super::held::Held;
use crate::support::client::Http;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Upstream, json_body, ranks, sieve_at};

const RERANK: &str = "POST /rerank";

pub(super) const ROUTES: &[&str] = &[RERANK];

/// Answers a status that the query names as an error.
fn scripted(seen: &Seen) -> Script {
    let query = seen.body["query"].as_str().unwrap();
    match query.strip_prefix("status ") {
        Some(status) => json_body(
            status.parse().unwrap(),
            &json!({"error": {"message": "no", "code": "x"}}),
        ),
        None => ranks(seen),
    }
}

#[tokio::test]
async fn rerank_keeps_the_contract() {
    let upstream = Upstream::start(scripted).await;
    let config = sieve_at(
        upstream.address,
        "lab-a",
        "openai",
        "prompt = \"0.0001\"",
        "",
    );
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let (own, stranger) = (&server.http, Http::new(&server.base));
    let ask = |query: &str, documents: Value| json!({"model": "acme/sieve", "query": query, "documents": documents});
    let mut top = ask(
        "q",
        json!(["0.5", {"text": "0.75"}, {"image": "https://a.example/b.png"}]),
    );
    top["top_n"] = json!(2);
    let mut cheap = ask("q", json!(["1"]));
    cheap["provider"] = json!({"max_price": {"prompt": 1}});
    for (http, status, body) in [
        (own, 200, ask("q", json!(["0.5", "0.75"]))),
        (own, 200, top),
        (own, 400, json!({"model": "acme/sieve", "query": "q"})),
        (own, 400, ask("", json!(["a"]))),
        (
            own,
            400,
            json!({"model": "turnpike/echo", "query": "q", "documents": ["a"]}),
        ),
        (
            own,
            400,
            json!({"model": "acme/none", "query": "q", "documents": ["a"]}),
        ),
        (&stranger, 401, ask("q", json!(["1"]))),
        (own, 402, ask("q", json!(vec!["word ".repeat(6_000); 16]))),
        (own, 404, cheap),
        (own, 400, ask("status 400", json!(["1"]))),
        (own, 429, ask("status 429", json!(["1"]))),
        (own, 502, ask("status 401", json!(["1"]))),
        (own, 503, ask("status 500", json!(["1"]))),
    ] {
        held.hold(RERANK, status, http.post("/api/v1/rerank", &body).await);
    }
    held.finish_having_answered(ROUTES);
    server.stop().await;
}
