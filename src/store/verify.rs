//! The proof that the ledger is right: every invariant of money, checked against the rows themselves.
//!
//! All questions are asked inside one read-only transaction, so that a ledger at work is seen at one
//! instant. Only what differs travels, row by row, so the size of the tables does not matter here.

use futures_util::TryStreamExt as _;

use super::db::snapshot;
use super::{Store, StoreError};

/// The most differences that are listed; the rest are counted.
const LISTED: usize = 1_000;

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries that were added up.
    pub entries: i64,
    /// Generations that were looked at.
    pub generations: i64,
    /// Settlements that wait for a person. They are no difference, but they are money.
    pub parked: i64,
    /// What does not hold, at most a thousand of them.
    pub differences: Vec<Difference>,
    /// Differences beyond those listed.
    pub more: u64,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What should hold.
    pub invariant: &'static str,
    /// Of which account, key or generation.
    pub subject: String,
    /// What is stored, in nano-dollars.
    pub stored: i64,
    /// What the rows add up to.
    pub expected: i64,
}

impl Verification {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }

    fn note(&mut self, difference: Difference) {
        if self.differences.len() < LISTED {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }
}

/// A question whose every row is a difference: subject, what is stored, what is expected.
struct Invariant {
    name: &'static str,
    sql: &'static str,
}

// What leases carry of charges has not reached keys and wallets yet, and is added to what they have stored.
//
// Two sums are compared by adding up the rows of both sides at once: SQLite has no way to join both ways (FULL JOIN) but
// row by row, which takes hours where there are a hundred thousand accounts.

/// Questions whose subject is text.
const OF_ACCOUNTS: &[Invariant] = &[
    Invariant {
        name: "all balances add up to nothing",
        sql: "SELECT 'the ledger', CAST(SUM(balance) AS BIGINT), CAST(0 AS BIGINT) FROM (
                SELECT balance_nanos AS balance FROM ledger_accounts UNION ALL SELECT -carried_nanos FROM leases WHERE carried_nanos > 0
            ) AS sides HAVING SUM(balance) <> 0",
    },
    Invariant {
        name: "a balance is the sum of its entries",
        sql: "SELECT id, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT id, balance_nanos AS stored, 0 AS expected FROM ledger_accounts
                UNION ALL SELECT 'wallet:' || account, -carried_nanos, 0 FROM leases WHERE carried_nanos > 0
                UNION ALL SELECT credit, 0, amount_nanos FROM entries UNION ALL SELECT debit, 0, -amount_nanos FROM entries
            ) AS sides GROUP BY id HAVING SUM(stored) <> SUM(expected)",
    },
    Invariant {
        name: "a charged generation has exactly one charge",
        sql: "SELECT g.id, COALESCE(e.amount_nanos, 0), g.net_nanos - g.fee_nanos
            FROM generations g LEFT JOIN entries e ON e.kind = 'charge' AND e.reference = g.id
            WHERE g.net_nanos > g.fee_nanos
                AND (e.amount_nanos IS NULL OR e.amount_nanos <> g.net_nanos - g.fee_nanos OR e.debit <> 'wallet:' || g.account)",
    },
    Invariant {
        name: "a charge is of a generation",
        sql: "SELECT e.reference, e.amount_nanos, CAST(0 AS BIGINT)
            FROM entries e LEFT JOIN generations g ON g.id = e.reference AND g.net_nanos > g.fee_nanos
            WHERE e.kind = 'charge' AND g.id IS NULL AND e.reference >= (SELECT first_id FROM forgotten)",
    },
    Invariant {
        name: "a fee is that of its generation",
        sql: "SELECT e.reference, e.amount_nanos, COALESCE(g.fee_nanos, 0)
            FROM entries e LEFT JOIN generations g ON g.id = e.reference
            WHERE e.kind = 'fee' AND e.reference >= (SELECT first_id FROM forgotten)
                AND (g.id IS NULL OR e.amount_nanos <> g.fee_nanos OR e.debit <> 'wallet:' || g.account OR e.credit <> 'operator:fees')
            UNION ALL SELECT g.id, 0, g.fee_nanos
            FROM generations g LEFT JOIN entries e ON e.kind = 'fee' AND e.reference = g.id
            WHERE g.fee_nanos > 0 AND g.id >= (SELECT first_id FROM forgotten) AND e.reference IS NULL",
    },
    Invariant {
        name: "a discount is that of its generation",
        sql: "SELECT e.reference, e.amount_nanos, COALESCE(g.discount_nanos, 0)
            FROM entries e LEFT JOIN generations g ON g.id = e.reference
            WHERE e.kind = 'discount' AND e.reference >= (SELECT first_id FROM forgotten)
                AND (g.id IS NULL OR e.amount_nanos <> g.discount_nanos OR e.debit <> 'operator:fees')
            UNION ALL SELECT g.id, 0, g.discount_nanos
            FROM generations g LEFT JOIN entries e ON e.kind = 'discount' AND e.reference = g.id
            WHERE g.discount_nanos > 0 AND g.id >= (SELECT first_id FROM forgotten) AND e.reference IS NULL",
    },
    Invariant {
        name: "an account's activity is the sum of its charges",
        sql: "SELECT id, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT 'wallet:' || account AS id, net_nanos AS stored, 0 AS expected FROM activity
                UNION ALL SELECT id, 0, charged_nanos FROM ledger_accounts WHERE kind = 'wallet'
                UNION ALL SELECT 'wallet:' || account, 0, carried_nanos FROM leases WHERE carried_nanos > 0
            ) AS sides GROUP BY id HAVING SUM(stored) <> SUM(expected)",
    },
    Invariant {
        name: "a day's activity is the sum of its runs",
        sql: "SELECT account, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT account, day, net_nanos AS stored, 0 AS expected, fee_nanos AS fee, discount_nanos AS discount FROM activity
                UNION ALL SELECT account, settled_at - settled_at % 86400000, 0, net_nanos, -fee_nanos, -discount_nanos FROM generations
            ) AS sides WHERE day > (SELECT before_at FROM forgotten) + 86400000
            GROUP BY account, day HAVING SUM(stored) <> SUM(expected) OR SUM(fee) <> 0 OR SUM(discount) <> 0",
    },
    Invariant {
        name: "a wallet has been charged what its keys have used",
        sql: "SELECT id, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT id, charged_nanos AS stored, 0 AS expected FROM ledger_accounts WHERE kind = 'wallet'
                UNION ALL SELECT 'wallet:' || account, 0, usage_nanos FROM keys
            ) AS sides GROUP BY id HAVING SUM(stored) <> SUM(expected)",
    },
    Invariant {
        name: "a wallet has lent the sum of its leases",
        sql: "SELECT id, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT id, leased_nanos AS stored, 0 AS expected FROM ledger_accounts
                UNION ALL SELECT 'wallet:' || account, 0, amount_nanos + carried_nanos FROM leases
            ) AS sides GROUP BY id HAVING SUM(stored) <> SUM(expected)",
    },
];

