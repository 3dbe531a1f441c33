//! Keys: who may call, up to which limit, and what they have used.
//!
//! Every change takes the next number of `key_changes`, so that other processes notice it by
//! asking for what changed since the last number they saw.

use sqlx::FromRow;

use super::counters::{CARRIED, Carried, Counters, KeyUsage};
use super::db::{read, snapshot, write};
use super::users::escape_like;
use super::{Store, StoreError};
use crate::domain::calendar::Windows;
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::domain::principal::{LimitReset, Principal};
use crate::domain::terms::Ppm;

/// Locks the one counter of changes and takes the next number; see the migration for why.
pub(super) const NEXT_CHANGE: &str =
    "UPDATE key_changes SET last = last + 1 WHERE id = 1 RETURNING last";

/// Stores a key: hash, account, name, label, management, limit, reset, whether runs on own keys count, creator, now,
/// expiry, change number.
pub(super) const INSERT_KEY: &str =
    "INSERT INTO keys (hash, account, name, label, management, disabled, limit_nanos, limit_reset,
        include_byok_in_limit, creator, created_at, expires_at, change_number)
    VALUES ($1, $2, $3, $4, $5, FALSE, $6, $7, $8, $9, $10, $11, $12)";

/// The columns of a [`KeyRow`], by name: a statement prepared with `*` fails once a newer replica adds a column.
macro_rules! key_columns {
    () => {
        "hash, account, name, label, management, disabled, limit_nanos, limit_reset, include_byok_in_limit, creator, created_at,
         updated_at, expires_at, usage_nanos, usage_daily_nanos, usage_weekly_nanos, usage_monthly_nanos, day_start, week_start, month_start"
    };
}

/// An account's keys by a query of rows, each with what leases carry for it. Inside a transaction, which sees both at once.
macro_rules! read_keys {
    ($tx:ident, $account:expr, $rows:expr) => {{
        let rows: Vec<KeyRow> = $rows;
        let carried = sqlx::query_as(CARRIED).bind($account.as_str());
        complete(rows, carried.fetch_all(&mut *$tx).await?)
    }};
}

pub(super) const KNOWN_KEY: &str = concat!(
    "SELECT ",
    key_columns!(),
    ", (SELECT discount_ppm FROM accounts WHERE id = keys.account) AS discount_ppm
             FROM keys WHERE hash = $1 AND deleted_at IS NULL"
);

/// A key to be stored. Its text is not part of it.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The SHA-256 of its text.
    pub hash: KeyHash,
    /// Its masked text.
    pub label: String,
    /// Who pays for it.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// Whether it manages keys rather than calls models.
    pub management: bool,
    /// The cap on its spending.
    pub limit: Option<Nanos>,
    /// When the cap starts anew.
    pub limit_reset: LimitReset,
    /// Whether runs on the caller's own provider keys count towards the cap.
    pub include_byok_in_limit: bool,
    /// When it stops working, Unix milliseconds.
    pub expires_at: Option<i64>,
    /// Who made it, when not the account itself.
    pub creator: Option<AccountId>,
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The SHA-256 of its text.
    pub hash: KeyHash,
    /// Who pays for it.
    pub account: AccountId,
    /// What people call it.
    pub name: String,
    /// Its masked text.
    pub label: String,
    /// Whether it manages keys rather than calls models.
    pub management: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// The cap on its spending.
    pub limit: Option<Nanos>,
    /// When the cap starts anew.
    pub limit_reset: LimitReset,
    /// Whether runs on the caller's own provider keys count towards the cap.
    pub include_byok_in_limit: bool,
    /// Who made it, when not the account itself.
    pub creator: Option<AccountId>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// When it was last changed, Unix milliseconds.
    pub updated_at: Option<i64>,
    /// When it stops working, Unix milliseconds.
    pub expires_at: Option<i64>,
    counters: Counters,
}

/// What to change of a key; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is switched off.
    pub disabled: Option<bool>,
    /// The cap, which may be removed.
    pub limit: Option<Option<Nanos>>,
    /// When the cap starts anew.
    pub limit_reset: Option<LimitReset>,
    /// Whether runs on the caller's own provider keys count towards the cap.
    pub include_byok_in_limit: Option<bool>,
}

/// What authentication needs to know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Whom it stands for.
    pub principal: Principal,
    /// Whether it is switched off.
    pub disabled: bool,
}

impl Key {
    /// What the key has been charged in the windows that hold `now`.
    pub fn usage(&self, now: i64) -> KeyUsage {
        self.counters.usage(&Windows::at(now))
    }

    /// What is left below the cap at `now`; `None` without a cap.
    pub fn remaining(&self, now: i64) -> Option<Nanos> {
        Some(
            self.limit?
                .saturating_sub(self.usage(now).within(self.limit_reset))
                .max(Nanos::ZERO),
        )
    }
}

