//! Settlement on Postgres: a batch travels as columns and is settled by one statement, since each question is a journey
//! to the server.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use super::columns::Columns;
use super::{Settlement, Uncovered};
use crate::domain::calendar::Windows;
use crate::domain::money::Nanos;
use crate::store::StoreError;
use crate::store::counters::count;
use crate::store::keys::key_hash;
use crate::store::shares::{self, payable};

type Row = (String, Vec<u8>, i64);

/// Takes the locks in the order of [`crate::store::leases`]: leases first, then the accounts of providers and operator, and
/// the wallets and keys of what leases cannot carry. Each part starts once the one before it is done. Counts how many of those
/// accounts of providers and operator there are.
const LOCK: &str = "
    WITH spent AS (
        SELECT replica, key_hash, 'wallet:' || account AS wallet, CAST(SUM(net_nanos) AS BIGINT) AS spent
        FROM UNNEST($1::TEXT[], $2::BYTEA[], $3::TEXT[], $4::BIGINT[]) AS t (replica, key_hash, account, net_nanos)
        WHERE net_nanos > 0 GROUP BY replica, key_hash, account
    ), held AS MATERIALIZED (
        SELECT l.replica, l.key_hash, l.amount_nanos, l.carried_nanos, l.carried_day
        FROM leases l JOIN spent USING (replica, key_hash) ORDER BY l.key_hash, l.replica FOR UPDATE OF l
    ), direct AS MATERIALIZED (
        SELECT spent.wallet, spent.key_hash FROM spent LEFT JOIN held USING (replica, key_hash)
        WHERE held.amount_nanos IS NULL OR held.amount_nanos < spent.spent OR (held.carried_nanos > 0 AND held.carried_day <> $6)
    ), accounts AS MATERIALIZED (
        SELECT id FROM ledger_accounts WHERE id IN (SELECT UNNEST($5) UNION SELECT wallet FROM direct) AND (SELECT COUNT(*) FROM direct) >= 0
        ORDER BY id FOR UPDATE
    ), those AS MATERIALIZED (
        SELECT hash FROM keys WHERE hash IN (SELECT key_hash FROM direct) AND (SELECT COUNT(*) FROM accounts) >= 0 ORDER BY hash FOR UPDATE
    )
    SELECT (SELECT COUNT(*) FROM accounts WHERE id = ANY($5)) FROM (SELECT COUNT(*) FROM those) AS locked";

/// Opens the accounts of providers that are owed for the first time.
const OPEN: &str = "
    INSERT INTO ledger_accounts (id, kind) SELECT id, 'payable' FROM UNNEST($1::TEXT[]) AS t (id) WHERE id LIKE 'payable:%' ORDER BY id
    ON CONFLICT (id) DO NOTHING";

/// A lease that somebody holds now was made after [`LOCK`], and counts as not there: to wait for it would be out of turn.
const SETTLE: &str = concat!(
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
    ), held AS MATERIALIZED (
        SELECT leases.replica, leases.key_hash, amount_nanos, carried_nanos, carried_day FROM leases JOIN sums USING (replica, key_hash)
        FOR UPDATE OF leases SKIP LOCKED
    ), carried AS (
        UPDATE leases SET amount_nanos = leases.amount_nanos - s.spent, carried_nanos = leases.carried_nanos + s.spent, carried_day = $19
        FROM sums s JOIN held USING (replica, key_hash)
        WHERE leases.replica = s.replica AND leases.key_hash = s.key_hash
            AND held.amount_nanos >= s.spent AND (held.carried_nanos = 0 OR held.carried_day = $19)
        RETURNING leases.replica, leases.key_hash
    ), spent AS (
        SELECT sums.*, LEAST(spent, COALESCE(amount_nanos, 0)) AS covered
        FROM sums LEFT JOIN held USING (replica, key_hash) LEFT JOIN carried USING (replica, key_hash) WHERE carried.replica IS NULL
    ), leased AS (
        UPDATE leases SET amount_nanos = leases.amount_nanos - s.covered FROM spent s
        WHERE leases.replica = s.replica AND leases.key_hash = s.key_hash AND s.covered > 0
    ), counted AS (
        UPDATE keys SET ",
    count!("s.spent", "s.covered", "$19", "$20", "$21"),
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

/// Settles rows that count in the same windows. What is in a batch twice is settled once.
pub(super) async fn settle(
    pool: &PgPool,
    day: &[Arc<Settlement>],
    windows: Windows,
) -> Result<Vec<Uncovered>, StoreError> {
    let mut seen = HashSet::with_capacity(day.len());
    let batch: Vec<&Settlement> = day
        .iter()
        .map(Arc::as_ref)
        .filter(|row| seen.insert(row.generation.id.as_str()))
        .collect();
    let columns = Columns::of(&batch)?;
    let accounts: BTreeSet<String> = batch
        .iter()
        .filter(|row| row.is_charged())
        .flat_map(|row| {
            let operator = (row.fee() != row.discount()).then(|| "operator:fees".to_owned());
            let shared = shares::of(row).map(|share| share.provider);
            [payable(row.payee())]
                .into_iter()
                .chain(operator)
                .chain(shared)
        })
        .collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let mut tx = pool.begin().await?;
    if !accounts.is_empty() {
        let locked = lock(&mut tx, &columns, &accounts, windows.day).await?;
        if usize::try_from(locked) != Ok(accounts.len()) {
            // What is not there cannot be locked in its turn, and made later it would be locked out of turn.
            tx.rollback().await?;
            tx = pool.begin().await?;
            sqlx::query(OPEN).bind(&accounts).execute(&mut *tx).await?;
            tx.commit().await?;
            tx = pool.begin().await?;
            lock(&mut tx, &columns, &accounts, windows.day).await?;
        }
    }
    let short: Vec<Row> = sqlx::query_as(SETTLE)
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
    enter_shares(&mut tx, &batch).await?;
    tx.commit().await?;
    short.into_iter().map(Uncovered::try_from).collect()
}

/// Locks what a batch changes. Answers how many of these accounts of providers and operator there are.
async fn lock(
    tx: &mut PgConnection,
    columns: &Columns<'_>,
    accounts: &[String],
    day: i64,
) -> Result<i64, StoreError> {
    let lock = sqlx::query_scalar(LOCK)
        .bind(&columns.replicas)
        .bind(&columns.keys)
        .bind(&columns.accounts)
        .bind(&columns.net)
        .bind(accounts)
        .bind(day);
    Ok(lock.fetch_one(tx).await?)
}

/// Enters the shares of a batch that was settled in this transaction.
async fn enter_shares(tx: &mut PgConnection, batch: &[&Settlement]) -> Result<(), StoreError> {
    for row in batch {
        for share in shares::of(row) {
            let entered = sqlx::query(shares::ENTER)
                .bind(&share.reference)
                .bind(&share.finisher)
                .bind(&share.provider)
                .bind(share.amount.0)
                .bind(row.settled_at)
                .execute(&mut *tx)
                .await?;
            if entered.rows_affected() == 0 {
                continue;
            }
            for (account, amount) in share.moves() {
                let moved = sqlx::query(shares::MOVE).bind(account).bind(amount);
                moved.execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
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
