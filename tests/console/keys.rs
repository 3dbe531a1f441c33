//! Keys in the console: made, shown once, held to their limits, and nobody else's.

use http::StatusCode;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::client::{Answer, Http};
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

/// The text of the key that a page shows.
fn key_of(page: &str) -> String {
    let start = page
        .find("sk-or-v1-")
        .unwrap_or_else(|| panic!("no key: {page}"));
    page[start..].split('<').next().unwrap().to_owned()
}

async fn create(browser: &Browser, fields: &[(&str, &str)]) -> Answer {
    browser.submit("/keys/new", "/keys/new", fields).await
}

async fn chat(server: &Server, key: &str) -> Answer {
    let chat = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 100});
    let http = Http::new(&server.base).with_key(key);
    http.post("/api/v1/chat/completions", &chat).await
}

on_both_engines! { async fn a_key_is_shown_once_and_works_until_it_is_deleted(db: TestDb) {
    let upstream = Upstream::answering("One two three").await;
    let server = Server::start(db, &upstream.provider("lab-a", "0.001", "0.001")).await;
    let (account, browser) = server.person("ann@example.com", false).await;
    assert!(browser.get("/keys").await.text().contains("No keys yet"));

    let answer = create(&browser, &[("name", "<b>build</b>"), ("limit", "$2.50"), ("limit_reset", "monthly")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.headers["cache-control"], "no-store");
    let key = key_of(&answer.text());
    assert_eq!(chat(&server, &key).await.status, StatusCode::OK);

    let list = browser.get("/keys").await.text();
    assert!(!list.contains(&key) && !list.contains("<b>build"), "{list}");
    assert!(list.contains("&lt;b&gt;build") && list.contains("of $2.50 this month"), "{list}");
    let hash = server.store.keys(&account.id, 0, 1, true).await.unwrap()[0].hash.to_hex();
    let page = format!("/keys/{hash}");
    assert!(browser.get(&page).await.text().contains("monthly"));

    let switched = browser.submit(&page, &format!("{page}/disable"), &[]).await;
    assert_eq!(switched.location(), format!("{page}?saved=1"));
    assert_eq!(chat(&server, &key).await.status, StatusCode::UNAUTHORIZED, "at once");
    browser.submit(&page, &format!("{page}/enable"), &[]).await;
    assert_eq!(chat(&server, &key).await.status, StatusCode::OK);

    let changed = browser.submit(&page, &page, &[("name", "release"), ("limit", "0.001"), ("limit_reset", "")]).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{}", changed.text());
    assert!(browser.get("/keys?q=relea").await.text().contains("limit reached"));
    assert!(browser.get("/keys?q=%25").await.text().contains("No such key"), "a pattern is no wildcard");

    assert_eq!(browser.submit(&page, &format!("{page}/delete"), &[]).await.location(), "/keys");
    assert_eq!(chat(&server, &key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&page).await.status, StatusCode::NOT_FOUND);
    server.stop().await;
}}

on_both_engines! { async fn a_key_of_another_account_does_not_exist(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, _) = server.person("ann@example.com", false).await;
    let text = server.create_key(|key| key.account = account.id.clone()).await;
    let (_, eve) = server.person("eve@example.com", true).await;
    let page = format!("/keys/{}", turnpike::domain::ids::KeyHash::of(&text));
    for hash in [page.as_str(), "/keys/0000", "/keys/x"] {
        assert_eq!(eve.get(hash).await.status, StatusCode::NOT_FOUND, "{hash}");
        for action in ["", "/disable", "/enable", "/delete"] {
            let fields = [("name", "mine"), ("limit", "1")];
            let answer = eve.submit("/account", &format!("{hash}{action}"), &fields).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{hash}{action}");
        }
    }
    assert!(eve.get("/keys").await.text().contains("No keys yet"));
    let key = Http::new(&server.base).with_key(&text);
    assert_eq!(key.get("/api/v1/key").await.status, StatusCode::OK);
    server.stop().await;
}}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field() {
    let server = Server::alone("").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let check = async |fields: &[(&str, &str)], words: &str| {
        let answer = create(&browser, fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        let page = answer.text();
        assert!(page.contains(words), "{words}: {page}");
    };
    check(&[("name", " ")], "The name must not be empty.").await;
    check(&[("name", "x"), ("limit", "much")], "Enter an amount").await;
    check(&[("name", "x"), ("limit", "-5")], "Enter an amount").await;
    check(
        &[("name", "x"), ("expires", "2020-01-01")],
        "This day is over.",
    )
    .await;
    check(
        &[("name", "kept \"as\" typed"), ("limit", "x")],
        "kept &quot;as&quot; typed",
    )
    .await;
    assert!(browser.get("/keys").await.text().contains("No keys yet"));
    server.stop().await;
}

#[tokio::test]
async fn a_management_key_manages() {
    let server = Server::alone("").await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let fields = [("name", "robot"), ("purpose", "manage")];
    let key = key_of(&create(&browser, &fields).await.text());
    let robot = Http::new(&server.base).with_key(&key);
    assert_eq!(robot.get("/api/v1/keys").await.status, StatusCode::OK);
    server.stop().await;
}
