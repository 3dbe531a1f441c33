//! People: passwords, roles, tries to sign in, and links that work once.
//!
//! Knows hashes, never the password or the link's secret that they were made from.

use sqlx::FromRow;

use super::accounts::wallet_of;
use super::db::{read, write};
use super::identities::CONNECT;
use super::{Account, Store, StoreError};
use crate::domain::identity::Identity;
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;
use crate::domain::terms::Ppm;

/// What a link that works once is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// To set the password of an account.
    Password,
    /// To make an account.
    Invitation,
}

impl LinkKind {
    fn as_str(self) -> &'static str {
        match self {
            LinkKind::Password => "password",
            LinkKind::Invitation => "invitation",
        }
    }
}

/// What somebody who signs up will sign in with.
#[derive(Clone, Copy, Debug)]
pub enum Entrance<'a> {
    /// A password, of which this is the hash.
    Password(&'a str),
    /// An account elsewhere.
    Identity(&'a Identity),
}

/// An account as an admin sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account.
    pub account: Account,
    /// Whether there is a way to sign in: a password that was set, or an account elsewhere.
    pub can_sign_in: bool,
    /// What is left of its credit.
    pub balance: Nanos,
    /// All that it was charged.
    pub charged: Nanos,
    /// Keys that are not deleted.
    pub keys: i64,
}

