//! Leases: credit that a replica has borrowed for a key, and what keeps the sum of them honest.
//!
//! A lease is lent only from what the wallet and the key's cap leave after every other lease, so the
//! holders may spend theirs without asking: however many replicas there are and whatever order their
//! charges arrive in, the sum of charges never passes balance or cap. A lease row is what its replica
//! may still spend, and what it carries of charges that it has covered; together they are its part of
//! `ledger_accounts.leased_nanos` and `keys.leased_nanos`. Lending, giving back and reclaiming put what
//! it carries where it belongs, in one transaction with what they move.
//!
//! Transactions lock rows in one order — replica, leases by key and replica, ledger accounts by id, keys by
//! hash — so they never wait for each other in a circle. The locking statement is an update that perhaps
//! changes nothing: the one form both engines share.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::accounts::wallet_of;
use super::counters::{Counters, count};
use super::db::{read, write};
use super::keys::key_hash;
use super::{Store, StoreError};
use crate::domain::calendar::Windows;
use crate::domain::ids::{AccountId, KeyHash};
use crate::domain::money::Nanos;
use crate::domain::principal::LimitReset;

pub(super) const LOCK_LEASE: &str =
    "UPDATE leases SET amount_nanos = amount_nanos WHERE replica = $1 AND key_hash = $2
    RETURNING amount_nanos, carried_nanos, carried_day";
/// Locks a wallet and takes from it what leases carried; answers its balance, what is leased, and what leases still carry.
pub(super) const LOCK_WALLET: &str = "UPDATE ledger_accounts
    SET balance_nanos = balance_nanos - $2, charged_nanos = charged_nanos + $2, leased_nanos = leased_nanos - $2 WHERE id = $1
    RETURNING balance_nanos, leased_nanos,
        (SELECT CAST(COALESCE(SUM(carried_nanos), 0) AS BIGINT) FROM leases WHERE account = SUBSTR(ledger_accounts.id, 8)) - $2";
/// Locks a key and counts what its lease carried.
pub(super) const LOCK_KEY: &str = concat!(
    "UPDATE keys SET ",
    count!("$2", "$2", "$3", "$4", "$5"),
    " WHERE hash = $1 RETURNING limit_nanos, limit_reset, leased_nanos,
    usage_nanos, usage_daily_nanos, usage_weekly_nanos, usage_monthly_nanos, day_start, week_start, month_start"
);
const UNLOAD: &str = "UPDATE leases SET carried_nanos = 0 WHERE replica = $1 AND key_hash = $2";
pub(super) const LEND: &str = "INSERT INTO leases (replica, key_hash, account, amount_nanos) VALUES ($1, $2, $3, $4)
    ON CONFLICT (replica, key_hash) DO UPDATE SET amount_nanos = leases.amount_nanos + excluded.amount_nanos";
const ADD_TO_WALLET: &str =
    "UPDATE ledger_accounts SET leased_nanos = leased_nanos + $2 WHERE id = $1";
const ADD_TO_KEY: &str = "UPDATE keys SET leased_nanos = leased_nanos + $2 WHERE hash = $1";

/// Locks the leases of asks or keeps, and then their wallets, from which it takes what the leases carried. Answers what
/// is in each lease, nothing where there is none, and what is left in each wallet.
macro_rules! lock_leases {
    ($tx:ident, $replica:expr, $items:expr) => {{
        let mut loads: BTreeMap<KeyHash, Load> = BTreeMap::new();
        let mut wallets: BTreeMap<String, Wallet> = BTreeMap::new();
        for (_, item) in sorted($items, |item| item.key) {
            let lease = sqlx::query_as(LOCK_LEASE)
                .bind($replica)
                .bind(item.key.as_bytes().as_slice());
            let load: Option<Load> = lease.fetch_optional(&mut *$tx).await?;
            let load = load.unwrap_or_default();
            wallets
                .entry(wallet_of(&item.account))
                .or_default()
                .unloaded += load.carried_nanos;
            loads.insert(item.key, load);
        }
        for (id, wallet) in &mut wallets {
            let locked = sqlx::query_as(LOCK_WALLET).bind(id).bind(wallet.unloaded);
            let locked: Option<(i64, i64, i64)> = locked.fetch_optional(&mut *$tx).await?;
            (wallet.balance, wallet.leased, wallet.carried) = locked.unwrap_or_default();
        }
        (loads, wallets)
    }};
}

