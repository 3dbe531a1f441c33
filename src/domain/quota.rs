//! How many free runs an account may begin: so many a minute, so many a day (contract 18.1).
//!
//! Pure: counts and a clock's reading in, a verdict out. Who keeps the counts is another matter.

use super::calendar::Windows;
use super::money::Nanos;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// What an operator allows. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Runs a minute, counted from the first.
    pub per_minute: Option<u32>,
    /// Runs a day, UTC, of an account that has been given little credit.
    pub per_day: Option<u32>,
    /// Runs a day of one that has been given enough.
    pub per_day_paid: Option<u32>,
    /// How much credit is enough.
    pub paid_from: Nanos,
}

/// Free runs an account has begun, each count with the start of its window, Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeRuns {
    /// When the minute began: with its first run.
    pub minute_start: i64,
    /// Runs in that minute.
    pub minute_runs: i64,
    /// Midnight of the day.
    pub day_start: i64,
    /// Runs on that day.
    pub day_runs: i64,
}

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} free runs is used up ({})", .bound.as_str())]
pub struct QuotaExceeded {
    /// Which limit.
    pub bound: Bound,
    /// How many runs it allows.
    pub limit: u32,
    /// When it starts anew, Unix milliseconds.
    pub resets_at: i64,
    /// Credit that would raise it, and to how many runs; `None` where none would.
    pub raised_by: Option<(Nanos, Option<u32>)>,
}

/// Which limit is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Runs a minute.
    Minute,
    /// Runs a day of an account with little credit.
    Day,
    /// Runs a day of an account with enough.
    DayPaid,
}

impl Bound {
    /// The contract's word (5.5).
    pub fn as_str(self) -> &'static str {
        match self {
            Bound::Minute => "free-models-per-min",
            Bound::Day => "free-models-per-day",
            Bound::DayPaid => "free-models-per-day-high-balance",
        }
    }
}

impl Quota {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        [self.per_minute, self.per_day, self.per_day_paid] == [None; 3]
    }

    /// Counts one more run at `now` for an account that was given `granted` in all, unless a limit is used
    /// up. The day is looked at first, since it is the one that waiting a little does not help.
    pub fn count(
        &self,
        runs: &FreeRuns,
        granted: Nanos,
        now: i64,
    ) -> Result<FreeRuns, QuotaExceeded> {
        let runs = runs.at(now);
        let (bound, per_day, raised_by) = if granted >= self.paid_from {
            (Bound::DayPaid, self.per_day_paid, None)
        } else {
            let raised_by = Some((self.paid_from, self.per_day_paid));
            (Bound::Day, self.per_day, raised_by)
        };
        let used_up =
            |limit: Option<u32>, runs: i64| limit.filter(|limit| runs >= i64::from(*limit));
        if let Some(limit) = used_up(per_day, runs.day_runs) {
            return Err(QuotaExceeded {
                bound,
                limit,
                resets_at: runs.day_start + DAY_MS,
                raised_by,
            });
        }
        if let Some(limit) = used_up(self.per_minute, runs.minute_runs) {
            return Err(QuotaExceeded {
                bound: Bound::Minute,
                limit,
                resets_at: runs.minute_start + MINUTE_MS,
                raised_by: None,
            });
        }
        Ok(FreeRuns {
            minute_runs: runs.minute_runs + 1,
            day_runs: runs.day_runs + 1,
            ..runs
        })
    }
}

impl FreeRuns {
    /// The counts with windows that have passed begun anew. A window of the future is of a replica whose
    /// clock is ahead: its runs count all the same.
    fn at(self, now: i64) -> FreeRuns {
        let day = Windows::at(now).day;
        let (minute_start, minute_runs) = if now < self.minute_start.saturating_add(MINUTE_MS) {
            (self.minute_start, self.minute_runs)
        } else {
            (now, 0)
        };
        let (day_start, day_runs) = if day <= self.day_start {
            (self.day_start, self.day_runs)
        } else {
            (day, 0)
        };
        FreeRuns {
            minute_start,
            minute_runs,
            day_start,
            day_runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 20_000 * DAY_MS;
    const QUOTA: Quota = Quota {
        per_minute: Some(2),
        per_day: Some(3),
        per_day_paid: Some(5),
        paid_from: Nanos(100),
    };

    /// Counts a run at each moment; says which were refused, by what and until when.
    fn refusals(quota: &Quota, granted: i64, moments: &[i64]) -> Vec<(i64, Bound, i64)> {
        let mut runs = FreeRuns::default();
        let mut refusals = Vec::new();
        for &moment in moments {
            match quota.count(&runs, Nanos(granted), moment) {
                Ok(counted) => runs = counted,
                Err(exceeded) => refusals.push((moment, exceeded.bound, exceeded.resets_at)),
            }
        }
        refusals
    }

    #[test]
    fn a_minute_begins_with_its_first_run() {
        let at = |offset| MIDNIGHT + offset;
        assert_eq!(
            refusals(
                &QUOTA,
                100,
                &[at(30_000), at(89_000), at(89_999), at(90_000)]
            ),
            [(at(89_999), Bound::Minute, at(90_000))]
        );
    }

    #[test]
    fn a_day_ends_at_midnight_utc_to_the_millisecond() {
        let noon = MIDNIGHT + DAY_MS / 2;
        let (last, next) = (MIDNIGHT + DAY_MS - 1, MIDNIGHT + DAY_MS);
        let moments = [noon, noon + 70_000, noon + 140_000, last, next];
        assert_eq!(refusals(&QUOTA, 99, &moments), [(last, Bound::Day, next)]);
    }

    #[test]
    fn enough_credit_raises_the_limit_of_the_day() {
        let every_minute: Vec<i64> = (0..7).map(|minute| MIDNIGHT + minute * MINUTE_MS).collect();
        let bounds = |granted| {
            let refused = refusals(&QUOTA, granted, &every_minute);
            refused
                .iter()
                .map(|(_, bound, _)| *bound)
                .collect::<Vec<_>>()
        };
        assert_eq!(bounds(99), [Bound::Day; 4]);
        assert_eq!(bounds(100), [Bound::DayPaid; 2]);
    }

    #[test]
    fn what_is_not_limited_is_not_refused() {
        let none = Quota {
            per_minute: None,
            per_day: None,
            per_day_paid: None,
            ..QUOTA
        };
        assert!(none.is_unlimited() && !QUOTA.is_unlimited());
        assert_eq!(refusals(&none, 0, &[MIDNIGHT; 100]), []);
    }

    #[test]
    fn a_clock_that_is_behind_gains_nothing() {
        let moments = [MIDNIGHT, MIDNIGHT, MIDNIGHT - 5_000];
        let refused = refusals(&QUOTA, 0, &moments);
        assert_eq!(
            refused,
            [(MIDNIGHT - 5_000, Bound::Minute, MIDNIGHT + MINUTE_MS)]
        );
    }
}
