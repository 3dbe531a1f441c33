//! Charges: exactly once, from the lease first, counted in their windows.

use turnpike::domain::generation::Leg;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::domain::usage::{Tokens, Usage, UsageSource};
use turnpike::store::{Ask, StoreError};

use crate::support::db::on_both_engines;
use crate::support::money::{NOON, account, key, run, settlement};

const DAY: i64 = 86_400_000;

on_both_engines! {
    async fn a_run_is_charged_once_however_often_it_is_sent(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let (one, other) = (settlement("a", run(&who, 300), NOON), settlement("a", run(&who, 50), NOON));
        store.settle(std::slice::from_ref(&one)).await.unwrap();
        store.settle(&[one.clone(), other.clone(), other.clone(), one.clone()]).await.unwrap();
        store.settle(&[other, one]).await.unwrap();
        let credits = store.credits(&account).await.unwrap();
        assert_eq!((credits.granted, credits.used), (Nanos(1_000), Nanos(350)));
        let stored = store.key(&account, &who.key).await.unwrap().unwrap();
        assert_eq!(stored.usage(NOON).total, Nanos(350));
    }

    async fn a_run_is_read_back_whole_by_its_owner_alone(db: TestDb) {
        let store = db.open().await;
        let (mine, theirs) = (account(&store, 10).await, account(&store, 10).await);
        let who = key(&store, &mine, None).await;
        let mut generation = run(&who, 7);
        generation.usage = Some(Usage { tokens: Tokens { prompt: 3, completion: u64::MAX, ..Tokens::default() }, source: UsageSource::Clamped });
        generation.external_user = Some("a \"quoted\" name, \u{0}, ü, 🦀".to_owned());
        store.settle(&[settlement("a", generation.clone(), NOON + 5)]).await.unwrap();
        let stored = store.generation(&mine, generation.id.as_str()).await.unwrap().unwrap();
        assert_eq!(serde_json::to_string(&stored.generation).unwrap(), serde_json::to_string(&generation).unwrap());
        assert_eq!(stored.settled_at, NOON + 5);
        assert!(store.generation(&theirs, generation.id.as_str()).await.unwrap().is_none());
        assert!(store.generation(&mine, "gen-0-none").await.unwrap().is_none());
    }

    async fn what_several_providers_made_is_charged_once_and_shared(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        let leg = |provider: &str, gross: i64| Leg {
            model: "acme/orca".into(),
            provider: provider.into(),
            endpoint: provider.into(),
            steps: 1,
            gross: Nanos(gross),
        };
        let mut generation = run(&who, 300);
        generation.legs = vec![leg("lab-b", 70), leg("lab-a", 30), leg("lab-c", 0), leg("lab-b", 5)];
        let shared = settlement("a", generation, NOON);
        store.settle(std::slice::from_ref(&shared)).await.unwrap();
        store.settle(&[shared.clone(), settlement("a", run(&who, 1), NOON), shared]).await.unwrap();
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(301));
        let mut steps = Vec::new();
        let all = store.each_entry(0, i64::MAX, |entry| {
            if entry.kind == "step" {
                steps.push((entry.debit, entry.credit, entry.amount.0));
            }
            Ok::<_, StoreError>(())
        });
        all.await.unwrap();
        let step = |amount: i64| ("payable:lab-a".to_owned(), "payable:lab-b".to_owned(), amount);
        assert_eq!(steps, [step(70), step(5)]);
        assert!(store.verify().await.unwrap().holds());
    }

    async fn a_free_run_is_kept_and_moves_nothing(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 10).await;
        let who = key(&store, &account, None).await;
        let mut generation = run(&who, 0);
        generation.served = None;
        store.settle(&[settlement("a", generation.clone(), NOON)]).await.unwrap();
        assert!(store.generation(&account, generation.id.as_str()).await.unwrap().is_some());
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(0));
    }

    async fn charges_use_up_the_lease_first_and_then_the_balance(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        store.register("a", NOON).await.unwrap();
        let ask = |need: i64| [Ask { key: who.key, account: account.clone(), least: Nanos(need), need: Nanos(need), want: Nanos(need) }];
        assert_eq!(store.borrow("a", &ask(60), NOON).await.unwrap()[0].amount, Nanos(60));
        assert_eq!(store.settle(&[settlement("a", run(&who, 40), NOON), settlement("a", run(&who, 15), NOON)]).await.unwrap(), []);
        // 5 of the lease are left, and 40 that nobody holds.
        let short = store.settle(&[settlement("a", run(&who, 12), NOON)]).await.unwrap();
        assert_eq!((short.len(), short[0].replica.as_str(), short[0].key, short[0].amount), (1, "a", who.key, Nanos(7)));
        let lent = store.borrow("a", &ask(34), NOON).await.unwrap().remove(0);
        assert_eq!((lent.balance, lent.wallet_room), (Nanos(33), Nanos(33)));
        store.settle(&[settlement("a", run(&who, 50), NOON)]).await.unwrap();
        assert_eq!(store.credits(&account).await.unwrap().balance(), Nanos(-17));
    }

    async fn usage_is_exact_at_the_edges_of_its_windows(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let who = key(&store, &account, Some((1_000, LimitReset::Weekly))).await;
        let midnight = NOON - DAY / 2;
        let settle = async |net: i64, at: i64| store.settle(&[settlement("a", run(&who, net), at)]).await.unwrap();
        let usage = async |at: i64| {
            let usage = store.key(&account, &who.key).await.unwrap().unwrap().usage(at);
            [usage.total.0, usage.daily.0, usage.weekly.0, usage.monthly.0]
        };
        settle(1, midnight - 1).await;
        settle(10, midnight).await;
        assert_eq!(usage(midnight).await, [11, 10, 10, 11]);
        settle(100, midnight + DAY - 1).await;
        assert_eq!(usage(midnight + DAY - 1).await, [111, 110, 110, 111]);
        assert_eq!(usage(midnight + DAY).await, [111, 0, 110, 0], "a day later it is September");
        settle(1_000, midnight + DAY).await;
        assert_eq!(usage(midnight + DAY).await, [1_111, 1_000, 1_110, 1_000]);
        // A replay of an earlier day is usage all the same, and of this week, but not of today.
        settle(10_000, midnight).await;
        assert_eq!(usage(midnight + DAY).await[..2], [11_111, 1_000]);
        assert_eq!(usage(midnight + DAY).await[2..], [11_110, 1_000]);
        assert_eq!(usage(midnight + 7 * DAY).await, [11_111, 0, 0, 1_000]);
    }

    async fn a_batch_over_midnight_counts_in_both_days(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let who = key(&store, &account, None).await;
        let midnight = NOON + DAY / 2;
        let batch = [midnight - 2, midnight - 1, midnight, midnight + 1].map(|at| settlement("a", run(&who, 100), at));
        store.settle(&batch).await.unwrap();
        let key = store.key(&account, &who.key).await.unwrap().unwrap();
        assert_eq!((key.usage(midnight).total, key.usage(midnight).daily), (Nanos(400), Nanos(200)));
    }

    async fn a_charge_that_overflows_is_refused_whole(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, None).await;
        store.settle(&[settlement("a", run(&who, 1), NOON)]).await.unwrap();
        let fine = settlement("a", run(&who, 10), NOON);
        let broken = settlement("a", run(&who, i64::MAX), NOON);
        assert!(matches!(store.settle(&[fine, broken.clone()]).await, Err(StoreError::Refused(_))));
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(1));
        store.park(&broken, "too much", NOON).await.unwrap();
    }

    async fn a_grant_counts_once_per_reference(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        assert!(store.grant(&account, Nanos(50), "gift", NOON).await.unwrap());
        assert!(!store.grant(&account, Nanos(50), "gift", NOON).await.unwrap());
        assert!(store.grant(&account, Nanos(-20), "correction", NOON).await.unwrap());
        assert_eq!(store.credits(&account).await.unwrap().granted, Nanos(30));
    }

    async fn first_charges_of_a_provider_do_not_wait_for_each_other_in_a_circle(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let who = key(&store, &account, None).await;
        for round in 0..12 {
            let settle = (0..8).map(|_| {
                let mut generation = run(&who, 1);
                generation.served.as_mut().unwrap().provider = format!("lab-{round}").into();
                let (store, row) = (store.clone(), settlement("a", generation, NOON));
                tokio::spawn(async move { store.settle(&[row]).await })
            });
            for settled in settle.collect::<Vec<_>>() {
                settled.await.unwrap().unwrap();
            }
        }
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(12 * 8));
        assert!(store.verify().await.unwrap().holds());
    }
}
