//! Amounts of dollars as clients write them: JSON numbers, read without a float in between.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::money::{MoneyError, Nanos};

/// A cap that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dollars(pub(crate) Nanos);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        parse(raw.get()).map(Dollars).map_err(D::Error::custom)
    }
}

/// Reads a JSON number of dollars. What is finer than a nano-dollar is cut off: a sum of floats such as
/// 0.30000000000000004 should be taken, and a cap may be a little lower than asked, not higher.
fn parse(number: &str) -> Result<Nanos, MoneyError> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent
                .parse::<i32>()
                .map_err(|_| MoneyError::NotDecimal)?,
        ),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX) - i64::from(exponent);
    let cut = |digits: &str, places: i64| {
        let keep = usize::try_from(places - i64::from(Nanos::DECIMALS)).unwrap_or(0);
        digits[..digits.len().saturating_sub(keep)].to_owned()
    };
    match places {
        i64::MIN..=-19 => Err(MoneyError::TooLarge),
        -18..=0 => Nanos::parse(&format!(
            "{digits}{}",
            "0".repeat(usize::try_from(-places).unwrap_or(0))
        )),
        places => {
            let kept = cut(&digits, places);
            let places = usize::try_from(places.min(i64::from(Nanos::DECIMALS))).unwrap_or(0);
            let (sign, kept) = match kept.strip_prefix('-') {
                Some(rest) => ("-", rest),
                None => ("", kept.as_str()),
            };
            let padded = format!("{kept:0>width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            Nanos::parse(&format!("{sign}{whole}.{fraction}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_are_dollars() {
        let check = |number: &str, expect: Result<&str, MoneyError>| {
            let shown = parse(number).map(|amount| amount.to_string());
            assert_eq!(shown.as_deref().map_err(|error| *error), expect, "{number}");
        };
        check("20", Ok("20"));
        check("14.5", Ok("14.5"));
        check("0.30000000000000004", Ok("0.3"));
        check("1e-7", Ok("0.0000001"));
        check("1.5E+2", Ok("150"));
        check("-2.25", Ok("-2.25"));
        check("0", Ok("0"));
        check("123e-20", Ok("0"));
        check("1e18", Err(MoneyError::TooLarge));
        check("1e400", Err(MoneyError::TooLarge));
        check("\"5\"", Err(MoneyError::NotDecimal));
        check("true", Err(MoneyError::NotDecimal));
    }
}
