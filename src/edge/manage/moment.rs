//! Instants as the contract writes them: RFC 3339 in UTC, with milliseconds.

use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Unix milliseconds, shown as `2026-08-22T10:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// Reads an instant. `None` when it is not RFC 3339, or not in UTC (contract 16.2).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let milliseconds = at.unix_timestamp_nanos() / 1_000_000;
        (at.offset() == UtcOffset::UTC).then(|| i64::try_from(milliseconds).ok().map(Moment))?
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = i128::from(self.0) * 1_000_000;
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        serializer.collect_str(&format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_back_as_they_are_written() {
        let check = |text: &str, expect: Option<&str>| {
            let shown = Moment::parse(text).map(|moment| serde_json::to_value(moment).unwrap());
            assert_eq!(shown, expect.map(serde_json::Value::from), "{text}");
        };
        check("2026-08-22T10:00:00Z", Some("2026-08-22T10:00:00.000Z"));
        check(
            "2026-08-22T10:00:00.123456Z",
            Some("2026-08-22T10:00:00.123Z"),
        );
        check(
            "2026-08-22T10:00:00+00:00",
            Some("2026-08-22T10:00:00.000Z"),
        );
        check("2026-08-22T10:00:00+02:00", None);
        check("2026-08-22", None);
        check("tomorrow", None);
    }
}
