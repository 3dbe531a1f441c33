//! What requests ask of SQLite is answered from keys and indexes: no statement on their way reads a table from end to
//! end. Postgres is watched at work by the tests of the whole.

use sqlx::AssertSqlSafe;

use super::db::{Database, Engine, Store};
use super::{activity, counters, generations, keys, leases, settlements, statement};

/// What is small whatever the installation has seen: what a request brings.
const SMALL: [&str; 2] = ["json_each", "CONSTANT ROW"];

async fn check(store: &Store, sql: &str) {
    let Engine::Sqlite { writer, .. } = &*store.engine else {
        panic!("not SQLite")
    };
    let statements = sql
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    for statement in statements {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .fetch_all(&writer.pool)
            .await
            .unwrap();
        for (_, _, _, step) in plan {
            let scanned = step.strip_prefix("SCAN ").map(|rest| {
                let end = rest.find(" VIRTUAL").or_else(|| rest.find(" USING"));
                let table = &rest[..end.unwrap_or(rest.len())];
                table.strip_prefix("temp.").unwrap_or(table)
            });
            assert!(
                scanned.is_none_or(|table| SMALL.contains(&table)),
                "{step}\n{statement}"
            );
        }
    }
}

#[tokio::test]
async fn no_statement_of_a_request_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let store = Store::open(&Database::Sqlite { file }).await.unwrap();
    let hot = [
        keys::KNOWN_KEY,
        counters::CARRIED,
        leases::LOCK_LEASE,
        leases::LOCK_WALLET,
        leases::LOCK_KEY,
        leases::LEND,
        generations::GENERATION,
        activity::ACTIVITY,
        statement::GIVEN,
        statement::GRANTS,
    ];
    for sql in hot.into_iter().chain(settlements::sqlite::STATEMENTS) {
        check(&store, sql).await;
    }
}

#[tokio::test]
#[should_panic(expected = "SCAN generations")]
async fn a_statement_that_does_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let store = Store::open(&Database::Sqlite { file }).await.unwrap();
    check(&store, "SELECT id FROM generations WHERE net_nanos > 5").await;
}
