//! What a person fills in about a key, checked field by field. Pure; the time is passed in.

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Duration};

use crate::auth::checked_key_name;
use crate::console::form::amount;
use crate::domain::calendar::iso_day;
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;
use crate::store::{Key, KeyChange};

/// The form of a key, as it was sent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Fields {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) limit: String,
    #[serde(default)]
    pub(super) limit_reset: String,
    /// The last day on which it works, `YYYY-MM-DD`.
    #[serde(default)]
    pub(super) expires: String,
    #[serde(default)]
    pub(super) purpose: String,
}

/// The form, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) limit: Option<Nanos>,
    pub(super) limit_reset: LimitReset,
    pub(super) expires_at: Option<i64>,
    pub(super) management: bool,
}

/// What is wrong with which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) name: Option<String>,
    pub(super) limit: Option<String>,
    pub(super) limit_reset: Option<String>,
    pub(super) expires: Option<String>,
}

impl Fields {
    /// The form that would make a key as it is.
    pub(super) fn of(key: &Key) -> Self {
        Fields {
            name: key.name.clone(),
            limit: key.limit.map(|limit| limit.to_string()).unwrap_or_default(),
            limit_reset: key.limit_reset.as_str().unwrap_or_default().to_owned(),
            ..Fields::default()
        }
    }

    /// Every field, or everything that is wrong.
    pub(super) fn check(&self, now: i64) -> Result<Checked, Wrong> {
        let mut wrong = Wrong::default();
        let name = checked_key_name(&self.name)
            .map_err(|error| wrong.name = Some(format!("The name {error}.")));
        let limit = amount(&self.limit).map_err(|words| wrong.limit = Some(words));
        let written = Some(self.limit_reset.as_str()).filter(|word| !word.is_empty());
        let limit_reset = LimitReset::parse(written)
            .ok_or_else(|| wrong.limit_reset = Some("Choose one of these.".to_owned()));
        let expires_at =
            end_of_day(&self.expires, now).map_err(|words| wrong.expires = Some(words));
        match (name, limit, limit_reset, expires_at) {
            (Ok(name), Ok(limit), Ok(limit_reset), Ok(expires_at)) => Ok(Checked {
                name,
                limit,
                limit_reset,
                expires_at,
                management: self.purpose == "manage",
            }),
            _ => Err(wrong),
        }
    }
}

impl Checked {
    /// The change that makes a key so. When a key ends and what it is for cannot be changed.
    pub(super) fn into_change(self) -> KeyChange {
        KeyChange {
            name: Some(self.name),
            limit: Some(self.limit),
            limit_reset: Some(self.limit_reset),
            ..KeyChange::default()
        }
    }
}

/// The midnight at which a day ends; `None` for no day.
fn end_of_day(text: &str, now: i64) -> Result<Option<i64>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let words = || format!("Enter a day such as {}.", iso_day(now));
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"))
        .ok()
        .filter(|day| (1970..9_000).contains(&day.year()))
        .ok_or_else(words)?;
    let end = (day.midnight().assume_utc() + Duration::DAY).unix_timestamp() * 1_000;
    if end <= now {
        return Err("This day is over.".to_owned());
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 31 August 2026, noon UTC.
    const NOON: i64 = 1_788_177_600_000;

    fn fields(name: &str, limit: &str, expires: &str) -> Fields {
        Fields {
            name: name.to_owned(),
            limit: limit.to_owned(),
            expires: expires.to_owned(),
            ..Fields::default()
        }
    }

    #[test]
    fn a_form_is_understood() {
        let checked = fields(" build ", "$1,250.50", "2026-08-31")
            .check(NOON)
            .unwrap();
        assert_eq!(checked.name, "build");
        assert_eq!(checked.limit, Some(Nanos(1_250_500_000_000)));
        assert_eq!(checked.expires_at, Some(NOON + 43_200_000));
        assert!(!checked.management);
        let checked = fields("x", "", "").check(NOON).unwrap();
        assert_eq!((checked.limit, checked.expires_at), (None, None));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let wrong = fields("  ", "-1", "2026-08-30").check(NOON).unwrap_err();
        assert!(wrong.name.is_some() && wrong.limit.is_some());
        assert_eq!(wrong.expires.as_deref(), Some("This day is over."));
        let wrong = fields(&"x".repeat(201), "lots", "soon").check(NOON);
        let wrong = wrong.unwrap_err();
        assert!(wrong.name.is_some() && wrong.limit.is_some() && wrong.expires.is_some());
        let odd = Fields {
            limit_reset: "hourly".to_owned(),
            ..fields("x", "", "")
        };
        assert!(odd.check(NOON).unwrap_err().limit_reset.is_some());
    }
}
