//! The writer: one task that makes settlements durable in batches and answers each caller.
//!
//! While one transaction commits, the next batch gathers: no timer, and the busier the larger. A batch
//! whose outcome is not known is sent again, which is safe because a generation's id decides what is new.
//! A batch that the database refuses is halved until the bad row stands alone, which is parked.
//!
//! While the database is away, settlements go to the [`Spool`] and are answered from there. Once it is back
//! they are replayed, in order and before anything newer, which joins the end of the spool until then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::lease::Leases;
use super::reply::{self, Outcome, Reply};
use super::spool::Spool;
use crate::clock;
use crate::store::{Settlement, Store, StoreError};
use crate::telemetry::metrics::CommitTimes;

/// How long one transaction may take before its outcome counts as unknown and the spool takes over. On SQLite, which settles
/// in the writer's own task, the wait for the file's lock alone is bounded, by as much.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries while neither database nor spool takes anything, and between two looks for the database.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the end waits for runs that still have a hold.
const GRACE: Duration = Duration::from_secs(10);
/// A piece of the spool is larger than a batch, so that a replay overtakes what is still coming in.
const REPLAYED_AT_ONCE: usize = 1_024;

/// A settlement in the queue, and who waits for it.
pub(super) struct Job {
    pub(super) settlement: Arc<Settlement>,
    pub(super) reply: Option<Reply>,
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
    settler: Settler,
    spool: Spool,
    batch: usize,
    /// Locked for as long as the spool may be written.
    _folder: Folder,
}

/// Settles rows in the database and keeps the leases in step.
#[derive(Clone)]
pub(super) struct Settler {
    store: Store,
    leases: Arc<Leases>,
    commits: CommitTimes,
}

/// How a part of a batch went: each row's outcome, or the database went away.
type Settled = Result<Vec<Outcome>, StoreError>;

/// How much of the spool is replayed at once: less after each failure, since a database that is slow might
/// never do a large piece in time, however often it is tried.
struct Pace(usize);

impl Default for Pace {
    fn default() -> Self {
        Pace(REPLAYED_AT_ONCE)
    }
}

impl Pace {
    fn slower(&mut self) {
        self.0 = (self.0 / 2).max(1);
    }

    fn faster(&mut self) {
        self.0 = (self.0 * 2).min(REPLAYED_AT_ONCE);
    }
}

/// A look for the database, some time from now.
type Probe = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

impl Writer {
    pub(super) fn new(settler: Settler, spool: Spool, folder: Folder, batch: usize) -> Self {
        Writer {
            settler,
            spool,
            batch: batch.max(1),
            _folder: folder,
        }
    }

    /// Makes durable what comes, until `stop`; then what is queued or still held.
    pub(super) async fn run(self, mut inbox: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(self.batch);
        let mut probe = self.probe(Duration::ZERO);
        let mut pace = Pace::default();
        loop {
            // Taken in turns: neither may a busy inbox hold up the replay, nor the replay the inbox.
            tokio::select! {
                taken = inbox.recv_many(&mut jobs, self.batch) => match taken {
                    0 => return,
                    _ => self.take(std::mem::take(&mut jobs)).await,
                },
                back = &mut probe, if !self.spool.is_empty() => {
                    let replayed = back.is_ok() && self.settler.replay_piece(&self.spool, &mut pace).await;
                    probe = self.probe(if replayed { Duration::ZERO } else { PAUSE });
                }
                () = stop.cancelled() => break,
            }
        }
        // No new holds from here; holds under way keep their places and may still be settled.
        inbox.close();
        loop {
            match tokio::time::timeout(GRACE, inbox.recv_many(&mut jobs, self.batch)).await {
                Ok(0) => break,
                Ok(_) => self.take(std::mem::take(&mut jobs)).await,
                Err(_) => {
                    tracing::warn!(
                        "runs still had a hold when the ledger stopped; they are not charged"
                    );
                    break;
                }
            }
        }
        self.settler.replay(&self.spool).await;
    }

