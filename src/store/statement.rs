//! An account's statement: what it had, got, used and has. Charges come from the activity, so that no run is read.

use sqlx::FromRow;

use super::accounts::wallet_of;
use super::db::snapshot;
use super::{Store, StoreError};
use crate::domain::ids::AccountId;
use crate::domain::money::Nanos;

pub(super) const GIVEN: &str = "SELECT CAST(COALESCE(SUM(amount_nanos), 0) AS BIGINT) FROM entries
    WHERE credit = $1 AND created_at < $2 AND kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount'";
const TAKEN: &str = "SELECT CAST(COALESCE(SUM(amount_nanos), 0) AS BIGINT) FROM entries
    WHERE debit = $1 AND created_at < $2 AND kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount'";
const USED: &str = "SELECT CAST(COALESCE(SUM(net_nanos), 0) AS BIGINT) FROM activity WHERE account = $1 AND day < $2";
pub(super) const GRANTS: &str = "SELECT kind, reference, amount_nanos, created_at FROM entries
        WHERE credit = $1 AND created_at >= $2 AND created_at < $3 AND kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount'
    UNION ALL SELECT kind, reference, -amount_nanos, created_at FROM entries
        WHERE debit = $1 AND created_at >= $2 AND created_at < $3 AND kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount'
    ORDER BY created_at, reference";
const CHARGES: &str = "SELECT model, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(tokens_prompt) AS BIGINT) AS tokens_prompt,
        CAST(SUM(tokens_completion) AS BIGINT) AS tokens_completion, CAST(SUM(net_nanos) AS BIGINT) AS net_nanos,
        CAST(SUM(discount_nanos) AS BIGINT) AS discount_nanos, CAST(SUM(fee_nanos) AS BIGINT) AS fee_nanos
    FROM activity WHERE account = $1 AND day >= $2 AND day < $3 GROUP BY model ORDER BY model";

/// Everything that moved an account's credit in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it had at the beginning.
    pub opening: Nanos,
    /// What was given or taken back, in the order of time.
    pub grants: Vec<GrantLine>,
    /// What was used, by model.
    pub charges: Vec<ChargeLine>,
}

/// Credit given, or taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantLine {
    /// `grant`.
    pub kind: String,
    /// Its name.
    pub reference: String,
    /// Below nothing when it was taken back.
    pub amount: Nanos,
    /// Unix milliseconds.
    pub created_at: i64,
}

/// What one model was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeLine {
    /// The model's id.
    pub model: String,
    /// Runs, charged or not.
    pub requests: i64,
    /// Input tokens.
    pub tokens_prompt: i64,
    /// Output tokens.
    pub tokens_completion: i64,
    /// By list price.
    pub gross: Nanos,
    /// Taken off it.
    pub discount: Nanos,
    /// The operator's, on top.
    pub fee: Nanos,
    /// What was charged.
    pub net: Nanos,
}

impl Statement {
    /// All that was given, less what was taken back.
    pub fn granted(&self) -> Nanos {
        self.grants.iter().map(|line| line.amount).sum()
    }

    /// All that was charged.
    pub fn charged(&self) -> Nanos {
        self.charges.iter().map(|line| line.net).sum()
    }

    /// What it had at the end.
    pub fn closing(&self) -> Nanos {
        self.opening
            .saturating_add(self.granted())
            .saturating_sub(self.charged())
    }
}

impl Store {
    /// What happened to an account's credit from the midnight `from` until before the midnight `until`, seen at one
    /// instant.
    pub async fn statement(
        &self,
        account: &AccountId,
        from: i64,
        until: i64,
    ) -> Result<Statement, StoreError> {
        let wallet = wallet_of(account);
        snapshot!(self, tx => {
            let given: i64 = sqlx::query_scalar(GIVEN).bind(&wallet).bind(from).fetch_one(&mut *tx).await?;
            let taken: i64 = sqlx::query_scalar(TAKEN).bind(&wallet).bind(from).fetch_one(&mut *tx).await?;
            let used: i64 = sqlx::query_scalar(USED).bind(account.as_str()).bind(from).fetch_one(&mut *tx).await?;
            let grants: Vec<GrantRow> = sqlx::query_as(GRANTS).bind(&wallet).bind(from).bind(until).fetch_all(&mut *tx).await?;
            let charges: Vec<ChargeRow> = sqlx::query_as(CHARGES).bind(account.as_str()).bind(from).bind(until).fetch_all(&mut *tx).await?;
            Ok(Statement {
                opening: Nanos(given).saturating_sub(Nanos(taken)).saturating_sub(Nanos(used)),
                grants: grants.into_iter().map(GrantLine::from).collect(),
                charges: charges.into_iter().map(ChargeLine::from).collect(),
            })
        })
    }
}

#[derive(FromRow)]
struct GrantRow {
    kind: String,
    reference: String,
    amount_nanos: i64,
    created_at: i64,
}

impl From<GrantRow> for GrantLine {
    fn from(row: GrantRow) -> Self {
        GrantLine {
            kind: row.kind,
            reference: row.reference,
            amount: Nanos(row.amount_nanos),
            created_at: row.created_at,
        }
    }
}

#[derive(FromRow)]
struct ChargeRow {
    model: String,
    requests: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    net_nanos: i64,
    discount_nanos: i64,
    fee_nanos: i64,
}

impl From<ChargeRow> for ChargeLine {
    fn from(row: ChargeRow) -> Self {
        let (net, discount, fee) = (
            Nanos(row.net_nanos),
            Nanos(row.discount_nanos),
            Nanos(row.fee_nanos),
        );
        ChargeLine {
            model: row.model,
            requests: row.requests,
            tokens_prompt: row.tokens_prompt,
            tokens_completion: row.tokens_completion,
            gross: net.saturating_sub(fee).saturating_add(discount),
            discount,
            fee,
            net,
        }
    }
}
