//! Runs that cost nothing are limited per account, over all keys and replicas.

use http::StatusCode;
use serde_json::{Value, json};
use turnpike::domain::ids::KeyHash;
use turnpike::domain::money::Nanos;
use turnpike::domain::quota::{Bound, Quota};

use crate::support::client::{Answer, Http};
use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{NOON, account};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

const CHAT: &str = "/api/v1/chat/completions";

async fn ask(http: &Http, model: &str) -> Answer {
    let body =
        json!({"model": model, "messages": [{"role": "user", "content": "Go"}], "max_tokens": 5});
    http.post(CHAT, &body).await
}

#[track_caller]
fn check_refusal(answer: &Answer, limit: &str, fragment: &str, source: &str) {
    assert_eq!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        answer.text()
    );
    let error = answer.json()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("Rate limit exceeded: {fragment}")),
        "{message}"
    );
    assert_eq!(error["code"], 429);
    assert_eq!(error["metadata"]["error_type"], "rate_limit_exceeded");
    assert_eq!(error["metadata"]["limit_source"], source);
    for name in [
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ] {
        let header = answer.headers[name].to_str().unwrap();
        assert_eq!(error["metadata"]["headers"][name], header, "{name}");
    }
    assert_eq!(answer.headers["x-ratelimit-limit"], limit);
    assert_eq!(answer.headers["x-ratelimit-remaining"], "0");
    let wait: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
}

/// A model of another provider that costs something, and one that does not.
fn config(free: &Upstream, paid: &Upstream, limits: &str) -> String {
    format!(
        "[free_models]\n{limits}\n{}\n{}",
        free.provider("free-lab", "0", "0"),
        paid.provider("paid-lab", "0.000001", "0.000002")
            .replace("acme/orca", "acme/whale")
    )
}