    /// Makes a batch durable, in the database or in the spool, and answers.
    async fn take(&self, jobs: Vec<Job>) {
        let (settlements, replies): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| (job.settlement, job.reply))
            .unzip();
        let outcomes = self.make_durable(&settlements).await;
        let settled = settlements.into_iter().zip(outcomes);
        let waiting = replies.into_iter().zip(settled);
        reply::answer(waiting.filter_map(|(reply, settled)| Some((reply?, settled))));
    }

    async fn make_durable(&self, rows: &[Arc<Settlement>]) -> Vec<Outcome> {
        loop {
            // What the spool holds is older, and first in turn.
            if self.spool.is_empty() {
                match self.settler.settle(rows).await {
                    Ok(outcomes) => return outcomes,
                    Err(error) => {
                        tracing::warn!(%error, settlements = rows.len(), "the database is away; settlements go to the spool")
                    }
                }
            }
            match self.spool.append(rows).await {
                Ok(()) => return rows.iter().map(|_| Ok(())).collect(),
                Err(error) => {
                    tracing::error!(%error, settlements = rows.len(), "neither database nor spool takes settlements; they wait")
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn probe(&self, pause: Duration) -> Probe {
        let store = self.settler.store.clone();
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            store.ping().await
        })
    }
}

impl Settler {
    pub(super) fn new(store: Store, leases: Arc<Leases>, commits: CommitTimes) -> Self {
        Settler {
            store,
            leases,
            commits,
        }
    }

    /// Replays the spool for as long as the database takes it.
    pub(super) async fn replay(&self, spool: &Spool) {
        let mut pace = Pace::default();
        while !spool.is_empty() && self.replay_piece(spool, &mut pace).await {}
    }

    /// Replays one piece of the spool. Answers whether that went well.
    async fn replay_piece(&self, spool: &Spool, pace: &mut Pace) -> bool {
        match self.try_replay_piece(spool, pace.0).await {
            Ok(settlements) => {
                pace.faster();
                tracing::info!(settlements, "settlements of the spool are in the database");
                true
            }
            Err(error) => {
                pace.slower();
                tracing::warn!(%error, "the spool cannot be replayed yet");
                false
            }
        }
    }

    async fn try_replay_piece(&self, spool: &Spool, most: usize) -> Result<usize, ReplayError> {
        let piece = spool.next(most).await?;
        self.settle(&piece.settlements).await?;
        spool.done(&piece).await?;
        Ok(piece.settlements.len())
    }

    /// Settles every row that can be settled, and says for each how it went. Fails when the database is
    /// away: then all rows are tried again, those that went well included.
    async fn settle(&self, rows: &[Arc<Settlement>]) -> Settled {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut parts = vec![rows];
        while let Some(part) = parts.pop() {
            match self.try_settle(part).await {
                Ok(()) => outcomes.extend(part.iter().map(|_| Ok(()))),
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => match part {
                    [row] => outcomes.push(Err(self.park(row, error).await?)),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
            }
        }
        for (row, outcome) in rows.iter().zip(&outcomes) {
            self.leases.settled(row, outcome.is_ok());
        }
        Ok(outcomes)
    }

    async fn try_settle(&self, rows: &[Arc<Settlement>]) -> Result<(), StoreError> {
        let begun = Instant::now();
        let short = within_patience(self.store.settle(rows)).await?;
        self.commits.count(begun.elapsed());
        for short in short {
            self.leases
                .fell_short(&short.replica, &short.key, short.amount.0);
        }
        Ok(())
    }

    async fn park(&self, row: &Settlement, error: StoreError) -> Result<SettleError, StoreError> {
        let id = row.generation.id.as_str();
        tracing::error!(generation.id = id, %error, "the database refuses a settlement; it is set aside");
        within_patience(self.store.park(row, &error.to_string(), clock::now_ms())).await?;
        Ok(SettleError::Parked(error))
    }
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the spool: {0}")]
    Spool(#[from] io::Error),
}

async fn within_patience<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(StoreError::Late))
}