/// Locks a key, counts what its lease carried, and answers how it then is.
macro_rules! lock_key {
    ($tx:ident, $replica:expr, $key:expr, $load:expr) => {{
        let (hash, windows) = ($key.as_bytes().as_slice(), Windows::at($load.carried_day));
        let key = sqlx::query_as(LOCK_KEY)
            .bind(hash)
            .bind($load.carried_nanos);
        let key = key.bind(windows.day).bind(windows.week).bind(windows.month);
        let key: Option<LockedKey> = key.fetch_optional(&mut *$tx).await?;
        if $load.carried_nanos != 0 {
            sqlx::query(UNLOAD)
                .bind($replica)
                .bind(hash)
                .execute(&mut *$tx)
                .await?;
        }
        key
    }};
}

/// Of what would remain after the need, the part that a lease may take ahead of need: replicas that
/// compete for the last dollar borrow ever smaller pieces rather than lock each other out.
const SHARE_AHEAD: i64 = 8;
/// Leases that are reclaimed in one transaction.
const RECLAIMED_AT_ONCE: i64 = 200;

/// A request for credit.
#[derive(Clone, Debug)]
pub struct Ask {
    /// For which key.
    pub key: KeyHash,
    /// Whose account pays.
    pub account: AccountId,
    /// Less than this is of no use.
    pub least: Nanos,
    /// What runs wait for now.
    pub need: Nanos,
    /// As much as this is welcome, ahead of need.
    pub want: Nanos,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// What was lent: at least the least, or nothing.
    pub amount: Nanos,
    /// The account's balance, leases included.
    pub balance: Nanos,
    /// What the wallet had left to lend.
    pub wallet_room: Nanos,
    /// What the key's cap had left, and when it starts anew; `None` without a cap.
    pub key_room: Option<(Nanos, LimitReset)>,
}

/// What of a lease to keep.
#[derive(Clone, Debug)]
pub struct Keep {
    /// The key whose lease it is.
    pub key: KeyHash,
    /// Whose account pays.
    pub account: AccountId,
    /// The lease is brought down to this, if it is more.
    pub keep: Nanos,
}

