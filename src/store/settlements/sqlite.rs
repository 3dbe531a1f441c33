//! Settlement on SQLite, row by row: what is asked is answered by the next line. What concerns one row several times is
//! added up first.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension as _, Transaction, TransactionBehavior, params,
};

use super::sums::{Spender, Sums};
use super::{Settlement, Uncovered};
use crate::domain::calendar::Windows;
use crate::domain::money::Nanos;
use crate::store::counters::count;
use crate::store::{StoreError, shares};

/// Keeps a run; one that is there already stays as it is.
const RUN: &str = "INSERT INTO generations (id, account, key_hash, created_at, settled_at, model, provider, endpoint,
        tokens_prompt, tokens_completion, tokens_reasoning, usage_source, net_nanos, discount_nanos, fee_nanos, record)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT (id) DO NOTHING";

const CHARGE: &str =
    "INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
    VALUES ('charge', ?1, 'wallet:' || ?2, 'payable:' || ?3, ?4, ?5)";
const FEE: &str = "INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
    VALUES ('fee', ?1, 'wallet:' || ?2, 'operator:fees', ?3, ?4)";
const DISCOUNT: &str =
    "INSERT INTO entries (kind, reference, debit, credit, amount_nanos, created_at)
    VALUES ('discount', ?1, 'operator:fees', 'payable:' || ?2, ?3, ?4)";

const USED: &str = concat!(
    "INSERT INTO activity (account, day, key_hash, model, endpoint, provider_name, requests,
        tokens_prompt, tokens_completion, tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    ON CONFLICT (account, day, key_hash, model, endpoint) DO UPDATE SET ",
    add_activity!()
);

/// A lease carries a charge that it covers, of the one day of which it carries any.
const CARRY: &str = "UPDATE leases SET amount_nanos = amount_nanos - ?3, carried_nanos = carried_nanos + ?3, carried_day = ?4
    WHERE replica = ?1 AND key_hash = ?2 AND amount_nanos >= ?3 AND (carried_nanos = 0 OR carried_day = ?4)";
const LEASED: &str = "SELECT amount_nanos FROM leases WHERE replica = ?1 AND key_hash = ?2";
const LEASE: &str =
    "UPDATE leases SET amount_nanos = amount_nanos - ?3 WHERE replica = ?1 AND key_hash = ?2";
const KEY: &str = concat!(
    "UPDATE keys SET ",
    count!("?2", "?3", "?4", "?5", "?6"),
    " WHERE hash = ?1"
);
const WALLET: &str =
    "UPDATE ledger_accounts SET balance_nanos = balance_nanos - ?2, charged_nanos = charged_nanos + ?2,
        leased_nanos = leased_nanos - ?3
    WHERE id = 'wallet:' || ?1";
const EARNED: &str =
    "UPDATE ledger_accounts SET balance_nanos = balance_nanos + ?1 WHERE id = 'operator:fees'";

/// All of them, to be looked at by [`crate::store::plans`].
#[cfg(test)]
pub(in crate::store) const STATEMENTS: [&str; 12] = [
    RUN,
    CHARGE,
    FEE,
    DISCOUNT,
    USED,
    CARRY,
    LEASED,
    LEASE,
    KEY,
    WALLET,
    EARNED,
    shares::MOVE,
];

/// Settles rows that count in the same windows, all of them or none. Says which leases fell short.
pub(super) fn settle(
    connection: &mut Connection,
    day: &[Arc<Settlement>],
    windows: &Windows,
) -> Result<Vec<Uncovered>, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sums = Sums::default();
    let mut writing = Writing::new(&tx)?;
    for row in day {
        if writing.keep(row)? {
            writing.enter(row)?;
            sums.add(row)?;
            enter_shares(&tx, row)?;
        }
    }
    drop(writing);
    write_activity(&tx, &sums, windows)?;
    let short = take_money(&tx, &sums, windows)?;
    give_money(&tx, &sums)?;
    tx.commit()?;
    Ok(short)
}

/// The statements that every row needs, and a place for its record.
struct Writing<'tx> {
    tx: &'tx Transaction<'tx>,
    run: CachedStatement<'tx>,
    charge: CachedStatement<'tx>,
    record: Vec<u8>,
}

impl<'tx> Writing<'tx> {
    fn new(tx: &'tx Transaction<'_>) -> Result<Self, StoreError> {
        Ok(Writing {
            tx,
            run: tx.prepare_cached(RUN)?,
            charge: tx.prepare_cached(CHARGE)?,
            record: Vec::with_capacity(1_024),
        })
    }