impl Store {
    /// The account with this address, however it is capitalised, and the hash of its password.
    pub async fn sign_in_account(
        &self,
        email: &str,
    ) -> Result<Option<(Account, Option<String>)>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, discount_ppm, created_at, password_hash FROM accounts WHERE lower(email) = $1";
        let row: Option<Person> = read!(self, db => sqlx::query_as(SQL).bind(email.to_lowercase()).fetch_optional(db).await)?;
        Ok(row.map(|row| {
            let hash = row.password_hash.clone();
            (row.into(), hash)
        }))
    }

    /// The account with this id.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, email, admin, discount_ppm, created_at, password_hash FROM accounts WHERE id = $1";
        let row: Option<Person> =
            read!(self, db => sqlx::query_as(SQL).bind(id.as_str()).fetch_optional(db).await)?;
        Ok(row.map(Account::from))
    }

    /// The hash of an account's password, if it has one.
    pub async fn password_hash(&self, account: &AccountId) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT password_hash FROM accounts WHERE id = $1";
        let hash: Option<Option<String>> = read!(self, db => sqlx::query_scalar(SQL).bind(account.as_str()).fetch_optional(db).await)?;
        Ok(hash.flatten())
    }

    /// Makes an account with a way into it, and its empty wallet. With a link, which is used up, or without one. Fails
    /// when the address or the identity is taken; answers `None` when the link does not work.
    pub async fn sign_up(
        &self,
        email: &str,
        entrance: Entrance<'_>,
        invitation: Option<&[u8; 32]>,
        now: i64,
    ) -> Result<Option<Account>, StoreError> {
        const ACCOUNT: &str = "INSERT INTO accounts (id, email, admin, created_at, password_hash) VALUES ($1, $2, FALSE, $3, $4)";
        const WALLET: &str = "INSERT INTO ledger_accounts (id, kind) VALUES ($1, 'wallet')";
        let account = Account {
            id: AccountId::random(),
            email: email.to_owned(),
            admin: false,
            discount: Ppm::ZERO,
            created_at: now,
        };
        let made = write!(self, tx => {
            let admitted = match invitation {
                None => true,
                Some(hash) => {
                    let used = sqlx::query(USE_LINK).bind(hash.as_slice()).bind(LinkKind::Invitation.as_str()).bind(now);
                    used.execute(&mut *tx).await?.rows_affected() == 1
                }
            };
            if admitted {
                let password_hash = match entrance {
                    Entrance::Password(hash) => Some(hash),
                    Entrance::Identity(_) => None,
                };
                let made = sqlx::query(ACCOUNT).bind(account.id.as_str()).bind(email).bind(now).bind(password_hash);
                made.execute(&mut *tx).await.map_err(taken)?;
                sqlx::query(WALLET).bind(wallet_of(&account.id)).execute(&mut *tx).await?;
                if let Entrance::Identity(identity) = entrance {
                    let connected = sqlx::query(CONNECT).bind(&identity.issuer).bind(&identity.subject).bind(account.id.as_str());
                    let connected = connected.bind(email).bind(now).execute(&mut *tx).await?.rows_affected();
                    if connected == 0 {
                        return Err(StoreError::Taken("an account with this identity"));
                    }
                }
            }
            admitted
        });
        Ok(made.then_some(account))
    }

    /// Sets an account's password and ends all of its sessions but `keep`.
    pub async fn set_password(
        &self,
        account: &AccountId,
        password_hash: &str,
        keep: Option<&str>,
    ) -> Result<(), StoreError> {
        write!(self, tx => {
            sqlx::query(SET_PASSWORD).bind(account.as_str()).bind(password_hash).execute(&mut *tx).await?;
            sqlx::query(END_SESSIONS).bind(account.as_str()).bind(keep.unwrap_or_default()).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Sets the password of the account that a link is for, uses up every such link of it and ends its
    /// sessions. Answers the account, or `None` when the link does not work.
    pub async fn set_password_by_link(
        &self,
        link: &[u8; 32],
        password_hash: &str,
        now: i64,
    ) -> Result<Option<AccountId>, StoreError> {
        const USE: &str = "DELETE FROM links WHERE hash = $1 AND kind = 'password' AND expires_at > $2 RETURNING account";
        const OTHERS: &str = "DELETE FROM links WHERE account = $1 AND kind = 'password'";
        let account = write!(self, tx => {
            let used = sqlx::query_scalar(USE).bind(link.as_slice()).bind(now);
            let account: Option<Option<String>> = used.fetch_optional(&mut *tx).await?;
            let account = account.flatten();
            if let Some(account) = &account {
                sqlx::query(OTHERS).bind(account).execute(&mut *tx).await?;
                sqlx::query(SET_PASSWORD).bind(account).bind(password_hash).execute(&mut *tx).await?;
                sqlx::query(END_SESSIONS).bind(account).bind("").execute(&mut *tx).await?;
            }
            account
        });
        Ok(account.map(AccountId::from))
    }

    /// Keeps a link that works once, and forgets those whose time has passed.
    pub async fn create_link(
        &self,
        hash: &[u8; 32],
        kind: LinkKind,
        account: Option<&AccountId>,
        now: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        const OLD: &str = "DELETE FROM links WHERE expires_at <= $1";
        const SQL: &str = "INSERT INTO links (hash, kind, account, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
        write!(self, tx => {
            sqlx::query(OLD).bind(now).execute(&mut *tx).await?;
            let link = sqlx::query(SQL).bind(hash.as_slice()).bind(kind.as_str()).bind(account.map(AccountId::as_str));
            link.bind(now).bind(expires_at).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Whether a link would work now.
    pub async fn link_works(
        &self,
        hash: &[u8; 32],
        kind: LinkKind,
        now: i64,
    ) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT COUNT(*) FROM links WHERE hash = $1 AND kind = $2 AND expires_at > $3";
        let count: i64 = read!(self, db => {
            sqlx::query_scalar(SQL).bind(hash.as_slice()).bind(kind.as_str()).bind(now).fetch_one(db).await
        })?;
        Ok(count > 0)
    }

    /// Counts a try by (or for) `subject` and answers how many there were in its window, and when that began.
    pub async fn count_attempt(
        &self,
        subject: &[u8; 32],
        now: i64,
        window_ms: i64,
    ) -> Result<(i64, i64), StoreError> {
        const OLD: &str = "DELETE FROM sign_in_attempts WHERE since <= $1";
        const SQL: &str = "INSERT INTO sign_in_attempts (subject, attempts, since) VALUES ($1, 1, $2)
            ON CONFLICT (subject) DO UPDATE SET attempts = sign_in_attempts.attempts + 1 RETURNING attempts, since";
        Ok(write!(self, tx => {
            sqlx::query(OLD).bind(now - window_ms).execute(&mut *tx).await?;
            sqlx::query_as(SQL).bind(subject.as_slice()).bind(now).fetch_one(&mut *tx).await?
        }))
    }

    /// Forgets the tries of a subject that has signed in.
    pub async fn forget_attempts(&self, subject: &[u8; 32]) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM sign_in_attempts WHERE subject = $1";
        write!(self, tx => { sqlx::query(SQL).bind(subject.as_slice()).execute(&mut *tx).await?; });
        Ok(())
    }

    /// Makes an account an admin, or no longer one. The last admin stays; answers whether it was done.
    pub async fn set_admin(&self, account: &AccountId, admin: bool) -> Result<bool, StoreError> {
        const LOCK: &str = "UPDATE key_changes SET last = last WHERE id = 1";
        const SQL: &str = "UPDATE accounts SET admin = $2 WHERE id = $1
            AND ($2 OR EXISTS (SELECT 1 FROM accounts other WHERE other.admin AND other.id <> $1))";
        let done = write!(self, tx => {
            // Two admins who demote each other at once must take turns, or none would be left.
            sqlx::query(LOCK).execute(&mut *tx).await?;
            sqlx::query(SQL).bind(account.as_str()).bind(admin).execute(&mut *tx).await?.rows_affected() == 1
        });
        Ok(done)
    }

    /// A page of all accounts, newest first, with their credit; those whose address contains `search`.
    pub async fn users(
        &self,
        search: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        const SQL: &str = "SELECT a.id, a.email, a.admin, a.discount_ppm, a.created_at, a.password_hash,
                COALESCE(w.balance_nanos, 0) AS balance, COALESCE(w.charged_nanos, 0) AS charged,
                (SELECT CAST(COALESCE(SUM(l.carried_nanos), 0) AS BIGINT) FROM leases l WHERE l.account = a.id) AS carried,
                (SELECT COUNT(*) FROM keys k WHERE k.account = a.id AND k.deleted_at IS NULL) AS keys,
                (SELECT COUNT(*) FROM identities i WHERE i.account = a.id) AS identities
            FROM accounts a LEFT JOIN ledger_accounts w ON w.id = 'wallet:' || a.id
            WHERE lower(a.email) LIKE $1 ESCAPE '\\' ORDER BY a.created_at DESC, a.id LIMIT $2 OFFSET $3";
        let pattern = format!("%{}%", escape_like(&search.to_lowercase()));
        let rows: Vec<UserRow> = read!(self, db => {
            sqlx::query_as(SQL).bind(&pattern).bind(i64::from(limit)).bind(i64::from(offset)).fetch_all(db).await
        })?;
        Ok(rows.into_iter().map(User::from).collect())
    }
}

const SET_PASSWORD: &str = "UPDATE accounts SET password_hash = $2 WHERE id = $1";
const USE_LINK: &str = "DELETE FROM links WHERE hash = $1 AND kind = $2 AND expires_at > $3";
/// Ends the sessions of an account, except the one with this id.
pub(super) const END_SESSIONS: &str = "DELETE FROM sessions WHERE account = $1 AND id <> $2";

fn taken(error: sqlx::Error) -> StoreError {
    if StoreError::is_duplicate(&error) {
        StoreError::Taken("an account with this e-mail address")
    } else {
        error.into()
    }
}

/// Takes the meaning from the characters that have one in a pattern.
pub(super) fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[derive(FromRow)]
struct Person {
    id: String,
    email: String,
    admin: bool,
    discount_ppm: i64,
    created_at: i64,
    password_hash: Option<String>,
}

impl From<Person> for Account {
    fn from(row: Person) -> Self {
        Account {
            id: row.id.into(),
            email: row.email,
            admin: row.admin,
            discount: Ppm(row.discount_ppm),
            created_at: row.created_at,
        }
    }
}

#[derive(FromRow)]
struct UserRow {
    #[sqlx(flatten)]
    person: Person,
    balance: i64,
    charged: i64,
    carried: i64,
    keys: i64,
    identities: i64,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        User {
            can_sign_in: row.person.password_hash.is_some() || row.identities > 0,
            account: row.person.into(),
            balance: Nanos(row.balance).saturating_sub(Nanos(row.carried)),
            charged: Nanos(row.charged).saturating_add(Nanos(row.carried)),
            keys: row.keys,
        }
    }
}
