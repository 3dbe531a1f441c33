//! The ledger against a simple model of it: random runs, grants, refunds and limits, in any order.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use turnpike::domain::ids::{AccountId, random_text};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::{LimitReset, Principal};
use turnpike::ledger::{Hold, HoldError, Ledger, LedgerSettings};
use turnpike::store::{Database, KeyChange, Store};

use crate::support::money::{NOON, account, key, run};
use crate::support::scale::scaled;

#[derive(Clone, Debug)]
enum Step {
    Hold {
        key: usize,
        amount: i64,
    },
    /// Charges a part of a hold, in percent.
    Settle {
        hold: usize,
        percent: i64,
    },
    Release {
        hold: usize,
    },
    /// Leases come to rest and go back.
    Rest,
    Grant(i64),
    Refund(i64),
    Limit {
        key: usize,
        limit: Option<i64>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (key, hold, amount) = (0_usize..2, 0_usize..4, 1_i64..200);
    prop_oneof![
        4 => (key.clone(), amount.clone()).prop_map(|(key, amount)| Step::Hold { key, amount }),
        3 => (hold.clone(), 0_i64..=100).prop_map(|(hold, percent)| Step::Settle { hold, percent }),
        2 => hold.prop_map(|hold| Step::Release { hold }),
        1 => Just(Step::Rest),
        1 => amount.clone().prop_map(Step::Grant),
        1 => amount.clone().prop_map(Step::Refund),
        1 => (key, prop::option::of(0_i64..600)).prop_map(|(key, limit)| Step::Limit { key, limit }),
    ]
}

/// What the ledger has to agree with. An account begins with some credit, its keys without limits.
struct Model {
    account: AccountId,
    keys: [KeyModel; 2],
    granted: i64,
    /// The most there ever was: what was lent stays lent when a grant is taken back.
    most_granted: i64,
    holds: Vec<(usize, Hold)>,
}

struct KeyModel {
    who: Principal,
    limit: Option<i64>,
    used: i64,
}

const AT_FIRST: i64 = 500;

impl Model {
    async fn new(store: &Store) -> Model {
        let account = account(store, AT_FIRST).await;
        let key = async || KeyModel {
            who: key(store, &account, None).await,
            limit: None,
            used: 0,
        };
        let keys = [key().await, key().await];
        Model {
            account,
            keys,
            granted: AT_FIRST,
            most_granted: AT_FIRST,
            holds: Vec::new(),
        }
    }

    fn used(&self) -> i64 {
        self.keys.iter().map(|key| key.used).sum()
    }

    fn held(&self, of: impl Fn(usize) -> bool) -> i64 {
        let holds = self.holds.iter().filter(|(key, _)| of(*key));
        holds.map(|(_, hold)| hold.amount().0).sum()
    }

    /// What one key could hold now.
    fn room(&self, key: usize) -> i64 {
        let wallet = self.granted - self.used() - self.held(|_| true);
        let KeyModel { limit, used, .. } = &self.keys[key];
        limit.map_or(wallet, |limit| {
            wallet.min(limit - used - self.held(|of| of == key))
        })
    }

    async fn take(&mut self, step: Step, store: &Store, ledger: &Ledger) -> TestCaseResult {
        match step {
            Step::Hold { key, amount } => self.hold(key, amount, ledger).await?,
            Step::Settle { hold, percent } if hold < self.holds.len() => {
                let (key, hold) = self.holds.remove(hold);
                let net = hold.amount().0 * percent / 100;
                self.keys[key].used += net;
                ledger
                    .settle(hold, run(&self.keys[key].who, net))
                    .await
                    .unwrap();
            }
            Step::Release { hold } if hold < self.holds.len() => drop(self.holds.remove(hold)),
            Step::Settle { .. } | Step::Release { .. } => {}
            Step::Rest => tokio::time::sleep(Duration::from_millis(6)).await,
            Step::Grant(amount) => self.grant(amount, store).await,
            Step::Refund(amount) => self.grant(-amount, store).await,
            Step::Limit { key, limit } => self.limit(key, limit, store).await,
        }
        Ok(())
    }

