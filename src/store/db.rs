//! The two engines behind one [`Store`]: Postgres for production, embedded SQLite for everything else.
//!
//! Most SQL is one text for both, run through the macros [`read!`] and [`write!`]; what truly differs
//! has a function per engine where it is used.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;
use super::settlements::clerk::Clerk;
use crate::config::Config;
use crate::domain::secret::Secret;

static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for a connection, or for SQLite's lock, before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the clerk waits for the lock, as long as the ledger waits for a commit: meanwhile it does nothing else.
const CLERK_PATIENCE: Duration = Duration::from_secs(2);
const SQLITE_READERS: u32 = 4;
/// Pages of the database that the connection of all writers but the clerk keeps in memory, in KiB: room for what it changes at once
/// for many keys that lie far apart.
const WRITER_CACHE: &str = "-16384";
/// The same for the clerk: room for what every batch changes and for the ends of the indexes. It is emptied whenever another
/// connection has written, so more would come and go.
const CLERK_CACHE: &str = "-4096";
/// How many pages the write-ahead log grows to before they are carried over into the database's file. Many, since the
/// pages that every batch changes are carried over once.
const CHECKPOINT_PAGES: &str = "4000";

/// What holds for a connection that writes to SQLite: names and values.
pub(super) type Pragmas = [(&'static str, &'static str); 5];

/// That of one with such a cache. A commit is on the disk when it is answered.
fn writer_pragmas(cache: &'static str) -> Pragmas {
    [
        ("foreign_keys", "ON"),
        ("temp_store", "MEMORY"),
        ("synchronous", "FULL"),
        ("cache_size", cache),
        ("wal_autocheckpoint", CHECKPOINT_PAGES),
    ]
}

/// Which database to use.
#[derive(Clone, Debug)]
pub enum Database {
    /// A Postgres server, shared by any number of replicas.
    Postgres {
        /// `postgres://…`, which may carry a password.
        url: Secret,
        /// The most connections that this process opens.
        connections: u32,
    },
    /// A file of this machine, used by one server and by the command line beside it.
    Sqlite {
        /// The file; it is made when missing.
        file: PathBuf,
    },
}

impl From<&Config> for Database {
    fn from(config: &Config) -> Self {
        match &config.database.url {
            Some(url) => Database::Postgres {
                url: url.clone(),
                connections: config.database.pool_size,
            },
            None => Database::Sqlite {
                file: config.sqlite_file(),
            },
        }
    }
}

/// The database, open. Cloning it shares the connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) engine: Arc<Engine>,
}

#[derive(Debug)]
pub(super) enum Engine {
    Postgres(PgPool),
    /// SQLite admits one writer at a time, so writers have turns, in order, rather than compete for the file's lock. In
    /// their turns the clerk uses a connection of its own, and all others share one.
    Sqlite {
        writer: Writer,
        clerk: Clerk,
        readers: SqlitePool,
    },
}

/// The connection that writes to SQLite, and the turns of all who write.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) pool: SqlitePool,
    turns: Arc<Semaphore>,
}

/// The right to write, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

impl Writer {
    fn new(pool: SqlitePool) -> Self {
        let turns = Arc::new(Semaphore::new(1));
        Writer { pool, turns }
    }

    /// Waits for a turn. The pool, which has one connection, knows turns as well, but asks the connection after each
    /// whether it is alive: two threads woken for every batch.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, turn).await;
        // They are never closed.
        turn.map_err(|_| StoreError::Late)?
            .map_err(|_| StoreError::Late)
    }
}

/// Runs an expression with `$db` bound to the pool that serves reads.
macro_rules! read {
    ($store:expr, $db:ident => $body:expr) => {
        match &*$store.engine {
            $crate::store::db::Engine::Postgres($db) => $body,
            $crate::store::db::Engine::Sqlite { readers: $db, .. } => $body,
        }
    };
}

/// Runs an expression in a transaction bound to `$tx` and commits it. A `?` inside rolls it back.
macro_rules! write {
    ($store:expr, $tx:ident => $body:expr) => {
        match &*$store.engine {
            $crate::store::db::Engine::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let done = $body;
                $tx.commit().await?;
                done
            }
            $crate::store::db::Engine::Sqlite { writer, .. } => {
                let _turn = writer.turn().await?;
                let mut $tx = writer.pool.begin_with("BEGIN IMMEDIATE").await?;
                let done = $body;
                $tx.commit().await?;
                done
            }
        }
    };
}

