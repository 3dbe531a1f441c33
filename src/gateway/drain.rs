//! Answers whose caller left, read to their end where the provider cannot be stopped and bills them whole.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The most answers that are read for nobody at a time. One more is let go, and charged as far as it came.
const AT_ONCE: usize = 512;

/// The readers of such answers, in the journeys that have them. Each is bounded by its provider's time
/// limits, their number by the places here, and all of them by the shutdown's patience.
#[derive(Clone)]
pub(super) struct Drains {
    places: Arc<Semaphore>,
    hurry: CancellationToken,
}

impl Drains {
    /// No reader yet. `hurry` ends them all.
    pub(super) fn new(hurry: CancellationToken) -> Self {
        Drains {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            hurry,
        }
    }

    /// Goes on with `work` for a caller who left; `None` when it had to be given up.
    pub(super) async fn finish<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let _place = self.places.try_acquire().ok()?;
        self.hurry.run_until_cancelled(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn work_for_nobody_ends_when_the_server_must() {
        let hurry = CancellationToken::new();
        let drains = Drains::new(hurry.clone());
        assert_eq!(drains.finish(ready(7)).await, Some(7));
        let (ended, ()) = tokio::join!(drains.finish(pending::<()>()), async { hurry.cancel() });
        assert_eq!(ended, None);
    }

    #[tokio::test]
    async fn there_is_only_so_much_of_it() {
        let drains = Drains::new(CancellationToken::new());
        let _all = drains.places.acquire_many(AT_ONCE as u32).await.unwrap();
        assert_eq!(drains.finish(ready(7)).await, None);
    }
}
