//! Limits on runs that cost nothing, per account and over all replicas (contract 18.1).
//!
//! What is refused is refused from memory for a while, so that a client that does not stop asking costs no
//! database its time; what is let through was counted in the database, so that replicas agree to the run.
//! Without the database a replica counts for itself. Runs that are paid for never come here.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::Op;

use crate::clock::now_ms;
use crate::domain::ids::{AccountId, ModelId};
use crate::domain::money::Nanos;
use crate::domain::quota::{FreeRuns, Quota, QuotaExceeded};
use crate::store::Store;

/// How long a refusal stands before the database is asked again: credit that was bought meanwhile may lift it.
const REFUSAL_LIVES: Duration = Duration::from_secs(2);
const REFUSALS: u64 = 100_000;
/// Accounts that are counted in memory while the database is away.
const COUNTED_ALONE: u64 = 100_000;
/// How long a free run waits to be counted. Long: a database that is merely busy must not make the count inexact.
const PATIENCE: Duration = Duration::from_secs(3);

/// The limits on free runs. Cloning shares what is remembered.
#[derive(Clone)]
pub struct FreeLimits {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    quota: Quota,
    exempt: Exempt,
    refused: Cache<AccountId, QuotaExceeded>,
    alone: Cache<AccountId, FreeRuns>,
}

/// Models that are free and not limited: ids, or beginnings of ids that end in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempt(Vec<String>);

impl Exempt {
    /// Reads ids with commas between them.
    pub fn parse(text: &str) -> Self {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        Exempt(names.map(str::to_owned).collect())
    }

    fn holds(&self, model: &str) -> bool {
        self.0.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => model == name,
        })
    }
}

impl FreeLimits {
    /// The operator's limits, counted in `store`.
    pub fn new(store: Store, quota: Quota, exempt: Exempt) -> Self {
        let inner = Inner {
            store,
            quota,
            exempt,
            refused: Cache::builder()
                .max_capacity(REFUSALS)
                .time_to_live(REFUSAL_LIVES)
                .build(),
            alone: Cache::builder()
                .max_capacity(COUNTED_ALONE)
                .time_to_live(Duration::from_secs(86_400))
                .build(),
        };
        FreeLimits {
            inner: Arc::new(inner),
        }
    }

    /// Whether runs of a model are limited, given that they are free.
    pub fn cover(&self, model: &ModelId) -> bool {
        !self.inner.quota.is_unlimited() && !self.inner.exempt.holds(model.as_str())
    }

    /// Counts one more free run of an account, unless a limit is used up.
    pub async fn begin(&self, account: &AccountId) -> Result<(), QuotaExceeded> {
        let now = now_ms();
        if let Some(refused) = self.inner.refused.get(account).await
            && refused.resets_at > now
        {
            return Err(refused);
        }
        let count = self
            .inner
            .store
            .begin_free_run(account, &self.inner.quota, now);
        let counted = match tokio::time::timeout(PATIENCE, count).await {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => {
                tracing::warn!(%error, "free runs are counted in memory alone");
                self.begin_alone(account, now).await
            }
            Err(_) => self.begin_alone(account, now).await,
        };
        if let Err(exceeded) = counted {
            self.inner.refused.insert(account.clone(), exceeded).await;
        }
        counted
    }

    /// Without the database nobody knows what was bought; the benefit of the doubt is the account's.
    async fn begin_alone(&self, account: &AccountId, now: i64) -> Result<(), QuotaExceeded> {
        let Inner { quota, alone, .. } = &*self.inner;
        let mut verdict = Ok(());
        let count = |known: Option<Entry<AccountId, FreeRuns>>| {
            let runs = known.map(Entry::into_value).unwrap_or_default();
            ready(match quota.count(&runs, Nanos(i64::MAX), now) {
                Ok(counted) => Op::Put(counted),
                Err(exceeded) => {
                    verdict = Err(exceeded);
                    Op::Nop
                }
            })
        };
        alone.entry_by_ref(account).and_compute_with(count).await;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exempt_models_are_named_or_begin_alike() {
        let exempt = Exempt::parse(" turnpike/echo, local/*,");
        let check = |model: &str, expect: bool| assert_eq!(exempt.holds(model), expect, "{model}");
        check("turnpike/echo", true);
        check("turnpike/echo:free", false);
        check("local/any", true);
        check("localhost/any", false);
        assert!(!Exempt::parse("").holds("a/b"));
        assert!(Exempt::parse("*").holds("a/b"));
    }
}
