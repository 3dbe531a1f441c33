//! More to do than there is time for: some are refused at once, and told when to return, so that it never gets late for
//! all; and when there is time again, nobody is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use tokio::task::{JoinSet, yield_now};

use crate::support::client::Answer;
use crate::support::server::Server;
use crate::support::upstream::Upstream;

const CHAT: &str = "/api/v1/chat/completions";
const MESSAGES: &str = "/api/v1/messages";

async fn ask(server: &Server, path: &str) -> Answer {
    let body = json!({
        "model": "acme/orca", "max_tokens": 20, "messages": [{"role": "user", "content": "Can you?"}],
    });
    server.http.post(path, &body).await
}

/// Keeps the server's threads busy with so many turns that all others come late.
fn hog(server: &Server, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut hogs = JoinSet::new();
    for runtime in server.runtimes.iter().cycle().take(128) {
        let stop = Arc::clone(stop);
        let work = async move {
            while !stop.load(Relaxed) {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(2) {
                    std::hint::spin_loop();
                }
                yield_now().await;
            }
        };
        hogs.spawn_on(work, runtime);
    }
    hogs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_no_time_for_is_refused_and_told_when_to_return() {
    let lab = Upstream::answering("I can").await;
    let provider = lab.provider("lab-a", "0.000001", "0.000002");
    let server = Server::alone(&format!("http.overload_after = \"50ms\"\n{provider}")).await;
    let stop = Arc::new(AtomicBool::new(false));
    let hogs = hog(&server, &stop);
    for path in [CHAT, MESSAGES] {
        let refused = loop {
            let answers = join_all((0..8).map(|_| ask(&server, path))).await;
            let mut refused = answers
                .into_iter()
                .filter(|answer| answer.status != StatusCode::OK);
            if let Some(refused) = refused.next() {
                break refused;
            }
        };
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers["retry-after"], "1");
        let message = &refused.json()["error"]["message"];
        assert!(
            message.as_str().unwrap().contains("overloaded"),
            "{message}"
        );
    }
    // What asks nothing of a model still answers.
    assert_eq!(server.http.get("/api/v1/key").await.status, StatusCode::OK);

    stop.store(true, Relaxed);
    hogs.join_all().await;
    let calls = lab.calls();
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let answer = ask(&server, CHAT).await;
        in_a_row = if answer.status == StatusCode::OK {
            in_a_row + 1
        } else {
            0
        };
    }
    assert!(lab.calls() >= calls + 20);
    server.stop().await;
}
