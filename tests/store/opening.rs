//! Opening a database: made, brought up to date, or refused with one clear line.

use turnpike::store::{Database, Store};

use crate::support::db::on_both_engines;
use crate::support::money::NOON;

on_both_engines! {
    async fn many_may_open_an_empty_database_at_once(db: TestDb) {
        let opening = (0..8).map(|_| {
            let database = db.database.clone();
            tokio::spawn(async move { Store::open(&database).await })
        });
        for opened in opening.collect::<Vec<_>>() {
            opened.await.unwrap().unwrap().ping().await.unwrap();
        }
    }

    async fn what_was_stored_is_there_after_opening_again(db: TestDb) {
        let store = db.open().await;
        let account = store.create_account("user@example.test", false, NOON).await.unwrap();
        store.close().await;
        assert_eq!(db.open().await.account_by_email("user@example.test").await.unwrap(), Some(account));
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let db = crate::support::db::TestDb::sqlite();
    db.open().await.close().await;
    let Database::Sqlite { file } = &db.database else {
        unreachable!()
    };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, x'00', 0)";
    sqlx::query(newer)
        .execute(&sqlx::SqlitePool::connect_with(options).await.unwrap())
        .await
        .unwrap();
    let message = Store::open(&db.database).await.unwrap_err().to_string();
    assert!(
        message.contains("migration 9999") && !message.contains('\n'),
        "{message}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_clear_error() {
    let url = turnpike::domain::secret::Secret::new("postgres://nobody:hidden@127.0.0.1:1/none");
    let message = Store::open(&Database::Postgres {
        url,
        connections: 2,
    })
    .await
    .unwrap_err()
    .to_string();
    assert!(
        message.starts_with("the database is not available")
            && !message.contains("hidden")
            && message.contains("refused"),
        "{message}"
    );
}
