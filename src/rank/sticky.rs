//! Which endpoint served a conversation last (contract 6.6), so that the next request finds its
//! prompt in the endpoint's cache.
//!
//! A fixed table of atomics: a conversation has one place and the latest one there wins. Two halves
//! of different writers can at worst name an endpoint that then is no candidate.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Candidate;
use crate::domain::ids::{AccountId, ModelId};
use crate::plan::Plan;
use crate::plan::conversation::Conversation;

/// Places in the table; a power of two.
const PLACES: usize = 1 << 14;

/// A conversation is forgotten after ten idle minutes.
const IDLE_MS: i64 = 10 * 60 * 1_000;

/// The conversations of this process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Sticky {
    places: Arc<[Place]>,
}

#[derive(Debug, Default)]
struct Place {
    conversation: AtomicU64,
    endpoint: AtomicU64,
    used_at: AtomicI64,
}

impl Default for Sticky {
    fn default() -> Self {
        Sticky {
            places: (0..PLACES).map(|_| Place::default()).collect(),
        }
    }
}

/// A prompt cache that an answer may have filled: which conversation, at which endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    key: StickyKey,
    endpoint: u64,
    /// Whether the caller named the conversation; a guessed one sticks only once the cache was seen to work.
    named: bool,
}

impl Cache {
    /// The cache of the endpoint that serves a plan; `None` where nothing would be gained by coming back.
    pub fn of(account: &AccountId, plan: &Plan, candidate: &Candidate) -> Option<Self> {
        let conversation = plan.conversation?;
        candidate.endpoint.pricing.base.caches().then(|| Cache {
            key: StickyKey::new(account, &candidate.model.id, conversation),
            endpoint: candidate.endpoint.key,
            named: conversation.named,
        })
    }
}

impl Sticky {
    /// For each entry of a plan, the key of the endpoint that served its conversation last.
    pub fn stuck(&self, account: &AccountId, plan: &Plan, now: i64) -> Vec<Option<u64>> {
        let Some(conversation) = plan.conversation else {
            return Vec::new();
        };
        let models = plan.entries.iter().map(|entry| &entry.model.id);
        models
            .map(|model| self.endpoint(StickyKey::new(account, model, conversation), now))
            .collect()
    }

    /// Notes a good answer, of whose prompt so many tokens came from the cache.
    pub fn answered(&self, cache: Cache, cached_tokens: u64, now: i64) {
        if cache.named || cached_tokens > 0 {
            self.served(cache.key, cache.endpoint, now);
        }
    }

    /// The key of the endpoint that served the conversation last.
    pub fn endpoint(&self, key: StickyKey, now: i64) -> Option<u64> {
        let place = self.place(key)?;
        let fresh = now - place.used_at.load(Relaxed) < IDLE_MS;
        (fresh && place.conversation.load(Relaxed) == key.0)
            .then(|| place.endpoint.load(Relaxed))
            .filter(|endpoint| *endpoint != 0)
    }

    /// Notes that the endpoint served the conversation.
    pub fn served(&self, key: StickyKey, endpoint: u64, now: i64) {
        if let Some(place) = self.place(key) {
            place.conversation.store(key.0, Relaxed);
            place.endpoint.store(endpoint, Relaxed);
            place.used_at.store(now, Relaxed);
        }
    }

    fn place(&self, key: StickyKey) -> Option<&Place> {
        self.places.get(key.0 as usize & (PLACES - 1))
    }
}

/// A conversation of an account with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StickyKey(u64);

impl StickyKey {
    /// The key of a conversation.
    pub fn new(account: &AccountId, model: &ModelId, conversation: Conversation) -> Self {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (account, model, conversation.hash).hash(&mut hasher);
        StickyKey(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_forgotten_when_idle() {
        let (sticky, account, model) = (
            Sticky::default(),
            AccountId::from("user_1"),
            ModelId::from("acme/orca"),
        );
        let key = |hash: u64| StickyKey::new(&account, &model, Conversation { hash, named: true });
        sticky.served(key(1), 77, 1_000);
        assert_eq!(sticky.endpoint(key(1), 2_000), Some(77));
        assert_eq!(sticky.endpoint(key(2), 2_000), None);
        assert_eq!(sticky.endpoint(key(1), 1_000 + IDLE_MS), None);
        sticky.served(key(1), 78, 500_000);
        assert_eq!(sticky.endpoint(key(1), 1_000_000), Some(78));
    }
}
