//! What an account used by the day, divided into parts: sums of the rows that the settlement keeps.

use sqlx::FromRow;

use super::db::read;
use super::{Store, StoreError};
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;

/// What each day is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    /// Models, by id.
    Model,
    /// Providers, by display name.
    Provider,
    /// Keys, by hash in hexadecimal digits.
    Key,
}

/// What was used on one day in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Midnight UTC, Unix milliseconds.
    pub day: i64,
    /// Which model, provider or key.
    pub part: String,
    /// How much.
    pub amounts: UsedAmounts,
}

/// How much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedAmounts {
    /// Runs.
    pub requests: i64,
    /// Input tokens.
    pub tokens_prompt: i64,
    /// Output tokens.
    pub tokens_completion: i64,
    /// What was charged.
    pub cost: Nanos,
}

/// The sums by day and a column, for an account, perhaps one of its keys, from a day to before another.
macro_rules! sums_by {
    ($part:literal) => {
        concat!(
            "SELECT day, ",
            $part,
            " AS part, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(tokens_prompt) AS BIGINT) AS tokens_prompt,
                CAST(SUM(tokens_completion) AS BIGINT) AS tokens_completion, CAST(SUM(net_nanos) AS BIGINT) AS net_nanos
            FROM activity WHERE account = $1 AND day >= $2 AND day < $3 AND ($4 IS NULL OR key_hash = $4)
            GROUP BY day, ",
            $part,
            " ORDER BY day, part"
        )
    };
}

impl Store {
    /// What an account, or one of its keys, used from the day that begins at `from` to the one before `until`.
    pub async fn usage(
        &self,
        account: &AccountId,
        key: Option<&KeyHash>,
        by: UsageBy,
        from: i64,
        until: i64,
    ) -> Result<Vec<Used>, StoreError> {
        let key = key.map(|key| key.as_bytes().as_slice());
        let sql = match by {
            UsageBy::Model => sums_by!("model"),
            UsageBy::Provider => sums_by!("provider_name"),
            UsageBy::Key => {
                let rows: Vec<Row<Vec<u8>>> = read!(self, db => {
                    sqlx::query_as(sums_by!("key_hash")).bind(account.as_str()).bind(from).bind(until).bind(key).fetch_all(db).await
                })?;
                return Ok(rows.into_iter().map(|row| row.used(hex::encode)).collect());
            }
        };
        let rows: Vec<Row<String>> = read!(self, db => {
            sqlx::query_as(sql).bind(account.as_str()).bind(from).bind(until).bind(key).fetch_all(db).await
        })?;
        Ok(rows.into_iter().map(|row| row.used(|part| part)).collect())
    }
}

#[derive(FromRow)]
struct Row<P> {
    day: i64,
    part: P,
    requests: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    net_nanos: i64,
}

impl<P> Row<P> {
    fn used(self, name: impl Fn(P) -> String) -> Used {
        Used {
            day: self.day,
            part: name(self.part),
            amounts: UsedAmounts {
                requests: self.requests,
                tokens_prompt: self.tokens_prompt,
                tokens_completion: self.tokens_completion,
                cost: Nanos(self.net_nanos),
            },
        }
    }
}
