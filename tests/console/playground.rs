//! The playground: on the account's credit, for people alone, and never HTML.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::browser::{Browser, form_token};
use crate::support::client::Answer;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;
use crate::support::web;

async fn send(browser: &Browser, token: &str, body: &Value) -> Answer {
    let headers = [
        ("x-form-token", token),
        ("content-type", "application/json"),
    ];
    let body = Bytes::from(body.to_string());
    browser
        .send(Method::POST, "/playground/chat", body, &headers)
        .await
}

on_both_engines! { async fn an_answer_streams_and_is_charged(db: TestDb) {
    let upstream = Upstream::answering("One two three").await;
    let server = Server::start(db, &upstream.provider("lab-a", "0.001", "0.001")).await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let token = form_token(&browser.get("/playground?model=acme/orca").await.text());
    let body = json!({"model": "acme/orca", "stream": true, "messages": [{"role": "user", "content": "Go"}], "max_tokens": 100});
    for token in ["", "00"] {
        assert_eq!(send(&browser, token, &body).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(upstream.calls(), 0);
    let answer = send(&browser, &token, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(answer.text().contains("data: [DONE]") && answer.text().contains("\"cost\":"), "{}", answer.text());
    assert!(server.store.credits(&account.id).await.unwrap().used.0 > 0);

    let keys = server.store.keys(&account.id, 0, 10, true).await.unwrap();
    assert_eq!((keys.len(), keys[0].name.as_str()), (1, "Playground"));
    let page = format!("/keys/{}", keys[0].hash);
    browser.submit(&page, &format!("{page}/disable"), &[]).await;
    let answer = send(&browser, &token, &body).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("switched off"), "{}", answer.text());
    browser.submit(&page, &format!("{page}/delete"), &[]).await;
    assert_eq!(send(&browser, &token, &body).await.status, StatusCode::OK, "a deleted key is made anew");
    server.stop().await;
}}

#[tokio::test]
async fn what_a_model_says_is_never_html() {
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let upstream = Upstream::answering(evil).await;
    let server = Server::alone(&upstream.provider("lab-a", "0", "0")).await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let fields = [
        ("model", "acme/orca"),
        ("prompt", evil),
        ("system", evil),
        ("other", evil),
        ("temperature", evil),
    ];
    let page = browser.submit("/playground", "/playground", &fields).await;
    assert_eq!(page.status, StatusCode::OK);
    let fields = [("model", "acme/orca"), ("prompt", evil)];
    let answered = browser.submit("/playground", "/playground", &fields).await;
    let stored = browser.get("/activity").await;
    for answer in [&page, &answered, &stored] {
        let text = answer.text();
        assert!(
            !text.contains("<script>alert") && !text.contains("<img"),
            "{text}"
        );
    }
    assert!(
        answered.text().contains("&lt;script&gt;alert(1)"),
        "it is shown as text"
    );
    server.stop().await;
}

/// The script builds pages from text alone: nothing in it can turn a string into elements or code.
#[test]
fn the_script_makes_no_html() {
    let script = include_str!("../../assets/turnpike.js");
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "srcdoc",
        "createContextualFragment",
        "setHTMLUnsafe",
        "javascript:",
        "http://",
        "https://",
    ] {
        assert!(!script.contains(way), "{way}");
    }
}

#[tokio::test]
async fn two_models_are_compared_and_failures_are_said() {
    let upstream = Upstream::answering("One two three").await;
    let server = Server::alone(&upstream.provider("lab-a", "0.001", "0.001")).await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let fields = [
        ("model", "acme/orca"),
        ("other", "turnpike/echo"),
        ("prompt", "four five"),
    ];
    let page = browser.submit("/playground", "/playground", &fields).await;
    let page = page.text();
    for words in [
        "One two three",
        "four five",
        "acme/orca was answered by lab-a Inc (lab-a), attempt 1, of 1 endpoints ordered by balance",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let fields = [
        ("model", "acme/nothing"),
        ("prompt", "x"),
        ("temperature", "warm"),
    ];
    let page = browser.submit("/playground", "/playground", &fields).await;
    assert!(page.text().contains("temperature"), "{}", page.text());
    server.stop().await;
}

#[tokio::test]
async fn strangers_cannot_play() {
    let server = Server::alone("").await;
    let stranger = Browser::new(&server.base);
    assert_eq!(
        stranger.get("/playground").await.location(),
        "/sign-in?next=%2Fplayground"
    );
    let body = json!({"model": "turnpike/echo", "messages": []});
    assert_eq!(
        send(&stranger, "", &body).await.status,
        StatusCode::SEE_OTHER
    );
    server.stop().await;
}

#[tokio::test]
async fn an_answer_after_a_web_search_shows_its_pages() {
    let (engine, model) = (web::engine().await, web::counting(600, web::CITED).await);
    let server = web::online(&engine, &model).await;
    let (_, browser) = server.person("ann@example.com", false).await;
    let fields = [
        ("model", "acme/orca"),
        ("variant", "online"),
        ("prompt", "Who won?"),
    ];
    let page = browser
        .submit("/playground", "/playground", &fields)
        .await
        .text();
    for link in [
        "<a href=\"https://sport.example/a\" rel=\"noopener noreferrer nofollow\">Match report</a>",
        "<a href=\"https://sport.example/b\" rel=\"noopener noreferrer nofollow\">https://sport.example/b</a>",
    ] {
        assert_eq!(page.matches(link).count(), 1, "{page}");
    }
    server.stop().await;
}
