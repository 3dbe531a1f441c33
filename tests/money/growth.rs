//! A large installation answers as a small one does: nothing on a request's way reads a table from end to end.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection};
use turnpike::domain::money::Nanos;
use turnpike::domain::quota::Quota;
use turnpike::store::{Ask, Database, Store};

use crate::support::db::TestDb;
use crate::support::money::{NOON, account, key, run, settlement};

const ROWS: &str = "
    INSERT INTO keys (hash, account, name, label, management, disabled, include_byok_in_limit, created_at, change_number)
        SELECT decode(lpad(to_hex(n), 64, '0'), 'hex'), (SELECT MIN(id) FROM accounts), 'k', 'k', FALSE, FALSE, FALSE, n, 0
        FROM generate_series(1, 5000) n;
    INSERT INTO ledger_accounts (id, kind) SELECT 'wallet:user_' || n, 'wallet' FROM generate_series(1, 5000) n;
    INSERT INTO generations (id, account, key_hash, created_at, settled_at, tokens_prompt, tokens_completion, tokens_reasoning, net_nanos, record)
        SELECT 'gen-1700000000-' || n, 'user_' || n % 5000, decode(lpad(to_hex(n), 64, '0'), 'hex'), n, n, 1, 1, 0, 0, '{}'
        FROM generate_series(1, 20000) n;
    INSERT INTO entries SELECT 'charge', 'gen-1700000000-' || n, 'wallet:user_1', 'payable:lab', 1, n FROM generate_series(1, 20000) n;
    INSERT INTO activity SELECT 'user_' || n % 5000, n / 5000 * 86400000, '\\x00', 'm', 'e', 'p', 1, 1, 1, 0, 1, 0, 0 FROM generate_series(1, 20000) n;
    ANALYZE keys, ledger_accounts, generations, entries, activity";

/// What a request asks of the store, from its key to its record.
async fn serve(store: &Store) {
    let who = key(store, &account(store, 1_000).await, None).await;
    store.register("replica", NOON).await.unwrap();
    for _ in 0..10 {
        store.known_key(&who.key).await.unwrap().unwrap();
        let quota = Quota {
            per_minute: None,
            per_day: Some(99),
            per_day_paid: Some(99),
            paid_from: Nanos(1),
        };
        store
            .begin_free_run(&who.account, &quota, NOON)
            .await
            .unwrap()
            .unwrap();
        let ask = Ask {
            key: who.key,
            account: who.account.clone(),
            least: Nanos(1),
            need: Nanos(1),
            want: Nanos(1),
        };
        store.borrow("replica", &[ask], NOON).await.unwrap();
        let generation = run(&who, 1);
        let id = generation.id.as_str().to_owned();
        store
            .settle(&[
                settlement("replica", generation, NOON),
                settlement("replica", run(&who, 0), NOON),
            ])
            .await
            .unwrap();
        store.generation(&who.account, &id).await.unwrap().unwrap();
        store.activity(&who.account, None, 0, NOON).await.unwrap();
        store.statement(&who.account, 0, NOON).await.unwrap();
        store.credits(&who.account).await.unwrap();
    }
}

/// How often each table was read from end to end, and how often by an index.
async fn scans(connection: &mut PgConnection) -> BTreeMap<String, (i64, i64)> {
    let sql = "SELECT relname::TEXT, seq_scan, COALESCE(idx_scan, 0) FROM pg_stat_user_tables WHERE schemaname = current_schema()";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    rows.into_iter()
        .map(|(table, whole, indexed)| (table, (whole, indexed)))
        .collect()
}

#[tokio::test]
async fn nothing_of_a_request_reads_a_large_table_whole() {
    let db = TestDb::postgres().await;
    // The sums of activity in the migrations are the one scan that there may be.
    db.open().await.close().await;
    db.tamper("INSERT INTO accounts (id, email, admin, created_at) VALUES ('user_1', 'a@example.test', FALSE, 1)").await;
    db.tamper(ROWS).await;
    let Database::Postgres { url, .. } = &db.database else {
        unreachable!()
    };
    let mut watch = PgConnection::connect(url.expose()).await.unwrap();
    let before = loop {
        let seen = scans(&mut watch).await;
        if seen["generations"].0 > 0 {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let store = db.open().await;
    serve(&store).await;
    // A connection that ends tells what it did.
    store.close().await;
    let after = loop {
        let seen = scans(&mut watch).await;
        if seen["generations"].1 >= before["generations"].1 + 10 {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    for table in [
        "generations",
        "entries",
        "activity",
        "keys",
        "ledger_accounts",
    ] {
        assert_eq!(
            after[table].0, before[table].0,
            "{table} was read whole: {before:?} {after:?}"
        );
    }
    watch.close().await.unwrap();
    db.drop().await;
}
