//! Runs, read back. [`super::settlements`] writes them.

use super::db::read;
use super::{Store, StoreError};
use crate::domain::generation::Generation;
use crate::domain::ids::AccountId;

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

impl Store {
    /// The run with this id, if it belongs to the account.
    pub async fn generation(
        &self,
        account: &AccountId,
        id: &str,
    ) -> Result<Option<StoredGeneration>, StoreError> {
        let row: Option<(String, i64)> = read!(self, db => sqlx::query_as(GENERATION).bind(id).bind(account.as_str()).fetch_optional(db).await)?;
        let Some((record, settled_at)) = row else {
            return Ok(None);
        };
        let generation =
            serde_json::from_str(&record).map_err(|_| StoreError::Unreadable("a generation"))?;
        Ok(Some(StoredGeneration {
            generation,
            settled_at,
        }))
    }
}
