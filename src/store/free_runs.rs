//! How many free runs each account has begun, over all replicas.

use sqlx::FromRow;

use super::accounts::wallet_of;
use super::db::write;
use super::{Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::domain::quota::{FreeRuns, Quota, QuotaExceeded};

const LOCK: &str = "UPDATE free_runs SET day_runs = day_runs WHERE account = $1
    RETURNING minute_start, minute_runs, day_start, day_runs";

impl Store {
    /// Counts one more free run of an account, unless a limit is used up. Replicas that count at once take turns at
    /// the account's row.
    pub async fn begin_free_run(
        &self,
        account: &AccountId,
        quota: &Quota,
        now: i64,
    ) -> Result<Result<(), QuotaExceeded>, StoreError> {
        const FIRST: &str =
            "INSERT INTO free_runs (account, minute_start, minute_runs, day_start, day_runs)
            VALUES ($1, 0, 0, 0, 0) ON CONFLICT (account) DO NOTHING";
        const GRANTED: &str =
            "SELECT balance_nanos + charged_nanos FROM ledger_accounts WHERE id = $1";
        const COUNT: &str = "UPDATE free_runs SET minute_start = $2, minute_runs = $3, day_start = $4, day_runs = $5
            WHERE account = $1";
        let id = account.as_str();
        let verdict = write!(self, tx => {
            let mut row: Option<Row> = sqlx::query_as(LOCK).bind(id).fetch_optional(&mut *tx).await?;
            if row.is_none() {
                sqlx::query(FIRST).bind(id).execute(&mut *tx).await?;
                row = sqlx::query_as(LOCK).bind(id).fetch_optional(&mut *tx).await?;
            }
            let granted: Option<i64> = sqlx::query_scalar(GRANTED).bind(wallet_of(account)).fetch_optional(&mut *tx).await?;
            let runs = row.map(FreeRuns::from).unwrap_or_default();
            match quota.count(&runs, Nanos(granted.unwrap_or_default()), now) {
                Err(exceeded) => Err(exceeded),
                Ok(runs) => {
                    let count = sqlx::query(COUNT).bind(id).bind(runs.minute_start).bind(runs.minute_runs);
                    count.bind(runs.day_start).bind(runs.day_runs).execute(&mut *tx).await?;
                    Ok(())
                }
            }
        });
        Ok(verdict)
    }
}

#[derive(FromRow)]
struct Row {
    minute_start: i64,
    minute_runs: i64,
    day_start: i64,
    day_runs: i64,
}

impl From<Row> for FreeRuns {
    fn from(row: Row) -> Self {
        FreeRuns {
            minute_start: row.minute_start,
            minute_runs: row.minute_runs,
            day_start: row.day_start,
            day_runs: row.day_runs,
        }
    }
}
