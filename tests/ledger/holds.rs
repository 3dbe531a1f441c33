//! What may be held, and what becomes of it.

use std::time::Duration;

use tokio_util::task::TaskTracker;
use turnpike::domain::ids::random_text;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::ledger::{HoldError, Ledger, LedgerSettings, SettleError};
use turnpike::store::{KeyChange, Store};

use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{account, key, run};

/// A ledger whose leases are no larger than what runs need.
async fn ledger(db: &TestDb, store: &Store) -> Ledger {
    let folder = db.folder.path().join(random_text(8));
    let mut settings = LedgerSettings::in_directory(folder);
    settings.lease = Nanos(0);
    settings.rhythm.tick = Duration::from_millis(50);
    settings.rhythm.idle = Duration::from_millis(150);
    Ledger::start(store.clone(), settings, &TaskTracker::new())
        .await
        .unwrap()
}

on_both_engines! {
    async fn a_settled_run_is_charged_and_the_rest_of_its_hold_returns(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        let hold = ledger.hold(&who, Nanos(80)).await.unwrap();
        assert_eq!(hold.amount(), Nanos(80));
        assert!(matches!(ledger.hold(&who, Nanos(30)).await, Err(HoldError::Unaffordable { available: Nanos(20), .. })));
        ledger.settle(hold, run(&who, 10)).await.unwrap();
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(10));
        assert!(ledger.hold(&who, Nanos(91)).await.is_err());
        assert!(ledger.hold(&who, Nanos(90)).await.is_ok());
        ledger.close().await;
        assert!(store.replicas().await.unwrap().is_empty());
    }

    async fn each_refusal_names_its_bound(db: TestDb) {
        let store = db.open().await;
        let (rich, poor) = (account(&store, 1_000).await, account(&store, 0).await);
        let (capped, broke) = (key(&store, &rich, Some((50, LimitReset::Daily))).await, key(&store, &poor, None).await);
        let ledger = ledger(db, &store).await;
        assert!(matches!(ledger.hold(&capped, Nanos(51)).await, Err(HoldError::KeyLimit { reset: LimitReset::Daily })));
        assert!(matches!(ledger.hold(&broke, Nanos(1)).await, Err(HoldError::NoCredit { balance: Nanos(0) })));
        assert!(ledger.hold(&broke, Nanos(0)).await.is_ok(), "free runs need no credit");
        ledger.close().await;
    }

    async fn a_dropped_hold_charges_nothing_and_returns(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        for _ in 0..20 {
            drop(ledger.hold(&who, Nanos(100)).await.unwrap());
        }
        ledger.record(ledger.hold(&who, Nanos(100)).await.unwrap(), run(&who, 0));
        let hold = ledger.hold(&who, Nanos(100)).await.unwrap();
        ledger.settle(hold, run(&who, 100)).await.unwrap();
        assert!(matches!(ledger.hold(&who, Nanos(1)).await, Err(HoldError::NoCredit { .. })));
        ledger.close().await;
    }

    async fn credit_at_rest_in_one_key_serves_another(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let (one, other) = (key(&store, &account, None).await, key(&store, &account, None).await);
        let ledger = ledger(db, &store).await;
        drop(ledger.hold(&one, Nanos(100)).await.unwrap());
        drop(ledger.hold(&other, Nanos(100)).await.unwrap());
        ledger.close().await;
    }

    async fn many_at_once_spend_all_and_no_more(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let who = key(&store, &account, Some((500_000, LimitReset::Never))).await;
        // Two replicas where the database may be shared.
        let mut ledgers = vec![ledger(db, &store).await];
        if store.is_shared() {
            ledgers.push(ledger(db, &store).await);
        }
        let runs = (0..400_usize).map(|number| {
            let (ledger, who) = (ledgers[number % ledgers.len()].clone(), who.clone());
            tokio::spawn(async move {
                match ledger.hold(&who, Nanos(5_000)).await {
                    Ok(hold) => ledger.settle(hold, run(&who, 5_000)).await.map(|()| true).unwrap(),
                    Err(HoldError::KeyLimit { .. }) => false,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let mut settled = 0;
        for run in runs.collect::<Vec<_>>() {
            settled += i64::from(run.await.unwrap());
        }
        let key = store.key(&account, &who.key).await.unwrap().unwrap();
        assert_eq!(key.usage(0).total, Nanos(settled * 5_000));
        assert!(key.usage(0).total <= Nanos(500_000));
        if !store.is_shared() {
            assert_eq!(key.usage(0).total, Nanos(500_000));
        }
        for ledger in ledgers {
            ledger.close().await;
        }
    }

    async fn a_run_that_costs_more_than_was_held_is_charged_in_full(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        let hold = ledger.hold(&who, Nanos(10)).await.unwrap();
        ledger.settle(hold, run(&who, 60)).await.unwrap();
        assert!(matches!(ledger.hold(&who, Nanos(41)).await, Err(HoldError::Unaffordable { available: Nanos(40), .. })));
        let hold = ledger.hold(&who, Nanos(40)).await.unwrap();
        ledger.settle(hold, run(&who, 140)).await.unwrap();
        assert!(matches!(ledger.hold(&who, Nanos(1)).await, Err(HoldError::NoCredit { balance: Nanos(-100) })));
        assert!(matches!(ledger.hold(&who, Nanos(0)).await, Err(HoldError::NoCredit { balance: Nanos(-100) })), "not even a free run");
        ledger.close().await;
    }

    async fn what_rests_is_given_back(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        let (one, other) = (ledger(db, &store).await, store.clone());
        drop(one.hold(&who, Nanos(100)).await.unwrap());
        other.register("other", 0).await.unwrap();
        let ask = [turnpike::store::Ask { key: who.key, account: account.clone(), least: Nanos(100), need: Nanos(100), want: Nanos(100) }];
        tokio::time::timeout(Duration::from_secs(10), async {
            while other.borrow("other", &ask, 0).await.unwrap()[0].amount != Nanos(100) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        one.close().await;
    }

    async fn what_a_run_gives_back_is_not_lent_under_a_lower_limit(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 500).await;
        let mut who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        let (dropped, settled) = (ledger.hold(&who, Nanos(77)).await.unwrap(), ledger.hold(&who, Nanos(77)).await.unwrap());
        let change = KeyChange { limit: Some(Some(Nanos(5))), ..KeyChange::default() };
        store.change_key(&account, &who.key, &change, 0).await.unwrap();
        who.limit = Some((Nanos(5), LimitReset::Never));
        assert!(ledger.hold(&who, Nanos(1)).await.is_err(), "more is held than the new limit");
        drop(dropped);
        assert!(ledger.hold(&who, Nanos(1)).await.is_err(), "another run holds more than the limit");
        ledger.settle(settled, run(&who, 4)).await.unwrap();
        assert!(matches!(ledger.hold(&who, Nanos(2)).await, Err(HoldError::KeyLimit { .. })));
        assert!(ledger.hold(&who, Nanos(1)).await.is_ok());
        ledger.close().await;
    }

    async fn a_changed_limit_binds_at_once(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 10_000).await;
        let mut who = key(&store, &account, Some((500, LimitReset::Never))).await;
        let mut settings = LedgerSettings::in_directory(db.folder.path().join(random_text(8)));
        settings.lease = Nanos(10_000);
        let ledger = Ledger::start(store.clone(), settings, &TaskTracker::new()).await.unwrap();
        let hold = ledger.hold(&who, Nanos(10)).await.unwrap();
        ledger.settle(hold, run(&who, 10)).await.unwrap();
        for (limit, fits, exceeds) in [(60, 50, 51), (10, 0, 1), (1_000, 990, 991), (200, 190, 191)] {
            let change = KeyChange { limit: Some(Some(Nanos(limit))), ..KeyChange::default() };
            store.change_key(&account, &who.key, &change, 1).await.unwrap();
            who = store.known_key(&who.key).await.unwrap().unwrap().principal;
            assert!(matches!(ledger.hold(&who, Nanos(exceeds)).await, Err(HoldError::KeyLimit { .. })), "{exceeds} of {limit}");
            assert!(ledger.hold(&who, Nanos(fits)).await.is_ok(), "{fits} of {limit}");
        }
        ledger.close().await;
        assert!(store.verify().await.unwrap().holds());
    }

    async fn one_bad_run_does_not_keep_the_others(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        let (mut holds, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            holds.push(ledger.hold(&who, Nanos(10)).await.unwrap());
        }
        for (number, hold) in holds.into_iter().enumerate() {
            let mut generation = run(&who, 10);
            if number == 4 {
                generation.charge.net = Nanos(i64::MAX);
            }
            answers.push(ledger.settle(hold, generation));
        }
        let mut parked = 0;
        for answer in answers {
            match answer.await {
                Ok(()) => {}
                Err(SettleError::Parked(_)) => parked += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(parked, 1);
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(80));
        assert!(ledger.hold(&who, Nanos(920)).await.is_ok(), "what the bad run held is free again");
        ledger.close().await;
    }

    async fn a_closed_ledger_has_settled_everything_and_takes_nothing(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let ledger = ledger(db, &store).await;
        let late = ledger.hold(&who, Nanos(1)).await.unwrap();
        for _ in 0..50 {
            // Nobody waits for the answers: the callers have left.
            drop(ledger.settle(ledger.hold(&who, Nanos(10)).await.unwrap(), run(&who, 10)));
        }
        let (_, ()) = tokio::join!(ledger.close(), async {
            tokio::task::yield_now().await;
            drop(ledger.settle(late, run(&who, 1)));
        });
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(501));
        assert!(matches!(ledger.hold(&who, Nanos(1)).await, Err(HoldError::Busy)));
    }
}
