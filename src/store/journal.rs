//! The journal read from end to end: entries and runs, row by row, so that the size of the tables does not matter.

use futures_util::TryStreamExt as _;
use sqlx::FromRow;

use super::db::read;
use super::generations::{Row, SINCE};
use super::{Store, StoreError, StoredGeneration};
use crate::domain::generation::Generation;
use crate::domain::money::Nanos;

/// One double-entry row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `charge`, `fee`, `discount`, `step`, `grant`.
    pub kind: String,
    /// What it is about: a generation's id, a grant's name.
    pub reference: String,
    /// The ledger account that gives.
    pub debit: String,
    /// The ledger account that gets.
    pub credit: String,
    /// How much; more than nothing.
    pub amount: Nanos,
    /// Unix milliseconds.
    pub created_at: i64,
}

impl Store {
    /// Hands over every entry made from `from` until before `until`, by kind and reference: those of runs in the order of
    /// time. Ends with the first error of either side.
    pub async fn each_entry<E: From<StoreError>>(
        &self,
        from: i64,
        until: i64,
        mut take: impl FnMut(Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        const SQL: &str =
            "SELECT kind, reference, debit, credit, amount_nanos, created_at FROM entries
            WHERE created_at >= $1 AND created_at < $2 ORDER BY kind, reference";
        read!(self, db => {
            let mut rows = sqlx::query_as::<_, EntryRow>(SQL).bind(from).bind(until).fetch(db);
            while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                take(row.into())?;
            }
        });
        Ok(())
    }

    /// Hands over every run that began at `from` or later, in the order of time. Ends with the first error of either
    /// side.
    pub async fn each_generation<E: From<StoreError>>(
        &self,
        from: i64,
        mut take: impl FnMut(Generation) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = format!("gen-{}", from.max(0).div_euclid(1_000));
        read!(self, db => {
            let mut rows = sqlx::query_as::<_, Row>(SINCE).bind(&first).bind(from).fetch(db);
            while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                take(StoredGeneration::try_from(row)?.generation)?;
            }
        });
        Ok(())
    }
}

#[derive(FromRow)]
struct EntryRow {
    kind: String,
    reference: String,
    debit: String,
    credit: String,
    amount_nanos: i64,
    created_at: i64,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Entry {
            kind: row.kind,
            reference: row.reference,
            debit: row.debit,
            credit: row.credit,
            amount: Nanos(row.amount_nanos),
            created_at: row.created_at,
        }
    }
}
