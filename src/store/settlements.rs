//! Settlement: a batch of runs becomes generations, entries, balances and counters in one transaction.
//!
//! Exactly once: the insert of a generation is what decides. A row whose id is there already changes
//! nothing else, so a batch may be sent again whenever its outcome is not known.
//!
//! Never too little credit: a charge first uses up the lease that its replica holds for the key, in the
//! same transaction — what was promised becomes what was spent — and then the balance. A charge whose
//! lease is gone (its replica was taken for dead) or too small takes the balance alone, below zero if
//! it must: the run has happened, and the money is owed.
//!
//! Three entries tell what became of the money of a run: the `charge` goes from the wallet to what the provider is owed,
//! the `fee` from the wallet to the operator, and the `discount` from the operator to the provider. Where several
//! providers made its steps, [`super::shares`] adds what goes on to each. The activity of the day is counted along.
//!
//! The engines differ only in how rows travel: arrays through UNNEST, or values into a table of the writer's own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, SqlitePool};

use super::accounts::wallet_of;
use super::columns::Columns;
use super::db::{Engine, write};
use super::keys::key_hash;
use super::{Store, StoreError, shares};
use crate::domain::calendar::Windows;
use crate::domain::generation::Generation;
use crate::domain::ids::KeyHash;
use crate::domain::money::Nanos;

/// A run to be charged and kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settlement {
    /// The run.
    pub generation: Generation,
    /// The replica whose lease the run was held against.
    pub replica: Arc<str>,
    /// When it was handed over, Unix milliseconds: the instant whose day, week and month it counts in.
    pub settled_at: i64,
}

/// The part of a replica's charges to a key that its lease did not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// Whose lease it was.
    pub replica: String,
    /// The key that was charged.
    pub key: KeyHash,
    /// Charges minus what the lease had.
    pub amount: Nanos,
}

impl Settlement {
    /// What is charged. A negative charge would be a gift that nobody decided on.
    pub fn net(&self) -> Nanos {
        self.generation.charge.net.max(Nanos::ZERO)
    }

    /// The part of the net that is the operator's.
    pub(super) fn fee(&self) -> Nanos {
        self.generation.charge.fee.clamp(Nanos::ZERO, self.net())
    }

    /// What the operator pays the provider in the account's place.
    pub(super) fn discount(&self) -> Nanos {
        self.generation.charge.discount.max(Nanos::ZERO)
    }

    /// Whether money moves.
    fn is_charged(&self) -> bool {
        self.net() > Nanos::ZERO || self.discount() > Nanos::ZERO
    }

    pub(super) fn provider(&self) -> Option<&str> {
        Some(self.generation.served.as_ref()?.provider.as_str())
    }
}

impl Store {
    /// Charges and keeps a batch: all of it or, on an error, nothing. Says which leases fell short.
    pub async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Uncovered>, StoreError> {
        let mut seen = HashSet::with_capacity(batch.len());
        let batch: Vec<&Settlement> = batch
            .iter()
            .filter(|row| seen.insert(row.generation.id.as_str()))
            .collect();
        let mut uncovered = Vec::new();
        // Within one day every row counts in the same windows, so that a batch moves each counter once. More than
        // one day in a batch is the exception of midnight and of replays, and whole days are safe to commit apart.
        for day in
            batch.chunk_by(|one, next| Windows::at(one.settled_at) == Windows::at(next.settled_at))
        {
            let Some(first) = day.first() else { continue };
            let windows = Windows::at(first.settled_at);
            uncovered.extend(match &*self.engine {
                Engine::Postgres(pool) => settle_postgres(pool, day, &windows).await?,
                Engine::Sqlite { writer, .. } => settle_sqlite(writer, day, &windows).await?,
            });
        }
        uncovered.into_iter().map(Uncovered::try_from).collect()
    }

