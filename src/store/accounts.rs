//! Accounts: who pays.

use sqlx::FromRow;

use super::db::{read, write};
use super::{Store, StoreError};
use crate::domain::ids::AccountId;

/// Somebody who pays for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `user_…`.
    pub id: AccountId,
    /// Unique, as it was given.
    pub email: String,
    /// Whether the account runs this installation.
    pub admin: bool,
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
        const SQL: &str =
            "SELECT id, email, admin, created_at FROM accounts ORDER BY created_at, id";
        let rows: Vec<AccountRow> = read!(self, db => sqlx::query_as(SQL).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    /// The account with this address.
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, created_at FROM accounts WHERE email = $1";
        let row: Option<AccountRow> =
            read!(self, db => sqlx::query_as(SQL).bind(email).fetch_optional(db).await)?;
        Ok(row.map(Account::from))
    }

    /// The account that commands mean when they name none: the oldest admin.
    pub async fn first_admin(&self) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, created_at FROM accounts WHERE admin ORDER BY created_at, id LIMIT 1";
        let row: Option<AccountRow> =
            read!(self, db => sqlx::query_as(SQL).fetch_optional(db).await)?;
        Ok(row.map(Account::from))
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
    created_at: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Account {
            id: row.id.into(),
            email: row.email,
            admin: row.admin,
            created_at: row.created_at,
        }
    }
}
