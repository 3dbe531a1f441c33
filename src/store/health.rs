//! What processes measured of endpoints, kept so that none starts blind. The text is the measurer's own.

use super::db::{read, write};
use super::{Store, StoreError};

/// What one process measured of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct HealthRow {
    /// The model.
    pub model: String,
    /// The endpoint's tag.
    pub endpoint: String,
    /// The measurements.
    pub measured: String,
}

impl Store {
    /// Keeps what a process measured, instead of what it kept of the same endpoints before.
    pub async fn keep_health(
        &self,
        replica: &str,
        rows: &[HealthRow],
        now: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO endpoint_health (replica, model, endpoint, measured, updated_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (replica, model, endpoint) DO UPDATE SET measured = excluded.measured, updated_at = excluded.updated_at";
        write!(self, tx => {
            for HealthRow { model, endpoint, measured } in rows {
                sqlx::query(SQL).bind(replica).bind(model).bind(endpoint).bind(measured).bind(now).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// What all processes but this one measured and kept since a moment.
    pub async fn health_of_others(
        &self,
        replica: &str,
        since: i64,
    ) -> Result<Vec<HealthRow>, StoreError> {
        const SQL: &str = "SELECT model, endpoint, measured FROM endpoint_health WHERE replica <> $1 AND updated_at >= $2
            ORDER BY model, endpoint, replica";
        Ok(read!(self, db => sqlx::query_as(SQL).bind(replica).bind(since).fetch_all(db).await)?)
    }

    /// Forgets what was kept before a moment.
    pub async fn forget_health(&self, before: i64) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM endpoint_health WHERE updated_at < $1";
        write!(self, tx => { sqlx::query(SQL).bind(before).execute(&mut *tx).await?; });
        Ok(())
    }
}
