//! Whether a second endpoint may be asked before the first has answered: only so many requests of a
//! hundred, so that a provider's bad hour does not double everybody's traffic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many requests came, and how many of them were hedged.
#[derive(Debug, Default)]
pub(super) struct Budget {
    requests: AtomicU64,
    hedged: AtomicU64,
}

impl Budget {
    /// Counts a request that could be hedged.
    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Takes a hedge from the budget of `percent`; `false` when it is used up.
    pub(super) fn take(&self, percent: u32) -> bool {
        let allowed = self
            .requests
            .load(Relaxed)
            .saturating_mul(u64::from(percent))
            / 100;
        let one_more = |hedged: u64| (hedged < allowed).then_some(hedged + 1);
        self.hedged.try_update(Relaxed, Relaxed, one_more).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_hedged() {
        let budget = Budget::default();
        let mut hedged = 0;
        for _ in 0..1_000 {
            budget.count();
            hedged += u32::from(budget.take(5));
        }
        assert_eq!(hedged, 50);
        assert!(!budget.take(0));
    }
}