/// Runs an expression in a read-only transaction bound to `$tx`: whatever it asks is seen at one instant.
macro_rules! snapshot {
    ($store:expr, $tx:ident => $body:expr) => {
        match &*$store.engine {
            $crate::store::db::Engine::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let mut $tx = pool.begin_with(begin).await?;
                $body
            }
            $crate::store::db::Engine::Sqlite { readers, .. } => {
                let mut $tx = readers.begin().await?;
                $body
            }
        }
    };
}

pub(super) use {read, snapshot, write};

impl Store {
    /// Connects and brings the schema up to date. Any number of replicas may do so at once.
    /// Fails when the database cannot be reached or was made by a newer version.
    pub async fn open(at: &Database) -> Result<Store, StoreError> {
        let engine = match at {
            Database::Postgres { url, connections } => open_postgres(url, *connections).await?,
            Database::Sqlite { file } => open_sqlite(file).await?,
        };
        Ok(Store {
            engine: Arc::new(engine),
        })
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        match &*self.engine {
            Engine::Postgres(pool) => pool.close().await,
            Engine::Sqlite {
                writer,
                clerk,
                readers,
            } => {
                readers.close().await;
                clerk.close().await;
                writer.pool.close().await;
            }
        }
    }

    /// Where whoever settles again and again is best: on the thread that does it, if the engine has one.
    pub fn settling(&self) -> Option<&Handle> {
        match &*self.engine {
            Engine::Postgres(_) => None,
            Engine::Sqlite { clerk, .. } => Some(clerk.runtime()),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let query =
            async { Ok(read!(self, db => sqlx::query("SELECT 1").execute(db).await.map(drop))?) };
        tokio::time::timeout(PATIENCE, query)
            .await
            .unwrap_or(Err(StoreError::Late))
    }

    /// Whether other replicas may use the same database.
    pub fn is_shared(&self) -> bool {
        matches!(*self.engine, Engine::Postgres(_))
    }
}

async fn open_postgres(url: &Secret, connections: u32) -> Result<Engine, StoreError> {
    let options = PgConnectOptions::from_str(url.expose())?
        .application_name("turnpike")
        .disable_statement_logging();
    // The pool hides why it cannot connect, so the first connection is made without it.
    tokio::time::timeout(PATIENCE, options.connect())
        .await
        .map_err(|_| StoreError::Late)??
        .close()
        .await?;
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(2))
        .acquire_timeout(PATIENCE)
        // A ping before each use would double the round trips; only a connection that rested may have died unseen.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > Duration::from_secs(1) {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?;
    // The migrator holds an advisory lock meanwhile, so replicas that start together take turns.
    if let Err(error) = POSTGRES_MIGRATIONS.run(&pool).await {
        pool.close().await;
        return Err(error.into());
    }
    Ok(Engine::Postgres(pool))
}

async fn open_sqlite(file: &std::path::Path) -> Result<Engine, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let writer_options = writer_pragmas(WRITER_CACHE).into_iter().fold(
        options.clone().create_if_missing(true),
        |options, (name, value)| options.pragma(name, value),
    );
    migrate_sqlite(&writer_options).await?;
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(writer_options)
        .await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_with(
            options
                .pragma("temp_store", "MEMORY")
                .pragma("query_only", "ON"),
        )
        .await?;
    let clerk = Clerk::open(file, CLERK_PATIENCE, writer_pragmas(CLERK_CACHE)).await?;
    Ok(Engine::Sqlite {
        writer: Writer::new(writer),
        clerk,
        readers,
    })
}

/// Turns the write-ahead log on, which stays on, and migrates inside one immediate transaction: unlike
/// Postgres, the migrator takes no lock of its own here, and the command line may start beside the server.
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection = enable_wal(options).await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    SQLITE_MIGRATIONS.run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    connection.close().await?;
    Ok(())
}

/// The change of journal is the one statement that SQLite's busy timeout does not cover, so two
/// processes that make the same file at once may have to try again.
async fn enable_wal(options: &SqliteConnectOptions) -> Result<sqlx::SqliteConnection, StoreError> {
    let options = options.clone().journal_mode(SqliteJournalMode::Wal);
    let mut tries = 0;
    loop {
        match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if tries == 50 => return Err(error.into()),
            Err(error) if !is_busy(&error) => return Err(error.into()),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
