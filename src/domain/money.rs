//! Money as integers: amounts in nano-dollars, unit prices in pico-dollars.
//!
//! Prices are parsed exactly from decimal strings and printed exactly as decimal numbers, so no
//! floating point ever touches money. Products and sums are made in `i128` by [`crate::ledger`],
//! which rounds once per generation.

use std::fmt;
use std::iter::Sum;
use std::ops::Neg;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount of money in nano-dollars (10⁻⁹ USD). One credit is one dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

/// The price of one unit (a token, a request, an image …) in pico-dollars (10⁻¹² USD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picos(pub i64);

/// An amount in decimal digits. Several are in every answer and every record, and a formatter's way to write them is long.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    text: [u8; LONGEST],
    start: usize,
}

/// The most characters of an amount: a sign, the digits of an `i64` and a zero before them, and a point.
const LONGEST: usize = 24;

/// Pico-dollars in one nano-dollar.
pub const PICOS_PER_NANO: i128 = 1_000;

/// Why a decimal string is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Something other than an optional sign, digits and one point.
    #[error("not a decimal number")]
    NotDecimal,
    /// More fractional digits than the unit can hold exactly.
    #[error("more than {0} decimal places")]
    TooPrecise(u32),
    /// The amount does not fit into 64 bits.
    #[error("too large")]
    TooLarge,
}

impl Nanos {
    /// No money.
    pub const ZERO: Nanos = Nanos(0);
    /// Decimal places of a dollar amount in nano-dollars.
    pub const DECIMALS: u32 = 9;

    /// Whole dollars. Saturates beyond nine billion.
    pub fn from_dollars(dollars: i64) -> Self {
        Nanos(dollars.saturating_mul(1_000_000_000))
    }

    /// Parses a dollar amount such as `"12.5"`, exactly.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text, Self::DECIMALS).map(Nanos)
    }

    /// Rounds a sum of pico-dollars half up, once. Saturates at the ends of `i64`.
    pub fn from_picos(picos: i128) -> Self {
        let rounded = (picos + PICOS_PER_NANO / 2).div_euclid(PICOS_PER_NANO);
        Nanos(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The amount in dollars.
    pub fn decimal(self) -> Decimal {
        Decimal::of(self.0, Self::DECIMALS)
    }

    /// The sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Nanos) -> Option<Nanos> {
        self.0.checked_add(other.0).map(Nanos)
    }

    /// The sum, held at the ends of `i64`.
    pub fn saturating_add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of `i64`.
    pub fn saturating_sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl Neg for Nanos {
    type Output = Nanos;
    fn neg(self) -> Nanos {
        Nanos(self.0.saturating_neg())
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Nanos>>(amounts: I) -> Nanos {
        amounts.fold(Nanos::ZERO, Nanos::saturating_add)
    }
}

impl Picos {
    /// A price of nothing.
    pub const ZERO: Picos = Picos(0);
    /// Decimal places of a unit price in pico-dollars.
    pub const DECIMALS: u32 = 12;

    /// Parses a price in dollars per unit such as `"0.0000025"`, exactly.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text, Self::DECIMALS).map(Picos)
    }

    /// The price in dollars.
    pub fn decimal(self) -> Decimal {
        Decimal::of(self.0, Self::DECIMALS)
    }

    /// The price of `units` units, in pico-dollars.
    pub fn times(self, units: u64) -> i128 {
        i128::from(self.0) * i128::from(units)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decimal().as_str())
    }
}

impl fmt::Display for Picos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decimal().as_str())
    }
}

/// Printed in JSON as a number with exactly the digits of the amount, not through a float.
impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let decimal = self.decimal();
        let number: &RawValue =
            serde_json::from_str(decimal.as_str()).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// Printed in JSON as a decimal string, as the contract (13.3) shows prices.
impl Serialize for Picos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Picos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Picos::parse(&text).map_err(D::Error::custom)
    }
}

fn parse_decimal(text: &str, decimals: u32) -> Result<i64, MoneyError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && !digits.starts_with('.'))
        || digits.ends_with('.')
        || !plain(whole)
        || !plain(fraction)
    {
        return Err(MoneyError::NotDecimal);
    }
    let missing = decimals
        .checked_sub(u32::try_from(fraction.len()).map_err(|_| MoneyError::TooPrecise(decimals))?)
        .ok_or(MoneyError::TooPrecise(decimals))?;
    let magnitude = whole
        .bytes()
        .chain(fraction.bytes())
        .try_fold(0_i64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        })
        .and_then(|sum| sum.checked_mul(10_i64.checked_pow(missing)?))
        .ok_or(MoneyError::TooLarge)?;
    Ok(if negative { -magnitude } else { magnitude })
}

impl Decimal {
    fn of(amount: i64, decimals: u32) -> Self {
        // From the last digit to the first.
        let mut text = [0; LONGEST];
        let mut start = LONGEST;
        let mut put = |byte: u8| {
            start -= 1;
            text[start] = byte;
        };
        let mut rest = amount.unsigned_abs();
        let mut next_digit = || {
            let digit = (rest % 10) as u8;
            rest /= 10;
            (b'0' + digit, rest > 0)
        };
        let mut has_fraction = false;
        for _ in 0..decimals {
            let (digit, _) = next_digit();
            has_fraction |= digit != b'0';
            if has_fraction {
                put(digit);
            }
        }
        if has_fraction {
            put(b'.');
        }
        loop {
            let (digit, more) = next_digit();
            put(digit);
            if !more {
                break;
            }
        }
        if amount < 0 {
            put(b'-');
        }
        Decimal { text, start }
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.start..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_exactly_or_refuses() {
        let check = |text: &str, expect: Result<i64, MoneyError>| {
            assert_eq!(Picos::parse(text).map(|price| price.0), expect, "{text}")
        };
        check("0.0000025", Ok(2_500_000));
        check("1", Ok(1_000_000_000_000));
        check("-0.5", Ok(-500_000_000_000));
        check(".5", Ok(500_000_000_000));
        check("0.10000000000000", Ok(100_000_000_000));
        check("0.0000000255508", Err(MoneyError::TooPrecise(12)));
        check("99999999999", Err(MoneyError::TooLarge));
        for text in ["", "-", "1.", ".", "1e3", "+1", "0x1", "1.2.3", " 1", "NaN"] {
            check(text, Err(MoneyError::NotDecimal));
        }
    }

    #[test]
    fn rounds_half_up_once() {
        assert_eq!(Nanos::from_picos(1_499), Nanos(1));
        assert_eq!(Nanos::from_picos(1_500), Nanos(2));
        assert_eq!(Nanos::from_picos(-1_500), Nanos(-1));
        assert_eq!(Nanos::from_picos(i128::MAX / 2), Nanos(i64::MAX));
    }

    proptest! {
        #[test]
        fn printed_amounts_parse_back(amount in (i64::MIN + 1)..i64::MAX) {
            prop_assert_eq!(Nanos::parse(&Nanos(amount).to_string()), Ok(Nanos(amount)));
            let json = serde_json::to_string(&Nanos(amount)).unwrap();
            prop_assert_eq!(json, Nanos(amount).to_string());
        }
    }
}