on_both_engines! {
    async fn a_minute_has_so_many_free_runs_whatever_the_key(db: TestDb) {
        let (free, paid) = (Upstream::answering("One").await, Upstream::answering("Two").await);
        let server = Server::start(db, &config(&free, &paid, "per_minute = 3")).await;
        let other = server.http.with_key(&server.create_key(|_| {}).await);
        for http in [&server.http, &other, &server.http] {
            assert_eq!(ask(http, "acme/orca").await.status, StatusCode::OK);
        }
        for http in [&server.http, &other] {
            check_refusal(&ask(http, "acme/orca").await, "3", "free-models-per-min", "gateway_free_tier_minute");
        }
        let (who, _) = server.person("ann@example.com", false).await;
        let anns = server.create_key(|key| key.account = who.id.clone()).await;
        assert_eq!(ask(&server.http.with_key(&anns), "acme/orca").await.status, StatusCode::OK);
        for model in ["acme/whale", "turnpike/echo"] {
            assert_eq!(ask(&server.http, model).await.status, StatusCode::OK, "{model} is not limited");
        }
        assert_eq!(free.calls(), 4);
        server.stop().await;
    }

    async fn what_is_paid_serves_once_the_free_runs_are_used_up(db: TestDb) {
        let (free, paid) = (Upstream::answering("One").await, Upstream::answering("Two").await);
        let server = Server::start(db, &config(&free, &paid, "per_minute = 1")).await;
        let body = json!({"models": ["acme/orca", "acme/whale"], "messages": [{"role": "user", "content": "Go"}], "max_tokens": 5});
        let mut served = Vec::new();
        for _ in 0..2 {
            served.push(server.http.post(CHAT, &body).await.json()["model"].clone());
        }
        assert_eq!(served, ["acme/orca", "acme/whale"]);
        server.stop().await;
    }

    async fn failed_runs_count(db: TestDb) {
        let nobody = Upstream::nobody().await;
        let broken = crate::support::upstream::provider_at(&format!("http://{nobody}/v1"), "lab", "0", "0");
        let server = Server::start(db, &format!("[free_models]\nper_minute = 1\n{broken}")).await;
        assert_eq!(ask(&server.http, "acme/orca").await.status, StatusCode::BAD_GATEWAY);
        check_refusal(&ask(&server.http, "acme/orca").await, "1", "free-models-per-min", "gateway_free_tier_minute");
        server.stop().await;
    }

    async fn the_day_has_a_limit_that_credit_raises(db: TestDb) {
        let (free, paid) = (Upstream::answering("One").await, Upstream::answering("Two").await);
        let limits = "per_day = 1\nper_day_paid = 2\npaid_from = \"10.5\"";
        let server = Server::start(db, &config(&free, &paid, limits)).await;
        assert_eq!(ask(&server.http, "acme/orca").await.status, StatusCode::OK);
        let refused = ask(&server.http, "acme/orca").await;
        check_refusal(&refused, "1", "free-models-per-day. Add 10.5 credits to unlock 2", "gateway_free_tier_daily");
        let reset: i64 = refused.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
        assert_eq!(reset % 86_400_000, 0, "days begin at midnight UTC");
        assert!(server.store.grant(&server.account, Nanos(500_000_000), "more", 1).await.unwrap());
        // A refusal is remembered for a moment.
        let second = loop {
            let answer = ask(&server.http, "acme/orca").await;
            if answer.status == StatusCode::OK {
                break answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!(second.status, StatusCode::OK);
        check_refusal(&ask(&server.http, "acme/orca").await, "2", "free-models-per-day-high-balance", "gateway_free_tier_daily");
        server.stop().await;
    }

    async fn counts_outlive_the_process(db: TestDb) {
        let quota = Quota { per_minute: None, per_day: Some(3), per_day_paid: None, paid_from: Nanos(1) };
        let store = db.open().await;
        let who = account(&store, 0).await;
        for _ in 0..3 {
            store.begin_free_run(&who, &quota, NOON).await.unwrap().unwrap();
        }
        store.close().await;
        let store = db.open().await;
        let midnight = NOON + 43_200_000;
        let exceeded = store.begin_free_run(&who, &quota, midnight - 1).await.unwrap().unwrap_err();
        assert_eq!((exceeded.bound, exceeded.limit, exceeded.resets_at), (Bound::Day, 3, midnight));
        store.begin_free_run(&who, &quota, midnight).await.unwrap().unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn replicas_count_together_to_the_run() {
    let db = TestDb::postgres().await;
    let upstream = Upstream::answering("One").await;
    let config = format!(
        "[free_models]\nper_minute = 20\n{}",
        upstream.provider("lab", "0", "0")
    );
    let (one, other) = (
        Server::start(&db, &config).await,
        Server::start(&db, &config).await,
    );
    let key = one.create_key(|_| {}).await;
    assert_ne!(KeyHash::of(&key), one.key);
    let replicas = [one.http.with_key(&key), other.http.with_key(&key)];
    let asked = (0..40).map(|run| {
        let http = replicas[run % 2].clone();
        tokio::spawn(async move { ask(&http, "acme/orca").await.status })
    });
    let mut answered: Vec<StatusCode> = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        answered.push(asked.await.unwrap());
    }
    let count = |status| {
        answered
            .iter()
            .filter(|answered| **answered == status)
            .count()
    };
    assert_eq!(
        (count(StatusCode::OK), count(StatusCode::TOO_MANY_REQUESTS)),
        (20, 20)
    );
    assert_eq!(upstream.calls(), 20);
    one.stop().await;
    other.stop().await;
    db.drop().await;
}

#[tokio::test]
async fn the_built_in_echo_is_not_limited_unless_the_operator_says_so() {
    let server = Server::alone("[free_models]\nper_minute = 2\nexempt = \"\"").await;
    let statuses = [
        ask(&server.http, "turnpike/echo").await.status,
        ask(&server.http, "turnpike/echo").await.status,
        ask(&server.http, "turnpike/echo").await.status,
    ];
    assert_eq!(
        statuses,
        [
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::TOO_MANY_REQUESTS
        ]
    );
    server.stop().await;

    let server = Server::alone(
        "[free_models]\nper_minute = \"\"\nper_day = \"\"\nper_day_paid = \"\"\nexempt = \"\"",
    )
    .await;
    for _ in 0..25 {
        assert_eq!(
            ask(&server.http, "turnpike/echo").await.status,
            StatusCode::OK
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_refused_alike() {
    let upstream = Upstream::answering("One").await;
    let config = format!(
        "[free_models]\nper_minute = 1\n{}",
        upstream.provider("lab", "0", "0")
    );
    let server = Server::alone(&config).await;
    let body: Value = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "stream": true});
    assert_eq!(server.http.post(CHAT, &body).await.status, StatusCode::OK);
    check_refusal(
        &server.http.post(CHAT, &body).await,
        "1",
        "free-models-per-min",
        "gateway_free_tier_minute",
    );
    server.stop().await;
}