/// Questions whose subject is a key's hash.
const OF_KEYS: &[Invariant] = &[
    Invariant {
        name: "a key has lent the sum of its leases",
        sql: "SELECT k.hash, k.leased_nanos, CAST(COALESCE(l.amount, 0) AS BIGINT)
            FROM keys k LEFT JOIN (SELECT key_hash, SUM(amount_nanos + carried_nanos) AS amount FROM leases GROUP BY key_hash) AS l ON l.key_hash = k.hash
            WHERE k.leased_nanos <> COALESCE(l.amount, 0)",
    },
    Invariant {
        name: "a key's usage is the sum of its activity",
        sql: "SELECT hash, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT hash, usage_nanos AS stored, 0 AS expected FROM keys
                UNION ALL SELECT key_hash, carried_nanos, 0 FROM leases WHERE carried_nanos > 0
                UNION ALL SELECT key_hash, 0, net_nanos FROM activity
            ) AS sides GROUP BY hash HAVING SUM(stored) <> SUM(expected)",
    },
    // Once runs are forgotten, the activity alone can tell.
    Invariant {
        name: "a key's usage is the sum of its charges",
        sql: "SELECT hash, CAST(SUM(stored) AS BIGINT), CAST(SUM(expected) AS BIGINT) FROM (
                SELECT hash, usage_nanos AS stored, 0 AS expected FROM keys
                UNION ALL SELECT key_hash, carried_nanos, 0 FROM leases WHERE carried_nanos > 0
                UNION ALL SELECT key_hash, 0, net_nanos FROM generations
            ) AS sides WHERE (SELECT before_at FROM forgotten) = 0 GROUP BY hash HAVING SUM(stored) <> SUM(expected)",
    },
    Invariant {
        name: "a key's usage of a day is the sum of its charges since",
        sql: "SELECT k.hash, CAST(k.usage_daily_nanos + COALESCE(carried.nanos, 0) AS BIGINT), CAST(COALESCE(g.used, 0) AS BIGINT)
            FROM keys k LEFT JOIN (
                SELECT g.key_hash, SUM(g.net_nanos) AS used FROM generations g JOIN keys k ON k.hash = g.key_hash
                WHERE g.settled_at >= k.day_start GROUP BY g.key_hash
            ) AS g ON g.key_hash = k.hash LEFT JOIN (
                SELECT l.key_hash, SUM(l.carried_nanos) AS nanos FROM leases l JOIN keys k ON k.hash = l.key_hash
                WHERE l.carried_nanos > 0 AND l.carried_day >= k.day_start GROUP BY l.key_hash
            ) AS carried ON carried.key_hash = k.hash
            WHERE k.usage_daily_nanos + COALESCE(carried.nanos, 0) <> COALESCE(g.used, 0) AND k.day_start > (SELECT before_at FROM forgotten) + 86400000",
    },
    Invariant {
        name: "a key's usage of a week is the sum of its charges since",
        sql: "SELECT k.hash, CAST(k.usage_weekly_nanos + COALESCE(carried.nanos, 0) AS BIGINT), CAST(COALESCE(g.used, 0) AS BIGINT)
            FROM keys k LEFT JOIN (
                SELECT g.key_hash, SUM(g.net_nanos) AS used FROM generations g JOIN keys k ON k.hash = g.key_hash
                WHERE g.settled_at >= k.week_start GROUP BY g.key_hash
            ) AS g ON g.key_hash = k.hash LEFT JOIN (
                SELECT l.key_hash, SUM(l.carried_nanos) AS nanos FROM leases l JOIN keys k ON k.hash = l.key_hash
                WHERE l.carried_nanos > 0 AND l.carried_day >= k.week_start GROUP BY l.key_hash
            ) AS carried ON carried.key_hash = k.hash
            WHERE k.usage_weekly_nanos + COALESCE(carried.nanos, 0) <> COALESCE(g.used, 0) AND k.week_start > (SELECT before_at FROM forgotten) + 86400000",
    },
    Invariant {
        name: "a key's usage of a month is the sum of its charges since",
        sql: "SELECT k.hash, CAST(k.usage_monthly_nanos + COALESCE(carried.nanos, 0) AS BIGINT), CAST(COALESCE(g.used, 0) AS BIGINT)
            FROM keys k LEFT JOIN (
                SELECT g.key_hash, SUM(g.net_nanos) AS used FROM generations g JOIN keys k ON k.hash = g.key_hash
                WHERE g.settled_at >= k.month_start GROUP BY g.key_hash
            ) AS g ON g.key_hash = k.hash LEFT JOIN (
                SELECT l.key_hash, SUM(l.carried_nanos) AS nanos FROM leases l JOIN keys k ON k.hash = l.key_hash
                WHERE l.carried_nanos > 0 AND l.carried_day >= k.month_start GROUP BY l.key_hash
            ) AS carried ON carried.key_hash = k.hash
            WHERE k.usage_monthly_nanos + COALESCE(carried.nanos, 0) <> COALESCE(g.used, 0) AND k.month_start > (SELECT before_at FROM forgotten) + 86400000",
    },
];

