//! Accounts elsewhere with which people sign in.

use sqlx::FromRow;

use super::db::{read, write};
use super::{Account, Store, StoreError};
use crate::domain::identity::Identity;
use crate::domain::ids::AccountId;

/// An account elsewhere that is connected to one here.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Connected {
    /// The issuer's address.
    pub issuer: String,
    /// What the issuer calls the person.
    pub subject: String,
    /// The e-mail address it told when it was connected.
    pub email: Option<String>,
    /// When that was, Unix milliseconds.
    pub created_at: i64,
    /// When somebody last signed in with it, Unix milliseconds.
    pub used_at: i64,
}

impl Store {
    /// The account that an identity is connected to; notes that it is used.
    pub async fn use_identity(
        &self,
        identity: &Identity,
        now: i64,
    ) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "UPDATE identities SET used_at = $3 WHERE issuer = $1 AND subject = $2 RETURNING account";
        let account: Option<String> = write!(self, tx => {
            let used = sqlx::query_scalar(SQL).bind(&identity.issuer).bind(&identity.subject).bind(now);
            used.fetch_optional(&mut *tx).await?
        });
        match account {
            Some(account) => self.account(&account.into()).await,
            None => Ok(None),
        }
    }

    /// Connects an identity to an account. Answers whose it is then: another's, if it was connected already.
    pub async fn connect_identity(
        &self,
        account: &AccountId,
        identity: &Identity,
        now: i64,
    ) -> Result<AccountId, StoreError> {
        const OWNER: &str = "SELECT account FROM identities WHERE issuer = $1 AND subject = $2";
        let owner: String = write!(self, tx => {
            let email = identity.email.as_ref().map(|email| email.address.as_str());
            let made = sqlx::query(CONNECT).bind(&identity.issuer).bind(&identity.subject).bind(account.as_str());
            made.bind(email).bind(now).execute(&mut *tx).await?;
            let owner = sqlx::query_scalar(OWNER).bind(&identity.issuer).bind(&identity.subject);
            owner.fetch_one(&mut *tx).await?
        });
        Ok(owner.into())
    }

    /// The identities that are connected to an account, the oldest first.
    pub async fn identities(&self, account: &AccountId) -> Result<Vec<Connected>, StoreError> {
        const SQL: &str = "SELECT issuer, subject, email, created_at, used_at FROM identities
            WHERE account = $1 ORDER BY created_at, issuer, subject LIMIT 100";
        Ok(read!(self, db => sqlx::query_as(SQL).bind(account.as_str()).fetch_all(db).await)?)
    }

    /// Disconnects an identity from its account, unless it is the only way to sign in. Answers whether it was done.
    pub async fn disconnect_identity(
        &self,
        account: &AccountId,
        issuer: &str,
        subject: &str,
    ) -> Result<bool, StoreError> {
        // Two at once would each leave the other; the account's row makes them take turns.
        const LOCK: &str = "UPDATE accounts SET email = email WHERE id = $1";
        const SQL: &str =
            "DELETE FROM identities WHERE account = $1 AND issuer = $2 AND subject = $3
            AND (EXISTS (SELECT 1 FROM accounts a WHERE a.id = $1 AND a.password_hash IS NOT NULL)
                OR EXISTS (SELECT 1 FROM identities other WHERE other.account = $1
                    AND (other.issuer <> $2 OR other.subject <> $3)))";
        let done = write!(self, tx => {
            sqlx::query(LOCK).bind(account.as_str()).execute(&mut *tx).await?;
            let gone = sqlx::query(SQL).bind(account.as_str()).bind(issuer).bind(subject);
            gone.execute(&mut *tx).await?.rows_affected() == 1
        });
        Ok(done)
    }
}

/// Leaves one that is there to whom it belongs.
pub(super) const CONNECT: &str =
    "INSERT INTO identities (issuer, subject, account, email, created_at, used_at)
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (issuer, subject) DO NOTHING";