    /// Sets a settlement aside that the database refuses, for a person to look at.
    pub async fn park(
        &self,
        settlement: &Settlement,
        reason: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT INTO parked_settlements (id, record, reason, parked_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (id) DO NOTHING";
        let record = serde_json::to_string(settlement)
            .map_err(|_| StoreError::Unreadable("a settlement"))?;
        let id = settlement.generation.id.as_str();
        write!(self, tx => { sqlx::query(SQL).bind(id).bind(&record).bind(reason).bind(now).execute(&mut *tx).await?; });
        Ok(())
    }
}

/// The counters of a key after charges that all fall into the windows $D, $W and $M: a later window
/// starts its sum anew, an earlier one (a replay) leaves the current sum alone.
macro_rules! count {
    ($day:literal, $week:literal, $month:literal) => {
        concat!(
            "leased_nanos = keys.leased_nanos - s.covered, usage_nanos = keys.usage_nanos + s.spent, ",
            count!(@window "usage_daily_nanos", "day_start", $day), ", ",
            count!(@window "usage_weekly_nanos", "week_start", $week), ", ",
            count!(@window "usage_monthly_nanos", "month_start", $month)
        )
    };
    (@window $sum:literal, $start:literal, $new:literal) => {
        concat!(
            $sum, " = CASE WHEN keys.", $start, " = ", $new, " THEN keys.", $sum, " + s.spent WHEN keys.", $start, " < ", $new,
            " THEN s.spent ELSE keys.", $sum, " END, ",
            $start, " = CASE WHEN keys.", $start, " < ", $new, " THEN ", $new, " ELSE keys.", $start, " END"
        )
    };
}

/// The sums of a day's row with what a batch adds to it.
macro_rules! add_activity {
    () => {
        "requests = activity.requests + excluded.requests, tokens_prompt = activity.tokens_prompt + excluded.tokens_prompt,
            tokens_completion = activity.tokens_completion + excluded.tokens_completion,
            tokens_reasoning = activity.tokens_reasoning + excluded.tokens_reasoning, net_nanos = activity.net_nanos + excluded.net_nanos,
            discount_nanos = activity.discount_nanos + excluded.discount_nanos, fee_nanos = activity.fee_nanos + excluded.fee_nanos"
    };
}

type Row = (String, Vec<u8>, i64);

/// Takes the locks in the order of [`super::leases`], and counts the accounts among them; the second part
/// cannot start before the first is done.
const LOCK_POSTGRES: &str = "
    WITH accounts AS MATERIALIZED (SELECT id FROM ledger_accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE),
    those AS MATERIALIZED (SELECT hash FROM keys WHERE hash = ANY($2) AND (SELECT COUNT(*) FROM accounts) >= 0 ORDER BY hash FOR UPDATE)
    SELECT (SELECT COUNT(*) FROM accounts) FROM (SELECT COUNT(*) FROM those) AS locked";

/// Opens the accounts of providers that are owed for the first time.
const OPEN_POSTGRES: &str = "
    INSERT INTO ledger_accounts (id, kind) SELECT id, 'payable' FROM UNNEST($1::TEXT[]) AS t (id) WHERE id LIKE 'payable:%' ORDER BY id
    ON CONFLICT (id) DO NOTHING";

const SETTLE_POSTGRES: &str = concat!(
    "WITH input AS (
        SELECT * FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
            $10::TEXT[], $11::BIGINT[], $12::BIGINT[], $13::BIGINT[], $14::TEXT[], $15::BIGINT[], $16::BIGINT[], $17::BIGINT[], $18::TEXT[])
            AS t (id, replica, account, key_hash, created_at, settled_at, model, provider, endpoint,
                provider_name, tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record)
    ), inserted AS (
        INSERT INTO generations (id, account, key_hash, created_at, settled_at, model, provider, endpoint,
            tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record)
        SELECT id, account, key_hash, created_at, settled_at, model, provider, endpoint,
            tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record FROM input
        ON CONFLICT (id) DO NOTHING RETURNING id
    ), fresh AS (
        SELECT input.* FROM input JOIN inserted USING (id)
    ), entered AS (
        INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
        SELECT 'charge', id, 'wallet:' || account, 'payable:' || COALESCE(provider, 'unknown'), net_nanos - fee_nanos, settled_at
            FROM fresh WHERE net_nanos > fee_nanos
        UNION ALL SELECT 'fee', id, 'wallet:' || account, 'operator:fees', fee_nanos, settled_at FROM fresh WHERE fee_nanos > 0
        UNION ALL SELECT 'discount', id, 'operator:fees', 'payable:' || COALESCE(provider, 'unknown'), discount_nanos, settled_at
            FROM fresh WHERE discount_nanos > 0
    ), active AS (
        INSERT INTO activity (account, day, key_hash, model, endpoint, provider_name, requests,
            tokens_prompt, tokens_completion, tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
        SELECT account, CAST($19 AS BIGINT), key_hash, COALESCE(model, 'unknown'), COALESCE(endpoint, 'unknown'), COALESCE(MIN(provider_name), 'unknown'),
            COUNT(*), CAST(SUM(tokens_prompt) AS BIGINT), CAST(SUM(tokens_completion) AS BIGINT), CAST(SUM(tokens_reasoning) AS BIGINT),
            CAST(SUM(net_nanos) AS BIGINT), CAST(SUM(discount_nanos) AS BIGINT), CAST(SUM(fee_nanos) AS BIGINT)
        FROM fresh WHERE endpoint IS NOT NULL OR net_nanos > 0 GROUP BY 1, 3, 4, 5 ORDER BY 1, 3, 4, 5
        ON CONFLICT (account, day, key_hash, model, endpoint) DO UPDATE SET ",
    add_activity!(),
    "
    ), sums AS (
        SELECT replica, account, key_hash, CAST(SUM(net_nanos) AS BIGINT) AS spent FROM fresh WHERE net_nanos > 0
        GROUP BY replica, account, key_hash
    ), spent AS (
        SELECT sums.*, LEAST(spent, COALESCE(amount_nanos, 0)) AS covered FROM sums LEFT JOIN leases USING (replica, key_hash)
    ), leased AS (
        UPDATE leases SET amount_nanos = leases.amount_nanos - s.covered FROM spent s
        WHERE leases.replica = s.replica AND leases.key_hash = s.key_hash
    ), counted AS (
        UPDATE keys SET ",
    count!("$19", "$20", "$21"),
    "
        FROM (SELECT key_hash, CAST(SUM(spent) AS BIGINT) AS spent, CAST(SUM(covered) AS BIGINT) AS covered FROM spent GROUP BY key_hash) s
        WHERE keys.hash = s.key_hash
    ), paid AS (
        UPDATE ledger_accounts SET balance_nanos = balance_nanos - s.spent, charged_nanos = charged_nanos + s.spent,
            leased_nanos = leased_nanos - s.covered
        FROM (SELECT 'wallet:' || account AS id, CAST(SUM(spent) AS BIGINT) AS spent, CAST(SUM(covered) AS BIGINT) AS covered
            FROM spent GROUP BY account) s
        WHERE ledger_accounts.id = s.id
    ), earned AS (
        UPDATE ledger_accounts SET balance_nanos = balance_nanos + s.earned
        FROM (SELECT CAST(SUM(fee_nanos) - SUM(discount_nanos) AS BIGINT) AS earned FROM fresh) s
        WHERE ledger_accounts.id = 'operator:fees' AND s.earned <> 0
    ), owed AS (
        INSERT INTO ledger_accounts (id, kind, balance_nanos)
        SELECT 'payable:' || COALESCE(provider, 'unknown'), 'payable', CAST(SUM(net_nanos - fee_nanos + discount_nanos) AS BIGINT)
        FROM fresh WHERE net_nanos > 0 OR discount_nanos > 0 GROUP BY 1 ORDER BY 1
        ON CONFLICT (id) DO UPDATE SET balance_nanos = ledger_accounts.balance_nanos + excluded.balance_nanos
    )
    SELECT replica, key_hash, spent - covered FROM spent WHERE spent > covered"
);

