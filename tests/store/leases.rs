//! Credit that replicas borrow.

use turnpike::domain::money::Nanos;
use turnpike::domain::principal::{LimitReset, Principal};
use turnpike::store::{Ask, Keep, Key, Lent, Store, StoreError};

use crate::support::db::on_both_engines;
use crate::support::money::{NOON, account, key, run, settlement};

const DAY: i64 = 86_400_000;

fn ask(who: &Principal, need: i64) -> Ask {
    Ask {
        key: who.key,
        account: who.account.clone(),
        least: Nanos(need),
        need: Nanos(need),
        want: Nanos(need),
    }
}

fn keep(who: &Principal, keep: i64) -> Keep {
    Keep {
        key: who.key,
        account: who.account.clone(),
        keep: Nanos(keep),
    }
}

async fn lent(store: &Store, replica: &str, who: &Principal, need: i64) -> i64 {
    store
        .borrow(replica, &[ask(who, need)], NOON)
        .await
        .unwrap()[0]
        .amount
        .0
}

on_both_engines! {
    async fn leases_together_never_exceed_the_balance(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let (one, other) = (key(&store, &account, None).await, key(&store, &account, None).await);
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &one, 60).await, 60);
        assert_eq!(lent(&store, "b", &other, 60).await, 0);
        assert_eq!(lent(&store, "b", &one, 30).await, 30);
        let refused = store.borrow("a", &[ask(&other, 11)], NOON).await.unwrap().remove(0);
        assert_eq!(refused, Lent { amount: Nanos(0), balance: Nanos(100), wallet_room: Nanos(10), key_room: None });
        store.give_back("a", &[keep(&one, 20)]).await.unwrap();
        assert_eq!(lent(&store, "a", &other, 50).await, 50);
        assert_eq!(lent(&store, "a", &other, 1).await, 0);
    }

    async fn leases_together_never_exceed_the_cap(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, Some((100, LimitReset::Monthly))).await;
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 60).await, 60);
        let refused = store.borrow("b", &[ask(&who, 41)], NOON).await.unwrap().remove(0);
        assert_eq!((refused.amount, refused.key_room), (Nanos(0), Some((Nanos(40), LimitReset::Monthly))));
        store.settle(&[settlement("a", run(&who, 25), NOON)]).await.unwrap();
        store.give_back("a", &[keep(&who, 0)]).await.unwrap();
        assert_eq!(lent(&store, "b", &who, 75).await, 75);
        assert_eq!(lent(&store, "b", &who, 1).await, 0);
    }

    async fn what_is_lent_ahead_leaves_most_for_others(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 900).await;
        let who = key(&store, &account, None).await;
        store.register("a", NOON).await.unwrap();
        let greedy = Ask { want: Nanos(1_000_000), ..ask(&who, 100) };
        assert_eq!(store.borrow("a", &[greedy], NOON).await.unwrap()[0].amount, Nanos(200));
        let crowd = Ask { need: Nanos(10_000), ..ask(&who, 100) };
        assert_eq!(store.borrow("a", &[crowd], NOON).await.unwrap()[0].amount, Nanos(700));
    }

    async fn a_new_window_opens_the_cap_but_not_what_is_still_lent(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000).await;
        let who = key(&store, &account, Some((100, LimitReset::Daily))).await;
        store.register("a", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 100).await, 100);
        store.settle(&[settlement("a", run(&who, 90), NOON)]).await.unwrap();
        let tomorrow = NOON + 86_400_000;
        let room = store.borrow("a", &[ask(&who, 91)], tomorrow).await.unwrap().remove(0).key_room;
        assert_eq!(room, Some((Nanos(90), LimitReset::Daily)));
        assert_eq!(store.borrow("a", &[ask(&who, 90)], tomorrow).await.unwrap()[0].amount, Nanos(90));
    }

    async fn giving_back_twice_is_giving_back_once(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, None).await;
        store.register("a", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 80).await, 80);
        for _ in 0..3 {
            store.give_back("a", &[keep(&who, 30)]).await.unwrap();
        }
        assert_eq!(lent(&store, "a", &who, 71).await, 0);
        assert_eq!(lent(&store, "a", &who, 70).await, 70);
    }

    async fn the_leases_of_the_dead_return_once_and_their_charges_still_count(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, Some((100, LimitReset::Never))).await;
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 80).await, 80);
        let beats = |all: Vec<(String, i64)>, name: &str| all.into_iter().find(|(id, _)| id == name).unwrap().1;
        let stale = beats(store.replicas().await.unwrap(), "a");
        store.beat("a").await.unwrap();
        assert!(!store.reclaim("a", stale).await.unwrap(), "it has moved since");
        let stale = beats(store.replicas().await.unwrap(), "a");
        assert!(store.reclaim("a", stale).await.unwrap());
        assert!(!store.reclaim("a", stale).await.unwrap());
        assert!(matches!(store.beat("a").await, Err(StoreError::Disowned)));
        assert!(matches!(store.borrow("a", &[ask(&who, 1)], NOON).await, Err(StoreError::Disowned)));
        let late = [settlement("a", run(&who, 70), NOON)];
        assert_eq!(store.settle(&late).await.unwrap()[0].amount, Nanos(70));
        assert_eq!(store.settle(&late).await.unwrap(), []);
        assert_eq!(store.credits(&account).await.unwrap().balance(), Nanos(30));
        assert_eq!(lent(&store, "b", &who, 31).await, 0);
        assert_eq!(lent(&store, "b", &who, 30).await, 30);
        store.resign("b").await.unwrap();
        assert!(store.replicas().await.unwrap().is_empty());
    }

    async fn what_a_lease_carries_is_seen_at_once_and_moves_with_it(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 100).await;
        let who = key(&store, &account, Some((100, LimitReset::Daily))).await;
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 60).await, 60);
        assert_eq!(store.settle(&[settlement("a", run(&who, 25), NOON)]).await.unwrap(), []);
        // The next day's cannot be carried beside it, and is written where it belongs at once.
        assert_eq!(store.settle(&[settlement("a", run(&who, 10), NOON + DAY)]).await.unwrap(), []);
        let seen = async |at: &str| {
            let credits = store.credits(&account).await.unwrap();
            assert_eq!((credits.granted, credits.used), (Nanos(100), Nanos(35)), "{at}");
            let user = store.users("", 0, 9).await.unwrap().remove(0);
            assert_eq!((user.balance, user.charged), (Nanos(65), Nanos(35)), "{at}");
            let keys = store.keys(&account, 0, 9, true).await.unwrap();
            assert_eq!(keys, store.find_keys(&account, "test", 0, 9).await.unwrap(), "{at}");
            assert_eq!(Some(&keys[0]), store.key(&account, &who.key).await.unwrap().as_ref(), "{at}");
            let usage = keys[0].usage(NOON + DAY);
            assert_eq!([usage.total, usage.daily, usage.weekly, usage.monthly].map(|sum| sum.0), [35, 10, 35, 10], "{at}");
            assert!(store.verify().await.unwrap().holds(), "{at}");
        };
        seen("carried").await;
        let refused = store.borrow("b", &[ask(&who, 41)], NOON + DAY).await.unwrap().remove(0);
        assert_eq!((refused.amount, refused.balance, refused.wallet_room), (Nanos(0), Nanos(65), Nanos(40)));
        assert_eq!(lent(&store, "a", &who, 1).await, 1);
        seen("after more was lent").await;
        store.give_back("a", &[keep(&who, 3)]).await.unwrap();
        seen("after some was given back").await;
        store.resign("a").await.unwrap();
        seen("after all was given back").await;
        assert_eq!(store.borrow("b", &[ask(&who, 65)], NOON + DAY).await.unwrap()[0].amount, Nanos(65));
    }

    async fn usage_is_the_same_whether_leases_carry_it_or_not(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        let (plain, carried) = (key(&store, &account, None).await, key(&store, &account, None).await);
        for replica in ["a", "b"] {
            assert_eq!(lent(&store, replica, &carried, 1_000).await, 1_000);
        }
        let days = [0, 0, 1, 0, 2, 1, 8, 8, 7, 40, 39, 31, 40];
        for (step, day) in days.into_iter().enumerate() {
            let (net, at) = (1 << step.min(8), NOON + day * DAY);
            let replica = ["a", "b", "b"][step % 3];
            store.settle(&[settlement("nobody", run(&plain, net), at), settlement(replica, run(&carried, net), at)]).await.unwrap();
            if step % 5 == 4 {
                store.give_back(replica, &[keep(&carried, 700)]).await.unwrap();
            }
            let (one, other) = (store.key(&account, &plain.key).await.unwrap(), store.key(&account, &carried.key).await.unwrap());
            for day in [-1, 0, 1, 2, 6, 7, 8, 30, 31, 39, 40, 41] {
                let usage = |key: &Option<Key>| key.as_ref().unwrap().usage(NOON + day * DAY);
                assert_eq!(usage(&one), usage(&other), "step {step}, day {day}");
            }
            assert!(store.verify().await.unwrap().holds(), "step {step}");
        }
    }

    async fn a_lease_that_carries_charges_does_not_end(db: TestDb) {
        let store = db.open().await;
        let who = key(&store, &account(&store, 100).await, None).await;
        store.register("a", NOON).await.unwrap();
        assert_eq!(lent(&store, "a", &who, 60).await, 60);
        store.settle(&[settlement("a", run(&who, 60), NOON)]).await.unwrap();
        let error = db.try_tamper("DELETE FROM leases").await.unwrap_err().to_string();
        assert!(error.contains("still carries charges"), "{error}");
        store.resign("a").await.unwrap();
        assert!(store.verify().await.unwrap().holds());
    }

    async fn lending_and_settling_do_not_wait_for_each_other_in_a_circle(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 1_000_000).await;
        let mut keys = Vec::new();
        for _ in 0..6 {
            keys.push(key(&store, &account, None).await);
        }
        store.register("a", NOON).await.unwrap();
        store.register("b", NOON).await.unwrap();
        // Some charges are covered, and some are not, by then or at all.
        let settle = async |replica: &'static str| {
            for turn in 0..25_i64 {
                let rows: Vec<_> = keys.iter().map(|who| settlement(replica, run(who, turn % 7), NOON + turn % 2 * DAY)).collect();
                store.settle(&rows).await.unwrap();
            }
        };
        let lend = async |replica: &'static str, backwards: bool| {
            for turn in 0..25 {
                let mut asks: Vec<_> = keys.iter().map(|who| ask(who, 5)).collect();
                let mut keeps: Vec<_> = keys.iter().map(|who| keep(who, turn % 4)).collect();
                if backwards {
                    asks.reverse();
                    keeps.reverse();
                }
                store.borrow(replica, &asks, NOON).await.unwrap();
                store.give_back(replica, &keeps).await.unwrap();
            }
        };
        tokio::join!(settle("a"), lend("a", true), settle("b"), lend("b", false), lend("b", true));
        assert!(store.verify().await.unwrap().holds());
        store.resign("a").await.unwrap();
        store.resign("b").await.unwrap();
        assert!(store.verify().await.unwrap().holds());
        let runs = 2 * 6 * (0..25).map(|turn| turn % 7).sum::<i64>();
        assert_eq!(store.credits(&account).await.unwrap().used, Nanos(runs));
    }
}
