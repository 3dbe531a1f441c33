//! kill -9 under load: whatever a client saw complete is in the ledger, once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use turnpike::domain::money::Nanos;

use crate::support::client::{Http, Streaming};
use crate::support::db::on_both_engines;
use crate::support::process::{Process, stored_key};
use crate::support::scale::scaled;
use crate::support::upstream::Upstream;

const CLIENTS: usize = 120;
/// Ten prompt tokens and six of the answer.
const COST: Nanos = Nanos(22_000);

on_both_engines! {
    async fn what_a_client_saw_complete_survives_a_kill(db: TestDb) {
        let upstream = Upstream::answering("All is well that ends well").await;
        let mut process = Process::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let made = process.run(&["keys", "create", "--name", "load", "--json"]).await;
        let key = made["key"].as_str().unwrap().to_owned();
        let mut seen = 0;
        for _ in 0..scaled(2, 20) {
            let complete = load_until_killed(&mut process, &key).await;
            process.restart().await;
            each_is_charged(&Http::new(&process.base).with_key(&key), &complete).await;
            process.run(&["ledger", "verify", "--json"]).await;
            seen += complete.len();
        }
        // Every run there is cost the same, so that one charged twice would show in the sum.
        let store = process.store().await;
        let (found, key) = (store.verify().await.unwrap(), stored_key(&store, &key).await);
        assert!(seen > 0 && found.generations >= i64::try_from(seen).unwrap());
        assert_eq!(key.usage(0).total, Nanos(found.generations * COST.0));
        process.terminate().await;
    }
}

/// Runs clients against the process, kills it at some instant, and returns the generations that were seen complete.
async fn load_until_killed(process: &mut Process, key: &str) -> Vec<String> {
    let complete = Arc::new(Mutex::new(Vec::new()));
    let http = Http::new(&process.base).with_key(key);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (http, complete) = (http.clone(), Arc::clone(&complete));
            tokio::spawn(async move {
                while let Some(id) = call(&http, number % 2 == 0).await {
                    complete.lock().push(id)
                }
            })
        })
        .collect();
    // The instant is random; only that it falls into the load is sure.
    while complete.lock().len() < CLIENTS / 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(rand::random_range(
        0..scaled(400, 2_000),
    )))
    .await;
    process.kill();
    for client in clients {
        client.await.unwrap();
    }
    std::mem::take(&mut *complete.lock())
}

async fn each_is_charged(http: &Http, generations: &[String]) {
    let check = async |id: &String| {
        let record = http.get(&format!("/api/v1/generation?id={id}")).await;
        assert_eq!(
            record.status,
            StatusCode::OK,
            "{id} was seen complete and is missing"
        );
        assert_eq!(record.json()["data"]["total_cost"], 0.000_022);
    };
    let checks = stream::iter(generations).map(check).buffer_unordered(16);
    checks.collect::<Vec<()>>().await;
}

/// One call; its id when its answer was seen complete. `None` once the server is gone.
async fn call(http: &Http, stream: bool) -> Option<String> {
    let body = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Is it?"}], "stream": stream});
    let mut answer = http.try_stream("/api/v1/chat/completions", &body).await?;
    assert_eq!(answer.status, StatusCode::OK);
    let id = answer.headers["x-generation-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let is_complete = if stream {
        saw_done(&mut answer).await
    } else {
        saw_body(answer).await
    };
    is_complete.then_some(id)
}

async fn saw_done(answer: &mut Streaming) -> bool {
    while let Some(event) = answer.next_event().await {
        // The finish reason alone already looks complete to many clients.
        if event == "[DONE]" || event["choices"][0]["finish_reason"] == "stop" {
            return true;
        }
    }
    false
}

async fn saw_body(answer: Streaming) -> bool {
    answer
        .rest()
        .await
        .is_some_and(|body| serde_json::from_slice::<Value>(&body).is_ok())
}
