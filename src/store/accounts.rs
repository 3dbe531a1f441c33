//! Accounts: who pays.

use sqlx::FromRow;

use super::db::{read, write};
use super::keys::NEXT_CHANGE;
use super::{Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::terms::Ppm;

/// Somebody who pays for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `user_…`.
    pub id: AccountId,
    /// Unique, as it was given.
    pub email: String,
    /// Whether the account runs this installation.
    pub admin: bool,
    /// What it is let off the list price.
    pub discount: Ppm,
    /// Unix milliseconds.
    pub created_at: i64,
}

impl Store {
    /// Makes an account and its empty wallet. Fails when the address is taken.
    pub async fn create_account(
        &self,
        email: &str,
        admin: bool,
        now: i64,
    ) -> Result<Account, StoreError> {
        const ACCOUNT: &str =
            "INSERT INTO accounts (id, email, admin, created_at) VALUES ($1, $2, $3, $4)";
        const WALLET: &str = "INSERT INTO ledger_accounts (id, kind) VALUES ($1, 'wallet')";
        let account = Account {
            id: AccountId::random(),
            email: email.to_owned(),
            admin,
            discount: Ppm::ZERO,
            created_at: now,
        };
        let wallet = wallet_of(&account.id);
        write!(self, tx => {
            sqlx::query(ACCOUNT).bind(account.id.as_str()).bind(email).bind(admin).bind(now).execute(&mut *tx).await.map_err(|error| {
                if StoreError::is_duplicate(&error) { StoreError::Taken("an account with this e-mail address") } else { error.into() }
            })?;
            sqlx::query(WALLET).bind(&wallet).execute(&mut *tx).await?;
        });
        Ok(account)
    }

    /// Every account, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, discount_ppm, created_at FROM accounts ORDER BY created_at, id";
        let rows: Vec<AccountRow> = read!(self, db => sqlx::query_as(SQL).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    /// The account with this address.
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        const SQL: &str =
            "SELECT id, email, admin, discount_ppm, created_at FROM accounts WHERE email = $1";
        let row: Option<AccountRow> =
            read!(self, db => sqlx::query_as(SQL).bind(email).fetch_optional(db).await)?;
        Ok(row.map(Account::from))
    }

    /// The account that commands mean when they name none: the oldest admin.
    pub async fn first_admin(&self) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, discount_ppm, created_at FROM accounts WHERE admin ORDER BY created_at, id LIMIT 1";
        let row: Option<AccountRow> =
            read!(self, db => sqlx::query_as(SQL).fetch_optional(db).await)?;
        Ok(row.map(Account::from))
    }

    /// Sets what an account is let off the list price, and tells every replica: each of its keys has changed.
    pub async fn set_discount(&self, account: &AccountId, discount: Ppm) -> Result<(), StoreError> {
        const DISCOUNT: &str = "UPDATE accounts SET discount_ppm = $2 WHERE id = $1";
        const CHANGE: &str = "UPDATE keys SET change_number = $2 + numbered.position
            FROM (SELECT hash, ROW_NUMBER() OVER (ORDER BY hash) AS position FROM keys WHERE account = $1) AS numbered
            WHERE keys.hash = numbered.hash";
        const COUNT: &str = "UPDATE key_changes SET last = last + $1 WHERE id = 1";
        write!(self, tx => {
            // Locks the numbers first, as every change of a key does.
            let last: i64 = sqlx::query_scalar(NEXT_CHANGE).fetch_one(&mut *tx).await?;
            sqlx::query(DISCOUNT).bind(account.as_str()).bind(discount.0).execute(&mut *tx).await?;
            let changed = sqlx::query(CHANGE).bind(account.as_str()).bind(last).execute(&mut *tx).await?.rows_affected();
            sqlx::query(COUNT).bind(i64::try_from(changed).unwrap_or(i64::MAX)).execute(&mut *tx).await?;
        });
        Ok(())
    }
}

/// The ledger account that holds an account's credit.
pub(super) fn wallet_of(account: &AccountId) -> String {
    format!("wallet:{account}")
}

#[derive(FromRow)]
struct AccountRow {
    id: String,
    email: String,
    admin: bool,
    discount_ppm: i64,
    created_at: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Account {
            id: row.id.into(),
            email: row.email,
            admin: row.admin,
            discount: Ppm(row.discount_ppm),
            created_at: row.created_at,
        }
    }
}