impl Store {
    /// Stores a key. Fails when the same key exists or its account does not.
    pub async fn create_key(&self, key: &NewKey, now: i64) -> Result<(), StoreError> {
        write!(self, tx => {
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
                .await
                .map_err(|error| if StoreError::is_duplicate(&error) { StoreError::Taken("this key") } else { error.into() })?;
        });
        Ok(())
    }

    /// A page of an account's keys, newest first.
    pub async fn keys(
        &self,
        account: &AccountId,
        offset: u32,
        limit: u32,
        include_disabled: bool,
    ) -> Result<Vec<Key>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM keys WHERE account = $1 AND deleted_at IS NULL AND (disabled = FALSE OR $2)
              ORDER BY created_at DESC, hash DESC LIMIT $3 OFFSET $4"
        );
        snapshot!(self, tx => {
            let page = sqlx::query_as(SQL).bind(account.as_str()).bind(include_disabled);
            let page = page.bind(i64::from(limit)).bind(i64::from(offset));
            read_keys!(tx, account, page.fetch_all(&mut *tx).await?)
        })
    }

    /// A page of an account's keys whose name or masked text contains `search`, newest first.
    pub async fn find_keys(
        &self,
        account: &AccountId,
        search: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<Key>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM keys WHERE account = $1 AND deleted_at IS NULL
                AND (lower(name) LIKE $2 ESCAPE '\\' OR lower(label) LIKE $2 ESCAPE '\\')
              ORDER BY created_at DESC, hash DESC LIMIT $3 OFFSET $4"
        );
        let pattern = format!("%{}%", escape_like(&search.to_lowercase()));
        snapshot!(self, tx => {
            let page = sqlx::query_as(SQL).bind(account.as_str()).bind(&pattern);
            let page = page.bind(i64::from(limit)).bind(i64::from(offset));
            read_keys!(tx, account, page.fetch_all(&mut *tx).await?)
        })
    }

    /// The keys of an account that applications have.
    pub async fn keys_of_apps(&self, account: &AccountId) -> Result<Vec<Key>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM keys WHERE deleted_at IS NULL AND account = $1
                AND hash IN (SELECT key_hash FROM app_keys WHERE account = $1)"
        );
        snapshot!(self, tx => {
            let keys = sqlx::query_as(SQL).bind(account.as_str());
            read_keys!(tx, account, keys.fetch_all(&mut *tx).await?)
        })
    }

    /// An account's key.
    pub async fn key(
        &self,
        account: &AccountId,
        hash: &KeyHash,
    ) -> Result<Option<Key>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            key_columns!(),
            " FROM keys WHERE hash = $1 AND account = $2 AND deleted_at IS NULL"
        );
        let keys: Vec<Key> = snapshot!(self, tx => {
            let key = sqlx::query_as(SQL).bind(hash.as_bytes().as_slice()).bind(account.as_str());
            read_keys!(tx, account, key.fetch_all(&mut *tx).await?)
        })?;
        Ok(keys.into_iter().next())
    }

    /// Changes an account's key and answers how it now is; `None` when there is no such key.
    pub async fn change_key(
        &self,
        account: &AccountId,
        hash: &KeyHash,
        change: &KeyChange,
        now: i64,
    ) -> Result<Option<Key>, StoreError> {
        const NUMBER: &str = concat!(
            "UPDATE keys SET change_number = $3, updated_at = $4 WHERE hash = $1 AND account = $2 AND deleted_at IS NULL RETURNING ",
            key_columns!()
        );
        const SQL: &str = "UPDATE keys SET name = $2, disabled = $3, limit_nanos = $4, limit_reset = $5, include_byok_in_limit = $6
            WHERE hash = $1";
        let changed = write!(self, tx => {
            let number: i64 = sqlx::query_scalar(NEXT_CHANGE).fetch_one(&mut *tx).await?;
            let key = sqlx::query_as(NUMBER).bind(hash.as_bytes().as_slice()).bind(account.as_str());
            let key = key.bind(number).bind(now);
            let keys: Vec<Key> = read_keys!(tx, account, key.fetch_all(&mut *tx).await?)?;
            match keys.into_iter().next() {
                None => None,
                Some(key) => {
                    let key = change.applied_to(key);
                    sqlx::query(SQL)
                        .bind(hash.as_bytes().as_slice())
                        .bind(&key.name)
                        .bind(key.disabled)
                        .bind(key.limit.map(|limit| limit.0))
                        .bind(key.limit_reset.as_str())
                        .bind(key.include_byok_in_limit)
                        .execute(&mut *tx)
                        .await?;
                    Some(key)
                }
            }
        });
        Ok(changed)
    }

    /// Deletes an account's key for good; its charges stay. Answers whether there was one.
    pub async fn delete_key(
        &self,
        account: &AccountId,
        hash: &KeyHash,
        now: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE keys SET deleted_at = $3, change_number = $4 WHERE hash = $1 AND account = $2 AND deleted_at IS NULL";
        let deleted = write!(self, tx => {
            let number: i64 = sqlx::query_scalar(NEXT_CHANGE).fetch_one(&mut *tx).await?;
            let delete = sqlx::query(SQL).bind(hash.as_bytes().as_slice()).bind(account.as_str()).bind(now).bind(number);
            delete.execute(&mut *tx).await?.rows_affected() == 1
        });
        Ok(deleted)
    }

    /// The key with this hash, whoever owns it: for authentication alone.
    pub async fn known_key(&self, hash: &KeyHash) -> Result<Option<KnownKey>, StoreError> {
        let row: Option<KnownRow> = read!(self, db => sqlx::query_as(KNOWN_KEY).bind(hash.as_bytes().as_slice()).fetch_optional(db).await)?;
        row.map(KnownKey::try_from).transpose()
    }

    /// The number of the latest change of any key.
    pub async fn last_key_change(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT last FROM key_changes WHERE id = 1";
        Ok(read!(self, db => sqlx::query_scalar(SQL).fetch_one(db).await)?)
    }

    /// Keys that were made, changed or deleted after change number `since`, with their latest number, in order of it.
    pub async fn changed_keys(
        &self,
        since: i64,
        limit: u32,
    ) -> Result<Vec<(KeyHash, i64)>, StoreError> {
        const SQL: &str = "SELECT hash, change_number FROM keys WHERE change_number > $1 ORDER BY change_number LIMIT $2";
        let rows: Vec<(Vec<u8>, i64)> = read!(self, db => sqlx::query_as(SQL).bind(since).bind(i64::from(limit)).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(hash, number)| Ok((key_hash(&hash)?, number)))
            .collect()
    }
}