    /// Keeps a run. Answers whether it is new.
    fn keep(&mut self, row: &Settlement) -> Result<bool, StoreError> {
        let generation = &row.generation;
        let served = generation.served.as_ref();
        let [prompt, completion, reasoning] = row.tokens();
        self.record.clear();
        serde_json::to_writer(&mut self.record, generation)
            .map_err(|_| StoreError::Unreadable("a generation"))?;
        let kept = self.run.execute(params![
            generation.id.as_str(),
            generation.account.as_str(),
            generation.key.as_bytes(),
            generation.created_at,
            row.settled_at,
            served.map(|served| served.model.as_str()),
            row.provider(),
            served.map(|served| served.endpoint.as_str()),
            prompt,
            completion,
            reasoning,
            row.usage_source(),
            row.net().0,
            row.discount().0,
            row.fee().0,
            ToSqlOutput::Borrowed(ValueRef::Text(&self.record)),
        ])?;
        Ok(kept > 0)
    }

    /// Enters what became of the money of a run.
    fn enter(&mut self, row: &Settlement) -> Result<(), StoreError> {
        let id = row.generation.id.as_str();
        let account = row.generation.account.as_str();
        let provider = row.payee();
        let (net, fee, discount) = (row.net().0, row.fee().0, row.discount().0);
        if net > fee {
            self.charge
                .execute(params![id, account, provider, net - fee, row.settled_at])?;
        }
        if fee > 0 {
            let mut statement = self.tx.prepare_cached(FEE)?;
            statement.execute(params![id, account, fee, row.settled_at])?;
        }
        if discount > 0 {
            let mut statement = self.tx.prepare_cached(DISCOUNT)?;
            statement.execute(params![id, provider, discount, row.settled_at])?;
        }
        Ok(())
    }
}

fn write_activity(
    tx: &Transaction<'_>,
    sums: &Sums<'_>,
    windows: &Windows,
) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(USED)?;
    for (subject, used) in &sums.used {
        let [requests, prompt, completion, reasoning, net, discount, fee] = used.counts;
        statement.execute(params![
            subject.account,
            windows.day,
            subject.key.as_bytes(),
            subject.model,
            subject.endpoint,
            used.provider_name,
            requests,
            prompt,
            completion,
            reasoning,
            net,
            discount,
            fee,
        ])?;
    }
    Ok(())
}

/// Takes charges from leases, and from keys and wallets what leases cannot carry. Says which leases fell short.
fn take_money(
    tx: &Transaction<'_>,
    sums: &Sums<'_>,
    windows: &Windows,
) -> Result<Vec<Uncovered>, StoreError> {
    let mut carry = tx.prepare_cached(CARRY)?;
    let mut short = Vec::new();
    for (spender, &spent) in &sums.spent {
        let Spender { replica, key, .. } = spender;
        let carried = carry.execute(params![replica, key.as_bytes(), spent, windows.day])?;
        if carried == 0 {
            let covered = take_at_once(tx, spender, spent, windows)?;
            if covered < spent {
                short.push(Uncovered {
                    replica: (*replica).to_owned(),
                    key: *key,
                    amount: Nanos(spent - covered),
                });
            }
        }
    }
    Ok(short)
}

/// Takes a charge from its key and wallet at once. Answers how much of it the lease had.
fn take_at_once(
    tx: &Transaction<'_>,
    spender: &Spender<'_>,
    spent: i64,
    windows: &Windows,
) -> Result<i64, StoreError> {
    let Spender {
        replica,
        key,
        account,
    } = spender;
    let Windows { day, week, month } = windows;
    let (lease, hash) = (params![replica, key.as_bytes()], key.as_bytes());
    let left = tx
        .prepare_cached(LEASED)?
        .query_row(lease, |row| row.get(0))
        .optional()?;
    let covered = left.map_or(0, |left: i64| left.min(spent));
    tx.prepare_cached(LEASE)?
        .execute(params![replica, hash, covered])?;
    tx.prepare_cached(KEY)?
        .execute(params![hash, spent, covered, day, week, month])?;
    tx.prepare_cached(WALLET)?
        .execute(params![account, spent, covered])?;
    Ok(covered)
}

/// Gives the operator and the providers what is theirs.
fn give_money(tx: &Transaction<'_>, sums: &Sums<'_>) -> Result<(), StoreError> {
    if sums.earned != 0 {
        tx.prepare_cached(EARNED)?.execute([sums.earned])?;
    }
    let mut owed = tx.prepare_cached(shares::MOVE)?;
    for (provider, amount) in &sums.owed {
        owed.execute(params![shares::payable(provider), amount])?;
    }
    Ok(())
}

/// Enters the shares of a run that was settled in this transaction.
fn enter_shares(tx: &Transaction<'_>, row: &Settlement) -> Result<(), StoreError> {
    for share in shares::of(row) {
        let mut enter = tx.prepare_cached(shares::ENTER)?;
        let entered = enter.execute(params![
            share.reference,
            share.finisher,
            share.provider,
            share.amount.0,
            row.settled_at
        ])?;
        if entered == 0 {
            continue;
        }
        for (account, amount) in share.moves() {
            tx.prepare_cached(shares::MOVE)?
                .execute(params![account, amount])?;
        }
    }
    Ok(())
}
