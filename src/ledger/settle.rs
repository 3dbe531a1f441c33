//! The writer: one task that commits settlements in batches and answers each caller.
//!
//! While one transaction commits, the next batch gathers: no timer, and the busier the larger. A batch
//! whose outcome is not known is sent again, which is safe because a generation's id decides what is new.
//! A batch that the database refuses is halved until the bad row stands alone, which is parked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lease::Leases;
use crate::clock;
use crate::store::{Settlement, Store, StoreError};

/// How long one transaction may take before its outcome counts as unknown.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries while the database is away.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the end waits for runs that still have a hold.
const GRACE: Duration = Duration::from_secs(10);

/// A settlement in the queue, and who waits for it.
pub(super) struct Job {
    pub(super) settlement: Settlement,
    pub(super) reply: Option<oneshot::Sender<Result<(), SettleError>>>,
}

/// Why a run was not charged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SettleError {
    /// The database refuses this one run; it was set aside, to be looked at.
    #[error("the settlement was set aside: {0}")]
    Parked(StoreError),
    /// The ledger stopped before the run was settled.
    #[error("the ledger has stopped")]
    Stopped,
}

/// The writer's task.
pub(super) struct Writer {
    store: Store,
    leases: Arc<Leases>,
    batch: usize,
}

impl Writer {
    pub(super) fn new(store: Store, leases: Arc<Leases>, batch: usize) -> Self {
        Writer {
            store,
            leases,
            batch: batch.max(1),
        }
    }

    /// Commits what comes, until `stop`; then what is queued or still held.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(self.batch);
        loop {
            tokio::select! {
                biased;
                taken = inbox.recv_many(&mut jobs, self.batch) => match taken {
                    0 => return,
                    _ => self.commit(std::mem::take(&mut jobs)).await,
                },
                () = stop.cancelled() => break,
            }
        }
        // No new holds from here; holds under way keep their places and may still be settled.
        inbox.close();
        loop {
            match tokio::time::timeout(GRACE, inbox.recv_many(&mut jobs, self.batch)).await {
                Ok(0) => return,
                Ok(_) => self.commit(std::mem::take(&mut jobs)).await,
                Err(_) => {
                    tracing::warn!(
                        "runs still had a hold when the ledger stopped; they are not charged"
                    );
                    return;
                }
            }
        }
    }

    async fn commit(&self, jobs: Vec<Job>) {
        let (settlements, replies): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| (job.settlement, job.reply))
            .unzip();
        let outcomes = self.settle(&settlements).await;
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The caller may have gone; the money is settled all the same.
            let _ = reply.map(|reply| reply.send(outcome));
        }
    }

    /// Settles every row that can be settled, and says for each how it went.
    async fn settle(&self, rows: &[Settlement]) -> Vec<Result<(), SettleError>> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            match self.try_settle(part).await {
                Ok(()) => outcomes.extend(part.iter().map(|_| Ok(()))),
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, settlements = part.len(), "the database is away; settlements wait");
                    parts.push(part);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => match part {
                    [row] => outcomes.push(Err(self.park(row, error).await)),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        outcomes
    }

    async fn try_settle(&self, rows: &[Settlement]) -> Result<(), StoreError> {
        let short = tokio::time::timeout(PATIENCE, self.store.settle(rows))
            .await
            .unwrap_or(Err(StoreError::Late))?;
        for row in rows {
            self.leases.settled(row, true);
        }
        for short in short {
            self.leases
                .fell_short(&short.replica, &short.key, short.amount.0);
        }
        Ok(())
    }

    async fn park(&self, row: &Settlement, error: StoreError) -> SettleError {
        let id = row.generation.id.as_str();
        tracing::error!(generation.id = id, %error, "the database refuses a settlement; it is set aside");
        while let Err(error) = self
            .store
            .park(row, &error.to_string(), clock::now_ms())
            .await
        {
            tracing::error!(generation.id = id, %error, "a settlement could not be set aside");
            if !error.is_passing() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.leases.settled(row, false);
        SettleError::Parked(error)
    }
}
