//! Runs, read back. [`super::settlements`] writes them.

use super::db::read;
use super::{Store, StoreError};
use crate::domain::generation::Generation;
use crate::domain::ids::{AccountId, KeyHash};

pub(super) const GENERATION: &str =
    "SELECT record, settled_at FROM generations WHERE id = $1 AND account = $2";

/// A run as it was stored.
#[derive(Clone, Debug)]
pub struct StoredGeneration {
    /// The run.
    pub generation: Generation,
    /// When it was charged, Unix milliseconds.
    pub settled_at: i64,
}

/// Which runs of an account to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Those of this key.
    pub key: Option<KeyHash>,
    /// Those that this model answered.
    pub model: Option<String>,
    /// Those older than the run with this time and id.
    pub before: Option<(i64, String)>,
}

impl Store {
    /// Runs of an account, newest first.
    pub async fn generations(
        &self,
        account: &AccountId,
        filter: &RunFilter,
        limit: u32,
    ) -> Result<Vec<StoredGeneration>, StoreError> {
        const SQL: &str = "SELECT record, settled_at FROM generations
            WHERE account = $1 AND ($2 IS NULL OR key_hash = $2) AND ($3 IS NULL OR model = $3)
                AND created_at <= $4 AND (created_at < $4 OR id < $5)
            ORDER BY created_at DESC, id DESC LIMIT $6";
        let (at, id) = match &filter.before {
            Some((at, id)) => (*at, id.as_str()),
            None => (i64::MAX, ""),
        };
        let rows: Vec<(String, i64)> = read!(self, db => {
            sqlx::query_as(SQL)
                .bind(account.as_str())
                .bind(filter.key.as_ref().map(|key| key.as_bytes().as_slice()))
                .bind(filter.model.as_deref())
                .bind(at)
                .bind(id)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await
        })?;
        rows.into_iter().map(StoredGeneration::read).collect()
    }

    /// The run with this id, if it belongs to the account.
    pub async fn generation(
        &self,
        account: &AccountId,
        id: &str,
    ) -> Result<Option<StoredGeneration>, StoreError> {
        let row: Option<(String, i64)> = read!(self, db => sqlx::query_as(GENERATION).bind(id).bind(account.as_str()).fetch_optional(db).await)?;
        row.map(StoredGeneration::read).transpose()
    }
}

impl StoredGeneration {
    fn read((record, settled_at): (String, i64)) -> Result<Self, StoreError> {
        let generation =
            serde_json::from_str(&record).map_err(|_| StoreError::Unreadable("a generation"))?;
        Ok(StoredGeneration {
            generation,
            settled_at,
        })
    }
}
