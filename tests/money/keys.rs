//! Keys as their owners rely on them: caps and usage to the edge of each window, and a stop that is heard everywhere.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use turnpike::clock::now_ms;
use turnpike::domain::calendar::Windows;
use turnpike::domain::ids::KeyHash;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::store::KeyUsage;

use crate::support::client::Http;
use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{account, key, run, settlement};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

const DAY: i64 = 86_400_000;
/// Monday, 31 August 2026, midnight UTC: a day after a Sunday, a day before a new month.
const MONDAY: i64 = 1_788_134_400_000;

fn ask() -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 9})
}

async fn call(http: &Http) -> StatusCode {
    http.post("/api/v1/chat/completions", &ask()).await.status
}

/// The usage at `now` of charges at these moments, added up one by one.
fn added_up(charges: &[(i64, i64)], now: i64) -> KeyUsage {
    let now = Windows::at(now);
    let since = |of: fn(&Windows) -> i64| {
        let in_window = charges
            .iter()
            .filter(|(at, _)| of(&Windows::at(*at)) == of(&now));
        Nanos(in_window.map(|(_, net)| net).sum())
    };
    KeyUsage {
        total: Nanos(charges.iter().map(|(_, net)| net).sum()),
        daily: since(|windows| windows.day),
        weekly: since(|windows| windows.week),
        monthly: since(|windows| windows.month),
    }
}

/// Moments in order, most of them within a millisecond of an edge.
fn moments() -> Vec<(i64, i64)> {
    let edge = (-40_i64..40, -1_i64..=1).prop_map(|(days, offset)| MONDAY + days * DAY + offset);
    let moment = prop_oneof![3 => edge, 1 => MONDAY - 40 * DAY..MONDAY + 40 * DAY];
    let charges = prop::collection::vec((moment, 1_i64..1_000), 30);
    let mut charges = charges
        .new_tree(&mut TestRunner::default())
        .unwrap()
        .current();
    charges.sort_unstable();
    charges
}

on_both_engines! {
    async fn usage_is_exact_at_the_edges_of_its_windows(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let who = key(&store, &account, Some((50_000, LimitReset::Monthly))).await;
        let charges = moments();
        for (number, &(at, net)) in charges.iter().enumerate() {
            store.settle(&[settlement("nobody", run(&who, net), at)]).await.unwrap();
            let stored = store.key(&account, &who.key).await.unwrap().unwrap();
            let next = charges.get(number + 1).map_or(at + DAY, |(next, _)| *next);
            for now in [at, next] {
                let expect = added_up(&charges[..=number], now);
                assert_eq!(stored.usage(now), expect, "charges {:?} at {now}", &charges[..=number]);
                assert_eq!(stored.remaining(now), Some(Nanos(50_000 - expect.monthly.0)));
            }
        }
        assert!(store.verify().await.unwrap().holds());
    }

    async fn each_cap_names_its_window(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0", "0.01")).await;
        let manager = server.manager().await;
        for (reset, word) in [(json!(null), "total"), (json!("daily"), "daily"), (json!("weekly"), "weekly"), (json!("monthly"), "monthly")] {
            let body = json!({"name": word, "limit": 0.05, "limit_reset": reset});
            let made = manager.post("/api/v1/keys", &body).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
            let http = server.http.with_key(made.json()["key"].as_str().unwrap());
            let refused = http.post("/api/v1/chat/completions", &ask()).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN);
            let error = refused.json();
            assert!(error["error"]["message"].as_str().unwrap().contains(&format!("Key limit exceeded ({word} limit)")), "{error}");
            assert_eq!((&error["error"]["code"], &error["error"]["metadata"]["error_type"]), (&json!(403), &json!("permission_denied")));
            let mut small = ask();
            small["max_tokens"] = json!(5);
            assert_eq!(http.post("/api/v1/chat/completions", &small).await.status, StatusCode::OK);
            let shown = http.get("/api/v1/key").await.json()["data"].clone();
            assert_eq!((&shown["limit"], &shown["limit_remaining"], &shown["limit_reset"]), (&json!(0.05), &json!(0.04), &reset));
            assert_eq!([&shown["usage"], &shown["usage_daily"], &shown["usage_weekly"], &shown["usage_monthly"]], [&json!(0.01); 4]);
        }
        server.stop().await;
    }

    async fn who_owes_gets_nothing_not_even_what_is_free(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0", "0")).await;
        let who = server.store.known_key(&server.key).await.unwrap().unwrap().principal;
        server.store.settle(&[settlement("nobody", run(&who, 10_000_000_001), now_ms())]).await.unwrap();
        let refused = server.http.post("/api/v1/chat/completions", &ask()).await;
        assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
        assert!(refused.text().contains("Insufficient credits"), "{}", refused.text());
        server.stop().await;
    }

    async fn a_key_ends_at_its_time(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0", "0.000001")).await;
        let at = now_ms() + 700;
        let http = server.http.with_key(&server.create_key(|key| key.expires_at = Some(at)).await);
        assert_eq!(call(&http).await, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(call(&http).await, StatusCode::UNAUTHORIZED);
        let manager = server.manager().await;
        for wrong in ["2030-01-01T00:00:00+02:00", "tomorrow"] {
            let answer = manager.post("/api/v1/keys", &json!({"name": "x", "expires_at": wrong})).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
        let elsewhere = json!({"name": "x", "workspace_id": "6f1c2a34-0000-4000-8000-000000000000"});
        assert_eq!(manager.post("/api/v1/keys", &elsewhere).await.status, StatusCode::BAD_REQUEST);
        server.stop().await;
    }
}

#[tokio::test]
async fn every_replica_hears_of_a_stop_within_a_second() {
    let db = TestDb::postgres().await;
    let upstream = Upstream::answering("One").await;
    let config = upstream.provider("lab-a", "0", "0.000001");
    let (one, other) = (
        Server::start(&db, &config).await,
        Server::start(&db, &config).await,
    );
    let keys = [one.create_key(|_| {}).await, one.create_key(|_| {}).await];
    let [switched, deleted] = keys.clone().map(|key| other.http.with_key(&key));
    for http in [&switched, &deleted] {
        assert_eq!(call(http).await, StatusCode::OK);
    }
    let manager = one.manager().await;
    let path = |key: &str| format!("/api/v1/keys/{}", KeyHash::of(key).to_hex());
    let switch = async |disabled: bool| {
        let body = Bytes::from(json!({ "disabled": disabled }).to_string());
        let answer = manager
            .send(Method::PATCH, &path(&keys[0]), body, &[])
            .await;
        assert_eq!(answer.json()["data"]["disabled"], disabled);
    };
    switch(true).await;
    let gone = manager
        .send(Method::DELETE, &path(&keys[1]), Bytes::new(), &[])
        .await;
    assert_eq!(gone.json(), json!({"deleted": true}));
    assert_eq!(
        call(&one.http.with_key(&keys[0])).await,
        StatusCode::UNAUTHORIZED,
        "here at once"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    for http in [&switched, &deleted] {
        assert_eq!(call(http).await, StatusCode::UNAUTHORIZED);
    }
    switch(false).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        [call(&switched).await, call(&deleted).await],
        [StatusCode::OK, StatusCode::UNAUTHORIZED]
    );
    one.stop().await;
    other.stop().await;
    db.drop().await;
}
