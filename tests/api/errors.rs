//! Every refusal is JSON with a code and a message, and nothing a client sends yields a 5xx.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use turnpike::domain::ids::KeyHash;
use turnpike::store::KeyChange;

use crate::support::client::Http;
use crate::support::server::Server;

#[tokio::test]
async fn a_bad_request_is_told_what_is_wrong() {
    let server = Server::alone("[http]\nbody_limit = \"100kB\"").await;
    let nested = format!("{{\"messages\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"messages\":\"{}\"}}", "x".repeat(200_000));
    let unknown = r#"{"model":"acme/none","messages":[{"role":"user","content":"a"}]}"#;
    let many = r#"{"model":"turnpike/echo","models":["a/1","a/2","a/3","a/4"],"messages":[{"role":"user","content":"a"}]}"#;
    let chat = "/api/v1/chat/completions";
    let cases: [(&str, &str, u16, &str); 14] = [
        (chat, "", 400, "invalid JSON at line 1, column 0"),
        (
            chat,
            "{\n \"model\": }",
            400,
            "invalid JSON at line 2, column 11",
        ),
        (chat, "[]", 400, "must be a JSON object"),
        (chat, "{}", 400, "specify \"prompt\" or \"messages\""),
        (
            chat,
            "{\"messages\":[{\"role\":\"user\",\"content\":7}]}",
            400,
            "messages[0].content",
        ),
        (
            chat,
            "{\"model\":7,\"messages\":[]}",
            400,
            "model: expected a string",
        ),
        (chat, "\u{0}\u{1}", 400, "invalid JSON"),
        (chat, &nested, 400, "nesting deeper than 128"),
        (chat, &large, 413, "larger than 100000 bytes"),
        (chat, unknown, 400, "acme/none is not a valid model ID"),
        (chat, many, 400, "3 items or fewer"),
        ("/api/v1/completions", "{}", 400, "specify \"prompt\""),
        (
            "/api/v1/nothing",
            "{}",
            404,
            "No route POST /api/v1/nothing",
        ),
        ("/nothing", "{}", 404, "No route POST /nothing"),
    ];
    for (path, body, status, fragment) in cases {
        let answer = server
            .http
            .send(Method::POST, path, body.to_owned().into(), &[])
            .await;
        check(&answer.json(), answer.status, status, fragment);
    }
    let answer = server.http.send(Method::DELETE, chat, "".into(), &[]).await;
    check(&answer.json(), answer.status, 405, "DELETE is not allowed");
    server.stop().await;
}

#[tokio::test]
async fn a_stranger_is_turned_away() {
    let server = Server::alone("").await;
    let body = json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "a"}]})
        .to_string();
    let disabled = server.create_key(|_| {}).await;
    let change = KeyChange {
        disabled: Some(true),
        ..KeyChange::default()
    };
    server
        .store
        .change_key(&server.account, &KeyHash::of(&disabled), &change, 2)
        .await
        .unwrap();
    let expired = server.create_key(|key| key.expires_at = Some(1_000)).await;
    let management = server.create_key(|key| key.management = true).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let cases: [(Option<String>, u16, &str); 7] = [
        (None, 401, "Missing Authentication header"),
        (
            Some("Basic abc".to_owned()),
            401,
            "No auth credentials found",
        ),
        (Some("Bearer ".to_owned()), 401, "No auth credentials found"),
        (Some(bearer("sk-or-v1-nonsense")), 401, ""),
        (Some(bearer(&disabled)), 401, "disabled"),
        (Some(bearer(&expired)), 401, "expired"),
        (Some(bearer(&management)), 403, "Management keys"),
    ];
    let stranger = Http::new(&server.base);
    for (header, status, fragment) in cases {
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        let answer = stranger
            .send(
                Method::POST,
                "/api/v1/chat/completions",
                body.clone().into(),
                &headers,
            )
            .await;
        check(&answer.json(), answer.status, status, fragment);
    }
    server.stop().await;
}

#[tokio::test]
async fn browsers_may_call_from_anywhere() {
    let server = Server::alone("").await;
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,x-stainless-os,openai-beta",
        ),
    ];
    let answer = server
        .http
        .send(
            Method::OPTIONS,
            "/api/v1/chat/completions",
            "".into(),
            &preflight,
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(
        answer.headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("x-stainless-os")
    );
    let refused = server
        .http
        .send(
            Method::POST,
            "/api/v1/nothing",
            "".into(),
            &[("origin", "https://app.example")],
        )
        .await;
    assert_eq!(refused.headers["access-control-allow-origin"], "*");
    server.stop().await;
}

#[track_caller]
fn check(body: &Value, status: StatusCode, expected: u16, fragment: &str) {
    assert_eq!(status.as_u16(), expected, "{body}");
    assert_eq!(body["error"]["code"], expected, "{body}");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains(fragment),
        "{body} should say {fragment}"
    );
}
