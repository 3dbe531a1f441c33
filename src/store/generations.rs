//! Runs, read back. [`super::settlements`] writes them.

use sqlx::FromRow;

use super::db::read;
use super::keys::key_hash;
use super::{Store, StoreError};
use crate::domain::generation::{Generation, Which};
use crate::domain::ids::{AccountId, KeyHash};

/// The columns of a [`Row`].
macro_rules! run_columns {
    () => {
        "id, account, key_hash, created_at, settled_at, record"
    };
}

pub(super) const GENERATION: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM generations WHERE id = $1 AND account = $2"
);

/// Runs that began at a time or later, in the order of time: an id begins with the second of its run.
pub(super) const SINCE: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM generations WHERE id >= $1 AND created_at >= $2 ORDER BY id"
);

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
        const SQL: &str = concat!(
            "SELECT ",
            run_columns!(),
            " FROM generations
            WHERE account = $1 AND ($2 IS NULL OR key_hash = $2) AND ($3 IS NULL OR model = $3)
                AND created_at <= $4 AND (created_at < $4 OR id < $5)
            ORDER BY created_at DESC, id DESC LIMIT $6"
        );
        let (at, id) = match &filter.before {
            Some((at, id)) => (*at, id.as_str()),
            None => (i64::MAX, ""),
        };
        let rows: Vec<Row> = read!(self, db => {
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
        rows.into_iter().map(StoredGeneration::try_from).collect()
    }

    /// The run with this id, if it belongs to the account.
    pub async fn generation(
        &self,
        account: &AccountId,
        id: &str,
    ) -> Result<Option<StoredGeneration>, StoreError> {
        let row: Option<Row> = read!(self, db => sqlx::query_as(GENERATION).bind(id).bind(account.as_str()).fetch_optional(db).await)?;
        row.map(StoredGeneration::try_from).transpose()
    }
}

/// A run as its table has it: the record without what stands beside it.
#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    account: String,
    key_hash: Vec<u8>,
    created_at: i64,
    settled_at: i64,
    record: String,
}

impl TryFrom<Row> for StoredGeneration {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let which = Which {
            id: row.id.into(),
            created_at: row.created_at,
            account: row.account.into(),
            key: key_hash(&row.key_hash)?,
        };
        let record = serde_json::from_str(&row.record)
            .map_err(|_| StoreError::Unreadable("a generation"))?;
        Ok(StoredGeneration {
            generation: Generation::of(which, record),
            settled_at: row.settled_at,
        })
    }
}
