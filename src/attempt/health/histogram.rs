//! Counts values by size: four buckets an octave, so that a percentile is right within a tenth.
//! Fixed in size; counting is one addition.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Values from 1 to 2²¹, beyond which the last bucket takes all.
pub(super) const BUCKETS: usize = 84;

/// Counts that many threads add to.
#[derive(Debug)]
pub(super) struct Histogram([AtomicU32; BUCKETS]);

/// Counts that have been read, and can be summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts([u32; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([const { AtomicU32::new(0) }; BUCKETS])
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts([0; BUCKETS])
    }
}

impl Histogram {
    /// Counts one value.
    pub(super) fn count(&self, value: u32) {
        if let Some(bucket) = self.0.get(bucket(value)) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }

    /// Adds what is counted here to `sum`.
    pub(super) fn add_to(&self, sum: &mut Counts) {
        for (sum, bucket) in sum.0.iter_mut().zip(&self.0) {
            *sum = sum.saturating_add(bucket.load(Relaxed));
        }
    }
}

impl Counts {
    /// Adds what is counted there.
    pub(super) fn add(&mut self, other: &Counts) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }

    /// How many values were counted.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|&count| u64::from(count)).sum()
    }

    /// The value that `share` of the values do not exceed; `None` when nothing was counted.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = (share * total as f64).ceil().clamp(1.0, total as f64);
        let mut below = 0.0;
        for (index, &count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = f64::from(count);
            if below + count >= wanted {
                let (low, high) = (lowest(index), lowest(index + 1));
                // Within a bucket the values are taken to lie evenly; a lone value lies in the middle.
                let place = (wanted - below - 0.5) / count;
                return Some(low + (high - low) * place);
            }
            below += count;
        }
        None
    }

    /// The buckets that hold something: what is stored.
    pub(super) fn sparse(&self) -> Vec<(u8, u32)> {
        let filled = (0_u8..).zip(self.0).filter(|(_, count)| *count > 0);
        filled.collect()
    }

    /// The counts of what was stored. Buckets that do not exist are ignored.
    pub(super) fn of_sparse(sparse: &[(u8, u32)]) -> Self {
        let mut counts = Counts::default();
        for &(index, count) in sparse {
            if let Some(bucket) = counts.0.get_mut(usize::from(index)) {
                *bucket = bucket.saturating_add(count);
            }
        }
        counts
    }
}

/// The octave, and the quarter within it.
fn bucket(value: u32) -> usize {
    let value = value.max(1);
    let octave = value.ilog2();
    let quarter = ((u64::from(value) << 2) >> octave) & 3;
    (octave as usize * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The least value of a bucket.
fn lowest(bucket: usize) -> f64 {
    let (octave, quarter) = (bucket / 4, bucket % 4);
    (1.0 + quarter as f64 / 4.0) * (octave as f64).exp2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(value in 1_u32..1 << 21) {
            let index = bucket(value);
            prop_assert!(lowest(index) <= f64::from(value) && f64::from(value) < lowest(index + 1));
        }

        #[test]
        fn percentiles_are_right_within_a_quarter_octave(mut values in proptest::collection::vec(4_u32..1 << 20, 1..400), share in 0.01..1.0_f64) {
            let histogram = Histogram::default();
            values.iter().for_each(|&value| histogram.count(value));
            let mut counts = Counts::default();
            histogram.add_to(&mut counts);
            values.sort_unstable();
            let rank = (share * values.len() as f64).ceil().max(1.0) as usize;
            let exact = f64::from(values[rank - 1]);
            let told = counts.quantile(share).unwrap();
            prop_assert!((told / exact) < 1.26 && (exact / told) < 1.26, "{} for {}", told, exact);
            prop_assert_eq!(Counts::of_sparse(&counts.sparse()), counts);
        }
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        assert_eq!(Counts::default().quantile(0.5), None);
        let huge = Histogram::default();
        huge.count(u32::MAX);
        huge.count(0);
        let mut counts = Counts::default();
        huge.add_to(&mut counts);
        assert_eq!(counts.total(), 2);
    }
}
