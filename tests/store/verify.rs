//! The ledger's proof finds what is wrong, and nothing where all is right.

use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::store::{Ask, Database, Store, Verification};

use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{NOON, account, key, run, settlement};

/// A ledger with rows in every table.
async fn busy_ledger(store: &Store) {
    let (one, other) = (account(store, 1_000).await, account(store, 5).await);
    let (first, second) = (
        key(store, &one, Some((900, LimitReset::Daily))).await,
        key(store, &one, None).await,
    );
    let third = key(store, &other, None).await;
    store.register("a", NOON).await.unwrap();
    for (who, need) in [(&first, 100), (&second, 50), (&third, 5)] {
        let ask = Ask {
            key: who.key,
            account: who.account.clone(),
            least: Nanos(need),
            need: Nanos(need),
            want: Nanos(need),
        };
        assert_eq!(
            store.borrow("a", &[ask], NOON).await.unwrap()[0].amount,
            Nanos(need)
        );
    }
    for (number, who) in [&first, &second, &third, &first, &third]
        .into_iter()
        .enumerate()
    {
        let at = NOON + i64::try_from(number).unwrap() * 40_000_000;
        store
            .settle(&[
                settlement("a", run(who, 30), at),
                settlement("a", run(who, 0), at),
            ])
            .await
            .unwrap();
    }
}

fn broken(found: &Verification) -> Vec<&'static str> {
    let mut names: Vec<_> = found
        .differences
        .iter()
        .map(|difference| difference.invariant)
        .collect();
    names.dedup();
    names
}

on_both_engines! {
    async fn an_untouched_ledger_holds(db: TestDb) {
        let store = db.open().await;
        assert!(store.verify().await.unwrap().holds(), "empty");
        busy_ledger(&store).await;
        let found = store.verify().await.unwrap();
        assert_eq!(found, Verification { entries: 7, generations: 10, ..Verification::default() });
    }

    async fn each_kind_of_damage_is_found(db: TestDb) {
        let store = db.open().await;
        busy_ledger(&store).await;
        let damages: &[(&str, &str, &[&str])] = &[
            (
                "UPDATE ledger_accounts SET balance_nanos = balance_nanos + 1 WHERE id = 'payable:lab-a'",
                "UPDATE ledger_accounts SET balance_nanos = balance_nanos - 1 WHERE id = 'payable:lab-a'",
                &["all balances add up to nothing", "a balance is the sum of its entries"],
            ),
            (
                "UPDATE keys SET leased_nanos = leased_nanos + 1",
                "UPDATE keys SET leased_nanos = leased_nanos - 1",
                &["a key has lent the sum of its leases"],
            ),
            (
                "UPDATE ledger_accounts SET leased_nanos = leased_nanos + 1 WHERE kind = 'wallet'",
                "UPDATE ledger_accounts SET leased_nanos = leased_nanos - 1 WHERE kind = 'wallet'",
                &["a wallet has lent the sum of its leases"],
            ),
            (
                "UPDATE keys SET usage_daily_nanos = usage_daily_nanos + 1, usage_weekly_nanos = usage_weekly_nanos + 1, usage_monthly_nanos = usage_monthly_nanos + 1",
                "UPDATE keys SET usage_daily_nanos = usage_daily_nanos - 1, usage_weekly_nanos = usage_weekly_nanos - 1, usage_monthly_nanos = usage_monthly_nanos - 1",
                &[
                    "a key's usage of a day is the sum of its charges since",
                    "a key's usage of a week is the sum of its charges since",
                    "a key's usage of a month is the sum of its charges since",
                ],
            ),
            (
                "UPDATE keys SET usage_nanos = usage_nanos + 1",
                "UPDATE keys SET usage_nanos = usage_nanos - 1",
                &[
                    "a wallet has been charged what its keys have used",
                    "a key's usage is the sum of its activity",
                    "a key's usage is the sum of its charges",
                ],
            ),
        ];
        for (damage, repair, expect) in damages {
            db.tamper(damage).await;
            assert_eq!(broken(&store.verify().await.unwrap()), *expect, "{damage}");
            db.tamper(repair).await;
            assert!(store.verify().await.unwrap().holds(), "{repair}");
        }
        // Entries cannot be taken away again, so this damage comes last.
        db.tamper("INSERT INTO entries VALUES ('charge', 'gen-none', 'operator:grants', 'operator:fees', 7, 0)").await;
        let expect = ["a balance is the sum of its entries", "a charge is of a generation"];
        assert_eq!(broken(&store.verify().await.unwrap()), expect);
    }

    async fn a_lost_charge_is_found(db: TestDb) {
        let store = db.open().await;
        busy_ledger(&store).await;
        db.tamper("UPDATE generations SET net_nanos = 31 WHERE id = (SELECT MIN(id) FROM generations WHERE net_nanos = 30)").await;
        let found = broken(&store.verify().await.unwrap());
        assert!(found.contains(&"a charged generation has exactly one charge"), "{found:?}");
        assert!(found.contains(&"a key's usage is the sum of its charges"), "{found:?}");
    }
}

#[tokio::test]
async fn entries_cannot_be_changed() {
    let db = TestDb::sqlite();
    busy_ledger(&db.open().await).await;
    let Database::Sqlite { file } = &db.database else {
        unreachable!()
    };
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(file))
            .await
            .unwrap();
    for sql in ["UPDATE entries SET amount_nanos = 1", "DELETE FROM entries"] {
        let error = sqlx::query(sql)
            .execute(&pool)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}
