//! The last dollar, asked for by many at once through several replicas: it is spent once.
//!
//! The provider honours `max_tokens` and the prompt is free, so that a hold is exactly what its run costs.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use turnpike::auth::ApiKey;
use turnpike::domain::ids::{AccountId, random_text};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::store::{Ask, NewKey, Store};

use crate::support::client::Http;
use crate::support::db::{TestDb, on_both_engines};
use crate::support::money::{account, new_key};
use crate::support::process::{Process, stored_key};
use crate::support::scale::scaled;
use crate::support::upstream::{Script, Seen, Step, Upstream, answer};

const BALANCE: Nanos = Nanos(1_000_000_000);
const CAP: Nanos = Nanos(500_000_000);
const TOKENS: usize = 10;

fn requests() -> usize {
    scaled(240, 2_000)
}

/// What a run costs, in dollars a token: a quarter of the requests fit under the cap.
fn price() -> &'static str {
    scaled("0.001", "0.0001")
}

fn cost() -> Nanos {
    Nanos(Nanos::parse(price()).unwrap().0 * TOKENS as i64)
}

on_both_engines! {
    async fn a_cap_and_a_balance_are_spent_to_the_last_and_no_further(db: TestDb) {
        let shop = Shop::open(db, "[ledger]\nidle = \"1s\"").await;

        let capped = shop.key(Some(CAP)).await;
        let spent = shop.rush(&capped).await;
        assert_eq!(spent.refused(), [StatusCode::FORBIDDEN], "{spent:?}");
        shop.has_charged(&capped, spent.paid()).await;
        shop.nothing_is_lent(&capped).await;
        assert_eq!(shop.spend_the_rest(&capped).await, StatusCode::FORBIDDEN);
        assert_eq!(shop.used(&capped).await, CAP);

        let free = shop.key(None).await;
        let spent = shop.rush(&free).await;
        assert_eq!(spent.refused(), [StatusCode::PAYMENT_REQUIRED], "{spent:?}");
        shop.has_charged(&free, spent.paid()).await;
        shop.nothing_is_lent(&free).await;
        assert_eq!(shop.spend_the_rest(&free).await, StatusCode::PAYMENT_REQUIRED);
        let credits = shop.store.credits(&shop.account).await.unwrap();
        assert_eq!((credits.used, credits.balance()), (BALANCE, Nanos::ZERO));
        shop.close().await;
    }

    async fn what_a_dead_replica_had_borrowed_returns(db: TestDb) {
        let mut shop = Shop::open(db, "[ledger]\nidle = \"1s\"\nlapse = \"6s\"").await;
        let capped = shop.key(Some(CAP)).await;
        let spent = shop.rush_with_a_death(&capped).await;
        assert!(spent.refused().iter().all(|status| *status == StatusCode::FORBIDDEN), "{spent:?}");
        // Of the runs of the dead, some may have been charged whose answer nobody saw.
        let used = shop.used(&capped).await;
        assert!(spent.paid() <= used && used <= CAP, "{spent:?}, {used}");
        shop.nothing_is_lent(&capped).await;
        assert_eq!(shop.spend_the_rest(&capped).await, StatusCode::FORBIDDEN);
        assert_eq!(shop.used(&capped).await, CAP);
        shop.close().await;
    }
}

/// Several replicas on one database, or one where it is embedded, and an account with $1.
struct Shop {
    processes: Vec<Process>,
    store: Store,
    account: AccountId,
    _upstream: Upstream,
}

/// How the requests of a rush ended.
#[derive(Debug, Default)]
struct Spent {
    complete: usize,
    refused: BTreeMap<StatusCode, usize>,
}

impl Spent {
    fn paid(&self) -> Nanos {
        Nanos(cost().0 * self.complete as i64)
    }

    fn refused(&self) -> Vec<StatusCode> {
        self.refused.keys().copied().collect()
    }
}

impl Shop {
    async fn open(db: &TestDb, ledger: &str) -> Shop {
        let upstream = Upstream::start(honest).await;
        let config = format!("{ledger}\n{}", upstream.provider("lab-a", "0", price()));
        let mut processes = vec![Process::start(db, &config).await];
        let store = processes[0].store().await;
        if store.is_shared() {
            for _ in 1..4 {
                processes.push(Process::start(db, &config).await);
            }
        }
        Shop {
            account: account(&store, BALANCE.0).await,
            processes,
            store,
            _upstream: upstream,
        }
    }

    async fn key(&self, cap: Option<Nanos>) -> String {
        let fresh = ApiKey::generate();
        let new = NewKey {
            hash: fresh.hash,
            label: fresh.label,
            ..new_key(&self.account, cap.map(|cap| (cap.0, LimitReset::Never)))
        };
        self.store.create_key(&new, 1).await.unwrap();
        fresh.text.expose().to_owned()
    }