async fn settle_postgres(
    pool: &PgPool,
    batch: &[&Settlement],
    windows: &Windows,
) -> Result<Vec<Row>, StoreError> {
    let columns = Columns::of(batch)?;
    let accounts: BTreeSet<String> = batch
        .iter()
        .filter(|row| row.is_charged())
        .flat_map(|row| {
            let operator = (row.fee() != row.discount()).then(|| "operator:fees".to_owned());
            let shared = shares::of(row).map(|share| share.provider);
            [wallet(row), payable(row)]
                .into_iter()
                .chain(operator)
                .chain(shared)
        })
        .collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let mut tx = pool.begin().await?;
    if !accounts.is_empty() {
        let lock = sqlx::query_scalar(LOCK_POSTGRES)
            .bind(&accounts)
            .bind(&columns.keys);
        let locked: i64 = lock.fetch_one(&mut *tx).await?;
        if usize::try_from(locked) != Ok(accounts.len()) {
            // What is not there cannot be locked in its turn, and made later it would be locked out of turn.
            tx.rollback().await?;
            tx = pool.begin().await?;
            sqlx::query(OPEN_POSTGRES)
                .bind(&accounts)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            tx = pool.begin().await?;
            sqlx::query(LOCK_POSTGRES)
                .bind(&accounts)
                .bind(&columns.keys)
                .execute(&mut *tx)
                .await?;
        }
    }
    let short = sqlx::query_as(SETTLE_POSTGRES)
        .bind(&columns.ids)
        .bind(&columns.replicas)
        .bind(&columns.accounts)
        .bind(&columns.keys)
        .bind(&columns.created_at)
        .bind(&columns.settled_at)
        .bind(&columns.models)
        .bind(&columns.providers)
        .bind(&columns.endpoints)
        .bind(&columns.provider_names)
        .bind(&columns.prompt)
        .bind(&columns.completion)
        .bind(&columns.reasoning)
        .bind(&columns.usage_sources)
        .bind(&columns.net)
        .bind(&columns.discount)
        .bind(&columns.fee)
        .bind(&columns.records)
        .bind(windows.day)
        .bind(windows.week)
        .bind(windows.month)
        .fetch_all(&mut *tx)
        .await?;
    shares::enter!(tx, batch);
    tx.commit().await?;
    Ok(short)
}

