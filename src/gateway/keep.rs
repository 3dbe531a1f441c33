//! Keeps measured health in the database each minute and learns what other processes measured, so
//! that neither a restart nor a new replica starts blind. What cannot be kept now is kept later:
//! routing needs none of it to go on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::health::{Healths, StoredHealth};
use crate::clock::now_ms;
use crate::domain::ids::random_text;
use crate::store::{HealthRow, Store, StoreError};

/// Between two exchanges with the database.
const EVERY: Duration = Duration::from_secs(60);

/// Measurements are of use for this long, in milliseconds.
const LIVES_MS: i64 = 24 * 3_600 * 1_000;

/// Health on its way to and from the database.
pub struct HealthKeeper {
    store: Store,
    healths: Healths,
    /// The name of this process, which none had before.
    replica: String,
}

impl HealthKeeper {
    /// Learns what is kept, then starts the task that goes on doing so, which belongs to `tasks`,
    /// ends with `stop`, and keeps everything once more at its end.
    pub async fn start(
        store: Store,
        healths: Healths,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) {
        let keeper = HealthKeeper {
            store,
            healths,
            replica: random_text(20),
        };
        keeper.exchange().await;
        tasks.spawn(keeper.run(stop));
    }

    async fn run(self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(EVERY))
            .await
            .is_some()
        {
            self.exchange().await;
        }
        self.report(self.keep().await);
    }

    async fn exchange(&self) {
        self.report(self.keep().await);
        self.report(self.learn().await);
    }

    async fn keep(&self) -> Result<(), StoreError> {
        let now = now_ms();
        let rows: Vec<HealthRow> = self.healths.unstored(now).into_iter().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let kept = self.store.keep_health(&self.replica, &rows, now).await;
        if kept.is_err() {
            self.healths.store_again();
        }
        kept
    }

    async fn learn(&self) -> Result<(), StoreError> {
        let since = now_ms() - LIVES_MS;
        self.store.forget_health(since).await?;
        let rows = self.store.health_of_others(&self.replica, since).await?;
        let rows: Vec<StoredHealth> = rows.into_iter().map(measured).collect();
        self.healths.learn(&rows);
        Ok(())
    }

    fn report(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::warn!(%error, "the health of endpoints could not be exchanged with the database");
        }
    }
}

fn row(health: StoredHealth) -> HealthRow {
    HealthRow {
        model: health.model.to_string(),
        endpoint: health.tag.to_string(),
        measured: health.measured,
    }
}

fn measured(row: HealthRow) -> StoredHealth {
    StoredHealth {
        model: row.model.into(),
        tag: row.endpoint.into(),
        measured: row.measured,
    }
}