    /// Everybody at once, spread over the replicas.
    async fn rush(&self, key: &str) -> Spent {
        let calls = self.calls(key);
        gather(calls).await
    }

    /// As [`Shop::rush`], and a replica dies in the middle of it.
    async fn rush_with_a_death(&mut self, key: &str) -> Spent {
        let calls = self.calls(key);
        while self.used(key).await < Nanos(CAP.0 / 4) {
            sleep(Duration::from_millis(2)).await;
        }
        self.processes[0].kill();
        let spent = gather(calls).await;
        if self.processes.len() == 1 {
            self.processes[0].restart().await;
        } else {
            drop(self.processes.remove(0));
        }
        spent
    }

    fn calls(&self, key: &str) -> Vec<JoinHandle<Option<StatusCode>>> {
        let https = self
            .processes
            .iter()
            .map(|process| Http::new(&process.base).with_key(key));
        let https: Vec<Http> = https.collect();
        let call = |number: usize| {
            let http = https[number % https.len()].clone();
            tokio::spawn(async move { call(&http, number % 8 > 3).await })
        };
        (0..requests()).map(call).collect()
    }

    async fn used(&self, key: &str) -> Nanos {
        stored_key(&self.store, key).await.usage(1).total
    }

    /// Waits until the database has this much, which on a slow machine may come through a spool; never more.
    async fn has_charged(&self, key: &str, paid: Nanos) {
        let all_there = async {
            while self.used(key).await < paid {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(20), all_there).await;
        assert!(in_time.is_ok(), "what was seen complete is charged");
        assert_eq!(self.used(key).await, paid);
    }

    /// Waits until the replicas have given everything back.
    async fn nothing_is_lent(&self, key: &str) {
        let key = stored_key(&self.store, key).await;
        let most = Nanos(i64::MAX);
        let ask = Ask {
            key: key.hash,
            account: self.account.clone(),
            least: most,
            need: most,
            want: most,
        };
        let probe = random_text(16);
        self.store.register(&probe, 1).await.unwrap();
        let nothing_is_lent = async {
            loop {
                let lent = self
                    .store
                    .borrow(&probe, std::slice::from_ref(&ask), 1)
                    .await
                    .unwrap()
                    .remove(0);
                let left = key
                    .limit
                    .map(|limit| limit.saturating_sub(key.usage(1).total));
                if lent.wallet_room == lent.balance && lent.key_room.map(|(room, _)| room) == left {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let in_time = timeout(Duration::from_secs(30), nothing_is_lent).await;
        assert!(in_time.is_ok(), "replicas keep what they do not use");
        self.store.resign(&probe).await.unwrap();
    }

    /// One request after the other through one replica, until one is refused.
    async fn spend_the_rest(&self, key: &str) -> StatusCode {
        let http = Http::new(&self.processes[0].base).with_key(key);
        loop {
            match call(&http, false).await.unwrap() {
                StatusCode::OK => {}
                status => return status,
            }
        }
    }

    async fn close(self) {
        assert!(self.store.verify().await.unwrap().holds());
        for process in self.processes {
            process.terminate().await;
        }
    }
}

/// A provider that takes its time and says as much as it may.
fn honest(seen: &Seen) -> Script {
    assert_eq!(seen.body["max_tokens"], TOKENS);
    let text = ["word"; TOKENS].join(" ");
    let wait = Duration::from_millis(rand::random_range(0..100));
    let mut script = vec![Step::Wait(wait)];
    script.extend(answer(seen, &text));
    script
}

async fn gather(calls: Vec<JoinHandle<Option<StatusCode>>>) -> Spent {
    let mut spent = Spent::default();
    for call in calls {
        match call.await.unwrap() {
            Some(StatusCode::OK) => spent.complete += 1,
            Some(status) => *spent.refused.entry(status).or_default() += 1,
            None => {}
        }
    }
    spent
}

/// How one request ended, tried again for as long as the server is too busy to say; `None` when its answer
/// was not seen to its end.
async fn call(http: &Http, stream: bool) -> Option<StatusCode> {
    loop {
        match try_call(http, stream).await {
            Some(StatusCode::SERVICE_UNAVAILABLE) => sleep(Duration::from_millis(200)).await,
            ended => return ended,
        }
    }
}

async fn try_call(http: &Http, stream: bool) -> Option<StatusCode> {
    let body = json!({"model": "acme/orca", "max_tokens": TOKENS, "stream": stream, "messages": [{"role": "user", "content": "?"}]});
    let answer = http.try_stream("/api/v1/chat/completions", &body).await?;
    let status = answer.status;
    let text = answer.rest().await?;
    let complete = !stream || text.ends_with(b"data: [DONE]\n\n");
    (status != StatusCode::OK || complete).then_some(status)
}
