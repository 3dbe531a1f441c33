//! Credit that replicas borrow.

use turnpike::domain::money::Nanos;
use turnpike::domain::principal::{LimitReset, Principal};
use turnpike::store::{Ask, Keep, Lent, Store, StoreError};

use crate::support::db::on_both_engines;
use crate::support::money::{NOON, account, key, run, settlement};

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
}
