//! Who calls, and what they may spend.

use super::ids::{AccountId, KeyHash};
use super::money::Nanos;
use super::terms::Ppm;

/// An authenticated key and the account that pays for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account that pays.
    pub account: AccountId,
    /// The key's hash, its public name (contract 1.3).
    pub key: KeyHash,
    /// The masked key, such as `sk-or-v1-0e6...c96`.
    pub label: String,
    /// Whether this is a management key, which may not call models (contract 1.2).
    pub management: bool,
    /// The key's cap on spending and the window it holds for; `None` when it has none.
    pub limit: Option<(Nanos, LimitReset)>,
    /// When the key stops working, Unix milliseconds.
    pub expires_at: Option<i64>,
    /// What the account is let off the list price.
    pub discount: Ppm,
}

/// When a key's cap starts anew: at midnight UTC of the day, of Monday, or of the month's first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReset {
    /// Never: the cap is for the key's life.
    Never,
    /// Every day.
    Daily,
    /// Every Monday.
    Weekly,
    /// On the first day of each month.
    Monthly,
}

impl LimitReset {
    /// The contract's word (16.2), `None` for never.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            LimitReset::Never => None,
            LimitReset::Daily => Some("daily"),
            LimitReset::Weekly => Some("weekly"),
            LimitReset::Monthly => Some("monthly"),
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: Option<&str>) -> Option<Self> {
        match word {
            None => Some(LimitReset::Never),
            Some("daily") => Some(LimitReset::Daily),
            Some("weekly") => Some(LimitReset::Weekly),
            Some("monthly") => Some(LimitReset::Monthly),
            Some(_) => None,
        }
    }
}
