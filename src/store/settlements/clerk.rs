//! The clerk: the thread that settles on SQLite, batch after batch.
//!
//! The driver of the store's other statements (sqlx) copies every value to another thread and waits for it statement by
//! statement, which costs several times what SQLite's own work does. The clerk takes a whole batch at once and binds values
//! where they lie (rusqlite, over the same library). Its thread has a name, so that what the ledger costs can be told from
//! the rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::{mpsc, oneshot};

use super::{Settlement, Uncovered, sqlite};
use crate::domain::calendar::Windows;
use crate::store::StoreError;

/// What the thread is called.
const NAME: &str = "ledger";

/// Statements that stay prepared: those of [`sqlite`] and of shares.
const PREPARED: usize = 32;

/// A batch to settle, and whose turn it is to write meanwhile.
struct Order {
    day: Vec<Arc<Settlement>>,
    windows: Windows,
    turn: PoolConnection<Sqlite>,
    reply: oneshot::Sender<(Settled, PoolConnection<Sqlite>)>,
}

type Settled = Result<Vec<Uncovered>, StoreError>;

/// The clerk's desk, where batches are handed in.
#[derive(Debug)]
pub(in crate::store) struct Clerk {
    /// `None` once it is closed.
    desk: Mutex<Option<(mpsc::Sender<Order>, JoinHandle<()>)>>,
}

impl Clerk {
    /// Opens the file, which is there and up to date, and starts the thread.
    pub(in crate::store) async fn open(
        file: &Path,
        patience: Duration,
        pragmas: &'static [(&'static str, &'static str)],
    ) -> Result<Self, StoreError> {
        let file = file.to_owned();
        let (orders, mut inbox) = mpsc::channel::<Order>(1);
        let (ready, opened) = oneshot::channel();
        let work = move || match open(&file, patience, pragmas) {
            Ok(mut connection) => {
                let _ = ready.send(Ok(()));
                while let Some(order) = inbox.blocking_recv() {
                    let Order {
                        day,
                        windows,
                        turn,
                        reply,
                    } = order;
                    // Whatever befalls one batch, the next is settled; a transaction that is dropped is rolled back.
                    let settle = || sqlite::settle(&mut connection, &day, &windows);
                    let settled = catch_unwind(AssertUnwindSafe(settle));
                    let settled = settled.unwrap_or(Err(StoreError::Late));
                    // Whoever waits no longer asks again: a row that is settled is not settled twice.
                    let _ = reply.send((settled, turn));
                }
            }
            Err(error) => _ = ready.send(Err(error)),
        };
        let runtime = tokio::runtime::Handle::current();
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // A turn that nobody waits for goes back to its pool by a task.
            let _inside = runtime.enter();
            work();
        });
        let thread = thread.map_err(sqlx::Error::Io)?;
        opened.await.unwrap_or(Err(StoreError::Late))?;
        Ok(Clerk {
            desk: Mutex::new(Some((orders, thread))),
        })
    }

    /// Settles rows that count in the same windows, all of them or none, and ends the turn. Says which leases fell short.
    pub(super) async fn settle(
        &self,
        day: Vec<Arc<Settlement>>,
        windows: Windows,
        turn: PoolConnection<Sqlite>,
    ) -> Settled {
        let orders = self.desk.lock().as_ref().map(|(orders, _)| orders.clone());
        let orders = orders.ok_or(sqlx::Error::PoolClosed)?;
        let (reply, settled) = oneshot::channel();
        let order = Order {
            day,
            windows,
            turn,
            reply,
        };
        orders.send(order).await.map_err(|_| StoreError::Late)?;
        // The turn ends here, where its task need not be handed to another thread.
        let (settled, _turn) = settled.await.map_err(|_| StoreError::Late)?;
        settled
    }

    /// Ends the thread, once what it was given is done, and closes its connection.
    pub(in crate::store) async fn close(&self) {
        let Some((orders, thread)) = self.desk.lock().take() else {
            return;
        };
        drop(orders);
        if let Ok(Err(_panic)) = tokio::task::spawn_blocking(|| thread.join()).await {
            tracing::error!("the ledger's thread has panicked");
        }
    }
}

fn open(
    file: &Path,
    patience: Duration,
    pragmas: &[(&str, &str)],
) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(patience)?;
    for (name, value) in pragmas {
        connection.pragma_update(None, name, value)?;
    }
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}
