//! A provider that stalls fills its own lane; a slow first token is overtaken where hedging is on.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::client::content;
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, answer, sse_head, stream_of};

fn ask(provider: Value) -> Value {
    json!({
        "model": "acme/orca", "stream": true, "messages": [{"role": "user", "content": "Can you?"}],
        "provider": provider,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_provider_holds_up_nobody_else() {
    let stalled = Upstream::start(|_| vec![sse_head(), Step::Silence]).await;
    let healthy = Upstream::answering("I can").await;
    let narrow = stalled
        .provider("lab-a", "0.000001", "0.000002")
        .replace("wire = ", "concurrency = 4\nqueue = 2\nwire = ");
    let config = format!(
        "[timeouts]\nfirst_token = \"3s\"\n[routing]\nqueue_wait = \"200ms\"\n{narrow}{}",
        healthy.provider("lab-b", "0.000001", "0.000002")
    );
    let server = Server::alone(&config).await;
    let body = ask(json!({"order": ["lab-a"]}));
    let filling: Vec<_> = (0..4)
        .map(|_| {
            let (http, body) = (server.http.clone(), body.clone());
            tokio::spawn(async move { http.post("/api/v1/chat/completions", &body).await })
        })
        .collect();
    stalled.called(4).await;
    // The lane is full: two wait a little, the others go on at once, and all are answered by the other.
    let started = Instant::now();
    let answers =
        join_all((0..20).map(|_| server.http.post("/api/v1/chat/completions", &body))).await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    for answer in answers {
        assert_eq!(
            (answer.status, content(&answer.events()).as_str()),
            (StatusCode::OK, "I can")
        );
    }
    assert_eq!(stalled.calls(), 4);
    // Those in the stalled lane get their answer too, once its first token is overdue.
    for filled in filling {
        assert_eq!(content(&filled.await.unwrap().events()), "I can");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_first_token_is_overtaken_within_the_budget() {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    // Quick thirty times, so that it has a history, and then silent for long.
    let moody = Upstream::start(move |seen| {
        let late = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 30;
        let pause = Step::Wait(Duration::from_millis(if late { 3_000 } else { 0 }));
        [vec![pause], answer(seen, "at last")].concat()
    })
    .await;
    let healthy = Upstream::start(|_| stream_of("I can")).await;
    let config = format!(
        "[routing]\nhedge_percent = 100\n{}{}",
        moody.provider("lab-a", "0.000001", "0.000002"),
        healthy.provider("lab-b", "0.000001", "0.000002")
    );
    let server = Server::alone(&config).await;
    let only = ask(json!({"only": ["lab-a"]}));
    for _ in 0..30 {
        server.http.post("/api/v1/chat/completions", &only).await;
    }
    let started = Instant::now();
    let answer = server
        .http
        .post(
            "/api/v1/chat/completions",
            &ask(json!({"order": ["lab-a"]})),
        )
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let events = answer.events();
    assert_eq!(content(&events), "I can");
    let record = server.generation(events[0]["id"].as_str().unwrap()).await;
    assert_eq!(
        (&record["provider_name"], &record["total_cost"]),
        (&json!("lab-b Inc"), &json!(0.000_014))
    );
    let tries = record["provider_responses"].as_array().unwrap();
    let tries: Vec<(&Value, &Value)> = tries
        .iter()
        .map(|it| (&it["provider_name"], &it["status"]))
        .collect();
    assert_eq!(
        tries,
        [
            (&json!("lab-a Inc"), &Value::Null),
            (&json!("lab-b Inc"), &json!(200))
        ]
    );
    server.stop().await;
}
