//! Money on the way of a request: hold the most it can cost, settle what it did cost.
//!
//! A hold takes credit from the `lease` that this replica has borrowed for the key, in memory. A
//! settlement goes to the one `settle` task, which commits whole batches and answers each caller once
//! its charge is durable. The `bank` borrows, gives back, and keeps this replica counted among the
//! living. Knows the store by its methods; knows no SQL, HTTP, wire or plan.

mod bank;
mod folder;
mod hold;
mod lease;
pub mod price;
mod reply;
pub mod reprice;
pub mod retention;
mod settle;
mod spool;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use hold::{Hold, HoldError};
pub use settle::SettleError;

use crate::clock;
use crate::config::{Config, LedgerConfig};
use crate::domain::generation::Generation;
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::domain::principal::Principal;
use crate::domain::terms::{Ppm, Terms};
use crate::store::{Settlement, Store, StoreError};
use crate::telemetry::metrics::CommitTimes;
use bank::Bank;
use folder::Folder;
use lease::Leases;
use reply::Reply;
use settle::{Job, Settler, Writer};
use spool::Spool;

/// For how long the balance of an account that makes free runs is remembered.
const STANDING_LIVES: Duration = Duration::from_secs(5);
const STANDINGS: u64 = 100_000;
/// How long a free run waits to learn whether its account is in debt.
const STANDING_PATIENCE: Duration = Duration::from_millis(500);

/// How the ledger behaves.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Where the spool lies. One server uses a folder at a time.
    pub directory: PathBuf,
    /// The least credit borrowed for a key at a time, where there is enough.
    pub lease: Nanos,
    /// The most that is held for one request; `None` holds the most it can cost.
    pub hold_cap: Option<Nanos>,
    /// What the operator takes on top of the list price.
    pub markup: Ppm,
    /// The most settlements in one transaction.
    pub batch: usize,
    /// The most runs under way: each keeps its place in the queue from its hold on.
    pub queue: usize,
    /// The largest spool, in bytes.
    pub spool_limit: usize,
    /// When leases move without being asked.
    pub rhythm: Rhythm,
    /// Where the times of commits are counted.
    pub commits: CommitTimes,
}

/// When leases move without being asked. The order is what matters: a replica stops lending from its
/// memory (`fence`) well before anybody takes its leases back (`reclaim`), by clocks that only measure
/// spans, so no two clocks need agree.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Between two looks at heartbeat and idle leases.
    pub tick: Duration,
    /// A lease unused for this long is given back.
    pub idle: Duration,
    /// A replica that could not beat for this long lends nothing more.
    pub fence: Duration,
    /// A replica that was not seen to beat for this long is dead.
    pub reclaim: Duration,
}

impl Rhythm {
    /// The rhythm in which a lease rests for `idle`, and a replica is dead after `lapse`.
    pub fn new(idle: Duration, lapse: Duration) -> Self {
        Rhythm {
            tick: (idle / 5).min(lapse / 45).max(Duration::from_millis(1)),
            idle,
            fence: lapse * 4 / 9,
            reclaim: lapse,
        }
    }
}

impl Default for Rhythm {
    fn default() -> Self {
        Rhythm::new(Duration::from_secs(5), Duration::from_secs(45))
    }
}

impl LedgerSettings {
    /// The defaults, with the spool in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        LedgerSettings {
            directory,
            lease: Nanos::from_dollars(1),
            hold_cap: None,
            markup: Ppm::ZERO,
            batch: 256,
            queue: 32_768,
            spool_limit: 256_000_000,
            rhythm: Rhythm::default(),
            commits: CommitTimes::default(),
        }
    }
}

impl From<&Config> for LedgerSettings {
    fn from(config: &Config) -> Self {
        let LedgerConfig {
            lease,
            hold_cap,
            markup,
            batch,
            queue,
            spool_limit,
            idle,
            lapse,
            ..
        } = config.ledger;
        LedgerSettings {
            directory: config.data_dir.clone(),
            lease,
            hold_cap,
            markup,
            batch,
            queue,
            spool_limit,
            rhythm: Rhythm::new(idle, lapse),
            commits: CommitTimes::default(),
        }
    }
}

/// Why the ledger cannot open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database did not take part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of the spool cannot be used.
    #[error("the data directory {} cannot be used: {error}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// Another server works in the folder.
    #[error("the data directory {} is in use by another server", .0.display())]
    InUse(PathBuf),
}

/// The ledger of this replica. Cloning it shares it.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    hold_cap: Option<Nanos>,
    markup: Ppm,
    leases: Arc<Leases>,
    bank: Bank,
    spool: Spool,
    queue: mpsc::Sender<Job>,
    /// Balances of accounts that make free runs, which need no lease.
    standings: Cache<AccountId, Nanos>,
    tasks: Mutex<Option<Tasks>>,
}

/// The two tasks, and how to end each.
struct Tasks {
    writer: (CancellationToken, JoinHandle<()>),
    bank: (CancellationToken, JoinHandle<()>),
}

