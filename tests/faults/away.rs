//! The database goes away under load: who has credit is served, and nothing complete is lost or doubled.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use turnpike::domain::money::Nanos;
use turnpike::store::{Database, Store};

use crate::support::client::Http;
use crate::support::db::TestDb;
use crate::support::process::{Process, stored_key};
use crate::support::proxy::Proxy;
use crate::support::scale::scaled;
use crate::support::upstream::Upstream;

const CLIENTS: usize = 50;
/// Ten prompt tokens and six of the answer.
const COST: Nanos = Nanos(22_000);

#[tokio::test]
async fn runs_within_leased_credit_go_on_while_the_database_is_away() {
    let mut scene = Scene::set("").await;
    let load = Load::start(&scene.http);
    load.goes_on().await;
    scene.outage.begin().await;
    let away = sleep(scaled(Duration::from_secs(2), Duration::from_secs(10)));
    tokio::join!(away, load.goes_on());
    scene.outage.end().await;
    load.goes_on().await;
    let complete = load.stop().await;
    scene.everything_is_charged_once(&complete).await;
    scene.close().await;
}

#[tokio::test]
async fn a_full_spool_survives_a_kill() {
    let mut scene = Scene::set("").await;
    let load = Load::start(&scene.http);
    load.goes_on().await;
    scene.outage.begin().await;
    while scene.process.spooled() < scaled(50_000, 2_000_000) {
        sleep(Duration::from_millis(5)).await;
    }
    scene.process.kill();
    let complete = load.stop().await;
    scene.outage.end().await;
    scene.process.restart().await;
    assert_eq!(
        scene.process.spooled(),
        0,
        "it is replayed before the first request"
    );
    scene.everything_is_charged_once(&complete).await;
    scene.close().await;
}

#[tokio::test]
async fn a_spool_at_its_limit_refuses_new_runs_until_it_is_empty() {
    let mut scene = Scene::set("[ledger]\nspool_limit = \"20KB\"").await;
    assert_eq!(ask(&scene.http).await.unwrap().0, StatusCode::OK);
    scene.outage.begin().await;
    let mut complete = Vec::new();
    let refused = loop {
        let (status, id, retry_after) = ask(&scene.http).await.unwrap();
        match status {
            StatusCode::OK => complete.push(id),
            _ => break (status, retry_after.is_some()),
        }
    };
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, true));
    assert!(!complete.is_empty() && (20_000..60_000).contains(&scene.process.spooled()));
    scene.outage.end().await;
    let empty = async {
        while ask(&scene.http).await.unwrap().0 != StatusCode::OK {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), empty).await.unwrap();
    scene.everything_is_charged_once(&complete).await;
    scene.close().await;
}

/// A server whose Postgres can be taken away from it.
struct Scene {
    process: Process,
    http: Http,
    key: String,
    outage: Outage,
    db: TestDb,
    _upstream: Upstream,
}

impl Scene {
    async fn set(config: &str) -> Scene {
        let db = TestDb::postgres().await;
        let (outage, database) = Outage::of(&db).await;
        let upstream = Upstream::answering("All is well that ends well").await;
        let config = format!(
            "{config}\n{}",
            upstream.provider("lab-a", "0.000001", "0.000002")
        );
        let mut process = Process::start_on(&database, &config).await;
        let made = process
            .run(&["keys", "create", "--name", "load", "--json"])
            .await;
        let key = made["key"].as_str().unwrap().to_owned();
        // A server that starts now knows of the key's making, and will not look it up again for that.
        process.kill();
        process.restart().await;
        Scene {
            http: Http::new(&process.base).with_key(&key),
            process,
            key,
            outage,
            db,
            _upstream: upstream,
        }
    }

