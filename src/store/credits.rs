//! Credit of an account: what it was given, what it used, and grants.

use super::accounts::wallet_of;
use super::db::{read, write};
use super::{Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;

/// Moves an amount between two ledger accounts in the columns that keep their sums.
pub(super) const ADD_TO_BALANCE: &str =
    "UPDATE ledger_accounts SET balance_nanos = balance_nanos + $2 WHERE id = $1";

/// An account's credit (contract 16.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    /// All that was granted or bought.
    pub granted: Nanos,
    /// All that was charged.
    pub used: Nanos,
}

impl Credits {
    /// What is left.
    pub fn balance(&self) -> Nanos {
        self.granted.saturating_sub(self.used)
    }
}

impl Store {
    /// The credit of an account; nothing at all for one that does not exist.
    pub async fn credits(&self, account: &AccountId) -> Result<Credits, StoreError> {
        const SQL: &str = "SELECT balance_nanos, charged_nanos,
            (SELECT CAST(COALESCE(SUM(carried_nanos), 0) AS BIGINT) FROM leases WHERE account = $2) FROM ledger_accounts WHERE id = $1";
        let row: Option<(i64, i64, i64)> = read!(self, db => {
            sqlx::query_as(SQL).bind(wallet_of(account)).bind(account.as_str()).fetch_optional(db).await
        })?;
        let (balance, charged, carried) = row.unwrap_or_default();
        Ok(Credits {
            granted: Nanos(balance).saturating_add(Nanos(charged)),
            used: Nanos(charged).saturating_add(Nanos(carried)),
        })
    }

    /// Gives an account credit on the operator's account. Granting the same reference again does
    /// nothing and answers false. A negative amount takes a grant back.
    pub async fn grant(
        &self,
        account: &AccountId,
        amount: Nanos,
        reference: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        const ENTRY: &str =
            "INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
            VALUES ('grant', $1, $2, $3, $4, $5) ON CONFLICT (kind, reference) DO NOTHING";
        let (operator, wallet) = ("operator:grants".to_owned(), wallet_of(account));
        let (debit, credit) = if amount < Nanos::ZERO {
            (&wallet, &operator)
        } else {
            (&operator, &wallet)
        };
        let fresh = write!(self, tx => {
            let entry = sqlx::query(ENTRY).bind(reference).bind(debit).bind(credit).bind((-amount).max(amount).0).bind(now);
            let fresh = entry.execute(&mut *tx).await?.rows_affected() == 1;
            if fresh {
                // In the order of their names, as everywhere: transactions that lock in one order never wait in a circle.
                for (id, sum) in [(&operator, -amount), (&wallet, amount)] {
                    sqlx::query(ADD_TO_BALANCE).bind(id).bind(sum.0).execute(&mut *tx).await?;
                }
            }
            fresh
        });
        Ok(fresh)
    }
}