    async fn hold(&mut self, key: usize, amount: i64, ledger: &Ledger) -> TestCaseResult {
        let room = self.room(key);
        match ledger.hold(&self.keys[key].who, Nanos(amount)).await {
            Ok(hold) => {
                self.holds.push((key, hold));
                prop_assert!(
                    self.used() + self.held(|_| true) <= self.most_granted,
                    "{amount} of {room}"
                );
                let KeyModel { limit, used, .. } = &self.keys[key];
                let held = self.held(|of| of == key);
                prop_assert!(
                    limit.is_none_or(|limit| used + held <= limit),
                    "{amount} of {room}"
                );
            }
            Err(
                HoldError::KeyLimit { .. }
                | HoldError::NoCredit { .. }
                | HoldError::Unaffordable { .. },
            ) => {
                prop_assert!(amount > room, "{amount} of {room} was refused");
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
        Ok(())
    }

    async fn grant(&mut self, amount: i64, store: &Store) {
        self.granted += amount;
        self.most_granted = self.most_granted.max(self.granted);
        assert!(
            store
                .grant(&self.account, Nanos(amount), &random_text(20), NOON)
                .await
                .unwrap()
        );
    }

    async fn limit(&mut self, key: usize, limit: Option<i64>, store: &Store) {
        let key = &mut self.keys[key];
        key.limit = limit;
        key.who.limit = limit.map(|limit| (Nanos(limit), LimitReset::Never));
        let change = KeyChange {
            limit: Some(limit.map(Nanos)),
            limit_reset: Some(LimitReset::Never),
            ..KeyChange::default()
        };
        store
            .change_key(&self.account, &key.who.key, &change, NOON)
            .await
            .unwrap();
    }

    /// Everything is settled or released: the ledger has what the model has, and lends all that is left.
    async fn close(mut self, store: &Store, ledger: &Ledger) -> TestCaseResult {
        self.holds.clear();
        let credits = store.credits(&self.account).await.unwrap();
        prop_assert_eq!(
            (credits.granted, credits.used),
            (Nanos(self.granted), Nanos(self.used()))
        );
        for (number, key) in self.keys.iter().enumerate() {
            let stored = store
                .key(&self.account, &key.who.key)
                .await
                .unwrap()
                .unwrap();
            prop_assert_eq!(stored.usage(NOON).total, Nanos(key.used));
            let room = self.room(number);
            if room > 0 {
                let all = ledger.hold(&key.who, Nanos(room)).await;
                prop_assert!(all.is_ok(), "{room} are left, and {all:?}");
            }
        }
        Ok(())
    }
}

#[test]
fn no_order_of_events_breaks_the_ledger() {
    // In memory where the system has a file system there.
    let folder = match Path::new("/dev/shm") {
        shm if shm.is_dir() => tempfile::tempdir_in(shm).unwrap(),
        _ => tempfile::tempdir().unwrap(),
    };
    let runtime = Runtime::new().unwrap();
    let (store, ledger) = runtime.block_on(async {
        let file = folder.path().join("test.db");
        let store = Store::open(&Database::Sqlite { file }).await.unwrap();
        let mut settings = LedgerSettings::in_directory(folder.path().to_owned());
        settings.lease = Nanos(0);
        settings.rhythm.tick = Duration::from_millis(1);
        settings.rhythm.idle = Duration::from_millis(2);
        let ledger = Ledger::start(store.clone(), settings, &TaskTracker::new())
            .await
            .unwrap();
        (store, ledger)
    });
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(scaled(150, 10_000))
    };
    let steps = prop::collection::vec(step(), 0..25);
    let found = TestRunner::new(cases).run(&steps, |steps| {
        runtime.block_on(async {
            let mut model = Model::new(&store).await;
            for step in steps {
                model.take(step, &store, &ledger).await?;
            }
            model.close(&store, &ledger).await
        })
    });
    found.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        ledger.close().await;
        assert!(store.verify().await.unwrap().holds());
    });
}
