//! The database goes away and comes back: what is lent goes on, and nothing is lost or doubled.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use turnpike::domain::ids::AccountId;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::Principal;
use turnpike::ledger::{HoldError, Ledger, LedgerSettings, OpenError};
use turnpike::store::{Database, Store};

use crate::support::db::TestDb;
use crate::support::money::{account, key, run};

const SPOOL: &str = "settlements.spool";

fn settings(db: &TestDb) -> LedgerSettings {
    let mut settings = LedgerSettings::in_directory(db.folder.path().to_owned());
    settings.lease = Nanos(1_000);
    settings
}

async fn start(store: &Store, settings: LedgerSettings) -> Ledger {
    Ledger::start(store.clone(), settings, &TaskTracker::new())
        .await
        .unwrap()
}

async fn settle_one(ledger: &Ledger, who: &Principal, cost: i64) {
    let hold = ledger.hold(who, Nanos(cost)).await.unwrap();
    ledger.settle(hold, run(who, cost)).await.unwrap();
}

/// Waits until the account has been charged this much, and no more.
async fn charged(store: &Store, account: &AccountId, used: i64) {
    let all_there = async {
        while store.credits(account).await.unwrap().used < Nanos(used) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_there)
        .await
        .unwrap();
    assert_eq!(store.credits(account).await.unwrap().used, Nanos(used));
}

fn spooled(db: &TestDb) -> u64 {
    std::fs::metadata(db.folder.path().join(SPOOL))
        .unwrap()
        .len()
}

#[tokio::test]
async fn runs_within_leased_credit_go_on_while_postgres_is_away() {
    let db = TestDb::postgres().await;
    let direct = db.open().await;
    let (proxy, database) = db.behind_proxy().await;
    let store = Store::open(&database).await.unwrap();
    let account = account(&direct, 1_000_000).await;
    let who = key(&direct, &account, None).await;
    let ledger = start(&store, settings(&db)).await;
    settle_one(&ledger, &who, 10).await;

    proxy.cut();
    for _ in 0..30 {
        settle_one(&ledger, &who, 10).await;
    }
    assert!(spooled(&db) > 0);
    assert_eq!(direct.credits(&account).await.unwrap().used, Nanos(10));
    assert!(
        matches!(
            ledger.hold(&who, Nanos(900_000)).await,
            Err(HoldError::Store(_))
        ),
        "more than is leased"
    );

    proxy.mend();
    charged(&direct, &account, 310).await;
    for _ in 0..5 {
        settle_one(&ledger, &who, 10).await;
    }
    ledger.close().await;
    assert_eq!(spooled(&db), 0);
    assert_eq!(direct.credits(&account).await.unwrap().used, Nanos(360));
    let found = direct.verify().await.unwrap();
    assert!(
        found.holds() && direct.replicas().await.unwrap().is_empty(),
        "{found:?}"
    );
    db.drop().await;
}

#[tokio::test]
async fn what_was_spooled_survives_a_crash() {
    let db = TestDb::postgres().await;
    let direct = db.open().await;
    let (proxy, database) = db.behind_proxy().await;
    let account = account(&direct, 1_000_000).await;
    let who = key(&direct, &account, None).await;

    // The runtime of the server that dies: its tasks end wherever they are.
    let server = Runtime::new().unwrap();
    let (settings_of_server, caller) = (settings(&db), who.clone());
    let running = server.spawn(async move {
        let store = Store::open(&database).await.unwrap();
        let ledger = start(&store, settings_of_server).await;
        settle_one(&ledger, &caller, 10).await;
        (ledger, store)
    });
    let (ledger, _store) = running.await.unwrap();
    proxy.cut();
    for _ in 0..20 {
        settle_one(&ledger, &who, 10).await;
    }
    assert!(spooled(&db) > 0);
    assert!(matches!(
        Ledger::start(direct.clone(), settings(&db), &TaskTracker::new()).await,
        Err(OpenError::InUse(_))
    ));
    server.shutdown_background();
    drop(ledger);

    let ledger = loop {
        match Ledger::start(direct.clone(), settings(&db), &TaskTracker::new()).await {
            Ok(ledger) => break ledger,
            Err(OpenError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(direct.credits(&account).await.unwrap().used, Nanos(210));
    assert_eq!(spooled(&db), 0);
    // The dead run's leases came back with its folder: everything can be held.
    assert!(ledger.hold(&who, Nanos(1_000_000 - 210)).await.is_ok());
    ledger.close().await;
    assert!(direct.verify().await.unwrap().holds());
    db.drop().await;
}

#[tokio::test]
async fn a_locked_sqlite_file_sends_settlements_to_the_spool() {
    let db = TestDb::sqlite();
    let store = db.open().await;
    let account = account(&store, 1_000_000).await;
    let who = key(&store, &account, None).await;
    let ledger = start(&store, settings(&db)).await;
    settle_one(&ledger, &who, 10).await;

    let Database::Sqlite { file } = &db.database else {
        unreachable!()
    };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let lock = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..10 {
        settle_one(&ledger, &who, 10).await;
    }
    assert!(spooled(&db) > 0);
    assert_eq!(store.credits(&account).await.unwrap().used, Nanos(10));
    lock.rollback().await.unwrap();
    charged(&store, &account, 110).await;
    ledger.close().await;
    assert!(store.verify().await.unwrap().holds());
}

#[tokio::test]
async fn a_full_spool_refuses_new_runs_and_loses_none() {
    let db = TestDb::postgres().await;
    let direct = db.open().await;
    let (proxy, database) = db.behind_proxy().await;
    let store = Store::open(&database).await.unwrap();
    let account = account(&direct, 1_000_000).await;
    let who = key(&direct, &account, None).await;
    let ledger = start(
        &store,
        LedgerSettings {
            spool_limit: 2_000,
            ..settings(&db)
        },
    )
    .await;
    let mut holds = Vec::new();
    for _ in 0..10 {
        holds.push(ledger.hold(&who, Nanos(10)).await.unwrap());
    }
    proxy.cut();
    for hold in holds {
        ledger.settle(hold, run(&who, 10)).await.unwrap();
    }
    assert!(matches!(
        ledger.hold(&who, Nanos(10)).await,
        Err(HoldError::Busy)
    ));
    assert!(
        matches!(ledger.hold(&who, Nanos(0)).await, Err(HoldError::Busy)),
        "free runs are kept too"
    );
    proxy.mend();
    charged(&direct, &account, 100).await;
    // The spool is emptied just after its last piece is in the database.
    while matches!(ledger.hold(&who, Nanos(10)).await, Err(HoldError::Busy)) {
        tokio::task::yield_now().await;
    }
    settle_one(&ledger, &who, 10).await;
    ledger.close().await;
    db.drop().await;
}
