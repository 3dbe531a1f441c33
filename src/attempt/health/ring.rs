//! A window of time as a ring of slots: what is older than the window is overwritten.
//!
//! Slots are numbered by absolute time, so that the rings of several processes can be summed. A slot
//! is cleared by whoever first writes into its next turn; what others count in that very moment may
//! be lost, which health can bear and a lock on the hot path could not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::histogram::{Counts, Histogram};

/// A span that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Milliseconds of one slot.
    pub(super) slot_ms: i64,
    /// How many slots the window has.
    pub(super) slots: usize,
}

impl Span {
    /// The number of the slot of a moment, Unix milliseconds.
    pub(super) fn slot_at(self, now: i64) -> i64 {
        now.div_euclid(self.slot_ms)
    }

    /// The first slot that is still in the window at a moment.
    pub(super) fn first_at(self, now: i64) -> i64 {
        self.slot_at(now) + 1 - self.slots as i64
    }
}

/// One window of one endpoint.
#[derive(Debug)]
pub(super) struct Ring {
    span: Span,
    slots: Box<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The slot's number, from 1; 0 before its first use.
    number: AtomicI64,
    served: AtomicU32,
    failed: AtomicU32,
    limited: AtomicU32,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    tools_judged: AtomicU32,
    tools_bad: AtomicU32,
    latency: Histogram,
    whole: Histogram,
    throughput: Histogram,
}

/// What happened in a slot, or in several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests that were answered well.
    pub(super) served: u32,
    /// Requests that failed, and the endpoint was at fault.
    pub(super) failed: u32,
    /// Requests that were told to come back later.
    pub(super) limited: u32,
    /// Input tokens.
    pub(super) prompt_tokens: u64,
    /// Those of them that came from the endpoint's cache.
    pub(super) cached_tokens: u64,
    /// Answers with tool calls that were looked at.
    pub(super) tools_judged: u32,
    /// Those of them with a call that cannot be run.
    pub(super) tools_bad: u32,
    /// Milliseconds to the first token.
    pub(super) latency: Counts,
    /// Milliseconds to an answer that comes whole.
    pub(super) whole: Counts,
    /// Tenths of an output token a second.
    pub(super) throughput: Counts,
}

/// One thing to count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// The first token came after so many milliseconds.
    FirstToken(u32),
    /// The answer came whole after so many milliseconds.
    Whole(u32),
    /// The request was answered well.
    Served(Served),
    /// The endpoint failed.
    Failed,
    /// The endpoint was too busy.
    Limited,
    /// An answer's tool calls were looked at.
    ToolCalls {
        /// Whether one of them cannot be run.
        bad: bool,
    },
}

/// What a good answer tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    /// Tenths of an output token a second; `None` for an answer too short to tell.
    pub(super) throughput: Option<u32>,
    /// Input tokens.
    pub(super) prompt_tokens: u64,
    /// Those of them from the cache.
    pub(super) cached_tokens: u64,
}

impl Ring {
    pub(super) fn new(span: Span) -> Self {
        Ring {
            span,
            slots: (0..span.slots).map(|_| Slot::default()).collect(),
        }
    }

    /// Counts one thing.
    pub(super) fn mark(&self, mark: Mark, now: i64) {
        let number = self.span.slot_at(now);
        let index = number.rem_euclid(self.slots.len() as i64) as usize;
        if let Some(slot) = self.slots.get(index)
            && slot.turn_to(number)
        {
            slot.mark(mark);
        }
    }

    /// Adds what is in the window to `sum`.
    pub(super) fn add_to(&self, now: i64, sum: &mut Tally) {
        let first = self.span.first_at(now);
        for slot in self
            .slots
            .iter()
            .filter(|slot| slot.number.load(Relaxed) >= first)
        {
            slot.add_to(sum);
        }
    }

    /// The slots in the window, by number: what is stored.
    pub(super) fn slots(&self, now: i64) -> BTreeMap<i64, Tally> {
        let first = self.span.first_at(now);
        let numbered = self
            .slots
            .iter()
            .map(|slot| (slot.number.load(Relaxed), slot))
            .filter(|(number, _)| *number >= first);
        numbered
            .map(|(number, slot)| {
                let mut tally = Tally::default();
                slot.add_to(&mut tally);
                (number, tally)
            })
            .collect()
    }
}

impl Slot {
    /// Makes the slot that of `number`; `false` when time has moved past it.
    fn turn_to(&self, number: i64) -> bool {
        let current = self.number.load(Relaxed);
        if current == number {
            return true;
        }
        if current > number {
            return false;
        }
        if self
            .number
            .compare_exchange(current, number, Relaxed, Relaxed)
            .is_ok()
        {
            self.clear();
        }
        true
    }

