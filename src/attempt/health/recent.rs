//! The last half minute, for the outage rule (contract 6.3): six slots of five seconds, each one word.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SLOT_MS: i64 = 5_000;
const SLOTS: usize = 6;

/// How the requests of the last half minute went.
#[derive(Debug, Default)]
pub(super) struct Recent([AtomicU64; SLOTS]);

/// A slot taken apart: its number, modulo 2³², and its counts.
#[derive(Clone, Copy)]
struct Word {
    number: u32,
    served: u16,
    failed: u16,
}

impl Recent {
    /// Counts a request.
    pub(super) fn count(&self, failed: bool, now: i64) {
        let number = number(now);
        let Some(slot) = self.0.get(number as usize % SLOTS) else {
            return;
        };
        let counted = |packed: u64| {
            let mut word = Word::of(packed);
            if word.number != number {
                word = Word {
                    number,
                    served: 0,
                    failed: 0,
                };
            }
            let count = if failed {
                &mut word.failed
            } else {
                &mut word.served
            };
            *count = count.saturating_add(1);
            word.packed()
        };
        slot.update(Relaxed, Relaxed, counted);
    }

    /// Whether at least half of the requests failed.
    pub(super) fn is_outage(&self, now: i64) -> bool {
        let current = number(now);
        let (mut served, mut failed) = (0_u32, 0_u32);
        for word in self.0.iter().map(|slot| Word::of(slot.load(Relaxed))) {
            if (current.wrapping_sub(word.number) as usize) < SLOTS {
                served += u32::from(word.served);
                failed += u32::from(word.failed);
            }
        }
        failed > 0 && failed >= served
    }

    /// Forgets what was counted: the endpoint has proved to be well again.
    pub(super) fn forget(&self) {
        self.0.iter().for_each(|slot| slot.store(0, Relaxed));
    }
}

impl Word {
    fn of(packed: u64) -> Self {
        Word {
            number: (packed >> 32) as u32,
            served: (packed >> 16) as u16,
            failed: packed as u16,
        }
    }

    fn packed(self) -> u64 {
        u64::from(self.number) << 32 | u64::from(self.served) << 16 | u64::from(self.failed)
    }
}

fn number(now: i64) -> u32 {
    (now.div_euclid(SLOT_MS) & i64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_half_of_half_a_minute() {
        let recent = Recent::default();
        let start = 1_700_000_000_000;
        assert!(!recent.is_outage(start));
        recent.count(true, start);
        assert!(recent.is_outage(start));
        recent.count(false, start + 6_000);
        assert!(recent.is_outage(start + 6_000));
        recent.count(false, start + 6_000);
        assert!(!recent.is_outage(start + 6_000));
        recent.count(true, start + 12_000);
        assert!(recent.is_outage(start + 12_000));
        assert!(!recent.is_outage(start + 45_000));
        recent.count(true, start + 45_000);
        recent.forget();
        assert!(!recent.is_outage(start + 45_000));
    }
}
