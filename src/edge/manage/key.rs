//! `GET /key`: what the calling key may spend and has spent (contract 16.1).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::Data;
use super::moment::Moment;
use crate::clock;
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::edge::error::ApiError;
use crate::edge::extract::Caller;
use crate::store::{Key, Store};

/// `GET /key`, for any key.
pub async fn show(State(store): State<Store>, Caller(who): Caller) -> Result<Response, ApiError> {
    // A key may be deleted between its authentication and this line.
    let key = store
        .key(&who.account, &who.key)
        .await?
        .ok_or_else(|| ApiError::not_found("API key not found"))?;
    let credits = store.credits(&who.account).await?;
    let view = CallingKey {
        label: &key.label,
        spending: Spending::of(&key, clock::now_ms()),
        is_free_tier: credits.granted <= Nanos::ZERO,
        is_management_key: key.management,
        is_provisioning_key: key.management,
        expires_at: key.expires_at.map(Moment),
        rate_limit: NO_RATE_LIMIT,
    };
    Ok(Json(Data { data: view }).into_response())
}

#[derive(Serialize)]
struct CallingKey<'a> {
    label: &'a str,
    #[serde(flatten)]
    spending: Spending<'a>,
    is_free_tier: bool,
    is_management_key: bool,
    is_provisioning_key: bool,
    expires_at: Option<Moment>,
    rate_limit: RateLimit,
}

/// A leftover of the contract's first years.
#[derive(Serialize)]
struct RateLimit {
    requests: i64,
    interval: &'static str,
    note: &'static str,
}

const NO_RATE_LIMIT: RateLimit = RateLimit {
    requests: -1,
    interval: "10s",
    note: "This field is deprecated and safe to ignore.",
};

/// Limit and usage, as every view of a key shows them.
#[derive(Serialize)]
pub(super) struct Spending<'a> {
    limit: Option<Nanos>,
    limit_remaining: Option<Nanos>,
    limit_reset: Option<&'static str>,
    include_byok_in_limit: bool,
    usage: Nanos,
    usage_daily: Nanos,
    usage_weekly: Nanos,
    usage_monthly: Nanos,
    // Calls on the caller's own provider keys come with BYOK; until then there is none to count.
    byok_usage: u8,
    byok_usage_daily: u8,
    byok_usage_weekly: u8,
    byok_usage_monthly: u8,
    creator_user_id: Option<&'a str>,
}

impl<'a> Spending<'a> {
    pub(super) fn of(key: &'a Key, now: i64) -> Self {
        let usage = key.usage(now);
        Spending {
            limit: key.limit,
            limit_remaining: key.remaining(now),
            limit_reset: key.limit_reset.as_str(),
            include_byok_in_limit: key.include_byok_in_limit,
            usage: usage.total,
            usage_daily: usage.daily,
            usage_weekly: usage.weekly,
            usage_monthly: usage.monthly,
            byok_usage: 0,
            byok_usage_daily: 0,
            byok_usage_weekly: 0,
            byok_usage_monthly: 0,
            creator_user_id: key.creator.as_ref().map(AccountId::as_str),
        }
    }
}
