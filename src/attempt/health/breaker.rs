//! Keeps requests away from an endpoint that keeps failing or asked for a pause, and lets one at a
//! time find out whether it is well again.
//!
//! Closed, it counts failures in a row. Enough of them open it for a pause; after the pause it is
//! half open: one request probes, others go elsewhere meanwhile. A good probe closes it, a bad one
//! opens it again for twice as long. All of it is a few atomics, written on failures and probes alone.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So many failures in a row open it.
    pub failures: u32,
    /// The first pause.
    pub pause: Duration,
    /// Pauses double up to this.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            failures: 5,
            pause: Duration::from_secs(3),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// A probe that was not decided for this long is taken for lost, and another may begin.
const PROBE_LIVES_MS: i64 = 15_000;

/// An endpoint that stayed closed for this long begins with the first pause again.
const FORGIVEN_AFTER_MS: i64 = 60_000;

/// No endpoint's own wish for a pause is granted for longer than this.
const LONGEST_COOLING_MS: i64 = 3_600_000;

/// The breaker of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    /// When the pause ends, Unix milliseconds; 0 while closed.
    open_until: AtomicI64,
    /// Until when a probe under way keeps others from probing.
    probing_until: AtomicI64,
    closed_at: AtomicI64,
    /// How often the pause has doubled.
    doublings: AtomicU32,
    /// Until when the endpoint itself asked to be left alone.
    cooling_until: AtomicI64,
}

/// Whether requests may go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// They may.
    Closed,
    /// Not before this moment.
    Paused(i64),
    /// One may, to find out.
    HalfOpen,
}

impl Breaker {
    /// The state at a moment.
    pub(super) fn state(&self, now: i64) -> State {
        let open_until = self.open_until.load(Relaxed);
        let until = open_until.max(self.cooling_until.load(Relaxed));
        match () {
            () if now < until => State::Paused(until),
            () if open_until != 0 => State::HalfOpen,
            () => State::Closed,
        }
    }

    /// Claims the right to probe; `false` while another request has it.
    pub(super) fn claim_probe(&self, now: i64) -> bool {
        let until = self.probing_until.load(Relaxed);
        now >= until
            && self
                .probing_until
                .compare_exchange(until, now + PROBE_LIVES_MS, Relaxed, Relaxed)
                .is_ok()
    }

    /// Gives the right to probe back: the request that had it says nothing of the endpoint.
    pub(super) fn release_probe(&self) {
        if self.open_until.load(Relaxed) != 0 {
            self.probing_until.store(0, Relaxed);
        }
    }

    /// Notes a good answer; `true` when it closed the breaker.
    pub(super) fn succeeded(&self, now: i64) -> bool {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        let open_until = self.open_until.load(Relaxed);
        // An answer that was under way when the breaker opened says nothing of now.
        if open_until == 0 || now < open_until {
            return false;
        }
        let closed = self
            .open_until
            .compare_exchange(open_until, 0, Relaxed, Relaxed)
            .is_ok();
        if closed {
            self.closed_at.store(now, Relaxed);
            self.probing_until.store(0, Relaxed);
        }
        closed
    }

    /// Notes a failure; answers until when the breaker is open if this opened it.
    pub(super) fn failed(&self, patience: &Patience, now: i64) -> Option<i64> {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let open_until = self.open_until.load(Relaxed);
        let probe_failed = open_until != 0 && now >= open_until;
        let opens = probe_failed || (open_until == 0 && failures >= patience.failures);
        opens
            .then(|| self.open(open_until, patience, now))
            .flatten()
    }

    /// Opens it though nothing has failed yet; answers until when, or `None` if it was open already.
    pub(super) fn trip(&self, patience: &Patience, now: i64) -> Option<i64> {
        let is_closed = self.open_until.load(Relaxed) == 0;
        is_closed.then(|| self.open(0, patience, now)).flatten()
    }

    /// Opens it for the next pause, unless it changed meanwhile.
    fn open(&self, open_until: i64, patience: &Patience, now: i64) -> Option<i64> {
        let until = now + self.next_pause(patience, now);
        self.open_until
            .compare_exchange(open_until, until, Relaxed, Relaxed)
            .ok()?;
        self.probing_until.store(0, Relaxed);
        self.doublings.fetch_add(1, Relaxed);
        Some(until)
    }