const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM entries), (SELECT COUNT(*) FROM generations), (SELECT COUNT(*) FROM parked_settlements)";

/// Asks every question of the transaction.
macro_rules! ask_all {
    ($tx:ident) => {{
        let mut found = Verification::default();
        (found.entries, found.generations, found.parked) =
            sqlx::query_as(COUNTS).fetch_one(&mut *$tx).await?;
        for invariant in OF_ACCOUNTS {
            let mut rows = sqlx::query_as::<_, (String, i64, i64)>(invariant.sql).fetch(&mut *$tx);
            while let Some((subject, stored, expected)) = rows.try_next().await? {
                found.note(Difference {
                    invariant: invariant.name,
                    subject,
                    stored,
                    expected,
                });
            }
        }
        for invariant in OF_KEYS {
            let mut rows = sqlx::query_as::<_, (Vec<u8>, i64, i64)>(invariant.sql).fetch(&mut *$tx);
            while let Some((hash, stored, expected)) = rows.try_next().await? {
                found.note(Difference {
                    invariant: invariant.name,
                    subject: hex::encode(hash),
                    stored,
                    expected,
                });
            }
        }
        found
    }};
}

impl Store {
    /// Checks every invariant of the ledger, which may be at work meanwhile.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        Ok(snapshot!(self, tx => ask_all!(tx)))
    }
}
