//! `GET /activity`: what the account used on each of the last thirty days that are over (contract 16.4).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

use super::{Data, Params};
use crate::catalog::Catalog;
use crate::catalog::snapshot::Snapshot;
use crate::clock;
use crate::domain::calendar::Windows;
use crate::domain::ids::KeyHash;
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::edge::extract::Manager;
use crate::edge::manage::keys::DEFAULT_WORKSPACE;
use crate::store::{Activity, Store};

const DAY_MS: i64 = 86_400_000;
/// How many days back an account may look.
const DAYS: i64 = 30;

/// What to show.
#[derive(Deserialize)]
pub struct Wanted {
    date: Option<String>,
    api_key_hash: Option<String>,
    user_id: Option<String>,
    workspace_id: Option<String>,
    group_by: Option<String>,
}

/// `GET /activity`, for management keys.
pub async fn show(
    State(store): State<Store>,
    State(catalog): State<Catalog>,
    Manager(who): Manager,
    Params(wanted): Params<Wanted>,
) -> Result<Response, ApiError> {
    let today = Windows::at(clock::now_ms()).day;
    let (from, until) = match wanted.date.as_deref() {
        None => (today - DAYS * DAY_MS, today),
        Some(date) => one_day(date, today)?,
    };
    let key = wanted.api_key_hash.as_deref().map(key_hash).transpose()?;
    let by_workspace = by_workspace(wanted.group_by.as_deref())?;
    // An account is its own only member, and has the one workspace.
    let nobodys = wanted
        .user_id
        .is_some_and(|user| user != who.account.as_str())
        || wanted
            .workspace_id
            .is_some_and(|id| id != DEFAULT_WORKSPACE);
    let used = if nobodys {
        Vec::new()
    } else {
        store
            .activity(&who.account, key.as_ref(), from, until)
            .await?
    };
    let snapshot = catalog.snapshot();
    let data: Vec<_> = used
        .iter()
        .map(|used| Item::of(used, &snapshot, by_workspace))
        .collect();
    Ok(Json(Data { data }).into_response())
}

/// One line: a day, a model, an endpoint.
#[derive(Serialize)]
struct Item<'a> {
    date: String,
    model: &'a str,
    model_permaslug: &'a str,
    endpoint_id: &'a str,
    provider_name: &'a str,
    usage: Nanos,
    /// Runs on the caller's own provider keys come with BYOK; until then there are none.
    byok_usage_inference: u8,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    reasoning_tokens: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<&'static str>,
}

impl<'a> Item<'a> {
    fn of(used: &'a Activity, catalog: &'a Snapshot, workspace: Option<&'static str>) -> Self {
        Item {
            date: date_of(used.day),
            model: &used.model,
            model_permaslug: catalog
                .model(&used.model)
                .map_or(used.model.as_str(), |model| &model.canonical_slug),
            endpoint_id: &used.endpoint,
            provider_name: &used.provider_name,
            usage: used.net,
            byok_usage_inference: 0,
            requests: used.requests,
            prompt_tokens: used.tokens_prompt,
            completion_tokens: used.tokens_completion,
            reasoning_tokens: used.tokens_reasoning,
            workspace_id: workspace,
        }
    }
}

/// The day that is asked for, which must be over and not too long ago.
fn one_day(date: &str, today: i64) -> Result<(i64, i64), ApiError> {
    let day =
        day_of(date).ok_or_else(|| ApiError::invalid("date: must be a day such as 2026-08-24"))?;
    if day < today - DAYS * DAY_MS || day >= today {
        return Err(ApiError::invalid(format!(
            "date: must be one of the last {DAYS} days that are over, UTC"
        )));
    }
    Ok((day, day + DAY_MS))
}

fn key_hash(text: &str) -> Result<KeyHash, ApiError> {
    KeyHash::from_hex(text)
        .ok_or_else(|| ApiError::invalid("api_key_hash: must be 64 hexadecimal digits"))
}

fn by_workspace(group_by: Option<&str>) -> Result<Option<&'static str>, ApiError> {
    match group_by {
        None => Ok(None),
        Some("workspace") => Ok(Some(DEFAULT_WORKSPACE)),
        Some(_) => Err(ApiError::invalid("group_by: must be workspace")),
    }
}

/// Midnight of a day such as `2026-08-24`, Unix milliseconds.
fn day_of(date: &str) -> Option<i64> {
    let bytes = date.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        let part = date.get(range)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse::<u16>().ok())?
    };
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let month = Month::try_from(u8::try_from(digits(5..7)?).ok()?).ok()?;
    let day = u8::try_from(digits(8..10)?).ok()?;
    let date = Date::from_calendar_date(i32::from(digits(0..4)?), month, day).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp() * 1_000)
}

fn date_of(day: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(day.div_euclid(1_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}",
        at.year(),
        u8::from(at.month()),
        at.day()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_read_back_as_they_are_written() {
        let check = |date: &str, expect: Option<&str>| {
            assert_eq!(day_of(date).map(date_of).as_deref(), expect, "{date}");
        };
        check("2026-08-24", Some("2026-08-24"));
        check("2024-02-29", Some("2024-02-29"));
        check("2026-02-29", None);
        check("2026-8-24", None);
        check("2026-08-24T00:00:00Z", None);
        check("2026-13-01", None);
        check("+026-08-24", None);
        check("yesterday!", None);
        check("", None);
        check("20é6-08-24", None);
    }

    #[test]
    fn only_days_that_are_over_can_be_asked_for() {
        let today = day_of("2026-08-31").unwrap();
        let check =
            |date: &str, expect: bool| assert_eq!(one_day(date, today).is_ok(), expect, "{date}");
        check("2026-08-31", false);
        check("2026-08-30", true);
        check("2026-08-01", true);
        check("2026-07-31", false);
    }
}
