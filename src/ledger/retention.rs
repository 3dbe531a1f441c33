//! The task that forgets old runs, where the operator wants that.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::now_ms;
use crate::store::{Store, StoreError};

const DAY_MS: i64 = 86_400_000;
/// Between two looks for runs that have grown old.
const EVERY: Duration = Duration::from_secs(600);
/// Runs that one transaction forgets: few, so that settlements never wait long.
const AT_ONCE: u32 = 500;

/// Forgets runs older than so many days from now on. The task belongs to `tasks` and ends with `stop`.
pub fn start(store: Store, days: u32, tasks: &TaskTracker, stop: CancellationToken) {
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let before = now_ms() - i64::from(days) * DAY_MS;
            match forget(&store, before, &stop).await {
                Ok(0) => {}
                Ok(generations) => tracing::info!(generations, "forgot old runs"),
                Err(error) => tracing::warn!(%error, "old runs could not be forgotten yet"),
            }
        }
    });
}

async fn forget(store: &Store, before: i64, stop: &CancellationToken) -> Result<u64, StoreError> {
    let mut all = 0;
    while !stop.is_cancelled() {
        let forgotten = store.forget_generations(before, AT_ONCE).await?;
        all += forgotten;
        if forgotten < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(all)
}