/// One text of several statements, which the driver runs in one go on its own thread. The batch lies in a table of the
/// writer's own, since SQLite has no insert inside a WITH. What is no longer fresh leaves it first, and all of it at the
/// end: between two batches the table is empty, after a failed one too, as it is rolled back with the rest.
pub(super) const SETTLE_SQLITE: &str = concat!(
    "DELETE FROM temp.fresh WHERE EXISTS (SELECT 1 FROM main.generations g WHERE g.id = fresh.id);
    INSERT INTO main.generations (id, account, key_hash, created_at, settled_at, model, provider, endpoint,
            tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record)
        SELECT id, account, key_hash, created_at, settled_at, model, provider, endpoint,
            tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record
        FROM temp.fresh;
    INSERT INTO main.entries (kind, reference, debit, credit, amount_nanos, created_at)
        SELECT 'charge', id, 'wallet:' || account, 'payable:' || COALESCE(provider, 'unknown'), net_nanos - fee_nanos, settled_at
            FROM temp.fresh WHERE net_nanos > fee_nanos
        UNION ALL SELECT 'fee', id, 'wallet:' || account, 'operator:fees', fee_nanos, settled_at FROM temp.fresh WHERE fee_nanos > 0
        UNION ALL SELECT 'discount', id, 'operator:fees', 'payable:' || COALESCE(provider, 'unknown'), discount_nanos, settled_at
            FROM temp.fresh WHERE discount_nanos > 0;
    INSERT INTO main.activity (account, day, key_hash, model, endpoint, provider_name, requests,
            tokens_prompt, tokens_completion, tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
        SELECT account, $1, key_hash, COALESCE(model, 'unknown'), COALESCE(endpoint, 'unknown'), COALESCE(MIN(provider_name), 'unknown'),
            COUNT(*), SUM(tokens_prompt), SUM(tokens_completion), SUM(tokens_reasoning), SUM(net_nanos), SUM(discount_nanos), SUM(fee_nanos)
        FROM temp.fresh WHERE endpoint IS NOT NULL OR net_nanos > 0 GROUP BY 1, 3, 4, 5
        ON CONFLICT (account, day, key_hash, model, endpoint) DO UPDATE SET ",
    add_activity!(),
    ";
    DELETE FROM temp.spent;
    INSERT INTO temp.spent (replica, account, key_hash, spent_nanos, covered_nanos)
        SELECT f.replica, f.account, f.key_hash, f.spent, MIN(f.spent, COALESCE(l.amount_nanos, 0))
        FROM (SELECT replica, account, key_hash, SUM(net_nanos) AS spent FROM temp.fresh WHERE net_nanos > 0
            GROUP BY replica, account, key_hash) f
        LEFT JOIN main.leases l ON l.replica = f.replica AND l.key_hash = f.key_hash;
    UPDATE main.leases SET amount_nanos = leases.amount_nanos - s.covered_nanos FROM temp.spent s
        WHERE leases.replica = s.replica AND leases.key_hash = s.key_hash;
    UPDATE main.keys SET ",
    count!("$1", "$2", "$3"),
    "
        FROM (SELECT key_hash, SUM(spent_nanos) AS spent, SUM(covered_nanos) AS covered FROM temp.spent GROUP BY key_hash) s
        WHERE keys.hash = s.key_hash;
    UPDATE main.ledger_accounts SET balance_nanos = balance_nanos - s.spent, charged_nanos = charged_nanos + s.spent,
            leased_nanos = leased_nanos - s.covered
        FROM (SELECT 'wallet:' || account AS id, SUM(spent_nanos) AS spent, SUM(covered_nanos) AS covered FROM temp.spent GROUP BY account) s
        WHERE ledger_accounts.id = s.id;
    UPDATE main.ledger_accounts SET balance_nanos = balance_nanos + s.earned
        FROM (SELECT SUM(fee_nanos) - SUM(discount_nanos) AS earned FROM temp.fresh) s
        WHERE ledger_accounts.id = 'operator:fees' AND s.earned <> 0;
    INSERT INTO main.ledger_accounts (id, kind, balance_nanos)
        SELECT 'payable:' || COALESCE(provider, 'unknown'), 'payable', SUM(net_nanos - fee_nanos + discount_nanos)
        FROM temp.fresh WHERE net_nanos > 0 OR discount_nanos > 0 GROUP BY 1
        ON CONFLICT (id) DO UPDATE SET balance_nanos = balance_nanos + excluded.balance_nanos;
    DELETE FROM temp.fresh;
    SELECT replica, key_hash, spent_nanos - covered_nanos FROM temp.spent WHERE spent_nanos > covered_nanos"
);

async fn settle_sqlite(
    writer: &SqlitePool,
    batch: &[&Settlement],
    windows: &Windows,
) -> Result<Vec<Row>, StoreError> {
    let columns = Columns::of(batch)?;
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    for insert in columns.inserts() {
        insert.execute(&mut *tx).await?;
    }
    let short = sqlx::query_as(SETTLE_SQLITE)
        .bind(windows.day)
        .bind(windows.week)
        .bind(windows.month)
        .fetch_all(&mut *tx)
        .await?;
    shares::enter!(tx, batch);
    tx.commit().await?;
    Ok(short)
}

fn wallet(row: &Settlement) -> String {
    wallet_of(&row.generation.account)
}

pub(super) fn payable(row: &Settlement) -> String {
    format!("payable:{}", row.provider().unwrap_or("unknown"))
}

impl TryFrom<Row> for Uncovered {
    type Error = StoreError;

    fn try_from((replica, key, amount): Row) -> Result<Self, StoreError> {
        Ok(Uncovered {
            replica,
            key: key_hash(&key)?,
            amount: Nanos(amount),
        })
    }
}
