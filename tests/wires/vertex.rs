//! Vertex AI behind the gateway: the key of a service account is traded for a token at the address that the key names,
//! and each of its three protocols has its own path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::served::{check, is_text, replaying};
use crate::support::server::Server;
use crate::support::upstream::{Seen, Step, Upstream, json_body, provider_at};
use crate::support::{log, order};

const PRIVATE_KEY: &str = include_str!("../fixtures/service-account.pem");

/// Gives a new token, good for so many seconds, each time it is asked.
pub(super) async fn tokens(seconds: i64) -> Upstream {
    let given = AtomicU64::new(0);
    Upstream::start(move |_| {
        let serial = given.fetch_add(1, Ordering::SeqCst) + 1;
        let token = json!({"access_token": format!("token-{serial}"), "expires_in": seconds, "token_type": "Bearer"});
        let mut script = vec![Step::Wait(Duration::from_millis(30))];
        script.extend(json_body(200, &token));
        script
    })
    .await
}

/// The key of an account whose tokens `tokens` gives.
pub(super) fn service_account(tokens: &Upstream) -> Value {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": PRIVATE_KEY,
        "client_email": "gateway@p.iam.example", "token_uri": format!("http://{}/token", tokens.address),
    })
}

/// A server with one provider of this protocol, and the folder that its key lies in.
async fn serving(wire: &str, upstream: &Upstream, tokens: &Upstream) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, service_account(tokens).to_string()).unwrap();
    let base_url = format!("http://{}/v1/projects/p/locations/l", upstream.address);
    let config = provider_at(&base_url, "lab-a", "0.000001", "0.000002").replace(
        "wire = \"openai\"",
        &format!(
            "wire = \"{wire}\"\napi_key = {{ file = \"{}\" }}",
            file.display()
        ),
    );
    (Server::alone(&config).await, folder)
}

fn hello(stream: bool) -> Value {
    json!({"model": "acme/orca", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]})
}

/// Asks plain and streamed; what came must be an answer, and each request must bear the token.
async fn asked(wire: &str, upstream: &Upstream) -> Vec<Seen> {
    let tokens = tokens(3_600).await;
    let (server, _folder) = serving(wire, upstream, &tokens).await;
    let plain = server
        .http
        .post("/api/v1/chat/completions", &hello(false))
        .await;
    assert_eq!(plain.status, StatusCode::OK, "{}", plain.text());
    let streamed = server
        .http
        .post("/api/v1/chat/completions", &hello(true))
        .await;
    assert_eq!(streamed.status, StatusCode::OK, "{}", streamed.text());
    check(&plain.json(), &streamed.events());
    let seen = upstream.seen();
    for seen in &seen {
        assert_eq!(seen.header("authorization"), Some("Bearer token-1"));
        assert!(!seen.head.contains("sk-or-v1-"));
    }
    assert_eq!(tokens.calls(), 1, "a token that is fresh is kept");
    server.stop().await;
    seen
}

fn paths(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.path.as_str()).collect()
}

#[tokio::test]
async fn gemini() {
    let upstream = replaying(&["gemini-generate", "gemini-stream"], |recording| {
        recording.provider == "vertex" && is_text(recording)
    })
    .await;
    let seen = asked("vertex", &upstream).await;
    let place = "/v1/projects/p/locations/l/publishers/google/models/orca-at-lab-a";
    assert_eq!(
        paths(&seen),
        [
            format!("{place}:generateContent"),
            format!("{place}:streamGenerateContent?alt=sse"),
        ]
    );
    assert_eq!(seen[0].body["contents"][0]["parts"][0]["text"], "Hello");
}

#[tokio::test]
async fn anthropic() {
    let upstream = replaying(&["anthropic-messages"], |recording| {
        recording.provider == "vertex" && is_text(recording)
    })
    .await;
    let seen = asked("vertex-anthropic", &upstream).await;
    let place = "/v1/projects/p/locations/l/publishers/anthropic/models/orca-at-lab-a";
    assert_eq!(
        paths(&seen),
        [
            format!("{place}:rawPredict"),
            format!("{place}:streamRawPredict"),
        ]
    );
    for seen in &seen {
        assert_eq!(seen.body["anthropic_version"], "vertex-2023-10-16");
        assert_eq!(seen.body.get("model"), None);
    }
}

