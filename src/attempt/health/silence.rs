//! Notices an endpoint that takes requests and says nothing, long before any of them times out.
//!
//! Counts what was sent since the endpoint was last heard of: a first token, a complete answer. An
//! endpoint of which nothing is heard for far longer than its history allows, while request after
//! request goes there, is stuck.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// However fast an endpoint usually is, silence is no sign before this.
const LEAST: Duration = Duration::from_secs(1);

/// What was sent to one endpoint since it was last heard of.
#[derive(Debug, Default)]
pub(super) struct Silence {
    unheard: AtomicU32,
    /// When the first of them was sent, Unix milliseconds.
    since: AtomicI64,
}

impl Silence {
    /// Notes a request.
    pub(super) fn sent(&self, now: i64) {
        if self.unheard.fetch_add(1, Relaxed) == 0 {
            self.since.store(now, Relaxed);
        }
    }

    /// Notes a sign of life, or begins anew.
    pub(super) fn broken(&self) {
        if self.unheard.load(Relaxed) != 0 {
            self.unheard.store(0, Relaxed);
        }
    }

    /// Whether as many requests as that were sent, the first of them longer ago than is worth waiting.
    pub(super) fn is_telling(&self, requests: u32, hopeless: Duration, now: i64) -> bool {
        let limit = i64::try_from(hopeless.max(LEAST).as_millis()).unwrap_or(i64::MAX);
        self.unheard.load(Relaxed) >= requests && now - self.since.load(Relaxed) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_000_000;

    #[test]
    fn enough_requests_and_enough_time_tell_and_a_token_begins_anew() {
        let silence = Silence::default();
        let tells = |now: i64| silence.is_telling(3, Duration::from_secs(2), now);
        silence.sent(START);
        silence.sent(START + 1_500);
        assert!(!tells(START + 9_000));
        silence.sent(START + 1_600);
        assert!(!tells(START + 1_999));
        assert!(tells(START + 2_000));
        assert!(!silence.is_telling(3, Duration::from_secs(5), START + 2_000));
        silence.broken();
        assert!(!tells(START + 9_000));
        for _ in 0..3 {
            silence.sent(START + 9_000);
        }
        assert!(!tells(START + 10_999));
        assert!(tells(START + 11_000));
    }

    #[test]
    fn a_fast_endpoint_still_has_a_second() {
        let silence = Silence::default();
        silence.sent(START);
        let tells = |now: i64| silence.is_telling(1, Duration::from_millis(20), now);
        assert!(!tells(START + 999) && tells(START + 1_000));
    }
}
