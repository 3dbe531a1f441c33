//! A real server in this process: its own database, its own port, stopped when the test is over.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use turnpike::app::App;
use turnpike::auth::{ApiKey, People};
use turnpike::catalog::{Catalog, CatalogSource, Environment};
use turnpike::config::{Config, Sources};
use turnpike::cores::Cores;
use turnpike::domain::ids::{AccountId, KeyHash, random_text};
use turnpike::domain::money::Nanos;
use turnpike::domain::principal::LimitReset;
use turnpike::domain::secret::Secret;
use turnpike::edge::listen::{Limits, Listener};
use turnpike::edge::router::router;
use turnpike::store::{Account, NewKey, Store};

use super::browser::Browser;
use super::client::Http;
use super::db::TestDb;
use super::log;

/// The password of everybody in the tests.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running server.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) store: Store,
    pub(crate) account: AccountId,
    pub(crate) http: Http,
    pub(crate) key: KeyHash,
    pub(crate) key_text: String,
    app: App,
    stop: CancellationToken,
    /// The server's threads.
    pub(crate) runtimes: Vec<Handle>,
    serving: JoinHandle<Cores>,
    _config: tempfile::TempDir,
    _db: Option<TestDb>,
}

impl Server {
    /// Starts a server on an empty database with this configuration, an account with $10 and a key without a limit.
    pub(crate) async fn start(db: &TestDb, config: &str) -> Server {
        log::start();
        let folder = tempfile::tempdir().unwrap();
        let config = load_config(&folder, config);
        let store = db.open().await;
        let account = store
            .create_account(&format!("{}@example.com", random_text(12)), true, 1)
            .await
            .unwrap()
            .id;
        store
            .grant(&account, Nanos::from_dollars(10), account.as_str(), 1)
            .await
            .unwrap();
        let catalog = Catalog::load(catalog_source(&config)).unwrap();
        let cores = Cores::start().unwrap();
        let app = App::build(&config, store.clone(), catalog, &cores)
            .await
            .unwrap();
        let (listener, stop) = (
            Listener::bind(([127, 0, 0, 1], 0).into()).unwrap(),
            CancellationToken::new(),
        );
        let base = format!("http://{}", listener.address());
        let limits = Limits {
            header_bytes: 64 << 10,
            header_timeout: Duration::from_secs(10),
            connections: 10_000,
            drain_timeout: Duration::from_secs(10),
        };
        let runtimes = cores.runtimes().cloned().collect();
        let (service, end) = (router(app.clone()), stop.clone());
        let serving = tokio::spawn(async move {
            listener.serve(service, limits, &cores, end).await;
            cores
        });
        let http = Http::new(&base);
        let mut server = Server {
            base,
            store,
            account,
            key: KeyHash::of(""),
            key_text: String::new(),
            http,
            app,
            stop,
            runtimes,
            serving,
            _config: folder,
            _db: None,
        };
        let key = server.create_key(|_| {}).await;
        server.key = KeyHash::of(&key);
        server.http = server.http.with_key(&key);
        server.key_text = key;
        server
    }

    /// Starts a server on a SQLite database of its own.
    pub(crate) async fn alone(config: &str) -> Server {
        let db = TestDb::sqlite();
        let server = Server::start(&db, config).await;
        Server {
            _db: Some(db),
            ..server
        }
    }

    /// A further key of the server's account, changed by `change` before it is stored.
    pub(crate) async fn create_key(&self, change: impl FnOnce(&mut NewKey)) -> String {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let fresh = ApiKey::generate();
        let mut key = NewKey {
            hash: fresh.hash,
            label: fresh.label.clone(),
            account: self.account.clone(),
            name: format!("key {}", SERIAL.fetch_add(1, Ordering::Relaxed)),
            management: false,
            limit: None,
            limit_reset: LimitReset::Never,
            include_byok_in_limit: false,
            expires_at: None,
            creator: None,
        };
        change(&mut key);
        self.store.create_key(&key, 1).await.unwrap();
        fresh.text.expose().to_owned()
    }

    /// A client with a management key.
    pub(crate) async fn manager(&self) -> Http {
        let key = self.create_key(|key| key.management = true).await;
        self.http.with_key(&key)
    }

    /// The record of a run, once it is stored: one that is not charged is stored behind its answer.
    pub(crate) async fn generation(&self, id: &str) -> Value {
        loop {
            let answer = self.http.get(&format!("/api/v1/generation?id={id}")).await;
            match answer.status {
                StatusCode::OK => return answer.json()["data"].clone(),
                StatusCode::NOT_FOUND => tokio::task::yield_now().await,
                status => panic!("{status}: {}", answer.text()),
            }
        }
    }

    /// An account with this address, the tests' password and $10; answers a browser that is signed in.
    pub(crate) async fn person(&self, email: &str, admin: bool) -> (Account, Browser) {
        let account = self.store.create_account(email, admin, 1).await.unwrap();
        let amount = Nanos::from_dollars(10);
        let grant = self.store.grant(&account.id, amount, email, 1);
        assert!(grant.await.unwrap());
        let password = Secret::new(PASSWORD);
        let set = self.app.people.set_password(&account.id, &password);
        set.await.unwrap();
        let browser = Browser::new(&self.base);
        browser.sign_in(email, PASSWORD).await;
        (account, browser)
    }

    /// People as the server knows them.
    pub(crate) fn people(&self) -> &People {
        &self.app.people
    }

    /// Stops as a SIGTERM does: drains, settles, closes.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let cores = self.serving.await.unwrap();
        self.app.stop(Duration::from_secs(10)).await;
        cores.stop().await;
    }
}

fn load_config(folder: &tempfile::TempDir, text: &str) -> Config {
    let file = folder.path().join("turnpike.toml");
    let data_dir = folder.path().display();
    std::fs::write(&file, format!("data_dir = \"{data_dir}\"\n{text}")).unwrap();
    let mut config = Config::load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap_or_else(|problems| panic!("{problems}"));
    // A machine that runs many tests at a time is late, and means nothing by it.
    if !text.contains("overload_after") {
        config.http.overload_after = Duration::from_secs(60);
    }
    config
}

/// The configured providers alone hold keys: nothing of the environment the tests run in.
fn catalog_source(config: &Config) -> CatalogSource {
    CatalogSource {
        overlay: None,
        providers: config.providers.clone(),
        timeouts: config.timeouts,
        environment: Environment::from_fn(|_| None),
    }
}