    fn clear(&self) {
        for count in [
            &self.served,
            &self.failed,
            &self.limited,
            &self.tools_judged,
            &self.tools_bad,
        ] {
            count.store(0, Relaxed);
        }
        self.prompt_tokens.store(0, Relaxed);
        self.cached_tokens.store(0, Relaxed);
        self.latency.clear();
        self.whole.clear();
        self.throughput.clear();
    }

    fn mark(&self, mark: Mark) {
        match mark {
            Mark::FirstToken(millis) => self.latency.count(millis),
            Mark::Whole(millis) => self.whole.count(millis),
            Mark::Served(served) => {
                self.served.fetch_add(1, Relaxed);
                self.prompt_tokens.fetch_add(served.prompt_tokens, Relaxed);
                self.cached_tokens.fetch_add(served.cached_tokens, Relaxed);
                if let Some(tenths) = served.throughput {
                    self.throughput.count(tenths);
                }
            }
            Mark::Failed => drop(self.failed.fetch_add(1, Relaxed)),
            Mark::Limited => drop(self.limited.fetch_add(1, Relaxed)),
            Mark::ToolCalls { bad } => {
                self.tools_judged.fetch_add(1, Relaxed);
                self.tools_bad.fetch_add(u32::from(bad), Relaxed);
            }
        }
    }

    fn add_to(&self, sum: &mut Tally) {
        let add = |sum: &mut u32, count: &AtomicU32| {
            *sum = sum.saturating_add(count.load(Relaxed));
        };
        add(&mut sum.served, &self.served);
        add(&mut sum.failed, &self.failed);
        add(&mut sum.limited, &self.limited);
        add(&mut sum.tools_judged, &self.tools_judged);
        add(&mut sum.tools_bad, &self.tools_bad);
        sum.prompt_tokens = sum
            .prompt_tokens
            .saturating_add(self.prompt_tokens.load(Relaxed));
        sum.cached_tokens = sum
            .cached_tokens
            .saturating_add(self.cached_tokens.load(Relaxed));
        self.latency.add_to(&mut sum.latency);
        self.whole.add_to(&mut sum.whole);
        self.throughput.add_to(&mut sum.throughput);
    }
}

impl Tally {
    /// Adds another tally to this one.
    pub(super) fn add(&mut self, other: &Tally) {
        let add = |sum: &mut u32, count: u32| *sum = sum.saturating_add(count);
        add(&mut self.served, other.served);
        add(&mut self.failed, other.failed);
        add(&mut self.limited, other.limited);
        add(&mut self.tools_judged, other.tools_judged);
        add(&mut self.tools_bad, other.tools_bad);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.latency.add(&other.latency);
        self.whole.add(&other.whole);
        self.throughput.add(&other.throughput);
    }

    /// Requests that say something of the endpoint's reliability.
    pub(super) fn requests(&self) -> u32 {
        self.served.saturating_add(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        slot_ms: 1_000,
        slots: 5,
    };

    fn sum(ring: &Ring, now: i64) -> Tally {
        let mut sum = Tally::default();
        ring.add_to(now, &mut sum);
        sum
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let ring = Ring::new(SPAN);
        for second in 1..=7 {
            ring.mark(Mark::Failed, second * 1_000);
        }
        assert_eq!(sum(&ring, 7_999).failed, 5);
        assert_eq!(sum(&ring, 9_000).failed, 3);
        assert_eq!(sum(&ring, 12_000).failed, 0);
        ring.mark(Mark::Failed, 12_000);
        assert_eq!(sum(&ring, 12_000).failed, 1);
    }

    #[test]
    fn a_late_mark_does_not_rewind_the_ring() {
        let ring = Ring::new(SPAN);
        ring.mark(Mark::Limited, 9_000);
        ring.mark(Mark::Limited, 4_000);
        assert_eq!(sum(&ring, 9_000).limited, 1);
    }

    #[test]
    fn threads_count_everything_within_a_slot() {
        let ring = Ring::new(SPAN);
        // The slot has turned: while it does, marks of others may be lost.
        ring.mark(Mark::Limited, 1_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for millis in 0..1_000 {
                        ring.mark(Mark::FirstToken(millis), 1_500);
                        ring.mark(Mark::Served(Served::default()), 1_500);
                    }
                });
            }
        });
        let sum = sum(&ring, 2_000);
        assert_eq!(
            (sum.limited, sum.served, sum.latency.total()),
            (1, 4_000, 4_000)
        );
    }
}