impl Store {
    /// Registers a replica that is about to borrow.
    pub async fn register(&self, replica: &str, now: i64) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO replicas (id, beats, started_at) VALUES ($1, 0, $2)";
        write!(self, tx => { sqlx::query(SQL).bind(replica).bind(now).execute(&mut *tx).await?; });
        Ok(())
    }

    /// Counts one beat of a replica's heart. Fails with [`StoreError::Disowned`] when it was taken for dead.
    pub async fn beat(&self, replica: &str) -> Result<(), StoreError> {
        let beats = write!(self, tx => sqlx::query(BEAT).bind(replica).execute(&mut *tx).await?.rows_affected());
        if beats == 0 {
            Err(StoreError::Disowned)
        } else {
            Ok(())
        }
    }

    /// Every registered replica and its count of beats.
    pub async fn replicas(&self) -> Result<Vec<(String, i64)>, StoreError> {
        const SQL: &str = "SELECT id, beats FROM replicas ORDER BY id";
        Ok(read!(self, db => sqlx::query_as(SQL).fetch_all(db).await)?)
    }

    /// Lends credit for each ask, or says why not, in the order of the asks; at most one ask a key.
    /// All are lent together or, on an error, none.
    pub async fn borrow(
        &self,
        replica: &str,
        asks: &[Ask],
        now: i64,
    ) -> Result<Vec<Lent>, StoreError> {
        let windows = Windows::at(now);
        let lent = write!(self, tx => {
            // Borrowing counts as a beat, which also holds off whoever would reclaim meanwhile.
            if sqlx::query(BEAT).bind(replica).execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(StoreError::Disowned);
            }
            let (loads, mut wallets) = lock_leases!(tx, replica, asks);
            let mut lent = Vec::with_capacity(asks.len());
            for (position, ask) in sorted(asks, |ask| ask.key) {
                let load = loads.get(&ask.key).copied().unwrap_or_default();
                let key = lock_key!(tx, replica, &ask.key, load);
                let id = wallet_of(&ask.account);
                let Some(wallet) = wallets.get_mut(&id) else { continue };
                let answer = lend(ask, wallet, key.as_ref(), &windows)?;
                if answer.amount > Nanos::ZERO {
                    wallet.leased += answer.amount.0;
                    sqlx::query(ADD_TO_WALLET).bind(&id).bind(answer.amount.0).execute(&mut *tx).await?;
                    sqlx::query(ADD_TO_KEY).bind(ask.key.as_bytes().as_slice()).bind(answer.amount.0).execute(&mut *tx).await?;
                    let lease = sqlx::query(LEND).bind(replica).bind(ask.key.as_bytes().as_slice()).bind(ask.account.as_str());
                    lease.bind(answer.amount.0).execute(&mut *tx).await?;
                }
                lent.push((position, answer));
            }
            lent
        });
        Ok(in_order(lent))
    }

    /// Brings leases down to what their replica wants to keep, and the rest back to wallet and cap. Says
    /// what to keep rather than what to give, so that doing it twice is the same as once. Answers what each
    /// gave, in the order of the keeps: less than was meant where a charge came first.
    pub async fn give_back(&self, replica: &str, keeps: &[Keep]) -> Result<Vec<Nanos>, StoreError> {
        const LOWER: &str =
            "UPDATE leases SET amount_nanos = $3 WHERE replica = $1 AND key_hash = $2";
        const END: &str = "DELETE FROM leases WHERE replica = $1 AND key_hash = $2";
        // A lease that is not there cannot be locked: who would make it meanwhile waits for the replica's row.
        const LOCK: &str = "UPDATE replicas SET beats = beats WHERE id = $1";
        let given = write!(self, tx => {
            sqlx::query(LOCK).bind(replica).execute(&mut *tx).await?;
            let (loads, _wallets) = lock_leases!(tx, replica, keeps);
            let mut given = Vec::with_capacity(keeps.len());
            for (position, keep) in sorted(keeps, |keep| keep.key) {
                let hash = keep.key.as_bytes().as_slice();
                let load = loads.get(&keep.key).copied().unwrap_or_default();
                lock_key!(tx, replica, &keep.key, load);
                let amount = load.amount_nanos;
                let kept = amount.min(keep.keep.0).max(0);
                given.push((position, Nanos(amount - kept)));
                if kept == 0 {
                    sqlx::query(END).bind(replica).bind(hash).execute(&mut *tx).await?;
                } else {
                    sqlx::query(LOWER).bind(replica).bind(hash).bind(kept).execute(&mut *tx).await?;
                }
                sqlx::query(ADD_TO_WALLET).bind(wallet_of(&keep.account)).bind(kept - amount).execute(&mut *tx).await?;
                sqlx::query(ADD_TO_KEY).bind(hash).bind(kept - amount).execute(&mut *tx).await?;
            }
            given
        });
        Ok(in_order(given))
    }

    /// Takes back every lease of a replica whose count of beats still is `beats`, and forgets it. Answers
    /// false when it has moved on. From the first step on the replica can neither beat nor borrow, so it
    /// cannot come back to life halfway; what it settles later is charged all the same, once.
    pub async fn reclaim(&self, replica: &str, beats: i64) -> Result<bool, StoreError> {
        const DISOWN: &str =
            "UPDATE replicas SET beats = -1 WHERE id = $1 AND (beats = $2 OR beats = -1)";
        const FORGET: &str = "DELETE FROM replicas WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM leases WHERE replica = $1)";
        loop {
            let disowned = write!(self, tx => sqlx::query(DISOWN).bind(replica).bind(beats).execute(&mut *tx).await?.rows_affected());
            if disowned == 0 {
                return Ok(false);
            }
            let leases = self.leases(replica, RECLAIMED_AT_ONCE).await?;
            if leases.is_empty() {
                write!(self, tx => { sqlx::query(FORGET).bind(replica).execute(&mut *tx).await?; });
                return Ok(true);
            }
            self.give_back(replica, &leases).await?;
        }
    }

    /// Gives back every lease of a replica that stops, and forgets it.
    pub async fn resign(&self, replica: &str) -> Result<(), StoreError> {
        const BEATS: &str = "SELECT beats FROM replicas WHERE id = $1";
        let beats: Option<i64> =
            read!(self, db => sqlx::query_scalar(BEATS).bind(replica).fetch_optional(db).await)?;
        if let Some(beats) = beats {
            self.reclaim(replica, beats).await?;
        }
        Ok(())
    }

    async fn leases(&self, replica: &str, limit: i64) -> Result<Vec<Keep>, StoreError> {
        const SQL: &str =
            "SELECT key_hash, account FROM leases WHERE replica = $1 ORDER BY key_hash LIMIT $2";
        let rows: Vec<(Vec<u8>, String)> =
            read!(self, db => sqlx::query_as(SQL).bind(replica).bind(limit).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(hash, account)| {
                Ok(Keep {
                    key: key_hash(&hash)?,
                    account: account.into(),
                    keep: Nanos::ZERO,
                })
            })
            .collect()
    }
}

