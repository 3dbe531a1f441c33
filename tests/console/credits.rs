//! Credit in the console: what is left, and how it came to that.

use http::StatusCode;
use serde_json::json;
use turnpike::domain::money::Nanos;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

on_both_engines! { async fn the_statement_adds_up_to_what_is_left(db: TestDb) {
    let upstream = Upstream::answering("One two three").await;
    let server = Server::start(db, &upstream.provider("lab-a", "0.01", "0.01")).await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let now = turnpike::clock::now_ms();
    let grant = async |dollars: i64, reference: &str| {
        let amount = Nanos::from_dollars(dollars);
        assert!(server.store.grant(&account.id, amount, reference, now).await.unwrap());
    };
    grant(25, "winter <b>bonus</b>").await;
    grant(-34, "a slip").await;
    let key = server.create_key(|key| key.account = account.id.clone()).await;
    let chat = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 10});
    let answer = server.http.with_key(&key).post("/api/v1/chat/completions", &chat).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let cost = server.store.credits(&account.id).await.unwrap().used;
    assert!(cost > Nanos::ZERO);

    let page = browser.get("/credits").await.text();
    for words in ["+$25.00", "−$34.00", "winter &lt;b&gt;bonus", "Taken back", "1 request", "Credit is low"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let left = turnpike::console::format::dollars(Nanos::from_dollars(1).saturating_sub(cost));
    assert!(page.contains(&format!("<dd>{left}</dd>")), "{left}: {page}");
    let past = browser.get("/credits?month=1970-01").await.text();
    assert!(past.contains("+$10.00"), "the first grant was made in 1970: {past}");
    let (_, other) = server.person("eve@example.com", false).await;
    assert!(!other.get("/credits").await.text().contains("winter"));
    for odd in ["2026-99", "x", "99999-01"] {
        assert_eq!(browser.get(&format!("/credits?month={odd}")).await.status, StatusCode::OK, "{odd}");
    }
    server.stop().await;
}}
