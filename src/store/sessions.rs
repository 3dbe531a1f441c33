//! Browsers that are signed in, and the secrets that every replica shares.

use sqlx::FromRow;

use super::db::{read, write};
use super::users::END_SESSIONS;
use super::{Account, Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::terms::Ppm;

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its public name: the cookie that carries it is signed.
    pub id: String,
    /// Who is signed in.
    pub account: Account,
    /// How often its cookie was renewed.
    pub number: i64,
    /// When that was last, Unix milliseconds.
    pub renewed_at: i64,
    /// When the person signed in, Unix milliseconds.
    pub created_at: i64,
    /// When it ends, Unix milliseconds.
    pub expires_at: i64,
}

impl Store {
    /// The secret of this name, the same for every replica. The first to ask stores its `proposal`.
    pub async fn secret(
        &self,
        name: &str,
        proposal: &[u8],
        now: i64,
    ) -> Result<Vec<u8>, StoreError> {
        const KEEP: &str = "INSERT INTO secrets (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
        const READ: &str = "SELECT value FROM secrets WHERE name = $1";
        let known: Option<Vec<u8>> =
            read!(self, db => sqlx::query_scalar(READ).bind(name).fetch_optional(db).await)?;
        if let Some(secret) = known {
            return Ok(secret);
        }
        write!(self, tx => { sqlx::query(KEEP).bind(name).bind(proposal).bind(now).execute(&mut *tx).await?; });
        Ok(read!(self, db => sqlx::query_scalar(READ).bind(name).fetch_one(db).await)?)
    }

    /// Keeps a new session, and forgets those whose time has passed.
    pub async fn begin_session(
        &self,
        id: &str,
        account: &AccountId,
        now: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        const OLD: &str = "DELETE FROM sessions WHERE account = $1 AND expires_at <= $2";
        const SQL: &str = "INSERT INTO sessions (id, account, number, renewed_at, created_at, expires_at) VALUES ($1, $2, 0, $3, $3, $4)";
        write!(self, tx => {
            sqlx::query(OLD).bind(account.as_str()).bind(now).execute(&mut *tx).await?;
            sqlx::query(SQL).bind(id).bind(account.as_str()).bind(now).bind(expires_at).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// The session with this id and who is signed in with it.
    pub async fn session(&self, id: &str, now: i64) -> Result<Option<Session>, StoreError> {
        const SQL: &str = "SELECT s.id, s.number, s.renewed_at, s.created_at, s.expires_at,
                a.id AS account, a.email, a.admin, a.discount_ppm, a.created_at AS account_created_at
            FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.id = $1 AND s.expires_at > $2";
        let row: Option<SessionRow> =
            read!(self, db => sqlx::query_as(SQL).bind(id).bind(now).fetch_optional(db).await)?;
        Ok(row.map(Session::from))
    }

    /// Every session of an account, the latest first.
    pub async fn sessions(
        &self,
        account: &AccountId,
        now: i64,
    ) -> Result<Vec<Session>, StoreError> {
        const SQL: &str = "SELECT s.id, s.number, s.renewed_at, s.created_at, s.expires_at,
                a.id AS account, a.email, a.admin, a.discount_ppm, a.created_at AS account_created_at
            FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.account = $1 AND s.expires_at > $2
            ORDER BY s.renewed_at DESC LIMIT 100";
        let rows: Vec<SessionRow> = read!(self, db => sqlx::query_as(SQL).bind(account.as_str()).bind(now).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Counts a session's number up from `number`. Answers false when another request was quicker.
    pub async fn renew_session(
        &self,
        id: &str,
        number: i64,
        now: i64,
        expires_at: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE sessions SET number = number + 1, renewed_at = $3, expires_at = $4 WHERE id = $1 AND number = $2";
        let renewed = write!(self, tx => {
            sqlx::query(SQL).bind(id).bind(number).bind(now).bind(expires_at).execute(&mut *tx).await?.rows_affected() == 1
        });
        Ok(renewed)
    }

    /// Ends a session of an account.
    pub async fn end_session(&self, account: &AccountId, id: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM sessions WHERE account = $1 AND id = $2";
        write!(self, tx => { sqlx::query(SQL).bind(account.as_str()).bind(id).execute(&mut *tx).await?; });
        Ok(())
    }

    /// Ends every session of an account.
    pub async fn end_sessions(&self, account: &AccountId) -> Result<(), StoreError> {
        write!(self, tx => { sqlx::query(END_SESSIONS).bind(account.as_str()).bind("").execute(&mut *tx).await?; });
        Ok(())
    }
}

#[derive(FromRow)]
struct SessionRow {
    id: String,
    number: i64,
    renewed_at: i64,
    created_at: i64,
    expires_at: i64,
    account: String,
    email: String,
    admin: bool,
    discount_ppm: i64,
    account_created_at: i64,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Session {
            id: row.id,
            account: Account {
                id: row.account.into(),
                email: row.email,
                admin: row.admin,
                discount: Ppm(row.discount_ppm),
                created_at: row.account_created_at,
            },
            number: row.number,
            renewed_at: row.renewed_at,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}
