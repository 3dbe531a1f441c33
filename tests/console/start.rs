//! Where people begin: the start page, and the explanations that error bodies point to.

use http::StatusCode;
use serde_json::json;
use turnpike::domain::money::Nanos;
use turnpike::edge::error::{Availability, ErrorType};

use crate::support::browser::Browser;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

#[tokio::test]
async fn visitors_are_told_how_to_begin() {
    let server = Server::alone("").await;
    let answer = Browser::new(&server.base).get("/").await;
    assert_eq!(answer.status, StatusCode::OK);
    let page = answer.text();
    for words in [
        "href=\"/sign-in\"",
        "href=\"/models\"",
        "turnpike/echo",
        &format!("{}/api/v1/chat/completions", server.base),
        "from openai import OpenAI",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(
        !page.contains("/sign-up"),
        "nobody may sign up by themselves"
    );
    server.stop().await;
}

on_both_engines! { async fn people_see_where_they_stand(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let page = browser.get("/").await.text();
    assert!(page.contains("$10.00") && page.contains("Make your first request"), "{page}");
    let key = server.create_key(|key| key.account = account.id.clone()).await;
    let chat = json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "one two three"}]});
    let answer = server.http.with_key(&key).post("/api/v1/chat/completions", &chat).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let page = browser.get("/").await.text();
    assert!(page.contains(&format!("/activity/{id}")), "{page}");
    let (_, other) = server.person("eve@example.com", false).await;
    assert!(!other.get("/").await.text().contains(&id), "runs are their account's alone");
    server.stop().await;
}}

#[tokio::test]
async fn people_are_told_on_the_start_page_when_credit_runs_out() {
    let server = Server::alone("").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let credit = async |dollars: i64, reference: &str| {
        let amount = Nanos::from_dollars(dollars);
        let granted = server.store.grant(&account.id, amount, reference, 1).await;
        assert!(granted.unwrap());
        browser.get("/").await.text()
    };
    assert!(!browser.get("/").await.text().contains("Credit is low"));
    let gone = credit(-10, "all of it").await;
    assert!(gone.contains("There is no credit left"), "{gone}");
    let enough = credit(5, "some").await;
    assert!(
        !enough.contains("credit left.") && !enough.contains("Credit is low"),
        "{enough}"
    );
    // Below a dollar.
    let half = Nanos::parse("-4.5").unwrap();
    assert!(
        server
            .store
            .grant(&account.id, half, "most of it", 1)
            .await
            .unwrap()
    );
    let low = browser.get("/").await.text();
    assert!(low.contains("Credit is low"), "{low}");
    server.stop().await;
}

#[tokio::test]
async fn every_error_has_an_explanation_to_point_to() {
    let server = Server::alone("").await;
    let page = Browser::new(&server.base).get("/docs/errors").await.text();
    let codes = Availability::ALL.iter().map(|code| code.as_str());
    let types = ErrorType::ALL.iter().map(|kind| kind.as_str());
    for word in codes.chain(types) {
        assert!(page.contains(&format!("<dt id=\"{word}\">")), "{word}");
    }
    server.stop().await;
}

#[tokio::test]
async fn errors_point_to_pages_as_clients_reach_them() {
    let upstream = Upstream::answering("One").await;
    let check = async |config: &str, start: &str| {
        let provider = upstream.provider("lab-a", "0", "0.01");
        let server = Server::alone(&format!("{config}\n{provider}")).await;
        let ask = async |model: &str| {
            let content = json!([{"role": "user", "content": "Go"}]);
            let chat = json!({"model": model, "messages": content, "max_tokens": 4_000});
            let answer = server.http.post("/api/v1/chat/completions", &chat).await;
            answer.json()["error"].clone()
        };
        let unknown = ask("nobody/nothing").await;
        assert_eq!(
            unknown["availability"]["docs_url"],
            format!("{start}/docs/errors#model_not_found"),
            "{unknown}"
        );
        let dear = ask("acme/orca").await;
        let message = dear["message"].as_str().unwrap();
        assert!(
            message.ends_with(&format!("add credits at {start}/credits")),
            "{message}"
        );
        server.stop().await;
    };
    check("", "").await;
    check(
        "public_url = \"https://gateway.example\"",
        "https://gateway.example",
    )
    .await;
}
