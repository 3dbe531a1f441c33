//! The windows that limits and usage are counted in: days, weeks from Monday, and months, all UTC.

use time::OffsetDateTime;

use super::principal::LimitReset;

const DAY_MS: i64 = 86_400_000;

/// When the windows that hold an instant began, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Midnight of the day.
    pub day: i64,
    /// Midnight of the week's Monday.
    pub week: i64,
    /// Midnight of the month's first day.
    pub month: i64,
}

impl Windows {
    /// The windows that hold `at`, Unix milliseconds.
    pub fn at(at: i64) -> Self {
        let days = at.div_euclid(DAY_MS);
        // 1 January 1970 was a Thursday, three days after a Monday.
        let weekday = (days + 3).rem_euclid(7);
        Windows {
            day: days * DAY_MS,
            week: (days - weekday) * DAY_MS,
            month: (days - day_of_month(days)) * DAY_MS,
        }
    }

    /// When the window of a limit began: the beginning of time for one that never resets.
    pub fn start(&self, reset: LimitReset) -> i64 {
        match reset {
            LimitReset::Never => i64::MIN,
            LimitReset::Daily => self.day,
            LimitReset::Weekly => self.week,
            LimitReset::Monthly => self.month,
        }
    }
}

/// The day of an instant, Unix milliseconds, as `2026-08-31`.
pub fn iso_day(at: i64) -> String {
    let seconds = at.div_euclid(1_000);
    let day = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (day.year(), u8::from(day.month()), day.day());
    format!("{year:04}-{month:02}-{day:02}")
}

/// Days since the first of the month, for a count of days since 1970. In years that begin with March,
/// month lengths follow one linear rule, and leap days come last.
fn day_of_month(days: i64) -> i64 {
    let of_era = (days + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Date, OffsetDateTime, Weekday};

    use super::*;

    fn check(at: OffsetDateTime) {
        let ms = |date: Date| date.midnight().assume_utc().unix_timestamp() * 1_000;
        let monday = if at.weekday() == Weekday::Monday {
            at.date()
        } else {
            at.date().prev_occurrence(Weekday::Monday)
        };
        let first = at.date().replace_day(1).unwrap();
        let expect = Windows {
            day: ms(at.date()),
            week: ms(monday),
            month: ms(first),
        };
        assert_eq!(Windows::at(at.unix_timestamp() * 1_000), expect, "{at}");
    }

    proptest! {
        #[test]
        fn windows_are_those_of_the_calendar(seconds in -2_000_000_000_i64..20_000_000_000) {
            check(OffsetDateTime::from_unix_timestamp(seconds).unwrap());
        }
    }

    #[test]
    fn a_window_begins_with_its_first_millisecond() {
        let monday = Windows::at(1_788_134_400_000); // 2026-08-31, a Monday
        assert_eq!(Windows::at(monday.week), monday);
        assert_ne!(Windows::at(monday.week - 1).week, monday.week);
        assert_eq!(Windows::at(monday.week - 1).month, monday.month);
    }
}