    /// Grants the endpoint's own wish to be left alone until a moment.
    pub(super) fn cool(&self, until: i64, now: i64) {
        let until = until.min(now + LONGEST_COOLING_MS);
        self.cooling_until.fetch_max(until, Relaxed);
    }

    fn next_pause(&self, patience: &Patience, now: i64) -> i64 {
        let is_closed = self.open_until.load(Relaxed) == 0;
        if is_closed && now - self.closed_at.load(Relaxed) > FORGIVEN_AFTER_MS {
            self.doublings.store(0, Relaxed);
        }
        let doublings = self.doublings.load(Relaxed).min(16);
        let pause = patience.pause.saturating_mul(1 << doublings);
        i64::try_from(pause.min(patience.longest_pause).as_millis()).unwrap_or(i64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        failures: 3,
        pause: Duration::from_millis(100),
        longest_pause: Duration::from_millis(350),
    };
    const START: i64 = 1_000_000;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        assert_eq!(breaker.failed(&PATIENCE, START), None);
        assert_eq!(breaker.failed(&PATIENCE, START), None);
        assert_eq!(breaker.failed(&PATIENCE, START), Some(START + 100));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(&PATIENCE, START);
            breaker.failed(&PATIENCE, START);
            breaker.succeeded(START);
        }
        assert_eq!(breaker.state(START), State::Closed);
        assert_eq!(opened().state(START + 99), State::Paused(START + 100));
    }

    #[test]
    fn it_can_be_opened_without_a_failure_and_only_while_closed() {
        let breaker = Breaker::default();
        assert_eq!(breaker.trip(&PATIENCE, START), Some(START + 100));
        assert_eq!(breaker.trip(&PATIENCE, START + 1), None);
        assert_eq!(breaker.state(START + 100), State::HalfOpen);
        assert!(breaker.succeeded(START + 100));
        assert_eq!(breaker.trip(&PATIENCE, START + 101), Some(START + 301));
    }

    #[test]
    fn one_probe_at_a_time_and_a_good_one_closes() {
        let breaker = opened();
        let half = START + 100;
        assert_eq!(breaker.state(half), State::HalfOpen);
        assert!(breaker.claim_probe(half));
        assert!(!breaker.claim_probe(half));
        assert!(breaker.succeeded(half + 5));
        assert_eq!(breaker.state(half + 5), State::Closed);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_forgiven() {
        let breaker = opened();
        let mut now = START + 100;
        for pause in [200, 350, 350] {
            assert!(breaker.claim_probe(now));
            assert_eq!(breaker.failed(&PATIENCE, now), Some(now + pause));
            now += pause;
        }
        assert!(breaker.succeeded(now));
        for _ in 0..2 {
            breaker.failed(&PATIENCE, now);
        }
        assert_eq!(breaker.failed(&PATIENCE, now), Some(now + 350));
        now += 350;
        assert!(breaker.succeeded(now));
        now += FORGIVEN_AFTER_MS + 1;
        for _ in 0..2 {
            breaker.failed(&PATIENCE, now);
        }
        assert_eq!(breaker.failed(&PATIENCE, now), Some(now + 100));
    }

    #[test]
    fn a_lost_probe_makes_way_and_a_late_answer_does_not_close() {
        let breaker = opened();
        assert!(!breaker.succeeded(START + 50));
        assert_eq!(breaker.state(START + 50), State::Paused(START + 100));
        assert!(breaker.claim_probe(START + 100));
        assert!(breaker.claim_probe(START + 100 + PROBE_LIVES_MS));
        breaker.release_probe();
        assert!(breaker.claim_probe(START + 101));
    }

    #[test]
    fn a_wish_for_a_pause_is_granted_within_reason() {
        let breaker = Breaker::default();
        breaker.cool(START + 5_000, START);
        breaker.cool(START + 2_000, START);
        assert_eq!(breaker.state(START), State::Paused(START + 5_000));
        assert_eq!(breaker.state(START + 5_000), State::Closed);
        breaker.cool(i64::MAX, START);
        assert_eq!(
            breaker.state(START),
            State::Paused(START + LONGEST_COOLING_MS)
        );
    }
}
