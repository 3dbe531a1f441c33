//! The clerk: the thread that settles on SQLite, batch after batch.
//!
//! The driver of the store's other statements (sqlx) copies every value to another thread and waits for it statement by
//! statement, which costs several times what SQLite's own work does. The clerk takes a whole batch at once and binds values
//! where they lie (rusqlite, over the same library). Its thread has a name, so that what the ledger costs can be told from
//! the rest, and a runtime: the ledger's writer lives there, and settles without handing anything over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Settlement, Uncovered, sqlite};
use crate::domain::calendar::Windows;
use crate::store::StoreError;
use crate::store::db::{Pragmas, Turn};

/// What the thread is called.
const NAME: &str = "ledger";

/// By how much the thread gives way to others that are ready, as `nice` counts. Where processors are short, what comes
/// meanwhile is settled together, which takes less of them; where they are not, it makes no difference.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 10;

/// Statements that stay prepared: those of [`sqlite`] and of shares.
const PREPARED: usize = 32;

type Settled = Result<Vec<Uncovered>, StoreError>;

/// The clerk's thread, and its way to the file.
#[derive(Debug)]
pub(in crate::store) struct Clerk {
    books: Arc<Books>,
    runtime: Handle,
    thread: ThreadId,
    /// `None` once it is closed.
    running: Mutex<Option<(DropGuard, JoinHandle<()>)>>,
}

/// The connection, used on the clerk's thread alone; `None` once it is closed.
#[derive(Debug)]
struct Books(Mutex<Option<Connection>>);

impl Clerk {
    /// Starts the thread, and opens the file, which is there and up to date.
    pub(in crate::store) async fn open(
        file: &Path,
        patience: Duration,
        pragmas: Pragmas,
    ) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(sqlx::Error::Io)?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let until = stop.clone();
        let thread = thread::Builder::new().name(NAME.to_owned());
        let thread = thread.spawn(move || {
            give_way();
            runtime.block_on(until.cancelled());
        });
        let (thread, stop) = (thread.map_err(sqlx::Error::Io)?, stop.drop_guard());
        let file = file.to_owned();
        let opened = handle.spawn(async move { open(&file, patience, &pragmas) });
        let connection = opened.await.map_err(|_| StoreError::Late)??;
        Ok(Clerk {
            books: Arc::new(Books(Mutex::new(Some(connection)))),
            runtime: handle,
            thread: thread.thread().id(),
            running: Mutex::new(Some((stop, thread))),
        })
    }

    /// Where its tasks run.
    pub(in crate::store) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Settles rows that count in the same windows, all of them or none, and ends the turn. Says which leases fell short.
    pub(super) async fn settle(
        &self,
        day: &[Arc<Settlement>],
        windows: Windows,
        turn: Turn,
    ) -> Settled {
        if thread::current().id() == self.thread {
            let settled = self.books.settle(day, &windows);
            drop(turn);
            return settled;
        }
        let (books, day) = (Arc::clone(&self.books), day.to_vec());
        // Goes on, and keeps the turn, where whoever waits has gone: a row that is settled is not settled twice.
        let settled = self.runtime.spawn(async move {
            let _turn = turn;
            books.settle(&day, &windows)
        });
        settled.await.map_err(|_| StoreError::Late)?
    }

    /// Ends the thread, once what it was given is done, and closes its connection.
    pub(in crate::store) async fn close(&self) {
        let Some((stop, thread)) = self.running.lock().take() else {
            return;
        };
        // Tasks have their turns in order: once this one has had its own, all before it have.
        let _ = self.runtime.spawn(async {}).await;
        drop(stop);
        let books = Arc::clone(&self.books);
        let closed = tokio::task::spawn_blocking(move || {
            let ended = thread.join();
            drop(books.0.lock().take());
            ended
        });
        if let Ok(Err(_panic)) = closed.await {
            tracing::error!("the ledger's thread has panicked");
        }
    }
}

impl Books {
    /// Whatever befalls one batch, the next is settled; a transaction that is dropped is rolled back.
    fn settle(&self, day: &[Arc<Settlement>], windows: &Windows) -> Settled {
        let mut connection = self.0.lock();
        let connection = connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let settle = || sqlite::settle(connection, day, windows);
        catch_unwind(AssertUnwindSafe(settle)).unwrap_or(Err(StoreError::Late))
    }
}

/// Has the thread that asks give way: on Linux each thread can, elsewhere only the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(GIVES_WAY) {
        tracing::debug!(%error, "the ledger's thread does not give way");
    }
}

fn open(file: &Path, patience: Duration, pragmas: &Pragmas) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(patience)?;
    for (name, value) in pragmas {
        connection.pragma_update(None, name, value)?;
    }
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}
