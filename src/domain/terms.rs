//! What an account pays over and under the list price: the operator's markup and the account's discount.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::money::{MoneyError, Picos};

/// A share in parts per million: a percent is ten thousand of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ppm(pub i64);

/// The terms of an account. The default changes nothing: what the provider lists is passed through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// What the operator takes on top of what is left of the list price.
    pub markup: Ppm,
    /// What is taken off the list price.
    pub discount: Ppm,
}

impl Ppm {
    /// Nothing.
    pub const ZERO: Ppm = Ppm(0);
    /// All of it.
    pub const WHOLE: Ppm = Ppm(1_000_000);
    const PER_PERCENT: i64 = 10_000;

    /// Reads percent with at most four decimals, such as `"12.5"`.
    pub fn parse_percent(text: &str) -> Result<Self, MoneyError> {
        // A price of pico-dollars is read exactly; eight of its twelve decimals are more than a share has.
        let fine = Picos::parse(text.strip_suffix('%').unwrap_or(text))?.0;
        let per_share = 100_000_000;
        if fine % per_share != 0 {
            return Err(MoneyError::TooPrecise(4));
        }
        Ok(Ppm(fine / per_share))
    }

    /// What is left of the whole once this share is gone; never less than nothing.
    pub fn rest(self) -> Ppm {
        Ppm(Ppm::WHOLE.0.saturating_sub(self.0).clamp(0, Ppm::WHOLE.0))
    }

    /// The whole with this share on top; never less than the whole.
    pub fn on_top(self) -> Ppm {
        Ppm(Ppm::WHOLE.0.saturating_add(self.0.max(0)))
    }
}

/// In percent, without the sign: `12.5`.
impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / Self::PER_PERCENT, self.0 % Self::PER_PERCENT);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{:04}", rest.abs());
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_read_exactly_and_read_back() {
        let check = |text: &str, expect: Result<(i64, &str), MoneyError>| {
            let read = Ppm::parse_percent(text).map(|share| (share.0, share.to_string()));
            let expect = expect.map(|(ppm, shown)| (ppm, shown.to_owned()));
            assert_eq!(read, expect, "{text}");
        };
        check("0", Ok((0, "0")));
        check("5.5%", Ok((55_000, "5.5")));
        check("100", Ok((1_000_000, "100")));
        check("0.0001", Ok((1, "0.0001")));
        check("12.25", Ok((122_500, "12.25")));
        check("0.00001", Err(MoneyError::TooPrecise(4)));
        check("ten", Err(MoneyError::NotDecimal));
    }
}
