//! So many requests at a time to one provider, and so many that wait for a place: a provider that
//! stalls fills its own lane and nobody else's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::catalog::snapshot::Provider;
use crate::domain::ids::ProviderSlug;

/// How wide a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// Requests at a time, streams until their end.
    pub concurrency: usize,
    /// Requests that wait for a place.
    pub queue: usize,
    /// How long they wait before they go elsewhere.
    pub wait: Duration,
}

impl Default for Width {
    fn default() -> Self {
        Width {
            concurrency: 20_000,
            queue: 1_000,
            wait: Duration::from_secs(2),
        }
    }
}

/// The lanes of all providers. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    usual: Width,
    lanes: Arc<ArcSwap<HashMap<ProviderSlug, Arc<Lane>>>>,
}

/// A place in a provider's lane, free again when dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "holds the place")] OwnedSemaphorePermit);

/// The lane and its queue are full, or a place did not come free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
struct Lane {
    width: Width,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Lanes {
    pub(super) fn new(usual: Width) -> Self {
        Lanes {
            usual,
            lanes: Arc::default(),
        }
    }

    /// Takes a place in the provider's lane, or waits for one as its width allows.
    pub(super) async fn enter(&self, provider: &Provider) -> Result<Place, Full> {
        self.lane(provider).enter().await
    }

    /// The provider's lane; made at first use, and again when a reload changed its width.
    fn lane(&self, provider: &Provider) -> Arc<Lane> {
        let width = Width {
            concurrency: provider.concurrency.unwrap_or(self.usual.concurrency),
            queue: provider.queue.unwrap_or(self.usual.queue),
            wait: self.usual.wait,
        };
        let known = |lanes: &HashMap<ProviderSlug, Arc<Lane>>| {
            let lane = lanes.get(&provider.slug).filter(|lane| lane.width == width);
            lane.map(Arc::clone)
        };
        if let Some(lane) = known(&self.lanes.load()) {
            return lane;
        }
        let fresh = Arc::new(Lane::new(width));
        self.lanes.rcu(|lanes| {
            let mut lanes = HashMap::clone(lanes);
            if known(&lanes).is_none() {
                lanes.insert(provider.slug.clone(), Arc::clone(&fresh));
            }
            lanes
        });
        known(&self.lanes.load()).unwrap_or(fresh)
    }
}

impl Lane {
    fn new(width: Width) -> Self {
        Lane {
            width,
            places: Arc::new(Semaphore::new(
                width.concurrency.min(Semaphore::MAX_PERMITS),
            )),
            waiting: AtomicUsize::new(0),
        }
    }

    async fn enter(&self) -> Result<Place, Full> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place(place));
        }
        let _waiting = self.queue().ok_or(Full)?;
        match timeout(self.width.wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Place(place)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    /// Joins the queue while it has room.
    fn queue(&self) -> Option<Waiting<'_>> {
        let waiting = self.waiting.fetch_add(1, Relaxed);
        let joined = Waiting(&self.waiting);
        (waiting < self.width.queue).then_some(joined)
    }
}

/// One who waits; leaves the queue when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture::provider;

    fn narrow(slug: &str) -> Provider {
        Provider {
            concurrency: Some(1),
            queue: Some(1),
            ..provider(slug)
        }
    }

    #[tokio::test]
    async fn a_full_lane_turns_away_and_hinders_no_other() {
        let lanes = Lanes::new(Width {
            wait: Duration::from_millis(20),
            ..Width::default()
        });
        let (a, b) = (narrow("a"), narrow("b"));
        let place = lanes.enter(&a).await.unwrap();
        let queued = tokio::spawn({
            let (lanes, a) = (lanes.clone(), narrow("a"));
            async move { lanes.enter(&a).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert_eq!(lanes.enter(&a).await.err(), Some(Full));
        assert!(lanes.enter(&b).await.is_ok());
        drop(place);
        assert!(queued.await.unwrap());
        let _held = lanes.enter(&a).await.unwrap();
        // Nobody gives the place back: the wait ends by itself.
        assert_eq!(lanes.enter(&a).await.err(), Some(Full));
    }

    #[tokio::test]
    async fn a_reload_changes_the_width() {
        let lanes = Lanes::new(Width::default());
        let _first = lanes.enter(&narrow("a")).await.unwrap();
        let wide = Provider {
            concurrency: Some(2),
            ..narrow("a")
        };
        assert!(lanes.enter(&wide).await.is_ok());
    }
}
