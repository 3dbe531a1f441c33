//! How long a provider asks to be left alone, from the headers of its answer. Pure.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// `Retry-After` in milliseconds, as OpenAI and Azure send it beside the standard one.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What is left of a quota, and when it is full again: OpenAI's names, which most have taken over, and Anthropic's.
static QUOTAS: [(HeaderName, HeaderName); 6] = [
    quota(
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    quota("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    quota("x-ratelimit-remaining", "x-ratelimit-reset"),
    quota("ratelimit-remaining", "ratelimit-reset"),
    quota(
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    quota(
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
];

/// What the names of all of them have in common.
const QUOTA: &str = "ratelimit";

const fn quota(left: &'static str, reset: &'static str) -> (HeaderName, HeaderName) {
    (
        HeaderName::from_static(left),
        HeaderName::from_static(reset),
    )
}

/// Numbers from here on are moments, not spans: seconds since 1970 …
const SECONDS_ARE_A_MOMENT: f64 = 1e9;
/// … or milliseconds.
const MILLIS_ARE_A_MOMENT: f64 = 1e11;

/// What an answer's headers ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// `Retry-After` in one of its spellings.
    pub retry_after: Option<Duration>,
    /// How long a quota of which nothing is left needs to be full again.
    pub exhausted_for: Option<Duration>,
}

impl Pace {
    /// Reads the headers of an answer that came at `now`, Unix milliseconds.
    pub fn of(headers: &HeaderMap, now: i64) -> Self {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
        let millis = || {
            let millis: f64 = text(&RETRY_AFTER_MS)?.parse().ok()?;
            Duration::try_from_secs_f64(millis / 1_000.0).ok()
        };
        let spent = |(left, reset): &(HeaderName, HeaderName)| {
            let is_spent = text(left)?.parse::<f64>().is_ok_and(|left| left <= 0.0);
            is_spent.then(|| wait(text(reset)?, now)).flatten()
        };
        // Most say nothing of quotas, which is seen sooner than looked up.
        let says_quotas = headers.keys().any(|name| name.as_str().contains(QUOTA));
        let quotas = QUOTAS.iter().filter(|_| says_quotas);
        Pace {
            retry_after: millis().or_else(|| wait(text(&RETRY_AFTER)?, now)),
            exhausted_for: quotas.filter_map(spent).max(),
        }
    }

    /// How long an endpoint that answered with this status wants to be left alone: `None` when it does
    /// not, and the inner `None` when it does not say for how long.
    pub fn cooling(self, status: StatusCode) -> Option<Option<Duration>> {
        let wish = self.retry_after.max(self.exhausted_for);
        match status {
            StatusCode::TOO_MANY_REQUESTS => Some(wish),
            status if status.is_success() => self.exhausted_for.map(Some),
            _ => self.retry_after.map(Some),
        }
    }
}

/// A span from now: seconds (`7`, `0.5`), a moment in seconds or milliseconds since 1970, a date
/// (RFC 9110 or 3339), or Go's way of writing a span (`6m0s`, `1h2m3.5s`, `20ms`).
fn wait(text: &str, now: i64) -> Option<Duration> {
    let since_now =
        |millis: f64| Duration::try_from_secs_f64((millis - now as f64).max(0.0) / 1_000.0).ok();
    if let Ok(number) = text.parse::<f64>() {
        return match number {
            number if number >= MILLIS_ARE_A_MOMENT => since_now(number),
            number if number >= SECONDS_ARE_A_MOMENT => since_now(number * 1_000.0),
            seconds => Duration::try_from_secs_f64(seconds).ok(),
        };
    }
    if let Some(span) = span(text) {
        return Some(span);
    }
    // RFC 9110 writes its dates as RFC 2822 does but for the name of the zone.
    let date = text.replace("GMT", "+0000");
    let moment = OffsetDateTime::parse(&date, &Rfc2822)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .ok()?;
    since_now(moment.unix_timestamp() as f64 * 1_000.0)
}

fn span(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(number_ends);
        let unit_ends = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, after) = unit.split_at(unit_ends);
        seconds += number.parse::<f64>().ok()?
            * match unit {
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                "us" | "µs" => 0.000_001,
                _ => return None,
            };
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_is_seen() {
        for (left, _) in &QUOTAS {
            assert!(left.as_str().contains(QUOTA), "{left}");
        }
    }

    /// Sunday, 6 November 1994, 08:49:37 UTC.
    const NOW: i64 = 784_111_777_000;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn every_spelling_of_a_wait_is_read() {
        let check = |text: &str, seconds: Option<f64>| {
            assert_eq!(
                wait(text, NOW).map(|wait| wait.as_secs_f64()),
                seconds,
                "{text}"
            );
        };
        check("7", Some(7.0));
        check("0.5", Some(0.5));
        check("6m0s", Some(360.0));
        check("1h2m3.5s", Some(3_723.5));
        check("20ms", Some(0.02));
        check("784111780", Some(784_111_780.0));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10.0));
        check("1994-11-06T08:50:37Z", Some(60.0));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0.0));
        for nonsense in ["", "-3", "soon", "3 weeks", "1e999", "NaN", "ms", "5x"] {
            check(nonsense, None);
        }
        let today = 1_788_177_600_000;
        assert_eq!(wait("1788177605", today), Some(Duration::from_secs(5)));
        assert_eq!(wait("1788177605000", today), Some(Duration::from_secs(5)));
    }

    #[test]
    fn an_empty_quota_asks_for_a_pause_and_a_full_one_does_not() {
        let pace = |pairs: &[(&'static str, &'static str)]| Pace::of(&headers(pairs), NOW);
        let spent = pace(&[
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "12s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "3s"),
        ]);
        assert_eq!(
            spent.cooling(StatusCode::OK),
            Some(Some(Duration::from_secs(12)))
        );
        let plenty = pace(&[
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
        ]);
        assert_eq!(plenty.cooling(StatusCode::OK), None);
        assert_eq!(plenty.cooling(StatusCode::TOO_MANY_REQUESTS), Some(None));
        let hinted = pace(&[("retry-after-ms", "1500"), ("retry-after", "2")]);
        let wish = Some(Some(Duration::from_millis(1_500)));
        assert_eq!(hinted.cooling(StatusCode::TOO_MANY_REQUESTS), wish);
        assert_eq!(hinted.cooling(StatusCode::SERVICE_UNAVAILABLE), wish);
        assert_eq!(hinted.cooling(StatusCode::OK), None);
        assert_eq!(Pace::default().cooling(StatusCode::BAD_GATEWAY), None);
    }
}
