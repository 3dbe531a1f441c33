//! What a run is charged: every unit that has a price, discounts, and the operator's markup as an entry of its own.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use turnpike::domain::generation::Charge;
use turnpike::domain::money::Nanos;
use turnpike::domain::terms::Ppm;
use turnpike::store::Store;

use crate::support::client::Http;
use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{NOON, account, key, run, settlement};
use crate::support::server::Server;
use crate::support::upstream::{Upstream, json_body};

fn ask() -> Value {
    json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 9})
}

/// The cost of one more call, as the answer tells it.
async fn cost(http: &Http, ask: &Value) -> f64 {
    let answer = http.post("/api/v1/chat/completions", ask).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["usage"]["cost"].as_f64().unwrap()
}

/// A run of a hundred nano-dollars by list, less ten, and a fee of nine.
async fn settle_with_fee(store: &Store) {
    let who = key(store, &account(store, 1_000).await, None).await;
    let mut generation = run(&who, 99);
    generation.charge = Charge {
        gross: Nanos(100),
        discount: Nanos(10),
        fee: Nanos(9),
        net: Nanos(99),
        ..Charge::default()
    };
    store
        .settle(&[settlement("nobody", generation, NOON)])
        .await
        .unwrap();
}

on_both_engines! {
    async fn a_markup_is_a_fee_and_a_discount_is_the_operators_gift(db: TestDb) {
        let upstream = Upstream::answering("One two three").await;
        let config = format!("[ledger]\nmarkup = \"10\"\n{}", upstream.provider("lab-a", "0.000001", "0.000002"));
        let server = Server::start(db, &config).await;
        server.store.set_discount(&server.account, Ppm::parse_percent("25").unwrap()).await.unwrap();
        // List price 16 µ$, three quarters of it left, a tenth on top.
        let answer = server.http.post("/api/v1/chat/completions", &ask()).await.json();
        assert_eq!(answer["usage"]["cost"], 0.000_013_2);
        assert_eq!(answer["usage"]["cost_details"]["upstream_inference_cost"], 0.000_016);
        let record = server.generation(answer["id"].as_str().unwrap()).await;
        assert_eq!(record["total_cost"], 0.000_013_2);
        let own = &record["turnpike"];
        assert_eq!((&own["list_cost"], &own["discount"], &own["fee"]), (&json!(0.000_016), &json!(0.000_004), &json!(0.000_001_2)));
        assert_eq!((&own["unit_prices"]["prompt"], &own["price_source"]), (&json!("0.000001"), &json!("config")));
        assert_eq!((&own["usage_source"], own["catalog_version"].as_str().map(str::len)), (&json!("reported"), Some(12)));
        let used = server.store.credits(&server.account).await.unwrap().used;
        assert_eq!(used, Nanos(13_200));
        let key = server.http.get("/api/v1/key").await.json();
        assert_eq!(key["data"]["usage"], 0.000_013_2);
        let found = server.store.verify().await.unwrap();
        assert!(found.holds() && found.entries == 4, "{found:?}");
        server.stop().await;
    }

    async fn who_pays_nothing_is_entered_all_the_same(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let server = Server::start(db, &upstream.provider("lab-a", "0.000001", "0.000002")).await;
        server.store.set_discount(&server.account, Ppm::WHOLE).await.unwrap();
        assert_eq!(cost(&server.http, &ask()).await, 0.0);
        let found = server.store.verify().await.unwrap();
        assert!(found.holds() && found.entries == 2, "a grant and a discount: {found:?}");
        server.stop().await;
    }

    async fn a_hold_is_made_at_the_accounts_own_price(db: TestDb) {
        let upstream = Upstream::answering("One").await;
        let config = format!("[ledger]\nmarkup = \"100\"\n{}", upstream.provider("lab-a", "0", "0.01"));
        let server = Server::start(db, &config).await;
        // A thousand tokens cost $10 by list, and the account has $10.
        let mut ask = ask();
        ask["max_tokens"] = json!(1000);
        let answer = server.http.post("/api/v1/chat/completions", &ask).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
        assert!(answer.text().contains("up to 1000 tokens, but can only afford 500"), "{}", answer.text());
        server.store.set_discount(&server.account, Ppm::parse_percent("50").unwrap()).await.unwrap();
        while server.http.post("/api/v1/chat/completions", &ask).await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.stop().await;
    }

    async fn units_that_no_token_counts_are_charged_too(db: TestDb) {
        let upstream = Upstream::start(|_| {
            let message = json!({"role": "assistant", "content": "Two cats"});
            let usage = json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "server_tool_use": {"web_search_requests": 3}});
            json_body(200, &json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}))
        })
        .await;
        let priced = upstream.provider("lab-a", "0.000001", "0.000002").replace(
            "completion = \"0.000002\" }",
            "completion = \"0.000002\", image = \"0.001\", request = \"0.01\", web_search = \"0.1\" }\ninput_modalities = [\"text\", \"image\"]",
        );
        let server = Server::start(db, &priced).await;
        let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}});
        let content = json!([{"type": "text", "text": "What are these?"}, image, image]);
        let ask = json!({"model": "acme/orca", "messages": [{"role": "user", "content": content}], "max_tokens": 9});
        assert_eq!(cost(&server.http, &ask).await, 0.312_014);
        server.stop().await;
    }

    async fn damage_to_fees_and_activity_is_found(db: TestDb) {
        let store = db.open().await;
        settle_with_fee(&store).await;
        assert!(store.verify().await.unwrap().holds());
        let damages = [
            ("generations SET fee_nanos = fee_nanos + 1", "generations SET fee_nanos = fee_nanos - 1", "a fee is that of its generation"),
            ("generations SET discount_nanos = 0", "generations SET discount_nanos = 10", "a discount is that of its generation"),
            ("activity SET net_nanos = net_nanos + 1", "activity SET net_nanos = net_nanos - 1", "an account's activity is the sum of its charges"),
            ("activity SET fee_nanos = fee_nanos + 1", "activity SET fee_nanos = fee_nanos - 1", "a day's activity is the sum of its runs"),
        ];
        for (damage, repair, invariant) in damages {
            db.tamper(&format!("UPDATE {damage}")).await;
            let found = store.verify().await.unwrap();
            assert!(found.differences.iter().any(|it| it.invariant == invariant), "{damage}: {found:?}");
            db.tamper(&format!("UPDATE {repair}")).await;
            assert!(store.verify().await.unwrap().holds(), "{repair}");
        }
    }
}

#[tokio::test]
async fn every_replica_hears_of_a_discount_within_a_second() {
    let db = TestDb::postgres().await;
    let upstream = Upstream::answering("One").await;
    let config = upstream.provider("lab-a", "0", "0.000002");
    let (one, other) = (
        Server::start(&db, &config).await,
        Server::start(&db, &config).await,
    );
    let keys = [one.create_key(|_| {}).await, one.create_key(|_| {}).await];
    let clients = keys.map(|key| other.http.with_key(&key));
    for http in &clients {
        assert_eq!(cost(http, &ask()).await, 0.000_002);
    }
    one.store
        .set_discount(&one.account, Ppm::parse_percent("50").unwrap())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for http in &clients {
        assert_eq!(cost(http, &ask()).await, 0.000_001);
    }
    one.stop().await;
    other.stop().await;
    db.drop().await;
}