    async fn everything_is_charged_once(&self, complete: &[String]) {
        let store = Store::open(&self.db.database).await.unwrap();
        let account = stored_key(&store, &self.key).await.account;
        timeout(Duration::from_secs(30), async {
            while self.process.spooled() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        for id in complete {
            let stored = store.generation(&account, id).await.unwrap();
            assert!(stored.is_some(), "{id} was seen complete and is missing");
        }
        // Every run there is cost the same, so that one charged twice would show in the sum.
        let found = store.verify().await.unwrap();
        assert!(found.holds(), "{found:?}");
        assert_eq!(
            stored_key(&store, &self.key).await.usage(0).total,
            Nanos(found.generations * COST.0)
        );
        self.process.run(&["ledger", "verify", "--json"]).await;
    }

    async fn close(self) {
        self.process.terminate().await;
        self.db.drop().await;
    }
}

/// How the database is taken away.
enum Outage {
    /// The wire to it is cut.
    Cut(Proxy),
    /// The server itself is stopped, by this command of `pg_ctl`.
    Stop(String),
}

impl Outage {
    /// The server is stopped where `scripts/torture` has started it; it serves no other test then.
    async fn of(db: &TestDb) -> (Outage, Database) {
        match std::env::var("TURNPIKE_TORTURE_POSTGRES") {
            Ok(pg_ctl) => (Outage::Stop(pg_ctl), db.database.clone()),
            Err(_) => {
                let (proxy, database) = db.behind_proxy().await;
                (Outage::Cut(proxy), database)
            }
        }
    }

    async fn begin(&mut self) {
        match self {
            Outage::Cut(proxy) => proxy.cut(),
            Outage::Stop(pg_ctl) => run(format!("{pg_ctl} --mode=fast stop")).await,
        }
    }

    async fn end(&mut self) {
        match self {
            Outage::Cut(proxy) => proxy.mend(),
            Outage::Stop(pg_ctl) => run(format!("{pg_ctl} start")).await,
        }
    }
}

async fn run(command: String) {
    let run = move || {
        Command::new("sh")
            .current_dir("/")
            .arg("-c")
            .arg(command)
            .status()
    };
    assert!(spawn_blocking(run).await.unwrap().unwrap().success());
}

/// Clients that ask one question after the other, and must always be answered while the server lives.
struct Load {
    complete: Arc<Mutex<Vec<String>>>,
    answered: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(http: &Http) -> Load {
        let (complete, answered, over): (
            Arc<Mutex<Vec<String>>>,
            Arc<AtomicUsize>,
            Arc<AtomicBool>,
        ) = Default::default();
        let client = |_| {
            let (http, complete, answered, over) = (
                http.clone(),
                Arc::clone(&complete),
                Arc::clone(&answered),
                Arc::clone(&over),
            );
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    // None when the server was killed.
                    let Some((status, id, _)) = ask(&http).await else {
                        return;
                    };
                    assert_eq!(status, StatusCode::OK);
                    complete.lock().push(id);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Load {
            complete,
            answered,
            over,
            clients,
        }
    }

    /// Waits until each client could have been answered some more times.
    async fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        let goes_on = async {
            while self.answered.load(Ordering::Relaxed) < before + 4 * CLIENTS {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), goes_on)
            .await
            .expect("requests are answered");
    }

    /// The generations that were seen complete.
    async fn stop(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut *self.complete.lock())
    }
}

/// Status, generation and `Retry-After` of one answer; `None` when it was not seen to its end.
async fn ask(http: &Http) -> Option<(StatusCode, String, Option<String>)> {
    let body = json!({"model": "acme/orca", "messages": [{"role": "user", "content": "Is it?"}], "max_tokens": 100});
    let answer = http.try_stream("/api/v1/chat/completions", &body).await?;
    let header = |name: &str| {
        answer
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (status, id, retry_after) = (
        answer.status,
        header("x-generation-id"),
        header("retry-after"),
    );
    let whole = answer.rest().await?;
    serde_json::from_slice::<serde_json::Value>(&whole).ok()?;
    Some((status, id.unwrap_or_default(), retry_after))
}