impl KeyChange {
    fn applied_to(&self, mut key: Key) -> Key {
        if let Some(name) = &self.name {
            key.name.clone_from(name);
        }
        key.disabled = self.disabled.unwrap_or(key.disabled);
        key.limit = self.limit.unwrap_or(key.limit);
        key.limit_reset = self.limit_reset.unwrap_or(key.limit_reset);
        key.include_byok_in_limit = self
            .include_byok_in_limit
            .unwrap_or(key.include_byok_in_limit);
        key
    }
}

impl TryFrom<KnownRow> for KnownKey {
    type Error = StoreError;

    fn try_from(row: KnownRow) -> Result<Self, StoreError> {
        let key = Key::try_from(row.key)?;
        Ok(KnownKey {
            disabled: key.disabled,
            principal: Principal {
                account: key.account,
                key: key.hash,
                label: key.label,
                management: key.management,
                limit: key.limit.map(|limit| (limit, key.limit_reset)),
                expires_at: key.expires_at,
                discount: Ppm(row.discount_ppm),
            },
        })
    }
}

/// Keys with what leases carry for each.
fn complete(rows: Vec<KeyRow>, carried: Vec<(Vec<u8>, i64, i64)>) -> Result<Vec<Key>, StoreError> {
    let mut keys = rows
        .into_iter()
        .map(Key::try_from)
        .collect::<Result<Vec<Key>, _>>()?;
    for carried in carried {
        let carried = Carried::try_from(carried)?;
        for key in keys.iter_mut().filter(|key| key.hash == carried.key) {
            key.counters.add(&carried);
        }
    }
    Ok(keys)
}

/// Reads a stored hash.
pub(super) fn key_hash(bytes: &[u8]) -> Result<KeyHash, StoreError> {
    KeyHash::from_bytes(bytes).ok_or(StoreError::Unreadable("a key's hash"))
}

/// A key with what authentication needs of its account.
#[derive(FromRow)]
struct KnownRow {
    #[sqlx(flatten)]
    key: KeyRow,
    discount_ppm: i64,
}

#[derive(FromRow)]
struct KeyRow {
    hash: Vec<u8>,
    account: String,
    name: String,
    label: String,
    management: bool,
    disabled: bool,
    limit_nanos: Option<i64>,
    limit_reset: Option<String>,
    include_byok_in_limit: bool,
    creator: Option<String>,
    created_at: i64,
    updated_at: Option<i64>,
    expires_at: Option<i64>,
    #[sqlx(flatten)]
    counters: Counters,
}

impl TryFrom<KeyRow> for Key {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Key {
            hash: key_hash(&row.hash)?,
            account: row.account.into(),
            name: row.name,
            label: row.label,
            management: row.management,
            disabled: row.disabled,
            limit: row.limit_nanos.map(Nanos),
            limit_reset: LimitReset::parse(row.limit_reset.as_deref())
                .ok_or(StoreError::Unreadable("a key's reset"))?,
            include_byok_in_limit: row.include_byok_in_limit,
            creator: row.creator.map(AccountId::from),
            created_at: row.created_at,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
            counters: row.counters,
        })
    }
}