const BEAT: &str = "UPDATE replicas SET beats = beats + 1 WHERE id = $1 AND beats >= 0";

/// What is in a lease.
#[derive(Clone, Copy, Debug, Default, FromRow)]
struct Load {
    amount_nanos: i64,
    carried_nanos: i64,
    carried_day: i64,
}

/// A wallet, locked, and what was taken from it of charges that its leases carried.
#[derive(Debug, Default)]
struct Wallet {
    balance: i64,
    leased: i64,
    /// Still with other leases.
    carried: i64,
    unloaded: i64,
}

/// Decides one ask against what is left, rows locked.
fn lend(
    ask: &Ask,
    wallet: &Wallet,
    key: Option<&LockedKey>,
    windows: &Windows,
) -> Result<Lent, StoreError> {
    // What other leases carry is in the balance still and in what is leased: the room is the same without it.
    let wallet_room = wallet.balance.saturating_sub(wallet.leased);
    let key_room = match key {
        None => Some((Nanos::ZERO, LimitReset::Never)),
        Some(key) => key.room(windows)?,
    };
    let room = key_room.map_or(wallet_room, |(room, _)| room.0.min(wallet_room));
    let amount = if room < ask.least.0.max(0) {
        0
    } else {
        let needed = ask.need.0.clamp(0, room);
        needed
            + ask
                .want
                .0
                .saturating_sub(needed)
                .clamp(0, (room - needed) / SHARE_AHEAD)
    };
    Ok(Lent {
        amount: Nanos(amount),
        balance: Nanos(wallet.balance.saturating_sub(wallet.carried)),
        wallet_room: Nanos(wallet_room),
        key_room,
    })
}

#[derive(FromRow)]
struct LockedKey {
    limit_nanos: Option<i64>,
    limit_reset: Option<String>,
    leased_nanos: i64,
    #[sqlx(flatten)]
    counters: Counters,
}

impl LockedKey {
    /// What the cap leaves: usage of the current window and all leases count against it. Leases of an
    /// earlier window count in full too, since their charges may still fall into this one.
    fn room(&self, windows: &Windows) -> Result<Option<(Nanos, LimitReset)>, StoreError> {
        let Some(limit) = self.limit_nanos else {
            return Ok(None);
        };
        let reset = LimitReset::parse(self.limit_reset.as_deref())
            .ok_or(StoreError::Unreadable("a key's reset"))?;
        let used = self.counters.usage(windows).within(reset);
        Ok(Some((
            Nanos(limit)
                .saturating_sub(used)
                .saturating_sub(Nanos(self.leased_nanos)),
            reset,
        )))
    }
}

fn sorted<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Vec<(usize, &T)> {
    let mut sorted: Vec<(usize, &T)> = items.iter().enumerate().collect();
    sorted.sort_by_key(|(_, item)| key(item));
    sorted
}

fn in_order<T>(mut items: Vec<(usize, T)>) -> Vec<T> {
    items.sort_by_key(|(position, _)| *position);
    items.into_iter().map(|(_, item)| item).collect()
}
