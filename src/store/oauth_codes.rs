//! Codes that applications exchange for keys, once, and the keys they got.

use sqlx::FromRow;

use super::db::{read, write};
use super::keys::{INSERT_KEY, NEXT_CHANGE, key_hash};
use super::{NewKey, Store, StoreError};
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;

/// What a person agreed to when the code was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who agreed, and pays.
    pub account: AccountId,
    /// The application: the origin it is sent back to, or a word for one without.
    pub app: String,
    /// How people call it.
    pub app_name: String,
    /// The challenge that the exchange must answer; `None` when none was made.
    pub challenge: Option<String>,
    /// How it is answered: `S256` or `plain`.
    pub method: Option<String>,
    /// The name of the key.
    pub key_name: String,
    /// The key's cap.
    pub limit: Option<Nanos>,
    /// When the cap starts anew.
    pub limit_reset: LimitReset,
    /// When the key stops working, Unix milliseconds.
    pub key_expires_at: Option<i64>,
}

/// A code as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCode {
    /// What was agreed to.
    pub grant: Grant,
    /// When the code stops working, Unix milliseconds.
    pub expires_at: i64,
    /// Whether it was exchanged already.
    pub redeemed: bool,
}

/// A key that an application has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKey {
    /// The key.
    pub key: KeyHash,
    /// The application.
    pub app: String,
    /// How people call it.
    pub app_name: String,
    /// When it got the key, Unix milliseconds.
    pub created_at: i64,
}

impl Store {
    /// Keeps a code by its hash, and forgets those that ended a day ago.
    pub async fn create_code(
        &self,
        hash: &[u8; 32],
        grant: &Grant,
        now: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        const OLD: &str = "DELETE FROM oauth_codes WHERE expires_at <= $1";
        const SQL: &str = "INSERT INTO oauth_codes (hash, account, app, app_name, challenge, method, key_name, limit_nanos,
                limit_reset, key_expires_at, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        write!(self, tx => {
            sqlx::query(OLD).bind(now - 86_400_000).execute(&mut *tx).await?;
            sqlx::query(SQL)
                .bind(hash.as_slice())
                .bind(grant.account.as_str())
                .bind(&grant.app)
                .bind(&grant.app_name)
                .bind(&grant.challenge)
                .bind(&grant.method)
                .bind(&grant.key_name)
                .bind(grant.limit.map(|limit| limit.0))
                .bind(grant.limit_reset.as_str())
                .bind(grant.key_expires_at)
                .bind(now)
                .bind(expires_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// The code with this hash: whoever holds it may ask.
    pub async fn code(&self, hash: &[u8; 32]) -> Result<Option<StoredCode>, StoreError> {
        const SQL: &str = "SELECT account, app, app_name, challenge, method, key_name, limit_nanos, limit_reset, key_expires_at,
                expires_at, redeemed_at FROM oauth_codes WHERE hash = $1";
        let row: Option<CodeRow> =
            read!(self, db => sqlx::query_as(SQL).bind(hash.as_slice()).fetch_optional(db).await)?;
        row.map(StoredCode::try_from).transpose()
    }

    /// Uses a code up and stores the key it is exchanged for, both or neither. Answers false when the
    /// code was used or ended meanwhile: of two exchanges at once, one gets a key.
    pub async fn redeem_code(
        &self,
        hash: &[u8; 32],
        grant: &Grant,
        key: &NewKey,
        now: i64,
    ) -> Result<bool, StoreError> {
        const USE: &str = "UPDATE oauth_codes SET redeemed_at = $2 WHERE hash = $1 AND redeemed_at IS NULL AND expires_at > $2";
        const APP: &str = "INSERT INTO app_keys (key_hash, account, app, app_name, created_at) VALUES ($1, $2, $3, $4, $5)";
        let redeemed = write!(self, tx => {
            let used = sqlx::query(USE).bind(hash.as_slice()).bind(now).execute(&mut *tx).await?.rows_affected() == 1;
            if used {
                let change: i64 = sqlx::query_scalar(NEXT_CHANGE).fetch_one(&mut *tx).await?;
                sqlx::query(INSERT_KEY)
                    .bind(key.hash.as_bytes().as_slice())
                    .bind(key.account.as_str())
                    .bind(&key.name)
                    .bind(&key.label)
                    .bind(key.management)
                    .bind(key.limit.map(|limit| limit.0))
                    .bind(key.limit_reset.as_str())
                    .bind(key.include_byok_in_limit)
                    .bind(key.creator.as_ref().map(AccountId::as_str))
                    .bind(now)
                    .bind(key.expires_at)
                    .bind(change)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(APP)
                    .bind(key.hash.as_bytes().as_slice())
                    .bind(key.account.as_str())
                    .bind(&grant.app)
                    .bind(&grant.app_name)
                    .bind(now)
                    .execute(&mut *tx)
                    .await?;
            }
            used
        });
        Ok(redeemed)
    }

    /// Whether a key was made for an application.
    pub async fn is_app_key(&self, key: &KeyHash) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM app_keys WHERE key_hash = $1";
        let count: i64 = read!(self, db => {
            sqlx::query_scalar(SQL).bind(key.as_bytes().as_slice()).fetch_one(db).await
        })?;
        Ok(count > 0)
    }

    /// The keys of an account that applications have, deleted ones left out, newest first.
    pub async fn app_keys(&self, account: &AccountId) -> Result<Vec<AppKey>, StoreError> {
        const SQL: &str = "SELECT a.key_hash, a.app, a.app_name, a.created_at FROM app_keys a JOIN keys k ON k.hash = a.key_hash
            WHERE a.account = $1 AND k.deleted_at IS NULL ORDER BY a.created_at DESC LIMIT 1000";
        let rows: Vec<(Vec<u8>, String, String, i64)> =
            read!(self, db => sqlx::query_as(SQL).bind(account.as_str()).fetch_all(db).await)?;
        let app_key = |(hash, app, app_name, created_at): (Vec<u8>, String, String, i64)| {
            Ok(AppKey {
                key: key_hash(&hash)?,
                app,
                app_name,
                created_at,
            })
        };
        rows.into_iter().map(app_key).collect()
    }
}

#[derive(FromRow)]
struct CodeRow {
    account: String,
    app: String,
    app_name: String,
    challenge: Option<String>,
    method: Option<String>,
    key_name: String,
    limit_nanos: Option<i64>,
    limit_reset: Option<String>,
    key_expires_at: Option<i64>,
    expires_at: i64,
    redeemed_at: Option<i64>,
}

impl TryFrom<CodeRow> for StoredCode {
    type Error = StoreError;

    fn try_from(row: CodeRow) -> Result<Self, StoreError> {
        Ok(StoredCode {
            expires_at: row.expires_at,
            redeemed: row.redeemed_at.is_some(),
            grant: Grant {
                account: row.account.into(),
                app: row.app,
                app_name: row.app_name,
                challenge: row.challenge,
                method: row.method,
                key_name: row.key_name,
                limit: row.limit_nanos.map(Nanos),
                limit_reset: LimitReset::parse(row.limit_reset.as_deref())
                    .ok_or(StoreError::Unreadable("a code's reset"))?,
                key_expires_at: row.key_expires_at,
            },
        })
    }
}
