//! Activity: what was used a day, kept with the charges themselves.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use turnpike::clock::now_ms;
use turnpike::domain::calendar::Windows;
use turnpike::domain::principal::Principal;
use turnpike::domain::usage::{Tokens, Usage, UsageSource};
use turnpike::store::{Settlement, Store};

use crate::support::db::on_both_engines;
use crate::support::money::{account, key, run, settlement};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

const DAY: i64 = 86_400_000;

/// A run of ten prompt and three completion tokens, two of them reasoning.
fn used(who: &Principal, endpoint: &str, net: i64, at: i64) -> Arc<Settlement> {
    let mut generation = run(who, net);
    generation.usage = Some(Usage {
        tokens: Tokens {
            prompt: 10,
            completion: 3,
            reasoning: 2,
            ..Tokens::default()
        },
        source: UsageSource::Reported,
    });
    if let Some(served) = &mut generation.served {
        served.endpoint = endpoint.into();
    }
    settlement("nobody", generation, at)
}

async fn principal(store: &Store, server: &Server) -> Principal {
    store
        .known_key(&server.key)
        .await
        .unwrap()
        .unwrap()
        .principal
}

async fn activity(server: &Server, query: &str) -> Vec<Value> {
    let answer = server
        .manager()
        .await
        .get(&format!("/api/v1/activity{query}"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().clone()
}

/// The day of `at` as the contract writes it.
fn date(at: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at / 1_000).unwrap();
    format!(
        "{:04}-{:02}-{:02}",
        at.year(),
        u8::from(at.month()),
        at.day()
    )
}

on_both_engines! {
    async fn days_are_those_that_are_over_to_the_millisecond(db: TestDb) {
        let server = Server::start(db, "").await;
        let who = principal(&server.store, &server).await;
        let today = Windows::at(now_ms()).day;
        let moments = [today - 30 * DAY - 1, today - 30 * DAY, today - DAY - 1, today - DAY, today - 1, today];
        for (at, net) in moments.into_iter().zip([1, 20, 300, 4_000, 50_000, 600_000]) {
            server.store.settle(&[used(&who, "lab-a", net, at)]).await.unwrap();
        }
        let days = |items: &[Value]| -> Vec<(String, f64, u64)> {
            let day = |item: &Value| (item["date"].as_str().unwrap().to_owned(), item["usage"].as_f64().unwrap(), item["requests"].as_u64().unwrap());
            items.iter().map(day).collect()
        };
        let expect = [
            (date(today - DAY), 0.000_054, 2),
            (date(today - 2 * DAY), 0.000_000_3, 1),
            (date(today - 30 * DAY), 0.000_000_02, 1),
        ];
        assert_eq!(days(&activity(&server, "").await), expect);
        let yesterday = activity(&server, &format!("?date={}", date(today - DAY))).await;
        assert_eq!(days(&yesterday), &expect[..1]);
        assert_eq!((yesterday[0]["prompt_tokens"].as_u64(), yesterday[0]["completion_tokens"].as_u64()), (Some(20), Some(6)));
        assert_eq!((yesterday[0]["reasoning_tokens"].as_u64(), &yesterday[0]["byok_usage_inference"]), (Some(4), &json!(0)));
        assert!(server.store.verify().await.unwrap().holds());
        server.stop().await;
    }

    async fn a_replayed_run_is_counted_once_and_late_ones_in_their_day(db: TestDb) {
        let store = db.open().await;
        let who = key(&store, &account(&store, 1_000).await, None).await;
        let today = Windows::at(now_ms()).day;
        let (late, fresh) = (used(&who, "lab-a", 5, today - 1), used(&who, "lab-a", 7, today));
        for _ in 0..2 {
            store.settle(&[late.clone(), fresh.clone(), fresh.clone()]).await.unwrap();
        }
        let days = store.activity(&who.account, None, today - DAY, today + DAY).await.unwrap();
        let seen: Vec<_> = days.iter().map(|it| (it.day, it.requests, it.net.0, it.tokens_prompt)).collect();
        assert_eq!(seen, [(today, 1, 7, 10), (today - DAY, 1, 5, 10)]);
        let found = store.verify().await.unwrap();
        assert!(found.holds(), "{found:?}");
    }

    async fn lines_are_by_endpoint_and_filters_narrow_them(db: TestDb) {
        let server = Server::start(db, "").await;
        let who = principal(&server.store, &server).await;
        let other = key(&server.store, &who.account, None).await;
        let stranger = key(&server.store, &account(&server.store, 100).await, None).await;
        let at = Windows::at(now_ms()).day - 1;
        let batch = [used(&who, "lab-a", 1, at), used(&who, "lab-b", 2, at), used(&other, "lab-a", 4, at), used(&stranger, "lab-a", 8, at)];
        server.store.settle(&batch).await.unwrap();
        let lines = |items: Vec<Value>| -> Vec<(String, f64)> {
            items.iter().map(|item| (item["endpoint_id"].as_str().unwrap().to_owned(), item["usage"].as_f64().unwrap())).collect()
        };
        let (a, b) = ("lab-a".to_owned(), "lab-b".to_owned());
        assert_eq!(lines(activity(&server, "").await), [(a.clone(), 0.000_000_005), (b.clone(), 0.000_000_002)]);
        let of = |hash: String| format!("?api_key_hash={hash}");
        assert_eq!(lines(activity(&server, &of(who.key.to_hex())).await), [(a.clone(), 0.000_000_001), (b, 0.000_000_002)]);
        assert_eq!(lines(activity(&server, &of(other.key.to_hex())).await), [(a, 0.000_000_004)]);
        assert!(activity(&server, &of(stranger.key.to_hex())).await.is_empty());
        assert!(activity(&server, "?user_id=user_nobody").await.is_empty());
        assert_eq!(activity(&server, &format!("?user_id={}", who.account.as_str())).await.len(), 2);
        let by_workspace = activity(&server, "?group_by=workspace").await;
        assert!(by_workspace.iter().all(|item| item["workspace_id"].is_string()) && by_workspace.len() == 2);
        assert!(activity(&server, "").await[0].get("workspace_id").is_none());
        server.stop().await;
    }

    async fn what_is_served_is_counted_before_its_answer_ends(db: TestDb) {
        let upstream = Upstream::answering("One two three").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        let ask = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 9});
        for _ in 0..2 {
            assert_eq!(server.http.post("/api/v1/chat/completions", &ask).await.status, StatusCode::OK);
        }
        let today = Windows::at(now_ms()).day;
        let used = server.store.activity(&server.account, None, today - DAY, today + DAY).await.unwrap();
        let sum = |of: fn(&turnpike::store::Activity) -> i64| used.iter().map(of).sum::<i64>();
        assert_eq!((sum(|it| it.requests), sum(|it| it.tokens_prompt), sum(|it| it.net.0)), (2, 20, 32_000));
        assert_eq!((used[0].model.as_str(), used[0].provider_name.as_str()), ("acme/orca", "lab-a Inc"));
        assert!(activity(&server, "").await.is_empty(), "today is not over");
        server.stop().await;
    }
}

#[tokio::test]
async fn only_management_keys_and_sensible_questions_are_answered() {
    let server = Server::alone("").await;
    assert_eq!(
        server.http.get("/api/v1/activity").await.status,
        StatusCode::FORBIDDEN
    );
    let manager = server.manager().await;
    for query in [
        "?date=2020-01-01",
        "?date=2999-01-01",
        "?date=x",
        "?api_key_hash=zz",
        "?group_by=model",
    ] {
        let answer = manager.get(&format!("/api/v1/activity{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let name = query[1..].split('=').next().unwrap();
        assert!(
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .starts_with(name),
            "{}",
            answer.text()
        );
    }
    server.stop().await;
}
