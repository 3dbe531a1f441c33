//! Old runs may be forgotten; the money they moved is not.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use turnpike::clock::now_ms;
use turnpike::domain::generation::Generation;
use turnpike::domain::ids::GenerationId;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::Principal;

use crate::support::db::on_both_engines;
use crate::support::money::{NOON, account, key, run, settlement};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

const DAY: i64 = 86_400_000;

/// A run that began at `at`.
fn run_at(who: &Principal, net: i64, at: i64) -> Generation {
    Generation {
        id: GenerationId::new(at),
        created_at: at,
        ..run(who, net)
    }
}

on_both_engines! {
    async fn the_books_add_up_without_the_runs(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let mut ids = Vec::new();
        let mut oldest = None;
        for day in 0..60 {
            let generation = run_at(&who, 3, NOON + day * DAY);
            ids.push(generation.id.clone());
            let row = settlement("nobody", generation, NOON + day * DAY + 5);
            store.settle(std::slice::from_ref(&row)).await.unwrap();
            oldest.get_or_insert(row);
        }
        let before = NOON + 20 * DAY;
        assert_eq!(store.forget_generations(before, 15).await.unwrap(), 15);
        assert!(store.verify().await.unwrap().holds(), "half way");
        assert_eq!(store.forget_generations(before, 15).await.unwrap(), 5);
        assert_eq!(store.forget_generations(before, 15).await.unwrap(), 0);
        let found = store.verify().await.unwrap();
        assert!(found.holds(), "{found:?}");
        assert_eq!((found.entries, found.generations), (61, 40));
        for (day, id) in ids.iter().enumerate() {
            let kept = store.generation(&account, id.as_str()).await.unwrap();
            assert_eq!(kept.is_some(), day >= 20, "day {day}");
        }
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(180));
        assert_eq!(store.key(&account, &who.key).await.unwrap().unwrap().usage(NOON).total, Nanos(180));

        // A settlement that comes again when its run is forgotten is not charged again.
        assert!(store.settle(&[oldest.unwrap()]).await.is_err());
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(180));
        assert!(store.verify().await.unwrap().holds());
    }

    async fn a_server_forgets_what_is_older_than_it_should_keep(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let (old, young) = (now_ms() - 41 * DAY, now_ms() - 39 * DAY);
        for at in [old, young] {
            store.settle(&[settlement("nobody", run_at(&who, 1, at), at)]).await.unwrap();
        }
        let upstream = Upstream::answering("One").await;
        let config = format!("[ledger]\nkeep_generations_days = 40\n{}", upstream.provider("lab-a", "0", "0.000001"));
        let server = Server::start(db, &config).await;
        while store.verify().await.unwrap().generations > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ask = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Go"}], "max_tokens": 9});
        assert_eq!(server.http.post("/api/v1/chat/completions", &ask).await.status, StatusCode::OK);
        let found = store.verify().await.unwrap();
        assert!(found.holds() && found.generations == 2, "{found:?}");
        server.stop().await;
    }
}
