//! What providers say was used is believed only where it can be true; what is charged is flagged where it was not.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::db::{TestDb, on_both_engines};
use crate::support::server::Server;
use crate::support::upstream::{Step, Upstream, chunk, done, event, json_body, sse_head};

const TEXT: &str = "The toll is paid once, and once only. Whoever comes back tomorrow pays again.";

/// A provider that answers [`TEXT`] and reports this usage.
async fn reporting(usage: Value) -> Upstream {
    Upstream::start(move |seen| {
        if seen.streams() {
            let last = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage});
            let text = event(&chunk(&json!({"content": TEXT}), None));
            let stop = event(&chunk(&json!({}), Some("stop")));
            return vec![sse_head(), text, stop, event(&last), done()] as Vec<Step>;
        }
        let message = json!({"role": "assistant", "content": TEXT});
        json_body(200, &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}))
    })
    .await
}

/// What one call was charged for, and the record of it.
async fn charged(server: &Server, stream: bool) -> ((u64, u64), Value) {
    let ask = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "How does a turnpike work?"}], "max_tokens": 50, "stream": stream});
    let answer = server.http.post("/api/v1/chat/completions", &ask).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let id = answer.headers["x-generation-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let record = server.generation(&id).await;
    let count = |name: &str| record[name].as_u64().unwrap();
    (
        (
            count("native_tokens_prompt"),
            count("native_tokens_completion"),
        ),
        record,
    )
}

async fn check(db: &TestDb, usage: Value, source: &str, expect: impl Fn((u64, u64)) -> bool) {
    let upstream = reporting(usage.clone()).await;
    let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
    for stream in [false, true] {
        let (counts, record) = charged(&server, stream).await;
        assert!(expect(counts), "{usage} became {counts:?}");
        assert_eq!(record["turnpike"]["usage_source"], source, "{usage}");
        assert_eq!(
            record["turnpike"]["reported_usage"].is_null(),
            source != "clamped",
            "{usage}"
        );
        let cost = (counts.0 + 2 * counts.1) as f64 / 1e6;
        assert!(
            (record["total_cost"].as_f64().unwrap() - cost).abs() < 1e-9,
            "{usage}: {record}"
        );
    }
    assert!(server.store.verify().await.unwrap().holds());
    server.stop().await;
}

on_both_engines! {
    async fn what_can_be_true_is_believed(db: TestDb) {
        check(db, json!({"prompt_tokens": 14, "completion_tokens": 17}), "reported", |counts| counts == (14, 17)).await;
        // Another vocabulary, and a template of the provider's own.
        check(db, json!({"prompt_tokens": 300, "completion_tokens": 24}), "reported", |counts| counts == (300, 24)).await;
    }

    async fn what_cannot_be_true_is_counted_and_flagged(db: TestDb) {
        let counted = |(prompt, completion): (u64, u64)| (10..40).contains(&prompt) && completion == 17;
        check(db, json!({"prompt_tokens": -5, "completion_tokens": -1}), "clamped", counted).await;
        check(db, json!({"prompt_tokens": 0, "completion_tokens": 0}), "clamped", counted).await;
        check(db, json!({"prompt_tokens": 1e30, "completion_tokens": 9.3e18}), "clamped", counted).await;
        check(db, json!({"prompt_tokens": 30_000, "completion_tokens": 30_000}), "clamped", counted).await;
        check(db, json!({"prompt_tokens": 14, "completion_tokens": 2}), "clamped", |counts| counts == (14, 17)).await;
    }

    async fn parts_larger_than_the_whole_are_cut(db: TestDb) {
        let usage = json!({"prompt_tokens": 14, "completion_tokens": 17, "prompt_tokens_details": {"cached_tokens": 5_000},
            "completion_tokens_details": {"reasoning_tokens": 40}});
        check(db, usage, "clamped", |counts| counts == (14, 17)).await;
    }

    async fn silence_is_counted(db: TestDb) {
        check(db, Value::Null, "estimated", |(prompt, completion)| (10..40).contains(&prompt) && completion == 17).await;
    }
}
