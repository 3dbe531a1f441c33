//! What was used a day: sums that the settlement keeps in its own transaction. [`super::settlements`] writes them.

use sqlx::FromRow;

use super::db::read;
use super::{Store, StoreError};
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;

pub(super) const ACTIVITY: &str = "SELECT day, model, endpoint, MIN(provider_name) AS provider_name, CAST(SUM(requests) AS BIGINT) AS requests,
        CAST(SUM(tokens_prompt) AS BIGINT) AS tokens_prompt, CAST(SUM(tokens_completion) AS BIGINT) AS tokens_completion,
        CAST(SUM(tokens_reasoning) AS BIGINT) AS tokens_reasoning, CAST(SUM(net_nanos) AS BIGINT) AS net_nanos,
        CAST(SUM(discount_nanos) AS BIGINT) AS discount_nanos, CAST(SUM(fee_nanos) AS BIGINT) AS fee_nanos
    FROM activity WHERE account = $1 AND day >= $2 AND day < $3 AND ($4 IS NULL OR key_hash = $4)
    GROUP BY day, model, endpoint ORDER BY day DESC, model, endpoint";

/// What an account used on one day at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Midnight UTC, Unix milliseconds.
    pub day: i64,
    /// The model's id.
    pub model: String,
    /// The endpoint's tag.
    pub endpoint: String,
    /// The provider's display name.
    pub provider_name: String,
    /// Runs that the endpoint answered, charged or not.
    pub requests: i64,
    /// Input tokens.
    pub tokens_prompt: i64,
    /// Output tokens, reasoning included.
    pub tokens_completion: i64,
    /// Output tokens spent on reasoning.
    pub tokens_reasoning: i64,
    /// What was charged.
    pub net: Nanos,
    /// What was taken off the price.
    pub discount: Nanos,
    /// The operator's part of what was charged.
    pub fee: Nanos,
}

impl Store {
    /// What an account, or one of its keys, used from the day that begins at `from` to the one before `until`; the latest
    /// day first.
    pub async fn activity(
        &self,
        account: &AccountId,
        key: Option<&KeyHash>,
        from: i64,
        until: i64,
    ) -> Result<Vec<Activity>, StoreError> {
        let key = key.map(|key| key.as_bytes().as_slice());
        let rows: Vec<Row> = read!(self, db => {
            sqlx::query_as(ACTIVITY).bind(account.as_str()).bind(from).bind(until).bind(key).fetch_all(db).await
        })?;
        Ok(rows.into_iter().map(Activity::from).collect())
    }
}

#[derive(FromRow)]
struct Row {
    day: i64,
    model: String,
    endpoint: String,
    provider_name: String,
    requests: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    tokens_reasoning: i64,
    net_nanos: i64,
    discount_nanos: i64,
    fee_nanos: i64,
}

impl From<Row> for Activity {
    fn from(row: Row) -> Self {
        Activity {
            day: row.day,
            model: row.model,
            endpoint: row.endpoint,
            provider_name: row.provider_name,
            requests: row.requests,
            tokens_prompt: row.tokens_prompt,
            tokens_completion: row.tokens_completion,
            tokens_reasoning: row.tokens_reasoning,
            net: Nanos(row.net_nanos),
            discount: Nanos(row.discount_nanos),
            fee: Nanos(row.fee_nanos),
        }
    }
}
