//! `POST /embeddings`.

use serde_json::{Value, json};

use super::held::Held;
use crate::support::client::Http;
use crate::support::server::Server;
use crate::support::upstream::{Script, Seen, Upstream, json_body, shoal_at, vectors};

const EMBEDDINGS: &str = "POST /embeddings";

pub(super) const ROUTES: &[&str] = &[EMBEDDINGS];

/// Answers a status that the input names as an error.
fn scripted(seen: &Seen) -> Script {
    match seen.body["input"]
        .as_str()
        .and_then(|input| input.strip_prefix("status "))
    {
        Some(status) => json_body(
            status.parse().unwrap(),
            &json!({"error": {"message": "no", "code": "x"}}),
        ),
        None => vectors(seen),
    }
}

#[tokio::test]
async fn embeddings_keep_the_contract() {
    let upstream = Upstream::start(scripted).await;
    let config = shoal_at(upstream.address, "lab-a", "0.0001", "max_inputs = 2");
    let server = Server::alone(&config).await;
    let mut held = Held::default();
    let (own, stranger) = (&server.http, Http::new(&server.base));
    let ask = |input: Value| json!({"model": "acme/shoal", "input": input});
    let base64 = json!({"model": "acme/shoal", "input": ["1", "2", "3"], "encoding_format": "base64", "dimensions": 2, "input_type": "query", "user": "ann"});
    for (http, status, body) in [
        (own, 200, ask(json!("1"))),
        (own, 200, ask(json!([[1, 2], [3]]))),
        (own, 200, base64),
        (own, 400, json!({"input": "1"})),
        (own, 400, ask(json!({"text": "1"}))),
        (own, 400, json!({"model": "turnpike/echo", "input": "1"})),
        (own, 400, json!({"model": "acme/none", "input": "1"})),
        (&stranger, 401, ask(json!("1"))),
        (own, 402, ask(json!(vec!["word ".repeat(6_000); 16]))),
        (
            own,
            404,
            json!({"model": "acme/shoal", "input": "1", "provider": {"max_price": {"prompt": 1}}}),
        ),
        (own, 400, ask(json!("status 400"))),
        (own, 429, ask(json!("status 429"))),
        (own, 502, ask(json!("status 401"))),
        (own, 503, ask(json!("status 500"))),
    ] {
        held.hold(
            EMBEDDINGS,
            status,
            http.post("/api/v1/embeddings", &body).await,
        );
    }
    held.finish_having_answered(ROUTES);
    server.stop().await;
}
