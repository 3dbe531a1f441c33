//! Money, counts and times as people read them. Pure; all in UTC, since the server knows no other.

use maud::{Markup, html};
use time::OffsetDateTime;

use crate::domain::calendar::iso_day;
use crate::domain::money::{Nanos, Picos};

/// An amount: cents when it has any to speak of, more digits when it is small.
pub fn dollars(amount: Nanos) -> String {
    let size = amount.0.unsigned_abs();
    let places = match size {
        0 => 2,
        size if size >= 1_000_000_000 => 2,
        size if size >= 10_000_000 => 4,
        size if size >= 10_000 => 6,
        _ => 9,
    };
    let sign = if amount.0 < 0 { "−" } else { "" };
    format!("{sign}${}", rounded(size, 9, places))
}

/// A price of a token, by the million.
pub fn per_million(price: Picos) -> String {
    if price == Picos::ZERO {
        return "free".to_owned();
    }
    // A pico-dollar a token is a micro-dollar a million tokens.
    let size = price.0.unsigned_abs();
    let places = if size >= 1_000_000 { 2 } else { 4 };
    format!("${}", rounded(size, 6, places))
}

/// A price of something that is not counted in millions, such as a request.
pub fn apiece(price: Picos) -> String {
    dollars(Nanos::from_picos(i128::from(price.0)))
}

/// A count with its thousands set apart.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A large count, short: `128K`, `1.05M`.
pub fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}K", trimmed(number, 1_000)),
        _ => format!("{}M", trimmed(number, 1_000_000)),
    }
}

/// Milliseconds as a person waits them.
pub fn duration(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A part of a whole, given in tenths of a percent: `99.8%`, `100%`.
pub fn percent(per_mille: u32) -> String {
    match (per_mille / 10, per_mille % 10) {
        (whole, 0) => format!("{whole}%"),
        (whole, tenths) => format!("{whole}.{tenths}%"),
    }
}

/// A moment, relative to now, with the full time when pointed at.
pub fn ago(at: i64, now: i64) -> Markup {
    html! { time datetime=(iso(at)) title=(moment(at)) { (relative(at, now)) } }
}

/// A moment in full: `25 Nov 2026, 04:34 UTC`.
pub fn moment(at: i64) -> String {
    let at = parts(at);
    format!(
        "{} {} {}, {:02}:{:02} UTC",
        at.day(),
        month(at),
        at.year(),
        at.hour(),
        at.minute()
    )
}

/// A day: `25 Nov 2026`.
pub fn day(at: i64) -> String {
    let at = parts(at);
    format!("{} {} {}", at.day(), month(at), at.year())
}

/// A day of this year: `25 Nov`.
pub fn short_day(at: i64) -> String {
    let at = parts(at);
    format!("{} {}", at.day(), month(at))
}

/// A moment as machines write it.
pub fn iso(at: i64) -> String {
    let time = parts(at);
    format!(
        "{}T{:02}:{:02}:{:02}Z",
        iso_day(at),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn relative(at: i64, now: i64) -> String {
    let (distance, ahead) = ((now - at).abs() / 1_000, at > now);
    let (number, unit) = match distance {
        ..45 if ahead => return "in a moment".to_owned(),
        ..45 => return "just now".to_owned(),
        45..3_600 => ((distance + 30) / 60, "minute"),
        3_600..86_400 => (distance / 3_600, "hour"),
        86_400..2_592_000 => (distance / 86_400, "day"),
        _ => return day(at),
    };
    let plural = if number == 1 { "" } else { "s" };
    if ahead {
        format!("in {number} {unit}{plural}")
    } else {
        format!("{number} {unit}{plural} ago")
    }
}

fn parts(at: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.div_euclid(1_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn month(at: OffsetDateTime) -> &'static str {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    NAMES[usize::from(u8::from(at.month()) - 1)]
}

/// `size` units of which `scale` decimal places are the fraction, rounded half up to `places`, of which
/// at least two are shown.
fn rounded(size: u64, scale: u32, places: u32) -> String {
    let step = 10_u64.pow(scale.saturating_sub(places));
    let units = size / step + u64::from(size % step * 2 >= step && step > 1);
    let one = 10_u64.pow(places);
    let fraction = format!("{:0width$}", units % one, width = places as usize);
    let kept = fraction.trim_end_matches('0');
    let fraction = if kept.len() < 2 { &fraction[..2] } else { kept };
    format!("{}.{fraction}", grouped(&(units / one).to_string()))
}

fn trimmed(number: u64, unit: u64) -> String {
    let hundredths = (u128::from(number) * 100 + u128::from(unit) / 2) / u128::from(unit);
    let (whole, fraction) = (hundredths / 100, hundredths % 100);
    match (whole, fraction) {
        (_, 0) | (100.., _) => whole.to_string(),
        (10.., fraction) if fraction < 10 => whole.to_string(),
        (10.., fraction) => format!("{whole}.{}", fraction / 10),
        (_, fraction) => format!("{whole}.{}", format!("{fraction:02}").trim_end_matches('0')),
    }
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_digits_that_matter() {
        let check = |nanos: i64, expect: &str| assert_eq!(dollars(Nanos(nanos)), expect, "{nanos}");
        check(0, "$0.00");
        check(1_234_567_890_000, "$1,234.57");
        check(-5_000_000_000, "−$5.00");
        check(999_999_999, "$1.00");
        check(12_345_678, "$0.0123");
        check(184_000, "$0.000184");
        check(5, "$0.000000005");
    }

    #[test]
    fn prices_are_by_the_million() {
        let check = |price: &str, expect: &str| {
            assert_eq!(per_million(Picos::parse(price).unwrap()), expect, "{price}")
        };
        check("0", "free");
        check("0.0000025", "$2.50");
        check("0.000015", "$15.00");
        check("0.000000075", "$0.075");
    }

    #[test]
    fn counts_are_short_or_grouped() {
        assert_eq!(count(1_234_567), "1,234,567");
        for (number, expect) in [
            (999, "999"),
            (32_768, "32.7K"),
            (131_072, "131K"),
            (200_000, "200K"),
            (1_048_576, "1.05M"),
            (1_000_000, "1M"),
        ] {
            assert_eq!(short(number), expect);
        }
    }

    #[test]
    fn times_are_near_or_dates() {
        let now = 1_795_581_289_000;
        let check = |at: i64, expect: &str| assert_eq!(relative(at, now), expect, "{at}");
        check(now - 1_000, "just now");
        check(now - 60_000, "1 minute ago");
        check(now - 7_200_000, "2 hours ago");
        check(now + 86_400_000, "in 1 day");
        check(0, "1 Jan 1970");
    }
}
