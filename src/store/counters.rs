//! What a key has used: counters of its own, of all time and of a day, a week and a month, and what leases carry for them.

use std::cmp::Ordering;

use sqlx::FromRow;

use super::StoreError;
use super::keys::key_hash;
use crate::domain::calendar::Windows;
use crate::domain::ids::KeyHash;
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;

/// The counters of a key after charges that all fall into the same three windows: a later window starts its sum anew,
/// an earlier one (a replay) leaves the current sum alone.
macro_rules! count {
    ($spent:literal, $covered:literal, $day:literal, $week:literal, $month:literal) => {
        concat!(
            "leased_nanos = keys.leased_nanos - ", $covered, ", usage_nanos = keys.usage_nanos + ", $spent, ", ",
            count!(@window $spent, "usage_daily_nanos", "day_start", $day), ", ",
            count!(@window $spent, "usage_weekly_nanos", "week_start", $week), ", ",
            count!(@window $spent, "usage_monthly_nanos", "month_start", $month)
        )
    };
    (@window $spent:literal, $sum:literal, $start:literal, $new:literal) => {
        concat!(
            $sum, " = CASE WHEN keys.", $start, " = ", $new, " THEN keys.", $sum, " + ", $spent, " WHEN keys.", $start, " < ", $new,
            " THEN ", $spent, " ELSE keys.", $sum, " END, ",
            $start, " = CASE WHEN keys.", $start, " < ", $new, " THEN ", $new, " ELSE keys.", $start, " END"
        )
    };
}

pub(super) use count;

/// What a key has been charged, in the windows that hold one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// Ever.
    pub total: Nanos,
    /// Since midnight UTC.
    pub daily: Nanos,
    /// Since Monday, midnight UTC.
    pub weekly: Nanos,
    /// Since the first of the month, midnight UTC.
    pub monthly: Nanos,
}

impl KeyUsage {
    /// The usage that a cap with this reset is held against.
    pub fn within(&self, reset: LimitReset) -> Nanos {
        match reset {
            LimitReset::Never => self.total,
            LimitReset::Daily => self.daily,
            LimitReset::Weekly => self.weekly,
            LimitReset::Monthly => self.monthly,
        }
    }
}

/// What leases carry of charges to an account's keys, by key and day.
pub(super) const CARRIED: &str = "SELECT key_hash, carried_nanos, carried_day FROM leases WHERE account = $1 AND carried_nanos > 0";

/// Charges to a key that are still with a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub(super) key: KeyHash,
    amount: i64,
    /// Midnight of the day they fall into, UTC, Unix milliseconds.
    day: i64,
}

impl TryFrom<(Vec<u8>, i64, i64)> for Carried {
    type Error = StoreError;

    fn try_from((key, amount, day): (Vec<u8>, i64, i64)) -> Result<Self, StoreError> {
        Ok(Carried {
            key: key_hash(&key)?,
            amount,
            day,
        })
    }
}

/// A key's usage as stored: sums with the start of the window each belongs to. A sum whose window is
/// not the one asked about is of the past, and the usage is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Counters {
    usage_nanos: i64,
    usage_daily_nanos: i64,
    usage_weekly_nanos: i64,
    usage_monthly_nanos: i64,
    day_start: i64,
    week_start: i64,
    month_start: i64,
}

impl Counters {
    pub(super) fn usage(&self, windows: &Windows) -> KeyUsage {
        // A window later than `now` is of a replica whose clock is ahead: its usage counts all the same.
        let of = |sum: i64, start: i64, now: i64| {
            if start >= now {
                Nanos(sum)
            } else {
                Nanos::ZERO
            }
        };
        KeyUsage {
            total: Nanos(self.usage_nanos),
            daily: of(self.usage_daily_nanos, self.day_start, windows.day),
            weekly: of(self.usage_weekly_nanos, self.week_start, windows.week),
            monthly: of(self.usage_monthly_nanos, self.month_start, windows.month),
        }
    }

    /// With charges that a lease carries, as [`count`] will add them.
    pub(super) fn add(&mut self, carried: &Carried) {
        let Windows { day, week, month } = Windows::at(carried.day);
        let amount = carried.amount;
        self.usage_nanos = self.usage_nanos.saturating_add(amount);
        for (sum, start, new) in [
            (&mut self.usage_daily_nanos, &mut self.day_start, day),
            (&mut self.usage_weekly_nanos, &mut self.week_start, week),
            (&mut self.usage_monthly_nanos, &mut self.month_start, month),
        ] {
            match new.cmp(start) {
                Ordering::Less => {}
                Ordering::Equal => *sum = sum.saturating_add(amount),
                Ordering::Greater => (*sum, *start) = (amount, new),
            }
        }
    }
}
