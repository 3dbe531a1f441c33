//! What traffic tells of endpoints: shown to clients, kept over restarts, and followed by the variants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::Http;
use crate::support::db::on_both_engines;
use crate::support::server::Server;
use crate::support::upstream::{Script, Step, Upstream, answer, json_body, stream_of};

/// Sends this many requests to one provider, some at once.
async fn feed(server: &Server, provider: &str, count: usize, at_once: usize) {
    let body = json!({
        "model": "acme/orca", "stream": true, "messages": [{"role": "user", "content": "Can you?"}],
        "provider": {"only": [provider]},
    });
    for _ in 0..count / at_once {
        join_all((0..at_once).map(|_| server.http.post("/api/v1/chat/completions", &body))).await;
    }
}

/// Who answers a request for this model.
async fn chosen(server: &Server, model: &str) -> Value {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Can you?"}]});
    let answer = server.http.post("/api/v1/chat/completions", &body).await;
    answer.json()["provider"].clone()
}

async fn endpoint(http: &Http, provider: &str) -> Value {
    let view = http.get("/api/v1/models/acme/orca/endpoints").await.json();
    let endpoints = view["data"]["endpoints"].as_array().unwrap();
    let named = |endpoint: &&Value| endpoint["provider_name"] == format!("{provider} Inc");
    endpoints.iter().find(named).unwrap().clone()
}

on_both_engines! {
    async fn measurements_are_shown_and_outlive_the_process(db: TestDb) {
        let good = Upstream::answering("I can").await;
        let bad = Upstream::start({
            let turn = std::sync::atomic::AtomicUsize::new(0);
            move |seen| match turn.fetch_add(1, Ordering::Relaxed) % 4 {
                0 => json_body(500, &json!({"error": {"message": "no"}})),
                _ => answer(seen, "I can"),
            }
        })
        .await;
        let config = format!(
            "{}{}",
            good.provider("lab-a", "0.000001", "0.000002"),
            bad.provider("lab-b", "0.000001", "0.000002")
        );
        let server = Server::start(db, &config).await;
        let fresh = endpoint(&server.http, "lab-a").await;
        assert_eq!((&fresh["status"], &fresh["uptime_last_5m"]), (&json!(0), &Value::Null));
        feed(&server, "lab-a", 100, 20).await;
        feed(&server, "lab-b", 100, 1).await;
        check_shown(&server).await;
        server.stop().await;

        let server = Server::start(db, &config).await;
        check_shown(&server).await;
        server.stop().await;
    }
}

async fn check_shown(server: &Server) {
    let shown = endpoint(&server.http, "lab-a").await;
    for window in ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d"] {
        assert_eq!(shown[window], 100.0, "{shown}");
    }
    let percentiles =
        |name: &str| ["p50", "p75", "p90", "p99"].map(|p| shown[name][p].as_f64().unwrap());
    assert!(percentiles("latency_last_30m").is_sorted(), "{shown}");
    assert!(
        percentiles("throughput_last_30m").iter().rev().is_sorted(),
        "{shown}"
    );
    assert_eq!(shown["status"], 0);
    let bad = endpoint(&server.http, "lab-b").await;
    assert_eq!(
        (&bad["uptime_last_30m"], &bad["status"]),
        (&json!(75.0), &json!(-5)),
        "{bad}"
    );
    // Speed is for those who have a key.
    let stranger = endpoint(&Http::new(&server.base), "lab-a").await;
    assert_eq!(stranger["uptime_last_5m"], 100.0);
    assert_eq!(
        (
            &stranger["latency_last_30m"],
            &stranger["throughput_last_30m"]
        ),
        (&Value::Null, &Value::Null)
    );
}

/// An answer whose first token and whose end come late, if it is slow.
fn paced(slow: &AtomicBool, streams: bool) -> Script {
    let pause = Step::Wait(Duration::from_millis(if slow.load(Ordering::Relaxed) {
        400
    } else {
        0
    }));
    if !streams {
        return [
            vec![pause],
            json_body(200, &crate::support::upstream::completion("I can do that")),
        ]
        .concat();
    }
    let mut script = stream_of("I can do that");
    script.insert(1, pause.clone());
    script.insert(3, pause);
    script
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_follow_what_is_measured() {
    let slow = [true, false].map(|slow| Arc::new(AtomicBool::new(slow)));
    let mut labs = Vec::new();
    for slow in &slow {
        let slow = Arc::clone(slow);
        labs.push(Upstream::start(move |seen| paced(&slow, seen.streams())).await);
    }
    let config = format!(
        "{}{}",
        labs[0].provider("cheap", "0.000001", "0.000002"),
        labs[1].provider("dear", "0.000003", "0.000006")
    );
    let server = Server::alone(&config).await;
    // Nothing is known of their speed yet, so the price decides.
    assert_eq!(chosen(&server, "acme/orca:nitro").await, "cheap Inc");
    for lab in ["cheap", "dear"] {
        feed(&server, lab, 10, 10).await;
    }
    assert_eq!(chosen(&server, "acme/orca:nitro").await, "dear Inc");
    assert_eq!(chosen(&server, "acme/orca:floor").await, "cheap Inc");
    let latency = json!({
        "model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}],
        "provider": {"sort": "latency"},
    });
    let answer = server.http.post("/api/v1/chat/completions", &latency).await;
    assert_eq!(answer.json()["provider"], "dear Inc");
    // They change places.
    slow[0].store(false, Ordering::Relaxed);
    slow[1].store(true, Ordering::Relaxed);
    for lab in ["cheap", "dear"] {
        feed(&server, lab, 40, 20).await;
    }
    assert_eq!(chosen(&server, "acme/orca:nitro").await, "cheap Inc");
    server.stop().await;
}
