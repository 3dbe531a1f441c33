//! Forgets runs that are old enough. Entries, balances and activity stay, and so does the proof that they add up.

use super::db::write;
use super::{Store, StoreError};

impl Store {
    /// Forgets at most `at_most` of the runs that began before `before`, the oldest first, and says how many. A charge
    /// can still not be made twice: its entry stands.
    pub async fn forget_generations(&self, before: i64, at_most: u32) -> Result<u64, StoreError> {
        // The proof looks at what is left from here on; noted in the same transaction as the loss.
        const NOTE: &str =
            "UPDATE forgotten SET before_at = $1, first_id = $2 WHERE id = 1 AND before_at < $1";
        // An id begins with the second of its run, so the primary key is in the order of time.
        const FORGET: &str = "DELETE FROM generations WHERE id IN (SELECT id FROM generations WHERE id < $1 ORDER BY id LIMIT $2)";
        let first = format!("gen-{}", before.max(0).div_euclid(1_000));
        let forgotten = write!(self, tx => {
            sqlx::query(NOTE).bind(before).bind(&first).execute(&mut *tx).await?;
            sqlx::query(FORGET).bind(&first).bind(i64::from(at_most)).execute(&mut *tx).await?.rows_affected()
        });
        Ok(forgotten)
    }
}
