//! A month of the calendar, as an address names it and as it is left through its neighbours.

use time::{Date, Month as Name, OffsetDateTime};

/// A month, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month {
    year: i32,
    name: Name,
}

impl Month {
    /// The month that holds a moment.
    pub(super) fn at(unix_ms: i64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1_000))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Month {
            year: at.year(),
            name: at.month(),
        }
    }

    /// Reads `YYYY-MM`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let year = year
            .parse()
            .ok()
            .filter(|year| (1970..9_000).contains(year))?;
        let name = Name::try_from(month.parse::<u8>().ok()?).ok()?;
        Some(Month { year, name })
    }

    /// As addresses have it: `2026-11`.
    pub(super) fn word(self) -> String {
        format!("{:04}-{:02}", self.year, u8::from(self.name))
    }

    /// As people read it: `November 2026`.
    pub(super) fn title(self) -> String {
        format!("{} {}", self.name, self.year)
    }

    /// Its first millisecond, Unix.
    pub(super) fn start(self) -> i64 {
        Date::from_calendar_date(self.year, self.name, 1).map_or(0, |day| {
            day.midnight().assume_utc().unix_timestamp() * 1_000
        })
    }

    /// The month after.
    pub(super) fn next(self) -> Self {
        Month {
            year: self.year + i32::from(self.name == Name::December),
            name: self.name.next(),
        }
    }

    /// The month before.
    pub(super) fn previous(self) -> Self {
        Month {
            year: self.year - i32::from(self.name == Name::January),
            name: self.name.previous(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other() {
        let december = Month::parse("2026-12").unwrap();
        assert_eq!(december.title(), "December 2026");
        assert_eq!(december.next().word(), "2027-01");
        assert_eq!(december.next().previous(), december);
        assert_eq!(Month::at(december.start()), december);
        assert_eq!(Month::at(december.start() - 1), december.previous());
        for odd in ["", "2026", "2026-13", "2026-0", "x-1", "99999-01", "-1-01"] {
            assert_eq!(Month::parse(odd), None, "{odd}");
        }
    }
}