impl Ledger {
    /// Settles what an earlier run has left in the spool, takes back what it had borrowed, and starts the
    /// two tasks, which belong to `tasks` and end with [`Ledger::close`]. Fails when the database does not
    /// answer or the folder is in use.
    pub async fn start(
        store: Store,
        settings: LedgerSettings,
        tasks: &TaskTracker,
    ) -> Result<Ledger, OpenError> {
        let (folder, spool) = open_folder(&settings).await?;
        let leases = Arc::new(Leases::new(bank::fresh_name(), settings.lease));
        let settler = Settler::new(store.clone(), Arc::clone(&leases), settings.commits.clone());
        // Before the leases of the dead are taken back, so that late charges still come from them.
        settler.replay(&spool).await;
        bank::register(&store, &leases.replica(), folder.last_replica()).await?;
        folder
            .note_replica(&leases.replica())
            .map_err(|error| unusable(&settings, error))?;

        let (stop_writer, stop_bank) = (CancellationToken::new(), CancellationToken::new());
        let (queue, inbox) = mpsc::channel(settings.queue);
        let (bank, banker) = bank::open(store.clone(), Arc::clone(&leases), &settings);
        let writer = Writer::new(settler, spool.clone(), folder, settings.batch);
        let writer = writer.run(inbox, stop_writer.clone());
        let writer = match store.settling() {
            Some(thread) => tasks.spawn_on(writer, thread),
            None => tasks.spawn(writer),
        };
        let running = Tasks {
            writer: (stop_writer, writer),
            bank: (stop_bank.clone(), tasks.spawn(banker.run(stop_bank))),
        };
        let inner = Inner {
            store,
            hold_cap: settings.hold_cap,
            markup: settings.markup,
            leases,
            bank,
            spool,
            queue,
            standings: Cache::builder()
                .max_capacity(STANDINGS)
                .time_to_live(STANDING_LIVES)
                .build(),
            tasks: Mutex::new(Some(running)),
        };
        Ok(Ledger {
            inner: Arc::new(inner),
        })
    }

    /// What the caller pays over and under the list price.
    pub fn terms(&self, who: &Principal) -> Terms {
        Terms {
            markup: self.inner.markup,
            discount: who.discount,
        }
    }

    /// Reserves `most` of the caller's credit and a place in the queue of settlements, so that whatever
    /// the run costs can be charged without waiting. A run that costs nothing reserves nothing, but an
    /// account in debt may not even do that (contract 15.5).
    pub async fn hold(&self, who: &Principal, most: Nanos) -> Result<Hold, HoldError> {
        if self.inner.spool.is_full() {
            return Err(HoldError::Busy);
        }
        let place = self
            .inner
            .queue
            .clone()
            .try_reserve_owned()
            .map_err(|_| HoldError::Busy)?;
        if most <= Nanos::ZERO {
            // Large, and seldom.
            Box::pin(self.refuse_debtors(&who.account)).await?;
            return Ok(Hold::new(place, self.inner.leases.replica(), None));
        }
        if !self.inner.bank.is_alive() {
            return Err(HoldError::Busy);
        }
        let most = self.inner.hold_cap.map_or(most, |cap| most.min(cap));
        let lease = self.inner.leases.of(who);
        let credit = match lease.take_under(who.limit, most.0) {
            Some(credit) => credit,
            None => self.inner.bank.borrow(&lease, most.0).await?,
        };
        if lease.asks_ahead() {
            self.inner.bank.refill(&lease);
        }
        Ok(Hold::new(place, Arc::clone(lease.replica()), Some(credit)))
    }

    /// Charges a run and keeps it. It is queued by the time this returns, before the answer is awaited: the
    /// money is settled even if the answer is not waited for. The answer comes once the charge is durable.
    pub fn settle(
        &self,
        hold: Hold,
        generation: Generation,
    ) -> impl Future<Output = Result<(), SettleError>> + Send + use<> {
        let (reply, answer) = Reply::expected();
        self.send(hold, generation, Some(reply));
        async move { answer.await.unwrap_or(Err(SettleError::Stopped)) }
    }

    /// Keeps a run that is not charged and gives its credit back, without waiting until it is durable.
    pub fn record(&self, hold: Hold, generation: Generation) {
        self.send(hold, generation, None);
    }

    /// Takes nothing more, commits everything queued, gives the leases back and ends the tasks. Runs that
    /// still have a hold are waited for, within reason.
    pub async fn close(&self) {
        let Some(Tasks { writer, bank }) = self.inner.tasks.lock().take() else {
            return;
        };
        // The writer first: what it settles is no longer lent, and the bank gives back the rest.
        for (stop, task) in [writer, bank] {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the ledger failed");
            }
        }
    }

    fn send(&self, hold: Hold, generation: Generation, reply: Option<Reply>) {
        let (place, replica, credit) = hold.into_parts();
        let settlement = Arc::new(Settlement {
            generation,
            replica,
            settled_at: clock::now_ms(),
        });
        let net = settlement.net().0;
        match credit {
            Some(credit) => credit.charge(net),
            // Held for nothing, charged all the same: the lease is still what it comes from in the database.
            None if net > 0 => self.inner.leases.charge(&settlement, net),
            None => {}
        }
        place.send(Job { settlement, reply });
    }

    /// Fails open when the database is away: a free run spends nothing.
    async fn refuse_debtors(&self, account: &AccountId) -> Result<(), HoldError> {
        let balance = async {
            match tokio::time::timeout(STANDING_PATIENCE, self.inner.store.credits(account)).await {
                Ok(Ok(credits)) => credits.balance(),
                _ => Nanos::ZERO,
            }
        };
        match self.inner.standings.get_with_by_ref(account, balance).await {
            balance if balance < Nanos::ZERO => Err(HoldError::NoCredit { balance }),
            _ => Ok(()),
        }
    }
}

async fn open_folder(settings: &LedgerSettings) -> Result<(Folder, Spool), OpenError> {
    let path = settings.directory.clone();
    let folder = Folder::lock(&path).map_err(|error| unusable(settings, error))?;
    let folder = folder.ok_or_else(|| OpenError::InUse(path.clone()))?;
    let spool = Spool::open(path, settings.spool_limit)
        .await
        .map_err(|error| unusable(settings, error))?;
    Ok((folder, spool))
}

fn unusable(settings: &LedgerSettings, error: io::Error) -> OpenError {
    OpenError::Folder {
        path: settings.directory.clone(),
        error,
    }
}