/// Messages go there as they were written, but for what differs in the address, and come as they were given.
#[tokio::test]
async fn messages_go_through_to_anthropics_models() {
    let upstream = replaying(&["anthropic-messages"], |recording| {
        recording.provider == "vertex" && is_text(recording)
    })
    .await;
    let tokens = tokens(3_600).await;
    let (server, _folder) = serving("vertex-anthropic", &upstream, &tokens).await;
    let news = json!({"z": 1, "a": 2});
    let mut body = json!({"model": "acme/orca", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], "news": news});
    let plain = server.http.post("/api/v1/messages", &body).await;
    assert_eq!(plain.status, StatusCode::OK, "{}", plain.text());
    assert_eq!(plain.json()["model"], "acme/orca");
    body["stream"] = json!(true);
    let streamed = server.http.post("/api/v1/messages", &body).await;
    assert_eq!(order::messages(&streamed.events()), Ok(()));
    let [plain, streamed] = &upstream.seen()[..] else {
        panic!("two requests")
    };
    let mut wanted = body.as_object().unwrap().clone();
    wanted.remove("model");
    wanted.insert("anthropic_version".to_owned(), json!("vertex-2023-10-16"));
    assert_eq!(streamed.body, json!(wanted));
    wanted.remove("stream");
    assert_eq!(plain.body, json!(wanted));
    server.stop().await;
}

#[tokio::test]
async fn openai() {
    let upstream = Upstream::answering("Hello there").await;
    let seen = asked("vertex-openai", &upstream).await;
    let path = "/v1/projects/p/locations/l/chat/completions";
    assert_eq!(paths(&seen), [path, path]);
    assert_eq!(seen[0].body["model"], "orca-at-lab-a");
}

#[tokio::test]
async fn many_who_need_a_token_wait_for_one_exchange() {
    let (upstream, tokens) = (Upstream::answering("yes").await, tokens(3_600).await);
    let (server, _folder) = serving("vertex-openai", &upstream, &tokens).await;
    let question = hello(false);
    let asked = (0..20).map(|_| server.http.post("/api/v1/chat/completions", &question));
    for answer in join_all(asked).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    assert_eq!(tokens.calls(), 1);
    let form = tokens.seen()[0].body.as_str().unwrap().to_owned();
    let assertion = form
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(assertion.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "gateway@p.iam.example");
    assert_eq!(claims["aud"], service_account(&tokens)["token_uri"]);
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_has_ended_is_traded_for_the_next() {
    let (upstream, tokens) = (Upstream::answering("yes").await, tokens(0).await);
    let (server, _folder) = serving("vertex-openai", &upstream, &tokens).await;
    for _ in 0..2 {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &hello(false))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let seen = upstream.seen();
    let borne: Vec<_> = seen
        .iter()
        .map(|seen| seen.header("authorization"))
        .collect();
    assert_eq!(borne, [Some("Bearer token-1"), Some("Bearer token-2")]);
    server.stop().await;
}

/// No token is the provider's failure: another one answers, and the next request tries again.
#[tokio::test]
async fn without_a_token_another_provider_answers() {
    let (vertex, other) = (
        Upstream::answering("from vertex").await,
        Upstream::answering("from the other").await,
    );
    let broken = AtomicU64::new(1);
    let tokens = Upstream::start(move |_| match broken.swap(0, Ordering::SeqCst) {
        1 => json_body(
            400,
            &json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
        ),
        _ => json_body(200, &json!({"access_token": "t", "expires_in": 3_600})),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    std::fs::write(&file, service_account(&tokens).to_string()).unwrap();
    let wire = format!(
        "wire = \"vertex-openai\"\napi_key = {{ file = \"{}\" }}",
        file.display()
    );
    let config = [
        vertex
            .provider("lab-a", "0", "0")
            .replace("wire = \"openai\"", &wire),
        other.provider("lab-b", "0", "0"),
    ]
    .concat();
    let server = Server::alone(&config).await;
    let mut question = hello(false);
    question["provider"] = json!({"order": ["lab-a", "lab-b"]});
    let mut said = Vec::new();
    for _ in 0..2 {
        let answer = server
            .http
            .post("/api/v1/chat/completions", &question)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        said.push(answer.json()["choices"][0]["message"]["content"].clone());
    }
    assert_eq!(said, ["from the other", "from vertex"]);
    server.stop().await;
}

#[tokio::test]
async fn neither_key_nor_token_is_logged_or_shown() {
    let log = log::listen();
    let upstream =
        Upstream::start(|_| json_body(500, &json!({"error": {"message": "broken"}}))).await;
    let good = tokens(3_600).await;
    let bad = Upstream::start(|_| json_body(401, &json!({"error": "invalid_client"}))).await;
    let mut shown = String::new();
    for tokens in [&good, &bad] {
        let (server, _folder) = serving("vertex", &upstream, tokens).await;
        let answer = server
            .http
            .post("/api/v1/chat/completions", &hello(false))
            .await;
        assert_ne!(answer.status, StatusCode::OK);
        shown += &answer.text();
        server.stop().await;
    }
    assert_eq!(good.calls() + bad.calls(), 2);
    let logged = log.heard();
    assert!(logged.contains("acme/orca"), "{logged}");
    let inside = PRIVATE_KEY.lines().nth(1).unwrap();
    for secret in [inside, "token-1", "assertion=", "PRIVATE KEY"] {
        assert!(!logged.contains(secret), "{secret}");
        assert!(!shown.contains(secret), "{shown}");
    }
}
