//! Accounts, keys and their changes.

use turnpike::domain::ids::KeyHash;
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::store::{KeyChange, StoreError};

use crate::support::db::on_both_engines;
use crate::support::money::{NOON, account, key, new_key};

on_both_engines! {
    async fn an_address_belongs_to_one_account(db: TestDb) {
        let store = db.open().await;
        assert_eq!(store.first_admin().await.unwrap(), None);
        let user = store.create_account("user@example.test", false, NOON).await.unwrap();
        let admin = store.create_account("admin@example.test", true, NOON + 1).await.unwrap();
        store.create_account("second@example.test", true, NOON + 2).await.unwrap();
        assert!(matches!(store.create_account("user@example.test", true, NOON).await, Err(StoreError::Taken(_))));
        assert_eq!(store.account_by_email("user@example.test").await.unwrap(), Some(user));
        assert_eq!(store.first_admin().await.unwrap(), Some(admin));
        assert_eq!(store.accounts().await.unwrap().len(), 3);
    }

    async fn a_key_is_read_back_as_it_was_stored(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        let mut new = new_key(&account, Some((5, LimitReset::Weekly)));
        new.management = true;
        new.expires_at = Some(NOON + 1);
        new.creator = Some(account.clone());
        store.create_key(&new, NOON).await.unwrap();
        let key = store.key(&account, &new.hash).await.unwrap().unwrap();
        assert_eq!((key.hash, &key.name, &key.label), (new.hash, &new.name, &new.label));
        assert_eq!((key.management, key.disabled, key.include_byok_in_limit), (true, false, false));
        assert_eq!((key.limit, key.limit_reset), (Some(Nanos(5)), LimitReset::Weekly));
        assert_eq!((key.created_at, key.updated_at, key.expires_at), (NOON, None, Some(NOON + 1)));
        assert_eq!((&key.creator, key.remaining(NOON)), (&Some(account), Some(Nanos(5))));
        assert!(matches!(store.create_key(&new, NOON).await, Err(StoreError::Taken(_))));
    }

    async fn a_key_is_out_of_reach_of_other_accounts(db: TestDb) {
        let store = db.open().await;
        let (mine, theirs) = (account(&store, 0).await, account(&store, 0).await);
        let key = key(&store, &mine, None).await.key;
        assert_eq!(store.key(&theirs, &key).await.unwrap(), None);
        assert_eq!(store.change_key(&theirs, &key, &KeyChange::default(), NOON).await.unwrap(), None);
        assert!(!store.delete_key(&theirs, &key, NOON).await.unwrap());
        assert!(store.keys(&theirs, 0, 10, true).await.unwrap().is_empty());
        assert!(store.key(&mine, &key).await.unwrap().is_some());
    }

    async fn a_change_leaves_out_what_it_does_not_name(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        let key = key(&store, &account, Some((5, LimitReset::Daily))).await.key;
        let off = KeyChange { disabled: Some(true), ..KeyChange::default() };
        let changed = store.change_key(&account, &key, &off, NOON + 1).await.unwrap().unwrap();
        assert_eq!((changed.disabled, changed.limit, changed.updated_at), (true, Some(Nanos(5)), Some(NOON + 1)));
        let uncapped = KeyChange { limit: Some(None), limit_reset: Some(LimitReset::Never), name: Some("new".to_owned()), ..KeyChange::default() };
        let changed = store.change_key(&account, &key, &uncapped, NOON + 2).await.unwrap().unwrap();
        assert_eq!(changed, store.key(&account, &key).await.unwrap().unwrap());
        assert_eq!((changed.disabled, changed.limit, changed.limit_reset, changed.name.as_str()), (true, None, LimitReset::Never, "new"));
        assert!(store.keys(&account, 0, 10, false).await.unwrap().is_empty());
        assert_eq!(store.keys(&account, 0, 10, true).await.unwrap(), [changed]);
    }

    async fn a_deleted_key_is_gone_but_not_its_name(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        let new = new_key(&account, None);
        store.create_key(&new, NOON).await.unwrap();
        assert!(store.delete_key(&account, &new.hash, NOON).await.unwrap());
        assert!(!store.delete_key(&account, &new.hash, NOON).await.unwrap());
        assert_eq!(store.known_key(&new.hash).await.unwrap(), None);
        assert!(store.keys(&account, 0, 10, true).await.unwrap().is_empty());
        assert!(matches!(store.create_key(&new, NOON).await, Err(StoreError::Taken(_))));
    }

    async fn keys_are_listed_newest_first_in_pages(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        let mut made = Vec::new();
        for at in 0..5 {
            let new = new_key(&account, None);
            store.create_key(&new, NOON + at).await.unwrap();
            made.insert(0, new.hash);
        }
        let hashes = |keys: Vec<turnpike::store::Key>| keys.into_iter().map(|key| key.hash).collect::<Vec<_>>();
        assert_eq!(hashes(store.keys(&account, 0, 3, false).await.unwrap()), made[..3]);
        assert_eq!(hashes(store.keys(&account, 3, 3, false).await.unwrap()), made[3..]);
    }

    async fn every_change_has_the_next_number(db: TestDb) {
        let store = db.open().await;
        let account = account(&store, 0).await;
        let before = store.last_key_change().await.unwrap();
        let (one, other) = (key(&store, &account, None).await.key, key(&store, &account, None).await.key);
        let hashes = |changes: Vec<(KeyHash, i64)>| changes.into_iter().map(|(hash, _)| hash).collect::<Vec<_>>();
        assert_eq!(hashes(store.changed_keys(before, 10).await.unwrap()), [one, other]);
        let seen = store.last_key_change().await.unwrap();
        store.change_key(&account, &one, &KeyChange::default(), NOON).await.unwrap();
        assert_eq!(hashes(store.changed_keys(seen, 10).await.unwrap()), [one]);
        store.delete_key(&account, &other, NOON).await.unwrap();
        assert_eq!(hashes(store.changed_keys(seen, 10).await.unwrap()), [one, other]);
        assert_eq!(store.changed_keys(store.last_key_change().await.unwrap(), 10).await.unwrap(), []);
    }
}
