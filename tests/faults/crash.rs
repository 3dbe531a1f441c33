//! kill -9 under load: whatever a client saw complete is in the ledger, once.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::client::{Http, Streaming};
use crate::support::db::on_both_engines;
use crate::support::process::Process;
use crate::support::upstream::Upstream;

const CLIENTS: usize = 200;
const COMPLETE_BEFORE_KILL: usize = 400;

on_both_engines! {
    async fn what_a_client_saw_complete_survives_a_kill(db: TestDb) {
        let upstream = Upstream::answering("All is well that ends well").await;
        let mut process = Process::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let key = process.run(&["keys", "create", "--name", "load", "--json"]).await["key"].as_str().unwrap().to_owned();

        let complete = load_until_killed(&mut process, &key).await;
        assert!(complete.len() >= COMPLETE_BEFORE_KILL, "{}", complete.len());

        process.restart().await;
        let http = Http::new(&process.base).with_key(&key);
        for id in &complete {
            let record = http.get(&format!("/api/v1/generation?id={id}")).await;
            assert_eq!(record.status, StatusCode::OK, "{id} was seen complete and is missing");
            // Ten prompt tokens and six of the answer.
            assert_eq!(record.json()["data"]["total_cost"], 0.000_022);
        }
        process.run(&["ledger", "verify", "--json"]).await;
        process.terminate().await;
    }
}

/// Runs clients against the process, kills it in the middle, and returns the generations that were seen complete.
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
    let enough = async {
        while complete.lock().len() < COMPLETE_BEFORE_KILL {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(60), enough).await.unwrap();
    process.kill();
    for client in clients {
        client.await.unwrap();
    }
    std::mem::take(&mut *complete.lock())
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
