//! Connected apps: listed with what they may spend, and disconnected at once.

use http::StatusCode;
use serde_json::json;

use crate::support::client::Http;
use crate::support::db::on_both_engines;
use crate::support::server::Server;

on_both_engines! { async fn an_app_is_disconnected_at_once(db: TestDb) {
    let server = Server::start(db, "").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    assert!(browser.get("/apps").await.text().contains("No app is connected"));
    let query = "callback_url=https%3A%2F%2Fapp.example%2Fcb&key_label=My+CLI&limit=5";
    let fields = [("request", query), ("decision", "approve"), ("limit", "5")];
    let answer = browser.submit(&format!("/auth?{query}"), "/auth", &fields).await;
    let location = answer.location();
    let code = location.split("code=").nth(1).unwrap();
    let nobody = Http::new(&server.base);
    let exchanged = nobody.post("/api/v1/auth/keys", &json!({"code": code})).await.json();
    let app = nobody.with_key(exchanged["key"].as_str().unwrap());
    assert_eq!(app.get("/api/v1/key").await.status, StatusCode::OK);

    let page = browser.get("/apps").await.text();
    for words in ["https://app.example", "My CLI", "of $5.00"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (_, eve) = server.person("eve@example.com", false).await;
    assert!(eve.get("/apps").await.text().contains("No app is connected"));
    let revoke = [("app", "https://app.example")];
    assert_eq!(eve.submit("/account", "/apps/revoke", &revoke).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.submit("/apps", "/apps/revoke", &revoke).await.location(), "/apps");
    assert_eq!(app.get("/api/v1/key").await.status, StatusCode::UNAUTHORIZED);
    assert!(browser.get("/apps").await.text().contains("No app is connected"));
    server.stop().await;
}}
