//! `/activity`: what was spent and used, by the day and by model, provider, key or app; and every run.
//!
//! Sums come from what the settlement keeps by the day, never from the runs themselves.

mod csv;
mod run;
mod sums;
mod view;
mod why;

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::form::Asked;
use super::refusal::Refusal;
use super::visit::Person;
use crate::clock::now_ms;
use crate::domain::calendar::Windows;
use crate::domain::ids::{AccountId, KeyHash};
use crate::store::{RunFilter, Store, UsageBy};
use sums::{Sums, Use};

const DAY: i64 = 86_400_000;
/// Runs on a page of the list.
const PAGE: u32 = 25;

/// What the page can be asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// How many days, today included.
    days: String,
    /// What each day is divided into: `model`, `provider`, `key` or `app`.
    by: String,
    /// What the chart shows: `cost`, `tokens` or `requests`.
    show: String,
    /// One key alone.
    key: String,
    /// Runs before this one.
    before: String,
}

/// An address that clients of the contract (17.7) know.
#[derive(Deserialize)]
pub struct Logs {
    #[serde(default)]
    api_key_hash: String,
}

/// `GET /activity`.
pub async fn show(
    person: Person,
    State(store): State<Store>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Html<String>, Refusal> {
    let (account, now) = (&person.session.account.id, now_ms());
    let key = wanted.key(&store, account).await?;
    let sums = sums(&store, account, &wanted, now).await?;
    let filter = RunFilter {
        key: key.as_ref().map(|(hash, _)| *hash),
        model: None,
        before: wanted.before(),
    };
    let runs = store.generations(account, &filter, PAGE + 1).await?;
    Ok(view::page(
        &person,
        &wanted,
        key.map(|(_, name)| name).as_deref(),
        &sums,
        runs,
        now,
    ))
}

/// `GET /activity.csv`: the same sums, a line for each day and part.
pub async fn download(
    person: Person,
    State(store): State<Store>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Refusal> {
    let (account, now) = (&person.session.account.id, now_ms());
    wanted.key(&store, account).await?;
    let sums = sums(&store, account, &wanted, now).await?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"turnpike-activity.csv\"",
        ),
    ];
    Ok((headers, csv::write(wanted.by(), &sums)).into_response())
}

/// `GET /activity/{id}`: one run.
pub async fn one(
    person: Person,
    State(store): State<Store>,
    Path(id): Path<String>,
) -> Result<Html<String>, Refusal> {
    let account = &person.session.account.id;
    // A null character names nothing, and Postgres would take it for an error.
    let stored = store.generation(account, &id.replace('\0', "")).await?;
    let stored = stored.ok_or(Refusal::NotFound)?;
    let key = store.key(account, &stored.generation.key).await?;
    Ok(run::page(&person, &stored, key.as_ref()))
}

/// `GET /logs?api_key_hash=`.
pub async fn logs(_: Person, Asked(logs): Asked<Logs>) -> Redirect {
    Redirect::to(&format!(
        "/activity?{}",
        super::link::query(&[("key", &logs.api_key_hash)])
    ))
}

impl Wanted {
    fn days(&self) -> i64 {
        match self.days.as_str() {
            "7" => 7,
            "90" => 90,
            _ => 30,
        }
    }

    fn by(&self) -> &'static str {
        ["model", "provider", "key", "app"]
            .into_iter()
            .find(|by| *by == self.by)
            .unwrap_or("model")
    }

    fn shows(&self) -> &'static str {
        ["cost", "tokens", "requests"]
            .into_iter()
            .find(|shown| *shown == self.show)
            .unwrap_or("cost")
    }

    /// `UNIX_MS.GENERATION`, as the list writes it.
    fn before(&self) -> Option<(i64, String)> {
        let (at, id) = self.before.split_once('.')?;
        Some((at.parse().ok()?, id.replace('\0', "")))
    }

    /// The key that was asked for, with its name. A key of another account does not exist.
    async fn key(
        &self,
        store: &Store,
        account: &AccountId,
    ) -> Result<Option<(KeyHash, String)>, Refusal> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let hash = KeyHash::from_hex(&self.key).ok_or(Refusal::NotFound)?;
        let key = store.key(account, &hash).await?.ok_or(Refusal::NotFound)?;
        Ok(Some((hash, key.name)))
    }
}

/// The sums of the days that were asked for, each part under its name.
async fn sums(
    store: &Store,
    account: &AccountId,
    wanted: &Wanted,
    now: i64,
) -> Result<Sums, Refusal> {
    let until = Windows::at(now).day + DAY;
    let from = until - wanted.days() * DAY;
    let key = KeyHash::from_hex(&wanted.key);
    let by = match wanted.by() {
        "provider" => UsageBy::Provider,
        "key" | "app" => UsageBy::Key,
        _ => UsageBy::Model,
    };
    let used = store.usage(account, key.as_ref(), by, from, until).await?;
    let names = match wanted.by() {
        "key" => key_names(store, account).await?,
        "app" => app_names(store, account).await?,
        _ => HashMap::new(),
    };
    let unnamed = match wanted.by() {
        "key" => Some("a deleted key"),
        "app" => Some("your own keys"),
        _ => None,
    };
    let named = used.into_iter().map(|used| {
        let name = names.get(&used.part).cloned();
        let part = name
            .or_else(|| unnamed.map(str::to_owned))
            .unwrap_or(used.part);
        (used.day, part, Use::from(used.amounts))
    });
    Ok(Sums::of(from, until, named))
}

async fn key_names(store: &Store, account: &AccountId) -> Result<HashMap<String, String>, Refusal> {
    let keys = store.keys(account, 0, 10_000, true).await?;
    Ok(keys
        .into_iter()
        .map(|key| (key.hash.to_hex(), key.name))
        .collect())
}

async fn app_names(store: &Store, account: &AccountId) -> Result<HashMap<String, String>, Refusal> {
    let keys = store.app_keys(account).await?;
    Ok(keys
        .into_iter()
        .map(|key| (key.key.to_hex(), key.app_name))
        .collect())
}
