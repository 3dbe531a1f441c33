//! Activity: sums and runs of the account, and of nobody else.

use http::StatusCode;
use serde_json::json;

use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

on_both_engines! { async fn what_was_used_is_added_up_and_each_run_has_a_page(db: TestDb) {
    let upstream = Upstream::answering("One two three").await;
    let server = Server::start(db, &upstream.provider("lab-a", "0.001", "0.002")).await;
    let (account, browser) = server.person("ann@example.com", false).await;
    assert!(browser.get("/activity").await.text().contains("Nothing was used yet"));
    let named = |name: &'static str| {
        let account = account.id.clone();
        move |key: &mut turnpike::store::NewKey| (key.account, key.name) = (account, name.to_owned())
    };
    let first = server.create_key(named("=first")).await;
    let second = server.create_key(named("second")).await;
    let mut runs = Vec::new();
    for key in [&first, &first, &second] {
        let chat = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 50});
        let answer = server.http.with_key(key).post("/api/v1/chat/completions", &chat).await;
        runs.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    let page = browser.get("/activity?by=key&show=requests&days=7").await.text();
    for words in ["<svg class=\"chart\"", "=first", "second", "by key", "acme/orca", runs[2].as_str()] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let csv = browser.get("/activity.csv?by=key").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(",\"'=first\",2,")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(",\"second\",1,")), "{lines:?}");

    let hash = turnpike::domain::ids::KeyHash::of(&second);
    let of_second = browser.get(&format!("/activity?key={hash}")).await.text();
    assert!(of_second.contains(&runs[2]) && !of_second.contains(&runs[0]), "{of_second}");
    assert!(browser.get("/activity?by=app").await.text().contains("your own keys"));
    assert!(browser.get(&format!("/logs?api_key_hash={hash}")).await.location().ends_with(&hash.to_hex()));

    let run = browser.get(&format!("/activity/{}", runs[0])).await.text();
    for words in ["$1,000.00 a million", "lab-a", "answered", "Counted by the provider", "=first", "Why there", "by chance, cheaper ones more often"] {
        assert!(run.contains(words), "{words}: {run}");
    }
    let (_, eve) = server.person("eve@example.com", true).await;
    for theirs in [format!("/activity/{}", runs[0]), format!("/activity?key={hash}"), format!("/activity.csv?key={hash}")] {
        assert_eq!(eve.get(&theirs).await.status, StatusCode::NOT_FOUND, "{theirs}");
    }
    for odd in ["/activity?days=x&by=%3Cb%3E&show=y&before=z", "/activity?before=1.x%00"] {
        let answer = browser.get(odd).await;
        assert_eq!(answer.status, StatusCode::OK, "{odd}: {}", answer.text());
        assert!(!answer.text().contains("<b>"));
    }
    server.stop().await;
}}

on_both_engines! { async fn long_lists_are_read_page_by_page(db: TestDb) {
    let server = Server::start(db, "").await;
    let (account, browser) = server.person("ann@example.com", false).await;
    let key = server.create_key(|key| key.account = account.id.clone()).await;
    let http = server.http.with_key(&key);
    for _ in 0..27 {
        let chat = json!({"model": "turnpike/echo", "messages": [{"role": "user", "content": "hello"}]});
        assert_eq!(http.post("/api/v1/chat/completions", &chat).await.status, StatusCode::OK);
    }
    let runs = |page: &str| page.matches("href=\"/activity/gen-").count();
    let first = browser.get("/activity").await.text();
    assert_eq!(runs(&first), 25);
    let marker = "href=\"/activity?show=cost&amp;by=model&amp;days=30&amp;before=";
    let start = first.find(marker).unwrap() + "href=\"".len();
    let older = first[start..].split('"').next().unwrap().replace("&amp;", "&");
    assert_eq!(runs(&browser.get(&older).await.text()), 2);
    server.stop().await;
}}
