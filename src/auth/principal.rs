//! From a key's text to its principal, through a cache that forgets a changed key within half a second.
//!
//! The cache is keyed by the SHA-256 of the whole text, so no secret is ever compared and the time a
//! lookup takes says nothing of any stored key. Many callers with one new key ask the database once.
//! Changes arrive by polling the change number that every change increments, whichever process made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api_key::ApiKey;
use crate::clock;
use crate::domain::ids::KeyHash;
use crate::domain::principal::Principal;
use crate::store::{KnownKey, Store, StoreError};

/// Between two looks at what has changed.
const POLL: Duration = Duration::from_millis(400);
/// Known keys: as many as are in use at a time. A key in use stays known for as long as no change of it is seen, so
/// that callers go on while the database is away.
const KNOWN: u64 = 200_000;
const KNOWN_UNUSED: Duration = Duration::from_secs(3_600);
/// Unknown keys are remembered apart, fewer and more briefly, so that noise cannot push out what is known.
const UNKNOWN: u64 = 10_000;
const UNKNOWN_LIVES: Duration = Duration::from_secs(10);
/// The most changes read at once.
const CHANGES_AT_ONCE: u32 = 1_000;

/// Authentication of callers. Cloning it shares the cache.
#[derive(Clone)]
pub struct Auth {
    keys: Arc<Keys>,
}

/// Why a key is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthError {
    /// The text cannot be a key.
    #[error("the key is malformed")]
    Malformed,
    /// No such key.
    #[error("the key is unknown")]
    Unknown,
    /// The key is switched off.
    #[error("the key is disabled")]
    Disabled,
    /// The key's time has passed.
    #[error("the key has expired")]
    Expired,
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Keys {
    store: Store,
    known: Cache<KeyHash, Arc<Known>>,
    unknown: Cache<KeyHash, ()>,
    /// The number of the last change that was seen.
    seen: AtomicI64,
}

struct Known {
    principal: Arc<Principal>,
    disabled: bool,
}

impl Auth {
    /// Starts the task that watches for changes from now on, which belongs to `tasks` and ends with `stop`.
    pub async fn start(
        store: Store,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Auth, StoreError> {
        let seen = store.last_key_change().await?;
        let keys = Arc::new(Keys {
            store,
            known: Cache::builder()
                .max_capacity(KNOWN)
                .time_to_idle(KNOWN_UNUSED)
                .build(),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN)
                .time_to_live(UNKNOWN_LIVES)
                .build(),
            seen: AtomicI64::new(seen),
        });
        tasks.spawn(Arc::clone(&keys).watch(stop));
        Ok(Auth { keys })
    }

    /// Who calls with this key, now.
    pub async fn principal(&self, key: &str) -> Result<Arc<Principal>, AuthError> {
        if !ApiKey::is_well_formed(key) {
            return Err(AuthError::Malformed);
        }
        let known = self.keys.find(KeyHash::of(key)).await?;
        known.admit(clock::now_ms())
    }

    /// Forgets a key that this process has changed, at once rather than at the next look.
    pub async fn forget(&self, key: &KeyHash) {
        self.keys.forget(key).await;
    }
}

impl Known {
    fn admit(&self, now: i64) -> Result<Arc<Principal>, AuthError> {
        match self.principal.expires_at {
            _ if self.disabled => Err(AuthError::Disabled),
            Some(end) if end <= now => Err(AuthError::Expired),
            _ => Ok(Arc::clone(&self.principal)),
        }
    }
}

impl From<KnownKey> for Known {
    fn from(key: KnownKey) -> Self {
        Known {
            principal: Arc::new(key.principal),
            disabled: key.disabled,
        }
    }
}

impl Keys {
    async fn find(&self, hash: KeyHash) -> Result<Arc<Known>, AuthError> {
        if let Some(known) = self.known.get(&hash).await {
            return Ok(known);
        }
        if self.unknown.contains_key(&hash) {
            return Err(AuthError::Unknown);
        }
        // Large, and seldom: not a part of every request.
        match Box::pin(self.known.try_get_with(hash, self.load(hash))).await {
            Ok(known) => Ok(known),
            Err(error) => Err(AuthError::clone(&error)),
        }
    }

    /// Reads the key until no change was seen meanwhile, so that what is cached is never older than the
    /// last look at the changes.
    async fn load(&self, hash: KeyHash) -> Result<Arc<Known>, AuthError> {
        loop {
            let seen = self.seen.load(Ordering::Acquire);
            let key = self.store.known_key(&hash).await?;
            if self.seen.load(Ordering::Acquire) != seen {
                continue;
            }
            return match key {
                Some(key) => Ok(Arc::new(key.into())),
                None => {
                    self.unknown.insert(hash, ()).await;
                    Err(AuthError::Unknown)
                }
            };
        }
    }

    async fn forget(&self, key: &KeyHash) {
        self.known.invalidate(key).await;
        self.unknown.invalidate(key).await;
    }

    async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut last = Vec::new();
        loop {
            match self.look().await {
                // A key that was being read when its change was seen may have been cached since: forgotten once more.
                Ok(changed) => {
                    for key in std::mem::replace(&mut last, changed) {
                        self.forget(&key).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "changes of keys cannot be seen"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Forgets what has changed since the last look, and answers which keys those were.
    async fn look(&self) -> Result<Vec<KeyHash>, StoreError> {
        let mut forgotten = Vec::new();
        let last = self.store.last_key_change().await?;
        let mut seen = self.seen.load(Ordering::Acquire);
        while seen < last {
            let changed = self.store.changed_keys(seen, CHANGES_AT_ONCE).await?;
            let Some(&(_, latest)) = changed.last() else {
                break;
            };
            seen = latest;
            self.seen.store(seen, Ordering::Release);
            for (key, _) in changed {
                self.forget(&key).await;
                forgotten.push(key);
            }
        }
        Ok(forgotten)
    }
}
