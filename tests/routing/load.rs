//! Steady load on three endpoints, of which one fails for a while: no client notices, its share is gone
//! at once, and comes back soon after it is well.
//!
//! Scaled down: pauses and phases are a tenth of the real ones or less. `TURNPIKE_LOAD_SCALE=10` runs
//! the phases ten times as long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use crate::support::server::Server;
use crate::support::upstream::{Upstream, answer, json_body};

const CLIENTS: usize = 6;

/// Requests that each endpoint has seen.
fn counts(labs: &[Upstream]) -> [usize; 3] {
    std::array::from_fn(|lab| labs[lab].calls())
}

/// The first endpoint's share of the requests between two counts.
fn share(before: [usize; 3], after: [usize; 3]) -> f64 {
    let grown: Vec<f64> = before
        .iter()
        .zip(after)
        .map(|(before, after)| (after - before) as f64)
        .collect();
    grown[0] / grown.iter().sum::<f64>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_fails_loses_its_traffic_and_gets_it_back() {
    let scale = std::env::var("TURNPIKE_LOAD_SCALE")
        .ok()
        .and_then(|scale| scale.parse().ok())
        .unwrap_or(1_u32);
    let (failing, errors, stop) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let moody = Upstream::start({
        let failing = Arc::clone(&failing);
        move |seen| {
            if failing.load(Ordering::Relaxed) {
                json_body(500, &json!({"error": {"message": "no"}}))
            } else {
                answer(seen, "I can")
            }
        }
    })
    .await;
    let labs = [
        moody,
        Upstream::answering("I can").await,
        Upstream::answering("I can").await,
    ];
    let mut config = format!(
        "[routing]\npause = \"{}ms\"\nlongest_pause = \"{}ms\"\n",
        400 * scale,
        1_000 * scale
    );
    for (lab, slug) in labs.iter().zip(["lab-a", "lab-b", "lab-c"]) {
        config.push_str(&lab.provider(slug, "0.000001", "0.000002"));
    }
    let server = Server::alone(&config).await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (http, errors, stop) = (server.http.clone(), Arc::clone(&errors), Arc::clone(&stop));
            let body = json!({
                "model": "acme/orca", "messages": [{"role": "user", "content": "Can you?"}], "stream": client % 2 == 0,
            });
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = http.post("/api/v1/chat/completions", &body).await;
                    let good = answer.status == StatusCode::OK && answer.text().contains("I");
                    errors.fetch_add(usize::from(!good), Ordering::Relaxed);
                }
            })
        })
        .collect();
    let phase = |millis: u64| tokio::time::sleep(Duration::from_millis(millis) * scale);

    // All are well and share the traffic.
    let start = counts(&labs);
    while counts(&labs).iter().sum::<usize>() < 400 {
        phase(20).await;
    }
    assert!(share(start, counts(&labs)) > 0.2, "{:?}", counts(&labs));

    let well = labs[0].calls();
    failing.store(true, Ordering::Relaxed);
    // As many failures in a row as it takes, and those that were under way by then.
    labs[0].called(well + 5).await;
    phase(300).await;
    let failed = counts(&labs);
    phase(1_500).await;
    // One probe in a pause, and nothing else.
    let probes = counts(&labs)[0] - failed[0];
    assert!(probes <= 4, "{failed:?} {:?}", counts(&labs));

    failing.store(false, Ordering::Relaxed);
    let recovered = Instant::now();
    loop {
        let before = counts(&labs);
        phase(300).await;
        if share(before, counts(&labs)) > 0.2 {
            break;
        }
        assert!(
            recovered.elapsed() < Duration::from_secs(6) * scale,
            "{:?}",
            counts(&labs)
        );
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(errors.load(Ordering::Relaxed), 0);
    server.stop().await;
}
